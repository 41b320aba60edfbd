//! Presets of OpenID Connect providers. Each test names the pages that say how its provider speaks.

use super::*;
use crate::bench::LONG_SECRET;
use crate::standin::Reply;
use countersign::context::Context;
use countersign::upstream::Registry;
use serde_json::json;

/// The issuer of a preset, letter by letter.
fn issuer(preset: &str, more: &str) -> String {
    fixed_oidc(preset, &format!("{SECRET}{more}")).issuer.text
}

fn plain(document: &mut Value) {
    document.as_object_mut().unwrap().remove("authorization_response_iss_parameter_supported");
}

/// The usual: no `iss` beside the code, all in the ID token.
fn usual(script: &mut Script, person: Value) {
    script.in_id_token = Vec::new();
    for name in person.as_object().unwrap().keys() {
        script.in_id_token.push(String::leak(name.clone()));
    }
    script.person = person;
    script.discovery = body(plain);
    script.response = Box::new(|answer| drop(answer.remove("iss")));
}

fn invalid_grant(script: &mut Script) {
    script.token = Box::new(|reply| *reply = Reply::json(400, &json!({"error": "invalid_grant"})));
}

/// A user of GitLab has a numeric subject (as text) and groups.
/// <https://docs.gitlab.com/integration/openid_connect_provider/>
#[tokio::test]
async fn gitlab() {
    assert_eq!(issuer("gitlab", ""), "https://gitlab.com");
    assert_eq!(issuer("gitlab", "base_url = \"https://git.globex.example/\""), "https://git.globex.example");
    let contract = Contract::oidc(
        "gitlab",
        &format!("{SECRET}authoritative_for = [\"globex.example\"]"),
        |script| {
            usual(
                script,
                json!({
                    "sub": "1234", "sub_legacy": "0b4f", "name": "Alice", "nickname": "alice", "preferred_username": "alice",
                    "email": "alice@globex.example", "email_verified": true, "groups_direct": ["globex", "globex/dev"],
                }),
            );
        },
    );
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), (contract.bench.standin.origin(), "1234", ""));
    assert_eq!((email(&vouched), name(&vouched)), (Some(("alice@globex.example", true)), Some("Alice")));
    assert!(contract.last("/token").form.contains_key("code_verifier"));
    contract.refuses("oidc.token_error", invalid_grant).await;
    knows_no_choice(&contract).await;
    assert_eq!(contract.wished(|request| request.silent = true).await["prompt"], "none");
}

/// `prompt=select_account` is never sent, and nobody is promised a choice; a new proof is asked for all the same.
async fn knows_no_choice(contract: &Contract) {
    assert!(!contract.bench.entry.upstream.lets_choose());
    assert!(!contract.wished(|request| request.select_account = true).await.contains_key("prompt"));
    let both = |request: &mut BeginRequest| {
        (request.select_account, request.force_authentication) = (true, true);
    };
    assert_eq!(contract.wished(both).await["prompt"], "login");
}

fn linkedin_script(script: &mut Script) {
    usual(
        script,
        json!({
            "sub": "782bbtaQ", "name": "John Doe", "given_name": "John", "family_name": "Doe",
            "picture": "https://media.licdn-ei.com/dms/image/C5F03AQHqK8v7tB1HCQ/profile-displayphoto-shrink_100_100/0/",
            "locale": {"country": "US", "language": "en"}, "email": "doe@email.example", "email_verified": "true",
        }),
    );
    // whatever was sent, the token has no nonce
    script.claims = Box::new(|claims| drop(claims.as_object_mut().unwrap().remove("nonce")));
    script.token = Box::new(|reply| {
        if reply.status == 200 {
            reply.edit(|body| body["scope"] = json!("email,openid,profile"));
        }
    });
}

/// LinkedIn leaves the nonce out, writes `email_verified` as a text and `locale` as an object.
/// <https://learn.microsoft.com/en-us/linkedin/consumer/integrations/self-serve/sign-in-with-linkedin-v2>
#[tokio::test]
async fn linkedin() {
    assert_eq!(issuer("linkedin", ""), "https://www.linkedin.com/oauth");
    let more = format!("{SECRET}authoritative_for = [\"email.example\"]");
    let contract = Contract::oidc("linkedin", &more, linkedin_script);
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched).1, "782bbtaQ");
    assert_eq!((email(&vouched), name(&vouched)), (Some(("doe@email.example", true)), Some("John Doe")));
    assert_eq!(vouched.identity.profile().locale.as_deref(), Some("en-US"));
    for name in ["nonce", "code_challenge", "prompt"] {
        assert_eq!(contract.asks(name).await, None, "{name}");
    }
    // what is accepted once is the token itself
    let once = vouched.replay.unwrap().what;
    let again = contract.signs_in().await.replay.unwrap().what;
    assert!(once.starts_with("id_token:") && once != again, "{once} {again}");
    contract
        .declined("oidc.cancelled", &[("error", "user_cancelled_login"), ("error_description", "x")])
        .await;
    contract.refuses("oidc.token_error", invalid_grant).await;
    // the nonce that a token leaves out is still demanded of everybody else
    let strict = Contract::oidc("linkedin", &format!("{more}\nnonce = true"), linkedin_script);
    let (outcome, trace) = strict.tries(|_| {}).await;
    refused(outcome, &trace, "oidc.id_token.nonce");
}

