//! The modules of the basic plan, which the form-post plan has too, and of the config plan.

use crate::house::Visitor;
use crate::in_both_modes;
use crate::standin::b64;
use crate::suite::*;
use countersign::audit::Actor;
use countersign::clients::SigningAlg;
use countersign::flow::keys::Keys;
use countersign::tokens::rotation::Urgency;
use serde_json::Value;
use std::time::Duration;

in_both_modes! {
    async fn oidcc_server(suite) {
        let tokens = suite.sign_in(&[]).await;
        let (header, claims) = tokens.id_token();
        assert_eq!(header["alg"], "RS256");
        assert_eq!(claims["iss"], suite.house.origin);
        assert_eq!(claims["aud"], "suite");
        assert_eq!(claims["nonce"], "suite-nonce");
        let now = suite.house.now().secs();
        assert!(claims["iat"].as_i64().unwrap() <= now && claims["exp"].as_i64().unwrap() > now);
        assert_eq!(suite.userinfo(&tokens.access).await["sub"], claims["sub"]);
        // the second client's redirect URI has a query of its own
        let other = suite.sign_in_by("suite-2", &[("redirect_uri", CALLBACK_2)]).await;
        assert_eq!(other.claims()["aud"], "suite-2");
    }

    async fn oidcc_response_type_missing(suite) {
        let landing = suite.authorize("suite", &[("response_type", "")]).await;
        assert!(["invalid_request", "unsupported_response_type"].contains(&landing.error()));
    }

    async fn oidcc_idtoken_signature(suite) {
        let (header, _) = suite.sign_in(&[]).await.id_token();
        let keys = suite.keys().await;
        let fitting = |key: &&Value| key["kid"] == header["kid"];
        assert_eq!(keys.iter().filter(fitting).count(), 1, "exactly one key of that name");
        assert_eq!(keys.iter().find(fitting).unwrap()["kty"], "RSA");
    }

    async fn oidcc_userinfo_get(suite) {
        let tokens = suite.sign_in(&[]).await;
        assert_eq!(suite.userinfo(&tokens.access).await["sub"], tokens.claims()["sub"]);
    }

    async fn oidcc_userinfo_post_header(suite) {
        let tokens = suite.sign_in(&[]).await;
        let answer = suite.call("/userinfo", &format!("Bearer {}", tokens.access), &[]).await;
        let said: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(said["sub"], tokens.claims()["sub"]);
    }

    async fn oidcc_userinfo_post_body(suite) {
        let tokens = suite.sign_in(&[]).await;
        let answer = suite.call("/userinfo", "", &[("access_token", &tokens.access)]).await;
        let said: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(said["sub"], tokens.claims()["sub"]);
    }

    async fn oidcc_ensure_request_without_nonce_succeeds_for_code_flow(suite) {
        let tokens = suite.sign_in(&[("nonce", "")]).await;
        assert_eq!(tokens.claims().get("nonce"), None);
    }

    async fn oidcc_scope_email(suite) {
        let tokens = suite.sign_in(&[("scope", "openid email")]).await;
        let said = suite.userinfo(&tokens.access).await;
        assert_eq!(said["email"], "alice@globex.example");
        assert_eq!(said["email_verified"], true);
        // and only if it was asked for
        let tokens = suite.sign_in(&[]).await;
        assert_eq!(suite.userinfo(&tokens.access).await.get("email"), None);
    }

    async fn oidcc_alternate_happy_flow(suite) {
        // a long state, a long nonce, scopes in another order, and the second client
        let (state, nonce) = ("s".repeat(128), "n".repeat(43));
        let more = [("state", state.as_str()), ("nonce", nonce.as_str()), ("scope", "email openid")];
        assert_eq!(suite.sign_in(&more).await.claims()["nonce"], nonce);
        assert_eq!(suite.sign_in_by("suite-2", &more).await.claims()["nonce"], nonce);
    }

    async fn oidcc_display_page(suite) {
        suite.sign_in(&[("display", "page")]).await;
    }

    async fn oidcc_display_popup(suite) {
        suite.sign_in(&[("display", "popup")]).await;
    }

    async fn oidcc_prompt_login(suite) {
        let first = suite.sign_in(&[]).await;
        suite.house.wait(Duration::from_secs(2));
        // without the demand the session is enough
        let silent = suite.sign_in(&[("max_age", "10000")]).await;
        assert_eq!(suite.asked, 1);
        let second = suite.sign_in(&[("prompt", "login"), ("max_age", "10000")]).await;
        assert_eq!(suite.asked, 2, "the person signs in again");
        let time = |tokens: &Tokens| tokens.claims()["auth_time"].as_i64().unwrap();
        assert!(time(&second) > time(&silent));
        assert_eq!(first.claims()["sub"], second.claims()["sub"]);
    }

    async fn oidcc_prompt_none_not_logged_in(suite) {
        let landing = suite.authorize("suite", &[("prompt", "none")]).await;
        assert_eq!(landing.error(), "login_required");
        assert_eq!(suite.asked, 0);
    }

    async fn oidcc_prompt_none_logged_in(suite) {
        let first = suite.sign_in(&[("max_age", "10000")]).await.claims();
        suite.house.wait(Duration::from_secs(2));
        let second = suite.sign_in(&[("prompt", "none"), ("max_age", "10000")]).await.claims();
        assert_eq!(suite.asked, 1);
        assert_eq!((&first["sub"], &first["auth_time"]), (&second["sub"], &second["auth_time"]));
    }

    async fn oidcc_max_age_1(suite) {
        let first = suite.sign_in(&[("max_age", "10000")]).await.claims();
        suite.house.wait(Duration::from_secs(3));
        let second = suite.sign_in(&[("max_age", "1")]).await.claims();
        assert_eq!(suite.asked, 2, "the person signs in again");
        assert!(second["auth_time"].as_i64().unwrap() > first["auth_time"].as_i64().unwrap());
    }

    async fn oidcc_max_age_10000(suite) {
        let first = suite.sign_in(&[("max_age", "10000")]).await.claims();
        suite.house.wait(Duration::from_secs(2));
        let second = suite.sign_in(&[("max_age", "10000")]).await.claims();
        assert_eq!(suite.asked, 1, "the session is young enough");
        assert!(first["auth_time"].is_i64());
        assert_eq!(first["auth_time"], second["auth_time"]);
    }

    async fn oidcc_ensure_request_with_unknown_parameter_succeeds(suite) {
        suite.sign_in(&[("extra", "foobar")]).await;
    }

    async fn oidcc_id_token_hint(suite) {
        let first = suite.sign_in(&[]).await;
        let second = suite.sign_in(&[("prompt", "none"), ("id_token_hint", &first.id)]).await;
        assert_eq!(first.claims()["sub"], second.claims()["sub"]);
    }

    async fn oidcc_login_hint(suite) {
        suite.sign_in(&[("login_hint", "buffy@suite.test")]).await;
    }

    async fn oidcc_ui_locales(suite) {
        suite.sign_in(&[("ui_locales", "se")]).await;
    }

    async fn oidcc_claims_locales(suite) {
        suite.sign_in(&[("claims_locales", "se")]).await;
    }

    async fn oidcc_codereuse(suite) {
        let landing = suite.authorize("suite", &[]).await;
        let tokens = suite.tokens(&suite.redeem("suite", landing.code(), CALLBACK).await);
        assert_eq!(suite.userinfo(&tokens.access).await["sub"], tokens.claims()["sub"]);
        let again = suite.redeem("suite", landing.code(), CALLBACK).await;
        assert_eq!(oauth_error(&again), (400, "invalid_grant".to_owned()));
    }

    async fn oidcc_codereuse_30seconds(suite) {
        let landing = suite.authorize("suite", &[]).await;
        let tokens = suite.tokens(&suite.redeem("suite", landing.code(), CALLBACK).await);
        suite.house.wait(Duration::from_secs(30));
        let again = suite.redeem("suite", landing.code(), CALLBACK).await;
        assert_eq!(oauth_error(&again), (400, "invalid_grant".to_owned()));
        // RFC 6749 §4.1.2: what the code gave is revoked
        let answer = suite.call("/userinfo", &format!("Bearer {}", tokens.access), &[]).await;
        assert_eq!(oauth_error(&answer), (401, "invalid_token".to_owned()));
    }

    async fn oidcc_ensure_registered_redirect_uri(suite) {
        let elsewhere = format!("{CALLBACK}/elsewhere");
        let landing = suite.authorize("suite", &[("redirect_uri", &elsewhere)]).await;
        assert_eq!(landing.refusal().header("location"), None);
    }

    async fn oidcc_ensure_post_request_succeeds(suite) {
        let url = suite.request("suite", &[]);
        let form: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // a browser that another site's page sends here brings its origin, and no cookie of ours
        let to = suite.house.at("/authorize");
        let first = suite.person.post_from(&to, &form, Some("https://suite.test"), Some("cross-site")).await;
        let landing = suite.land(first).await;
        suite.tokens(&suite.redeem("suite", landing.code(), CALLBACK).await);
    }

    async fn oidcc_server_client_secret_post(suite) {
        let landing = suite.authorize("suite-post", &[]).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", landing.code()),
            ("redirect_uri", CALLBACK),
            ("client_id", "suite-post"),
            ("client_secret", SECRET),
        ];
        let tokens = suite.tokens(&suite.call("/token", "", &form).await);
        assert_eq!(tokens.claims()["aud"], "suite-post");
    }

    async fn oidcc_refresh_token(suite) {
        let more = [("scope", "openid offline_access"), ("prompt", "consent")];
        let first = suite.sign_in(&more).await;
        let refreshed = suite.tokens(&suite.refresh("suite", first.refresh.as_deref().unwrap()).await);
        // OIDC Core §12.2
        let (before, after) = (first.claims(), refreshed.claims());
        for name in ["iss", "sub", "aud", "auth_time"] {
            assert_eq!(before.get(name), after.get(name), "{name}");
        }
        assert_ne!(first.access, refreshed.access);
        assert_eq!(suite.userinfo(&refreshed.access).await["sub"], before["sub"]);
        let other = suite.sign_in_by("suite-2", &more).await;
        let stolen = suite.refresh("suite", other.refresh.as_deref().unwrap()).await;
        assert_eq!(oauth_error(&stolen), (400, "invalid_grant".to_owned()));
    }

    async fn oidcc_idtoken_unsigned(suite) {
        // The suite skips this module where `none` is not offered; it never is.
        let algorithms = &suite.discovery().await["id_token_signing_alg_values_supported"];
        assert!(!algorithms.as_array().unwrap().iter().any(|alg| alg == "none"));
    }

    async fn oidcc_ensure_request_with_acr_values_succeeds(suite) {
        suite.sign_in(&[("acr_values", "1 2")]).await;
    }

    async fn oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(suite) {
        let request = unsigned(CALLBACK);
        let landing = suite.authorize("suite", &[("request", &request)]).await;
        assert!(["request_not_supported", "invalid_request_object"].contains(&landing.error()));
    }

    async fn oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(suite) {
        // An address that nobody registered; nothing is fetched from there.
        let more = [("request_uri", "https://suite.test/requests/1#hash")];
        let landing = suite.authorize("suite", &more).await;
        assert!(["request_uri_not_supported", "invalid_request_uri"].contains(&landing.error()));
    }

    async fn oidcc_ensure_request_object_with_redirect_uri(suite) {
        // The address outside is not registered, the one in the unsigned object is: nothing leaves the site.
        let elsewhere = format!("{CALLBACK}_invalid");
        let request = unsigned(CALLBACK);
        let more = [("redirect_uri", elsewhere.as_str()), ("request", &request)];
        assert_eq!(suite.authorize("suite", &more).await.refusal().header("location"), None);
    }

    async fn oidcc_ensure_request_with_valid_pkce_succeeds(suite) {
        let pkce = [("code_challenge", crate::house::CHALLENGE), ("code_challenge_method", "S256")];
        let landing = suite.authorize("suite", &pkce).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", landing.code()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ];
        suite.tokens(&suite.token("suite", &form).await);
        // and it is enforced, although this client need not send it
        let landing = suite.authorize("suite", &pkce).await;
        let without = suite.redeem("suite", landing.code(), CALLBACK).await;
        assert_eq!(oauth_error(&without), (400, "invalid_grant".to_owned()));
    }
}

