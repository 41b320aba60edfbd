use super::*;
use crate::accounts::{AccountEmail, AccountStatus, EmailAddress, EmailProof};
use crate::clients::Origin;
use proptest::prelude::*;
use serde_json::{Value, json};

const ISSUER: &str = "https://id.test";

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}
fn account(profile: Profile, proof: Option<EmailProof>) -> Account {
    let address = EmailAddress::parse("alice@x.test").unwrap();
    Account {
        id: AccountId::new("alice-0001").unwrap(),
        status: AccountStatus::Active,
        profile,
        emails: vec![AccountEmail { address, proof, primary: true }],
        created_at: Timestamp(0),
        updated_at: Timestamp(7_999),
    }
}
fn client(claims_in_id_token: bool) -> Client {
    Client {
        id: ClientId::new("app").unwrap(),
        name: "App".into(),
        auth_methods: BTreeSet::new(),
        secret_hashes: Vec::new(),
        redirect_uris: BTreeSet::new(),
        post_logout_redirect_uris: BTreeSet::new(),
        origins: BTreeSet::new(),
        grant_types: BTreeSet::new(),
        scope: Scope::empty(),
        resources: BTreeSet::new(),
        first_party: false,
        require_pkce: true,
        id_token_alg: SigningAlg::RS256,
        access_token_alg: SigningAlg::RS256,
        claims_in_id_token,
        assignments: BTreeSet::new(),
        access_token_lifetime: None,
        refresh_token_lifetime: None,
        default_provider: None,
        providers: BTreeSet::new(),
        home_uri: None,
        keys: None,
        assertions: Default::default(),
        requests: Default::default(),
        sign_in: Default::default(),
        logout: Default::default(),
        subjects: Default::default(),
        shapes: Default::default(),
        userinfo_alg: None,
        about: Default::default(),
        disabled: false,
        origin: Origin::Declared,
    }
}
fn access() -> Access {
    Access {
        groups: ["engineers".parse().unwrap()].into(),
        roles: ["editor".parse().unwrap()].into(),
        permissions: ["notes:write".parse().unwrap()].into(),
    }
}
fn authentication() -> AuthenticationClaims {
    AuthenticationClaims::new(Timestamp(5_500), Some("1"), &["pwd".into(), "otp".into()])
}
fn token_for(subject: Subject<'_>, scope: &Scope, resources: &[&str]) -> Value {
    let resources = resources.iter().map(|r| (*r).to_owned()).collect();
    let claims = access_token(&AccessTokenFacts {
        issuer: ISSUER,
        subject,
        client: &ClientId::new("app").unwrap(),
        scope,
        resources: &resources,
        jti: "g.r",
        access: &access(),
        now: Timestamp(10_900),
        lifetime: Duration::from_secs(60),
    });
    serde_json::to_value(claims).unwrap()
}
fn id_for(account: &Account, client: &Client, scope: &Scope) -> IdTokenClaims {
    id_token(&IdTokenFacts {
        issuer: ISSUER,
        account,
        client,
        scope,
        nonce: Some("n"),
        session: &SessionId::new("session-1").unwrap(),
        authentication: &authentication(),
        access_token: Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
        access: &access(),
        now: Timestamp(10_900),
        lifetime: Duration::from_secs(60),
    })
}

#[test]
fn an_access_token_says_what_rfc_9068_demands() {
    let (account, authentication) = (AccountId::new("alice-0001").unwrap(), authentication());
    let person = Subject::Account { account: &account, authentication: &authentication };
    assert_eq!(
        token_for(person, &scope("openid groups permissions"), &["urn:demo:api"]),
        json!({
            "iss": ISSUER, "sub": "alice-0001", "aud": ["urn:demo:api", ISSUER], "exp": 70, "iat": 10,
            "jti": "g.r", "client_id": "app", "scope": "groups openid permissions", "auth_time": 5,
            "acr": "1", "amr": ["pwd", "otp"], "groups": ["engineers"], "permissions": ["notes:write"],
        })
    );
    assert_eq!(
        token_for(Subject::Client, &scope("roles"), &["urn:demo:api"]),
        json!({
            "iss": ISSUER, "sub": "app", "aud": "urn:demo:api", "exp": 70, "iat": 10, "jti": "g.r",
            "client_id": "app", "scope": "roles", "roles": ["editor"],
        })
    );
}

