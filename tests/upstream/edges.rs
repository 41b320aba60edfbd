//! Bounds, words and absences on the OpenID side, each at its very edge and next to its valid twin.

use crate::bench::{Bench, refused};
use crate::standin::{Key, Pace, Reply};
use countersign::failure::UserMessage;
use countersign::upstream::{CallbackMethod, Health, Trace};
use serde_json::{Value, json};
use std::time::Duration;

fn received<'t>(trace: &'t Trace, check: &str) -> &'t str {
    trace
        .steps()
        .iter()
        .rfind(|step| step.check == check)
        .map_or("no such step", |step| step.received.as_str())
}

#[tokio::test]
async fn a_code_has_a_length_and_the_trace_says_what_came() {
    let bench = Bench::oidc("");
    let (outcome, trace) = bench.sign_in().await;
    outcome.unwrap();
    assert_eq!(received(&trace, "oidc.response"), "code");
    assert_eq!(received(&trace, "oidc.response_mode"), "Get");
    let told = async |change: fn(&mut std::collections::BTreeMap<String, String>)| {
        let open = bench.begin(|_| {}).await.unwrap();
        let (outcome, trace) = bench.finish(&open, |callback| change(&mut callback.parameters)).await;
        (outcome.unwrap_err().reason, received(&trace, "oidc.response").to_owned())
    };
    // as long as may be, it goes to the provider, which does not know it
    assert_eq!(told(|p| p.extend([("code".to_owned(), "x".repeat(4096))])).await.0, "oidc.token_error");
    let oversized = ("oidc.response", "an empty or oversized code".to_owned());
    assert_eq!(told(|p| p.extend([("code".to_owned(), "x".repeat(4097))])).await, oversized);
    assert_eq!(told(|p| p.extend([("code".to_owned(), String::new())])).await, oversized);
    assert_eq!(
        told(|p| drop(p.remove("code"))).await,
        ("oidc.response", "neither code nor error".to_owned())
    );
    assert_eq!(
        told(|p| p.extend([("error".to_owned(), "x".to_owned())])).await,
        ("oidc.response", "code and error together".to_owned())
    );
    assert_eq!(
        told(|p| p.extend([("id_token".to_owned(), "x".to_owned())])).await,
        ("oidc.response", "id_token in the response".to_owned())
    );
    let only_error = |p: &mut std::collections::BTreeMap<String, String>| {
        p.remove("code");
        p.insert("error".to_owned(), "server_error".to_owned());
    };
    assert_eq!(told(only_error).await, ("oidc.provider_error", "error".to_owned()));
}

#[tokio::test]
async fn an_endpoint_that_is_null_is_absent() {
    let bench = Bench::oidc("");
    let set = |name: &'static str, value: Value| {
        bench.standin.script().discovery = Box::new(move |reply| reply.edit(|d| d[name] = value.clone()));
        bench.clock.advance(Duration::from_secs(25 * 3600));
    };
    set("userinfo_endpoint", json!(null));
    bench.signs_in().await;
    for odd in [json!(7), json!("userinfo"), json!("")] {
        set("userinfo_endpoint", odd);
        assert_eq!(bench.begin(|_| {}).await.err().map(|failure| failure.reason), Some("oidc.discovery"));
    }
}

#[tokio::test]
async fn without_a_userinfo_endpoint_only_who_insists_is_refused() {
    let without = |more: &str| {
        let bench = Bench::oidc(more);
        bench.standin.script().in_id_token = vec![];
        bench.standin.script().discovery =
            Box::new(|reply| reply.edit(|d| drop(d.as_object_mut().unwrap().remove("userinfo_endpoint"))));
        bench
    };
    let bench = without("");
    assert_eq!(bench.signs_in().await.identity.profile().name, None);
    let (outcome, trace) = without("userinfo = \"always\"").sign_in().await;
    refused(outcome, &trace, "oidc.userinfo.format");
    assert_eq!(bench.standin.count("/userinfo"), 0);
}

