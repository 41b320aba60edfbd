//! A whole sign-in, from request to vouched.

use super::{BY_HAND, Bench, ENTITY, idp};
use crate::saml::{Encryption, Key, Message, Request, encryption_certificate, instant, uri};
use countersign::upstream::{Callback, CallbackMethod, Demanded, Health, Trace};

const MAPPED: &str = "[attributes]\nemail = \"email\"\nname = \"name\"\ngroups = \"groups\"\n";

#[tokio::test]
async fn who_signs_in_is_vouched_for() {
    let bench = Bench::new(&format!(
        "{BY_HAND}authoritative_for = [\"acme.example\"]\nemail_verified = \"true\"\n{MAPPED}"
    ));
    let begun = bench.begin(|_| {}).await.unwrap();
    let message = idp().answer(bench.now(), &begun.departure);
    let (outcome, trace) = bench.finish(&begun, &message).await;
    let vouched = outcome.unwrap_or_else(|failure| panic!("{failure:?}\n{:#?}", trace.steps()));
    assert!(trace.steps().iter().all(|step| step.passed), "{:#?}", trace.steps());
    let key = vouched.identity.key();
    assert_eq!(key.issuer, ENTITY);
    assert_eq!(key.subject, "alice-persistent");
    assert_eq!(key.format, uri::PERSISTENT);
    assert_eq!(vouched.identity.profile().name.as_deref(), Some("Alice Adams"));
    assert_eq!(vouched.identity.verified_email().unwrap().address().as_str(), "alice@acme.example");
    let said = vouched.identity.authentication();
    assert_eq!(said.acr.as_deref(), Some(uri::PASSWORD));
    assert_eq!(said.upstream_session.as_deref(), Some("_session-1"));
    assert_eq!(said.auth_time.unwrap().secs(), bench.now().secs() - 5);
    let replay = vouched.replay.unwrap();
    assert_eq!(replay.reason, "saml.replay");
    assert!(replay.until > bench.now());
    assert_eq!(bench.entry.upstream.health(), Health::Up);
}

#[tokio::test]
async fn an_address_is_proved_only_where_the_settings_say_so() {
    let bench = Bench::new(&format!("{BY_HAND}{MAPPED}"));
    let begun = bench.begin(|_| {}).await.unwrap();
    let (outcome, _) = bench.finish(&begun, &idp().answer(bench.now(), &begun.departure)).await;
    let identity = outcome.unwrap().identity;
    assert!(identity.verified_email().is_none());
    assert_eq!(identity.email().unwrap().address().as_str(), "alice@acme.example");
}

#[tokio::test]
async fn several_keys_count_side_by_side_and_no_other() {
    let both =
        "sso_url = \"https://id.acme.example/sso\"\ncertificates = [\"file:idp.pem\", \"file:idp-next.pem\"]";
    let bench = Bench::new(both);
    for (key, accepted) in [(Key::rsa(), true), (Key::rsa_next(), true), (Key::attacker(), false)] {
        let begun = bench.begin(|_| {}).await.unwrap();
        let mut idp = idp();
        idp.keys = vec![key];
        let (outcome, _) = bench.finish(&begun, &idp.answer(bench.now(), &begun.departure)).await;
        match outcome {
            Ok(_) => assert!(accepted),
            Err(failure) => {
                assert!(!accepted, "{failure:?}");
                assert_eq!(failure.reason, "saml.sig.invalid");
            }
        }
    }
}

#[tokio::test]
async fn the_policy_says_what_must_be_signed() {
    for (policy, assertion, response, reason) in [
        ("assertion", true, false, None),
        ("assertion", true, true, None),
        ("assertion", false, true, Some("saml.sig.assertion_required")),
        ("response", false, true, None),
        ("response", true, false, Some("saml.sig.response_required")),
        ("both", true, true, None),
        ("both", true, false, Some("saml.sig.response_required")),
        ("both", false, true, Some("saml.sig.assertion_required")),
        ("either", true, false, None),
        ("either", false, true, None),
    ] {
        let bench = Bench::new(&format!("{BY_HAND}signed = \"{policy}\""));
        let begun = bench.begin(|_| {}).await.unwrap();
        let request = Request::of(&begun.departure);
        let mut script = idp().script(bench.now(), &request, super::CALLBACK);
        script.signed(assertion, response);
        let (outcome, _) = bench.finish(&begun, &Message::new(script.xml(), "csst_state")).await;
        assert_eq!(outcome.err().map(|failure| failure.reason), reason, "{policy} {assertion} {response}");
    }
}