#[test]
fn the_userinfo_audience_goes_with_openid() {
    let aud =
        |text: &str, resources: &[&str]| token_for(Subject::Client, &scope(text), resources)["aud"].clone();
    assert_eq!(aud("openid", &[]), json!(ISSUER));
    assert_eq!(aud("", &[]), json!(ISSUER));
    assert_eq!(aud("", &["urn:a", "urn:b"]), json!(["urn:a", "urn:b"]));
    assert_eq!(aud("openid", &["urn:a", ISSUER]), json!([ISSUER, "urn:a"]));
}

#[test]
fn an_id_token_has_no_profile_unless_the_client_wants_it() {
    let account = account(Profile { name: Some("Alice".into()), ..Profile::default() }, None);
    let all = scope("openid profile email groups roles permissions");
    let bare = json!({
        "iss": ISSUER, "sub": "alice-0001", "aud": "app", "exp": 70, "iat": 10, "nonce": "n",
        // the example of OIDC Core appendix A.4
        "at_hash": "77QmUPtjPfzWtF2AnpK9RQ",
        "sid": "session-1", "auth_time": 5, "acr": "1", "amr": ["pwd", "otp"],
    });
    assert_eq!(serde_json::to_value(id_for(&account, &client(false), &all)).unwrap(), bare);
    let mut full = bare;
    for (name, value) in [
        ("name", json!("Alice")),
        ("updated_at", json!(7)),
        ("email", json!("alice@x.test")),
        ("email_verified", json!(false)),
        ("groups", json!(["engineers"])),
        ("roles", json!(["editor"])),
        ("permissions", json!(["notes:write"])),
    ] {
        full[name] = value;
    }
    assert_eq!(serde_json::to_value(id_for(&account, &client(true), &all)).unwrap(), full);
    let openid = serde_json::to_value(id_for(&account, &client(true), &scope("openid"))).unwrap();
    assert_eq!(openid.get("name").or(openid.get("email")).or(openid.get("groups")), None);
}

#[test]
fn the_hash_follows_the_algorithm() {
    assert_eq!(left_half_hash("x", SigningAlg::RS256), left_half_hash("x", SigningAlg::ES256));
    assert_eq!(left_half_hash("x", SigningAlg::RS256).len(), 22);
    assert_eq!(left_half_hash("x", SigningAlg::EdDSA).len(), 43);
}

#[test]
fn userinfo_follows_the_scope() {
    let account = account(Profile::default(), Some(EmailProof::Code));
    let none = userinfo(&account, &scope("openid"), &access());
    assert_eq!(serde_json::to_value(none).unwrap(), json!({"sub": "alice-0001"}));
    let email = userinfo(&account, &scope("openid email"), &access());
    assert_eq!(
        serde_json::to_value(email).unwrap(),
        json!({"sub": "alice-0001", "email": "alice@x.test", "email_verified": true})
    );
    let nobody = Account { emails: Vec::new(), ..account };
    let empty = userinfo(&nobody, &scope("openid email roles"), &Access::default());
    assert_eq!(serde_json::to_value(empty).unwrap(), json!({"sub": "alice-0001", "roles": []}));
}

#[test]
fn a_token_id_leads_back_to_its_grant() {
    let grant = GrantId::new("grant-0001").unwrap();
    assert_eq!(grant_of(&token_id(Some(&grant), "r")), Ok(Some(grant)));
    assert_eq!(grant_of(&token_id(None, "r")), Ok(None));
    for bad in ["", ".", "cc", "cc.", "grant-0001", "x.r", "a b c d e f.r"] {
        assert_eq!(grant_of(bad), Err(()), "{bad}");
    }
}

