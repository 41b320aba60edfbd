//! Who it is in the end: userinfo, profiles, domains, and addresses that prove nothing.

use super::{Case, World, claims, own, remove};
use crate::standin::{Key, Reply, Script};
use serde_json::{Value, json};

type Change = fn(&mut Value);

pub fn cases() -> Vec<Case> {
    let mut cases = signed_userinfo();
    cases.extend(profiles());
    cases.extend(domains());
    cases.extend(addresses());
    cases
}

/// Userinfo as it should be signed, but for one change of what it says, or by another key.
pub fn signed(change: Change, key: fn() -> Key) -> impl Fn(&mut Script, &World) {
    move |script, world| {
        let mut body = json!({"iss": world.issuer, "aud": "countersign", "sub": "alice-subject"});
        change(&mut body);
        let key = key();
        script.userinfo = Box::new(move |reply| {
            let header = json!({"alg": key.alg(), "kid": key.kid}).to_string();
            reply.set("application/jwt", key.token(&header, &body.to_string()));
        });
    }
}

fn signed_userinfo() -> Vec<Case> {
    let row = "OIDC-037";
    let settings = "userinfo = \"always\"\nuserinfo_signed = true";
    let odd = "oidc.userinfo.format";
    let cases = vec![
        Case::twin(row, "signed", signed(|_| {}, own)),
        Case::new(row, "unsigned", odd, |script: &mut Script, _: &World| script.userinfo = Box::new(|_| {})),
        Case::new(row, "another issuer", odd, signed(|b| b["iss"] = json!("https://other.example"), own)),
        Case::new(row, "no issuer", odd, signed(|b| b["iss"] = json!(null), own)),
        Case::new(row, "for another", odd, signed(|b| b["aud"] = json!("other"), own)),
        Case::new(row, "for nobody", odd, signed(|b| b["aud"] = json!(null), own)),
        Case::new(row, "about another", "oidc.userinfo.sub", signed(|b| b["sub"] = json!("mallory"), own)),
        Case::new(row, "another key", "jose.signature", signed(|_| {}, || Key::rsa(1, "rsa-1"))),
        Case::new(row, "no token", "jose.format", |script: &mut Script, _: &World| {
            script.userinfo = Box::new(|reply| reply.set("application/jwt", "x"));
        }),
    ];
    cases.into_iter().map(|case| case.with(settings)).collect()
}

fn profiles() -> Vec<Case> {
    let (row, reason) = ("OIDC-038", "oauth2.subject");
    let profile = |change: Change| {
        move |script: &mut Script, _: &World| {
            script.profile = Box::new(move |reply: &mut Reply| reply.edit(change));
        }
    };
    let ids: [(&str, Change); 9] = [
        ("null", |body| body["id"] = json!(null)),
        ("empty", |body| body["id"] = json!("")),
        ("blank", |body| body["id"] = json!(" ")),
        ("the text null", |body| body["id"] = json!("null")),
        ("the text undefined", |body| body["id"] = json!("undefined")),
        ("a boolean", |body| body["id"] = json!(true)),
        ("a list", |body| body["id"] = json!(["1"])),
        ("an object", |body| body["id"] = json!({})),
        ("missing", |body| remove(body, "id")),
    ];
    let mut cases: Vec<Case> = ids.map(|(name, change)| Case::new(row, name, reason, profile(change))).into();

    let row = "OIDC-039";
    let number = |id: &'static str| {
        move |script: &mut Script, _: &World| {
            script.profile = Box::new(move |reply| reply.set("application/json", format!("{{\"id\":{id}}}")));
        }
    };
    for id in ["1.0", "9007199254740992", "9007199254740993", "1e0", "-1"] {
        cases.push(Case::new(row, id, reason, number(id)));
    }
    cases.push(Case::new(row, "1e400", "oauth2.userinfo.format", number("1e400")));
    for id in ["1", "\"1\"", "9007199254740990", "9007199254740991"] {
        cases.push(Case::twin(row, id, number(id)));
    }
    cases.into_iter().map(Case::at_friendbook).collect()
}

fn domains() -> Vec<Case> {
    let (row, reason) = ("OIDC-041", "provider.domain");
    let claim = "domains = [\"globex.example\"]\ndomain_claim = \"claims.hd\"";
    let hd = |value: Value| claims(move |claims| claims["hd"] = value.clone());
    let mut cases = Vec::new();
    for value in ["globex.example", "Globex.Example"] {
        cases.push(Case::twin(row, value, hd(json!(value))).with(claim));
    }
    for value in
        [json!("evil.example"), json!("globex.example.evil.example"), json!(["globex.example"]), json!(null)]
    {
        cases.push(Case::new(row, value.to_string(), reason, hd(value)).with(claim));
    }
    // Neither the ID token nor userinfo says it: as if it were wrong.
    cases.push(Case::new(row, "said nowhere", reason, claims(|_| {})).with(claim));
    // Without a claim of its own, the verified address counts, and only a verified one.
    let address = "domains = [\"globex.example\"]";
    cases.push(Case::twin(row, "by the address", |_, _| {}).with(address));
    let unverified = claims(|claims| claims["email_verified"] = json!(false));
    cases.push(Case::new(row, "by an address that is not verified", reason, unverified).with(address));
    cases
}

fn addresses() -> Vec<Case> {
    let row = "OIDC-042";
    let (never, texts) = ("userinfo = \"never\"", "userinfo = \"never\"\nemail_verified_text = true");
    let verified = |value: Value| claims(move |claims| claims["email_verified"] = value.clone());
    let mut cases = vec![
        Case::twin(row, "true", |_, _| {}).with(never),
        Case::twin(row, "the text true", verified(json!("true"))).with(texts),
        Case::twin(row, "true where texts count", |_, _| {}).with(texts),
        Case::twin(row, "missing", claims(|claims| remove(claims, "email_verified"))).unproved().with(never),
    ];
    for value in [json!(false), json!("true"), json!("false"), json!(1), json!(null), json!([true])] {
        cases.push(Case::twin(row, value.to_string(), verified(value)).unproved().with(never));
    }
    for value in [json!("TRUE"), json!("false")] {
        cases.push(Case::twin(row, value.to_string(), verified(value)).unproved().with(texts));
    }

    let row = "OIDC-043";
    let entra = "email_verified = \"claims.xms_edov\"\nuserinfo = \"never\"";
    let edov = |value: Value| claims(move |claims| claims["xms_edov"] = value.clone());
    cases.push(Case::twin(row, "true", edov(json!(true))).with(entra));
    cases.push(Case::twin(row, "email_verified alone", |_, _| {}).unproved().with(entra));
    for value in [json!("1"), json!(1)] {
        cases.push(Case::twin(row, value.to_string(), edov(value)).unproved().with(entra));
    }
    cases
}