fn slack_script(script: &mut Script) {
    usual(
        script,
        json!({
            "sub": "U0R7JM", "https://slack.com/user_id": "U0R7JM", "https://slack.com/team_id": "T0R7GR",
            "email": "krane@slack-corp.example", "email_verified": true, "date_email_verified": 1_622_128_723,
            "name": "krane", "given_name": "Bront", "family_name": "Labradoodle", "locale": "en-US",
            "https://slack.com/team_name": "kraneflannel", "https://slack.com/team_domain": "kraneflannel",
        }),
    );
    script.token = Box::new(|reply| {
        if reply.status == 200 {
            reply.edit(|body| body["ok"] = json!(true));
        } else {
            *reply = Reply::json(200, &json!({"ok": false, "error": "invalid_code"}));
        }
    });
}

/// Slack names its claims by addresses, and answers errors under status 200.
/// <https://api.slack.com/methods/openid.connect.token>, <https://api.slack.com/methods/openid.connect.userInfo>
#[tokio::test]
async fn slack() {
    assert_eq!(issuer("slack", ""), "https://slack.com");
    let more = format!(
        "{SECRET}authoritative_for = [\"slack-corp.example\"]\n[[map]]\nrule = \"team\"\ngroup = \"staff\"\n\
         when = \"claims['https://slack.com/team_id'] == 'T0R7GR'\""
    );
    let contract = Contract::oidc("slack", &more, slack_script);
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched).1, "T0R7GR/U0R7JM");
    assert_eq!((email(&vouched), name(&vouched)), (Some(("krane@slack-corp.example", true)), Some("krane")));
    assert_eq!(vouched.identity.assignments().len(), 1);
    contract
        .refuses("oidc.token_error", |script| {
            script.token =
                Box::new(|reply| *reply = Reply::json(200, &json!({"ok": false, "error": "invalid_code"})));
        })
        .await;
    contract.declined("oidc.cancelled", &[("error", "access_denied")]).await;
}

#[tokio::test]
async fn a_subject_is_unique_only_within_its_team() {
    let contract = Contract::oidc("slack", SECRET, slack_script);
    let one = contract.signs_in().await;
    let of = |team: Value| {
        contract.tries(move |script| {
            script.claims = Box::new(move |claims| claims["https://slack.com/team_id"] = team.clone());
        })
    };
    let other = of(json!("T9OTHER")).await.0.unwrap();
    assert_ne!(one.identity.key(), other.identity.key(), "the same user id in two workspaces is two people");
    for team in [json!(null), json!(""), json!(7), json!(["T0R7GR"]), json!("T0/U1"), json!("T\n")] {
        let (outcome, trace) = of(team).await;
        refused(outcome, &trace, "oidc.subject_within");
    }
}

/// Twitch brings only claims that are asked for one by one, and scopes as a list.
/// <https://dev.twitch.tv/docs/authentication/getting-tokens-oidc/>
#[tokio::test]
async fn twitch() {
    assert_eq!(issuer("twitch", ""), "https://id.twitch.tv/oauth2");
    let more = format!("{SECRET}authoritative_for = [\"justin.example\"]");
    let contract = Contract::oidc("twitch", &more, |script| {
        usual(
            script,
            json!({
                "sub": "713936733", "preferred_username": "jt", "picture": "https://static-cdn.jtvnw.net/p.png",
                "email": "user@justin.example", "email_verified": true,
            }),
        );
        script.token = Box::new(|reply| {
            if reply.status == 200 {
                reply.edit(|body| {
                    body["scope"] = json!(["openid", "user:read:email"]);
                    body["token_type"] = json!("bearer");
                });
            }
        });
    });
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched).1, "713936733");
    assert_eq!((email(&vouched), name(&vouched)), (Some(("user@justin.example", true)), Some("jt")));
    let claims: Value = serde_json::from_str(&contract.asks("claims").await.unwrap()).unwrap();
    assert!(claims["id_token"].as_object().unwrap().contains_key("email_verified"));
    contract
        .refuses("oidc.token_error", |script| {
            script.token = Box::new(|reply| {
                *reply = Reply::json(400, &json!({"status": 400, "message": "Invalid authorization code"}));
            });
        })
        .await;
}

