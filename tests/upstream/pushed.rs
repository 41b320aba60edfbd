//! Requests that are pushed (RFC 9126) or signed (RFC 9101), towards providers that demand it and those that do not.

use crate::bench::{Bench, CALLBACK, ED_PEM, LONG_SECRET, PEM, RSA_PEM, provider, refused};
use crate::standin::{CLIENT_SECRET, Pace, Reply, Script, Seen};
use countersign::context::{Context, ManualClock, SeededEntropy, Timestamp};
use countersign::failure::{OAuthCode, UserMessage};
use countersign::jose::{Alg, JwkSet, SigningKey, verify_foreign, verify_shared};
use countersign::upstream::{BeginRequest, Health};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const PUSHED: &str = "pushed_authorization_requests = \"always\"";
const BY_KEY: &str = "client_auth = \"private_key_jwt\"\nprivate_key = \"env:KEY\"\nkey_id = \"our-key\"";

/// What a client that authenticates by key is set to.
fn by_key(more: &str) -> Bench {
    Bench::new(|origin| {
        let own = crate::bench::OIDC.replace("client_secret = \"env:SECRET\"\n", "");
        format!("issuer = \"{origin}\"\n{own}\n{more}")
    })
}

/// The public half of a key, as a provider knows it: for any algorithm, by the name `our-key`.
fn published(pem: &str) -> Value {
    let mut jwk: Value = serde_json::from_str(SigningKey::from_pem(pem).unwrap().public_jwk()).unwrap();
    jwk.as_object_mut().unwrap().remove("alg");
    jwk["kid"] = "our-key".into();
    json!({ "keys": [jwk] })
}

fn set(pem: &str) -> JwkSet {
    JwkSet::parse(published(pem).to_string().as_bytes()).unwrap()
}

fn pairs(url: &Url) -> BTreeMap<String, String> {
    let list: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let pairs: BTreeMap<String, String> = list.iter().cloned().collect();
    assert_eq!(pairs.len(), list.len(), "a parameter twice: {url}");
    pairs
}

fn names(url: &Url) -> Vec<String> {
    pairs(url).into_keys().collect()
}

fn of<'a>(seen: &'a [Seen], path: &str) -> Vec<&'a Seen> {
    seen.iter().filter(|seen| seen.path == path).collect()
}

fn wishes(request: &mut BeginRequest) {
    request.force_authentication = true;
    request.select_account = true;
    request.max_age = Some(Duration::from_secs(60));
    request.ui_locales = vec!["de".to_owned()];
    request.acr_values = vec!["urn:mfa".to_owned()];
}

#[tokio::test]
async fn a_request_is_pushed_where_the_provider_demands_it_and_only_there() {
    let bench = Bench::oidc("");
    bench.signs_in().await;
    assert_eq!(bench.standin.count("/par"), 0, "that it could take one is no reason");

    let bench = Bench::oidc("");
    bench.standin.script().pushed_only = true;
    bench.signs_in().await;
    bench.only_the_provider_was_asked();
    assert_eq!(bench.standin.count("/par"), 1);

    // twins: set by hand, in both directions
    let bench = Bench::oidc(PUSHED);
    bench.signs_in().await;
    assert_eq!(bench.standin.count("/par"), 1);
    let bench = Bench::oidc("pushed_authorization_requests = \"never\"");
    bench.standin.script().pushed_only = true;
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "oidc.provider_error");
    assert_eq!(bench.standin.count("/par"), 0);

    // a demand is the boolean, not a word that looks like it
    let bench = Bench::oidc("");
    bench.standin.script().discovery = Box::new(|reply| {
        reply.edit(|document| document["require_pushed_authorization_requests"] = json!("true"));
    });
    bench.signs_in().await;
    assert_eq!(bench.standin.count("/par"), 0);
}

