//! <https://developers.google.com/identity/openid-connect/openid-connect>

use super::*;
use countersign::upstream::mapping::Expression;
use serde_json::json;

fn script(script: &mut Script) {
    script.person = json!({
        "sub": "10769150350006150715113082367", "email": "jane@globex.example", "email_verified": true,
        "hd": "globex.example", "name": "Jane Doe", "given_name": "Jane", "family_name": "Doe",
        "picture": "https://lh3.googleusercontent.com/a/x=s96-c",
    });
    script.in_id_token =
        vec!["email", "email_verified", "hd", "name", "given_name", "family_name", "picture"];
    // `azp` is always there, `auth_time` is not
    script.claims = Box::new(|claims| {
        claims["azp"] = json!("countersign");
        claims.as_object_mut().unwrap().remove("auth_time");
    });
    script.discovery = body(|document| {
        document.as_object_mut().unwrap().remove("authorization_response_iss_parameter_supported");
    });
    script.response = Box::new(|answer| {
        answer.insert("scope".to_owned(), "email profile openid".to_owned());
        answer.insert("authuser".to_owned(), "0".to_owned());
        answer.insert("prompt".to_owned(), "consent".to_owned());
        answer.remove("iss");
    });
}

fn contract(more: &str) -> Contract {
    Contract::oidc("google", &format!("{SECRET}{more}"), script)
}

#[tokio::test]
async fn what_google_is_set_to() {
    let settings = fixed_oidc("google", SECRET);
    assert_eq!(settings.issuer.text, "https://accounts.google.com");
    assert_eq!(settings.scopes, ["openid", "profile", "email"]);
    // the domain of a Workspace is read from `hd`, where domains matter
    assert_eq!(fixed("google", SECRET).common.domain_claim, None);
    let limited = fixed("google", &format!("{SECRET}domains = [\"globex.example\"]"));
    assert_eq!(limited.common.domain_claim.as_ref().map(Expression::as_str), Some("claims.hd"));
}

#[tokio::test]
async fn a_sign_in_at_google() {
    let contract = contract("authoritative_for = [\"globex.example\"]");
    let vouched = contract.signs_in().await;
    let issuer = contract.bench.standin.origin();
    assert_eq!(key(&vouched), (issuer, "10769150350006150715113082367", ""));
    assert_eq!(email(&vouched), Some(("jane@globex.example", true)));
    assert_eq!(name(&vouched), Some("Jane Doe"));
    let token = contract.last("/token");
    assert_eq!((token.form["client_id"].as_str(), token.headers.get("authorization")), ("countersign", None));
    assert!(token.form.contains_key("code_verifier"));
    assert_eq!(contract.bench.standin.count("/userinfo"), 0, "the ID token says it all");
}

/// "Google is authoritative" for addresses of gmail.com, and for those that are verified and come with `hd`; a
/// consumer account keeps the address that its owner once had at any other domain.
/// <https://developers.google.com/identity/gsi/web/guides/verify-google-id-token>
#[tokio::test]
async fn an_address_is_a_proof_only_where_google_speaks_for_it() {
    let authority = "authoritative_for = [\"globex.example\", \"gmail.com\", \"googlemail.com\"]";
    let contract = contract(authority);
    for (address, hd, verified, proved) in [
        ("jane@globex.example", json!("globex.example"), json!(true), true),
        // an address of a domain beside the main one of the same Workspace
        ("jane@globex.example", json!("initech.example"), json!(true), true),
        ("jane@gmail.com", Value::Null, json!(true), true),
        ("Jane@GMail.com", Value::Null, json!(true), true),
        ("jane@googlemail.com", Value::Null, json!(true), true),
        // a consumer account that was made with an address of the company
        ("jane@globex.example", Value::Null, json!(true), false),
        ("jane@globex.example", json!(""), json!(true), false),
        ("jane@globex.example", json!(true), json!(true), false),
        ("jane@notgmail.com.globex.example", Value::Null, json!(true), false),
        // and its own word is wanted in each case
        ("jane@globex.example", json!("globex.example"), json!(false), false),
        ("jane@globex.example", json!("globex.example"), json!("true"), false),
        ("jane@globex.example", json!("globex.example"), json!(1), false),
        ("jane@globex.example", json!("globex.example"), Value::Null, false),
        ("jane@gmail.com", Value::Null, json!(false), false),
        ("jane@gmail.com", Value::Null, json!("true"), false),
    ] {
        for null in [false, true] {
            let shown = format!("{address} {hd} {verified}");
            let person = json!({"email": address, "hd": hd, "email_verified": verified});
            let vouched = contract
                .signs_in_with(move |google| {
                    let known = google.person.as_object_mut().unwrap();
                    for (name, value) in person.as_object().unwrap() {
                        match value {
                            // absent, or there and nothing
                            Value::Null if !null => drop(known.remove(name)),
                            value => drop(known.insert(name.clone(), value.clone())),
                        }
                    }
                })
                .await;
            let told = email(&vouched).map(|(_, proved)| proved);
            assert_eq!(told, Some(proved), "{shown}");
            assert_eq!(contract.bench.standin.count("/userinfo"), 0, "{shown}: the ID token says it all");
        }
    }
}