/// A request object that nobody signed.
fn unsigned(redirect_uri: &str) -> String {
    let claims = serde_json::json!({
        "client_id": "suite", "response_type": "code", "redirect_uri": redirect_uri, "scope": "openid",
        "state": "suite-state", "nonce": "suite-nonce",
    });
    format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(claims.to_string()))
}

#[tokio::test]
async fn oidcc_discovery_endpoint_verification() {
    let suite = Suite::open().await;
    let document = suite.discovery().await;
    assert_eq!(document["issuer"], suite.house.origin);
    let endpoints = ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"];
    for name in endpoints {
        let address = document[name].as_str().unwrap_or_else(|| panic!("{name}"));
        assert!(address.starts_with(&suite.house.origin), "{name}: {address}");
    }
    let has = |name: &str, value: &str| {
        document[name].as_array().unwrap_or_else(|| panic!("{name}")).iter().any(|one| one == value)
    };
    assert!(has("response_types_supported", "code"));
    assert!(has("scopes_supported", "openid"));
    assert!(has("subject_types_supported", "public"));
    assert!(has("id_token_signing_alg_values_supported", "RS256"));
    assert!(has("claims_supported", "sub"));
    assert!(!has("id_token_signing_alg_values_supported", "none"));
    assert!(document["claims_parameter_supported"].is_boolean());
    let keys = suite.keys().await;
    assert!(!keys.is_empty());
    for key in keys {
        assert_eq!(key["use"], "sig");
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert_eq!(key.get(private), None);
        }
    }
    assert_eq!(Visitor::new().get(document["jwks_uri"].as_str().unwrap()).await.status, 200);
}

