//! The claims of the ID token (OIDC Core §2, §3.1.3.7).

use super::{Case, World, claims, remove};
use crate::standin::Script;
use serde_json::{Value, json};

/// One claim with another value.
fn set(row: &'static str, reason: &'static str, name: &'static str, value: Value) -> Case {
    let shown: String = value.to_string().chars().take(60).collect();
    Case::new(row, format!("{name} = {shown}"), reason, claims(move |claims| claims[name] = value.clone()))
}

/// One claim left out.
fn without(row: &'static str, reason: &'static str, name: &'static str) -> Case {
    Case::new(row, format!("no {name}"), reason, claims(move |claims| remove(claims, name)))
}

/// A time, so far from now.
fn at(row: &'static str, reason: &'static str, name: &'static str, offset: i64) -> Case {
    Case::new(row, format!("{name} {offset:+}"), reason, time(name, move |now| json!(now + offset)))
}

fn time(
    name: &'static str,
    value: impl Fn(i64) -> Value + Send + Sync + 'static,
) -> impl Fn(&mut Script, &World) {
    move |script, world| {
        let value = value(world.now);
        script.claims = Box::new(move |claims| claims[name] = value.clone());
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = issuer();
    cases.extend(subject());
    cases.extend(audience());
    cases.extend(times());
    cases.extend(nonce());
    cases.extend(hashes());
    cases
}

fn issuer() -> Vec<Case> {
    let (row, reason) = ("OIDC-005", "oidc.id_token.iss");
    type Derive = fn(&str) -> Value;
    let derived: [(&str, Derive); 4] = [
        ("another path", |origin| json!(format!("{origin}/other"))),
        ("a slash more", |origin| json!(format!("{origin}/"))),
        ("in capitals", |origin| json!(origin.to_uppercase())),
        ("a list", |origin| json!([origin])),
    ];
    let mut cases = vec![
        set(row, reason, "iss", json!("https://other.example")),
        set(row, reason, "iss", json!(null)),
        without(row, reason, "iss"),
    ];
    cases.extend(derived.map(|(name, derive)| {
        Case::new(row, name, reason, move |script: &mut Script, world: &World| {
            let value = derive(&world.issuer);
            script.claims = Box::new(move |claims| claims["iss"] = value.clone());
        })
    }));
    cases
}

fn subject() -> Vec<Case> {
    let (row, reason) = ("OIDC-006", "oidc.id_token.sub");
    let values = [
        json!(""),
        json!("  "),
        json!(null),
        json!(7),
        json!(["a"]),
        json!("x".repeat(256)),
        json!("a\u{0}b"),
        json!("null"),
        json!("Undefined"),
    ];
    let mut cases: Vec<Case> = values.into_iter().map(|value| set(row, reason, "sub", value)).collect();
    cases.push(without(row, reason, "sub"));
    cases.push(Case::twin(
        row,
        "the longest",
        claims(|claims| {
            claims["sub"] = json!("x".repeat(255));
            claims["email"] = json!("x@globex.example");
        }),
    ));
    cases
}

fn audience() -> Vec<Case> {
    let (row, reason) = ("OIDC-007", "oidc.id_token.aud");
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
    let mut cases: Vec<Case> = values.into_iter().map(|value| set(row, reason, "aud", value)).collect();
    cases.push(without(row, reason, "aud"));
    cases.push(Case::twin(row, "a list of us", claims(|claims| claims["aud"] = json!(["countersign"]))));

    let (row, reason) = ("OIDC-009", "oidc.id_token.azp");
    cases.push(set(row, reason, "aud", json!(["countersign", "other-app"])));
    let values = [json!("other-app"), json!(null), json!(["countersign"]), json!("")];
    cases.extend(values.into_iter().map(|value| set(row, reason, "azp", value)));
    cases.push(Case::twin(
        row,
        "several and us",
        claims(|claims| {
            claims["aud"] = json!(["other-app", "countersign"]);
            claims["azp"] = json!("countersign");
        }),
    ));
    cases.push(Case::twin(row, "us alone", claims(|claims| claims["azp"] = json!("countersign"))));
    cases
}

fn times() -> Vec<Case> {
    const DAY: i64 = 86_400;
    let reason = "oidc.id_token.time";
    let mut cases = vec![without("OIDC-010", reason, "iat"), without("OIDC-010", reason, "exp")];
    for name in ["exp", "iat", "nbf"] {
        let later = if name == "exp" { 300 } else { 0 };
        type Wrong = fn(i64) -> Value;
        let wrong: [(&str, Wrong); 7] = [
            ("a text", |at| json!(at.to_string())),
            ("null", |_| json!(null)),
            ("a fraction", |at| json!(at as f64 + 0.5)),
            ("negative", |at| json!(-at)),
            ("a list", |at| json!([at])),
            ("a boolean", |_| json!(true)),
            ("beyond all numbers", |_| json!(1e300)),
        ];
        cases.extend(wrong.map(|(what, wrong)| {
            Case::new(
                "OIDC-011",
                format!("{name}: {what}"),
                reason,
                time(name, move |now| wrong(now + later)),
            )
        }));
    }
    cases.push(Case::twin("OIDC-011", "nbf now", time("nbf", |now| json!(now))));

    // The skew is 30 s, the greatest age 600 s.
    let row = "OIDC-013";
    for (name, offsets) in
        [("iat", vec![-DAY, DAY, -631, 31]), ("exp", vec![-DAY, -30]), ("nbf", vec![31, DAY])]
    {
        cases.extend(offsets.into_iter().map(|offset| at(row, reason, name, offset)));
    }
    cases.push(set(row, reason, "exp", json!(0)));
    for (name, offset) in [("iat", -630), ("iat", 30), ("exp", -29), ("nbf", 30)] {
        let what = format!("{name} {offset:+}");
        cases.push(Case::twin(row, what, time(name, move |now| json!(now + offset))));
    }
    // The provider's own skew.
    cases.push(at(row, reason, "iat", 1).with("skew = \"0s\""));
    cases
}

fn nonce() -> Vec<Case> {
    let reason = "oidc.id_token.nonce";
    let mut cases = vec![without("OIDC-014", reason, "nonce")];
    let values = [json!(""), json!("x"), json!(null), json!(7), json!(["x"])];
    cases.extend(values.into_iter().map(|value| set("OIDC-015", reason, "nonce", value)));
    let listed = claims(|claims| claims["nonce"] = json!([claims["nonce"].as_str().unwrap()]));
    cases.push(Case::new("OIDC-015", "the right one in a list", reason, listed));
    cases
}

fn hashes() -> Vec<Case> {
    let (row, reason) = ("OIDC-034", "oidc.id_token.at_hash");
    let wrong = [json!("x"), json!(""), json!(null), json!(7), json!("AAAAAAAAAAAAAAAAAAAAAA")];
    let mut cases: Vec<Case> = wrong.iter().map(|value| set(row, reason, "at_hash", value.clone())).collect();
    // Optional in the code flow.
    cases.push(Case::twin(row, "none", claims(|claims| remove(claims, "at_hash"))));
    for name in ["c_hash", "s_hash"] {
        cases.extend(wrong.iter().map(|value| set("OIDC-035", "oidc.id_token.c_hash", name, value.clone())));
    }
    cases
}
