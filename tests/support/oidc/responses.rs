//! The authorization response, the token response, and where a discovery document leads.

use super::{Case, World, remove, response, token};
use crate::standin::{Edit, Reply, Script};
use serde_json::json;
use std::collections::BTreeMap;

type Parameters = BTreeMap<String, String>;

pub fn cases() -> Vec<Case> {
    let mut cases = issuer_parameter();
    cases.extend(code_or_error());
    cases.extend(token_responses());
    cases.extend(endpoints());
    cases.extend(redirects());
    cases
}

fn issuer_parameter() -> Vec<Case> {
    let (row, reason) = ("OIDC-001", "oidc.iss_param");
    let iss = |value: &'static str| response(move |answer| drop(answer.insert("iss".into(), value.into())));
    let mut cases = vec![
        Case::new(row, "another provider", reason, iss("https://other.example")),
        Case::new(row, "empty", reason, iss("")),
        Case::new(row, "a slash more", reason, |script: &mut Script, world: &World| {
            let iss = format!("{}/", world.issuer);
            script.response = Box::new(move |answer| drop(answer.insert("iss".into(), iss.clone())));
        }),
        Case::new(
            row,
            "an error of another provider",
            reason,
            response(|answer| {
                error(answer, "access_denied");
                answer.insert("iss".into(), "https://other.example".into());
            }),
        ),
    ];
    let without = || response(|answer| drop(answer.remove("iss")));
    let row = "OIDC-002";
    cases.push(Case::new(row, "missing", reason, without()));
    // The twin: a provider that does not advertise it; and the setting that demands it all the same.
    let unadvertised = move |script: &mut Script, world: &World| {
        script.discovery = Box::new(|reply| {
            reply.edit(|document| document["authorization_response_iss_parameter_supported"] = json!(false));
        });
        without()(script, world);
    };
    cases.push(Case::twin(row, "not advertised", unadvertised).published());
    cases.push(
        Case::new(row, "not advertised", reason, unadvertised)
            .with("require_iss_parameter = true")
            .published(),
    );
    cases.into_iter().map(Case::not_redeemed).collect()
}

/// An error instead of the code.
fn error(answer: &mut Parameters, error: &str) {
    answer.remove("code");
    answer.insert("error".to_owned(), error.to_owned());
}

fn code_or_error() -> Vec<Case> {
    let (row, reason) = ("OIDC-053", "oidc.response");
    let mut cases = Vec::new();
    for (name, value) in [
        ("error", "access_denied"),
        ("code", ""),
        ("id_token", "a.b.c"),
        ("access_token", "x"),
        ("response", "a.b.c"),
    ] {
        let with = response(move |answer| drop(answer.insert(name.into(), value.into())));
        cases.push(Case::new(row, format!("{name} = {value:?}"), reason, with));
    }
    let long = response(|answer| drop(answer.insert("code".into(), "x".repeat(5000))));
    cases.push(Case::new(row, "a code without end", reason, long));
    cases.push(Case::new(row, "neither", reason, response(|answer| drop(answer.remove("code")))));

    for (name, reason) in [
        ("access_denied", "oidc.cancelled"),
        ("login_required", "oidc.provider_error"),
        ("server_error", "oidc.provider_error"),
        ("<script>alert(1)</script>", "oidc.provider_error"),
        ("\u{1b}[31m", "oidc.provider_error"),
    ] {
        let words = response(move |answer| {
            error(answer, name);
            answer.insert("error_description".to_owned(), "<script>alert(2)</script>".repeat(40));
        });
        let case = Case::new("OIDC-054", name.escape_default().to_string(), reason, words);
        let control = name.contains('\u{1b}');
        cases.push(if control { case.at_the_door("request.control_character") } else { case });
    }
    cases.into_iter().map(Case::not_redeemed).collect()
}