#[tokio::test]
async fn the_browser_carries_a_reference_and_all_else_is_in_the_pushed_request() {
    let plain = Bench::oidc("authorize_params = { hd = \"globex.example\" }");
    let wanted = names(&plain.begin(wishes).await.unwrap().url);
    let bench = Bench::oidc(&format!("{PUSHED}\nauthorize_params = {{ hd = \"globex.example\" }}"));
    let first = bench.begin(wishes).await.unwrap();
    let second = bench.begin(wishes).await.unwrap();
    assert_eq!(names(&first.url), ["client_id", "request_uri"]);
    assert_eq!(pairs(&first.url)["client_id"], "countersign");
    assert_eq!(first.url.path(), "/authorize");
    assert_ne!(pairs(&first.url)["request_uri"], pairs(&second.url)["request_uri"]);

    let seen = bench.standin.seen();
    let pushed = of(&seen, "/par");
    assert_eq!(pushed[0].form.keys().cloned().collect::<Vec<_>>(), wanted, "as it would be in the address");
    for (name, value) in [
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("state", "csst_state"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
        ("prompt", "login select_account"),
        ("max_age", "0"),
        ("ui_locales", "de"),
        ("acr_values", "urn:mfa"),
        ("hd", "globex.example"),
    ] {
        assert_eq!(pushed[0].form[name], value, "{name}");
    }
    for fresh in ["nonce", "code_challenge"] {
        assert_eq!(pushed[0].form[fresh].len(), 43);
        assert_ne!(pushed[0].form[fresh], pushed[1].form[fresh]);
    }
    assert_eq!(pushed[0].method, "POST");
    assert_eq!(pushed[0].headers["content-type"], "application/x-www-form-urlencoded");
    assert!(pushed[0].query.is_empty());
    bench.finish(&first, |_| {}).await.0.unwrap();
    // a reference leads there once
    let (outcome, trace) = bench.finish(&first, |_| {}).await;
    refused(outcome, &trace, "oidc.provider_error");
}

#[tokio::test]
async fn what_the_endpoints_address_says_itself_stays_in_the_address() {
    for (setting, expected) in [(PUSHED, "client_id p request_uri"), ("", "client_id p")] {
        let bench = Bench::oidc(setting);
        bench.standin.script().discovery = Box::new(|reply| {
            reply.edit(|document| {
                let address = document["authorization_endpoint"].as_str().unwrap().to_owned();
                document["authorization_endpoint"] = format!("{address}?p=b2c_sign%20in").into();
            });
        });
        let open = bench.begin(|_| {}).await.unwrap();
        assert_eq!(pairs(&open.url)["p"], "b2c_sign in");
        let all = names(&open.url);
        assert!(expected.split(' ').all(|name| all.iter().any(|one| one == name)), "{all:?}");
        let seen = bench.standin.seen();
        assert!(of(&seen, "/par").iter().all(|seen| !seen.form.contains_key("p")));
    }
}

#[tokio::test]
async fn where_to_push_may_be_set_by_hand_and_must_be_known() {
    let bench = Bench::new(|origin| {
        let by_hand = format!("pushed_authorization_url = \"{origin}/par\"");
        format!("issuer = \"{origin}\"\n{}\n{PUSHED}\n{by_hand}", crate::bench::OIDC)
    });
    let nowhere = |reply: &mut Reply| {
        reply.edit(|document| {
            drop(document.as_object_mut().unwrap().remove("pushed_authorization_request_endpoint"))
        });
    };
    bench.standin.script().discovery = Box::new(nowhere);
    bench.signs_in().await;
    assert_eq!(bench.standin.count("/par"), 1);

    for setting in ["", PUSHED] {
        let bench = Bench::oidc(setting);
        bench.standin.script().discovery = Box::new(move |reply| {
            nowhere(reply);
            reply.edit(|document| document["require_pushed_authorization_requests"] = true.into());
        });
        let (outcome, trace) = bench.sign_in().await;
        let failure = refused(outcome, &trace, "oidc.pushed_endpoint");
        assert_eq!(failure.user, UserMessage::ProviderUnavailable);
        assert!(matches!(bench.entry.upstream.health(), Health::Down(_)), "and the operator sees it before");
        // its twin, as soon as the provider says it
        bench.standin.behave();
        bench.later();
        bench.signs_in().await;
    }

    // an address where we must not go is refused like any other
    for bad in ["http://192.0.2.1/par", "https://169.254.169.254/par", "par", "ftp://id.example/par"] {
        let bench = Bench::oidc(PUSHED);
        bench.standin.script().discovery = Box::new(move |reply| {
            reply.edit(|document| document["pushed_authorization_request_endpoint"] = bad.into());
        });
        let failure = bench.begin(|_| {}).await.err().unwrap();
        assert!(["net.address", "oidc.discovery"].contains(&failure.reason), "{bad}: {failure:?}");
        // where nothing is pushed, nobody goes there
        let bench = Bench::oidc("");
        bench.standin.script().discovery = Box::new(move |reply| {
            reply.edit(|document| document["pushed_authorization_request_endpoint"] = bad.into());
        });
        bench.signs_in().await;
    }
}

#[tokio::test]
async fn an_answer_to_a_pushed_request_that_is_none_ends_the_departure() {
    let bench = Bench::oidc(PUSHED);
    let long = format!("urn:x:{}", "a".repeat(507));
    let cases: Vec<(&str, Box<dyn FnMut(&mut Reply) + Send>)> = vec![
        ("oidc.pushed_error", Box::new(|r| *r = Reply::json(400, &json!({"error": "invalid_request"})))),
        ("oidc.pushed_error", Box::new(|r| *r = Reply::json(401, &json!({"error": "invalid_client"})))),
        ("oidc.pushed_error", Box::new(|r| *r = Reply::json(429, &json!({})))),
        ("oidc.pushed_error", Box::new(|r| r.status = 413)),
        ("oidc.pushed_response", Box::new(|r| r.status = 200)),
        ("oidc.pushed_response", Box::new(|r| r.set("text/html", "<p>fine</p>"))),
        ("oidc.pushed_response", Box::new(|r| r.set("application/json", "[]"))),
        ("oidc.pushed_response", Box::new(move |r| r.edit(|b| b["request_uri"] = long.clone().into()))),
        ("oidc.pushed_response", Box::new(|r| r.edit(|b| b["request_uri"] = "http://x.example/r".into()))),
        ("oidc.pushed_response", Box::new(|r| r.edit(|b| b["request_uri"] = Value::Null))),
        ("oidc.pushed_response", Box::new(|r| r.edit(|b| b["expires_in"] = json!("60")))),
        ("oidc.pushed_response", Box::new(|r| r.edit(|b| b["expires_in"] = json!(0)))),
        ("net.status", Box::new(|r| r.status = 500)),
        ("net.redirect", Box::new(|r| *r = Reply::redirect("https://id.example/par"))),
        ("net.size", Box::new(|r| r.set("application/json", vec![b' '; 17 * 1024]))),
        ("net.timeout", Box::new(|r| r.pace = Pace::Hang)),
        ("net.timeout", Box::new(|r| r.pace = Pace::Drip)),
    ];
    for (reason, change) in cases {
        let failure = bench.refuses(reason, |script| script.pushed = change).await;
        assert_eq!(failure.user, UserMessage::ProviderUnavailable, "{reason}");
        assert_eq!(failure.code, OAuthCode::TemporarilyUnavailable, "{reason}");
    }
}

#[tokio::test]
async fn the_trace_has_the_providers_word_and_the_person_does_not() {
    let bench = Bench::oidc(PUSHED);
    bench.standin.script().pushed = Box::new(|reply| {
        *reply = Reply::json(400, &json!({"error": "invalid_\u{1b}[31mrequest"}));
    });
    let failure = bench.begin(|_| {}).await.err().unwrap();
    let received = failure.detail.received.unwrap();
    assert_eq!(received, "400, invalid_\u{fffd}[31mrequest");
}

#[tokio::test]
async fn an_endpoint_that_is_away_again_and_again_is_left_alone_and_who_is_there_can_finish() {
    let bench = Bench::oidc(PUSHED);
    bench.signs_in().await;
    let open = bench.begin(|_| {}).await.unwrap();
    // what somebody wishes may make a provider err, and says nothing about others' departures
    bench.standin.script().pushed = Box::new(|reply| reply.status = 503);
    for _ in 0..20 {
        assert_eq!(bench.begin(|_| {}).await.err().unwrap().reason, "net.status");
    }
    assert_eq!(bench.entry.upstream.health(), Health::Up);
    bench.standin.script().pushed = Box::new(|reply| reply.pace = Pace::Drop);
    let mut reasons = Vec::new();
    for _ in 0..20 {
        reasons.push(bench.begin(|_| {}).await.err().unwrap().reason);
    }
    assert_eq!(reasons[0], "net.connect");
    assert_eq!(reasons.last(), Some(&"net.open"), "{reasons:?}");
    assert!(matches!(bench.entry.upstream.health(), Health::Down(_)));
    bench.finish(&open, |_| {}).await.0.unwrap();
    bench.standin.behave();
    bench.later();
    bench.signs_in().await;
    assert_eq!(bench.entry.upstream.health(), Health::Up);
}

#[tokio::test]
async fn at_the_endpoint_for_pushed_requests_we_authenticate_as_at_the_token_endpoint() {
    for (setting, in_header) in [("client_secret_basic", true), ("client_secret_post", false)] {
        let bench = Bench::oidc(&format!("{PUSHED}\nclient_auth = \"{setting}\""));
        bench.signs_in().await;
        let seen = bench.standin.seen();
        let (pushed, token) = (of(&seen, "/par")[0], of(&seen, "/token")[0]);
        assert_eq!(pushed.headers.contains_key("authorization"), in_header, "{setting}");
        assert_eq!(pushed.headers.get("authorization"), token.headers.get("authorization"), "{setting}");
        assert_eq!(pushed.form.get("client_secret"), token.form.get("client_secret"), "{setting}");
        // a wrong secret is refused before anybody leaves
        bench.standin.script().secret = "another".to_owned();
        assert_eq!(bench.begin(|_| {}).await.err().unwrap().reason, "oidc.pushed_error", "{setting}");
    }
    // a public client says who it is and no more
    let bench = by_key(&format!("client_auth = \"none\"\n{PUSHED}"));
    bench.standin.script().authenticates = Some(Box::new(|seen| seen.form["client_id"] == "countersign"));
    bench.signs_in().await;
    let seen = bench.standin.seen();
    let pushed = of(&seen, "/par")[0];
    let credentials = ["client_secret", "client_assertion", "client_assertion_type"];
    assert!(!credentials.iter().any(|name| pushed.form.contains_key(*name)));
    assert!(!pushed.headers.contains_key("authorization"));
}

/// The assertions of one sign-in, by endpoint: their claims.
fn assertions(bench: &Bench, verify: impl Fn(&str) -> Value) -> BTreeMap<String, Value> {
    let seen = bench.standin.seen();
    let sent = seen.iter().filter(|seen| ["/par", "/token"].contains(&seen.path.as_str()));
    sent.map(|seen| {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert_eq!(seen.form["client_assertion_type"], kind);
        assert!(!seen.form.contains_key("client_secret") && !seen.headers.contains_key("authorization"));
        let claims = verify(&seen.form["client_assertion"]);
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("countersign"), &json!("countersign")));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
        assert!(claims["jti"].as_str().unwrap().len() >= 32);
        (seen.path.clone(), claims)
    })
    .collect()
}