#[tokio::test]
async fn keys_of_an_address_that_is_no_longer_the_right_one_are_forgotten() {
    let bench = Bench::oidc("");
    let fresh = |seconds: u64| {
        move |reply: &mut Reply| {
            reply.headers.push(("cache-control".to_owned(), format!("max-age={seconds}")));
        }
    };
    bench.standin.script().jwks = Box::new(fresh(3600));
    bench.standin.script().discovery = Box::new(fresh(300));
    bench.signs_in().await;
    bench.clock.advance(Duration::from_secs(301));
    bench.standin.script().jwks = Box::new(fresh(3600));
    bench.signs_in().await;
    let asked = || bench.standin.seen().iter().filter(|seen| seen.path == "/jwks").count();
    assert_eq!(asked(), 1, "kept while its address is the same");
    bench.clock.advance(Duration::from_secs(3600));
    bench.standin.script().discovery = Box::new(|reply| {
        reply.edit(|d| d["jwks_uri"] = json!(format!("{}?v=2", d["jwks_uri"].as_str().unwrap())));
    });
    // the keys are young, and of the address that was
    bench.standin.script().jwks = Box::new(fresh(3600));
    bench.signs_in().await;
    let last = bench.standin.seen().into_iter().rfind(|seen| seen.path == "/jwks").unwrap();
    assert_eq!(last.query.get("v").map(String::as_str), Some("2"));
}

#[tokio::test]
async fn keys_that_a_refresh_brings_late_from_the_address_that_was_verify_nothing() {
    let bench = Bench::oidc("");
    let fresh = |seconds: u64| ("cache-control".to_owned(), format!("max-age={seconds}"));
    bench.standin.script().jwks = Box::new(move |reply| reply.headers.push(fresh(3600)));
    bench.standin.script().discovery = Box::new(move |reply| reply.headers.push(fresh(3600)));
    bench.signs_in().await;
    // Both are too old: this sign-in fetches discovery, and the refresh behind the scenes finds the old one kept.
    bench.clock.advance(Duration::from_secs(3601));
    bench.standin.script().discovery = Box::new(|reply| {
        reply.edit(|d| d["jwks_uri"] = json!(format!("{}?v=2", d["jwks_uri"].as_str().unwrap())));
        reply.pace = Pace::Late(Duration::from_millis(200));
    });
    let mut late = true;
    bench.standin.script().jwks = Box::new(move |reply| {
        if std::mem::take(&mut late) {
            reply.pace = Pace::Late(Duration::from_millis(700));
        } else {
            reply.edit(|set| set["keys"] = json!([]));
        }
    });
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "jose.kid");
}

#[tokio::test]
async fn warming_fails_where_the_keys_are_not_to_be_had() {
    let bench = Bench::oidc("");
    bench.standin.script().jwks = Box::new(|reply| reply.set("application/json", "{}"));
    let failure = bench.entry.upstream.warm(&bench.context).await.unwrap_err();
    assert_eq!((failure.reason, failure.user), ("oidc.jwks", UserMessage::ProviderUnavailable));
    assert!(matches!(bench.entry.upstream.health(), Health::Down(why) if why.contains("oidc.jwks")));
    bench.standin.behave();
    bench.later();
    bench.entry.upstream.warm(&bench.context).await.unwrap();
    assert_eq!(bench.entry.upstream.health(), Health::Up);
}

#[tokio::test]
async fn a_circuit_that_is_open_is_told_before_anything_is_known() {
    let bench = Bench::oidc("");
    assert_eq!(bench.entry.upstream.health(), Health::Unknown);
    bench.signs_in().await;
    assert_eq!(bench.entry.upstream.health(), Health::Up);
    bench.standin.script().token = Box::new(|reply| reply.pace = Pace::Drop);
    for _ in 0..5 {
        let _ = bench.sign_in().await;
    }
    assert!(matches!(bench.entry.upstream.health(), Health::Down(why) if why.contains("in a row")));
}