static YAHOO: std::sync::LazyLock<crate::standin::Key> =
    std::sync::LazyLock::new(|| crate::standin::Key::ec("3466d51f7dd0c780565688c183921816c45889ad"));

/// Yahoo adds the id of an older protocol to its token answer.
/// <https://developer.yahoo.com/oauth2/guide/openid_connect/>
#[tokio::test]
async fn yahoo() {
    assert_eq!(issuer("yahoo", ""), "https://api.login.yahoo.com");
    let more = format!("{SECRET}authoritative_for = [\"yahoo.example\"]");
    let contract = Contract::oidc("yahoo", &more, |script| {
        usual(
            script,
            json!({
                "sub": "FSVIDUW3D7FSVIDUW3D72F2F", "name": "Jane Doe", "given_name": "Jane", "family_name": "Doe",
                "email": "jane@yahoo.example", "email_verified": true, "locale": "en-US",
            }),
        );
        let key = YAHOO.clone();
        (script.keys, script.signer) = (vec![key.clone()], key);
        script.token = Box::new(|reply| {
            if reply.status == 200 {
                reply.edit(|body| {
                    body["xoauth_yahoo_guid"] = json!("JT4FACLQZEPEXAMPLE");
                    body["token_type"] = json!("bearer");
                });
            }
        });
    });
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched).1, "FSVIDUW3D7FSVIDUW3D72F2F");
    assert_eq!((email(&vouched), name(&vouched)), (Some(("jane@yahoo.example", true)), Some("Jane Doe")));
    assert!(contract.last("/token").headers["authorization"].starts_with("Basic "));
    let asked = contract.in_german().await;
    assert_eq!((asked.get("language").map(String::as_str), asked.get("ui_locales")), (Some("de-ch"), None));
    knows_no_choice(&contract).await;
    assert!(!contract.wished(|request| request.silent = true).await.contains_key("prompt"));
    contract.refuses("oidc.token_error", invalid_grant).await;
    contract.declined("oidc.cancelled", &[("error", "access_denied")]).await;
}

/// What Okta, Auth0 and Keycloak say of a person: OpenID Connect as it is written.
fn sound(script: &mut Script) {
    usual(
        script,
        json!({
            "sub": "00uid4BxXw6I6TV4m0g3", "name": "Ann Lee", "preferred_username": "ann@globex.example",
            "email": "ann@globex.example", "email_verified": true, "groups": ["Everyone"],
        }),
    );
}

async fn speaks_by_the_book(contract: &Contract) {
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched).1, "00uid4BxXw6I6TV4m0g3");
    assert_eq!((email(&vouched), name(&vouched)), (Some(("ann@globex.example", true)), Some("Ann Lee")));
    contract.refuses("oidc.token_error", invalid_grant).await;
    contract
        .declined(
            "oidc.cancelled",
            &[("error", "access_denied"), ("error_description", "User is not assigned")],
        )
        .await;
    let asked = contract.in_german().await;
    let told = (asked.get("ui_locales").map(String::as_str), asked.get("lang").map(String::as_str));
    match contract.bench.entry.settings().common.preset.as_deref() {
        Some("cognito") => assert_eq!(told, (None, Some("de-CH"))),
        _ => assert_eq!(told, (Some("de-CH rm"), None)),
    }
    let anew = contract.wished(|request| request.force_authentication = true).await;
    assert_eq!((anew["prompt"].as_str(), anew["max_age"].as_str()), ("login", "0"));
}

const OURS: &str = "authoritative_for = [\"globex.example\"]\n";

/// <https://developer.okta.com/docs/concepts/auth-servers/>
#[tokio::test]
async fn okta() {
    assert_eq!(issuer("okta", "domain = \"globex.okta.com\""), "https://globex.okta.com");
    let contract = Contract::oidc("okta", &format!("{SECRET}{OURS}"), sound);
    speaks_by_the_book(&contract).await;
    knows_no_choice(&contract).await;
}