#[tokio::test]
async fn what_is_encrypted_for_us_is_opened_by_the_current_key_and_the_next() {
    let settings = format!("{BY_HAND}key = \"file:own.pem\"\nnext_key = \"file:own-next.pem\"\n");
    for (more, key, reason) in [
        ("", Some(Key::service()), None),
        ("", Some(Key::rsa_3072()), None),
        ("", Some(Key::attacker()), Some("saml.enc.failed")),
        ("", None, None),
        ("encryption = \"required\"", Some(Key::service()), None),
        ("encryption = \"required\"", None, Some("saml.enc.required")),
        ("encryption = \"off\"", Some(Key::service()), Some("saml.enc.failed")),
    ] {
        let bench = Bench::new(&format!("{settings}{more}"));
        let begun = bench.begin(|_| {}).await.unwrap();
        let request = Request::of(&begun.departure);
        let mut script = idp().script(bench.now(), &request, super::CALLBACK);
        script.encrypt = key.as_ref().map(|key| Encryption::to(key.der()));
        let (outcome, _) = bench.finish(&begun, &Message::new(script.xml(), "csst_state")).await;
        assert_eq!(outcome.err().map(|failure| failure.reason), reason, "{more}");
    }
    // the certificate that providers find in our metadata is one of these
    let bench = Bench::new(&settings);
    let metadata = bench.entry.upstream.published(&bench.context, super::CALLBACK).await.unwrap().unwrap();
    let named = encryption_certificate(std::str::from_utf8(&metadata.body).unwrap()).unwrap();
    assert_eq!(named, Key::rsa_3072().der());
}

#[tokio::test]
async fn an_answer_to_another_request_is_none() {
    let bench = Bench::new(BY_HAND);
    let first = bench.begin(|_| {}).await.unwrap();
    let second = bench.begin(|_| {}).await.unwrap();
    let message = idp().answer(bench.now(), &first.departure);
    assert_eq!(bench.finish(&second, &message).await.0.unwrap_err().reason, "saml.in_response_to");
    assert!(bench.finish(&first, &message).await.0.is_ok());
}

#[tokio::test]
async fn saml_097_an_answer_comes_by_post() {
    let bench = Bench::new(BY_HAND);
    assert!(!bench.entry.upstream.answers_by_get());
    let begun = bench.begin(|_| {}).await.unwrap();
    let message = idp().answer(bench.now(), &begun.departure);
    let callback = |method| Callback {
        method,
        parameters: message.form(),
        callback: super::CALLBACK.to_owned(),
        demanded: Demanded::default(),
    };
    let upstream = &bench.entry.upstream;
    let mut trace = Trace::default();
    let get = upstream.finish(&bench.context, &begun.state, &callback(CallbackMethod::Get), &mut trace).await;
    assert_eq!(get.unwrap_err().reason, "saml.response");
    let mut more = callback(CallbackMethod::Post);
    more.parameters.insert("SAMLRequest".to_owned(), "x".to_owned());
    let both = upstream.finish(&bench.context, &begun.state, &more, &mut trace).await;
    assert_eq!(both.unwrap_err().reason, "saml.response");
    let mut none = callback(CallbackMethod::Post);
    none.parameters.remove("SAMLResponse");
    let none = upstream.finish(&bench.context, &begun.state, &none, &mut trace).await;
    assert_eq!(none.unwrap_err().reason, "saml.response");
    let post =
        upstream.finish(&bench.context, &begun.state, &callback(CallbackMethod::Post), &mut trace).await;
    assert!(post.is_ok());
    let ways = trace.steps().iter().filter(|step| step.check == "saml.response");
    let came: Vec<_> = ways.map(|step| (step.received.as_str(), step.passed)).collect();
    let wrong = [("a GET", false), ("SAMLRequest in the form", false), ("no SAMLResponse", false)];
    assert_eq!(came, [&wrong[..], &[("a SAMLResponse", true)]].concat());
}

#[tokio::test]
async fn saml_039_only_white_space_is_forgiven_in_base64() {
    let bench = Bench::new(BY_HAND);
    for (change, accepted) in [
        ((|text: &str| format!("{}\r\n\t {}\n", &text[..76], &text[76..])) as fn(&str) -> String, true),
        (|text: &str| text.replace('+', "-").replace('/', "_") + "-", false),
        (|text: &str| format!("{text}A"), false),
        (|text: &str| format!("{text}===="), false),
        (|text: &str| format!("{text}\u{a0}"), false),
    ] {
        let begun = bench.begin(|_| {}).await.unwrap();
        let mut message = idp().answer(bench.now(), &begun.departure);
        message.wire = Some(change(&message.encoded()));
        match bench.finish(&begun, &message).await.0 {
            Ok(_) => assert!(accepted),
            Err(failure) => {
                assert!(!accepted);
                assert_eq!(failure.reason, "saml.encoding");
            }
        }
    }
}

