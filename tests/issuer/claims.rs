//! What ID tokens and userinfo say of a person: by scope, by single claims (OIDC Core §5.4, §5.5), and in the
//! client's own shape.

use crate::house::{Answer, CALLBACK, House, SignedIn, claims, encode};
use countersign::accounts::{Address, Profile};
use serde_json::{Value, json};

const PROFILE: [&str; 14] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
];

/// Alice, of whom everything is known.
async fn alice(house: &House) -> SignedIn {
    let alice = house.sign_in("alice").await;
    let text = |text: &str| Some(text.to_owned());
    let profile = Profile {
        name: text("Alice Ahlgren"),
        given_name: text("Alice"),
        family_name: text("Ahlgren"),
        middle_name: text("Astrid"),
        nickname: text("Ali"),
        preferred_username: text("alice"),
        profile: text("https://people.test/alice"),
        picture: text("https://people.test/alice.png"),
        website: text("https://alice.test/"),
        gender: text("female"),
        birthdate: text("1986-04-12"),
        zoneinfo: text("Europe/Stockholm"),
        locale: text("sv-SE"),
        phone_number: text("+46 8 5550 1001"),
        address: Some(Address {
            locality: text("Stockholm"),
            formatted: text("1 St\nStockholm"),
            ..Default::default()
        }),
        name_by_person: false,
    };
    let (account, now) = (alice.account.clone(), countersign::context::Clock::now(&*house.clock));
    house.write(move |tx| tx.update_profile(&account, &profile, now)).await;
    alice
}

/// The ID token's claims, and userinfo's.
async fn told(
    house: &House,
    person: &SignedIn,
    client: &str,
    scope: &str,
    request: &Value,
) -> (Value, Value) {
    let request = request.to_string();
    let more = [("claims", request.as_str())];
    let code = house.code_with(person, client, scope, if request == "null" { &[] } else { &more }).await;
    both(house, &house.redeem(client, &code).await).await
}

