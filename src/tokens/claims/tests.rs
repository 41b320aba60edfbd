use super::*;
use crate::accounts::{AccountEmail, AccountStatus, EmailAddress, EmailProof};
use crate::accounts::{Address, Profile};
use crate::clients::metadata::{ClaimShape, ClaimShapes};
use crate::ids::AccountId;
use crate::protocol::claims::{PERSONAL, Wish, Wishes, scope_of};
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
        emails: vec![AccountEmail { address, proof, lapsed: None, primary: true }],
        created_at: Timestamp(0),
        updated_at: Timestamp(7_999),
    }
}
/// A client that may have everything.
fn client(claims_in_id_token: bool) -> Client {
    let scope = scope("openid profile email address phone groups roles permissions");
    Client { claims_in_id_token, scope, ..crate::clients::tests::client("app") }
}
fn access() -> Access {
    Access {
        groups: ["engineers".parse().unwrap()].into(),
        roles: ["editor".parse().unwrap()].into(),
        permissions: ["notes:write".parse().unwrap()].into(),
    }
}
fn authentication() -> AuthenticationClaims {
    AuthenticationClaims::new(Some(Timestamp(5_500)), Some("1"), &["pwd".into(), "otp".into()])
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
    id_wanting(account, client, scope, &ClaimsRequest::default())
}
fn id_wanting(account: &Account, client: &Client, scope: &Scope, claims: &ClaimsRequest) -> IdTokenClaims {
    id_token(&IdTokenFacts {
        issuer: ISSUER,
        account,
        sub: "alice-0001",
        client,
        scope,
        claims,
        nonce: Some("n"),
        sid: "session-1",
        authentication: &authentication(),
        access_token: Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
        access: &access(),
        now: Timestamp(10_900),
        lifetime: Duration::from_secs(60),
    })
}

fn info_for(account: &Account, scope: &Scope, access: &Access) -> UserinfoClaims {
    userinfo(account, "alice-0001", &client(false), scope, &ClaimsRequest::default(), access)
}
/// A wish for each of these claims, in both places.
fn wanting(claims: &[&str]) -> ClaimsRequest {
    let wishes: Wishes = claims.iter().map(|&claim| (claim.to_owned(), Wish::default())).collect();
    ClaimsRequest { id_token: wishes.clone(), userinfo: wishes }
}
/// Somebody of whom everything is known.
fn whole() -> Account {
    let text = || Some("x".to_owned());
    let profile = Profile {
        name: text(),
        given_name: text(),
        family_name: text(),
        middle_name: text(),
        nickname: text(),
        preferred_username: text(),
        profile: text(),
        picture: text(),
        website: text(),
        gender: text(),
        birthdate: text(),
        zoneinfo: text(),
        locale: text(),
        phone_number: Some("+49 30 1".to_owned()),
        address: Some(Address { country: Some("DE".to_owned()), ..Address::default() }),
        name_by_person: false,
    };
    account(profile, Some(EmailProof::Code))
}

#[test]
fn oidcc_scope_all_gives_every_claim_of_the_specification() {
    let all = scope("openid profile email address phone groups roles permissions");
    let info = serde_json::to_value(info_for(&whole(), &all, &access())).unwrap();
    for (claim, _) in PERSONAL {
        assert!(info.get(claim).is_some(), "{claim}");
    }
    assert_eq!(info.as_object().unwrap().len(), PERSONAL.len() + 1, "and `sub`: {info}");
    assert_eq!(info["address"], json!({"country": "DE"}));
    assert_eq!(info["phone_number_verified"], json!(false), "nobody proved it to us");
}

#[test]
fn single_claims_are_told_where_they_were_asked_for() {
    let (account, openid) = (whole(), scope("openid"));
    let asked = ClaimsRequest {
        id_token: [("name".to_owned(), Wish::default())].into(),
        userinfo: [("phone_number".to_owned(), Wish { essential: true, values: vec![] })].into(),
    };
    let id = serde_json::to_value(id_wanting(&account, &client(false), &openid, &asked)).unwrap();
    let info = userinfo(&account, "alice-0001", &client(false), &openid, &asked, &access());
    let info = serde_json::to_value(info).unwrap();
    assert_eq!((id.get("name"), id.get("phone_number")), (Some(&json!("x")), None));
    assert_eq!(info, json!({"sub": "alice-0001", "phone_number": "+49 30 1"}));
    let plain =
        userinfo(&account, "alice-0001", &client(false), &scope("groups"), &asked, &Access::default());
    assert!(serde_json::to_value(plain).unwrap().get("phone_number").is_none(), "they go with openid");
}

#[test]
fn a_value_that_is_not_the_persons_is_not_told() {
    let with = |value: Value| {
        let wish = Wish { essential: true, values: vec![value] };
        let asked =
            ClaimsRequest { userinfo: [("name".to_owned(), wish)].into(), ..ClaimsRequest::default() };
        let info = userinfo(&whole(), "alice-0001", &client(false), &scope("openid"), &asked, &access());
        serde_json::to_value(info).unwrap().get("name").is_some()
    };
    assert!(with(json!("x")) && !with(json!("y")) && !with(json!(["x"])) && !with(Value::Null));
}