/// Whoever publishes a discovery document could write another provider's token endpoint into it. An assertion for that
/// address must not come to the endpoint for pushed requests, or it could be used there (RFC 9126 §2, FAPI 2.0 Security
/// Profile §5.3.3.1).
#[tokio::test]
async fn an_assertion_is_for_the_issuer_or_for_the_endpoint_to_which_it_goes() {
    let accepts: fn(&mut Script) = |script| script.authenticates = Some(Box::new(|_| true));
    for (more, whom) in [
        (format!("{BY_KEY}\n{PUSHED}"), "issuer"),
        (format!("{BY_KEY}\n{PUSHED}\nassertion_audience = \"issuer\""), "issuer"),
        (format!("{BY_KEY}\n{PUSHED}\nassertion_audience = \"endpoint\""), "endpoint"),
        (BY_KEY.to_owned(), "endpoint"),
        (format!("{BY_KEY}\nassertion_audience = \"issuer\""), "issuer"),
        (format!("{BY_KEY}\nassertion_audience = \"endpoint\""), "endpoint"),
    ] {
        let bench = by_key(&more);
        accepts(&mut bench.standin.script());
        bench.signs_in().await;
        let keys = set(&PEM);
        let found = assertions(&bench, |token| {
            Value::Object(verify_foreign(token, &keys, &[Alg::ES256]).unwrap().claims)
        });
        let issuer = bench.standin.origin().to_owned();
        for (path, claims) in &found {
            let aud = if whom == "endpoint" { format!("{issuer}{path}") } else { issuer.clone() };
            assert_eq!(claims["aud"], aud, "{more}");
        }
        assert_eq!(found.contains_key("/par"), more.contains(PUSHED));
        if let Some(pushed) = found.get("/par") {
            assert_ne!(pushed["jti"], found["/token"]["jti"], "each is new");
        }
    }
}

