//! A mail server on loopback that keeps every letter (RFC 5321, as much of it as submission needs), and can be told
//! to misbehave.
#![allow(dead_code)] // each test binary uses its part

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A letter as it came.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The whole line of MAIL.
    pub from: String,
    /// The recipients, of the envelope.
    pub to: Vec<String>,
    /// Headers and text, without the dots of the protocol.
    pub text: String,
    /// User name and password that the connection had brought, if any.
    pub login: Option<String>,
}

impl Kept {
    /// The code in it: eight digits in two groups, on a line of their own.
    pub fn code(&self) -> String {
        let line = self.text.lines().map(str::trim).find(|line| {
            let groups: Vec<&str> = line.split(' ').collect();
            groups.len() == 2 && groups.iter().all(|g| g.len() == 4 && g.bytes().all(|b| b.is_ascii_digit()))
        });
        line.unwrap_or_else(|| panic!("a code in {}", self.text)).replace(' ', "")
    }
}

/// What the server does otherwise than a sound one.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// Says this in place of its greeting, and hangs up.
    pub greeting: Option<&'static str>,
    /// Answers RCPT with this.
    pub recipient: Option<&'static str>,
    /// Demands this user name and password, joined by a colon.
    pub login: Option<&'static str>,
}

#[derive(Default)]
struct Shared {
    kept: Mutex<Vec<Kept>>,
    manners: Mutex<Manners>,
    tls: Option<Arc<ServerConfig>>,
}

/// The running server. Its threads end with the process.
#[derive(Clone)]
pub struct Mailbox {
    port: u16,
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Mailbox {
    /// Starts one.
    pub fn start() -> Self {
        Self::over(None)
    }
    /// One that speaks TLS from the first byte, with a certificate for `localhost`; and that certificate, PEM.
    pub fn start_tls() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        (Self::over(Some(Arc::new(config))), made.cert.pem())
    }

    fn over(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mailbox = Self { port, shared: Arc::new(Shared { tls, ..Shared::default() }) };
        let server = mailbox.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        mailbox
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
    /// The lines of `[mail]` for it.
    pub fn settings(&self) -> String {
        format!(
            "[mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"id@house.example\"\n",
            self.port
        )
    }
    /// All letters so far.
    pub fn kept(&self) -> Vec<Kept> {
        lock(&self.shared.kept).clone()
    }
    /// The last letter.
    pub fn last(&self) -> Kept {
        self.kept().pop().expect("a letter")
    }
    /// What it does otherwise.
    pub fn manners(&self) -> MutexGuard<'_, Manners> {
        lock(&self.shared.manners)
    }

    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
        // A client that hangs up in the middle is no failure of the test's.
        let _ = match &self.shared.tls {
            None => self.talk(stream),
            Some(config) => match ServerConnection::new(config.clone()) {
                Ok(connection) => self.talk(StreamOwned::new(connection, stream)),
                Err(_) => return,
            },
        };
    }

    fn talk(&self, stream: impl Read + Write) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let manners = self.manners().clone();
        if let Some(greeting) = manners.greeting {
            return say(&mut stream, greeting);
        }
        say(&mut stream, "220 mailbox.test ESMTP")?;
        let (mut from, mut to, mut login) = (String::new(), Vec::new(), None);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            let word = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "EHLO" if manners.login.is_some() => say(&mut stream, "250-mailbox.test\r\n250 AUTH PLAIN")?,
                "EHLO" | "HELO" => say(&mut stream, "250-mailbox.test\r\n250 8BITMIME")?,
                "AUTH" => {
                    use base64::Engine as _;
                    let given = line.rsplit(' ').next().unwrap_or_default();
                    let given = base64::engine::general_purpose::STANDARD.decode(given).unwrap_or_default();
                    let given = String::from_utf8_lossy(&given).trim_start_matches('\0').replace('\0', ":");
                    let right = manners.login == Some(given.as_str());
                    login = right.then_some(given);
                    say(&mut stream, if right { "235 2.7.0 welcome" } else { "535 5.7.8 no" })?;
                }
                "MAIL" if manners.login.is_some() && login.is_none() => {
                    say(&mut stream, "530 5.7.0 who are you")?
                }
                "MAIL" => {
                    from = line.to_owned();
                    say(&mut stream, "250 2.1.0 ok")?;
                }
                "RCPT" => match manners.recipient {
                    Some(refusal) => say(&mut stream, refusal)?,
                    None => {
                        let address = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                        to.push(address.map_or_else(|| line.to_owned(), |(address, _)| address.to_owned()));
                        say(&mut stream, "250 2.1.5 ok")?;
                    }
                },
                "DATA" => {
                    say(&mut stream, "354 go on")?;
                    let mut text = String::new();
                    loop {
                        let mut line = String::new();
                        if stream.read_line(&mut line)? == 0 {
                            return Ok(());
                        }
                        if line == ".\r\n" {
                            break;
                        }
                        text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    }
                    let kept =
                        Kept { from: from.clone(), to: std::mem::take(&mut to), text, login: login.clone() };
                    lock(&self.shared.kept).push(kept);
                    say(&mut stream, "250 2.0.0 kept")?;
                }
                "QUIT" => return say(&mut stream, "221 2.0.0 bye"),
                "RSET" | "NOOP" => say(&mut stream, "250 ok")?,
                _ => say(&mut stream, "502 5.5.1 what?")?,
            }
        }
    }
}

fn say<S: Read + Write>(stream: &mut BufReader<S>, line: &str) -> std::io::Result<()> {
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
    stream.get_mut().flush()
}
