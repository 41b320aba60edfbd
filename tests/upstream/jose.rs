//! The signature of the ID token, and the keys that may have made it.

use crate::bench::{Bench, refused};
use crate::standin::{CLIENT_SECRET, Key, b64, hs256};
use serde_json::{Value, json};

/// The signed token is replaced by one that `forge` makes of its header and payload.
async fn refuses_token(
    bench: &Bench,
    reason: &str,
    mut forge: impl FnMut(Value, Value, &str) -> String + Send + 'static,
) {
    bench.later();
    bench
        .refuses(reason, |script| {
            script.id_token = Box::new(move |token| {
                let mut parts = token.split('.').map(decode);
                let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
                *token = forge(header, payload, token);
            });
        })
        .await;
}

fn decode(part: &str) -> Value {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

fn parts(token: &str) -> [&str; 3] {
    let mut parts = token.split('.');
    [(); 3].map(|()| parts.next().unwrap())
}

#[tokio::test]
async fn oidc_017_alg_none() {
    let bench = Bench::oidc("");
    for alg in ["none", "None", "nOnE", "NONE", ""] {
        refuses_token(&bench, "jose.alg", move |_, payload, _| {
            format!("{}.{}.", b64(json!({"alg": alg}).to_string()), b64(payload.to_string()))
        })
        .await;
        refuses_token(&bench, "jose.alg", move |mut header, _, token| {
            header["alg"] = alg.into();
            let [_, payload, signature] = parts(token);
            format!("{}.{payload}.{signature}", b64(header.to_string()))
        })
        .await;
    }
    refuses_token(&bench, "jose.signature", |_, _, token| {
        let [header, payload, _] = parts(token);
        format!("{header}.{payload}.")
    })
    .await;
}

#[tokio::test]
async fn oidc_018_the_public_key_as_an_hmac_secret() {
    let bench = Bench::oidc("");
    let key = Key::rsa(0, "rsa-1");
    let der = key.public_der();
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(&der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    for secret in
        [pem.clone().into_bytes(), pem.trim().as_bytes().to_vec(), der, key.jwk().to_string().into_bytes()]
    {
        refuses_token(&bench, "jose.alg", move |mut header, payload, _| {
            header["alg"] = "HS256".into();
            hs256(&header.to_string(), &payload.to_string(), &secret)
        })
        .await;
    }
}

#[tokio::test]
async fn oidc_019_the_client_secret_as_an_hmac_secret() {
    refuses_token(&Bench::oidc(""), "jose.alg", |mut header, payload, _| {
        header["alg"] = "HS256".into();
        hs256(&header.to_string(), &payload.to_string(), CLIENT_SECRET.as_bytes())
    })
    .await;
}

#[tokio::test]
async fn only_the_algorithms_of_the_settings_count() {
    let bench = Bench::oidc("algorithms = [\"ES256\"]");
    let ec = Key::ec("ec-1");
    let rsa = Key::rsa(0, "rsa-1");
    bench.standin.script().keys = vec![ec.clone(), rsa];
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "jose.alg");
    bench.standin.script().signer = ec;
    bench.signs_in().await;
}

#[tokio::test]
async fn oidc_021_a_key_id_that_leads_elsewhere() {
    let bench = Bench::oidc("");
    let canary = bench.canary.origin.clone();
    for kid in ["../../etc/passwd", "' OR 1=1 --", "rsa-1\u{0}", "", "RSA-1", &canary, &"k".repeat(5000)] {
        let kid = kid.to_owned();
        bench.later();
        let before = bench.standin.count("/jwks");
        bench
            .refuses("jose.kid", |script| {
                script.header = Box::new(move |header| header["kid"] = kid.clone().into());
            })
            .await;
        assert!(bench.standin.count("/jwks") <= before + 2);
    }
    for odd in [json!(7), json!(null), json!(["rsa-1"])] {
        bench.later();
        bench
            .refuses("jose.kid", |script| script.header = Box::new(move |header| header["kid"] = odd.clone()))
            .await;
    }
    bench
        .refuses("jose.format", |script| {
            script.header = Box::new(|header| header["kid"] = "k".repeat(100_000).into());
        })
        .await;
}

#[tokio::test]
async fn oidc_022_no_key_id_and_several_keys() {
    let no_kid = |header: &mut Value| drop(header.as_object_mut().unwrap().remove("kid"));
    // two keys fit and one verifies: accepted; none verifies: there is no telling which was meant
    let bench = Bench::oidc("");
    let (one, two) = (Key::rsa(0, "a"), Key::rsa(1, "b"));
    bench.standin.script().keys = vec![one.clone(), two.clone()];
    bench.standin.script().signer = two;
    bench.standin.script().header = Box::new(no_kid);
    bench.signs_in().await;
    bench.standin.script().id_token = Box::new(|token| {
        let [header, payload, _] = parts(token);
        *token = format!("{header}.{payload}.{}", b64([7; 256]));
    });
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "jose.kid");

    // the same key under two names: two verify, and that is one too many
    let bench = Bench::oidc("");
    bench.standin.script().keys = vec![one.clone(), Key::rsa(0, "again")];
    bench.standin.script().signer = one;
    bench.standin.script().header = Box::new(no_kid);
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "jose.kid");
}

