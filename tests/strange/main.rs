//! Strange requests: malformed, oversized, repeated and shuffled parameters, in the wrong place, with the wrong
//! headers, by the wrong method, at every endpoint of a whole broker over HTTP. Whatever a stranger sends, the answer
//! is a proper one (a page, a redirect to a registered address, JSON with a registered error code), never a 5xx and
//! never silence; and afterwards a person signs in as before.
//!
//! `COUNTERSIGN_STRANGE_REQUESTS` says how many requests are made; with it they are different ones each time. Without
//! it there are a few thousand, always the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod endpoints;
#[path = "../support/house.rs"]
mod house;
mod judge;
mod requests;
mod sockets;
#[path = "../support/standin.rs"]
mod standin;

use endpoints::{ENDPOINTS, Seeds};
use house::{House, Visitor, authorize, parameter, sign_in};
use judge::judge;
use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use requests::{Request, request};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Requests of one batch; between two batches somebody signs in.
const BATCH: usize = 500;
/// Without the environment variable.
const USUAL: usize = 4000;
/// At most so many at the same moment.
const AT_ONCE: usize = 6;
/// A debug build under load answers in milliseconds; longer than this is a hang.
const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "first-secret-of-the-tests-0123456789";

/// The house with everything that has an endpoint switched on.
async fn open() -> House {
    House::with(|config, providers| (config + endpoints::MORE, providers)).await
}

/// A whole sign-in by Globex and what follows it; gives what strangers would like to have.
async fn normal_sign_in(house: &House) -> Seeds {
    let mut visitor = Visitor::new();
    let scope = ("scope", "openid email groups offline_access");
    let begun = Visitor::new().get(&authorize(house, "first", &[])).await.location();
    let app = sign_in(house, &mut visitor, "globex", &authorize(house, "first", &[scope])).await;
    let code = parameter(&app, "code").unwrap_or_else(|| panic!("a code for the app, not {app}"));
    let basic = basic("first", SECRET);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = |pairs: &[(&str, &str)]| {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    };
    let answer = http
        .post(house.at("/token"))
        .header("authorization", &basic)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", "http://localhost:8084/callback"),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ]))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200, "the code gives tokens");
    let tokens: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let token = |name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("{name}: {tokens}")).to_owned();
    let userinfo = http.get(house.at("/userinfo")).bearer_auth(token("access_token")).send().await.unwrap();
    assert_eq!(userinfo.status().as_u16(), 200, "the access token opens userinfo");
    Seeds {
        code,
        access_token: token("access_token"),
        refresh_token: token("refresh_token"),
        id_token: token("id_token"),
        flow: parameter(&begun, "flow").unwrap(),
        session: visitor.session().unwrap().clone(),
        basic,
    }
}

/// The credentials of `client_secret_basic`.
fn basic(client: &str, secret: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{client}:{secret}")))
}

/// How often each status came.
type Tally = Mutex<BTreeMap<u16, usize>>;

/// Sends these at once, and judges each answer.
async fn try_all(
    house: &House,
    http: &reqwest::Client,
    batch: &[Request],
    tally: &Tally,
) -> Result<(), String> {
    let answers = batch.iter().map(|request| async move {
        let Some(answer) = request.send(http, &house.origin).await? else { return Ok(()) };
        *tally.lock().unwrap().entry(answer.status).or_default() += 1;
        judge(house, request, &answer).map_err(|why| format!("{why}\n{request:#?}\n{answer:#?}"))
    });
    futures_util::future::try_join_all(answers).await.map(|_| ())
}

#[test]
fn whatever_strangers_send_gets_a_proper_answer_and_people_still_sign_in() {
    let asked = std::env::var("COUNTERSIGN_STRANGE_REQUESTS").ok();
    let total: usize = asked.as_ref().map_or(USUAL, |count| count.parse().expect("a number of requests"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let house = runtime.block_on(open());
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .unwrap();
    let algorithm = RngAlgorithm::ChaCha;
    let mut rng = match asked {
        Some(_) => TestRng::from_seed(algorithm, &rand_seed()),
        None => TestRng::deterministic_rng(algorithm),
    };
    let mut seeds = runtime.block_on(normal_sign_in(&house));
    let people = runtime.block_on(house.accounts()).len();
    let tally = Tally::default();
    let mut sent = 0;
    while sent < total {
        let strategy = vec(request(&seeds), 1..=AT_ONCE);
        let config =
            Config { cases: (BATCH * 2 / AT_ONCE) as u32, failure_persistence: None, ..Config::default() };
        let count = std::cell::Cell::new(0);
        let mut runner = TestRunner::new_with_rng(config, rng.clone());
        let outcome = runner.run(&strategy, |batch| {
            count.set(count.get() + batch.len());
            runtime.block_on(try_all(&house, &http, &batch, &tally)).map_err(TestCaseError::fail)
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(reason, smallest)) => {
                panic!("after {sent} requests: {reason}\nsmallest: {smallest:#?}")
            }
            Err(error) => panic!("{error}"),
        }
        sent += count.get();
        rng = runner.new_rng();
        seeds = runtime.block_on(normal_sign_in(&house));
    }
    let tally = tally.into_inner().unwrap();
    println!(
        "{sent} strange requests at {} endpoints, each with a proper answer: {tally:?}",
        ENDPOINTS.len()
    );
    // Requests of which all are refused at the door would try little of the house.
    for status in [200, 303, 400, 401, 405] {
        let count = tally.get(&status).copied().unwrap_or_default();
        assert!(count * 500 > sent, "only {count} of {sent} were answered with {status}: {tally:?}");
    }
    assert_eq!(runtime.block_on(house.accounts()).len(), people, "strangers made no accounts");
}

/// A seed that is another one each time.
fn rand_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).unwrap();
    println!("seed: {seed:?}");
    seed
}
