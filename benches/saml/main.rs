//! What SAML costs: an answer that is accepted, from the form's field to the mapped person, and what strangers can make
//! us compute before they are refused.
//!
//! `cargo bench --bench saml`, or `./dev bench saml` with other implementations beside it. Run by `cargo test`, it tries
//! the hostile messages that take the most memory once, and holds that against the bound, which no clock and no other process
//! changes; run as a benchmark, it tries all, and holds CPU and resident memory against theirs too. It fails where one is
//! exceeded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::panic
)]
#![allow(clippy::type_complexity, dead_code, reason = "parts of the tests' support are for others")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

#[path = "../../tests/saml/bench.rs"]
mod bench;
mod hostile;
mod measure;
#[path = "../../tests/saml/others.rs"]
mod others;
mod peers;
#[path = "../../tests/support/saml/mod.rs"]
mod saml;
#[path = "../../tests/support/standin.rs"]
mod standin;

use bench::{Bench, Open};
use countersign::context::Timestamp;
use countersign::failure::Failure;
use countersign::upstream::Vouched;
use hostile::Hostile;
use measure::{Cost, measure};
use saml::{Encryption, Key, Message, Script};
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// What a refusal may take: microseconds of CPU, and bytes.
const CPU: f64 = 50_000.0;
const MEMORY: usize = 8 * 1024 * 1024;

/// Names the message of which a child process tells the resident memory.
const CHILD: &str = "COUNTERSIGN_BENCH_RESIDENT";

type Case = (&'static str, fn(&mut Script));

/// What is accepted.
const ACCEPTED: &[Case] = &[
    ("assertion signed", |_| {}),
    ("response signed", |script| script.signed(false, true)),
    ("both signed", |script| script.signed(true, true)),
    ("assertion signed, encrypted (AES-256-GCM)", encrypted),
    ("both signed, 500 groups", |script| {
        script.signed(true, true);
        script.assertion.attributes[2].values = (0..500).map(|n| format!("group-{n}")).collect();
    }),
];

fn encrypted(script: &mut Script) {
    script.encrypt = Some(Encryption::to(Key::service().der()));
}

/// A broker with one provider, and the sign-in to which everything is an answer.
struct House {
    runtime: Runtime,
    bench: Bench,
    open: Open,
}

impl House {
    /// With the provider's certificates; it signs with the first.
    fn new(keys: &[Key]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bench = Bench::of(keys, "signed = \"either\"\nkey = \"env:KEY\"");
        // others know no other clock than the system's
        #[allow(clippy::disallowed_methods, reason = "this clock is theirs")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        bench.clock.set(Timestamp::from_secs(i64::try_from(now).unwrap()));
        let open = runtime.block_on(bench.begin());
        Self { runtime, bench, open }
    }

    fn finish(&self, message: &Message) -> Result<Vouched, Failure> {
        self.runtime.block_on(self.bench.finish(&self.open, message)).0
    }

    fn answer(&self, change: fn(&mut Script)) -> Message {
        let mut script = self.bench.script(&self.open);
        change(&mut script);
        Message::new(script.xml(), "csst_state")
    }

    fn accepts(&self, message: &Message) {
        self.finish(message).unwrap_or_else(|failure| panic!("{failure:?}"));
    }

    fn refuses(&self, message: &Message, hostile: &Hostile) -> &'static str {
        match self.finish(message) {
            Ok(_) => panic!("{}: accepted", hostile.name),
            Err(failure) => {
                let expected = hostile.reason.split('|').any(|reason| reason == failure.reason);
                assert!(expected, "{}: {failure:?}", hostile.name);
                failure.reason
            }
        }
    }
}

fn main() -> ExitCode {
    let house = House::new(&[Key::rsa(), Key::rsa_next()]);
    if let Ok(name) = std::env::var(CHILD) {
        return child(&house, &name);
    }
    let benchmark = std::env::args().any(|argument| argument == "--bench");
    let verifiers = if cfg!(feature = "xmlsec") { "bergshamra and libxmlsec1" } else { "bergshamra alone" };
    println!("SAML, verified by {verifiers}, RSA-2048 with SHA-256\n");
    if benchmark {
        accepted(&house);
    }
    let exceeding = refused(&house, benchmark);
    if exceeding.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nbeyond the bounds: {}", exceeding.join("; "));
    ExitCode::FAILURE
}

/// What a core of this machine can do at best: one verification of an RSA-2048 signature, and a digest of the text.
struct Machine {
    rsa: f64,
}

impl Machine {
    fn measure() -> Self {
        use aws_lc_rs::rand::SystemRandom;
        use aws_lc_rs::signature::{
            KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
        };
        let pem = Key::rsa();
        let der = {
            use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
            PrivatePkcs8KeyDer::from_pem_slice(pem.private_pem().as_bytes()).unwrap()
        };
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let text = [7_u8; 700];
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &text, &mut signature).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        let rsa = measure(|| {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public).verify(&text, &signature).unwrap();
        });
        println!(
            "of this machine: one RSA-2048 verification by aws-lc, with its key parsed, {:.1} µs ({:.1} to {:.1})\n",
            rsa.median, rsa.least, rsa.most
        );
        Self { rsa: rsa.median }
    }

    fn digest(text: &str) -> f64 {
        measure(|| {
            std::hint::black_box(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()));
        })
        .median
    }
}