/// By a key of ours, as <https://developer.okta.com/docs/api/openapi/okta-oauth/guides/client-auth/> wants it
/// (RFC 7523 §3).
#[tokio::test]
async fn okta_by_private_key() {
    use countersign::jose::{Alg, JwkSet, SigningKey, verify_foreign};
    let keys = "client_auth = \"private_key_jwt\"\nprivate_key = \"env:KEY\"\nkey_id = \"our-key\"\n";
    let contract = Contract::oidc("okta", &format!("{keys}{OURS}"), |script| {
        sound(script);
        script.authenticates = Some(Box::new(|seen| {
            let mut jwk: Value =
                serde_json::from_str(SigningKey::from_pem(&crate::bench::PEM).unwrap().public_jwk()).unwrap();
            jwk["kid"] = json!("our-key");
            let keys = JwkSet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let verified = verify_foreign(&seen.form["client_assertion"], &keys, &[Alg::ES256]);
            let Ok(verified) = verified else { return false };
            let claims = &verified.claims;
            seen.form["client_assertion_type"] == kind
                && !seen.form.contains_key("client_secret")
                && seen.form["client_id"] == "countersign"
                && claims["iss"] == "countersign"
                && claims["sub"] == "countersign"
                && claims["aud"].as_str().unwrap().ends_with("/token")
                && claims["jti"].as_str().unwrap().len() >= 32
                && claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() == 300
        }));
    });
    speaks_by_the_book(&contract).await;
    let assertions: std::collections::BTreeSet<String> = contract
        .bench
        .standin
        .seen()
        .into_iter()
        .filter_map(|mut seen| seen.form.remove("client_assertion"))
        .collect();
    assert_eq!(assertions.len(), contract.bench.standin.count("/token"), "each is signed once");
}

/// The issuer ends in a slash. <https://auth0.com/docs/authenticate/protocols/openid-connect-protocol>
#[tokio::test]
async fn auth0() {
    assert_eq!(issuer("auth0", "domain = \"globex.eu.auth0.com\""), "https://globex.eu.auth0.com/");
    speaks_by_the_book(&Contract::oidc("auth0", &format!("{SECRET}{OURS}"), sound)).await;
    let slash = Contract::new(
        "auth0",
        |origin| format!("issuer = \"{origin}/\"\n{SECRET}{OURS}"),
        |script| {
            sound(script);
            script.discovery = body(|document| {
                plain(document);
                document["issuer"] = json!(format!("{}/", document["issuer"].as_str().unwrap()));
            });
            script.claims =
                Box::new(|claims| claims["iss"] = json!(format!("{}/", claims["iss"].as_str().unwrap())));
        },
    );
    speaks_by_the_book(&slash).await;
    slash.refuses("oidc.id_token.iss", |script| script.claims = Box::new(|_| {})).await;
}

/// <https://www.keycloak.org/securing-apps/oidc-layers>
#[tokio::test]
async fn keycloak() {
    let more = "base_url = \"https://sso.globex.example/auth/\"\nrealm = \"staff\"";
    assert_eq!(issuer("keycloak", more), "https://sso.globex.example/auth/realms/staff");
    let contract = Contract::oidc("keycloak", &format!("{SECRET}{OURS}"), sound);
    speaks_by_the_book(&contract).await;
    knows_no_choice(&contract).await;
}

/// userinfo writes `email_verified` as a text.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/userinfo-endpoint.html>
#[tokio::test]
async fn cognito() {
    assert_eq!(
        issuer("cognito", "region = \"eu-central-1\"\nuser_pool = \"eu-central-1_aBcDeFgHi\""),
        "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_aBcDeFgHi"
    );
    let contract = Contract::oidc("cognito", &format!("{SECRET}{OURS}"), |script| {
        sound(script);
        script.in_id_token = vec!["cognito:username", "cognito:groups"];
        script.userinfo = body(|body| body["email_verified"] = json!("true"));
        script.claims = Box::new(|claims| claims["token_use"] = json!("id"));
    });
    speaks_by_the_book(&contract).await;
    knows_no_choice(&contract).await;
    let vouched = contract
        .signs_in_with(|script| script.userinfo = body(|body| body["email_verified"] = json!("false")))
        .await;
    assert_eq!(email(&vouched), Some(("ann@globex.example", false)));
}

