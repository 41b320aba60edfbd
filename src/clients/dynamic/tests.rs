use super::*;
use crate::clients::{AuthMethod, GrantType, registration};
use crate::protocol::Scope;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn policy() -> Policy {
    Policy {
        grant_types: [GrantType::AuthorizationCode, GrantType::RefreshToken].into(),
        scope: Scope::parse("openid profile email offline_access").unwrap(),
        redirect_hosts: Default::default(),
        require_pkce: true,
    }
}

fn registrant() -> Registrant {
    let id = "dyn-1".parse().unwrap();
    Registrant { id, narrowing: Narrowing::default(), issued_at: Timestamp(1_800_000_000_000) }
}

fn read_as(document: &Value, registrant: &Registrant, policy: &Policy) -> Result<Registered, Failure> {
    let scope = Scope::parse("openid profile email phone offline_access roles").unwrap();
    let offered = Capabilities { verified: &["RS256", "PS256", "ES256", "EdDSA"], scope: &scope };
    read(document.as_object().unwrap(), registrant, policy, &offered)
}

fn run(document: &Value) -> Result<Registered, (&'static str, Option<&'static str>)> {
    read_as(document, &registrant(), &policy()).map_err(|failure| (failure.reason, failure.about))
}

fn with(member: &str, value: Value) -> Value {
    let mut document = json!({"redirect_uris": ["https://rp.test/cb"]});
    document[member] = value;
    document
}

#[test]
fn the_least_that_can_be_registered_has_the_defaults_of_the_specification() {
    let registered = run(&json!({"redirect_uris": ["https://rp.test/cb"]})).unwrap();
    let client = &registered.client;
    assert_eq!(client.auth_methods, [AuthMethod::ClientSecretBasic].into());
    assert_eq!(client.grant_types, [GrantType::AuthorizationCode].into());
    assert_eq!(client.scope.to_string(), "email offline_access openid profile");
    assert_eq!(client.name, "rp.test");
    assert!(!client.first_party && client.require_pkce && client.secret_hashes.is_empty());
    assert_eq!(registered.application_type, ApplicationType::Web);
    let mut open = policy();
    open.require_pkce = false;
    let relaxed = |method| {
        let document = with("token_endpoint_auth_method", json!(method));
        read_as(&document, &registrant(), &open).unwrap().client.require_pkce
    };
    assert!(!relaxed("client_secret_post") && relaxed("none"), "public clients never go without");
}

#[test]
fn every_member_is_taken() {
    let document = json!({
        "redirect_uris": ["https://rp.test/cb", "https://rp.test/other?x=1"],
        "post_logout_redirect_uris": ["https://rp.test/bye"],
        "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token"],
        "application_type": "web",
        "client_name": "Portal",
        "client_name#de": "Portal auf Deutsch",
        "client_uri": "https://rp.test/",
        "logo_uri": "https://rp.test/logo.png",
        "policy_uri": "https://rp.test/policy",
        "tos_uri": "https://rp.test/tos",
        "contacts": ["ops@rp.test"],
        "jwks_uri": "https://rp.test/jwks",
        "scope": "openid email",
        "subject_type": "pairwise",
        "sector_identifier_uri": "https://rp.test/sector.json",
        "id_token_signed_response_alg": "ES256",
        "userinfo_signed_response_alg": "RS256",
        "request_object_signing_alg": "PS256",
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "default_max_age": 3600,
        "require_auth_time": true,
        "default_acr_values": ["mfa"],
        "initiate_login_uri": "https://rp.test/login",
        "request_uris": ["https://rp.test/request.jwt#hash"],
        "backchannel_logout_uri": "https://rp.test/back",
        "backchannel_logout_session_required": true,
        "frontchannel_logout_uri": "https://rp.test/front",
        "frontchannel_logout_session_required": true,
        "require_pushed_authorization_requests": true,
        "require_signed_request_object": true,
        "software_id": "4NRB1-0XZABZI9E6-5SM3R",
        "software_version": "2.1",
        "an_unknown_one": {"is": ["ignored"]},
    });
    let registered = run(&document).unwrap();
    let shown = show(&registered);
    for (member, value) in document.as_object().unwrap() {
        let known = !matches!(member.as_str(), "client_name#de" | "an_unknown_one");
        let expected = if member == "scope" { json!("email openid") } else { value.clone() };
        assert_eq!(shown.get(member), known.then_some(&expected), "{member}");
    }
    assert_eq!(run(&Value::Object(shown)).unwrap(), registered, "read again it is the same");
}

