//! What the log at its most talkative, the browser and the database get to see of a sign-in at a provider.

use super::{CONFIG, Place, Server, free_port, until};
use crate::house::{Answer, CHALLENGE, Visitor};
use crate::standin::{CLIENT_SECRET, Standin, b64};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::context::{Context, ManualClock};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use url::Url;

const PROVIDERS: &str = r#"
[[provider]]
id = "globex"
kind = "oidc"
name = "Globex"
issuer = "{globex}"
client_id = "countersign"
client_secret = "file:provider.secret"
userinfo = "always"
provisioning = "open"
allow_loopback = true

[[provider]]
id = "friendbook"
kind = "oauth2"
name = "Friendbook"
authorize_url = "{friendbook}/dialog"
token_url = "{friendbook}/token"
userinfo_url = "{friendbook}/me"
client_id = "countersign"
client_secret = "file:provider.secret"
client_auth = "client_secret_post"
appsecret_proof = true
subject = "id"
provisioning = "open"
allow_loopback = true
"#;

/// A refresh token as the stand-in gives it.
const REFRESH: &str = "the-refresh-token-of-the-provider";

/// A code that nobody gave out.
const INVENTED: &str = "an-invented-code-0123456789";

/// What was shown to a browser: all that came with the answers, and the addresses to which it was sent.
#[derive(Default)]
struct Shown {
    answers: String,
    addresses: String,
}

impl Shown {
    fn add(&mut self, answer: &Answer) {
        self.answers.push_str(&format!("{} {:?} {}\n", answer.status, answer.headers, answer.body));
        self.addresses.extend(answer.header("location").map(|to| format!("{to}\n")));
    }
}

/// Each secret with the forms in which it might be written.
fn forms(secrets: &[String]) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    for secret in secrets {
        let secret = secret.trim_start_matches("Basic ").trim_start_matches("Bearer ");
        forms.insert(secret.to_owned());
        forms.insert(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
        forms.insert(STANDARD.encode(secret));
        forms.insert(b64(secret));
        forms.insert(secret.escape_default().to_string());
        forms.insert(secret.escape_unicode().to_string());
        // of a token, each part that says something
        if secret.matches('.').count() == 2 {
            forms.extend(secret.split('.').skip(1).map(str::to_owned));
        }
    }
    forms.retain(|form| form.len() >= 8);
    forms
}

#[track_caller]
fn holds_none(what: &str, text: &str, secrets: &[String]) {
    for form in forms(secrets) {
        if let Some(at) = text.find(&form) {
            let line = text[..at].rfind('\n').map_or(0, |start| start + 1);
            let shown: String = text[line..].chars().take(600).collect();
            panic!("{what} shows {form}: {shown}");
        }
    }
}

fn files(folder: &Path, except: &[&str]) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let kept = entries.filter(|path| path.is_file() && !except.contains(&name(path).as_str()));
    kept.map(|path| (name(&path), String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()))
        .collect()
}

