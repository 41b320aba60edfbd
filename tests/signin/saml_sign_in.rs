//! Sign-ins by SAML providers, through the whole broker.

use crate::Watch;
use crate::house::*;
use crate::saml::{Idp, Key, Message, NameId, Request, uri};
use countersign::flow::App;
use countersign::store::Store;
use countersign::upstream::Departure;
use std::collections::BTreeMap;
use url::Url;

const ACME: &str = "https://id.acme.example";
const UMBRELLA: &str = "https://id.umbrella.example";

fn provider(id: &str, entity: &str, key: &Key, more: &str) -> String {
    format!(
        r#"
[[provider]]
id = "{id}"
kind = "saml"
name = "{id}"
entity_id = "{entity}"
sso_url = "{entity}/sso"
certificates = ['''{}''']
provisioning = "open"
{more}
[provider.attributes]
email = "email"
name = "name"
groups = "groups"

[[provider.map]]
rule = "engineering"
group = "engineers"
when = "'engineering' in claims.groups"
"#,
        key.pem()
    )
}

/// The usual files, with two SAML providers.
fn files(config: String, providers: String) -> (String, String) {
    let acme = provider("acme", ACME, &Key::rsa(), "");
    let umbrella = provider("umbrella", UMBRELLA, &Key::rsa_next(), "");
    (config, format!("{providers}{acme}{umbrella}"))
}

async fn house() -> House {
    House::with(files).await
}

fn acme() -> Idp {
    Idp::new(ACME, ACME, Key::rsa())
}

fn umbrella() -> Idp {
    Idp::new(UMBRELLA, UMBRELLA, Key::rsa_next())
}

fn callback(house: &House, provider: &str) -> String {
    house.at(&format!("/upstream/{provider}/callback"))
}

/// From the app to the provider, and its answer.
async fn answered(house: &House, visitor: &mut Visitor, provider: &str, idp: &Idp) -> Message {
    let request = depart(house, visitor, provider, &authorize(house, "first", &[])).await;
    idp.answer(house.now(), &Departure::RedirectTo(request))
}

/// The provider's page posts the answer from its own site.
async fn bring(house: &House, visitor: &mut Visitor, provider: &str, message: &Message) -> Answer {
    let form = message.form();
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    visitor.post_from(&callback(house, provider), &form, Some(ACME), Some("cross-site")).await
}

async fn signs_in(house: &House, provider: &str, idp: &Idp) -> Url {
    let mut visitor = Visitor::new();
    let message = answered(house, &mut visitor, provider, idp).await;
    let back = bring(house, &mut visitor, provider, &message).await.location();
    assert_eq!(back.path(), "/continue");
    assert!(visitor.session().is_some());
    visitor.get(back.as_str()).await.location()
}

#[tokio::test]
async fn somebody_signs_in_and_the_app_gets_its_code() {
    let house = house().await;
    let to = signs_in(&house, "acme", &acme()).await;
    assert!(to.as_str().starts_with("http://localhost:8084/callback?"), "{to}");
    assert!(parameter(&to, "code").is_some());
    let accounts = house.accounts().await;
    let [account] = accounts.as_slice() else { panic!("{accounts:?}") };
    assert_eq!(account.profile.name.as_deref(), Some("Alice Adams"));
    let id = account.id.clone();
    let (assignments, identities, sessions) = house
        .app
        .store
        .read::<_, countersign::store::StoreError, _>(move |tx| {
            Ok((tx.assignments_of(&id)?, tx.identities_of(&id)?, tx.sessions_of(&id)?))
        })
        .await
        .unwrap();
    assert_eq!(assignments.iter().map(|a| a.target.name()).collect::<Vec<_>>(), ["engineers"]);
    assert_eq!(identities[0].key.subject, "alice-persistent");
    assert_eq!(identities[0].key.issuer, ACME);
    let proof = &sessions[0].proofs[0];
    assert_eq!(proof.acr.as_deref(), Some(uri::PASSWORD));
    assert_eq!(proof.auth_time.secs(), house.now().secs() - 5);
    assert!(proof.auth_time_asserted);
    assert_eq!(proof.upstream_session.as_deref(), Some("_session-1"));
    // SAML Profiles §4.1.4.3: not longer than the provider's own session, by its clock
    assert_eq!(sessions[0].expires_at.secs(), house.now().secs() + 3600 + 60);
}