/// The discovery document names these endpoints and abilities.
async fn offers(names: &[(&str, Value)]) {
    let suite = Suite::open().await;
    let document = suite.discovery().await;
    for (name, value) in names {
        assert_eq!(document[name], *value, "{name}");
    }
    assert_eq!(document["end_session_endpoint"], suite.house.at("/logout"));
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_discovery_endpoint_verification() {
    offers(&[]).await;
}

#[tokio::test]
async fn oidcc_backchannel_logout_discovery_endpoint_verification() {
    let yes = Value::from(true);
    offers(&[("backchannel_logout_supported", yes.clone()), ("backchannel_logout_session_supported", yes)])
        .await;
}

#[tokio::test]
async fn oidcc_frontchannel_logout_discovery_endpoint_verification() {
    let yes = Value::from(true);
    offers(&[("frontchannel_logout_supported", yes.clone()), ("frontchannel_logout_session_supported", yes)])
        .await;
}

#[tokio::test]
async fn oidcc_ensure_redirect_uri_in_authorization_request() {
    // OIDC Core §3.1.2.1: required, even where only one is registered
    let mut suite = Suite::open().await;
    let landing = suite.authorize("suite", &[("redirect_uri", "")]).await;
    assert_eq!(landing.refusal().header("location"), None);
}

#[tokio::test]
async fn oidcc_server_rotate_keys() {
    let mut suite = Suite::open().await;
    let before = suite.keys().await;
    let app = suite.house.app.clone();
    let settings = app.now().settings.clone();
    let keys = Keys::new(&app.context, &app.store, &app.sealer, &settings);
    keys.rotate(&[SigningAlg::RS256], Urgency::AtOnce, &Actor::System).await.unwrap();
    app.rebuild().await.unwrap();
    let after = suite.keys().await;
    assert!(before.iter().all(|key| after.contains(key)), "the old ones stay");
    assert!(after.len() > before.len(), "and a new one is there");
    let (header, _) = suite.sign_in(&[]).await.id_token();
    assert!(!before.iter().any(|key| key["kid"] == header["kid"]), "which signs");
}