#[test]
fn oauth_009_oauth_010_oauth_011_addresses_that_cannot_be_registered() {
    for bad in [
        "https://rp.test/cb#x",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "http://rp.test/cb",
        "http://localhost.evil.test/cb",
        "https://*.rp.test/cb",
        "https://u@rp.test/cb",
        "com.example.app:/cb",
        "/cb",
        "",
    ] {
        let refused = run(&json!({"redirect_uris": ["https://rp.test/cb", bad]})).unwrap_err();
        assert_eq!(refused, ("registration.redirect_uri", Some("redirect_uris")), "{bad}");
        let refused = run(&with("post_logout_redirect_uris", json!([bad]))).unwrap_err();
        assert_eq!(refused, ("registration.redirect_uri", Some("post_logout_redirect_uris")), "{bad}");
    }
    let failure = read_as(&json!({"redirect_uris": ["https://rp.test/cb#"]}), &registrant(), &policy());
    assert_eq!(failure.unwrap_err().code, OAuthCode::InvalidRedirectUri);
    for good in ["https://rp.test/cb?x=1", "http://localhost:3000/cb", "http://127.0.0.1/cb"] {
        assert!(run(&json!({"redirect_uris": [good]})).is_ok(), "{good}");
    }
}

#[test]
fn native_apps_may_have_schemes_of_their_own_if_they_are_public() {
    let native = |method| {
        json!({
            "redirect_uris": ["com.example.app:/cb", "http://127.0.0.1/cb"],
            "application_type": "native",
            "token_endpoint_auth_method": method,
        })
    };
    assert!(run(&native("none")).is_ok());
    assert_eq!(run(&native("client_secret_basic")).unwrap_err().0, "registration.redirect_uri");
}

#[test]
fn oauth_105_addresses_of_pages_are_web_addresses() {
    for member in [
        "client_uri",
        "logo_uri",
        "policy_uri",
        "tos_uri",
        "initiate_login_uri",
        "jwks_uri",
        "sector_identifier_uri",
        "backchannel_logout_uri",
        "frontchannel_logout_uri",
    ] {
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "http://rp.test/",
            "rp.test",
            "https://rp.test/\u{202e}",
        ] {
            let refused = run(&with(member, json!(bad))).unwrap_err();
            assert_eq!(refused, ("registration.metadata", Some(member)), "{bad}");
        }
        assert!(run(&with(member, json!("https://rp.test/x"))).is_ok(), "{member}");
    }
}

