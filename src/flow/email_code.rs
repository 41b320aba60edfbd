//! Proof of an address by a code. A code is bound to the address and to one departure of one sign-in, which only
//! the browser that began it can go on with; it works once, for a few minutes and for a few tries.
//!
//! How many are sent is bounded for the sign-in, for the identity that asks, for its network and for the address, so
//! that nobody's mailbox is filled and nobody's code is found by trying.

use crate::accounts::{EmailAddress, IdentityKey};
use crate::clients::Client;
use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::{App, Snapshot};
use crate::mail::{self, CodeMail, MailError};
use crate::store::{NewCode, StoreError, Tx};
use crate::tokens::handle::Digest;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// Digits of a code.
pub const DIGITS: usize = 8;
/// For how long a code works.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// Tries at one code.
const TRIES: u32 = 5;
/// Codes of one departure.
const PER_SIGN_IN: u32 = 5;
/// Codes for which one identity of a provider may ask in an hour.
const PER_IDENTITY: u32 = 10;
const HOUR: Duration = Duration::from_secs(3600);
/// Under which codes are digested.
const PURPOSE: &str = "email code";

/// What is needed to send a code.
#[derive(Debug)]
pub struct Sending<'a> {
    /// The departure that it is bound to.
    pub attempt: Digest,
    /// Where it goes.
    pub address: &'a EmailAddress,
    /// Who asks.
    pub identity: &'a IdentityKey,
    /// From which network.
    pub source: &'a str,
    /// When the sign-in ends.
    pub sign_in_ends: Timestamp,
    /// For which application.
    pub client: &'a Client,
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    /// It is the one that was sent, and is used up.
    Right,
    /// It is another.
    Wrong {
        /// Tries that are left.
        left: u32,
    },
    /// None was sent that works still.
    Over,
}

