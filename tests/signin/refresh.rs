//! What later sign-ins change in a profile (`profile_refresh`), and whose word counts for a fresh proof
//! (`freshness`).

use crate::house::*;
use countersign::accounts::Profile;
use serde_json::json;

/// Friendbook with this setting.
async fn house(setting: &str) -> House {
    House::with(|config, providers| {
        (config, providers.replacen("id = \"friendbook\"", &format!("id = \"friendbook\"\n{setting}"), 1))
    })
    .await
}

/// The profile after each of these sign-ins of one person, as (name, nickname).
async fn after(house: &House, sign_ins: &[serde_json::Value]) -> Vec<(Option<String>, Option<String>)> {
    let mut seen = Vec::new();
    for said in sign_ins {
        let mut person = json!({ "id": "1001" });
        person.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        house.friendbook.script().person = person;
        sign_in(house, &mut Visitor::new(), "friendbook", &authorize(house, "first", &[])).await;
        let accounts = house.accounts().await;
        assert_eq!(accounts.len(), 1);
        let Profile { name, nickname, .. } = accounts[0].profile.clone();
        seen.push((name, nickname));
    }
    seen
}

#[tokio::test]
async fn each_setting_of_profile_refresh_does_what_it_says() {
    let sign_ins = [
        json!({ "name": "Ann", "nickname": "annie" }),
        json!({ "name": "Ann Other" }),
        json!({ "nickname": "an" }),
    ];
    let some = |name: &str, nickname: &str| {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (text(name), text(nickname))
    };
    for (setting, expected) in [
        // by default what is said no more is gone
        ("", [some("Ann", "annie"), some("Ann Other", ""), some("", "an")]),
        ("profile_refresh = \"always\"", [some("Ann", "annie"), some("Ann Other", ""), some("", "an")]),
        (
            "profile_refresh = \"keep\"",
            [some("Ann", "annie"), some("Ann Other", "annie"), some("Ann Other", "an")],
        ),
        ("profile_refresh = \"once\"", [some("Ann", "annie"), some("Ann", "annie"), some("Ann", "annie")]),
        ("profile_refresh = \"never\"", [some("", ""), some("", ""), some("", "")]),
    ] {
        let house = house(setting).await;
        assert_eq!(after(&house, &sign_ins).await, expected, "{setting}");
    }
}

#[tokio::test]
async fn a_provider_that_says_nothing_does_not_unsay_what_another_one_said() {
    let house = house("").await;
    // One person by both providers: Globex joins the account that holds its address with proof.
    sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[])).await;
    let before = house.accounts().await.remove(0);
    assert_eq!(before.profile.name.as_deref(), Some("Alice Adams"));
    let key = countersign::accounts::IdentityKey {
        provider: countersign::ids::ProviderId::new("friendbook").unwrap(),
        issuer: "friendbook".to_owned(),
        subject: "1001".to_owned(),
        format: String::new(),
    };
    let identity = countersign::accounts::Identity {
        id: house.app.context.identity_id(),
        account: before.id.clone(),
        key,
        label: None,
        linked_at: house.now(),
        last_used_at: house.now(),
    };
    house
        .app
        .store
        .write::<_, countersign::store::StoreError, _>(move |tx| tx.insert_identity(&identity))
        .await
        .unwrap();
    house.globex.script().person = json!({
        "sub": "alice-subject", "nickname": "al", "email": "alice@globex.example", "email_verified": true,
    });
    sign_in(&house, &mut Visitor::new(), "globex", &authorize(&house, "first", &[])).await;
    let after = house.accounts().await.remove(0);
    assert_eq!(
        (after.profile.name.as_deref(), after.profile.nickname.as_deref()),
        (Some("Alice Adams"), Some("al"))
    );
}

#[tokio::test]
async fn a_fresh_proof_is_shown_or_trusted_as_the_setting_says() {
    let demand = [("prompt", "login")];
    // Plain OAuth 2.0 shows no time: where a fresh proof is demanded, it is not offered.
    let proved = house("").await;
    let mut ann = Visitor::new();
    let to = ann.get(&authorize(&proved, "first", &demand)).await.location();
    assert!(to.as_str().starts_with(proved.globex.origin()), "the only one that is left: {to}");
    // Where its word is trusted, it is, and the app is told no time that nobody has shown.
    let trusted = house("freshness = \"trusted\"").await;
    let mut ann = Visitor::new();
    let request = depart(&trusted, &mut ann, "friendbook", &authorize(&trusted, "first", &demand)).await;
    let back = ann.get(&approval(&trusted, &request)).await.location();
    let code = parameter(&ann.get(back.as_str()).await.location(), "code").expect("a code");
    let answer = ann
        .post_from(
            &trusted.at("/token"),
            &[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", "http://localhost:8084/callback"),
                ("client_id", "first"),
                ("client_secret", "first-secret-of-the-tests-0123456789"),
                ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            ],
            None,
            None,
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    use base64::Engine as _;
    let payload = body["id_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert!(claims.get("auth_time").is_none(), "{claims}");
}