/// From the app to the provider; gives the address of the provider's answer.
async fn depart(
    origin: &str,
    visitor: &mut Visitor,
    standin: &Standin,
    provider: &str,
    shown: &mut Shown,
) -> Url {
    let request = [
        ("response_type", "code"),
        ("client_id", "declared"),
        ("redirect_uri", "http://127.0.0.1:7777/callback"),
        ("scope", "openid email"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("idp_hint", provider),
    ];
    let url = Url::parse_with_params(&format!("{origin}/authorize"), request).unwrap();
    let left = visitor.get(url.as_str()).await;
    shown.add(&left);
    let to = left.location();
    assert!(to.as_str().starts_with(standin.origin()), "{to}");
    let back = format!("{origin}/upstream/{provider}/callback");
    Url::parse_with_params(&back, standin.approve(&to)).unwrap()
}

/// Sign-ins that succeed and sign-ins that are refused at every stage, with the log at `trace`.
#[test]
fn oidc_074_no_secret_stands_in_the_log_the_database_or_anything_a_browser_sees() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let clock = Arc::new(ManualClock::new(Context::system().now()));
    let (globex, friendbook) = (Standin::start(clock.clone()), Standin::start(clock));
    let (public, management) = (free_port(), free_port());
    let listeners = format!(
        "[public]\nlisten = \"127.0.0.1:{public}\"\n[management]\nlisten = \"127.0.0.1:{management}\"\n"
    );
    let config = format!("{CONFIG}{listeners}").replace("localhost:8080", &format!("localhost:{public}"));
    let place = Place::new(&config);
    let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
    write("master.key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    write("provider.secret", CLIENT_SECRET);
    write(
        "providers.toml",
        &PROVIDERS.replace("{globex}", globex.origin()).replace("{friendbook}", friendbook.origin()),
    );
    let log = place.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let child = place
        .command(&["serve"])
        .env("RUST_LOG", "trace")
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let server = Server(child);
    until(SocketAddr::from(([127, 0, 0, 1], management)), "/ready", "\"ready\"");

    let mut shown = Shown::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let origin = format!("http://localhost:{public}");
    for (standin, id, metadata) in [(&globex, "globex", true), (&friendbook, "friendbook", false)] {
        type Spoil = fn(&mut crate::standin::Script);
        let token: Spoil = |script| {
            script.token = Box::new(|reply| {
                if reply.status == 200 {
                    reply.edit(|body| body["refresh_token"] = REFRESH.into());
                }
            });
        };
        let cases: [(&str, bool, Spoil); 7] = [
            ("sound", true, |_| {}),
            ("the signature", !metadata, |script| {
                script.id_token =
                    Box::new(|token| *token = format!("{}.", token.rsplit_once('.').unwrap().0));
            }),
            ("a claim", !metadata, |script| {
                script.claims = Box::new(|claims| claims["nonce"] = claims["at_hash"].clone());
            }),
            ("the token response", false, |script| {
                script.token = Box::new(|reply| reply.edit(|body| body["token_type"] = "mac".into()));
            }),
            // as some do: all that they know stands in the error
            ("an error that says all", false, |script| {
                script.token = Box::new(|reply| {
                    let said = String::from_utf8(reply.body.clone()).unwrap();
                    reply.status = 400;
                    reply.edit(|body| {
                        *body = serde_json::json!({"error": "invalid_grant", "error_uri": said})
                    });
                });
            }),
            ("userinfo", false, |script| {
                script.userinfo = Box::new(|reply| reply.status = 500);
                script.profile = Box::new(|reply| reply.status = 500);
            }),
            ("who it is", false, |script| {
                script.userinfo = Box::new(|reply| reply.edit(|body| body["sub"] = Value::Null));
                script.profile = Box::new(|reply| reply.edit(|body| body["id"] = Value::Null));
            }),
        ];
        for (what, accepted, spoil) in cases {
            standin.behave();
            token(&mut standin.script());
            spoil(&mut standin.script());
            runtime.block_on(async {
                let mut visitor = Visitor::new();
                let callback = depart(&origin, &mut visitor, standin, id, &mut shown).await;
                let answer = visitor.get(callback.as_str()).await;
                assert_eq!(answer.status == 303, accepted, "{id}, {what}: {answer:#?}");
                shown.add(&answer);
                if accepted {
                    let next = visitor.get(answer.location().as_str()).await;
                    shown.add(&next);
                    let page = visitor.get(next.location().as_str()).await;
                    assert_eq!(page.status, 200, "{page:#?}");
                    shown.add(&page);
                }
                // The same answer once more, and one with a code that nobody gave out.
                let again = visitor.get(callback.as_str()).await;
                assert!(again.status >= 400, "{id}, {what}: {again:#?}");
                shown.add(&again);
                let mut visitor = Visitor::new();
                let callback = depart(&origin, &mut visitor, standin, id, &mut shown).await.to_string();
                let (_, code) = callback.split_once("code=").unwrap();
                let callback = callback.replace(code.split('&').next().unwrap(), INVENTED);
                let stranger = visitor.get(&callback).await;
                assert!(stranger.status >= 400, "{id}, {what}: {stranger:#?}");
                shown.add(&stranger);
            });
        }
    }

    let mut secrets = globex.secrets();
    secrets.extend(friendbook.secrets());
    secrets.push(CLIENT_SECRET.to_owned());
    secrets.push(REFRESH.to_owned());
    secrets
        .extend(friendbook.seen().into_iter().filter_map(|seen| seen.query.get("appsecret_proof").cloned()));
    secrets.push(INVENTED.to_owned());
    // Both ways of proving to be the client, both codes and both proofs of possession have been at the providers.
    assert!(secrets.iter().any(|secret| secret.starts_with("Basic ")), "{secrets:?}");
    assert!(secrets.iter().filter(|secret| secret.starts_with("code-")).count() > 14, "{secrets:?}");
    assert!(friendbook.seen().iter().any(|seen| seen.query.contains_key("appsecret_proof")));
    assert!(secrets.iter().filter(|secret| secret.matches('.').count() == 2).count() >= 4, "{secrets:?}");

    // Codes are in the addresses by which the browser brings them, and nowhere else.
    holds_none("an answer", &shown.answers, &secrets);
    holds_none("an address", &shown.addresses, &secrets);
    for (name, text) in files(place.path(), &["log", "provider.secret"]) {
        holds_none(&name, &text, &secrets);
    }
    drop(server);
    let log = std::fs::read_to_string(log).unwrap();
    for told in ["TRACE", "DEBUG", "jose.signature", "oidc.token_response", "oauth2.subject"] {
        assert!(log.contains(told), "the log says nothing of {told}");
    }
    holds_none("the log", &log, &secrets);
}