#[tokio::test]
async fn we_authenticate_by_an_assertion_under_our_secret() {
    let long = |more: &str| {
        Bench::new(|origin| {
            let own = crate::bench::OIDC.replace("env:SECRET", "env:LONG_SECRET");
            format!("issuer = \"{origin}\"\n{own}\nclient_auth = \"client_secret_jwt\"\n{more}")
        })
    };
    for more in ["", PUSHED] {
        let bench = long(more);
        bench.standin.script().authenticates = Some(Box::new(|seen| {
            let assertion = seen.form.get("client_assertion").cloned().unwrap_or_default();
            verify_shared(&assertion, LONG_SECRET.as_bytes()).is_ok()
        }));
        bench.signs_in().await;
        let found = assertions(&bench, |token| {
            Value::Object(verify_shared(token, LONG_SECRET.as_bytes()).unwrap().claims)
        });
        assert_eq!(found.len(), if more.is_empty() { 1 } else { 2 });
        // another secret there: refused
        bench.standin.script().authenticates = Some(Box::new(|seen| {
            let assertion = seen.form.get("client_assertion").cloned().unwrap_or_default();
            verify_shared(&assertion, b"another secret of thirty-two byte").is_ok()
        }));
        assert!(bench.sign_in().await.0.is_err());
    }
}