#[test]
fn what_is_not_offered_or_malformed_is_refused_by_name() {
    for (member, value, reason) in [
        ("response_types", json!(["code", "token"]), "registration.not_offered"),
        ("response_types", json!(["id_token"]), "registration.not_offered"),
        ("response_types", json!([]), "registration.not_offered"),
        ("grant_types", json!(["implicit"]), "registration.not_offered"),
        ("grant_types", json!(["password"]), "registration.not_offered"),
        ("grant_types", json!(["client_credentials"]), "registration.policy"),
        ("grant_types", json!("authorization_code"), "registration.metadata"),
        ("token_endpoint_auth_method", json!("client_secret_jwt"), "registration.not_offered"),
        ("token_endpoint_auth_method", json!("tls_client_auth"), "registration.not_offered"),
        ("token_endpoint_auth_method", json!(1), "registration.metadata"),
        ("token_endpoint_auth_signing_alg", json!("none"), "registration.not_offered"),
        ("token_endpoint_auth_signing_alg", json!("HS256"), "registration.not_offered"),
        ("id_token_signed_response_alg", json!("none"), "registration.not_offered"),
        ("userinfo_signed_response_alg", json!("HS256"), "registration.not_offered"),
        ("request_object_signing_alg", json!("none"), "registration.not_offered"),
        ("id_token_encrypted_response_alg", json!("RSA-OAEP"), "registration.not_offered"),
        ("userinfo_encrypted_response_enc", json!("A256GCM"), "registration.not_offered"),
        ("request_object_encryption_alg", json!("RSA-OAEP"), "registration.not_offered"),
        ("authorization_signed_response_alg", json!("RS256"), "registration.not_offered"),
        ("dpop_bound_access_tokens", json!(true), "registration.not_offered"),
        ("subject_type", json!("secret"), "registration.metadata"),
        ("application_type", json!("desktop"), "registration.metadata"),
        ("scope", json!("a\"b"), "registration.metadata"),
        ("scope", json!("roles admin"), "registration.policy"),
        ("scope", json!(["openid"]), "registration.metadata"),
        ("client_name", json!(""), "registration.metadata"),
        ("client_name", json!("a\nb"), "registration.metadata"),
        ("client_name", json!("x".repeat(101)), "registration.metadata"),
        ("contacts", json!(["a\nb"]), "registration.metadata"),
        ("contacts", json!(vec!["a"; 21]), "registration.metadata"),
        ("jwks", json!("{}"), "registration.metadata"),
        ("default_max_age", json!(-1), "registration.metadata"),
        ("default_max_age", json!("60"), "registration.metadata"),
        ("default_max_age", json!(1.5), "registration.metadata"),
        ("require_auth_time", json!("yes"), "registration.metadata"),
        ("default_acr_values", json!(["a b"]), "registration.metadata"),
        ("request_uris", json!(["http://rp.test/r"]), "registration.metadata"),
        ("initiate_login_uri", json!("http://localhost:1/login"), "registration.metadata"),
        ("frontchannel_logout_uri", json!("https://other.test/front"), "registration.metadata"),
        ("software_id", json!("a\u{0}b"), "registration.metadata"),
        ("redirect_uris", json!("https://rp.test/cb"), "registration.metadata"),
        ("redirect_uris", json!([1]), "registration.metadata"),
        ("redirect_uris", json!([]), "registration.rules"),
        ("redirect_uris", json!(vec!["https://rp.test/cb"; 51]), "registration.metadata"),
        ("redirect_uris", json!([format!("https://rp.test/{}", "x".repeat(2048))]), "registration.metadata"),
    ] {
        assert_eq!(
            run(&with(member, value.clone())).unwrap_err(),
            (reason, Some(member)),
            "{member} {value}"
        );
    }
    for (member, value) in [
        ("dpop_bound_access_tokens", json!(false)),
        ("id_token_encrypted_response_alg", Value::Null),
        ("scope", json!("openid admin")),
        ("require_auth_time", json!("true")),
        ("software_statement", json!("e30.e30.")),
    ] {
        assert!(run(&with(member, value.clone())).is_ok(), "the valid twin: {member} {value}");
    }
    let both = json!({"redirect_uris": ["https://rp.test/cb"], "jwks": {"keys": []}, "jwks_uri": "https://rp.test/k"});
    assert_eq!(run(&both).unwrap_err(), ("registration.metadata", Some("jwks_uri")));
    let keyless = with("token_endpoint_auth_method", json!("private_key_jwt"));
    assert_eq!(run(&keyless).unwrap_err().0, "registration.rules");
}

#[test]
fn a_pairwise_client_of_several_hosts_names_its_sector() {
    let mut document = json!({
        "redirect_uris": ["https://a.test/cb", "https://b.test/cb"], "subject_type": "pairwise",
    });
    assert_eq!(run(&document).unwrap_err(), ("registration.metadata", Some("sector_identifier_uri")));
    document["sector_identifier_uri"] = json!("https://c.test/list");
    assert!(run(&document).is_ok());
}

