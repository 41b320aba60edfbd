//! The form of the ID token, its algorithm, and what its header says of keys.

use super::{Case, World, forged, header, own, parts};
use crate::standin::{CLIENT_SECRET, Key, Script, b64, hs256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub fn cases() -> Vec<Case> {
    let mut cases = algorithms();
    cases.extend(key_ids());
    cases.extend(brought_along());
    cases.extend(extensions());
    cases.extend(forms());
    cases.extend(encrypted());
    cases
}

fn algorithms() -> Vec<Case> {
    let (row, reason) = ("OIDC-017", "jose.alg");
    let mut cases = Vec::new();
    for alg in ["none", "None", "nOnE", "NONE", ""] {
        cases.push(Case::new(
            row,
            format!("`{alg}` without a signature"),
            reason,
            forged(move |_, payload, _| {
                format!("{}.{}.", b64(json!({"alg": alg}).to_string()), b64(payload.to_string()))
            }),
        ));
        cases.push(Case::new(
            row,
            format!("`{alg}` with one"),
            reason,
            forged(move |mut header, _, token| {
                header["alg"] = alg.into();
                let [_, payload, signature] = parts(token);
                format!("{}.{payload}.{signature}", b64(header.to_string()))
            }),
        ));
    }
    let unsigned = forged(|_, _, token| {
        let [header, payload, _] = parts(token);
        format!("{header}.{payload}.")
    });
    cases.push(Case::new(row, "signature cut off", "jose.signature", unsigned));

    // Signed with HMAC, under what everybody knows or under what the client shares.
    let der = own().public_der();
    let body = STANDARD.encode(&der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    for (row, name, secret) in [
        ("OIDC-018", "PEM", pem.clone().into_bytes()),
        ("OIDC-018", "PEM without its end of line", pem.trim().as_bytes().to_vec()),
        ("OIDC-018", "DER", der),
        ("OIDC-018", "JWK", own().jwk().to_string().into_bytes()),
        ("OIDC-019", "the client's secret", CLIENT_SECRET.as_bytes().to_vec()),
    ] {
        let forge = forged(move |mut header, payload, _| {
            header["alg"] = "HS256".into();
            hs256(&header.to_string(), &payload.to_string(), &secret)
        });
        cases.push(Case::new(row, name, reason, forge));
    }
    cases
}

fn key_ids() -> Vec<Case> {
    let (row, reason) = ("OIDC-021", "jose.kid");
    let mut cases = Vec::new();
    for (name, kid) in [
        ("a path", json!("../../etc/passwd")),
        ("SQL", json!("' OR 1=1 --")),
        ("a NUL", json!("rsa-1\u{0}")),
        ("empty", json!("")),
        ("capitals", json!("RSA-1")),
        ("5 kB", json!("k".repeat(5000))),
        ("a number", json!(7)),
        ("null", json!(null)),
        ("a list", json!(["rsa-1"])),
    ] {
        cases.push(Case::new(row, name, reason, header(move |header| header["kid"] = kid.clone())));
    }
    cases.push(Case::new(row, "an address", reason, |script: &mut Script, world: &World| {
        let canary = world.canary.clone();
        script.header = Box::new(move |header| header["kid"] = canary.clone().into());
    }));
    for (name, reason, size) in [("100 kB", "jose.format", 100_000), ("1 MB", "net.size", 1_000_000)] {
        let long = header(move |header| header["kid"] = "k".repeat(size).into());
        cases.push(Case::new(row, name, reason, long));
    }
    cases
}

fn brought_along() -> Vec<Case> {
    let row = "OIDC-023";
    let mut cases = Vec::new();
    for member in ["jwk", "jku", "x5u", "x5c"] {
        cases.push(Case::new(row, member, "jose.signature", move |script: &mut Script, world: &World| {
            let forger = Key::rsa(1, "rsa-1");
            let canary = world.canary.clone();
            let forge = forged(move |mut header, payload, _| {
                header[member] = match member {
                    "jwk" => forger.jwk(),
                    "x5c" => json!(["MIIB"]),
                    _ => canary.clone().into(),
                };
                forger.token(&header.to_string(), &payload.to_string())
            });
            forge(script, world);
        }));
        // With the provider's own signature such a header is merely ignored.
        cases.push(Case::twin(row, format!("{member}, signed by the provider"), move |script, world| {
            let canary = world.canary.clone();
            script.header = Box::new(move |header| header[member] = canary.clone().into());
        }));
    }
    cases
}

fn extensions() -> Vec<Case> {
    type Extend = fn(&mut Value);
    let extensions: [(&str, Extend); 4] = [
        ("b64", |header| {
            header["crit"] = json!(["b64"]);
            header["b64"] = false.into();
        }),
        ("an unknown one", |header| header["crit"] = json!(["exp"])),
        ("b64 that is not called critical", |header| header["b64"] = false.into()),
        ("none", |header| header["crit"] = json!([])),
    ];
    extensions.map(|(name, extend)| Case::new("OIDC-025", name, "jose.crit", header(extend))).into()
}

fn forms() -> Vec<Case> {
    type Form = fn(&str) -> String;
    let forms: [(&str, Form); 9] = [
        ("JSON", |token| {
            let [protected, payload, signature] = parts(token);
            json!({"payload": payload, "protected": protected, "signature": signature}).to_string()
        }),
        ("JSON with two signatures", |token| {
            let [protected, payload, signature] = parts(token);
            let one = json!({"protected": protected, "signature": signature});
            json!({"payload": payload, "signatures": [one.clone(), one]}).to_string()
        }),
        ("padding", |token| format!("{token}=")),
        ("a blank before", |token| format!(" {token}")),
        ("a line end", |token| format!("{token}\n")),
        ("a part more", |token| format!("{token}.x")),
        ("an empty part", |token| token.replacen('.', "..", 1)),
        ("a part less", |token| token.rsplit_once('.').unwrap().0.to_owned()),
        ("a letter", |_| "x".to_owned()),
    ];
    let mut cases: Vec<Case> = forms
        .map(|(name, form)| {
            Case::new("OIDC-026", name, "jose.format", forged(move |_, _, token| form(token)))
        })
        .into();
    let subjects = forged(|header, payload, _| {
        let payload = payload.to_string().replacen('{', "{\"sub\":\"mallory\",", 1);
        own().token(&header.to_string(), &payload)
    });
    cases.push(Case::new("OIDC-027", "two subjects", "jose.format", subjects));
    let algorithms = forged(|header, payload, _| {
        let header = header.to_string().replacen('{', "{\"alg\":\"RS256\",", 1);
        own().token(&header, &payload.to_string())
    });
    cases.push(Case::new("OIDC-027", "two algorithms", "jose.format", algorithms));
    cases
}

/// A JWE in compact form.
fn jwe(header: &Value, key: &[u8], content: &[u8]) -> String {
    let key = if key.is_empty() { String::new() } else { b64(key) };
    [b64(header.to_string()), key, b64([2; 12]), b64(content), b64([4; 16])].join(".")
}

fn encrypted() -> Vec<Case> {
    let sealed = json!({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "rsa-1"});
    let dear =
        json!({"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 1_000_000_000_u64, "p2s": "AAAA"});
    let bomb = json!({"alg": "dir", "enc": "A256GCM", "zip": "DEF"});
    let of = |row, name: &'static str, token: String| {
        Case::new(row, name, "jose.format", forged(move |_, _, _| token.clone()))
    };
    vec![
        of("OIDC-029", "encrypted", jwe(&sealed, &[1; 256], &[3; 64])),
        Case::new(
            "OIDC-029",
            "signed, and called encrypted",
            "jose.format",
            header(|h| h["enc"] = "A256GCM".into()),
        ),
        of("OIDC-030", "what inflates", jwe(&bomb, &[], &[0; 4000])),
        of("OIDC-030", "a thousand million rounds", jwe(&dear, &[9; 40], &[0; 40])),
        // The same said by tokens that have a signature: nothing is inflated before it is verified, nor after.
        Case::twin(
            "OIDC-030",
            "a signed token that calls itself deflated",
            header(|h| h["zip"] = "DEF".into()),
        ),
        Case::twin("OIDC-030", "a signed token with rounds", header(|h| h["p2c"] = 1_000_000_000_u64.into())),
    ]
}