/// The whole way of a signed request, pushed or not.
#[tokio::test]
async fn a_signed_request_says_all_and_the_address_nothing_else() {
    for (more, sent) in [("", vec!["client_id", "request"]), (PUSHED, vec!["client_id", "request_uri"])] {
        let bench = by_key(&format!(
            "{BY_KEY}\nauthorize_params = {{ hd = \"globex.example\", sub = \"x\" }}\n{more}"
        ));
        let prepare = |script: &mut Script| {
            script.signed_only = Some(published(&PEM));
            script.authenticates = Some(Box::new(|_| true));
        };
        prepare(&mut bench.standin.script());
        let open = bench.begin(wishes).await.unwrap();
        assert_eq!(names(&open.url), sent);
        bench.finish(&open, |_| {}).await.0.unwrap();
        let mut object = bench.standin.objects()[0].clone();
        let object = object.as_object_mut().unwrap();
        let origin = bench.standin.origin();
        for (name, value) in [
            ("iss", json!("countersign")),
            ("aud", json!(origin)),
            ("client_id", json!("countersign")),
            ("response_type", json!("code")),
            ("redirect_uri", json!(CALLBACK)),
            ("state", json!("csst_state")),
            ("scope", json!("openid profile email")),
            ("code_challenge_method", json!("S256")),
            ("prompt", json!("login select_account")),
            ("max_age", json!(0)),
            ("ui_locales", json!("de")),
            ("acr_values", json!("urn:mfa")),
            ("hd", json!("globex.example")),
            ("iat", json!(1_800_000_000)),
            ("nbf", json!(1_800_000_000)),
            ("exp", json!(1_800_000_300)),
        ] {
            assert_eq!(object.remove(name), Some(value), "{name}");
        }
        let left: Vec<&String> = object.keys().collect();
        assert_eq!(left, ["code_challenge", "jti", "nonce"], "and not `sub`");
        let seen = bench.standin.seen();
        for pushed in of(&seen, "/par") {
            let names: Vec<&String> = pushed.form.keys().collect();
            assert_eq!(names, ["client_assertion", "client_assertion_type", "client_id", "request"]);
            assert_ne!(pushed.form["request"], pushed.form["client_assertion"]);
        }
        // and a key that the provider does not know signs nothing
        bench.standin.script().signed_only = Some(published(&crate::bench::RSA_PEM));
        assert!(bench.sign_in().await.0.is_err());
        prepare(&mut bench.standin.script());
        bench.signs_in().await;
    }
}