#[tokio::test]
async fn our_metadata_is_found_at_our_entity_id() {
    let house = house().await;
    let mut visitor = Visitor::new();
    let request = depart(&house, &mut visitor, "acme", &authorize(&house, "first", &[])).await;
    let issuer = Request::of(&Departure::RedirectTo(request)).issuer;
    let page = visitor.get(&issuer).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("application/samlmetadata+xml"));
    assert!(page.body.contains(&format!("entityID=\"{issuer}\"")), "{}", page.body);
    assert!(page.body.contains(&callback(&house, "acme")), "{}", page.body);
    // other kinds publish nothing, and nobody else has any
    for path in ["/upstream/globex/metadata", "/upstream/nobody/metadata", "/upstream/%00/metadata"] {
        assert_eq!(visitor.get(&house.at(path)).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn saml_073_of_a_hundred_replays_at_once_one_is_accepted() {
    let mut houses = vec![house().await];
    houses.extend(House::on_postgres(files).await);
    for house in houses {
        let mut visitor = Visitor::new();
        let message = answered(&house, &mut visitor, "acme", &acme()).await;
        let each = (0..100).map(|_| {
            let (house, message, mut visitor) = (&house, &message, visitor.clone());
            async move { bring(house, &mut visitor, "acme", message).await.status }
        });
        let mut by_status: BTreeMap<u16, usize> = BTreeMap::new();
        for status in futures_util::future::join_all(each).await {
            *by_status.entry(status).or_default() += 1;
        }
        assert_eq!(by_status, BTreeMap::from([(303, 1), (400, 99)]));
        assert_eq!(house.rows().await.sessions, 1);
        assert_eq!(crate::times(&house, "saml.replay").await, 99);
    }
}

#[tokio::test]
async fn saml_074_a_replay_is_refused_after_a_restart_too() {
    let mut house = house().await;
    let mut visitor = Visitor::new();
    let message = answered(&house, &mut visitor, "acme", &acme()).await;
    // whoever kept the browser's cookies has all that the person had
    let mut thief = visitor.clone();
    assert_eq!(bring(&house, &mut visitor, "acme", &message).await.status, 303);
    let now = house.app.now();
    let app = App::start(
        house.app.context.clone(),
        house.app.store.clone(),
        now.settings.clone(),
        now.upstreams.clone(),
    )
    .await
    .unwrap();
    house.serve_instead(app).await;
    let watch = Watch::begin(&house, "saml.replay").await;
    let page = bring(&house, &mut thief, "acme", &message).await;
    assert_eq!(page.status, 400);
    assert!(thief.session().is_none());
    watch.refused_once(&house).await;
    // the valid twin: a new sign-in
    assert!(parameter(&signs_in(&house, "acme", &acme()).await, "code").is_some());
}

/// Two nodes that know nothing of each other but the database.
#[tokio::test]
async fn saml_073_saml_074_what_one_node_accepted_another_refuses() {
    let mut houses = vec![house().await];
    houses.extend(House::on_postgres(files).await);
    for mut house in houses {
        let mut visitor = Visitor::new();
        let message = answered(&house, &mut visitor, "acme", &acme()).await;
        let mut thief = visitor.clone();
        assert_eq!(bring(&house, &mut visitor, "acme", &message).await.status, 303);
        let first = house.app.clone();
        let now = first.now();
        let store = Store::open(&now.settings.database).unwrap();
        let second =
            App::start(first.context.clone(), store, now.settings.clone(), now.upstreams.clone()).await;
        house.serve_instead(second.unwrap()).await;
        let watch = Watch::begin(&house, "saml.replay").await;
        let page = bring(&house, &mut thief, "acme", &message).await;
        assert_eq!(page.status, 400);
        assert!(thief.session().is_none());
        watch.refused_once(&house).await;
        // And the other way round: what the second accepts, the first refuses.
        let mut visitor = Visitor::new();
        let message = answered(&house, &mut visitor, "acme", &acme()).await;
        let mut thief = visitor.clone();
        assert_eq!(bring(&house, &mut visitor, "acme", &message).await.status, 303, "the valid twin");
        house.serve_instead(first).await;
        let watch = Watch::begin(&house, "saml.replay").await;
        assert_eq!(bring(&house, &mut thief, "acme", &message).await.status, 400);
        watch.refused_once(&house).await;
    }
}

#[tokio::test]
async fn saml_077_an_answer_in_another_browser_is_refused_and_not_used_up() {
    let house = house().await;
    let (mut mallory, mut victim) = (Visitor::new(), Visitor::new());
    let message = answered(&house, &mut mallory, "acme", &acme()).await;
    let watch = Watch::begin(&house, "browser_binding").await;
    let page = bring(&house, &mut victim, "acme", &message).await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("began in another browser"));
    assert!(victim.session().is_none());
    watch.refused_once(&house).await;
    // nor does it help the victim to have a sign-in of their own
    let own = answered(&house, &mut victim, "acme", &acme()).await;
    let mixed = Message { relay_state: own.relay_state.clone(), ..message.clone() };
    let watch = Watch::begin(&house, "saml.in_response_to").await;
    assert_eq!(bring(&house, &mut victim, "acme", &mixed).await.status, 400);
    watch.refused_once(&house).await;
    assert_eq!(bring(&house, &mut mallory, "acme", &message).await.status, 303, "the valid twin");
    let refusals = house.refusals().await;
    let bound = refusals.iter().find(|r| r.refusal.reason == "browser_binding").unwrap();
    assert!(bound.refusal.note.contains("Back, or a reload"), "{}", bound.refusal.note);
}

#[tokio::test]
async fn saml_085_an_answer_at_another_providers_callback_is_refused() {
    let house = house().await;
    let mut visitor = Visitor::new();
    let message = answered(&house, &mut visitor, "acme", &acme()).await;
    let watch = Watch::begin(&house, "provider.mismatch").await;
    assert_eq!(bring(&house, &mut visitor, "umbrella", &message).await.status, 400);
    watch.refused_once(&house).await;
    assert_eq!(bring(&house, &mut visitor, "acme", &message).await.status, 303, "the valid twin");
    // and what another provider signed is none of this one's
    let mut visitor = Visitor::new();
    let message = answered(&house, &mut visitor, "acme", &umbrella()).await;
    let watch = Watch::begin(&house, "saml.sig.invalid").await;
    assert_eq!(bring(&house, &mut visitor, "acme", &message).await.status, 400);
    watch.refused_once(&house).await;
}

#[tokio::test]
async fn saml_081_saml_082_a_provider_that_was_switched_off_meanwhile_lets_nobody_in() {
    let mut house = house().await;
    let mut visitor = Visitor::new();
    let message = answered(&house, &mut visitor, "acme", &acme()).await;
    let on = "id = \"acme\"\nkind";
    house
        .reload(|config, providers| {
            assert!(providers.contains(on));
            (config, providers.replace(on, "id = \"acme\"\nenabled = false\nkind"))
        })
        .await;
    let watch = Watch::begin(&house, "provider.disabled").await;
    assert_eq!(bring(&house, &mut visitor, "acme", &message).await.status, 403);
    watch.refused_once(&house).await;
    house.reload(|config, providers| (config, providers.replace("enabled = false\n", ""))).await;
    assert!(parameter(&signs_in(&house, "acme", &acme()).await, "code").is_some(), "the valid twin");
}

#[tokio::test]
async fn saml_082_a_provider_that_was_removed_meanwhile_lets_nobody_in() {
    let mut house = house().await;
    let mut visitor = Visitor::new();
    let message = answered(&house, &mut visitor, "acme", &acme()).await;
    let table = provider("acme", ACME, &Key::rsa(), "");
    house
        .reload(|config, providers| {
            assert!(providers.contains(&table));
            (config, providers.replace(&table, ""))
        })
        .await;
    let watch = Watch::begin(&house, "provider.disabled").await;
    let answer = bring(&house, &mut visitor, "acme", &message).await;
    assert_eq!(answer.status, 403, "{answer:#?}");
    assert!(visitor.session().is_none());
    watch.refused_once(&house).await;
    house.reload(|config, providers| (config, providers + &table)).await;
    assert!(parameter(&signs_in(&house, "acme", &acme()).await, "code").is_some(), "the valid twin");
}

#[tokio::test]
async fn saml_087_one_name_at_two_providers_is_two_people() {
    let house = house().await;
    signs_in(&house, "acme", &acme()).await;
    signs_in(&house, "umbrella", &umbrella()).await;
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.identities), (2, 2));
    // and the same one again is nobody new
    signs_in(&house, "acme", &acme()).await;
    assert_eq!(house.rows().await.accounts, 2);
}