/// The issuer's host is the tenant's id, and the document is at the tenant's name.
/// <https://learn.microsoft.com/en-us/entra/external-id/customers/concept-supported-features-customers>
#[tokio::test]
async fn entra_external_id() {
    let tenant = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
    let more = format!("{SECRET}tenant = \"{tenant}\"\nsubdomain = \"globex\"");
    let settings = fixed_oidc("entra-external-id", &more);
    assert_eq!(settings.issuer.text, format!("https://{tenant}.ciamlogin.com/{tenant}/v2.0"));
    assert_eq!(
        settings.discovery_url.unwrap().url().as_str(),
        format!("https://globex.ciamlogin.com/{tenant}/v2.0/.well-known/openid-configuration")
    );
    let script = |script: &mut Script| {
        sound(script);
        script.claims = Box::new(|claims| claims["xms_edov"] = json!(true));
    };
    let more = |origin: &str| {
        let document = format!("{origin}/.well-known/openid-configuration");
        format!("issuer = \"{origin}\"\ndiscovery_url = \"{document}\"\n{SECRET}{OURS}")
    };
    let contract = Contract::new("entra-external-id", more, script);
    speaks_by_the_book(&contract).await;
    let vouched = contract.signs_in_with(|script| script.claims = Box::new(|_| {})).await;
    assert_eq!(email(&vouched), Some(("ann@globex.example", false)), "email_verified is none of Microsoft's");
    microsoft::one_prompt_and_no_time(&contract).await;
}

fn line_script(script: &mut Script) {
    usual(
        script,
        json!({
            "sub": "U1234567890abcdef1234567890abcdef", "name": "Taro Line", "email": "taro.line@example.com",
            "picture": "https://profile.line-scdn.net/aBcdefg123456", "amr": ["linesso"],
        }),
    );
    script.secret = LONG_SECRET.to_owned();
    script.shared = true;
}

/// ID tokens of the web login are signed with HS256 under the channel secret.
/// <https://developers.line.biz/en/docs/line-login/verify-id-token/>
#[tokio::test]
async fn line() {
    let long = "client_secret = \"env:LONG_SECRET\"\nauthoritative_for = [\"example.com\"]\n";
    assert_eq!(issuer("line", ""), "https://access.line.me");
    let contract = Contract::oidc("line", long, line_script);
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched).1, "U1234567890abcdef1234567890abcdef");
    assert_eq!(
        (email(&vouched), name(&vouched)),
        (Some(("taro.line@example.com", false)), Some("Taro Line"))
    );
    assert_eq!(contract.bench.standin.count("/jwks"), 0, "no public key has a say");
    contract.refuses("oidc.token_error", invalid_grant).await;
    contract
        .declined(
            "oidc.cancelled",
            &[("error", "access_denied"), ("error_description", "The+resource+owner+denied")],
        )
        .await;
    // of no other secret, by no other algorithm
    contract.refuses("jose.alg", |script| script.shared = false).await;
    contract
        .refuses("jose.alg", |script| script.header = Box::new(|header| header["alg"] = json!("none")))
        .await;
    contract
        .refuses("jose.signature", |script| {
            script.id_token = Box::new(|token| {
                let (input, _) = token.rsplit_once('.').unwrap();
                let claims = input.split('.').nth(1).unwrap().to_owned();
                let claims =
                    base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims)
                        .unwrap();
                let claims = String::from_utf8(claims).unwrap();
                *token = crate::standin::hs256(
                    "{\"alg\":\"HS256\"}",
                    &claims,
                    b"another secret of 32 characters.",
                );
            });
        })
        .await;
    // a fresh proof is asked for, and shown
    let open = contract.bench.begin(|request| request.force_authentication = true).await.unwrap();
    assert!(open.url.as_str().contains("prompt=login") && open.url.as_str().contains("max_age=0"));
}

/// With one that is too short nobody could sign in, so that the settings are refused.
#[test]
fn a_short_secret_signs_nothing() {
    let built = |more: &str, length: usize| {
        let secrets =
            |_: &_| Ok(secrecy::SecretString::from("0123456789abcdef".repeat(3)[..length].to_owned()));
        let list = vec![fixed("line", &format!("{SECRET}{more}"))];
        let registry = Registry::build(list, &secrets, &Context::system(), None);
        registry.map(drop).map_err(|errors| (errors[0].problem.key, errors[0].problem.message.clone()))
    };
    for more in ["", "client_auth = \"client_secret_basic\""] {
        assert_eq!(built(more, 32), Ok(()));
        let (key, said) = built(more, 31).unwrap_err();
        assert!(key == "client_secret" && said.contains("32 bytes"), "{key}: {said}");
    }
    assert_eq!(built("id_token_hs256 = false", 31), Ok(()));
}

/// OpenID Connect as it is written. <https://openid.net/specs/openid-connect-core-1_0.html>
#[tokio::test]
async fn any_openid_provider() {
    let more = format!("name = \"Globex\"\n{SECRET}{OURS}");
    assert_eq!(
        fixed_oidc("oidc", &format!("{more}issuer = \"https://id.globex.example\"")).issuer.text,
        "https://id.globex.example"
    );
    speaks_by_the_book(&Contract::oidc("oidc", &more, sound)).await;
}
