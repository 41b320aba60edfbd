//! Who it is in the end: userinfo, addresses and what they prove, domains, mapping.

use crate::bench::{Bench, row};
use crate::standin::{Pace, Reply};
use countersign::failure::UserMessage;
use countersign::upstream::identity::AssertedEmail;
use serde_json::{Value, json};

fn with(settings: &str) -> Bench {
    Bench::oidc(settings)
}

#[tokio::test]
async fn userinfo_is_asked_only_when_the_id_token_leaves_something_out() {
    let bench = with("");
    bench.signs_in().await;
    assert_eq!(bench.standin.count("/userinfo"), 0);
    bench.standin.script().in_id_token = vec![];
    let vouched = bench.signs_in().await;
    assert_eq!(bench.standin.count("/userinfo"), 1);
    assert_eq!(vouched.identity.profile().name.as_deref(), Some("Alice Adams"));
    assert!(vouched.identity.verified_email().is_some());

    // a rule that reads a claim wants it
    let bench = with("[[map]]\nrule = \"r\"\ngroup = \"g\"\nwhen = \"'x' in claims.departments\"");
    bench.standin.script().person["departments"] = json!(["x"]);
    let vouched = bench.signs_in().await;
    assert_eq!(bench.standin.count("/userinfo"), 1);
    assert_eq!(vouched.identity.assignments().len(), 1);

    let never = with("userinfo = \"never\"");
    never.standin.script().in_id_token = vec![];
    assert_eq!(never.signs_in().await.identity.profile().name, None);
    assert_eq!(never.standin.count("/userinfo"), 0);
}

#[tokio::test]
async fn userinfo_about_somebody_else() {
    let bench = with("userinfo = \"always\"");
    for sub in [json!("mallory"), json!(null), json!(["alice-subject"]), json!("")] {
        bench
            .refuses("oidc.userinfo.sub", |script| {
                script.userinfo = Box::new(move |reply| reply.edit(|body| body["sub"] = sub.clone()));
            })
            .await;
    }
    bench
        .refuses("oidc.userinfo.sub", |script| {
            script.userinfo =
                Box::new(|reply| reply.edit(|body| drop(body.as_object_mut().unwrap().remove("sub"))));
        })
        .await;
}

#[tokio::test]
async fn odd_userinfo() {
    let bench = with("userinfo = \"always\"");
    let cases: [(&str, fn(&mut Reply)); 6] = [
        ("oidc.userinfo.format", |r| r.set("text/html", "<p>")),
        ("oidc.userinfo.format", |r| r.set("application/json", "[]")),
        ("oidc.userinfo.format", |r| {
            r.set("application/json", r#"{"sub":"alice-subject","sub":"alice-subject"}"#)
        }),
        ("net.status", |r| r.status = 403),
        ("net.size", |r| r.set("application/json", vec![b' '; 300_000])),
        ("net.size", |r| {
            r.set("application/json", vec![b' '; 300_000]);
            r.pace = Pace::NoLength;
        }),
    ];
    for (reason, change) in cases {
        bench.refuses(reason, |script| script.userinfo = Box::new(change)).await;
    }
}

#[tokio::test]
async fn oidc_037_unsigned_userinfo_where_signed_is_registered() {
    row("OIDC-037").await;
}

#[tokio::test]
async fn userinfo_is_asked_for_in_the_form_that_is_registered() {
    // some sign for nobody else
    let bench = with("userinfo = \"always\"\nuserinfo_signed = true");
    bench.sign_in().await.0.unwrap_err();
    let accepted = |bench: &Bench| {
        let seen = bench.standin.seen();
        seen.iter().rfind(|seen| seen.path == "/userinfo").unwrap().headers["accept"].clone()
    };
    assert_eq!(accepted(&bench), "application/jwt");
    let plain = with("userinfo = \"always\"");
    plain.signs_in().await;
    assert_eq!(accepted(&plain), "application/json");
}

#[tokio::test]
async fn oidc_041_a_domain_limit_holds_for_everyone_every_time() {
    for (case, failure) in row("OIDC-041").await {
        assert_eq!(failure.user, UserMessage::NotInvited, "{case}");
    }
}

async fn is_verified(bench: &Bench, claims: impl Fn(&mut Value) + Send + 'static) -> bool {
    bench.standin.script().claims = Box::new(claims);
    let vouched = bench.signs_in().await;
    bench.standin.behave();
    vouched.identity.verified_email().is_some()
}

#[tokio::test]
async fn oidc_042_only_true_is_verified() {
    row("OIDC-042").await;
}

#[tokio::test]
async fn link_009_a_provider_proves_addresses_of_its_own_domains_only() {
    let bench = with("");
    assert!(!is_verified(&bench, |claims| claims["email"] = json!("victim@gmail.example")).await);
    assert!(!is_verified(&bench, |claims| claims["email"] = json!("a@sub.globex.example")).await);
    assert!(is_verified(&bench, |claims| claims["email"] = json!("Bob@GLOBEX.example")).await);
}

#[tokio::test]
async fn oidc_043_a_mutable_address_is_no_proof_without_the_providers_own_word() {
    row("OIDC-043").await;

    let bench = with("email_verified = \"claims.xms_edov\"\nuserinfo = \"never\"");
    // the address is never the key
    let key = |subject: &'static str| {
        bench.standin.script().claims = Box::new(move |claims| claims["sub"] = json!(subject));
    };
    key("one");
    let one = bench.signs_in().await;
    key("two");
    let two = bench.signs_in().await;
    assert_eq!(
        one.identity.email().map(AssertedEmail::address),
        two.identity.email().map(AssertedEmail::address)
    );
    assert_ne!(one.identity.key(), two.identity.key());
}