#[tokio::test]
async fn oidc_023_a_key_that_the_token_brings_along() {
    let bench = Bench::oidc("");
    let forger = Key::rsa(1, "rsa-1");
    let canary = bench.canary.origin.clone();
    for member in ["jwk", "jku", "x5u", "x5c"] {
        let (forger, canary) = (forger.clone(), canary.clone());
        refuses_token(&bench, "jose.signature", move |mut header, payload, _| {
            header[member] = match member {
                "jwk" => forger.jwk(),
                "x5c" => json!(["MIIB"]),
                _ => canary.clone().into(),
            };
            forger.token(&header.to_string(), &payload.to_string())
        })
        .await;
        // with the provider's own signature such a header is merely ignored
        let canary = bench.canary.origin.clone();
        bench.standin.script().header = Box::new(move |header| header[member] = canary.clone().into());
        bench.signs_in().await;
        bench.standin.behave();
    }
    bench.only_the_provider_was_asked();
}

#[tokio::test]
async fn a_token_of_another_kind_is_no_id_token() {
    let bench = Bench::oidc("");
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT", "logout+jwt", "dpop+jwt"] {
        bench
            .refuses("oidc.id_token.typ", |script| {
                script.header = Box::new(move |header| header["typ"] = typ.into());
            })
            .await;
    }
}

#[tokio::test]
async fn oidc_025_extensions_that_must_be_understood() {
    let bench = Bench::oidc("");
    for (crit, b64) in [
        (Some(json!(["b64"])), Some(false)),
        (Some(json!(["exp"])), None),
        (None, Some(false)),
        (Some(json!([])), None),
    ] {
        bench
            .refuses("jose.crit", |script| {
                script.header = Box::new(move |header| {
                    if let Some(crit) = &crit {
                        header["crit"] = crit.clone();
                    }
                    if let Some(b64) = b64 {
                        header["b64"] = b64.into();
                    }
                });
            })
            .await;
    }
}

#[tokio::test]
async fn oidc_026_another_form_than_compact() {
    let bench = Bench::oidc("");
    refuses_token(&bench, "jose.format", |_, _, token| {
        let [protected, payload, signature] = parts(token);
        json!({"payload": payload, "protected": protected, "signature": signature}).to_string()
    })
    .await;
    refuses_token(&bench, "jose.format", |_, _, token| {
        let [protected, payload, signature] = parts(token);
        let one = json!({"protected": protected, "signature": signature});
        json!({"payload": payload, "signatures": [one.clone(), one]}).to_string()
    })
    .await;
    for change in [
        (|token: &str| format!("{token}=")) as fn(&str) -> String,
        |token| format!(" {token}"),
        |token| format!("{token}\n"),
        |token| format!("{token}.x"),
        |token| token.replacen('.', "..", 1),
        |token| token.rsplit_once('.').unwrap().0.to_owned(),
        |_| "x".to_owned(),
    ] {
        refuses_token(&bench, "jose.format", move |_, _, token| change(token)).await;
    }
}

#[tokio::test]
async fn oidc_027_members_twice() {
    let bench = Bench::oidc("");
    let key = Key::rsa(0, "rsa-1");
    let signer = key.clone();
    refuses_token(&bench, "jose.format", move |header, payload, _| {
        let payload = payload.to_string().replacen('{', "{\"sub\":\"mallory\",", 1);
        signer.token(&header.to_string(), &payload)
    })
    .await;
    refuses_token(&bench, "jose.format", move |header, payload, _| {
        let header = header.to_string().replacen('{', "{\"alg\":\"RS256\",", 1);
        key.token(&header, &payload.to_string())
    })
    .await;
}

