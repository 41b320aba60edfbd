//! Single logout with the provider: its word, our answer, our own request, and its answer to that, by redirect and by
//! form.

use crate::provider::{Bench, ENTITY, idp};
use crate::saml::{
    Idp, Key, KeyInfo, LogoutRequest, LogoutResponse, NameId, Request, Signature, instant, redirect, uri,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::failure::Failure;
use countersign::upstream::identity::Authentication;
use countersign::upstream::{
    Begun, CallbackMethod, Departure, LogoutHeard, LogoutMessage, LogoutNotice, LogoutOutcome, LogoutWish,
    Trace,
};
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::io::Write as _;
use zeroize::Zeroizing;

pub const ADDRESS: &str = "https://login.example/upstream/acme/logout";
const OURS: &str = "https://login.example/upstream/acme/metadata";

/// A provider with an address for logouts.
pub const SLO: &str = r#"
sso_url = "https://id.acme.example/sso"
slo_url = "https://id.acme.example/slo"
certificates = ["file:idp.pem"]
key = "file:own.pem"
"#;
const BY_POST: &str = "request_binding = \"post\"\n";

fn by_post() -> String {
    format!("{SLO}{BY_POST}")
}

/// A message by redirect, with this query.
pub fn by_query(query: &str) -> LogoutMessage {
    LogoutMessage {
        method: CallbackMethod::Get,
        query: query.to_owned(),
        parameters: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        address: ADDRESS.to_owned(),
        pending: None,
    }
}

/// A message by form, with this XML.
pub fn by_form(name: &str, xml: &str, relay_state: Option<&str>) -> LogoutMessage {
    let mut parameters: BTreeMap<String, String> = [(name.to_owned(), STANDARD.encode(xml))].into();
    parameters.extend(relay_state.map(|state| ("RelayState".to_owned(), state.to_owned())));
    LogoutMessage {
        method: CallbackMethod::Post,
        query: String::new(),
        parameters,
        address: ADDRESS.to_owned(),
        pending: None,
    }
}

pub async fn heard(bench: &Bench, message: &LogoutMessage) -> Result<LogoutHeard, Failure> {
    let mut trace = Trace::default();
    let heard = bench.entry.upstream.inbound_logout(&bench.context, message, &mut trace).await;
    if let Err(failure) = &heard {
        let last = trace.steps().last().expect("a step");
        assert_eq!((last.check.as_str(), last.passed), (failure.reason, false), "{failure:?}");
    }
    heard
}

async fn notice(bench: &Bench, message: &LogoutMessage) -> LogoutNotice {
    match heard(bench, message).await {
        Ok(LogoutHeard::Notice(notice)) => notice,
        other => panic!("{other:?}"),
    }
}

async fn refused(bench: &Bench, message: &LogoutMessage) -> &'static str {
    match heard(bench, message).await {
        Err(failure) => failure.reason,
        Ok(heard) => panic!("{heard:?}"),
    }
}

fn request(bench: &Bench) -> LogoutRequest {
    idp().logout(bench.now(), ADDRESS, NameId::persistent("alice"), &["_s1"])
}

