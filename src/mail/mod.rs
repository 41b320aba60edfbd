//! Mail to people: what it says, and its way to the mail server (SMTP, RFC 5321, as submission by RFC 6409). The
//! only user of lettre.
//!
//! What stands in a mail is ours: besides the code only names from the configuration. A stranger can make us send a
//! mail to an address, but never choose what it says.

mod message;

pub use message::{CodeMail, Letter};

use crate::accounts::EmailAddress;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;

/// For how long the mail server may take for one letter, from the connection to its word that it has it.
const PATIENCE: Duration = Duration::from_secs(15);

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// TLS from the first byte (RFC 8314 §3.3).
    Implicit,
    /// STARTTLS (RFC 3207), and no letter without it.
    StartTls,
    /// None: a server on this very machine.
    None,
}

/// The mail server, and by what address we write.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Its name, which its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// User name and password, where it wants them.
    pub credentials: Option<(String, SecretString)>,
    /// The address that letters come from.
    pub from: EmailAddress,
    /// Certificate authorities (PEM) that are trusted in place of the public ones.
    pub ca: Option<String>,
}

/// Why a letter was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// There is no mail server in the configuration.
    #[error("no mail server is configured")]
    NoServer,
    /// The server does not deliver to this recipient.
    #[error("the mail server does not take letters to this recipient: {0}")]
    Recipient(String),
    /// The server answered that it does not take the letter, and perhaps not because of the recipient.
    #[error("the mail server did not take the letter: {0}")]
    Declined(String),
    /// The server could not be reached, refused us, or did not answer in time.
    #[error("the mail server did not take the letter: {0}")]
    Away(String),
    /// The letter cannot be written.
    #[error("the letter cannot be written: {0}")]
    Unwritten(String),
}

impl From<lettre::transport::smtp::Error> for MailError {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        // RFC 5321 §4.2.3: 550, 551, 553 are about the mailbox; RFC 7504: 556 about its domain. 450, 451, 452, 552 and 554
        // may be about it. Everything else is between the server and us.
        let status = error.status().map(|code| code.to_string()).unwrap_or_default();
        let mut told = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !told.contains(&cause_text) {
                told.push_str(&format!(": {cause_text}"));
            }
            source = cause.source();
        }
        let told = told.chars().filter(|c| !c.is_control()).take(300).collect();
        match status.as_str() {
            "550" | "551" | "553" | "556" => Self::Recipient(told),
            "450" | "451" | "452" | "552" | "554" => Self::Declined(told),
            _ => Self::Away(told),
        }
    }
}

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Hands a letter to the mail server; `own_name` is the name by which we greet it.
///
/// # Errors
/// [`MailError`].
pub async fn send(settings: &MailSettings, own_name: &str, letter: Letter) -> Result<(), MailError> {
    let transport = transport(settings, own_name)?;
    patiently(async move { transport.send(letter.into_message()).await.map(|_| ()) }).await
}

/// Connects as for a letter, and sends none.
///
/// # Errors
/// [`MailError`].
pub async fn probe(settings: &MailSettings, own_name: &str) -> Result<(), MailError> {
    let transport = transport(settings, own_name)?;
    match patiently(async move { transport.test_connection().await }).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(MailError::Away("it hung up after the greeting".to_owned())),
        Err(error) => Err(error),
    }
}

async fn patiently<T>(
    work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, MailError> {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.map_err(|_| MailError::Away(format!("it did not answer within {} s", PATIENCE.as_secs())))?
        .map_err(MailError::from)
}

fn transport(settings: &MailSettings, own_name: &str) -> Result<Transport, MailError> {
    let parameters = || -> Result<TlsParameters, MailError> {
        let mut builder = TlsParameters::builder(settings.host.clone());
        if let Some(pem) = &settings.ca {
            builder = builder
                .certificate_store(CertificateStore::None)
                .add_root_certificate(Certificate::from_pem(pem.as_bytes())?);
        }
        Ok(builder.build()?)
    };
    let tls = match settings.tls {
        MailTls::Implicit => Tls::Wrapper(parameters()?),
        MailTls::StartTls => Tls::Required(parameters()?),
        MailTls::None => Tls::None,
    };
    let mut builder = Transport::builder_dangerous(&settings.host)
        .port(settings.port)
        .tls(tls)
        .timeout(Some(PATIENCE))
        .hello_name(ClientId::Domain(own_name.to_owned()));
    if let Some((user, password)) = &settings.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
    }
    Ok(builder.build())
}