#[tokio::test]
async fn a_demanded_proof_must_be_shown() {
    let fresh = |bench: &Bench, offset: i64| {
        let bench_now = bench.now();
        move |script: &mut crate::saml::Script| {
            script.assertion.authn[0].instant = Some(instant(bench_now, offset));
        }
    };
    for (settings, demanded, offset, reason) in [
        ("", false, -3600, None),
        ("", true, 0, None),
        ("", true, -3600, Some("saml.authn_instant")),
        ("force_authn = true", false, -3600, Some("saml.authn_instant")),
        ("force_authn = true", false, 0, None),
    ] {
        let bench = Bench::new(&format!("{BY_HAND}{settings}"));
        let begun = bench.begin(|request| request.force_authentication = demanded).await.unwrap();
        let request = Request::of(&begun.departure);
        let mut script = idp().script(bench.now(), &request, super::CALLBACK);
        fresh(&bench, offset)(&mut script);
        let demanded =
            Demanded { begun_at: Some(bench.now()), force_authentication: demanded, ..Demanded::default() };
        let (outcome, _) =
            bench.finish_demanding(&begun, &Message::new(script.xml(), "csst_state"), demanded).await;
        assert_eq!(outcome.err().map(|failure| failure.reason), reason, "{settings} {offset}");
    }
}

#[tokio::test]
async fn saml_090_a_context_of_the_settings_must_be_shown_and_a_wish_need_not() {
    let map = "[acr_map]\n\"urn:acme:mfa\" = \"mfa\"\n";
    let fixed = "authn_context = [\"urn:acme:mfa\"]\n";
    let minimum = "authn_context = [\"urn:acme:mfa\"]\nauthn_context_comparison = \"minimum\"\nauthn_context_accepted = [\"urn:acme:card\"]\n";
    for (settings, asked, shown, reason) in [
        (map, true, "urn:acme:mfa", None),
        (map, true, uri::PASSWORD, None),
        (map, false, uri::PASSWORD, None),
        (fixed, false, "urn:acme:mfa", None),
        (fixed, false, uri::PASSWORD, Some("saml.authn_context")),
        (minimum, false, "urn:acme:card", None),
        (minimum, false, uri::PASSWORD, Some("saml.authn_context")),
    ] {
        let bench = Bench::new(&format!("{BY_HAND}{settings}"));
        let begun = bench
            .begin(|request| {
                if asked {
                    request.acr_values = vec!["urn:acme:mfa".to_owned()];
                }
            })
            .await
            .unwrap();
        let request = Request::of(&begun.departure);
        let mut script = idp().script(bench.now(), &request, super::CALLBACK);
        script.assertion.authn[0].class = Some(shown.to_owned());
        let (outcome, _) = bench.finish(&begun, &Message::new(script.xml(), "csst_state")).await;
        assert_eq!(outcome.err().map(|failure| failure.reason), reason, "{settings} {shown}");
    }
}

#[tokio::test]
async fn an_answer_without_anybody_says_why() {
    let bench = Bench::new(BY_HAND);
    let begun = bench.begin(|_| {}).await.unwrap();
    let request = Request::of(&begun.departure);
    let mut response = idp().script(bench.now(), &request, super::CALLBACK).response;
    let responder = "urn:oasis:names:tc:SAML:2.0:status:Responder".to_owned();
    response.status = vec![responder, "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed".to_owned()];
    let (outcome, _) = bench.finish(&begun, &Message::new(response.xml(""), "csst_state")).await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.reason, "saml.status");
    assert_eq!(failure.code.as_str(), "access_denied");
    // a success without an assertion is none
    response.status = vec![uri::SUCCESS.to_owned()];
    let (outcome, _) = bench.finish(&begun, &Message::new(response.xml(""), "csst_state")).await;
    assert_eq!(outcome.unwrap_err().reason, "saml.assertion.count");
}

#[tokio::test]
async fn a_state_that_cannot_be_read_begins_anew() {
    let bench = Bench::new(BY_HAND);
    let begun = bench.begin(|_| {}).await.unwrap();
    let message = idp().answer(bench.now(), &begun.departure);
    let callback = Callback {
        method: CallbackMethod::Post,
        parameters: message.form(),
        callback: super::CALLBACK.to_owned(),
        demanded: Demanded::default(),
    };
    let upstream = &bench.entry.upstream;
    let mut more: serde_json::Value = serde_json::from_slice(&begun.state).unwrap();
    more["more"] = 1.into();
    for state in [&b""[..], b"{}", more.to_string().as_bytes()] {
        let mut trace = Trace::default();
        let failure = upstream.finish(&bench.context, state, &callback, &mut trace).await.unwrap_err();
        assert_eq!(failure.reason, "saml.state");
        assert_eq!(failure.user, countersign::failure::UserMessage::StartAgain);
        assert_eq!(trace.steps().last().map(|step| step.check.as_str()), Some("saml.state"));
    }
    let mut trace = Trace::default();
    assert!(upstream.finish(&bench.context, &begun.state, &callback, &mut trace).await.is_ok());
}