/// Both ways in which a sound request comes.
fn sound(bench: &Bench) -> [LogoutMessage; 2] {
    let request = request(bench);
    [
        by_query(&redirect("SAMLRequest", &request.xml(), Some("their state"), Some(&Key::rsa()))),
        by_form("SAMLRequest", &request.signed(&Signature::by(Key::rsa())), Some("their state")),
    ]
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_is_refused() {
    let slo = "slo_url = \"https://id.acme.example/slo\"\n";
    let bench = Bench::new(&SLO.replace(slo, ""));
    for message in sound(&bench) {
        assert_eq!(refused(&bench, &message).await, "saml.metadata.role");
    }
    // the valid twin
    let bench = Bench::new(SLO);
    for message in sound(&bench) {
        notice(&bench, &message).await;
    }
}

#[tokio::test]
async fn who_signs_out_there_is_named() {
    let bench = Bench::new(SLO);
    for message in sound(&bench) {
        let notice = notice(&bench, &message).await;
        assert_eq!(notice.sessions, ["_s1"]);
        assert_eq!(notice.identity, None);
        assert_eq!(notice.replay.reason, "saml.replay");
        assert!(notice.replay.until.secs() >= bench.now().secs() + 300);
        let name = notice.name.unwrap();
        assert!(name.key.contains("alice"));
        assert_eq!(notice.issued, bench.now());
        assert_eq!(name.until.map(|until| until.secs()), Some(bench.now().secs() + 300));
        assert!(notice.reply.is_some());
    }
}

/// Whoever writes an empty qualifier at sign-ins writes it at logouts, or leaves it out there; both mean the same person.
#[tokio::test]
async fn an_empty_qualifier_is_none_at_a_logout() {
    let bench = Bench::new(SLO);
    let empty = Some(String::new());
    let names = [
        NameId::persistent("alice"),
        NameId { name_qualifier: empty.clone(), ..NameId::persistent("alice") },
        NameId { sp_name_qualifier: empty.clone(), ..NameId::persistent("alice") },
        NameId { name_qualifier: empty.clone(), sp_name_qualifier: empty, ..NameId::persistent("alice") },
    ];
    for signed_in in &names {
        let kept = said_of(&bench, signed_in.clone()).await.upstream_name.unwrap().key;
        for signed_out in &names {
            let request = idp().logout(bench.now(), ADDRESS, signed_out.clone(), &["_s1"]);
            let message = by_form("SAMLRequest", &request.signed(&Signature::by(Key::rsa())), None);
            assert_eq!(notice(&bench, &message).await.name.unwrap().key, kept, "{}", signed_out.xml());
        }
        let other = NameId { name_qualifier: Some("urn:other".to_owned()), ..signed_in.clone() };
        let request = idp().logout(bench.now(), ADDRESS, other, &["_s1"]);
        let message = by_form("SAMLRequest", &request.signed(&Signature::by(Key::rsa())), None);
        assert_ne!(notice(&bench, &message).await.name.unwrap().key, kept, "the twin: somebody else's name");
    }
}

#[tokio::test]
async fn how_a_logout_was_signed_stands_in_the_trace() {
    let both = SLO.replace("\"file:idp.pem\"", "\"file:idp.pem\", \"file:idp-next.pem\"");
    let bench = Bench::new(&both);
    let steps = async |message: &LogoutMessage| {
        let mut trace = Trace::default();
        let heard = bench.entry.upstream.inbound_logout(&bench.context, message, &mut trace).await;
        let told = trace.steps().iter().filter(|step| {
            matches!(step.check.as_str(), "saml.alg" | "saml.key" | "saml.signature" | "saml.version")
        });
        let told = told.map(|step| (step.check.clone(), step.expected.clone(), step.received.clone()));
        (heard.is_ok(), told.collect::<Vec<_>>())
    };
    let request = request(&bench);
    for key in [Key::rsa(), Key::rsa_next()] {
        let by_query = by_query(&redirect("SAMLRequest", &request.xml(), None, Some(&key)));
        let by_form = by_form("SAMLRequest", &request.signed(&Signature::by(key.clone())), None);
        let ways = [(by_query, "rsa-sha256, over the query"), (by_form, "rsa-sha256, digest sha256")];
        for (message, how) in ways {
            let allowed = "ecdsa-sha256, ecdsa-sha384, ecdsa-sha512, rsa-sha256, rsa-sha384, rsa-sha512";
            let print: String =
                sha2::Sha256::digest(key.der()).iter().map(|byte| format!("{byte:02x}")).collect();
            let step = |check: &str, expected: &str, received: &str| {
                (check.to_owned(), expected.to_owned(), received.to_owned())
            };
            let wanted = [
                step("saml.alg", &format!("LogoutRequest by {allowed}"), how),
                step("saml.key", "LogoutRequest by a key that is trusted", &format!("SHA-256 {print}")),
                step("saml.signature", "signed by the provider", "LogoutRequest"),
                step("saml.version", "2.0", "2.0"),
            ];
            assert_eq!(steps(&message).await, (true, wanted.to_vec()));
        }
    }
    // by nobody's key nothing of it held
    let theirs = by_query(&redirect("SAMLRequest", &request.xml(), None, Some(&Key::attacker())));
    assert_eq!(steps(&theirs).await, (false, Vec::new()));
}

#[tokio::test]
async fn saml_109_an_unsigned_request_to_sign_out_is_refused() {
    let bench = Bench::new(SLO);
    let xml = request(&bench).xml();
    let bare = by_query(&redirect("SAMLRequest", &xml, None, None));
    assert_eq!(refused(&bench, &bare).await, "saml.sig.missing");
    assert_eq!(refused(&bench, &by_form("SAMLRequest", &xml, None)).await, "saml.sig.missing");
    // A signature in the other binding's place is none.
    let signed = request(&bench).signed(&Signature::by(Key::rsa()));
    let elsewhere = by_query(&redirect("SAMLRequest", &signed, None, None));
    assert_eq!(refused(&bench, &elsewhere).await, "saml.sig.missing");
    let mut form = by_form("SAMLRequest", &xml, None);
    let query = redirect("SAMLRequest", &xml, None, Some(&Key::rsa()));
    form.parameters.extend(by_query(&query).parameters.into_iter().filter(|(name, _)| name != "SAMLRequest"));
    form.query = query;
    assert_eq!(refused(&bench, &form).await, "saml.sig.missing");
    for sound in sound(&bench) {
        notice(&bench, &sound).await;
    }
}

#[tokio::test]
async fn only_the_provider_s_own_key_counts() {
    let bench = Bench::new(SLO);
    let xml = request(&bench).xml();
    let theirs = by_query(&redirect("SAMLRequest", &xml, None, Some(&Key::attacker())));
    assert_eq!(refused(&bench, &theirs).await, "saml.sig.invalid");
    for key_info in [KeyInfo::Own, KeyInfo::None, KeyInfo::Of(Key::rsa())] {
        let signature = Signature { key_info, ..Signature::by(Key::attacker()) };
        let message = by_form("SAMLRequest", &request(&bench).signed(&signature), None);
        assert_eq!(refused(&bench, &message).await, "saml.sig.invalid");
    }
    // Ours is no key of theirs.
    let ours = by_query(&redirect("SAMLRequest", &xml, None, Some(&Key::service())));
    assert_eq!(refused(&bench, &ours).await, "saml.sig.invalid");
    // Changed after it was signed.
    let signed = request(&bench).signed(&Signature::by(Key::rsa())).replace(">alice<", ">mallory<");
    assert_eq!(refused(&bench, &by_form("SAMLRequest", &signed, None)).await, "saml.sig.invalid");
    let both = Bench::new(&SLO.replace("[\"file:idp.pem\"]", "[\"file:idp-next.pem\", \"file:idp.pem\"]"));
    for sound in sound(&both) {
        notice(&both, &sound).await;
    }
}

#[tokio::test]
async fn saml_110_another_provider_s_request_is_refused() {
    let bench = Bench::new(SLO);
    let other = Idp::new("https://other.example/metadata", "https://other.example", Key::attacker());
    let request = other.logout(bench.now(), ADDRESS, NameId::persistent("alice"), &["_s1"]);
    let messages = [
        by_query(&redirect("SAMLRequest", &request.xml(), None, Some(&other.key()))),
        by_form("SAMLRequest", &request.signed(&Signature::by(other.key())), None),
    ];
    for message in messages {
        assert_eq!(refused(&bench, &message).await, "provider.mismatch");
    }
    // With the issuer's name forged, the key gives it away.
    let forged = LogoutRequest { issuer: Some(ENTITY.to_owned()), ..request };
    let message = by_query(&redirect("SAMLRequest", &forged.xml(), None, Some(&other.key())));
    assert_eq!(refused(&bench, &message).await, "saml.sig.invalid");
    // Without any, nobody sent it.
    let nobody = LogoutRequest { issuer: None, ..self::request(&bench) };
    let message = by_form("SAMLRequest", &nobody.signed(&Signature::by(Key::rsa())), None);
    assert_eq!(refused(&bench, &message).await, "saml.issuer");
    for sound in sound(&bench) {
        notice(&bench, &sound).await;
    }
}

#[tokio::test]
async fn saml_111_a_query_is_verified_as_it_was_signed() {
    let bench = Bench::new(SLO);
    let key = Key::rsa();
    let xml = request(&bench).xml();
    let query = redirect("SAMLRequest", &xml, Some("a state"), Some(&key));
    let part = |name: &str| {
        query.split('&').find(|pair| pair.starts_with(&format!("{name}="))).expect("a parameter").to_owned()
    };
    let (request, state, method, signature) =
        (part("SAMLRequest"), part("RelayState"), part("SigAlg"), part("Signature"));
    let changed = [
        // another state, none, or one where none was signed
        format!("{request}&RelayState=another&{method}&{signature}"),
        format!("{request}&{method}&{signature}"),
        // escaped in another way than the signed octets
        format!("{request}&{}&{method}&{signature}", state.replace('+', "%20")),
        format!("{request}&{state}&{}&{signature}", method.replace("%3A", "%3a")),
        // another algorithm
        format!("{request}&{state}&{}&{signature}", method.replace("sha256", "sha512")),
        format!("{request}&{state}&{method}&{}", signature.replace("%3D", "")),
    ];
    for query in changed {
        assert_eq!(refused(&bench, &by_query(&query)).await, "saml.sig.invalid", "{query}");
    }
    // Signed over the parameters in another order.
    let other = format!("{state}&{request}&{method}");
    let signed = key_signs(&key, &other);
    let message = by_query(&format!("{other}&Signature={signed}"));
    assert_eq!(refused(&bench, &message).await, "saml.sig.invalid");
    // The valid twins: the order on the wire does not count, and the sender's own way to escape does.
    notice(&bench, &by_query(&query)).await;
    notice(&bench, &by_query(&format!("{signature}&{method}&{state}&{request}"))).await;
    let lower = format!("{request}&{}&{}", state.replace('+', "%20"), method.replace("%3A", "%3a"));
    let signed = key_signs(&key, &lower);
    notice(&bench, &by_query(&format!("{lower}&Signature={signed}"))).await;
    let empty = redirect("SAMLRequest", &xml, Some(""), Some(&key));
    notice(&bench, &by_query(&empty)).await;
    // What others made of the query counts for nothing where it differs from the octets.
    let read = |name: &str, value: Option<&str>| {
        let mut message = by_query(&query);
        let before = message.parameters.clone();
        match value {
            Some(value) => drop(message.parameters.insert(name.to_owned(), value.to_owned())),
            None => drop(message.parameters.remove(name)),
        }
        assert_ne!(message.parameters, before);
        message
    };
    let other = self::request(&bench).xml();
    let other = by_query(&redirect("SAMLRequest", &other, None, None)).parameters["SAMLRequest"].clone();
    for message in
        [read("SAMLRequest", Some(&other)), read("RelayState", Some("another")), read("RelayState", None)]
    {
        assert_eq!(refused(&bench, &message).await, "saml.sig.invalid");
    }
}

/// The signature of a query's octets, escaped.
fn key_signs(key: &Key, octets: &str) -> String {
    let signing = key.loaded().to_signing_key().unwrap().expect("a key");
    let signature = bergshamra::crypto::sign::from_uri(key.algorithm())
        .and_then(|algorithm| algorithm.sign(&signing, octets.as_bytes()))
        .unwrap();
    url::form_urlencoded::byte_serialize(STANDARD.encode(signature).as_bytes()).collect()
}

#[tokio::test]
async fn saml_099_a_message_that_inflates_without_end_is_given_up() {
    let bench = Bench::new(SLO);
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..64 {
        deflate.write_all(&spaces).unwrap();
    }
    let bomb = STANDARD.encode(deflate.finish().unwrap());
    let escaped: String = url::form_urlencoded::byte_serialize(bomb.as_bytes()).collect();
    let bare = format!("SAMLRequest={escaped}");
    assert_eq!(refused(&bench, &by_query(&bare)).await, "saml.xml.limits");
    let method: String = url::form_urlencoded::byte_serialize(Key::rsa().algorithm().as_bytes()).collect();
    let octets = format!("{bare}&SigAlg={method}");
    let signed = format!("{octets}&Signature={}", key_signs(&Key::rsa(), &octets));
    assert_eq!(refused(&bench, &by_query(&signed)).await, "saml.xml.limits");
    // The valid twin: long, but within bounds.
    let mut request = request(&bench);
    request.more = " ".repeat(100_000);
    notice(&bench, &by_query(&redirect("SAMLRequest", &request.xml(), None, Some(&Key::rsa())))).await;
}

#[tokio::test]
async fn a_message_of_another_type_is_refused() {
    let bench = Bench::new(SLO);
    let response = LogoutResponse::sound(bench.now(), ENTITY, ADDRESS, "_r1");
    let as_request = by_query(&redirect("SAMLRequest", &response.xml(), None, Some(&Key::rsa())));
    assert_eq!(refused(&bench, &as_request).await, "saml.message.type");
    let as_request = by_form("SAMLRequest", &response.signed(&Signature::by(Key::rsa())), None);
    assert_eq!(refused(&bench, &as_request).await, "saml.message.type");
    let [mut both, _] = sound(&bench);
    both.parameters.insert("SAMLResponse".to_owned(), "x".to_owned());
    assert_eq!(refused(&bench, &both).await, "upstream.logout_request");
    both.parameters.clear();
    assert_eq!(refused(&bench, &both).await, "upstream.logout_request");
    // A second signature within a message by redirect.
    let signed = request(&bench).signed(&Signature::by(Key::rsa()));
    let twice = by_query(&redirect("SAMLRequest", &signed, None, Some(&Key::rsa())));
    assert_eq!(refused(&bench, &twice).await, "saml.message.shape");
}

#[tokio::test]
async fn single_logout_can_be_switched_off_and_needs_a_key() {
    let off = Bench::new(&format!(
        "{}single_logout = false\n",
        SLO.replace("slo_url = \"https://id.acme.example/slo\"\n", "")
    ));
    let keyless = Bench::new(crate::provider::BY_HAND);
    for bench in [&off, &keyless] {
        for message in sound(bench) {
            assert_eq!(refused(bench, &message).await, "upstream.logout_request");
        }
        assert!(begin(bench, wish()).await.is_none());
        assert!(!metadata(bench).await.contains("SingleLogoutService"));
    }
    // Where our answers could go nowhere, no address is named.
    let nowhere = Bench::new(&SLO.replace("slo_url = \"https://id.acme.example/slo\"\n", ""));
    assert!(!metadata(&nowhere).await.contains("SingleLogoutService"));
    let on = metadata(&Bench::new(SLO)).await;
    for binding in [uri::REDIRECT, uri::POST] {
        let endpoint = format!("<md:SingleLogoutService Binding=\"{binding}\" Location=\"{ADDRESS}\"/>");
        assert!(on.contains(&endpoint), "{on}");
    }
}

async fn metadata(bench: &Bench) -> String {
    let callback = "https://login.example/upstream/acme/callback";
    let published = bench.entry.upstream.published(&bench.context, callback).await.unwrap().unwrap();
    String::from_utf8(published.body.to_vec()).unwrap()
}

#[test]
fn settings_that_cannot_work_are_told_at_their_key() {
    let key = |more: &str| {
        let problems = crate::provider::build(more, &crate::provider::files()).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>()
    };
    assert!(key(SLO).is_empty());
    assert_eq!(key(&SLO.replace("key = \"file:own.pem\"\n", "")), ["slo_url"]);
    assert_eq!(key(&format!("{SLO}single_logout = false\n")), ["slo_url"]);
    assert_eq!(key(&format!("{SLO}idp_initiated = true\n")), ["idp_initiated"]);
    assert_eq!(key(&format!("{SLO}idp_initiated_client = \"notes\"\n")), ["idp_initiated_client"]);
}

#[tokio::test]
async fn our_answer_is_signed_and_names_their_request() {
    for (settings, redirects) in [(SLO.to_owned(), true), (by_post(), false)] {
        let bench = Bench::new(&settings);
        let asked = request(&bench);
        let state = "their \"state\" <&>";
        let query = redirect("SAMLRequest", &asked.xml(), Some(state), Some(&Key::rsa()));
        let notice = notice(&bench, &by_query(&query)).await;
        for (outcome, codes) in [
            (LogoutOutcome::Complete, vec!["Success"]),
            (LogoutOutcome::Partial, vec!["Success", "PartialLogout"]),
            (LogoutOutcome::Failed, vec!["Responder"]),
        ] {
            let reply = notice.reply.as_deref().unwrap();
            let departure = bench.entry.upstream.answer_logout(&bench.context, reply, outcome).await.unwrap();
            assert_eq!(matches!(departure, Departure::RedirectTo(_)), redirects);
            let answer = Request::of(&departure);
            assert!(answer.signed_by(Key::service().der()), "{}", answer.xml);
            assert_eq!(answer.relay_state.as_deref(), Some(state), "as it came");
            assert_eq!(answer.issuer, OURS);
            assert_eq!(answer.attribute("InResponseTo"), asked.id);
            assert_eq!(answer.attribute("Destination").as_deref(), Some("https://id.acme.example/slo"));
            let found: Vec<&str> = answer
                .xml
                .split("Value=\"urn:oasis:names:tc:SAML:2.0:status:")
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
                .collect();
            assert_eq!(found, codes);
        }
    }
}

fn wish() -> LogoutWish {
    LogoutWish {
        state: "csst_state".to_owned(),
        address: ADDRESS.to_owned(),
        session: Some("_s1".to_owned()),
        name: None,
    }
}

async fn begin(bench: &Bench, wish: LogoutWish) -> Option<Begun> {
    bench.entry.upstream.begin_logout(&bench.context, &wish).await.unwrap()
}

/// What is kept with the session of somebody whom the provider has just vouched for.
async fn said_of(bench: &Bench, name: NameId) -> Authentication {
    let begun = bench.begin(|_| {}).await.unwrap();
    let asked = Request::of(&begun.departure);
    let mut script = idp().script(bench.now(), &asked, asked.acs.as_deref().unwrap());
    script.assertion.name_id = Some(name);
    let message = crate::saml::Message::new(script.xml(), "csst_state");
    let (vouched, trace) = bench.finish(&begun, &message).await;
    let vouched = vouched.unwrap_or_else(|failure| panic!("{failure:?} {:#?}", trace.steps()));
    vouched.identity.authentication().clone()
}

/// A wish about somebody whom the provider has just vouched for.
async fn wish_of(bench: &Bench, name: NameId) -> LogoutWish {
    let said = said_of(bench, name).await;
    LogoutWish {
        session: said.upstream_session.clone(),
        name: said.upstream_name.as_ref().map(|name| name.written.clone()),
        ..wish()
    }
}

#[tokio::test]
async fn who_signs_out_here_is_sent_there_by_the_name_that_came() {
    let name = NameId {
        name_qualifier: Some(ENTITY.to_owned()),
        sp_name_qualifier: Some(OURS.to_owned()),
        ..NameId::persistent("alice &amp; &lt;bob&gt;")
    };
    for (settings, redirects) in [(SLO.to_owned(), true), (by_post(), false)] {
        let bench = Bench::new(&settings);
        let begun = begin(&bench, wish_of(&bench, name.clone()).await).await.unwrap();
        assert_eq!(matches!(begun.departure, Departure::RedirectTo(_)), redirects);
        let sent = Request::of(&begun.departure);
        assert!(sent.signed_by(Key::service().der()), "{}", sent.xml);
        assert_eq!(sent.relay_state.as_deref(), Some("csst_state"));
        assert_eq!(sent.attribute("Destination").as_deref(), Some("https://id.acme.example/slo"));
        assert_eq!(sent.attribute("IssueInstant"), Some(instant(bench.now(), 0)));
        // SAML Core §1.3.4: beyond guessing, and never the same
        let id = sent.attribute("ID").unwrap();
        assert!(id.starts_with('_') && id.len() == 41, "{id}");
        let again = begin(&bench, wish_of(&bench, name.clone()).await).await.unwrap();
        assert_ne!(Request::of(&again.departure).attribute("ID").unwrap(), id);
        assert_eq!(sent.attribute("NotOnOrAfter"), Some(instant(bench.now(), 300)));
        assert!(sent.xml.contains(&name.xml()), "{}", sent.xml);
        assert!(sent.xml.contains("<samlp:SessionIndex>_session-1</samlp:SessionIndex>"), "{}", sent.xml);
        // Whom they would call so is the same one.
        let theirs = idp().logout(bench.now(), ADDRESS, NameId::persistent("alice &amp; &lt;bob&gt;"), &[]);
        let query = redirect("SAMLRequest", &theirs.xml(), None, Some(&Key::rsa()));
        let notice = notice(&bench, &by_query(&query)).await;
        assert!(notice.sessions.is_empty());
        assert!(notice.name.unwrap().key.contains("alice & <bob>"));
    }
}

#[tokio::test]
async fn without_an_address_a_name_or_the_will_nobody_is_sent_there() {
    let bench = Bench::new(SLO);
    assert!(begin(&bench, wish()).await.is_none(), "the session says no name");
    let unreadable = LogoutWish { name: Some("alice".to_owned()), ..wish() };
    assert!(begin(&bench, unreadable).await.is_none());
    let elsewhere = Bench::new(&SLO.replace("slo_url = \"https://id.acme.example/slo\"\n", ""));
    let wish = wish_of(&elsewhere, NameId::persistent("alice")).await;
    assert!(begin(&elsewhere, wish.clone()).await.is_none(), "the provider has no address");
    assert!(begin(&bench, wish).await.is_some(), "the valid twin");
}

#[tokio::test]
async fn their_answer_must_fit_the_request_that_this_browser_took() {
    let bench = Bench::new(SLO);
    let begun = begin(&bench, wish_of(&bench, NameId::persistent("alice")).await).await.unwrap();
    let id = Request::of(&begun.departure).attribute("ID").unwrap();
    let pending = || Some(Zeroizing::new(begun.state.to_vec()));
    let sound = LogoutResponse::sound(bench.now(), ENTITY, ADDRESS, &id);
    let both = |response: &LogoutResponse| {
        [
            by_query(&redirect("SAMLResponse", &response.xml(), Some("csst_state"), Some(&Key::rsa()))),
            by_form("SAMLResponse", &response.signed(&Signature::by(Key::rsa())), Some("csst_state")),
        ]
        .map(|message| LogoutMessage { pending: pending(), ..message })
    };
    for message in both(&sound) {
        let heard = heard(&bench, &message).await.unwrap();
        assert!(matches!(heard, LogoutHeard::Answer(LogoutOutcome::Complete)), "{heard:?}");
        let elsewhere = LogoutMessage { pending: None, ..message };
        assert_eq!(refused(&bench, &elsewhere).await, "saml.in_response_to");
    }
    let status = |codes: &[&str]| LogoutResponse {
        status: codes.iter().map(|code| format!("urn:oasis:names:tc:SAML:2.0:status:{code}")).collect(),
        ..sound.clone()
    };
    for message in both(&status(&["Success", "PartialLogout"])) {
        let heard = heard(&bench, &message).await.unwrap();
        assert!(matches!(heard, LogoutHeard::Answer(LogoutOutcome::Partial)), "{heard:?}");
    }
    let cases = [
        (status(&["Responder"]), "saml.logout.status"),
        (
            LogoutResponse { in_response_to: Some("_other".to_owned()), ..sound.clone() },
            "saml.in_response_to",
        ),
        (LogoutResponse { in_response_to: None, ..sound.clone() }, "saml.in_response_to"),
        (
            LogoutResponse { issuer: Some("https://other.example".to_owned()), ..sound.clone() },
            "provider.mismatch",
        ),
        (LogoutResponse { destination: None, ..sound.clone() }, "saml.destination"),
        (
            LogoutResponse { issue_instant: Some(instant(bench.now(), -3600)), ..sound.clone() },
            "saml.issue_instant",
        ),
    ];
    for (response, reason) in cases {
        for message in both(&response) {
            assert_eq!(refused(&bench, &message).await, reason);
        }
    }
    let unsigned = LogoutMessage {
        pending: pending(),
        ..by_query(&redirect("SAMLResponse", &sound.xml(), Some("csst_state"), None))
    };
    assert_eq!(refused(&bench, &unsigned).await, "saml.sig.missing");
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_starts_a_client_only_where_that_is_wanted() {
    let answer: BTreeMap<String, String> = [("SAMLResponse".to_owned(), "anything".to_owned())].into();
    let off = Bench::new(SLO);
    let refused = off.entry.upstream.unsolicited(&answer).unwrap().unwrap_err();
    assert_eq!(refused.reason, "saml.unsolicited");
    assert!(off.entry.upstream.unsolicited(&BTreeMap::new()).is_none());
    let on = Bench::new(&format!("{SLO}idp_initiated = true\nidp_initiated_client = \"notes\"\n"));
    let client = on.entry.upstream.unsolicited(&answer).unwrap().unwrap();
    assert_eq!(client.as_str(), "notes");
}