#[tokio::test]
async fn signed_userinfo_for_several_of_whom_we_are_one() {
    let bench = Bench::oidc("userinfo = \"always\"\nuserinfo_signed = true");
    let key = Key::rsa(0, "rsa-1");
    let origin = bench.standin.origin().to_owned();
    for (iss, aud, fine) in [
        (json!(origin), json!(["other", "countersign"]), true),
        (json!(origin), json!(["countersign"]), true),
        (json!(origin), json!("countersign"), true),
        (json!(origin), json!(["other"]), false),
        (json!(origin), json!([]), false),
        (json!(origin), json!(["other", 7]), false),
        // one that is malformed is malformed as a whole, as in an ID token
        (json!(origin), json!(["countersign", 7]), false),
        (json!(origin), json!({"countersign": true}), false),
        (json!("https://other.example"), json!(["countersign"]), false),
    ] {
        let header = json!({"alg": key.alg(), "kid": key.kid}).to_string();
        let token = key.token(&header, &json!({"iss": iss, "aud": aud, "sub": "alice-subject"}).to_string());
        bench.standin.script().userinfo =
            Box::new(move |reply| reply.set("application/jwt", format!(" {token}\n")));
        let (outcome, trace) = bench.sign_in().await;
        if fine {
            outcome.unwrap();
        } else {
            refused(outcome, &trace, "oidc.userinfo.format");
        }
    }
}

#[tokio::test]
async fn a_token_of_another_kind_is_no_id_token() {
    let bench = Bench::oidc("");
    for fine in
        [json!("JWT"), json!("jwt"), json!("id_token+jwt"), json!("application/id_token+jwt"), json!("x")]
    {
        bench.standin.script().header = Box::new(move |header| header["typ"] = fine.clone());
        bench.signs_in().await;
    }
    bench.standin.script().header = Box::new(|header| drop(header.as_object_mut().unwrap().remove("typ")));
    bench.signs_in().await;
    for bad in ["at+jwt", "application/at+jwt", "logout+jwt", "AT+JWT", "+jwt"] {
        bench
            .refuses("oidc.id_token.typ", |script| {
                script.header = Box::new(move |header| header["typ"] = json!(bad));
            })
            .await;
    }
}

#[tokio::test]
async fn what_a_provider_can_do_follows_from_its_settings() {
    let can = |more: &str| {
        let upstream = Bench::oidc(more).entry.upstream;
        (upstream.answers_by_post(), upstream.proves_freshness(), upstream.lets_choose())
    };
    assert_eq!(can(""), (false, true, true));
    assert_eq!(can("response_mode = \"form_post\""), (true, true, true));
    assert_eq!(can("auth_time = false"), (false, false, true));
    assert_eq!(can("auth_time = false\nfreshness = \"trusted\""), (false, true, true));
    assert_eq!(can("pass = []"), (false, true, false));
    assert_eq!(can("prompts = [\"login\"]"), (false, true, false));
    let upstream = Bench::oidc("").entry.upstream;
    assert!(upstream.answers_by_get() && !upstream.logs_out_by_browser());
}

