//! What the other implementations take for the same answers, each in a process of its own.

use crate::bench::Bench;
use crate::others::{Other, settings};
use serde_json::json;

/// Microseconds of CPU, its own and that of processes it starts, for one answer, and whether it accepts it.
pub struct Peer {
    other: Other,
    pub name: &'static str,
    times: u32,
}

/// Those that are here: node-saml where its packages are installed, pysaml2 where `COUNTERSIGN_PYTHON` names a Python
/// that has it.
pub fn all(bench: &Bench, folder: &std::path::Path) -> Vec<Peer> {
    let settings = settings(bench, folder);
    let mut peers = vec![Peer {
        other: Other::start("node", "ask_node_saml.mjs", &settings),
        name: "@node-saml/node-saml",
        times: 100,
    }];
    if let Ok(python) = std::env::var("COUNTERSIGN_PYTHON") {
        let other = Other::start(&python, "ask_pysaml2.py", &settings);
        peers.push(Peer { other, name: "pysaml2 with xmlsec1", times: 20 });
    }
    peers
}

impl Peer {
    /// Rounds of one answer, in microseconds for each; an error where it is not accepted.
    pub fn cost(&mut self, response: &str, request: &str) -> Result<Vec<f64>, String> {
        // fewer of a long one: an answer is good for some minutes only
        let times =
            (self.times * 8_192 / u32::try_from(response.len()).unwrap_or(u32::MAX).max(8_192)).max(1);
        let ask = json!({"response": response, "request": request, "times": times});
        let answer = self.other.request(&ask);
        match answer["microseconds"].as_array() {
            Some(rounds) => Ok(rounds.iter().filter_map(serde_json::Value::as_f64).collect()),
            None => Err(answer["refused"].as_str().unwrap_or("no answer").to_owned()),
        }
    }
}