#[tokio::test]
async fn a_request_is_signed_where_the_provider_demands_it_or_the_settings() {
    // a secret to authenticate, and a key for the requests alone
    let key = "private_key = \"env:KEY\"\nkey_id = \"our-key\"\n";
    let bench = Bench::oidc(&format!("{key}request_object = \"always\""));
    bench.standin.script().signed_only = Some(published(&PEM));
    bench.standin.script().discovery = Box::new(|reply| {
        reply
            .edit(|document| drop(document.as_object_mut().unwrap().remove("require_signed_request_object")));
    });
    bench.signs_in().await;
    assert_eq!(bench.standin.objects().len(), 1);

    // without a key nothing can be signed, and that is said
    let bench = Bench::oidc("");
    bench.standin.script().signed_only = Some(published(&PEM));
    let (outcome, trace) = bench.sign_in().await;
    let failure = refused(outcome, &trace, "oidc.request_object");
    assert_eq!(failure.detail.expected.as_deref(), Some("private_key"));
    assert!(matches!(bench.entry.upstream.health(), Health::Down(_)));

    // nor is it where nobody wants it, or the settings do not
    let bench = by_key(BY_KEY);
    bench.standin.script().authenticates = Some(Box::new(|_| true));
    bench.signs_in().await;
    assert_eq!(bench.standin.objects().len(), 0);
    let bench = by_key(&format!("{BY_KEY}\nrequest_object = \"never\""));
    bench.standin.script().signed_only = Some(published(&PEM));
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "oidc.provider_error");
}

/// What signed the request, by a key and what the provider's discovery document lists.
async fn signed_by(pem: &str, settings: &str, listed: Option<Value>) -> Result<String, &'static str> {
    let bench = by_key(&format!("client_auth = \"private_key_jwt\"\nkey_id = \"our-key\"\n{settings}"));
    {
        let mut script = bench.standin.script();
        script.signed_only = Some(published(pem));
        script.discovery = Box::new(move |reply| {
            let Some(listed) = listed.clone() else { return };
            reply.edit(|document| {
                document["request_object_signing_alg_values_supported"] = listed.clone();
                document["token_endpoint_auth_signing_alg_values_supported"] = listed.clone();
            });
        });
    }
    let open = bench.begin(|_| {}).await.map_err(|failure| failure.reason)?;
    let object = pairs(&open.url)["request"].clone();
    verify_foreign(&object, &set(pem), &Alg::ALL).unwrap();
    bench.standin.script().authenticates = Some(Box::new(|_| true));
    bench.finish(&open, |_| {}).await.0.unwrap();
    let seen = bench.standin.seen();
    let assertion = of(&seen, "/token")[0].form["client_assertion"].clone();
    let alg = |token: &str| {
        use base64::Engine as _;
        let head = token.split('.').next().unwrap();
        let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).unwrap();
        serde_json::from_slice::<Value>(&head).unwrap()["alg"].as_str().unwrap().to_owned()
    };
    assert_eq!(alg(&object), alg(&assertion), "both by the same");
    Ok(alg(&object))
}

