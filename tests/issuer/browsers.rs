//! What browsers and caches are told: discovery, keys, CORS, headers.

use crate::house::{CALLBACK, House, LOG, VERIFIER, basic, secret_of};

const DOCUMENTS: &[&str] =
    &["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks"];

#[tokio::test(flavor = "multi_thread")]
async fn discovery_names_what_works_and_nothing_else() {
    let house = House::open().await;
    let document = house.get("/.well-known/openid-configuration", &[]).await.json();
    assert_eq!(document, house.get("/.well-known/oauth-authorization-server", &[]).await.json());
    assert_eq!(document["issuer"], house.issuer);
    for (name, value) in document.as_object().unwrap() {
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            let path = value.as_str().unwrap().strip_prefix(&house.issuer).unwrap();
            let answer = house.get(path, &[]).await;
            assert_ne!(answer.status, 404, "{name}");
        }
    }
    assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(document["response_types_supported"], serde_json::json!(["code"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["request_uri_parameter_supported"], true);
    assert_eq!(document["require_request_uri_registration"], true);
    assert!(!document.to_string().contains("password") && !document.to_string().contains("implicit"));
    let algs = document["id_token_signing_alg_values_supported"].as_array().unwrap();
    assert!(algs.contains(&"RS256".into()) && !algs.contains(&"none".into()));
    let keys = house.get("/jwks", &[]).await.json();
    for alg in algs {
        assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["alg"] == *alg), "{alg}");
    }
    for key in keys["keys"].as_array().unwrap() {
        let private = ["d", "p", "q", "dp", "dq", "qi", "k"];
        assert!(private.iter().all(|name| key.get(name).is_none()), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_can_have_a_path() {
    let house = House::at("/tenant").await;
    let document = house.get("/.well-known/openid-configuration", &[]).await.json();
    assert_eq!(document["issuer"], house.issuer);
    assert!(house.issuer.ends_with("/tenant"));
    let root = house.issuer.strip_suffix("/tenant").unwrap();
    let inserted = format!("{root}/.well-known/oauth-authorization-server/tenant");
    assert_eq!(house.fetch(&inserted).await.json(), document, "RFC 8414 §3.1");
    let alice = house.sign_in("alice").await;
    let tokens = house.tokens(&alice, "web", "openid profile").await;
    assert_eq!(house.userinfo(&tokens.text("access_token")).await.json()["name"], "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_can_be_cached_and_read_by_anyone() {
    let house = House::open().await;
    for path in DOCUMENTS {
        let answer = house.get(path, &[("origin", "https://any.test")]).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        let etag = answer.header("etag").unwrap();
        let again = house.get(path, &[("if-none-match", etag)]).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
        assert_eq!(house.get(path, &[("if-none-match", "\"other\"")]).await.status, 200);
        let head = house.head(path).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_registered_origins_may_read_answers_and_no_others() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let tokens = house.tokens(&alice, "web", "openid offline_access").await;
    let (bearer, auth) = (format!("Bearer {}", tokens.text("access_token")), basic("web"));
    let allowed = async |path: &str, origin: &str| {
        let answer = match path {
            "/userinfo" => house.get(path, &[("authorization", &bearer), ("origin", origin)]).await,
            _ => house.post(path, &[("authorization", &auth), ("origin", origin)], &[("token", "x")]).await,
        };
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"));
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    for path in ["/token", "/revoke", "/userinfo"] {
        assert_eq!(allowed(path, "https://web.test").await.as_deref(), Some("https://web.test"), "{path}");
        for bad in ["https://evil.test", "null", "http://web.test", "http://127.0.0.1:5173"] {
            assert_eq!(allowed(path, bad).await, None, "{path} {bad}");
        }
    }
    let spa = [("client_id", "spa"), ("grant_type", "refresh_token"), ("refresh_token", "x")];
    let answer = house.post("/token", &[("origin", "http://127.0.0.1:5173")], &spa).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://127.0.0.1:5173"));
}

#[tokio::test(flavor = "multi_thread")]
async fn preflight_requests_are_answered_for_registered_origins() {
    let house = House::open().await;
    let ask = async |path: &str, origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization"),
        ];
        house.options(path, &headers).await
    };
    for path in ["/token", "/revoke", "/userinfo"] {
        let answer = ask(path, "https://web.test").await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://web.test"));
        assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
        let refused = ask(path, "https://evil.test").await;
        assert_eq!(refused.header("access-control-allow-origin"), None);
        assert_eq!(refused.header("access-control-allow-methods"), None);
    }
    for path in ["/authorize", "/logout", "/introspect", "/sign-in", "/consent"] {
        let answer = ask(path, "https://web.test").await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        let get = house.get(path, &[("origin", "https://web.test")]).await;
        assert_eq!(get.header("access-control-allow-origin"), None, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_106_another_host_is_misdirected() {
    let house = House::open().await;
    let bad = house.get("/.well-known/openid-configuration", &[("host", "evil.test")]).await;
    assert_eq!(bad.status, 421);
    let forwarded = house
        .get(
            "/.well-known/openid-configuration",
            &[("x-forwarded-host", "evil.test"), ("forwarded", "host=evil.test")],
        )
        .await;
    assert_eq!(forwarded.text("issuer"), house.issuer, "only the configuration says who we are");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_103_answers_with_tokens_or_people_are_not_stored() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let tokens = house.tokens(&alice, "web", "openid").await;
    let token = tokens.text("access_token");
    let userinfo = house.userinfo(&token).await;
    let introspection = house.call("/introspect", "api", &[("token", &token)]).await;
    let page = house.get("/logout", &[("cookie", &alice.cookie)]).await;
    for answer in [tokens, userinfo, introspection, page] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "OAUTH-101");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_101_no_secret_is_logged_or_stored() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "web", "openid offline_access").await;
    let tokens = house.redeem("web", &code).await;
    let refresh = tokens.text("refresh_token");
    let access = tokens.text("access_token");
    // Refusals are where details are written down.
    house.redeem("other", &code).await;
    house.refresh("other", &refresh).await;
    house.userinfo(&format!("{access}x")).await;
    house.get(&format!("/userinfo?access_token={access}"), &[]).await;
    house.post(&format!("/token?client_secret={}", secret_of("web")), &[], &[]).await;
    house
        .get(&format!("/logout?id_token_hint={}", tokens.text("id_token")), &[("cookie", &alice.cookie)])
        .await;
    let log = String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned();
    assert!(log.contains("request.secret_in_query"), "the log is read: {log}");
    let mut stored = Vec::new();
    for file in ["countersign.sqlite3", "countersign.sqlite3-wal"] {
        stored.extend(std::fs::read(house.database().with_file_name(file)).unwrap());
    }
    let stored = String::from_utf8_lossy(&stored);
    assert!(stored.contains("request.secret_in_query"), "the database is read");
    let cookie = alice.cookie.strip_prefix("cs_session=").unwrap();
    let signature = access.rsplit('.').next().unwrap();
    for secret in [code.as_str(), &refresh, signature, &secret_of("web"), cookie, VERIFIER] {
        assert!(!log.contains(secret), "{secret} in the log");
        assert!(!stored.contains(secret), "{secret} in the database");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_102_forms_are_never_sent_on() {
    let house = House::open().await;
    let form = [("client_id", "web"), ("redirect_uri", CALLBACK), ("response_type", "token")];
    for (path, form) in [("/authorize", &form[..]), ("/logout", &[])] {
        let answer = house.post(path, &[], form).await;
        assert_eq!(answer.status, 303, "{path}: 307 and 308 would send the form on");
    }
}