#[test]
fn a_token_leaves_less_than_the_policy_and_never_more() {
    let mut registrant = registrant();
    registrant.narrowing = Narrowing {
        grant_types: Some([GrantType::AuthorizationCode, GrantType::ClientCredentials].into()),
        scope: Some(Scope::parse("openid roles").unwrap()),
        redirect_hosts: ["*.shop.test".parse().unwrap()].into(),
    };
    let ask = |document: &Value| read_as(document, &registrant, &policy()).map_err(|failure| failure.reason);
    let good = json!({"redirect_uris": ["https://a.shop.test/cb"]});
    assert_eq!(ask(&good).unwrap().client.scope.to_string(), "openid");
    for (member, value, reason) in [
        ("redirect_uris", json!(["https://rp.test/cb"]), "registration.redirect_uri"),
        ("post_logout_redirect_uris", json!(["https://rp.test/bye"]), "registration.redirect_uri"),
        ("grant_types", json!(["authorization_code", "refresh_token"]), "registration.policy"),
        ("grant_types", json!(["client_credentials"]), "registration.policy"),
        ("scope", json!("email"), "registration.policy"),
    ] {
        let mut document = good.clone();
        document[member] = value.clone();
        assert_eq!(ask(&document).unwrap_err(), reason, "{member} {value}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e9..1.0e9f64).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "https://rp.test/cb",
            "http://localhost:1/cb",
            "https://rp.test/cb#x",
            "javascript:alert(1)",
            "com.example.app:/cb",
            "code",
            "none",
            "native",
            "pairwise",
            "RS256",
            "private_key_jwt",
            "client_secret_post",
            "authorization_code",
            "refresh_token",
            "openid email",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Documents with members that we know, of any value.
fn any_document() -> impl Strategy<Value = Value> {
    let members = vec![
        "redirect_uris",
        "post_logout_redirect_uris",
        "response_types",
        "grant_types",
        "application_type",
        "client_name",
        "client_uri",
        "logo_uri",
        "contacts",
        "jwks",
        "jwks_uri",
        "scope",
        "subject_type",
        "sector_identifier_uri",
        "id_token_signed_response_alg",
        "userinfo_signed_response_alg",
        "token_endpoint_auth_method",
        "token_endpoint_auth_signing_alg",
        "default_max_age",
        "require_auth_time",
        "default_acr_values",
        "request_uris",
        "frontchannel_logout_uri",
        "software_id",
        "client_id",
        "first_party",
    ];
    let sound = prop_oneof![
        Just(json!(["https://rp.test/cb"])),
        Just(json!(["https://rp.test/cb", "http://127.0.0.1/cb"])),
        Just(json!(["com.example.app:/cb"])),
        any_json(),
    ];
    let some = proptest::collection::btree_map(prop::sample::select(members), any_json(), 0..5);
    (sound, some).prop_map(|(uris, some)| {
        let mut document: Map<String, Value> =
            some.into_iter().map(|(member, value)| (member.to_owned(), value)).collect();
        document.entry("redirect_uris").or_insert(uris);
        Value::Object(document)
    })
}

proptest! {
    /// Laws: whatever is sent, it is refused as a request that cannot be honoured, or makes a client that keeps all
    /// rules, is not ours, may do no more than the policy says, and reads back the same from what is shown of it.
    #[test]
    fn any_document_is_refused_or_makes_a_client_by_the_rules(document in any_document(), strict: bool) {
        let mut policy = policy();
        policy.require_pkce = strict;
        match read_as(&document, &registrant(), &policy) {
            Err(failure) => {
                prop_assert_eq!(failure.code.status(), 400);
                prop_assert!(failure.about.is_some());
            }
            Ok(registered) => {
                let client = &registered.client;
                prop_assert_eq!(registration::client(client), Ok(()));
                prop_assert!(!client.first_party && client.assignments.is_empty() && client.id.as_str() == "dyn-1");
                prop_assert!(client.scope.is_subset(&policy.scope));
                prop_assert!(client.grant_types.is_subset(&policy.grant_types));
                prop_assert!(client.require_pkce || !client.is_public() && !strict);
                let again = read_as(&Value::Object(show(&registered)), &registrant(), &policy);
                prop_assert_eq!(again.map_err(|failure| failure.reason), Ok(registered.clone()));
                let stored: Registered = serde_json::from_str(&serde_json::to_string(&registered).unwrap()).unwrap();
                prop_assert_eq!(stored, registered);
            }
        }
    }
}