#[tokio::test]
async fn oidc_029_encrypted_where_signed_is_due() {
    let bench = Bench::oidc("");
    refuses_token(&bench, "jose.format", |_, _, _| {
        let header = json!({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "rsa-1"}).to_string();
        [b64(header), b64([1; 256]), b64([2; 12]), b64([3; 64]), b64([4; 16])].join(".")
    })
    .await;
}

#[tokio::test]
async fn oidc_030_what_would_cost_a_decrypter_dearly_costs_us_nothing() {
    let bench = Bench::oidc("");
    for header in [
        json!({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}),
        json!({"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 1_000_000_000_u64, "p2s": "AAAA"}),
    ] {
        let header = header.to_string();
        refuses_token(&bench, "jose.format", move |_, _, _| {
            [b64(&header), String::new(), b64([2; 12]), b64(vec![0; 4000]), b64([4; 16])].join(".")
        })
        .await;
    }
}

/// The key set is changed before it is first read; the twin has the sound one.
async fn refuses_keys(reason: &str, change: impl FnMut(&mut Value) + Send + Clone + 'static) {
    let bench = Bench::oidc("");
    let mut change = change;
    bench.standin.script().jwks = Box::new(move |reply| reply.edit(&mut change));
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, reason);
    Bench::oidc("").signs_in().await;
    bench.only_the_provider_was_asked();
}

#[tokio::test]
async fn oidc_031_weak_and_broken_keys() {
    for change in [
        (|key: &mut Value| key["e"] = b64([1]).into()) as fn(&mut Value),
        |key| key["n"] = b64([0xff; 64]).into(),
        |key| key["n"] = b64([0xff; 128]).into(),
        |key| key["n"] = "!".into(),
        |key| *key = json!({"kty": "oct", "kid": "rsa-1", "k": b64([7; 32])}),
        |key| {
            *key = json!({"kty": "EC", "crv": "P-256", "kid": "rsa-1", "x": b64([1; 32]), "y": b64([2; 32])})
        },
    ] {
        refuses_keys("jose.key", move |set| change(&mut set["keys"][0])).await;
    }
}

#[tokio::test]
async fn oidc_033_keys_for_another_use() {
    for change in [
        (|key: &mut Value| key["use"] = "enc".into()) as fn(&mut Value),
        |key| key["key_ops"] = json!(["encrypt"]),
        |key| key["alg"] = "RSA-OAEP".into(),
        |key| key["alg"] = "PS256".into(),
    ] {
        refuses_keys("jose.key", move |set| change(&mut set["keys"][0])).await;
    }
}

#[tokio::test]
async fn oidc_062_a_storm_of_unknown_keys_fetches_once() {
    let bench = Bench::oidc("");
    bench.signs_in().await;
    let mut count = 0;
    bench.standin.script().header = Box::new(move |header| {
        count += 1;
        header["kid"] = format!("random-{count}").into();
    });
    let before = bench.standin.count("/jwks");
    for _ in 0..100 {
        let (outcome, trace) = bench.sign_in().await;
        refused(outcome, &trace, "jose.kid");
    }
    assert_eq!(bench.standin.count("/jwks"), before + 1);
    bench.later();
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "jose.kid");
    assert_eq!(bench.standin.count("/jwks"), before + 2);
    bench.standin.behave();
    bench.signs_in().await;
}

#[tokio::test]
async fn oidc_063_a_new_key_is_found_and_the_old_one_is_gone() {
    let bench = Bench::oidc("");
    bench.signs_in().await;
    let (old, new) = (Key::rsa(0, "rsa-1"), Key::ec("ec-2"));
    bench.standin.script().keys = vec![new.clone()];
    bench.standin.script().signer = new.clone();
    let before = bench.standin.count("/jwks");
    bench.signs_in().await;
    assert_eq!(bench.standin.count("/jwks"), before + 1, "one refetch");
    // whoever still has the old key
    bench.standin.script().signer = old;
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "jose.kid");
    bench.standin.script().signer = new;
    bench.signs_in().await;
}
