//! The claims of the ID token (OIDC Core §2, §3.1.3.7).

use crate::bench::Bench;
use serde_json::{Value, json};

/// Each value of a claim is refused with the reason; `None` leaves the claim out.
async fn refuses_claim(bench: &Bench, reason: &str, name: &'static str, values: Vec<Option<Value>>) {
    for value in values {
        println!("{name} = {value:?}");
        bench
            .refuses(reason, |script| {
                script.claims = Box::new(move |claims| match &value {
                    Some(value) => claims[name] = value.clone(),
                    None => drop(claims.as_object_mut().unwrap().remove(name)),
                });
            })
            .await;
    }
}

async fn accepts_claims(bench: &Bench, change: impl FnMut(&mut Value) + Send + 'static) {
    bench.standin.script().claims = Box::new(change);
    bench.signs_in().await;
    bench.standin.behave();
}

#[tokio::test]
async fn oidc_005_another_issuer() {
    let bench = Bench::oidc("");
    let origin = bench.standin.origin().to_owned();
    let values = [
        json!("https://other.example"),
        json!(format!("{origin}/other")),
        json!(format!("{origin}/")),
        json!(origin.to_uppercase()),
        json!([origin]),
        json!(null),
    ];
    refuses_claim(&bench, "oidc.id_token.iss", "iss", values.into_iter().map(Some).chain([None]).collect())
        .await;
}

#[tokio::test]
async fn oidc_006_no_subject() {
    let bench = Bench::oidc("");
    let values = [
        json!(""),
        json!("  "),
        json!(null),
        json!(7),
        json!(["a"]),
        json!("x".repeat(256)),
        json!("a\u{0}b"),
    ];
    refuses_claim(&bench, "oidc.id_token.sub", "sub", values.into_iter().map(Some).chain([None]).collect())
        .await;
    accepts_claims(&bench, |claims| claims["sub"] = json!("x".repeat(255))).await;
}

#[tokio::test]
async fn oidc_007_for_somebody_else() {
    let bench = Bench::oidc("");
    let values = [
        json!("other-app"),
        json!(["other-app"]),
        json!([]),
        json!(""),
        json!(null),
        json!(7),
        json!({"countersign": true}),
        json!(["countersign", 7]),
        json!("Countersign"),
    ];
    refuses_claim(&bench, "oidc.id_token.aud", "aud", values.into_iter().map(Some).chain([None]).collect())
        .await;
    accepts_claims(&bench, |claims| claims["aud"] = json!(["countersign"])).await;
}

#[tokio::test]
async fn oidc_009_several_audiences_need_azp_and_azp_is_us() {
    let bench = Bench::oidc("");
    refuses_claim(&bench, "oidc.id_token.azp", "aud", vec![Some(json!(["countersign", "other-app"]))]).await;
    let values = [json!("other-app"), json!(null), json!(["countersign"]), json!("")];
    refuses_claim(&bench, "oidc.id_token.azp", "azp", values.into_iter().map(Some).collect()).await;
    accepts_claims(&bench, |claims| {
        claims["aud"] = json!(["other-app", "countersign"]);
        claims["azp"] = json!("countersign");
    })
    .await;
    accepts_claims(&bench, |claims| claims["azp"] = json!("countersign")).await;
}

#[tokio::test]
async fn oidc_010_without_times() {
    let bench = Bench::oidc("");
    refuses_claim(&bench, "oidc.id_token.time", "iat", vec![None]).await;
    refuses_claim(&bench, "oidc.id_token.time", "exp", vec![None]).await;
}

#[tokio::test]
async fn oidc_011_times_of_the_wrong_type() {
    let bench = Bench::oidc("");
    let now = bench.context.now().secs();
    let wrong = |at: i64| {
        let values = [
            json!(at.to_string()),
            json!(null),
            json!(at as f64 + 0.5),
            json!(-at),
            json!([at]),
            json!(true),
            json!(1e300),
        ];
        values.into_iter().map(Some).collect::<Vec<_>>()
    };
    for name in ["exp", "iat", "nbf"] {
        let name: &'static str = name;
        refuses_claim(&bench, "oidc.id_token.time", name, wrong(now + if name == "exp" { 300 } else { 0 }))
            .await;
    }
    accepts_claims(&bench, move |claims| claims["nbf"] = json!(now)).await;
}

#[tokio::test]
async fn oidc_013_times_far_away() {
    let bench = Bench::oidc("");
    let now = bench.context.now().secs();
    let at = |offset: i64| Some(json!(now + offset));
    const DAY: i64 = 86_400;
    // the skew is 30 s, the greatest age 600 s
    refuses_claim(&bench, "oidc.id_token.time", "iat", vec![at(-DAY), at(DAY), at(-631), at(31)]).await;
    refuses_claim(&bench, "oidc.id_token.time", "exp", vec![at(-DAY), at(-30), Some(json!(0))]).await;
    refuses_claim(&bench, "oidc.id_token.time", "nbf", vec![at(31), at(DAY)]).await;
    for (name, offset) in [("iat", -630), ("iat", 30), ("exp", -29), ("nbf", 30)] {
        accepts_claims(&bench, move |claims| claims[name] = json!(now + offset)).await;
    }
    // the provider's own skew
    let strict = Bench::oidc("skew = \"0s\"");
    refuses_claim(&strict, "oidc.id_token.time", "iat", vec![at(1)]).await;
}

#[tokio::test]
async fn oidc_014_nonce_missing() {
    refuses_claim(&Bench::oidc(""), "oidc.id_token.nonce", "nonce", vec![None]).await;
}

#[tokio::test]
async fn oidc_015_nonce_wrong() {
    let bench = Bench::oidc("");
    let values = [json!(""), json!("x"), json!(null), json!(7), json!(["x"])];
    refuses_claim(&bench, "oidc.id_token.nonce", "nonce", values.into_iter().map(Some).collect()).await;
    bench
        .refuses("oidc.id_token.nonce", |script| {
            script.claims = Box::new(|claims| {
                let nonce = claims["nonce"].as_str().unwrap().to_owned();
                claims["nonce"] = json!([nonce]);
            });
        })
        .await;
}

#[tokio::test]
async fn oidc_034_at_hash_wrong() {
    let bench = Bench::oidc("");
    let values = [json!("x"), json!(""), json!(null), json!(7), json!("AAAAAAAAAAAAAAAAAAAAAA")];
    refuses_claim(&bench, "oidc.id_token.at_hash", "at_hash", values.into_iter().map(Some).collect()).await;
    // optional in the code flow
    accepts_claims(&bench, |claims| drop(claims.as_object_mut().unwrap().remove("at_hash"))).await;
}

#[tokio::test]
async fn oidc_035_c_hash_and_s_hash_wrong() {
    let bench = Bench::oidc("");
    let values =
        || vec![Some(json!("x")), Some(json!(null)), Some(json!(7)), Some(json!("AAAAAAAAAAAAAAAAAAAAAA"))];
    refuses_claim(&bench, "oidc.id_token.c_hash", "c_hash", values()).await;
    refuses_claim(&bench, "oidc.id_token.c_hash", "s_hash", values()).await;
    accepts_claims(&bench, |claims| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"csst_state");
        claims["s_hash"] = crate::standin::b64(&hash.as_ref()[..16]).into();
    })
    .await;
}
