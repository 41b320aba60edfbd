//! Does the time of a refusal tell anything about a client or its secret? A benchmark and no test: it measures, and
//! what it measures depends on the machine. `cargo bench --bench secret_timing`
//!
//! Two kinds of refusals at a time are measured in alternation and compared by Welch's t, after the slowest tenth of
//! each was left out. |t| below 4.5 is what dudect (Reparaz et al., 2017) takes for no leak found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use countersign::clients::{Client, Credentials};
use countersign::config::{Inputs, load};
use countersign::protocol::Parameters;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: usize = 200_000;
const SECRET: &str = "0123456789abcdef0123456789ABCDEF-the-real-one";

fn client() -> Client {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countersign.toml");
    let text = "issuer = \"https://id.test\"\nmaster_key = \"env:MASTER\"\n[[client]]\nid = \"app\"\n\
        secret = \"env:SECRET\"\nredirect_uris = \"https://a.test/cb\"\n";
    std::fs::write(&file, text).unwrap();
    let env = |name: &str| match name {
        "MASTER" => Some("CKJazu8f9vdMNehKHTFxoYmOD6pGVuOWBHEkQ5nevXk".to_owned()),
        "SECRET" => Some(SECRET.to_owned()),
        _ => None,
    };
    let loaded = load(&Inputs { env: Arc::new(env), ..Inputs::new(file, None) });
    let loaded = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
    loaded.settings.clients.values().next().unwrap().clone()
}

/// Mean and variance of the mean, in nanoseconds, without the slowest tenth.
fn summary(times: &mut Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    times.truncate(times.len() / 10 * 9);
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

fn compare(name: &str, one: impl Fn() -> bool, other: impl Fn() -> bool) {
    let timed = |check: &dyn Fn() -> bool| {
        let start = Instant::now();
        let passed = black_box(check());
        let time = start.elapsed();
        assert!(!passed, "a refusal is measured");
        time.as_nanos() as f64
    };
    let (mut first, mut second) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        first.push(timed(&one));
        second.push(timed(&other));
    }
    let ((a, va), (b, vb)) = (summary(&mut first), summary(&mut second));
    let t = (a - b) / (va + vb).sqrt();
    println!(
        "{name:<44} {a:8.0} ns {b:8.0} ns   t = {t:6.2}{}",
        if t.abs() < 4.5 { "" } else { "   look at this" }
    );
}

fn main() {
    let client = client();
    let refused = |secret: &str, known: bool| {
        let form = format!("client_id=app&client_secret={secret}");
        let client = known.then(|| client.clone());
        move || {
            let parameters = Parameters::decode(&form).unwrap();
            let credentials = Credentials::parse(None, &parameters).unwrap();
            credentials.verify_client(client.as_ref()).is_ok()
        }
    };
    let wrong_at = |place: usize| {
        let mut secret: Vec<u8> = SECRET.bytes().collect();
        secret[place] ^= 1;
        String::from_utf8(secret).unwrap()
    };
    println!("{ROUNDS} of each; equal times are the wish");
    compare("the same twice (what noise is)", refused(&wrong_at(0), true), refused(&wrong_at(0), true));
    compare("unknown client | wrong secret", refused(&wrong_at(0), false), refused(&wrong_at(0), true));
    compare(
        "first letter wrong | last letter wrong",
        refused(&wrong_at(0), true),
        refused(&wrong_at(40), true),
    );
    compare(
        "nothing right | all but one letter right",
        refused(&"x".repeat(SECRET.len()), true),
        refused(&wrong_at(40), true),
    );
}