async fn both(house: &House, tokens: &Answer) -> (Value, Value) {
    let info = house.userinfo(&tokens.text("access_token")).await;
    assert_eq!(info.status, 200, "{info:?}");
    (claims(&tokens.text("id_token")), info.json())
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// An authorization request's error.
async fn refused(house: &House, person: &SignedIn, client: &str, more: &[(&str, &str)]) -> String {
    let mut query = vec![
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    query.extend(more);
    let answer = house.get(&format!("/authorize?{}", encode(&query)), &[("cookie", &person.cookie)]).await;
    answer.redirect(CALLBACK)["error"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_scope_profile_email_address_phone_and_all() {
    let house = House::open().await;
    let alice = alice(&house).await;
    for (scope, expected) in [
        ("profile", PROFILE.to_vec()),
        ("email", vec!["email", "email_verified"]),
        ("address", vec!["address"]),
        ("phone", vec!["phone_number", "phone_number_verified"]),
    ] {
        let (id, info) = told(&house, &alice, "everything", &format!("openid {scope}"), &Value::Null).await;
        let mut expected: Vec<&str> = expected.into_iter().chain(["sub"]).collect();
        expected.sort_unstable();
        assert_eq!(names(&info), expected, "{scope}");
        assert!(expected.iter().all(|name| *name == "sub" || id.get(name).is_none()), "{scope}: {id}");
    }
    let all = "openid profile email address phone";
    let (_, info) = told(&house, &alice, "everything", all, &Value::Null).await;
    assert_eq!(names(&info).len(), 1 + PROFILE.len() + 5);
    assert_eq!(info["address"], json!({"formatted": "1 St\nStockholm", "locality": "Stockholm"}));
    assert_eq!(info["phone_number_verified"], json!(false), "nobody proved it to us");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_wants_it_has_its_claims_in_the_id_token_and_its_twin_has_not() {
    let house = House::open().await;
    let alice = alice(&house).await;
    let scope = "openid profile email address phone groups roles permissions";
    let (inside, info) = told(&house, &alice, "inside", scope, &Value::Null).await;
    let (outside, same) = told(&house, &alice, "everything", scope, &Value::Null).await;
    assert_eq!(info, same);
    for (name, value) in info.as_object().unwrap() {
        assert_eq!(inside.get(name), Some(value), "{name}");
        assert!(name == "sub" || outside.get(name).is_none(), "{name}");
    }
    assert_eq!(inside["groups"], json!(["engineers"]));
    let (narrow, _) = told(&house, &alice, "inside", "openid email", &Value::Null).await;
    assert_eq!((narrow.get("name"), narrow.get("groups")), (None, None), "only what was granted");
    assert_eq!(narrow["email"], "alice@globex.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_claims_essential() {
    let house = House::open().await;
    let alice = alice(&house).await;
    let request = json!({"userinfo": {"name": {"essential": true}}});
    let (id, info) = told(&house, &alice, "everything", "openid", &request).await;
    assert_eq!(info, json!({"sub": alice.account.as_str(), "name": "Alice Ahlgren"}));
    assert!(id.get("name").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn single_claims_go_where_they_were_asked_for_and_stay_with_the_grant() {
    let house = House::open().await;
    let alice = alice(&house).await;
    let request = json!({
        "id_token": {"email": null, "groups": {"essential": true}, "auth_time": {"essential": true}},
        "userinfo": {"phone_number": {"essential": true}, "address": null, "nickname": {"value": "Somebody"},
            "shoe_size": {"essential": true}, "iss": null},
    });
    let text = request.to_string();
    let scope = "openid offline_access";
    let code = house.code_with(&alice, "everything", scope, &[("claims", text.as_str())]).await;
    let tokens = house.redeem("everything", &code).await;
    let (id, info) = both(&house, &tokens).await;
    assert_eq!((&id["email"], &id["groups"]), (&json!("alice@globex.example"), &json!(["engineers"])));
    assert_eq!(id["auth_time"], 1_800_000_000);
    assert!(id.get("phone_number").is_none() && id.get("email_verified").is_none());
    assert_eq!(names(&info), ["address", "phone_number", "sub"], "not Somebody's nickname");
    let again = house.refresh("everything", &tokens.text("refresh_token")).await;
    let (id_again, info_again) = both(&house, &again).await;
    assert_eq!(info_again, info);
    assert_eq!((&id_again["email"], &id_again["auth_time"]), (&id["email"], &id["auth_time"]));
    assert!(id_again.get("nonce").is_none());
    let bob = house.sign_in("bob").await;
    let (_, of_bob) =
        told(&house, &bob, "everything", scope, &json!({"userinfo": {"phone_number": null}})).await;
    assert_eq!(names(&of_bob), ["sub"], "what is not known is no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn link_043_a_claims_request_gives_nothing_beyond_the_clients_scopes() {
    let house = House::open().await;
    let alice = alice(&house).await;
    let wanted = json!({"userinfo": {"email": {"essential": true}, "name": null, "groups": null}});
    let (_, info) = told(&house, &alice, "other", "openid", &wanted).await;
    assert_eq!(names(&info), ["sub"], "it may ask for openid alone");
    let (_, info) = told(&house, &alice, "everything", "openid", &wanted).await;
    assert_eq!(names(&info), ["email", "groups", "name", "sub"], "the valid twin");
    let protocol = json!({"id_token": {"iss": {"value": "https://evil.test"}, "aud": {"value": "evil"},
        "exp": {"value": 9_999_999_999_i64}, "nonce": {"value": "x"}, "sid": {"value": "x"}}});
    let (id, _) = told(&house, &alice, "everything", "openid", &protocol).await;
    assert_eq!(
        (&id["iss"], &id["aud"], &id["nonce"]),
        (&json!(house.issuer), &json!("everything"), &json!("n1"))
    );
    assert_eq!(id["sid"], alice.session.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_claims_request_is_told_to_the_app() {
    let house = House::open().await;
    let alice = alice(&house).await;
    let deep = format!("{{\"userinfo\":{}{}}}", "{\"x\":".repeat(9), "null}".repeat(9));
    for bad in
        ["{", "[]", "null", r#"{"userinfo":{"name":1}}"#, r#"{"id_token":{"sub":null,"sub":null}}"#, &deep]
    {
        assert_eq!(
            refused(&house, &alice, "everything", &[("claims", bad)]).await,
            "invalid_request",
            "{bad}"
        );
    }
    let (_, info) =
        told(&house, &alice, "everything", "openid", &json!({"userinfo": {"x": null}, "y": 1})).await;
    assert_eq!(names(&info), ["sub"], "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_030_a_subject_that_is_asked_for_is_the_one_who_comes_or_nobody() {
    let house = House::open().await;
    let (alice, bob) = (house.sign_in("alice").await, house.sign_in("bob").await);
    for place in ["id_token", "userinfo"] {
        let sub = json!({(place): {"sub": {"value": alice.account.as_str()}}});
        let (id, _) = told(&house, &alice, "everything", "openid", &sub).await;
        assert_eq!(id["sub"], alice.account.as_str(), "the valid twin");
        let sub = sub.to_string();
        let silent = [("claims", sub.as_str()), ("prompt", "none")];
        assert_eq!(refused(&house, &bob, "everything", &silent).await, "login_required");
    }
    let nobody =
        json!({"id_token": {"sub": {"value": "a"}}, "userinfo": {"sub": {"value": "b"}}}).to_string();
    assert_eq!(refused(&house, &alice, "everything", &[("claims", nobody.as_str())]).await, "login_required");
    // beside a hint, both must hold
    let hint = house.tokens(&alice, "everything", "openid").await.text("id_token");
    let of_bob = json!({"id_token": {"sub": {"value": bob.account.as_str()}}}).to_string();
    let two = [("id_token_hint", hint.as_str()), ("claims", of_bob.as_str())];
    for person in [&alice, &bob] {
        assert_eq!(refused(&house, person, "everything", &two).await, "login_required");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_essential_context_that_nobody_can_reach_is_unmet_and_a_voluntary_one_is_no_error() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let acr = |essential: bool| json!({"id_token": {"acr": {"essential": essential, "values": ["gold"]}}});
    let must = acr(true).to_string();
    let unmet = refused(&house, &alice, "everything", &[("claims", must.as_str())]).await;
    assert_eq!(unmet, "unmet_authentication_requirements");
    for voluntary in
        [acr(false), json!({"id_token": {"acr": {"essential": true}}}), json!({"id_token": {"acr": null}})]
    {
        let (id, _) = told(&house, &alice, "everything", "openid", &voluntary).await;
        assert!(id.get("acr").is_none(), "nobody made one up");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_come_in_the_clients_shape_and_access_tokens_keep_theirs() {
    let house = House::open().await;
    let alice = house.sign_in("alice").await;
    let tokens = house.tokens(&alice, "shaped", "openid groups roles permissions").await;
    let info = claims(&house.userinfo(&tokens.text("access_token")).await.body);
    for told in [&claims(&tokens.text("id_token")), &info] {
        assert_eq!(told["https://shaped.test/teams"], json!(["corp/engineers"]));
        assert_eq!(told["roles"], json!(["editor"]));
        assert_eq!(told["permissions"], json!([]), "the filter takes none of them");
        assert!(told.get("groups").is_none());
    }
    let access = claims(&tokens.text("access_token"));
    assert_eq!((&access["groups"], &access["permissions"]), (&json!(["engineers"]), &json!(["notes:write"])));
    let seen = house.call("/introspect", "api", &[("token", &tokens.text("access_token"))]).await.json();
    assert_eq!(seen["groups"], json!(["engineers"]), "as APIs do everywhere");
    let wish = json!({"id_token": {"https://shaped.test/teams": null}});
    let (id, _) = told_signed(&house, &alice, "shaped", &wish).await;
    assert_eq!(id["https://shaped.test/teams"], json!(["corp/engineers"]), "asked for by its name");
}

async fn told_signed(house: &House, person: &SignedIn, client: &str, request: &Value) -> (Value, Value) {
    let code = house.code_with(person, client, "openid", &[("claims", &request.to_string())]).await;
    let tokens = house.redeem(client, &code).await;
    let info = house.userinfo(&tokens.text("access_token")).await;
    (claims(&tokens.text("id_token")), claims(&info.body))
}

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_discovery_names_what_can_be_asked_for() {
    let house = House::open().await;
    let document = house.get("/.well-known/openid-configuration", &[]).await.json();
    let list = |name: &str| {
        let values = document[name].as_array().unwrap_or_else(|| panic!("{name}: {document}"));
        values.iter().map(|value| value.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(document["claims_parameter_supported"], true);
    assert_eq!(list("subject_types_supported"), ["public", "pairwise"]);
    assert_eq!(list("claim_types_supported"), ["normal"]);
    assert!(list("userinfo_signing_alg_values_supported").contains(&"RS256".to_owned()));
    assert!(document.get("acr_values_supported").is_none(), "no provider is declared to reach one");
    for scope in ["address", "phone"] {
        assert!(list("scopes_supported").contains(&scope.to_owned()));
    }
    let alice = alice(&house).await;
    let scope = "openid profile email address phone groups roles permissions";
    let (id, info) = told(&house, &alice, "inside", scope, &Value::Null).await;
    for name in names(&id).into_iter().chain(names(&info)) {
        assert!(list("claims_supported").contains(&name.to_owned()), "{name}");
    }
}