fn token_responses() -> Vec<Case> {
    type Change = fn(&mut Reply);
    let odd = "oidc.token_response";
    let cases: [(&str, &'static str, Change); 11] = [
        ("token_type mac", odd, |r| r.edit(|b| b["token_type"] = json!("mac"))),
        ("no id_token", odd, |r| r.edit(|b| remove(b, "id_token"))),
        ("id_token null", odd, |r| r.edit(|b| b["id_token"] = json!(null))),
        ("id_token empty", odd, |r| r.edit(|b| b["id_token"] = json!(""))),
        ("an array", odd, |r| {
            let body = format!("[{}]", String::from_utf8(r.body.clone()).unwrap());
            r.set("application/json", body);
        }),
        ("an error under 200", odd, |r| r.edit(|b| b["error"] = json!("invalid_grant"))),
        ("HTML", odd, |r| r.set("text/html", "<h1>hello</h1>")),
        ("JSON called HTML", odd, |r| r.set("text/html", r.body.clone())),
        ("a member twice", odd, |r| {
            let body = String::from_utf8(r.body.clone()).unwrap();
            r.set("application/json", body.replacen('{', "{\"token_type\":\"Bearer\",", 1));
        }),
        ("an error", "oidc.token_error", |r| *r = Reply::json(400, &json!({"error": "invalid_grant"}))),
        ("an outage", "net.status", |r| *r = Reply::json(503, &json!({}))),
    ];
    let openid = cases.map(|(name, reason, change)| Case::new("OIDC-055", name, reason, token(change)));

    let odd = "oauth2.token_response";
    let cases: [(&str, &'static str, Change); 6] = [
        ("token_type mac", odd, |r| r.edit(|b| b["token_type"] = json!("mac"))),
        ("no access token", odd, |r| r.edit(|b| b["access_token"] = json!(null))),
        ("HTML", odd, |r| r.set("text/html", "<p>")),
        ("an error under 200", "oauth2.token_error", |r| {
            *r = Reply::json(200, &json!({"error": "bad_verification_code"}));
        }),
        ("an error in an object", "oauth2.token_error", |r| {
            let error = json!({"message": "used", "type": "OAuthException", "code": 100});
            *r = Reply::json(400, &json!({ "error": error }));
        }),
        ("an outage", "net.status", |r| r.status = 500),
    ];
    let plain = cases
        .map(|(name, reason, change)| Case::new("OIDC-055", name, reason, token(change)).at_friendbook());
    openid.into_iter().chain(plain).collect()
}

fn endpoints() -> Vec<Case> {
    let mut cases = Vec::new();
    for endpoint in ["jwks_uri", "token_endpoint", "userinfo_endpoint", "authorization_endpoint"] {
        for bad in
            ["http://id.example/x", "https://10.0.0.1/x", "https://169.254.169.254/x", "file:///etc/passwd"]
        {
            let lead = move |script: &mut Script, _: &World| {
                script.discovery = Box::new(move |reply| reply.edit(|d| d[endpoint] = json!(bad)));
            };
            let case = Case::new("OIDC-058", format!("{endpoint} {bad}"), "net.address", lead);
            cases.push(case.published().not_redeemed());
        }
    }
    cases
}

fn redirects() -> Vec<Case> {
    fn to(address: &str) -> Edit<Reply> {
        let address = address.to_owned();
        Box::new(move |reply| *reply = Reply::redirect(&address))
    }
    let (row, reason, settings) = ("OIDC-059", "net.redirect", "userinfo = \"always\"");
    vec![
        Case::new(row, "discovery", reason, |script: &mut Script, world: &World| {
            script.discovery = to(&world.canary);
        })
        .published()
        .not_redeemed(),
        Case::new(row, "keys, to itself", reason, |script: &mut Script, world: &World| {
            script.jwks = to(&format!("{}/other", world.issuer));
        })
        .published(),
        Case::new(row, "keys", reason, |script: &mut Script, world: &World| script.jwks = to(&world.canary))
            .published(),
        Case::new(row, "token", reason, |script: &mut Script, world: &World| {
            script.token = to(&world.canary)
        }),
        Case::new(row, "userinfo", reason, |script: &mut Script, world: &World| {
            script.userinfo = to(&world.canary);
        })
        .with(settings),
        Case::new(row, "profile", reason, |script: &mut Script, world: &World| {
            script.profile = to(&world.canary);
        })
        .at_friendbook(),
    ]
}
