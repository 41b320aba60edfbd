//! The keys that the provider publishes.

use super::{Case, World, parts, remove};
use crate::standin::{Key, Reply, Script, b64};
use serde_json::{Value, json};

type Change = fn(&mut Value);

pub fn cases() -> Vec<Case> {
    let mut cases = unnamed();
    let weak: [(&str, Change); 7] = [
        ("e = 1", |key| key["e"] = b64([1]).into()),
        ("512 bits", |key| key["n"] = b64([0xff; 64]).into()),
        ("1024 bits", |key| key["n"] = b64([0xff; 128]).into()),
        ("no number", |key| key["n"] = "!".into()),
        ("oct", |key| *key = json!({"kty": "oct", "kid": "rsa-1", "k": b64([7; 32])})),
        ("off the curve", |key| {
            *key = json!({"kty": "EC", "crv": "P-256", "kid": "rsa-1", "x": b64([1; 32]), "y": b64([2; 32])});
        }),
        ("no point", |key| {
            *key = json!({"kty": "EC", "crv": "P-256", "kid": "rsa-1", "x": b64([0; 32]), "y": b64([0; 32])});
        }),
    ];
    cases.extend(weak.map(|(name, change)| changed("OIDC-031", name, change)));
    let others: [(&str, Change); 4] = [
        ("use enc", |key| key["use"] = "enc".into()),
        ("key_ops", |key| key["key_ops"] = json!(["encrypt"])),
        ("for encryption", |key| key["alg"] = "RSA-OAEP".into()),
        ("for another algorithm", |key| key["alg"] = "PS256".into()),
    ];
    cases.extend(others.map(|(name, change)| changed("OIDC-033", name, change)));
    cases
}

/// The key that signs is published otherwise.
fn changed(row: &'static str, name: &str, change: Change) -> Case {
    let spoil = move |script: &mut Script, _: &World| {
        script.jwks = Box::new(move |reply: &mut Reply| reply.edit(|set| change(&mut set["keys"][0])));
    };
    Case::new(row, name, "jose.key", spoil).published()
}

fn unnamed() -> Vec<Case> {
    fn keys(script: &mut Script, keys: [Key; 2]) {
        script.signer = keys[1].clone();
        script.keys = keys.into();
        script.header = Box::new(|header| remove(header, "kid"));
    }
    let two = || [Key::rsa(0, "a"), Key::rsa(1, "b")];
    let row = "OIDC-022";
    vec![
        Case::twin(row, "one of two verifies", move |script, _| keys(script, two())).published(),
        Case::new(row, "neither verifies", "jose.kid", move |script: &mut Script, _: &World| {
            keys(script, two());
            script.id_token = Box::new(|token| {
                let [header, payload, _] = parts(token);
                *token = format!("{header}.{payload}.{}", b64([7; 256]));
            });
        })
        .published(),
        // The same key under two names: two verify, and that is one too many.
        Case::new(row, "both verify", "jose.kid", |script: &mut Script, _: &World| {
            keys(script, [Key::rsa(0, "again"), Key::rsa(0, "a")]);
        })
        .published(),
    ]
}
