//! What must be known of everybody, and the mail server by which an address is proved.

use super::*;
use crate::accounts::Required;
use crate::mail::MailTls;
use std::collections::BTreeSet;

const MAIL: &str = "[mail]\nhost = \"smtp.test\"\nfrom = \"id@house.test\"\n";

#[test]
fn what_is_required_and_the_mail_server_are_read() {
    let plain = good(HEAD).settings;
    assert!(plain.accounts.require.is_empty() && plain.mail.is_none());
    let config = format!(
        "{HEAD}[accounts]\nrequire = [\"name\", \"verified_email\"]\n{MAIL}username = \"u\"\npassword = \"env:STRONG\"\n"
    );
    let settings = good(&config).settings;
    assert_eq!(settings.accounts.require, BTreeSet::from([Required::VerifiedEmail, Required::Name]));
    let mail = settings.mail.clone().unwrap();
    assert_eq!((mail.host.as_str(), mail.port, mail.tls), ("smtp.test", 465, MailTls::Implicit));
    assert_eq!(mail.from.as_str(), "id@house.test");
    let (user, password) = mail.credentials.unwrap();
    assert_eq!((user.as_str(), password.expose_secret()), ("u", "Jq3wWvX5r0nB8uZ1kT7yLm2cPf6hD9sE"));
    assert!(!format!("{settings:?}").contains("Jq3wWvX5"), "a password is never printed");
    let starttls = good(&format!("{HEAD}{MAIL}tls = \"starttls\"\n")).settings;
    assert_eq!(starttls.mail.as_ref().unwrap().port, 587);
    for host in ["localhost", "127.0.0.1", "::1"] {
        let here =
            format!("{HEAD}[mail]\nhost = \"{host}\"\nfrom = \"a@b.test\"\ntls = \"none\"\nport = 25\n");
        assert_eq!(good(&here).settings.mail.as_ref().unwrap().port, 25, "{host}");
    }
}

#[test]
fn a_mail_server_that_cannot_be_is_refused_in_its_place() {
    for (text, code) in [
        ("[mail]\nfrom = \"a@b.test\"\n".to_owned(), "config.missing"),
        ("[mail]\nhost = \"smtp.test\"\n".to_owned(), "config.missing"),
        ("[mail]\nhost = \"smtp.test\"\nfrom = \"House <a@b.test>\"\n".to_owned(), "config.value"),
        ("[mail]\nhost = \"smtp test\"\nfrom = \"a@b.test\"\n".to_owned(), "config.value"),
        (format!("{MAIL}tls = \"none\"\n"), "config.plain_mail"),
        (format!("{MAIL}tls = \"ssl\"\n"), "config.value"),
        (format!("{MAIL}port = 0\n"), "config.bounds"),
        (format!("{MAIL}username = \"u\"\n"), "config.contradiction"),
        (format!("{MAIL}password = \"env:STRONG\"\n"), "config.contradiction"),
        (format!("{MAIL}username = \"u\"\npassword = \"hunter2\"\n"), "config.secret"),
        (format!("{MAIL}ca_file = \"none.pem\"\n"), "config.file"),
        (format!("{MAIL}hots = \"x\"\n"), "did you mean `host`?"),
        ("[accounts]\nrequire = [\"emial\"]\n".to_owned(), "did you mean \"email\"?"),
    ] {
        let said = said(&format!("{HEAD}{text}"));
        assert!(said.contains(code) && said.contains("countersign.toml:"), "{text}\n{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn an_address_is_required_only_where_it_can_be_proved() {
    for word in ["email", "verified_email"] {
        let required = format!("{HEAD}[accounts]\nrequire = [\"{word}\"]\n");
        let said = said(&required);
        assert!(said.contains("error[config.mail]") && said.contains("countersign.toml:4:"), "{said}");
        good(&format!("{required}{MAIL}"));
    }
    good(&format!("{HEAD}[accounts]\nrequire = [\"name\"]\n"));
    // A provider that requires it says so in its own file.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("providers.toml"), format!("{GLOBEX}require = [\"email\"]\n")).unwrap();
    let said = read(folder.path(), HEAD).map(drop).unwrap_err().render(false);
    assert!(said.contains("error[config.mail]") && said.contains("providers.toml:10:"), "{said}");
    let loaded = read(folder.path(), &format!("{HEAD}{MAIL}")).unwrap();
    assert_eq!(loaded.providers.list()[0].common.require, Some(BTreeSet::from([Required::Email])));
}