/// Acme says which mailboxes are whose, with these settings about names.
async fn owning(names: &str) -> House {
    let owns = format!("authoritative_for = [\"acme.example\"]\nemail_verified = \"true\"\n{names}\n");
    House::with(move |config, providers| {
        (config, format!("{providers}{}", provider("acme", ACME, &Key::rsa(), &owns)))
    })
    .await
}

/// Somebody who has Alice's mailbox comes from Acme under this name.
async fn comes(house: &House, format: &str, name: &str, for_whom: Option<&str>) -> (Answer, Visitor) {
    let mut visitor = Visitor::new();
    let request = depart(house, &mut visitor, "acme", &authorize(house, "first", &[])).await;
    let request = Request::of(&Departure::RedirectTo(request));
    // whoever carries it can ask for another format
    assert!(!request.parameters.contains_key("Signature") && !request.xml.contains("Signature"));
    let mut script = acme().script(house.now(), &request, &callback(house, "acme"));
    script.assertion.name_id = Some(NameId {
        format: Some(format.to_owned()),
        sp_name_qualifier: for_whom.map(str::to_owned),
        ..NameId::persistent(name)
    });
    let message = Message::new(script.xml(), request.relay_state.as_deref().unwrap());
    let answer = bring(house, &mut visitor, "acme", &message).await;
    (answer, visitor)
}

