//! What letters say.

use super::MailError;
use crate::accounts::EmailAddress;
use crate::context::Timestamp;
use askama::Template;
use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use std::time::{Duration, UNIX_EPOCH};

/// A letter, ready to be sent.
#[derive(Debug)]
pub struct Letter(Message);

impl Letter {
    pub(super) fn into_message(self) -> Message {
        self.0
    }
}

/// A code, on its way to prove an address.
#[derive(Debug)]
pub struct CodeMail<'a> {
    /// To whom.
    pub to: &'a EmailAddress,
    /// From whom.
    pub from: &'a EmailAddress,
    /// The name of the house.
    pub house: &'a str,
    /// Our issuer.
    pub issuer: &'a str,
    /// The app that the person signs in to; only where we know it well. What strangers register must not become
    /// what we write to people.
    pub app: Option<&'a str>,
    /// The code, eight digits.
    pub code: &'a str,
    /// For how long it works.
    pub lifetime: Duration,
    /// When the letter is written.
    pub at: Timestamp,
    /// What tells it from every other letter.
    pub id: &'a str,
}

#[derive(Template)]
#[template(path = "mail/code.txt", escape = "none")]
struct CodeText<'a> {
    house: String,
    issuer: &'a str,
    app: Option<String>,
    code: String,
    minutes: u64,
}

/// A name in a letter: one line, and not a long one.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// A code as people read it out: in two groups.
pub fn grouped(code: &str) -> String {
    match code.split_at_checked(code.len() / 2) {
        Some((a, b)) => format!("{a} {b}"),
        None => code.to_owned(),
    }
}

impl CodeMail<'_> {
    /// Writes the letter.
    ///
    /// # Errors
    /// [`MailError::Unwritten`] where an address cannot stand in a letter.
    pub fn letter(&self) -> Result<Letter, MailError> {
        let unwritten = |error: &dyn std::fmt::Display| MailError::Unwritten(error.to_string());
        let mailbox = |name: Option<String>, address: &EmailAddress| -> Result<Mailbox, MailError> {
            let address = address.as_str().parse::<Address>().map_err(|error| unwritten(&error))?;
            Ok(Mailbox::new(name, address))
        };
        let house = plain(self.house);
        let text = CodeText {
            house: house.clone(),
            issuer: self.issuer,
            app: self.app.map(plain),
            code: grouped(self.code),
            minutes: self.lifetime.as_secs().div_ceil(60),
        };
        let text = text.render().map_err(|error| unwritten(&error))?;
        let millis = u64::try_from(self.at.0).unwrap_or(0);
        Message::builder()
            .from(mailbox(Some(house.clone()), self.from)?)
            .to(mailbox(None, self.to)?)
            .subject(format!("Your code for {house}"))
            .date(UNIX_EPOCH + Duration::from_millis(millis))
            .message_id(Some(format!("<{}@{}>", self.id, self.from.domain())))
            // RFC 3834 §5: no machine needs to answer.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map(Letter)
            .map_err(|error| unwritten(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(house: &str, app: Option<&str>, to: &str) -> Result<String, MailError> {
        let (to, from) = (EmailAddress::parse(to).unwrap(), EmailAddress::parse("id@house.test").unwrap());
        let mail = CodeMail {
            to: &to,
            from: &from,
            house,
            issuer: "https://id.house.test",
            app,
            code: "12345678",
            lifetime: Duration::from_secs(600),
            at: Timestamp(1_790_000_000_000),
            id: "abc",
        };
        mail.letter().map(|letter| String::from_utf8(letter.into_message().formatted()).unwrap())
    }

    #[test]
    fn a_letter_says_who_asks_what_for_and_for_how_long() {
        let text = written("The House", Some("Notes"), "ann@x.test").unwrap();
        for part in [
            "To: ann@x.test\r\n",
            "id@house.test",
            "Subject: Your code for The House\r\n",
            "Date: Mon, 21 Sep 2026 14:13:20 +0000\r\n",
            "Message-ID: <abc@house.test>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "    1234 5678\r\n",
            "10 minutes",
            "to Notes.",
            "https://id.house.test",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("5678"), "what a locked screen shows is no code");
        assert!(written("The House", None, "ann@x.test").unwrap().contains("you are signing in."));
    }

    #[test]
    fn link_019_nothing_becomes_a_header_or_another_line() {
        let text = written("H\r\nBcc: eve@x.test", Some("A\r\n\r\n.\r\nMAIL"), "ann@x.test").unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("\nBcc"), "{head}");
        assert!(!body.contains("\r\n.\r\n"), "{body}");
    }
}