#[tokio::test]
async fn the_algorithm_is_that_of_the_settings_or_one_that_the_provider_takes() {
    let rsa = "private_key = \"env:RSA_KEY\"";
    let ed = "private_key = \"env:ED_KEY\"";
    let ec = "private_key = \"env:KEY\"";
    let fapi = || Some(json!(["PS256", "ES256", "EdDSA"]));
    for (pem, settings, listed, expected) in [
        (&*RSA_PEM, rsa.to_owned(), None, Ok("RS256")),
        (&*RSA_PEM, rsa.to_owned(), fapi(), Ok("PS256")),
        (&*RSA_PEM, rsa.to_owned(), Some(json!(["none", "HS256", "RS512"])), Ok("RS512")),
        (&*RSA_PEM, rsa.to_owned(), Some(json!("RS384")), Ok("RS256")),
        (&*RSA_PEM, rsa.to_owned(), Some(json!(["ES256"])), Err("oidc.request_object")),
        (&*RSA_PEM, rsa.to_owned(), Some(json!([])), Err("oidc.request_object")),
        (&*RSA_PEM, format!("{rsa}\nsigning_alg = \"PS512\""), fapi(), Ok("PS512")),
        (&*RSA_PEM, format!("{rsa}\nsigning_alg = \"RS256\""), None, Ok("RS256")),
        // of the settings, though another comes first, or is all that the list has
        (&*RSA_PEM, format!("{rsa}\nsigning_alg = \"PS384\""), None, Ok("PS384")),
        (&*RSA_PEM, format!("{rsa}\nsigning_alg = \"PS384\""), Some(json!(["RS256", "PS384"])), Ok("PS384")),
        (&*RSA_PEM, format!("{rsa}\nsigning_alg = \"PS384\""), Some(json!(["RS256"])), Ok("PS384")),
        (&*RSA_PEM, format!("{rsa}\nsigning_alg = \"PS384\""), Some(json!([])), Ok("PS384")),
        // the list may order as it likes: the key's own order counts
        (&*RSA_PEM, rsa.to_owned(), Some(json!(["PS512", "PS256", "RS384"])), Ok("PS256")),
        (&*PEM, ec.to_owned(), fapi(), Ok("ES256")),
        (&*PEM, ec.to_owned(), Some(json!(["RS256"])), Err("oidc.request_object")),
        (&*PEM, ec.to_owned(), None, Ok("ES256")),
        (&*ED_PEM, ed.to_owned(), None, Ok("EdDSA")),
        (&*ED_PEM, ed.to_owned(), fapi(), Ok("EdDSA")),
        (&*ED_PEM, ed.to_owned(), Some(json!(["Ed25519"])), Ok("Ed25519")),
        (&*ED_PEM, format!("{ed}\nsigning_alg = \"EdDSA\""), Some(json!(["Ed25519"])), Ok("Ed25519")),
    ] {
        let found = signed_by(pem, &settings, listed.clone()).await;
        assert_eq!(found.as_deref(), expected.as_ref().map(|name| *name), "{settings} {listed:?}");
    }
}

#[tokio::test]
async fn a_list_without_our_algorithm_does_not_keep_us_from_authenticating() {
    let bench = by_key(BY_KEY);
    bench.standin.script().discovery = Box::new(|reply| {
        reply
            .edit(|document| document["token_endpoint_auth_signing_alg_values_supported"] = json!(["RS256"]));
    });
    let keys = set(&PEM);
    bench.standin.script().authenticates = Some(Box::new(move |seen| {
        verify_foreign(&seen.form["client_assertion"], &keys, &[Alg::ES256]).is_ok()
    }));
    bench.signs_in().await;
}

