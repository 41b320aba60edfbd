//! What operators are told of SAML providers.

use super::{CONFIG, Place, Server, free_port, until};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::net::SocketAddr;
use std::process::Stdio;

/// A provider of which all stands in the settings.
const ACME: &str = r#"
[[provider]]
id = "acme"
kind = "saml"
name = "Acme"
entity_id = "https://idp.acme.example"
sso_url = "https://idp.acme.example/sso"
certificates = ["file:idp.pem"]
provisioning = "open"
"#;

/// A place with it; its certificate ends in this year.
fn place(config: &str, ends: i32) -> Place {
    let place = Place::new(config);
    let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
    (parameters.not_before, parameters.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(ends, 1, 2));
    let certificate = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
    std::fs::write(place.path().join("idp.pem"), certificate.pem()).unwrap();
    std::fs::write(place.path().join("providers.toml"), ACME).unwrap();
    std::fs::write(place.path().join("master.key"), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    place
}

#[test]
fn check_online_says_so_where_there_is_nobody_to_ask() {
    let sound = place(CONFIG, 2999);
    let said = sound.run(&["check", "--online"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("acme: has nothing to be asked ahead of a sign-in\n"), "{}", said.out);
    let json = sound.json(&["check", "--online"]);
    assert_eq!((&json["providers"][0]["asked"], &json["providers"][0]["ok"]), (&false.into(), &true.into()));
    // what needs a hand is told all the same
    let ended = place(CONFIG, 2020).run(&["check", "--online"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    let words = "acme: has nothing to be asked ahead of a sign-in, but its last signing certificate ended on 2020-01-02";
    assert!(ended.out.contains(words), "{}", ended.out);
    // the twin publishes something: it is asked, and nobody answers
    let address = "metadata_url = \"http://127.0.0.1:9/metadata\"\nallow_loopback = true";
    let asked = ACME.replace("sso_url = \"https://idp.acme.example/sso\"", address);
    std::fs::write(sound.path().join("providers.toml"), asked).unwrap();
    let said = sound.run(&["check", "--online"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
}

#[test]
fn a_certificate_that_ended_is_told_of_in_health_metrics_and_log() {
    let (public, management) = (free_port(), free_port());
    let listeners = format!(
        "[public]\nlisten = \"127.0.0.1:{public}\"\n[management]\nlisten = \"127.0.0.1:{management}\"\n"
    );
    let config = format!("{CONFIG}{listeners}").replace("localhost:8080", &format!("localhost:{public}"));
    let place = place(&config, 2020);
    let log = place.path().join("log");
    let log_file = std::fs::File::create(&log).unwrap();
    let child = place.command(&["serve"]).stdout(Stdio::null()).stderr(log_file).spawn().unwrap();
    let _server = Server(child);
    let management = SocketAddr::from(([127, 0, 0, 1], management));
    let ready = until(management, "/ready", "up, but its last signing certificate ended on 2020-01-02");
    assert!(ready.contains("200 OK"), "it refuses nobody: {ready}");
    let metrics = until(management, "/metrics", "countersign_saml_certificate_expiry_seconds");
    let line = metrics.lines().find(|line| line.starts_with("countersign_saml_certificate_expiry_seconds{"));
    let line = line.unwrap_or_else(|| panic!("{metrics}"));
    assert!(line.contains("provider=\"acme\"") && line.contains("use=\"provider\""), "{line}");
    let left: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(left < 0.0, "{line}");
    // Of a provider that is switched off, no end is told any more.
    let off = ACME.replace("id = \"acme\"", "id = \"acme\"\nenabled = false");
    std::fs::write(place.path().join("providers.toml"), off).unwrap();
    until(management, "/metrics", &format!("{} NaN", line.rsplit_once(' ').unwrap().0));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("its last signing certificate ended on 2020-01-02"), "{log}");
}
