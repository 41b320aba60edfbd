//! One-time things, used fifty times at once, on both databases.

use crate::assertions::{by_value, fresh, keyed, post};
use crate::house::{Answer, House};
use crate::standin::Key;
use std::sync::{Arc, LazyLock};

const AT_ONCE: usize = 50;
const GRACE: &str = "\n[tokens]\nrefresh_grace = \"30s\"\n";

/// Turns each law into a test for each database.
macro_rules! laws {
    ($($law:ident $more:expr;)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                super::$law(crate::house::House::with($more).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                if let Some(house) = crate::house::House::on_postgres($more).await {
                    super::$law(house).await;
                }
            })*
        }
    };
}
laws! {
    one_of_fifty_uses_an_assertion &super::keyed_client();
    one_of_fifty_redeems_a_code "";
    one_of_fifty_rotates_a_refresh_token "";
    within_the_grace_fifty_get_one_successor super::GRACE;
}

/// The key of the client `portal`.
fn key() -> &'static Key {
    static KEY: LazyLock<Key> = LazyLock::new(|| Key::ec("e"));
    &KEY
}

fn keyed_client() -> String {
    keyed("portal", &by_value(&[key()]))
}

/// Asks fifty times at once; the answers that succeeded. All others were `invalid_grant`.
async fn at_once<F>(house: &Arc<House>, ask: impl Fn(Arc<House>) -> F) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    at_once_or(house, (400, "invalid_grant"), ask).await
}

/// Asks fifty times at once; the answers that succeeded. All others were this error.
async fn at_once_or<F>(house: &Arc<House>, error: (u16, &str), ask: impl Fn(Arc<House>) -> F) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let tries: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(ask(house.clone()))).collect();
    let mut won = Vec::new();
    for one in tries {
        let answer = one.await.unwrap();
        match answer.status {
            200 => won.push(answer),
            _ => assert_eq!(answer.error(), (error.0, error.1.to_owned())),
        }
    }
    won
}

/// OAUTH-055, at once.
async fn one_of_fifty_uses_an_assertion(house: House) {
    let house = Arc::new(house);
    let assertion = fresh(&house, key(), "portal");
    let won = at_once_or(&house, (401, "invalid_client"), |house| {
        let assertion = assertion.clone();
        async move { post(&house, "/token", &assertion, &[("grant_type", "client_credentials")]).await }
    })
    .await;
    assert_eq!(won.len(), 1);
}

async fn one_of_fifty_redeems_a_code(house: House) {
    let house = Arc::new(house);
    let alice = house.sign_in("alice").await;
    let code = house.code(&alice, "web", "openid").await;
    let won = at_once(&house, |house| {
        let code = code.clone();
        async move { house.redeem("web", &code).await }
    })
    .await;
    assert_eq!(won.len(), 1);
    let token = won[0].text("access_token");
    assert!(!house.is_active("api", &token).await, "the other forty-nine revoked it");
}

async fn refreshed_at_once(house: &Arc<House>) -> Vec<Answer> {
    let alice = house.sign_in("alice").await;
    let token = house.tokens(&alice, "web", "openid offline_access").await.text("refresh_token");
    at_once(house, |house| {
        let token = token.clone();
        async move { house.refresh("web", &token).await }
    })
    .await
}

async fn one_of_fifty_rotates_a_refresh_token(house: House) {
    let house = Arc::new(house);
    let won = refreshed_at_once(&house).await;
    assert_eq!(won.len(), 1);
    let next = house.refresh("web", &won[0].text("refresh_token")).await;
    assert_eq!(next.error(), (400, "invalid_grant".to_owned()), "the family ended");
}

async fn within_the_grace_fifty_get_one_successor(house: House) {
    let house = Arc::new(house);
    let won = refreshed_at_once(&house).await;
    assert_eq!(won.len(), AT_ONCE);
    let successor = won[0].text("refresh_token");
    assert!(won.iter().all(|answer| answer.text("refresh_token") == successor), "never a second one");
    assert_eq!(house.refresh("web", &successor).await.status, 200);
}
