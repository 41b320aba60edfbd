//! `[accounts]`: what must be known of everybody; `[mail]`: the mail server by which an address is proved.

use super::providers::Providers;
use super::read::Section;
use super::report::{Place, Problem, Problems};
use super::server::secret;
use super::settings::AccountSettings;
use super::values::{Bounds, References};
use crate::accounts::required::has_email;
use crate::accounts::{EmailAddress, Required};
use crate::mail::{MailSettings, MailTls};
use std::net::IpAddr;

/// `[accounts]`, and where it requires an address.
pub fn accounts(root: &Section<'_>) -> (AccountSettings, Option<Place>) {
    let Some(section) = root.section("accounts") else { return (AccountSettings::default(), None) };
    let mut settings = AccountSettings::default();
    let mut email = None;
    for text in section.list("require").unwrap_or_default() {
        let Some(word) = section.one_of("require", &text, Required::WORDS) else { continue };
        if word.value != Required::Name {
            email = Some(word.place);
        }
        settings.require.insert(word.value);
    }
    section.finish();
    (settings, email)
}

/// `[mail]`.
pub fn mail(root: &Section<'_>, references: &References) -> Option<MailSettings> {
    let section = root.section("mail")?;
    let host = section.required_text("host", "host = \"smtp.example.com\"");
    let tls = section.word(
        "tls",
        &[("implicit", MailTls::Implicit), ("starttls", MailTls::StartTls), ("none", MailTls::None)],
    );
    let (tls, tls_place) = tls.map_or((MailTls::Implicit, section.place()), |at| (at.value, at.place));
    let usual = if tls == MailTls::Implicit { 465 } else { 587 };
    let port = section.number("port", Bounds::new(1, 65535));
    let port = port.and_then(|at| u16::try_from(at.value).ok()).unwrap_or(usual);
    let username = section.text("username");
    let password = secret(&section, "password", references);
    let from = section.required_text("from", "from = \"sign-in@example.com\"");
    let from = from.and_then(|at| match EmailAddress::parse(&at.value) {
        Ok(address) if address.is_plain() => Some(address),
        _ => {
            let help = "write the address alone; the name beside it is that of [branding]";
            section.refuse(at.place, "config.value", "`from` is not a mail address", help);
            None
        }
    });
    let ca = section.text("ca_file").and_then(|at| {
        let path = references.path(at.value.strip_prefix("file:").unwrap_or(&at.value));
        let read = super::values::read_bounded(&path, 1024 * 1024);
        references.files.borrow_mut().note(&path, read.as_ref().ok().map(|bytes| bytes.as_slice()));
        let text = read.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        let text = text.filter(|text| text.contains("-----BEGIN CERTIFICATE-----"));
        if text.is_none() {
            let message = format!("{} cannot be read, or has no certificate (PEM)", path.display());
            section.refuse(at.place, "config.file", message, "a relative path relates to this file's folder");
        }
        text
    });
    if let Some(host) = &host {
        if host.value.is_empty()
            || !host.value.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:".contains(&b))
        {
            section.refuse(host.place, "config.value", "`host` is not the name of a machine", "");
        }
        if tls == MailTls::None && !is_this_machine(&host.value) {
            let message =
                "a mail server on another machine must be spoken to by TLS: codes would go in the clear";
            section.refuse(tls_place, "config.plain_mail", message, "write \"implicit\" or \"starttls\"");
        }
    }
    let credentials = match (username, password) {
        (Some(user), Some(password)) => Some((user.value, password.value)),
        (Some(user), None) if !section.has("password") => {
            section.refuse(user.place, "config.contradiction", "`username` needs a `password`", "");
            None
        }
        (None, Some(password)) if !section.has("username") => {
            section.refuse(password.place, "config.contradiction", "`password` needs a `username`", "");
            None
        }
        _ => None,
    };
    section.finish();
    Some(MailSettings { host: host?.value, port, tls, credentials, from: from?, ca })
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An address cannot be proved without a mail server.
pub fn check(required_here: Option<Place>, providers: &Providers, problems: &Problems) {
    let by_provider = providers.list().iter().filter_map(|provider| {
        let wants = has_email(provider.common.require.as_ref()?);
        wants.then(|| providers.place(&provider.common.id, "require"))
    });
    for place in required_here.map(Some).into_iter().chain(by_provider) {
        let message = "an address is required, and without [mail] nobody can prove theirs";
        let problem = match place {
            Some(place) => Problem::error("config.mail", place, message),
            None => Problem::nowhere("config.mail", message),
        };
        problems.add(problem.help("add [mail] with `host` and `from` to countersign.toml"));
    }
}