#[test]
fn shapes_are_the_clients_and_access_tokens_keep_the_usual_form() {
    let shaped = |name: &str, prefix: Option<&str>, only: &[&str]| ClaimShape {
        name: Some(name.to_owned()),
        prefix: prefix.map(str::to_owned),
        only: only.iter().map(|&text| text.to_owned()).collect(),
    };
    let shapes = ClaimShapes {
        groups: shaped("teams", Some("corp/"), &[]),
        permissions: shaped("urn:rights", None, &["mail:"]),
        ..ClaimShapes::default()
    };
    let client = Client { shapes, ..client(true) };
    let all = scope("openid groups roles permissions");
    let id = serde_json::to_value(id_for(&whole(), &client, &all)).unwrap();
    let info = userinfo(&whole(), "alice-0001", &client, &all, &ClaimsRequest::default(), &access());
    for told in [id, serde_json::to_value(info).unwrap()] {
        assert_eq!(told["teams"], json!(["corp/engineers"]));
        assert_eq!(told["roles"], json!(["editor"]));
        assert_eq!(told["urn:rights"], json!([]), "none is told that the filter does not take");
        assert!(told.get("groups").is_none() && told.get("permissions").is_none());
    }
    let token = token_for(Subject::Client, &all, &["urn:a"]);
    assert_eq!(token["groups"], json!(["engineers"]));
}

#[test]
fn an_access_token_says_what_rfc_9068_demands() {
    let authentication = authentication();
    let person = Subject::Account { sub: "alice-0001", authentication: &authentication };
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
    let none = info_for(&account, &scope("openid"), &access());
    assert_eq!(serde_json::to_value(none).unwrap(), json!({"sub": "alice-0001"}));
    let email = info_for(&account, &scope("openid email"), &access());
    assert_eq!(
        serde_json::to_value(email).unwrap(),
        json!({"sub": "alice-0001", "email": "alice@x.test", "email_verified": true})
    );
    let nobody = Account { emails: Vec::new(), ..account };
    let empty = info_for(&nobody, &scope("openid email roles"), &Access::default());
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
    let authentication = authentication();
    let subject = Subject::Account { sub: "alice-0001", authentication: &authentication };
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

fn any_shape() -> impl Strategy<Value = ClaimShape> {
    let name = prop_oneof![
        Just("sub".to_owned()),
        Just("iss".to_owned()),
        Just("nonce".to_owned()),
        Just("email".to_owned()),
        Just("email_verified".to_owned()),
        Just("groups".to_owned()),
        Just("roles".to_owned()),
        Just("teams".to_owned()),
        ".{0,6}",
    ];
    (prop::option::of(name), prop::option::of(".{0,4}"), prop::collection::btree_set(".{0,2}", 0..3))
        .prop_map(|(name, prefix, only)| ClaimShape { name, prefix, only })
}

proptest! {
    /// Laws 1 and 2 for everything that a client can ask for or be registered with: no claims request and no
    /// shape, not even one that registration would have refused, adds, changes or shadows a claim of the
    /// protocol; a claim about a person is there exactly if its scope or an allowed wish lets it.
    #[test]
    fn link_043_neither_wishes_nor_shapes_reach_the_protocol(
        inside in any::<bool>(),
        granted in proptest::sample::subsequence(
            vec!["openid", "profile", "email", "address", "phone", "groups", "roles", "permissions"], 0..=8),
        limit in proptest::sample::subsequence(
            vec!["openid", "profile", "email", "address", "phone", "groups", "roles", "permissions"], 0..=8),
        wishes in proptest::sample::subsequence(
            PERSONAL.iter().map(|(claim, _)| *claim).chain(["sub", "acr", "auth_time", "iss"]).collect::<Vec<_>>(),
            0..=10),
        groups in any_shape(), roles in any_shape(), permissions in any_shape(),
    ) {
        let (granted, limit) = (scope(&granted.join(" ")), scope(&limit.join(" ")));
        let shapes = ClaimShapes { groups, roles, permissions };
        let client = Client { scope: limit.clone(), shapes: shapes.clone(), ..client(inside) };
        let asked = wanting(&wishes);
        let id = serde_json::to_vec(&id_wanting(&whole(), &client, &granted, &asked)).unwrap();
        let info = userinfo(&whole(), "alice-0001", &client, &granted, &asked, &access());
        let id = crate::jose::json::object(&id).expect("no claim occurs twice");
        let info = crate::jose::json::object(&serde_json::to_vec(&info).unwrap()).expect("no claim occurs twice");
        let bare = serde_json::to_value(id_for(&whole(), &self::client(false), &scope("openid"))).unwrap();
        for (name, value) in bare.as_object().unwrap() {
            prop_assert_eq!(id.get(name), Some(value), "{}", name);
        }
        prop_assert_eq!(info.get("sub"), Some(&json!("alice-0001")));
        for name in ["iss", "aud", "exp", "iat", "nonce", "sid", "auth_time", "acr", "amr", "at_hash"] {
            prop_assert!(!info.contains_key(name), "{}", name);
        }
        let mut known: BTreeSet<&str> = ["sub"].into();
        for (claim, behind) in PERSONAL {
            let name = shapes.of(claim).map_or(*claim, |shape| shape.name(claim));
            known.insert(name);
            let wished = |openid: bool| openid && limit.contains(behind) && wishes.contains(claim);
            let open = granted.contains(behind) || wished(granted.contains("openid"));
            // two shapes of one name, which registration refuses, tell the first
            if shapes.check().is_ok() || shapes.of(claim).is_none() {
                prop_assert_eq!(info.contains_key(name), open, "{}", name);
                prop_assert_eq!(
                    id.contains_key(name), (inside && granted.contains(behind)) || wished(true), "{}", name);
            }
        }
        prop_assert!(info.keys().all(|name| known.contains(name.as_str())), "{:?}", info);
        prop_assert!(scope_of("sub").is_none());
    }

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
        let info = serde_json::to_vec(&info_for(&account, &scope, &access())).unwrap();
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