#[tokio::test]
async fn words_of_a_person_have_a_length_on_their_way_to_the_provider() {
    let bench = Bench::oidc("pass = [\"login_hint\", \"acr_values\", \"ui_locales\"]");
    let sent = async |name: &str, change: &dyn Fn(&mut countersign::upstream::BeginRequest)| {
        let url = bench.begin(|request| change(request)).await.unwrap().url;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    for (hint, goes) in [
        ("x".repeat(255), true),
        ("x".repeat(256), false),
        (String::new(), false),
        ("a\nb".to_owned(), false),
    ] {
        let found = sent("login_hint", &|request| request.login_hint = Some(hint.clone())).await;
        assert_eq!(found, goes.then_some(hint));
    }
    let many: Vec<String> = (0..10).map(|i| format!("a{i}")).collect();
    let first = Some("a0 a1 a2 a3 a4 a5 a6 a7".to_owned());
    assert_eq!(sent("acr_values", &|request| request.acr_values = many.clone()).await, first);
    assert_eq!(sent("ui_locales", &|request| request.ui_locales = many.clone()).await, first);
    let odd = vec![String::new(), "a b".to_owned(), "x".repeat(256), "c".to_owned()];
    assert_eq!(sent("acr_values", &|request| request.acr_values = odd.clone()).await.as_deref(), Some("c"));
    assert_eq!(sent("acr_values", &|_| {}).await, None);
}

#[tokio::test]
async fn what_our_key_signs_goes_by_one_name_only() {
    for (auth, named, other) in [
        (
            "client_auth = \"signed_secret\"\nkey_id = \"k\"\nteam_id = \"t\"",
            "client_secret",
            "client_assertion",
        ),
        ("client_auth = \"private_key_jwt\"", "client_assertion", "client_secret"),
    ] {
        let bench = Bench::new(|origin| {
            let base =
                crate::bench::OIDC.replace("client_secret = \"env:SECRET\"", "private_key = \"env:KEY\"");
            format!("issuer = \"{origin}\"\n{base}\n{auth}")
        });
        bench.standin.script().authenticates =
            Some(Box::new(move |seen| seen.form.contains_key(named) && !seen.form.contains_key(other)));
        bench.signs_in().await;
    }
}

#[tokio::test]
async fn what_comes_beside_a_code_has_a_length() {
    let bench = Bench::oidc(
        "response_mode = \"form_post\"\nresponse_claims = \"user\"\nuserinfo = \"never\"\n\
         [profile]\nname = \"claims.user.name\"",
    );
    let said = async |user: Option<String>| {
        let open = bench.begin(|_| {}).await.unwrap();
        let (outcome, trace) = bench
            .finish(&open, |callback| {
                callback.method = CallbackMethod::Post;
                callback.parameters.extend(user.map(|user| ("user".to_owned(), user)));
            })
            .await;
        let name = outcome.unwrap().identity.profile().name.clone();
        (name, trace.steps().iter().any(|step| step.check == "oidc.response_claims"))
    };
    let long = |length: usize| format!("{{\"name\":\"Alice\"{}}}", " ".repeat(length - 16));
    assert_eq!(long(4096).len(), 4096);
    let alice = Some("Alice".to_owned());
    assert_eq!(said(Some(long(4096))).await, (alice, false));
    assert_eq!(said(Some(long(4097))).await, (None, true));
    assert_eq!(said(Some("[]".to_owned())).await, (None, true));
    assert_eq!(said(None).await, (None, false));
    // nor does a claim of that name pass for it
    bench.standin.script().claims = Box::new(|claims| claims["user"] = json!({"name": "Mallory"}));
    assert_eq!(said(None).await, (None, false));
}

#[tokio::test]
async fn where_the_nonce_is_left_out_the_token_itself_is_what_counts_once() {
    let bench = Bench::oidc("nonce = false");
    let open = bench.begin(|_| {}).await.unwrap();
    assert!(!open.url.query_pairs().any(|(name, _)| name == "nonce"));
    assert!(open.url.query_pairs().any(|(name, value)| name == "state" && value == "csst_state"));
    let (outcome, _) = bench.finish(&open, |_| {}).await;
    let replay = outcome.unwrap().replay.unwrap();
    assert!(replay.what.starts_with("id_token:") && replay.what.len() == 9 + 64, "{}", replay.what);
    assert_eq!(replay.reason, "oidc.id_token.replay");
    let usual = Bench::oidc("").signs_in().await.replay.unwrap();
    assert!(usual.what.starts_with("nonce:") && usual.reason == "oidc.state");
    assert_eq!(usual.until.secs(), 1_800_000_330, "the token's end, and what is allowed for clocks");
}

#[tokio::test]
async fn plain_oauth_at_its_edges() {
    let more = "client_auth = \"client_secret_post\"\nscopes = [\"a\", \"b\"]";
    let settings = |origin: &str, more: &str| {
        format!(
            "id = \"friendbook\"\nkind = \"oauth2\"\nname = \"Friendbook\"\nauthorize_url = \"{origin}/dialog\"\n\
             token_url = \"{origin}/token\"\nuserinfo_url = \"{origin}/me\"\nclient_id = \"countersign\"\n\
             client_secret = \"env:SECRET\"\nsubject = \"id\"\nprovisioning = \"open\"\nallow_loopback = true\n\
             timeout = \"1s\"\n{more}"
        )
    };
    let bench = Bench::new(|origin| settings(origin, more));
    let told = async |change: fn(&mut countersign::upstream::Callback)| {
        let open = bench.begin(|_| {}).await.unwrap();
        let (outcome, trace) = bench.finish(&open, change).await;
        (outcome.err().map(|failure| failure.reason), received(&trace, "oauth2.response").to_owned())
    };
    assert_eq!(told(|_| {}).await, (None, "code".to_owned()));
    assert_eq!(
        told(|c| drop(c.parameters.insert("code".to_owned(), "x".repeat(4096)))).await.0,
        Some("oauth2.token_error")
    );
    for change in [
        (|c| drop(c.parameters.insert("code".to_owned(), "x".repeat(4097))))
            as fn(&mut countersign::upstream::Callback),
        |c| drop(c.parameters.insert("code".to_owned(), String::new())),
    ] {
        assert_eq!(told(change).await, (Some("oauth2.response"), "an empty or oversized code".to_owned()));
    }
    assert_eq!(told(|c| c.method = CallbackMethod::Post).await.0, Some("oauth2.response_mode"));
    let failed = |c: &mut countersign::upstream::Callback| {
        c.parameters.remove("code");
        c.parameters.insert("error".to_owned(), "server_error".to_owned());
    };
    assert_eq!(told(failed).await, (Some("oauth2.provider_error"), "error".to_owned()));
    assert_eq!(
        told(|c| drop(c.parameters.insert("error".to_owned(), "x".to_owned()))).await,
        (Some("oauth2.response"), "code and error together".to_owned())
    );
    assert_eq!(
        told(|c| c.parameters.clear()).await,
        (Some("oauth2.response"), "neither code nor error".to_owned())
    );

    let token = bench.standin.seen().into_iter().find(|seen| seen.path == "/token").unwrap();
    assert!(!token.form.contains_key("state"), "the browser's word stays with the browser");
    let mut open = bench.begin(|_| {}).await.unwrap();
    let before = bench.standin.count("/token");
    for bad in ["", "[]", "{}x", "{\"verifier\":1}", "{\"more\":1}"] {
        open.begun.state = bad.as_bytes().to_vec().into();
        let (outcome, trace) = bench.finish(&open, |_| {}).await;
        assert_eq!(refused(outcome, &trace, "oauth2.state").user, UserMessage::StartAgain, "{bad}");
    }
    assert_eq!(bench.standin.count("/token"), before);

    let upstream = &bench.entry.upstream;
    assert_eq!(upstream.form_targets(), [bench.standin.origin()]);
    assert!(!upstream.proves_freshness() && !upstream.answers_by_post() && !upstream.lets_choose());
    assert_eq!(upstream.health(), Health::Unknown);
    let trusted = Bench::new(|origin| settings(origin, "freshness = \"trusted\""));
    assert!(trusted.entry.upstream.proves_freshness());
    let open = trusted.begin(|_| {}).await.unwrap();
    let (outcome, trace) =
        trusted.finish(&open, |callback| callback.demanded.max_age = Some(Duration::ZERO)).await;
    outcome.unwrap();
    assert!(received(&trace, "oauth2.auth_time").contains("trust"));

    bench.standin.script().token = Box::new(|reply| reply.pace = Pace::Drop);
    for _ in 0..5 {
        let _ = bench.sign_in().await;
    }
    assert!(matches!(upstream.health(), Health::Down(_)));
}

#[tokio::test]
async fn scopes_of_plain_oauth_stand_apart_as_the_provider_wants_it() {
    for (more, scope) in [
        ("scopes = [\"a\", \"b\"]", Some("a b")),
        ("scopes = [\"a\", \"b\"]\nscope_separator = \",\"", Some("a,b")),
        ("scope_separator = \",\"", None),
        ("", None),
    ] {
        let bench = Bench::new(|origin| {
            format!(
                "id = \"friendbook\"\nkind = \"oauth2\"\nname = \"Friendbook\"\nauthorize_url = \"{origin}/dialog\"\n\
                 token_url = \"{origin}/token\"\nuserinfo_url = \"{origin}/me\"\nclient_id = \"countersign\"\n\
                 client_secret = \"env:SECRET\"\nsubject = \"id\"\nprovisioning = \"open\"\nallow_loopback = true\n{more}"
            )
        });
        let url = bench.begin(|_| {}).await.unwrap().url;
        let found = url.query_pairs().find(|(name, _)| name == "scope").map(|(_, value)| value.into_owned());
        assert_eq!(found.as_deref(), scope, "{more}");
    }
}