#[test]
fn what_was_signed_reads_back() {
    let account = AccountId::new("alice-0001").unwrap();
    let authentication = authentication();
    let subject = Subject::Account { account: &account, authentication: &authentication };
    for value in [
        token_for(subject, &scope("openid groups"), &["urn:a"]),
        token_for(Subject::Client, &scope("roles"), &["urn:a"]),
    ] {
        let read: AccessTokenClaims = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), value);
    }
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let text = || prop::option::of(prop_oneof![".*", Just("\",\"sub\":\"mallory".to_owned())]);
    (text(), text(), text(), text(), text()).prop_map(|(name, given_name, nickname, picture, locale)| {
        Profile { name, given_name, nickname, picture, locale, ..Profile::default() }
    })
}

proptest! {
    /// Laws 1 to 3: whatever the profile says, the protocol's claims are what the facts say, every claim
    /// occurs once, each stands behind its scope, and only a proof makes an address verified.
    #[test]
    fn a_profile_never_reaches_the_protocol(
        profile in any_profile(),
        proved in any::<bool>(),
        inside in any::<bool>(),
        scopes in proptest::sample::subsequence(
            vec!["openid", "profile", "email", "groups", "roles", "permissions"], 0..=6),
    ) {
        let scope = scope(&scopes.join(" "));
        let account = account(profile, proved.then_some(EmailProof::Code));
        let id = serde_json::to_vec(&id_for(&account, &client(inside), &scope)).unwrap();
        let info = serde_json::to_vec(&userinfo(&account, &scope, &access())).unwrap();
        let id = crate::jose::json::object(&id).expect("no claim occurs twice");
        let info = crate::jose::json::object(&info).expect("no claim occurs twice");
        for (name, value) in [
            ("iss", json!(ISSUER)), ("sub", json!("alice-0001")), ("aud", json!("app")), ("exp", json!(70)),
            ("iat", json!(10)), ("nonce", json!("n")), ("sid", json!("session-1")), ("auth_time", json!(5)),
        ] {
            prop_assert_eq!(id.get(name), Some(&value));
            prop_assert!(name == "sub" || !info.contains_key(name));
        }
        prop_assert_eq!(info.get("sub"), Some(&json!("alice-0001")));
        for (name, behind) in [
            ("updated_at", "profile"), ("email", "email"), ("email_verified", "email"),
            ("groups", "groups"), ("roles", "roles"), ("permissions", "permissions"),
        ] {
            prop_assert_eq!(info.contains_key(name), scope.contains(behind));
            prop_assert_eq!(id.contains_key(name), inside && scope.contains(behind));
        }
        for name in ["name", "given_name", "nickname", "picture", "locale"] {
            prop_assert!(!info.contains_key(name) || scope.contains("profile"));
            prop_assert!(!id.contains_key(name) || (inside && scope.contains("profile")));
        }
        if let Some(verified) = info.get("email_verified") {
            prop_assert_eq!(verified, &json!(proved));
        }
    }

    /// Law 4: an audience is exactly the resources, and ours exactly if it is needed.
    #[test]
    fn an_audience_is_complete(
        resources in proptest::collection::btree_set("[a-c]{1,2}", 0..4),
        openid in any::<bool>(),
    ) {
        let scope = scope(if openid { "openid" } else { "" });
        let list: Vec<&str> = resources.iter().map(String::as_str).collect();
        let read: AccessTokenClaims =
            serde_json::from_value(token_for(Subject::Client, &scope, &list)).unwrap();
        let audience: BTreeSet<String> = read.aud.iter().map(str::to_owned).collect();
        prop_assert_eq!(audience.len(), read.aud.iter().count());
        let mut expected = resources.clone();
        if openid || resources.is_empty() {
            expected.insert(ISSUER.to_owned());
        }
        prop_assert_eq!(audience, expected);
    }
}
