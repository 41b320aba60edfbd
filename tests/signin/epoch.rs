//! Time that is set, and databases that come back: what was ended stays ended.

use crate::house::*;
use countersign::flow::App;
use countersign::flow::admin::Desk;
use countersign::store::{Store, StoreError};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const DAY: i64 = 24 * 3600 * 1000;
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const SECRET: &str = "first-secret-of-the-tests-0123456789";

async fn call(house: &House, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let form: Vec<(&str, &str)> =
        [("client_id", "first"), ("client_secret", SECRET)].iter().chain(form).copied().collect();
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let answer = reqwest::Client::new()
        .post(house.at(path))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

pub async fn redeem(house: &House, back: &Url) -> (u16, Value) {
    let code = parameter(back, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "http://localhost:8084/callback"),
        ("code_verifier", VERIFIER),
    ];
    call(house, "/token", &form).await
}

pub async fn refresh(house: &House, token: &str) -> (u16, Value) {
    call(house, "/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

pub async fn is_active(house: &House, token: &str) -> bool {
    call(house, "/introspect", &[("token", token)]).await.1["active"].as_bool().unwrap()
}

pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}")).to_owned()
}

fn request(house: &House) -> String {
    authorize(house, "first", &[("scope", "openid email offline_access")])
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_029_nothing_lives_longer_when_the_clock_is_set() {
    for set in [-DAY, DAY] {
        let house = House::open().await;
        let mut alice = Visitor::new();
        // One sign-in is complete, one has a code, one is at the provider when the clock is set.
        let back = sign_in(&house, &mut alice, "globex", &request(&house)).await;
        let tokens = redeem(&house, &back).await.1;
        let (access, offline) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let code = alice.get(&request(&house)).await.location();
        let mut bob = Visitor::new();
        let away = depart(&house, &mut bob, "friendbook", &request(&house)).await;
        house.set_clock(set);
        if set > 0 {
            // Put forward, the clock is believed: what lives for less than a day is over.
            assert!(!is_active(&house, &access).await);
            assert_eq!(redeem(&house, &code).await.1["error"], "invalid_grant");
            assert_eq!(bob.get(&approval(&house, &away)).await.status, 400);
        } else {
            // Put back, nothing changes.
            assert!(is_active(&house, &access).await);
            assert_eq!(redeem(&house, &code).await.0, 200);
        }
        let health = Visitor::new().get(&format!("{}/health", house.management)).await.body;
        let health: Value = serde_json::from_str(&health).unwrap();
        assert_eq!(health["status"], if set < 0 { "clock_behind" } else { "ok" }, "{health}");
        assert_eq!(
            (health["clock"]["steps"].as_u64(), health["clock"]["last_step_seconds"].as_f64()),
            (Some(1), Some(set as f64 / 1000.0))
        );
        let metrics = Visitor::new().get(&format!("{}/metrics", house.management)).await.body;
        assert!(metrics.contains("countersign_clock_lead_seconds"), "{metrics}");

        // What is issued now, with the clock set wrong, is over after its life too, when it is right again.
        let tokens = match refresh(&house, &offline).await {
            (200, tokens) => tokens,
            (_, refused) => panic!("{refused}"),
        };
        let (access, offline) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let life = tokens["expires_in"].as_u64().unwrap();
        assert!(is_active(&house, &access).await, "the valid twin");
        house.set_clock(-set);
        assert!(is_active(&house, &access).await);
        // One part in a hundred is what catching up may cost.
        house.wait(Duration::from_secs(life + life / 50));
        assert!(!is_active(&house, &access).await, "{set}");
        assert_eq!(refresh(&house, &offline).await.0, 200, "the valid twin: it lives for longer");
    }
}

/// A copy of the database as a backup takes it.
async fn backup(house: &House) -> Vec<u8> {
    let path = house.folder.path().join("backup.sqlite3");
    use diesel::connection::SimpleConnection as _;
    use diesel::{Connection as _, SqliteConnection};
    let mut conn =
        SqliteConnection::establish(house.folder.path().join("countersign.sqlite3").to_str().unwrap())
            .unwrap();
    conn.batch_execute(&format!("VACUUM INTO '{}'", path.display())).unwrap();
    std::fs::read(&path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_033_what_was_ended_after_the_backup_stays_ended() {
    let mut house = House::open().await;
    let mut alice = Visitor::new();
    let back = sign_in(&house, &mut alice, "globex", &request(&house)).await;
    let tokens = redeem(&house, &back).await.1;
    let (access, offline) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    let unused = alice.get(&request(&house)).await.location();
    let mut bob = Visitor::new();
    let away = depart(&house, &mut bob, "friendbook", &request(&house)).await;
    house.app.remember().await.unwrap();
    let saved = backup(&house).await;

    // In the gap: a token is revoked, a code and a refresh token are used, a state is used.
    house.wait(Duration::from_secs(20));
    house.app.remember().await.unwrap();
    assert_eq!(redeem(&house, &unused).await.0, 200);
    assert_eq!(refresh(&house, &offline).await.0, 200);
    let answer = approval(&house, &away);
    let before_the_answer = bob.clone();
    assert_eq!(bob.get(&answer).await.status, 303);
    assert_eq!(call(&house, "/revoke", &[("token", &access)]).await.0, 200);
    assert!(!is_active(&house, &access).await);
    let mut late = Visitor::new();
    let begun = depart(&house, &mut late, "friendbook", &request(&house)).await;

    // The backup comes back, and is found out by what stands beside it.
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("countersign.sqlite3");
    std::fs::write(&file, &saved).unwrap();
    std::fs::copy(
        house.folder.path().join("countersign.sqlite3.seen"),
        place.path().join("countersign.sqlite3.seen"),
    )
    .unwrap();
    let now = house.app.now();
    let mut settings = (*now.settings).clone();
    settings.database = countersign::config::settings::Database::Sqlite { path: file, readers: 1 };
    let settings = Arc::new(settings);
    let store = Store::open(&settings.database).unwrap();
    let context = house.app.context.clone();
    let start = || App::start(context.clone(), store.clone(), settings.clone(), now.upstreams.clone());
    let refused = start().await.map(drop).unwrap_err();
    assert_eq!(refused.reason, "database.restored");

    let desk = Desk {
        context: context.clone(),
        store: store.clone(),
        settings: settings.clone(),
        providers: BTreeSet::new(),
        admin: "olga".to_owned(),
    };
    house.wait(Duration::from_secs(1));
    let ended = desk.new_epoch("the disk broke").await.unwrap();
    assert!(ended.sessions >= 1 && ended.grants >= 2 && ended.keys >= 3, "{ended:?}");
    let app = start().await.unwrap();
    house.serve_instead(app).await;
    assert!(!is_active(&house, &access).await, "revoked in the gap");
    assert!(!is_active(&house, &text(&tokens, "id_token")).await);
    assert_eq!(refresh(&house, &offline).await.1["error"], "invalid_grant", "used in the gap");
    assert_eq!(redeem(&house, &unused).await.1["error"], "invalid_grant", "used in the gap");
    let mut bob = before_the_answer;
    let again = bob.get(&answer).await;
    assert_eq!(again.status, 400, "a state that was used in the gap");
    assert_eq!(late.get(&approval(&house, &begun)).await.status, 400);
    let reasons: Vec<String> = house.refusals().await.into_iter().map(|r| r.refusal.reason).collect();
    assert!(reasons.iter().filter(|reason| *reason == "flow.epoch").count() == 1, "{reasons:?}");
    // The session is over; the person and what they may do are still there.
    let list = alice.get(&authorize(&house, "first", &[])).await.location();
    assert_eq!(list.path(), "/sign-in", "nobody is signed in");
    let events = house.events().await;
    assert!(events.iter().any(|(kind, _)| kind == "epoch.begun"), "{events:?}");

    // The valid twin: the same backup is served where it is the newest that was seen.
    let twin = tempfile::tempdir().unwrap();
    let file = twin.path().join("countersign.sqlite3");
    std::fs::write(&file, &saved).unwrap();
    let mut settings = (*now.settings).clone();
    settings.database = countersign::config::settings::Database::Sqlite { path: file, readers: 1 };
    let store = Store::open(&settings.database).unwrap();
    let app = App::start(context, store, Arc::new(settings), now.upstreams.clone()).await.unwrap();
    house.serve_instead(app).await;
    assert!(is_active(&house, &access).await, "nothing here knows of the gap: hence the mark");
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_033_a_database_that_goes_back_beneath_us_is_noticed() {
    let house = House::open().await;
    house.app.remember().await.unwrap();
    assert_eq!(house.app.database_problem(), None, "the valid twin");
    let write = |seen: i64| {
        house.app.store.write::<_, StoreError, _>(move |tx| tx.put_meta("seen_at", &seen.to_string()))
    };
    write(house.now().0 - 1).await.unwrap();
    house.app.remember().await.unwrap();
    assert!(house.app.database_problem().unwrap().contains("database.restored"));
    let mut visitor = Visitor::new();
    let ready = visitor.get(&format!("{}/ready", house.management)).await;
    assert_eq!(ready.status, 503, "{ready:?}");
    let health = visitor.get(&format!("{}/health", house.management)).await;
    assert!(health.body.contains("database_restored"), "{health:?}");
    let metrics = visitor.get(&format!("{}/metrics", house.management)).await.body;
    assert!(metrics.contains("countersign_database_restored"), "{metrics}");
}
