//! Single logout with a SAML provider, and answers that nobody asked for, through the whole broker.

use crate::Watch;
use crate::house::{Answer, House, Visitor, authorize, choose, parameter};
use crate::saml::{Idp, Key, LogoutRequest, LogoutResponse, Message, NameId, Request, Signature, redirect};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::store::StoreError;
use countersign::upstream::Departure;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use tempfile::TempDir;
use url::Url;

pub const ENTITY: &str = "https://id.acme.example/metadata";
pub const ORIGIN: &str = "https://id.acme.example";
const BYE: &str = "http://localhost:8084/bye";

/// A broker with a SAML provider, Acme.
pub struct Acme {
    pub house: House,
    pub idp: Idp,
    _files: TempDir,
}

impl Acme {
    pub async fn open(more: &str) -> Self {
        Self::open_with(more, "").await
    }

    /// The same with more in the configuration.
    pub async fn open_with(more: &str, settings: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name).display().to_string();
        let write = |name: &str, text: &str| {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create(true).mode(0o600).open(path(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        write("idp.pem", &Key::rsa().pem());
        write("own.pem", &format!("{}{}", Key::service().private_pem(), Key::service().pem()));
        let provider = format!(
            "\n[[provider]]\nid = \"acme\"\nkind = \"saml\"\nname = \"Acme <b>\"\nprovisioning = \"open\"\n\
             entity_id = \"{ENTITY}\"\nsso_url = \"{ORIGIN}/sso\"\nslo_url = \"{ORIGIN}/slo\"\n\
             certificates = [\"file:{}\"]\nkey = \"file:{}\"\n{more}",
            path("idp.pem"),
            path("own.pem")
        );
        let house = House::with(|config, providers| {
            let config = config.replace(
                "home_uri = \"http://localhost:8084/\"\n",
                "home_uri = \"http://localhost:8084/\"\ninitiate_login_uri = \"http://localhost:8084/start\"\n\
                 post_logout_redirect_uris = [\"http://localhost:8084/bye\"]\n",
            );
            (config.replacen("[branding]", &format!("{settings}\n[branding]"), 1), providers + &provider)
        });
        Self { house: house.await, idp: Idp::new(ENTITY, ORIGIN, Key::rsa()), _files: files }
    }

    pub fn callback(&self) -> String {
        self.house.at("/upstream/acme/callback")
    }
    pub fn address(&self) -> String {
        self.house.at("/upstream/acme/logout")
    }

    /// Signs somebody in, in a session of the provider's.
    pub async fn sign_in(&self, visitor: &mut Visitor, name: &str, session: &str) {
        let to = visitor.get(&authorize(&self.house, "first", &[("idp_hint", "acme")])).await.location();
        let asked = Request::of(&Departure::RedirectTo(to));
        let mut script = self.idp.script(self.house.now(), &asked, &self.callback());
        script.assertion.name_id = Some(NameId::persistent(name));
        for statement in &mut script.assertion.authn {
            statement.session_index = Some(session.to_owned());
        }
        let message = Message::new(script.xml(), asked.relay_state.as_deref().unwrap());
        let answer = self.send(visitor, &self.callback(), &message.form()).await;
        let back = answer.location();
        assert_eq!(back.path(), "/continue", "{answer:#?} {:#?}", self.house.refusals().await);
        let done = visitor.get(back.as_str()).await.location();
        assert!(parameter(&done, "code").is_some(), "{done}");
    }

    /// A form from the provider's site, which brings no cookie of ours but those for answers.
    pub async fn send(
        &self,
        visitor: &mut Visitor,
        url: &str,
        form: &std::collections::BTreeMap<String, String>,
    ) -> Answer {
        let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        visitor.post_from(url, &form, Some(ORIGIN), Some("cross-site")).await
    }

    pub fn request(&self, name: &str, sessions: &[&str]) -> LogoutRequest {
        self.idp.logout(self.house.now(), &self.address(), NameId::persistent(name), sessions)
    }

    /// A request by redirect.
    pub fn link(&self, request: &LogoutRequest, state: Option<&str>) -> String {
        format!("{}?{}", self.address(), redirect("SAMLRequest", &request.xml(), state, Some(&Key::rsa())))
    }

    /// A request by form.
    fn form(&self, request: &LogoutRequest, state: &str) -> std::collections::BTreeMap<String, String> {
        let xml = request.signed(&Signature::by(Key::rsa()));
        [("SAMLRequest".to_owned(), STANDARD.encode(xml)), ("RelayState".to_owned(), state.to_owned())].into()
    }

    /// Whether the browser is signed in.
    pub async fn is_in(&self, visitor: &Visitor) -> bool {
        let to =
            visitor.clone().get(&authorize(&self.house, "first", &[("prompt", "none")])).await.location();
        parameter(&to, "code").is_some()
    }

    /// Presses *Sign out* for an application that wants people back.
    async fn sign_out(&self, visitor: &mut Visitor) -> Answer {
        let query = format!("client_id=first&post_logout_redirect_uri={BYE}&state=the-state");
        let page = visitor.get(&self.house.at(&format!("/logout?{query}"))).await;
        assert_eq!(page.status, 200, "{page:#?}");
        let names = ["csrf", "client_id", "post_logout_redirect_uri", "state"];
        let fields: Vec<(&str, String)> = names.iter().map(|name| (*name, page.field(name))).collect();
        let form: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        visitor.post(&self.house.at("/logout"), &form).await
    }

    /// The provider's answer to a logout that began here.
    fn answer(&self, asked: &Request, codes: &[&str]) -> String {
        let mut response = LogoutResponse::sound(self.house.now(), ENTITY, &self.address(), &asked.id);
        response.status =
            codes.iter().map(|code| format!("urn:oasis:names:tc:SAML:2.0:status:{code}")).collect();
        let state = asked.relay_state.as_deref();
        let query = redirect("SAMLResponse", &response.xml(), state, Some(&Key::rsa()));
        format!("{}?{query}", self.address())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_there_is_signed_out_here_and_nobody_else() {
    let acme = Acme::open("").await;
    let (mut alice, mut second, mut bob) = (Visitor::new(), Visitor::new(), Visitor::new());
    acme.sign_in(&mut alice, "alice", "_s1").await;
    acme.sign_in(&mut second, "alice", "_s2").await;
    acme.sign_in(&mut bob, "bob", "_s3").await;
    // Somebody else's session, and one that we do not know: nobody is meant, and that is no error.
    for request in
        [acme.request("bob", &["_s1"]), acme.request("alice", &["_s9"]), acme.request("carol", &[])]
    {
        let answer =
            Request::of(&Departure::RedirectTo(bob.get(&acme.link(&request, None)).await.location()));
        assert!(answer.xml.contains("status:Success"), "{}", answer.xml);
    }
    assert!(acme.is_in(&alice).await && acme.is_in(&second).await && acme.is_in(&bob).await);

    let request = acme.request("alice", &["_s1"]);
    let answer = alice.get(&acme.link(&request, Some("their state"))).await;
    let sent = Request::of(&Departure::RedirectTo(answer.location()));
    assert_eq!(answer.location().origin().ascii_serialization(), ORIGIN);
    assert!(sent.signed_by(Key::service().der()));
    assert_eq!(sent.attribute("InResponseTo"), request.id);
    assert_eq!(sent.relay_state.as_deref(), Some("their state"));
    assert!(sent.xml.contains("status:PartialLogout"), "the app can be told by no address: {}", sent.xml);
    assert!(!acme.is_in(&alice).await && acme.is_in(&second).await && acme.is_in(&bob).await);
    assert!(alice.session().is_none(), "its cookie is forgotten");

    // By form, from their site, without a session's cookie; and without a session named all of the person's end.
    let mut carrier = Visitor::new();
    let page = acme.send(&mut carrier, &acme.address(), &acme.form(&acme.request("alice", &[]), "x")).await;
    let _ = Request::of(&Departure::RedirectTo(page.location()));
    assert!(!acme.is_in(&second).await && acme.is_in(&bob).await);
    let ended =
        acme.house.events().await.into_iter().filter(|(_, r)| r.as_deref() == Some("upstream.logout"));
    assert_eq!(ended.count(), 2);
}

/// The end of a session that had run out is no end of the one that the browser has now.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_of_who_was_there_before_leaves_who_is_there_signed_in() {
    let acme = Acme::open("").await;
    let mut browser = Visitor::new();
    acme.sign_in(&mut browser, "alice", "_s1").await;
    acme.house.wait(acme.house.app.now().settings.sessions.idle);
    acme.sign_in(&mut browser, "bob", "_s2").await;
    let ended = || async {
        let events = acme.house.events().await.into_iter();
        events.filter(|(_, reason)| reason.as_deref() == Some("upstream.logout")).count()
    };
    browser.get(&acme.link(&acme.request("alice", &["_s1"]), None)).await.location();
    assert_eq!(ended().await, 1);
    assert!(browser.session().is_some() && acme.is_in(&browser).await);
    // The valid twin.
    browser.get(&acme.link(&acme.request("bob", &["_s2"]), None)).await.location();
    assert_eq!(ended().await, 2);
    assert!(browser.session().is_none() && !browser.cookies.contains_key("cs_browser"));
}

#[tokio::test(flavor = "multi_thread")]
async fn saml_109_a_forged_word_ends_no_session() {
    let acme = Acme::open("").await;
    let mut alice = Visitor::new();
    acme.sign_in(&mut alice, "alice", "_s1").await;
    // all of hers, so that it could end a later one too
    let request = acme.request("alice", &[]);
    let bare = format!("{}?{}", acme.address(), redirect("SAMLRequest", &request.xml(), None, None));
    let watch = Watch::begin(&acme.house, "saml.sig.missing").await;
    let page = alice.get(&bare).await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("We could not accept this sign-out"), "{}", page.body);
    watch.refused_once(&acme.house).await;
    assert!(acme.is_in(&alice).await);
    // The valid twin, and then the same again.
    let link = acme.link(&request, None);
    assert_eq!(alice.get(&link).await.status, 303);
    assert!(!acme.is_in(&alice).await);
    // What is said of her later is of a new session.
    acme.house.wait(std::time::Duration::from_secs(10));
    acme.sign_in(&mut alice, "alice", "_s2").await;
    let watch = Watch::begin(&acme.house, "saml.replay").await;
    assert_eq!(alice.get(&link).await.status, 400);
    watch.refused_once(&acme.house).await;
    assert!(acme.is_in(&alice).await, "a word is used once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_which_no_answer_could_go_ends_nothing_and_is_not_used_up() {
    let mut acme = Acme::open("").await;
    let mut alice = Visitor::new();
    acme.sign_in(&mut alice, "alice", "_s1").await;
    let address = format!("slo_url = \"{ORIGIN}/slo\"\n");
    acme.house.reload(|config, providers| (config, providers.replace(&address, ""))).await;
    let link = acme.link(&acme.request("alice", &["_s1"]), None);
    let watch = Watch::begin(&acme.house, "saml.metadata.role").await;
    let page = alice.get(&link).await;
    assert_eq!(page.status, 400, "{page:#?}");
    assert!(page.body.contains("We could not accept this sign-out"), "{}", page.body);
    watch.refused_once(&acme.house).await;
    assert!(acme.is_in(&alice).await && alice.session().is_some());
    // The valid twin: the same request, once its answer has somewhere to go.
    let bare = format!("sso_url = \"{ORIGIN}/sso\"\n");
    acme.house
        .reload(|config, providers| (config, providers.replace(&bare, &format!("{bare}{address}"))))
        .await;
    assert_eq!(alice.get(&link).await.status, 303);
    assert!(!acme.is_in(&alice).await && alice.session().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn saml_098_a_parameter_that_comes_twice_is_refused() {
    let acme = Acme::open("").await;
    let mut alice = Visitor::new();
    acme.sign_in(&mut alice, "alice", "_s1").await;
    let request = acme.request("alice", &["_s1"]);
    let link = acme.link(&request, Some("a"));
    for more in ["&RelayState=b", "&SAMLRequest=b", "&SigAlg=b"] {
        let watch = Watch::begin(&acme.house, "request.duplicate_parameter").await;
        assert_eq!(alice.get(&format!("{link}{more}")).await.status, 400);
        watch.refused_once(&acme.house).await;
    }
    let form = acme.form(&request, "a");
    let twice: Vec<(&str, &str)> =
        form.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain([("RelayState", "b")]).collect();
    let watch = Watch::begin(&acme.house, "request.duplicate_parameter").await;
    assert_eq!(alice.post_from(&acme.address(), &twice, Some(ORIGIN), Some("cross-site")).await.status, 400);
    watch.refused_once(&acme.house).await;
    assert!(acme.is_in(&alice).await);
    assert_eq!(alice.get(&link).await.status, 303, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn saml_099_a_bomb_is_answered_with_413() {
    let acme = Acme::open("").await;
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..8 {
        deflate.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = STANDARD.encode(deflate.finish().unwrap());
    let query =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("SAMLRequest", &bomb).finish();
    let watch = Watch::begin(&acme.house, "saml.xml.limits").await;
    assert_eq!(Visitor::new().get(&format!("{}?{query}", acme.address())).await.status, 413);
    watch.refused_once(&acme.house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saml_105_what_they_sent_along_is_text_in_our_form() {
    let acme = Acme::open("request_binding = \"post\"\n").await;
    let state = "\"><script>alert(1)</script>&amp;'";
    let mut carrier = Visitor::new();
    let page = carrier.get(&acme.link(&acme.request("alice", &[]), Some(state))).await;
    assert_eq!(page.status, 200, "{page:#?}");
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
    assert!(page.body.contains("&#34;&#62;&#60;script&#62;alert(1)"), "{}", page.body);
    assert!(page.body.contains("action=\"https://id.acme.example/slo\""), "{}", page.body);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action https://id.acme.example;"), "{policy}");
    assert!(policy.contains("frame-ancestors https://id.acme.example;"), "{policy}");
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let xml = String::from_utf8(STANDARD.decode(page.field("SAMLResponse")).unwrap()).unwrap();
    assert!(xml.contains("status:Success"), "{xml}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_here_is_signed_out_there_and_led_back_to_the_app() {
    let acme = Acme::open("").await;
    let mut alice = Visitor::new();
    acme.sign_in(&mut alice, "alice", "_s1").await;
    let (before, flows) = (alice.clone(), alice.flows());
    let asked = Request::of(&Departure::RedirectTo(acme.sign_out(&mut alice).await.location()));
    assert!(asked.signed_by(Key::service().der()));
    assert!(
        asked.xml.contains(">alice</saml:NameID><samlp:SessionIndex>_s1</samlp:SessionIndex>"),
        "{}",
        asked.xml
    );
    assert!(asked.relay_state.as_deref().is_some_and(|state| state.len() <= 80));
    assert!(!acme.is_in(&before).await, "here it has ended, whatever they say");

    // Another browser has no use for their answer, and neither does this one for the answer to another request.
    let link = acme.answer(&asked, &["Success"]);
    let watch = Watch::begin(&acme.house, "saml.in_response_to").await;
    assert_eq!(Visitor::new().get(&link).await.status, 400);
    watch.refused_once(&acme.house).await;
    let other = Request { id: "_other".to_owned(), ..asked.clone() };
    let page = alice.get(&acme.answer(&other, &["Success"])).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("did not confirm the sign-out"), "{}", page.body);
    // The true one still counts, and leads on.
    let back = alice.get(&link).await.location();
    assert_eq!(back.as_str(), format!("{BYE}?state=the-state"));
    assert_eq!(alice.flows(), flows, "nothing is left of it");
    let watch = Watch::begin(&acme.house, "saml.in_response_to").await;
    assert_eq!(alice.get(&link).await.status, 400, "once");
    watch.refused_once(&acme.house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_work_there_is_told_and_the_way_on_is_a_link() {
    let acme = Acme::open("request_binding = \"post\"\n").await;
    for (codes, words) in [
        (["Success", "PartialLogout"].as_slice(), "could not sign you out everywhere"),
        (&["Responder"], "did not confirm the sign-out"),
    ] {
        let mut alice = Visitor::new();
        acme.sign_in_by_post(&mut alice).await;
        let page = acme.sign_out(&mut alice).await;
        let fields = ["SAMLRequest", "RelayState"].map(|name| (name.to_owned(), page.field(name)));
        let departure = Departure::PostForm {
            action: Url::parse("https://id.acme.example/slo").unwrap(),
            fields: fields.into(),
        };
        let asked = Request::of(&departure);
        assert!(asked.signed_by(Key::service().der()));
        let page = alice.get(&acme.answer(&asked, codes)).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains("You are signed out") && page.body.contains(words), "{}", page.body);
        assert!(page.body.contains("href=\"http://localhost:8084/bye?state=the-state\""), "{}", page.body);
        assert!(!page.body.contains("http-equiv"), "it does not go on by itself: {}", page.body);
        assert!(!page.body.contains("Acme <b>"), "{}", page.body);
    }
    let refusals = acme.house.refusals().await;
    assert!(refusals.iter().any(|r| r.refusal.reason == "saml.logout.status"), "the operator can look it up");
}

impl Acme {
    /// As `sign_in`, where requests go by form.
    async fn sign_in_by_post(&self, visitor: &mut Visitor) {
        let page = visitor.get(&authorize(&self.house, "first", &[("idp_hint", "acme")])).await;
        let fields = ["SAMLRequest", "RelayState"].map(|name| (name.to_owned(), page.field(name)));
        let action = Url::parse("https://id.acme.example/sso").unwrap();
        let departure = Departure::PostForm { action, fields: fields.into() };
        let message = self.idp.answer(self.house.now(), &departure);
        let back = self.send(visitor, &self.callback(), &message.form()).await.location();
        visitor.get(back.as_str()).await.location();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_that_overtakes_the_sign_in_counts() {
    let acme = Acme::open("").await;
    for (session, refused) in [("_session-1", true), ("_another", false)] {
        let mut alice = Visitor::new();
        let to = alice.get(&authorize(&acme.house, "first", &[("idp_hint", "acme")])).await.location();
        let message = acme.idp.answer(acme.house.now(), &Departure::RedirectTo(to));
        let request = acme.request("alice-persistent", &[session]);
        assert_eq!(Visitor::new().get(&acme.link(&request, None)).await.status, 303);
        let watch = Watch::begin(&acme.house, "upstream.session_ended").await;
        let answer = acme.send(&mut alice, &acme.callback(), &message.form()).await;
        if refused {
            assert_eq!(answer.status, 400);
            watch.refused_once(&acme.house).await;
            acme.house.wait(std::time::Duration::from_secs(400));
        } else {
            assert_eq!(answer.status, 303, "the valid twin: another session there");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_with_an_address_for_it_is_told() {
    let mut acme = Acme::open("").await;
    acme.house
        .reload(|config, providers| {
            let told = "first_party = true\nbackchannel_logout_uri = \"https://app.example/out\"\n\
                        frontchannel_logout_uri = \"http://localhost:8084/front\"\n";
            (config.replacen("first_party = true\n", told, 1), providers)
        })
        .await;
    let mut alice = Visitor::new();
    acme.sign_in(&mut alice, "alice", "_s1").await;
    let page = alice.get(&acme.link(&acme.request("alice", &["_s1"]), None)).await;
    assert_eq!(page.status, 200, "{page:#?}");
    assert!(page.body.contains("src=\"http://localhost:8084/front\""), "{}", page.body);
    assert!(page.body.contains("data-onward"), "it goes on by itself: {}", page.body);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-src http://localhost:8084;"), "{policy}");
    assert!(policy.contains("frame-ancestors https://id.acme.example;"), "{policy}");
    let waiting = acme.house.app.store.read::<_, StoreError, _>(|tx| tx.waiting_logouts()).await.unwrap();
    assert_eq!(waiting, 1, "a logout token is queued");
    let after = page.body.split("href=\"https://id.acme.example/slo?").nth(1).expect("the way on");
    let query = after.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let url = Url::parse(&format!("https://id.acme.example/slo?{query}")).unwrap();
    let sent = Request::of(&Departure::RedirectTo(url));
    assert!(!sent.xml.contains("Partial"), "{}", sent.xml);
}

/// A response that the provider made on its own.
fn unasked(acme: &Acme) -> std::collections::BTreeMap<String, String> {
    let asked = Request::of(&Departure::RedirectTo(
        Url::parse(&format!(
            "https://id.acme.example/sso?{}",
            redirect("SAMLRequest", &acme.request("x", &[]).xml(), None, None)
        ))
        .unwrap(),
    ));
    let mut script = acme.idp.script(acme.house.now(), &asked, &acme.callback());
    script.response.in_response_to = None;
    for confirmation in &mut script.assertion.confirmations {
        confirmation.in_response_to = None;
    }
    [("SAMLResponse".to_owned(), Message::new(script.xml(), "").encoded())].into()
}

#[tokio::test(flavor = "multi_thread")]
async fn saml_079_an_answer_that_nobody_asked_for_is_refused() {
    let acme = Acme::open("").await;
    for state in [None, Some("https://app.example/deep"), Some("")] {
        let mut form = unasked(&acme);
        form.extend(state.map(|state| ("RelayState".to_owned(), state.to_owned())));
        let watch = Watch::begin(&acme.house, "saml.unsolicited").await;
        let page = acme.send(&mut Visitor::new(), &acme.callback(), &form).await;
        assert_eq!(page.status, 400, "{page:#?}");
        watch.refused_once(&acme.house).await;
    }
    let mut alice = Visitor::new();
    acme.sign_in(&mut alice, "alice", "_s1").await;
    assert!(acme.is_in(&alice).await, "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn saml_075_an_answer_that_nobody_asked_for_is_no_proof_however_often_it_comes() {
    let acme = Acme::open("idp_initiated = true\nidp_initiated_client = \"first\"\n").await;
    let form = unasked(&acme);
    let before = acme.house.rows().await;
    for _ in 0..2 {
        let mut visitor = Visitor::new();
        let start = acme.send(&mut visitor, &acme.callback(), &form).await.location();
        assert_eq!(start.path(), "/start");
        assert_eq!(parameter(&start, "iss").as_deref(), Some(acme.house.origin.as_str()));
        assert!(visitor.session().is_none() && !acme.is_in(&visitor).await);
        // The app begins, and the sign-in goes straight to the provider that was meant, with a request of ours.
        let to = visitor.get(&authorize(&acme.house, "first", &[])).await.location();
        assert_eq!(to.origin().ascii_serialization(), ORIGIN, "{to}");
        assert!(parameter(&to, "SAMLRequest").is_some());
        // Once: the next sign-in shows the list.
        let to = visitor.get(&authorize(&acme.house, "first", &[])).await.location();
        assert_eq!(to.path(), "/sign-in");
        let page = visitor.get(to.as_str()).await;
        assert_eq!(choose(&acme.house, &mut visitor, &page, "globex").await.status, 303);
    }
    assert_eq!(acme.house.rows().await, before, "nothing of the message is stored");
    // An answer that was asked for and is sent again is refused, too.
    let mut alice = Visitor::new();
    acme.sign_in(&mut alice, "alice", "_s1").await;
}

/// A provider that never sends our RelayState back would send the browser round for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_forgets_our_relay_state_is_found_out() {
    let settings = "idp_initiated = true\nidp_initiated_client = \"first\"\n";
    for (few, expected) in [("", 3), ("[sign_in]\nmax_open = 1\n", 1)] {
        let acme = Acme::open_with(settings, few).await;
        let form = unasked(&acme);
        let mut visitor = Visitor::new();
        let mut rounds = 0;
        let watch = Watch::begin(&acme.house, "saml.unsolicited").await;
        loop {
            let answer = acme.send(&mut visitor, &acme.callback(), &form).await;
            if answer.status == 400 {
                break;
            }
            assert_eq!(answer.location().path(), "/start");
            rounds += 1;
            assert!(rounds < 10, "it ends");
            let to = visitor.get(&authorize(&acme.house, "first", &[])).await.location();
            assert_eq!(to.origin().ascii_serialization(), ORIGIN, "{to}");
        }
        assert_eq!(rounds, expected);
        watch.refused_once(&acme.house).await;
        // The valid twins: another browser, and this one later.
        assert_eq!(acme.send(&mut Visitor::new(), &acme.callback(), &form).await.status, 303);
        acme.house.wait(std::time::Duration::from_secs(121));
        assert_eq!(acme.send(&mut visitor, &acme.callback(), &form).await.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn saml_083_a_client_that_is_switched_off_is_not_started() {
    let mut acme = Acme::open("idp_initiated = true\nidp_initiated_client = \"third\"\n").await;
    let form = unasked(&acme);
    let refused = async |acme: &Acme, reason: &'static str| {
        let watch = Watch::begin(&acme.house, reason).await;
        let page = acme.send(&mut Visitor::new(), &acme.callback(), &form).await;
        assert!((400..500).contains(&page.status), "{page:#?}");
        watch.refused_once(&acme.house).await;
    };
    refused(&acme, "client.start").await;
    let switch = |config: String, id: &str| {
        let (before, after) = config.split_once(&format!("id = \"{id}\"\n")).unwrap();
        format!("{before}id = \"{id}\"\ndisabled = true\n{after}")
    };
    acme.house.reload(|config, providers| (switch(config, "third"), providers)).await;
    refused(&acme, "client.disabled").await;
    acme.house.reload(|config, providers| (config, providers.replace("\"third\"", "\"nobody\""))).await;
    refused(&acme, "client.unknown").await;
    acme.house.reload(|config, providers| (config, providers.replace("\"nobody\"", "\"first\""))).await;
    assert_eq!(acme.send(&mut Visitor::new(), &acme.callback(), &form).await.status, 303, "the valid twin");
}