#[tokio::test]
async fn oidc_045_a_new_owner_of_a_mailbox_gains_nothing_by_asking_for_another_format() {
    const ALICE: &str = "alice@acme.example";
    let both = "nameid_format = \"persistent\"\nnameid_formats = [\"persistent\", \"email\"]";
    for (names, reason) in [
        ("nameid_format = \"persistent\"", "saml.nameid.format"),
        (both, "link.other_subject"),
        // no format is asked for, and all that last are taken
        ("", "link.other_subject"),
    ] {
        let mut house = owning(names).await;
        assert_eq!(comes(&house, uri::PERSISTENT, "alice", None).await.0.status, 303);
        let before = house.rows().await;
        // the mailbox is Mallory's now
        for (format, name, for_whom, reason) in [
            (uri::PERSISTENT, "mallory", None, "link.other_subject"),
            (uri::PERSISTENT, "mallory", Some("https://affiliation.example"), "link.other_subject"),
            (uri::EMAIL, ALICE, None, reason),
        ] {
            let watch = Watch::begin(&house, reason).await;
            let (answer, visitor) = comes(&house, format, name, for_whom).await;
            assert!(answer.status == 403 || answer.status == 400, "{answer:#?}");
            assert!(visitor.session().is_none());
            watch.refused_once(&house).await;
            let rows = house.rows().await;
            assert_eq!((rows.accounts, rows.identities), (before.accounts, before.identities), "{names}");
        }
        // The valid twins: Alice by the name that she has, and by another once that one is given no more.
        assert_eq!(comes(&house, uri::PERSISTENT, "alice", None).await.0.status, 303);
        let entity = format!("entity_id = \"{ACME}\"\n");
        house
            .reload(|config, providers| {
                let without = if names.is_empty() { providers } else { providers.replace(names, "") };
                let by_address = format!("{entity}nameid_format = \"email\"\n");
                (config, without.replace(&entity, &by_address))
            })
            .await;
        assert_eq!(comes(&house, uri::EMAIL, ALICE, None).await.0.status, 303, "{names}");
        let rows = house.rows().await;
        assert_eq!((rows.accounts, rows.identities), (1, 2), "{names}");
    }
}