/// A code as it was typed, without the gaps that people leave; `None` if it is no code.
pub fn read(typed: &str) -> Option<String> {
    // Bounded before it is worked on.
    if typed.len() > 64 {
        return None;
    }
    let digits: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    (digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

fn digest(app: &App, attempt: &Digest, address: &EmailAddress, code: &str) -> Result<String, Failure> {
    let text = format!("{}\n{}\n{code}", attempt.as_str(), address.canonical());
    let mark = app.sealer.mark(PURPOSE, text.as_bytes())?;
    Ok(mark.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Who pays for a code: purpose, whose, and how many in an hour.
type Payer = (&'static str, Digest, u32);

fn payers(snapshot: &Snapshot, sending: &Sending<'_>) -> [Payer; 3] {
    let limits = &snapshot.settings.limits;
    let IdentityKey { provider, issuer, subject, format } = sending.identity;
    let identity = Digest::of(&format!("{provider}\n{issuer}\n{subject}\n{format}"));
    [
        ("code-identity", identity, PER_IDENTITY),
        ("code-network", Digest::of(sending.source), limits.codes_per_network),
        ("code-address", Digest::of(sending.address.canonical()), limits.codes_per_address),
    ]
}

/// Why nothing was written.
enum Undone {
    Store(StoreError),
    Spent(&'static str),
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Makes a code and sends it; the sign-in's earlier one works no more.
///
/// # Errors
/// `person.codes_spent` where a bound is reached, `mail.recipient` where the mail server does not take mail to the
/// address, `mail.unavailable`.
pub async fn send(app: &App, snapshot: &Snapshot, sending: &Sending<'_>) -> Result<(), Failure> {
    let settings = &snapshot.settings;
    let Some(server) = &settings.mail else { return Err(told(MailError::NoServer)) };
    let now = app.context.now();
    let number = u64::from_be_bytes(app.context.bytes::<8>()) % 10u64.pow(8);
    let code = format!("{number:0DIGITS$}");
    let mac = digest(app, &sending.attempt, sending.address, &code)?;
    let ends_at = now.plus(LIFETIME).min(sending.sign_in_ends);
    let new = NewCode {
        sign_in: sending.attempt.clone(),
        mac: mac.clone(),
        ends_at,
        expires_at: sending.sign_in_ends.plus(settings.sign_in.skew),
    };
    let paid = payers(snapshot, sending);
    let spent = app.store.write(move |tx| pay(tx, &new, &paid, now)).await;
    match spent {
        Ok(()) => {}
        Err(Undone::Store(error)) => return Err(error.into()),
        Err(Undone::Spent(bound)) => {
            metrics::counter!("countersign_codes_mailed_total", "outcome" => "spent").increment(1);
            let failure = Failure::new(
                OAuthCode::SlowDown,
                "person.codes_spent",
                UserMessage::TooMany,
                "as many codes were mailed as may be in an hour, or in one sign-in",
            );
            return Err(failure.expected("fewer codes", bound));
        }
    }
    let id = app.context.token_id();
    let letter = CodeMail {
        to: sending.address,
        from: &server.from,
        house: &settings.branding.name,
        issuer: settings.issuer.as_str(),
        // A stranger who registers an app must not choose what we write to people.
        app: snapshot.clients.contains_key(&sending.client.id).then_some(sending.client.name.as_str()),
        code: &code,
        lifetime: ends_at.since(now),
        at: now,
        id: &id,
    };
    let own_name = settings.issuer.url().host_str().unwrap_or("localhost");
    let sent = match letter.letter() {
        Ok(letter) => mail::send(server, own_name, letter).await,
        Err(error) => Err(error),
    };
    let outcome = match &sent {
        Ok(()) => "sent",
        Err(MailError::Recipient(_)) => "recipient",
        Err(_) => "away",
    };
    metrics::counter!("countersign_codes_mailed_total", "outcome" => outcome).increment(1);
    let Err(error) = sent else { return Ok(()) };
    if !matches!(error, MailError::Recipient(_) | MailError::Declined(_)) {
        // Nobody is to wait for an hour because a server of ours was away. What it refused counts: else it could
        // be asked about any number of mailboxes.
        let (paid, attempt) = (payers(snapshot, sending), sending.attempt.clone());
        app.store
            .write(move |tx| -> Result<(), StoreError> {
                tx.withdraw_email_code(&attempt, &mac)?;
                paid.iter().try_for_each(|(purpose, whose, _)| tx.give_back(purpose, whose))
            })
            .await?;
    }
    Err(told(error))
}

fn pay(tx: &mut Tx<'_>, new: &NewCode, paid: &[Payer], now: Timestamp) -> Result<(), Undone> {
    if !tx.put_email_code(new, PER_SIGN_IN)? {
        return Err(Undone::Spent("code-sign-in"));
    }
    for (purpose, whose, most) in paid {
        if !tx.spend(purpose, whose, *most, HOUR, now)? {
            return Err(Undone::Spent(purpose));
        }
    }
    Ok(())
}

fn told(error: MailError) -> Failure {
    let note = error.to_string();
    match error {
        MailError::Recipient(_) => {
            Failure::new(OAuthCode::InvalidRequest, "mail.recipient", UserMessage::MailUnavailable, note)
        }
        MailError::NoServer | MailError::Declined(_) | MailError::Away(_) | MailError::Unwritten(_) => {
            Failure::new(
                OAuthCode::TemporarilyUnavailable,
                "mail.unavailable",
                UserMessage::MailUnavailable,
                note,
            )
        }
    }
}

/// Tries a code. The try counts whatever comes of it; the right one is used up.
///
/// # Errors
/// When the store fails.
pub async fn guess(
    app: &App,
    attempt: &Digest,
    address: &EmailAddress,
    typed: &str,
) -> Result<Guess, Failure> {
    let mac = digest(app, attempt, address, typed)?;
    let (attempt, now) = (attempt.clone(), app.context.now());
    let guess = app
        .store
        .write(move |tx| -> Result<Guess, StoreError> {
            let Some((wanted, left)) = tx.try_email_code(&attempt, TRIES, now)? else {
                return Ok(Guess::Over);
            };
            if !bool::from(wanted.as_bytes().ct_eq(mac.as_bytes())) {
                return Ok(Guess::Wrong { left });
            }
            Ok(if tx.use_email_code(&attempt, &wanted)? { Guess::Right } else { Guess::Over })
        })
        .await?;
    Ok(guess)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it_and_nothing_else_is() {
        assert_eq!(read("1234 5678"), Some("12345678".to_owned()));
        assert_eq!(read(" 1234-5678\n"), Some("12345678".to_owned()));
        for bad in ["", "1234567", "123456789", "1234567a", "１２３４５６７８", "+1234567"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("12345678{}", " ".repeat(80))), None);
        assert_eq!(read(&"é".repeat(40)), None);
    }
}