#[tokio::test]
async fn oidc_045_a_new_owner_of_the_domain_is_another_person() {
    let bench = with("domains = [\"globex.example\"]\ndomain_claim = \"claims.hd\"");
    let person = |subject: &'static str| {
        bench.standin.script().claims = Box::new(move |claims| {
            claims["hd"] = json!("globex.example");
            claims["sub"] = json!(subject);
        });
    };
    person("before");
    let before = bench.signs_in().await;
    person("after");
    let after = bench.signs_in().await;
    assert_ne!(before.identity.key(), after.identity.key());
}

#[tokio::test]
async fn link_019_an_address_that_is_none_is_left_out() {
    let bench = with("");
    for bad in [
        "a@globex.example\r\nBcc: b@x.test",
        "a@globex.example,b@globex.example",
        "a\u{0}@globex.example",
        "alice",
    ] {
        bench.standin.script().claims = Box::new(move |claims| claims["email"] = json!(bad));
        assert_eq!(bench.signs_in().await.identity.email(), None, "{bad:?}");
    }
}

#[tokio::test]
async fn link_043_what_is_not_mapped_gives_nothing() {
    let bench = with(
        "[[map]]\nrule = \"engineering\"\ngroup = \"engineers\"\nwhen = \"'engineering' in claims.groups\"",
    );
    bench.standin.script().claims = Box::new(|claims| {
        claims["roles"] = json!(["admin"]);
        claims["permissions"] = json!(["*"]);
        claims["admin"] = json!(true);
    });
    let vouched = bench.signs_in().await;
    let given: Vec<(&str, &str)> =
        vouched.identity.assignments().iter().map(|(target, rule)| (target.name(), rule.as_str())).collect();
    assert_eq!(given, [("engineers", "engineering")]);
    bench.standin.behave();
    bench.standin.script().person["groups"] = json!(["sales"]);
    assert!(bench.signs_in().await.identity.assignments().is_empty());
}

#[tokio::test]
async fn the_claim_filter_is_told_and_claims_beyond_bounds_are_refused() {
    let bench = Bench::new(|origin| {
        let settings = crate::bench::OIDC.replace("\"open\"", "{ filter = \"claims.staff\" }");
        format!("issuer = \"{origin}\"\n{settings}")
    });
    assert!(!bench.signs_in().await.passes_filter);
    bench.standin.script().person["staff"] = json!(true);
    assert!(bench.signs_in().await.passes_filter);
    assert!(with("").signs_in().await.passes_filter);

    with("")
        .refuses("mapping.limits", |script| {
            script.claims = Box::new(|claims| claims["groups"] = json!(vec![0; 10_001]));
        })
        .await;
}

#[tokio::test]
async fn an_address_and_a_proof_of_the_providers_own_come_from_one_answer() {
    let verified = async |in_id_token: &[&'static str], proof: bool| {
        let bench = with("userinfo = \"always\"\nemail_verified = \"claims.xms_edov\"");
        {
            let mut script = bench.standin.script();
            script.in_id_token = in_id_token.to_vec();
            script.person["xms_edov"] = json!(proof);
            script.userinfo =
                Box::new(|reply| reply.edit(|body| drop(body.as_object_mut().unwrap().remove("xms_edov"))));
        }
        bench.signs_in().await.identity.verified_email().is_some()
    };
    assert!(verified(&["email", "xms_edov"], true).await, "the valid twin");
    assert!(!verified(&["email", "xms_edov"], false).await);
    assert!(!verified(&["xms_edov"], true).await, "a proof of the ID token's, an address of userinfo's");
}

#[tokio::test]
async fn an_address_that_the_mapping_leaves_out_is_left_out() {
    for (profile, taken) in
        [("email = \"\"", false), ("email = \"claims.upn\"", false), ("name = \"claims.nickname\"", true)]
    {
        let bench = with(&format!("[profile]\n{profile}"));
        let vouched = bench.signs_in().await;
        assert_eq!(vouched.identity.email().is_some(), taken, "{profile}");
        assert_eq!(vouched.identity.verified_email().is_some(), taken, "{profile}");
    }
}