/// The discovery document says that answers name their issuer, and then they must.
/// <https://accounts.google.com/.well-known/openid-configuration>
#[tokio::test]
async fn google_names_itself_in_its_answers() {
    let named = |google: &mut Script| {
        script(google);
        google.discovery = Box::new(|_| {});
        let mut before = std::mem::replace(&mut google.response, Box::new(|_| {}));
        google.response = Box::new(move |answer| {
            let iss = answer.get("iss").cloned();
            before(answer);
            answer.extend(iss.map(|iss| ("iss".to_owned(), iss)));
        });
    };
    let contract = Contract::oidc("google", SECRET, named);
    contract.signs_in().await;
    for iss in [None, Some("https://accounts.google.com"), Some("accounts.google.com")] {
        contract
            .refuses("oidc.iss_param", |script| {
                script.response = Box::new(move |answer| {
                    answer.remove("iss");
                    answer.extend(iss.map(|iss| ("iss".to_owned(), iss.to_owned())));
                });
            })
            .await;
    }
}

#[tokio::test]
async fn the_issuer_without_https_is_another() {
    contract("")
        .refuses("oidc.id_token.iss", |script| {
            script.claims = Box::new(|claims| {
                let bare = claims["iss"].as_str().unwrap().split_once("://").unwrap().1.to_owned();
                claims["iss"] = json!(bare);
            });
        })
        .await;
}

#[tokio::test]
async fn only_people_of_the_workspace() {
    let contract = contract("domains = [\"globex.example\"]");
    contract.signs_in().await;
    // a private account with an address of that domain has no `hd`
    contract
        .refuses("provider.domain", |script| {
            drop(script.person.as_object_mut().unwrap().remove("hd"));
        })
        .await;
}

#[tokio::test]
async fn what_google_refuses() {
    let contract = contract("");
    contract.declined("oidc.cancelled", &[("error", "access_denied")]).await;
    contract
        .refuses("oidc.token_error", |script| {
            script.token = Box::new(|reply| {
                *reply = crate::standin::Reply::json(
                    400,
                    &json!({"error": "invalid_grant", "error_description": "Malformed auth code."}),
                );
            });
        })
        .await;
}

#[tokio::test]
async fn google_shows_no_time_of_the_proof() {
    let contract = contract("");
    assert!(!contract.bench.entry.upstream.proves_freshness());
    assert!(contract.bench.entry.upstream.lets_choose());
    let open = contract.bench.begin(|request| request.force_authentication = true).await.unwrap();
    assert!(!open.url.as_str().contains("prompt"), "prompt=login is an error there: {}", open.url);
    let open = contract.bench.begin(|request| request.select_account = true).await.unwrap();
    assert!(open.url.as_str().contains("prompt=select_account"));
}

#[tokio::test]
async fn a_proof_on_trust_is_said_to_be_one() {
    let contract = contract("freshness = \"trusted\"");
    assert!(contract.bench.entry.upstream.proves_freshness());
    script(&mut contract.bench.standin.script());
    let open = contract.departs().await;
    let (outcome, trace) =
        contract.bench.finish(&open, |callback| callback.demanded.force_authentication = true).await;
    assert_eq!(outcome.unwrap().identity.authentication().auth_time, None);
    let step = trace.steps().iter().find(|step| step.check == "oidc.auth_time").unwrap();
    assert!(step.received.contains("trust"), "{step:?}");
    // what is shown must still be right
    contract.bench.standin.script().claims = Box::new(|claims| claims["auth_time"] = json!(1_700_000_000));
    let open = contract.departs().await;
    let (outcome, trace) =
        contract.bench.finish(&open, |callback| callback.demanded.force_authentication = true).await;
    refused(outcome, &trace, "oidc.auth_time");
}

/// <https://developers.google.com/identity/openid-connect/openid-connect#authenticationuriparameters>
#[tokio::test]
async fn google_is_told_the_language_and_to_let_people_choose_in_its_own_words() {
    let contract = contract("");
    let asked = contract.in_german().await;
    assert_eq!((asked.get("hl").map(String::as_str), asked.get("ui_locales")), (Some("de-CH"), None));
    assert!(!contract.wished(|_| {}).await.contains_key("hl"));
    let odd = |request: &mut BeginRequest| request.ui_locales = vec!["de&prompt=x".to_owned(), "".to_owned()];
    assert!(!contract.wished(odd).await.contains_key("hl"));
    assert!(contract.bench.entry.upstream.lets_choose());
    assert_eq!(contract.wished(|request| request.select_account = true).await["prompt"], "select_account");
    let anew = contract.wished(|request| request.force_authentication = true).await;
    assert!(!anew.contains_key("prompt") && !anew.contains_key("max_age"), "neither is known there");
    let wishes = |request: &mut BeginRequest| {
        request.acr_values = vec!["urn:mfa".to_owned()];
        request.login_hint = Some("jane@globex.example".to_owned());
    };
    let asked = contract.wished(wishes).await;
    assert!(
        !asked.contains_key("acr_values") && !asked.contains_key("login_hint"),
        "only where settings say so"
    );
    let hinted = Contract::oidc("google", &format!("{SECRET}pass = [\"login_hint\"]"), script);
    assert_eq!(hinted.wished(wishes).await["login_hint"], "jane@globex.example");
}

#[test]
fn a_parameter_of_the_protocol_is_no_language() {
    for (name, passes) in [("hl", true), ("state", false), ("", false), ("a b", false)] {
        let table = format!("preset = \"google\"\n{TABLE}{SECRET}language_param = {{ name = \"{name}\" }}\n");
        let found: Vec<&str> = provider(&table).check().iter().map(|problem| problem.key).collect();
        assert_eq!(found.is_empty(), passes, "{name}: {found:?}");
    }
}