#[tokio::test]
async fn saml_090_a_wish_for_a_context_is_no_demand_and_an_essential_one_is() {
    let map = format!("[provider.acr_map]\n\"{}\" = \"pwd\"\n\"urn:acme:mfa\" = \"mfa\"\n", uri::PASSWORD);
    let house = House::with(move |config, providers| {
        (config, format!("{providers}{}", provider("acme", ACME, &Key::rsa(), &map)))
    })
    .await;
    let essential =
        |value: &str| format!(r#"{{"id_token":{{"acr":{{"essential":true,"value":"{value}"}}}}}}"#);
    let (mfa, pwd) = (essential("mfa"), essential("pwd"));
    for (wish, asked, error) in [
        (("acr_values", "mfa"), "urn:acme:mfa", None),
        (("claims", mfa.as_str()), "urn:acme:mfa", Some("unmet_authentication_requirements")),
        (("claims", pwd.as_str()), uri::PASSWORD, None),
    ] {
        let mut visitor = Visitor::new();
        let request = depart(&house, &mut visitor, "acme", &authorize(&house, "first", &[wish])).await;
        let departure = Departure::RedirectTo(request);
        assert!(Request::of(&departure).xml.contains(&format!(">{asked}</saml:AuthnContextClassRef>")));
        // it shows a password
        let message = acme().answer(house.now(), &departure);
        let back = bring(&house, &mut visitor, "acme", &message).await.location();
        let to = visitor.get(back.as_str()).await.location();
        assert_eq!(parameter(&to, "error").as_deref(), error, "{wish:?} {to}");
        assert_eq!(parameter(&to, "code").is_some(), error.is_none(), "{wish:?} {to}");
    }
}

#[tokio::test]
async fn saml_097_an_answer_by_get_is_none() {
    let house = house().await;
    let mut visitor = Visitor::new();
    let message = answered(&house, &mut visitor, "acme", &acme()).await;
    let url = Url::parse_with_params(&callback(&house, "acme"), message.form()).unwrap();
    let elsewhere = Url::parse_with_params(&callback(&house, "umbrella"), message.form()).unwrap();
    let twice = format!("{url}&SAMLResponse=x&RelayState=y");
    // by redirect, by a reload, and by whatever else somebody sends
    for (address, known) in [
        (url.as_str(), true),
        (&callback(&house, "acme"), false),
        (elsewhere.as_str(), false),
        // of two states none is meant
        (&twice, false),
    ] {
        let watch = Watch::begin(&house, "upstream.method").await;
        let answer = visitor.get(address).await;
        assert_eq!(answer.status, 405, "{address}");
        assert_eq!(answer.header("allow"), Some("POST"));
        // Somebody reads it, and has a reference for whoever can look further.
        assert!(answer.body.contains("We could not accept the provider&#39;s answer"), "{}", answer.body);
        let refusals = house.refusals().await;
        let shown = |kept: &&countersign::audit::KeptRefusal| {
            kept.refusal.reason == "upstream.method" && answer.body.contains(kept.refusal.reference.as_str())
        };
        assert!(refusals.iter().find(shown).is_some(), "{}", answer.body);
        // Whose sign-in it is in this browser has the ways on.
        assert_eq!(answer.body.contains("/continue?flow="), known, "{address} {}", answer.body);
        // It is no answer: nothing of it is kept, and nothing of the sign-in used up.
        watch.refused_once(&house).await;
        assert!(visitor.session().is_none());
    }
    assert_eq!(bring(&house, &mut visitor, "acme", &message).await.status, 303, "the valid twin");
}

#[tokio::test]
async fn saml_098_a_parameter_twice_is_refused() {
    let house = house().await;
    let mut visitor = Visitor::new();
    let message = answered(&house, &mut visitor, "acme", &acme()).await;
    let (encoded, state) = (message.encoded(), message.relay_state.clone());
    let sound = [("SAMLResponse", encoded.as_str()), ("RelayState", state.as_str())];
    for twice in sound {
        let watch = Watch::begin(&house, "request.duplicate_parameter").await;
        let form = [sound[0], sound[1], twice];
        let answer =
            visitor.post_from(&callback(&house, "acme"), &form, Some(ACME), Some("cross-site")).await;
        assert_eq!(answer.status, 400);
        watch.refused_once(&house).await;
    }
    assert_eq!(bring(&house, &mut visitor, "acme", &message).await.status, 303, "the valid twin");
}

#[tokio::test]
async fn a_refusal_tells_the_person_a_reference_and_the_operator_every_check() {
    let house = house().await;
    let mut visitor = Visitor::new();
    let request = depart(&house, &mut visitor, "acme", &authorize(&house, "first", &[])).await;
    let request = Request::of(&Departure::RedirectTo(request));
    let mut script = acme().script(house.now(), &request, &callback(&house, "acme"));
    script.assertion.conditions.as_mut().unwrap().audiences = vec![vec!["https://other.example".to_owned()]];
    let message = Message::new(script.xml(), request.relay_state.as_deref().unwrap());
    let page = bring(&house, &mut visitor, "acme", &message).await;
    assert_eq!(page.status, 400);
    let refusals = house.refusals().await;
    let refusal = &refusals[0].refusal;
    assert_eq!(refusal.reason, "saml.audience");
    assert!(page.has_reference(refusal.reference.as_str()), "{}", page.body);
    assert!(!page.body.contains("saml.audience") && !page.body.contains("other.example"), "{}", page.body);
    let failed: Vec<&str> =
        refusal.steps.iter().filter(|step| !step.passed).map(|step| step.check.as_str()).collect();
    assert_eq!(failed, ["saml.audience"]);
    let last = refusal.steps.last().unwrap();
    assert!(last.received.contains("https://other.example"), "{last:?}");
    assert!(refusal.steps.len() > 5, "the checks before it are told too");
}

#[tokio::test]
async fn saml_105_a_form_to_the_provider_carries_nothing_that_acts() {
    let house = House::with(|config, providers| {
        let form = provider("acme", ACME, &Key::rsa(), "request_binding = \"post\"");
        (config, format!("{providers}{}", form.replace("/sso\"", "/sso?x='%22><script>\"")))
    })
    .await;
    let mut visitor = Visitor::new();
    let list = visitor.get(&authorize(&house, "first", &[])).await.location();
    let page = visitor.get(list.as_str()).await;
    let answer = choose(&house, &mut visitor, &page, "acme").await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert!(!answer.body.contains("<script>"), "{}", answer.body);
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("form-action {ACME};")), "{policy}");
    let (message, state) = (answer.field("SAMLRequest"), answer.field("RelayState"));
    let fields = vec![("SAMLRequest".to_owned(), message), ("RelayState".to_owned(), state)];
    let action = Url::parse(ACME).unwrap();
    let answer = acme().answer(house.now(), &Departure::PostForm { action, fields });
    assert_eq!(bring(&house, &mut visitor, "acme", &answer).await.status, 303);
}

#[tokio::test]
async fn mistakes_are_told_in_their_place() {
    let house = house().await;
    for (from, to, says) in [
        (format!("entity_id = \"{ACME}\""), format!("entity_idd = \"{ACME}\""), "did you mean `entity_id`?"),
        (format!("sso_url = \"{ACME}/sso\""), String::new(), "nothing says where the provider is"),
        (
            format!("sso_url = \"{ACME}/sso\""),
            format!("metadata_url = \"{ACME}/m\"\ntrust_metadata_url = true"),
            "pins the provider's keys",
        ),
        (
            format!("sso_url = \"{ACME}/sso\""),
            format!("sso_url = \"{ACME}/sso\"\nkey = \"file:missing.pem\""),
            "missing.pem",
        ),
    ] {
        let told = house
            .try_files(|config, providers| {
                assert!(providers.contains(&from), "{from}");
                (config, providers.replace(&from, &to))
            })
            .unwrap_err();
        assert!(told.contains(says), "{told}");
        assert!(told.contains("providers.toml:"), "{told}");
    }
}