#[test]
fn settings_that_contradict_each_other_are_told() {
    let check = |more: &str| -> Vec<&'static str> {
        let table = format!(
            "id = \"p\"\nkind = \"oidc\"\nname = \"P\"\nissuer = \"https://id.example\"\nclient_id = \"c\"\nprovisioning = \"open\"\n{more}"
        );
        provider(&table).check().into_iter().map(|problem| problem.key).collect()
    };
    let secret = "client_secret = \"env:SECRET\"";
    for (more, keys) in [
        (PUSHED.to_owned(), vec![]),
        (BY_KEY.to_owned(), vec![]),
        (format!("{BY_KEY}\nsigning_alg = \"ES256\"\nassertion_audience = \"issuer\""), vec![]),
        (format!("{secret}\nrequest_object = \"always\"\nprivate_key = \"env:KEY\"\nsigning_alg = \"ES256\""), vec![]),
        (format!("{secret}\nclient_auth = \"client_secret_jwt\"\nassertion_audience = \"issuer\""), vec![]),
        ("request_object = \"always\"".to_owned(), vec!["request_object"]),
        (
            "pushed_authorization_requests = \"never\"\npushed_authorization_url = \"https://id.example/par\"".to_owned(),
            vec!["pushed_authorization_url"],
        ),
        ("pushed_authorization_url = \"http://id.example/par\"".to_owned(), vec!["pushed_authorization_url"]),
        (format!("{secret}\nprivate_key = \"env:KEY\""), vec!["private_key"]),
        (format!("{secret}\nsigning_alg = \"ES256\""), vec!["signing_alg"]),
        (format!("{secret}\nassertion_audience = \"issuer\""), vec!["assertion_audience"]),
        ("client_auth = \"client_secret_jwt\"".to_owned(), vec!["client_auth"]),
        (format!("{secret}\n{BY_KEY}"), vec!["client_secret"]),
    ] {
        assert_eq!(check(&more), keys, "{more}");
    }
}

#[test]
fn what_the_key_or_the_secret_cannot_do_is_told_before_anybody_signs_in() {
    let build = |more: &str| {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
        let context = Context::new(clock, Arc::new(SeededEntropy::new(1)));
        let table = format!(
            "id = \"p\"\nkind = \"oidc\"\nname = \"P\"\nissuer = \"https://id.example\"\nclient_id = \"c\"\nprovisioning = \"open\"\n{more}"
        );
        let secret =
            |reference: &countersign::upstream::settings::SecretRef| match reference.to_string().as_str() {
                "env:KEY" => Ok(PEM.clone().into()),
                "env:SHORT" => Ok("0123456789012345678901234567890".to_owned().into()),
                "env:LONG" => Ok("01234567890123456789012345678901".to_owned().into()),
                _ => Ok(CLIENT_SECRET.to_owned().into()),
            };
        countersign::upstream::Registry::build(vec![provider(&table)], &secret, &context, None)
            .map(drop)
            .map_err(|errors| errors.into_iter().map(|error| error.problem.key).collect::<Vec<_>>())
    };
    assert_eq!(build(&format!("{BY_KEY}\nsigning_alg = \"ES256\"")), Ok(()));
    assert_eq!(build(&format!("{BY_KEY}\nsigning_alg = \"PS256\"")), Err(vec!["signing_alg"]));
    let jwt = "client_auth = \"client_secret_jwt\"\nclient_secret = ";
    assert_eq!(build(&format!("{jwt}\"env:LONG\"")), Ok(()));
    assert_eq!(build(&format!("{jwt}\"env:SHORT\"")), Err(vec!["client_secret"]));
    assert_eq!(build("client_secret = \"env:SHORT\""), Ok(()), "nothing is signed with it");
}