fn accepted(house: &House) {
    let machine = Machine::measure();
    println!(
        "{:<44} {:>9} {:>8} {:>19} {:>8} {:>8} {:>9} {:>9}",
        "accepted", "bytes", "µs CPU", "least … most", "per s", "KiB", "× RSA", "× SHA-256"
    );
    let line = |name: &str, message: &Message, cost: &Cost| {
        println!(
            "{name:<44} {:>9} {:>8.0} {:>8.0} … {:>8.0} {:>8.0} {:>8} {:>9.1} {:>9.0}",
            message.xml.len(),
            cost.median,
            cost.least,
            cost.most,
            cost.per_second(),
            cost.heap / 1024,
            cost.median / machine.rsa,
            cost.median / Machine::digest(&message.xml),
        );
    };
    let mut costs = Vec::new();
    for (name, change) in ACCEPTED {
        let message = house.answer(*change);
        let cost = measure(|| house.accepts(&message));
        line(name, &message, &cost);
        costs.push((name, message, cost.median));
    }
    // sixteen certificates count, and the one that signed may be the last
    let now = house.bench.now().secs();
    let mut keys: Vec<Key> = (1..16).map(|n| Key::attacker().certified(now - n, now + 86_400)).collect();
    keys.push(Key::rsa());
    let mut many = House::new(&keys);
    many.bench.idp = house.bench.idp.clone();
    let message = many.answer(|_| {});
    let cost = measure(|| many.accepts(&message));
    line("assertion signed, by the last of 16 keys", &message, &cost);

    if std::env::var_os("COUNTERSIGN_BENCH_PEERS").is_none() {
        println!("\nCOUNTERSIGN_BENCH_PEERS is not set: nobody else is measured");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for mut peer in peers::all(&house.bench, folder.path()) {
        println!("\n{:<44} {:>8} {:>19} {:>9}", peer.name, "µs CPU", "least … most", "× ours");
        for (name, message, ours) in &costs {
            match peer.cost(&message.encoded(), &house.open.request.id) {
                Ok(mut rounds) => {
                    rounds.sort_by(f64::total_cmp);
                    let median = rounds[rounds.len() / 2];
                    println!(
                        "{name:<44} {median:>8.0} {:>8.0} … {:>8.0} {:>9.1}",
                        rounds[0],
                        rounds[rounds.len() - 1],
                        median / ours
                    );
                }
                Err(why) => println!("{name:<44} refused: {why}"),
            }
        }
    }
}

/// What is made once (libraries, threads) is made.
fn warm(house: &House) {
    for (_, change) in ACCEPTED {
        house.accepts(&house.answer(*change));
    }
}

/// Refuses all of them, and tells which take more than they may.
fn refused(house: &House, benchmark: bool) -> Vec<String> {
    if benchmark {
        println!("\n{:<58} {:>8} {:>8} {:>8} {:>9}  reason", "refused", "µs CPU", "most", "KiB", "resident");
    }
    let all: Vec<Hostile> = hostile::all().into_iter().filter(|one| benchmark || one.telling).collect();
    let mut exceeding = Vec::new();
    warm(house);
    let (mut most_cpu, mut most_heap, mut most_resident) = (0.0_f64, 0, 0);
    for hostile in &all {
        let message = (hostile.make)(&house.bench, &house.open);
        let once = || house.refuses(&message, hostile);
        let mut reason = "";
        let heap = measure::heap(|| reason = once());
        most_heap = most_heap.max(heap);
        if heap > MEMORY {
            exceeding.push(format!("{}: {} KiB", hostile.name, heap / 1024));
        }
        if !benchmark {
            continue;
        }
        let cost = measure(|| {
            once();
        });
        let resident = resident(&hostile.name);
        most_cpu = most_cpu.max(cost.median);
        most_resident = most_resident.max(resident.unwrap_or(0));
        if cost.median > CPU {
            exceeding.push(format!("{}: {:.0} µs", hostile.name, cost.median));
        }
        if resident.is_some_and(|bytes| bytes > MEMORY) {
            exceeding.push(format!("{}: {} KiB resident", hostile.name, resident.unwrap_or(0) / 1024));
        }
        println!(
            "{:<58} {:>8.0} {:>8.0} {:>8} {:>9}  {}",
            hostile.name,
            cost.median,
            cost.most,
            heap / 1024,
            resident.map_or("?".to_owned(), |bytes| (bytes / 1024).to_string()),
            reason
        );
    }
    println!("\n{} hostile messages refused; at most {} KiB allocated", all.len(), most_heap / 1024);
    if benchmark {
        println!("at most {most_cpu:.0} µs of CPU, and {} KiB of resident memory", most_resident / 1024);
    }
    exceeding
}

/// What a process of its own grows by when it refuses this message: C libraries allocate beside Rust's allocator.
fn resident(name: &str) -> Option<usize> {
    let output = Command::new(std::env::current_exe().unwrap())
        .envs(measure::MALLOC)
        .env(CHILD, name)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().ok()
}

/// The other side of [`resident`].
fn child(house: &House, name: &str) -> ExitCode {
    let hostile = hostile::all().into_iter().find(|hostile| hostile.name == name).expect("a message");
    let message = (hostile.make)(&house.bench, &house.open);
    warm(house);
    if let Some(bytes) = measure::resident(|| {
        house.refuses(&message, &hostile);
    }) {
        println!("{bytes}");
    }
    ExitCode::SUCCESS
}
