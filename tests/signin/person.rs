//! What a provider does not tell and the house requires: the page, and whose account comes of it.

use crate::Watch;
use crate::house::*;
use crate::mailbox::Mailbox;
use countersign::accounts::{AccountEmail, EmailAddress, EmailProof};
use countersign::store::StoreError;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

pub const BOTH: &str = "[accounts]\nrequire = [\"verified_email\", \"name\"]\n";

pub fn with_mail(config: &str, mailbox: &Mailbox, accounts: &str) -> String {
    config.replacen("[branding]", &format!("{accounts}\n{}\n[branding]", mailbox.settings()), 1)
}

/// A house that requires an address and a name; Friendbook tells neither.
pub async fn house() -> (House, Mailbox) {
    let mailbox = Mailbox::start();
    let house = House::with(|config, providers| (with_mail(&config, &mailbox, BOTH), providers)).await;
    house.friendbook.script().person = json!({ "id": "1001" });
    (house, mailbox)
}

/// The same on PostgreSQL, where there is one.
pub async fn houses() -> Vec<(House, Mailbox)> {
    let mut all = vec![house().await];
    let mailbox = Mailbox::start();
    let config = |config: String, providers| (with_mail(&config, &mailbox, BOTH), providers);
    if let Some(house) = House::on_postgres(config).await {
        house.friendbook.script().person = json!({ "id": "1001" });
        all.push((house, mailbox));
    }
    all
}

pub fn url(house: &House) -> String {
    authorize(house, "first", &[])
}

/// Comes back from the provider: the page that asks.
pub async fn arrive(house: &House, visitor: &mut Visitor, provider: &str) -> Answer {
    let request = depart(house, visitor, provider, &url(house)).await;
    let to = visitor.get(&approval(house, &request)).await.location();
    assert_eq!(to.path(), "/details");
    let page = visitor.get(to.as_str()).await;
    assert_eq!(page.status, 200, "{page:#?}");
    page
}

/// Presses a button of the page.
pub async fn press(house: &House, visitor: &mut Visitor, page: &Answer, fields: &[(&str, &str)]) -> Answer {
    let (flow, csrf) = (page.field("flow"), page.field("csrf"));
    let mut form = vec![("flow", flow.as_str()), ("csrf", csrf.as_str())];
    form.extend_from_slice(fields);
    visitor.post(&house.at("/details"), &form).await
}

/// Tells name and address; the page that asks for the code.
pub async fn tell(house: &House, visitor: &mut Visitor, page: &Answer, email: &str) -> Answer {
    let fields = [("action", "details"), ("name", "Ann Other"), ("email", email)];
    let to = press(house, visitor, page, &fields).await.location();
    assert_eq!(to.path(), "/details");
    let page = visitor.get(to.as_str()).await;
    assert!(page.body.contains("Check your mail"), "{page:#?}");
    page
}

pub async fn bring(house: &House, visitor: &mut Visitor, page: &Answer, code: &str) -> Answer {
    press(house, visitor, page, &[("action", "code"), ("code", code)]).await
}

#[tokio::test]
async fn a_new_person_tells_what_is_missing_and_proves_the_address() {
    for (house, mailbox) in houses().await {
        let mut ann = Visitor::new();
        let page = arrive(&house, &mut ann, "friendbook").await;
        assert!(page.body.contains("autocomplete=\"name\"") && page.body.contains("autocomplete=\"email\""));
        let rows = house.rows().await;
        assert_eq!((rows.accounts, rows.identities, rows.sessions, rows.events), (0, 0, 0, rows.events));
        assert!(ann.session().is_none(), "nobody is signed in yet");
        let page = tell(&house, &mut ann, &page, "Ann@Example.org").await;
        assert!(page.body.contains("Ann@example.org") && page.body.contains("one-time-code"));
        let letter = mailbox.last();
        assert_eq!(letter.to, ["Ann@example.org"]);
        assert!(letter.text.contains("Subject: Your code for Countersign"), "{}", letter.text);
        assert!(letter.text.contains("First") && letter.text.contains(&house.origin), "{}", letter.text);
        assert!(letter.text.contains("Date: Fri, 15 Jan 2027 08:00:00 +0000"), "{}", letter.text);
        assert_eq!(house.rows().await.accounts, 0);
        let typed = letter.code();
        let answer = bring(&house, &mut ann, &page, &format!(" {} {}", &typed[..4], &typed[4..])).await;
        assert!(parameter(&answer.location(), "code").is_some(), "{answer:#?}");
        let account = house.accounts().await.remove(0);
        assert_eq!(account.profile.name.as_deref(), Some("Ann Other"));
        let email = account.primary_email().unwrap();
        assert_eq!((email.address.as_str(), &email.proof), ("Ann@example.org", &Some(EmailProof::Code)));
        let events = house.app.store.read::<_, StoreError, _>(|tx| tx.audit(None, 100)).await.unwrap();
        let created = events.iter().find(|r| r.event.kind.as_str() == "account.created").unwrap();
        assert_eq!(created.event.data, json!({ "by_person": ["verified_email", "name"] }));

        // Next time nobody is asked, and what the provider does not say unsays nothing.
        sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
        let after = house.accounts().await.remove(0);
        assert_eq!((after.profile, after.emails), (account.profile, account.emails));
        assert_eq!(mailbox.kept().len(), 1);
        // A name of the provider's own takes the place of the told one.
        house.friendbook.script().person["name"] = "Ann of Friendbook".into();
        sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
        assert_eq!(house.accounts().await[0].profile.name.as_deref(), Some("Ann of Friendbook"));
    }
}

#[tokio::test]
async fn only_what_is_missing_is_asked_and_a_proved_address_is_not() {
    let (house, mailbox) = house().await;
    // Globex proves the address and tells the name.
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    // Friendbook tells a name, and an address that it cannot prove: this is where the field begins.
    house.friendbook.script().person = json!({ "id": "2", "name": "Ben", "email": "ben@elsewhere.example" });
    let mut ben = Visitor::new();
    let page = arrive(&house, &mut ben, "friendbook").await;
    assert!(!page.body.contains("name=\"name\""), "{page:#?}");
    assert_eq!(page.field("email"), "ben@elsewhere.example");
    let form = [("action", "details"), ("email", "ben@elsewhere.example"), ("name", "Mallory")];
    let to = press(&house, &mut ben, &page, &form).await.location();
    let page = ben.get(to.as_str()).await;
    bring(&house, &mut ben, &page, &mailbox.last().code()).await.location();
    let accounts = house.accounts().await;
    let account = accounts.iter().find(|a| a.profile.name.as_deref() == Some("Ben")).expect("not Mallory");
    assert_eq!(account.emails.len(), 1);
    assert_eq!(account.emails[0].proof, Some(EmailProof::Code));
}

#[tokio::test]
async fn a_provider_may_require_less_or_more_than_the_house() {
    let mailbox = Mailbox::start();
    let house = House::with(|config, providers| {
        let config = with_mail(&config, &mailbox, "");
        (config, providers.replacen("id = \"friendbook\"", "id = \"friendbook\"\nrequire = [\"name\"]", 1))
    })
    .await;
    house.friendbook.script().person = json!({ "id": "1001" });
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    assert!(!page.body.contains("name=\"email\""));
    let done = press(&house, &mut ann, &page, &[("action", "details"), ("name", "Ann")]).await;
    assert!(parameter(&done.location(), "code").is_some());
    house.globex.script().person = json!({ "sub": "nameless" });
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    assert_eq!(house.accounts().await.len(), 2, "Globex's people are asked for nothing");
    assert!(mailbox.kept().is_empty());
}

#[tokio::test]
async fn where_any_address_will_do_only_those_are_asked_who_have_none() {
    let mailbox = Mailbox::start();
    let accounts = "[accounts]\nrequire = [\"email\"]\n";
    let house = House::with(|config, providers| (with_mail(&config, &mailbox, accounts), providers)).await;
    // Friendbook says an address that it cannot prove.
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    assert_eq!(house.accounts().await[0].primary_email().unwrap().proof, None);
    house.friendbook.script().person = json!({ "id": "2", "name": "Ann" });
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let form = [("action", "details"), ("email", "ann@x.example")];
    let to = press(&house, &mut ann, &page, &form).await.location();
    let page = ann.get(to.as_str()).await;
    bring(&house, &mut ann, &page, &mailbox.last().code()).await.location();
    let accounts = house.accounts().await;
    let told = accounts.iter().find(|a| a.profile.name.as_deref() == Some("Ann")).unwrap();
    assert_eq!(told.primary_email().unwrap().proof, Some(EmailProof::Code));
}

#[tokio::test]
async fn an_account_that_lacks_what_is_required_by_now_is_asked_at_its_next_sign_in() {
    let mailbox = Mailbox::start();
    let mut house = House::open().await;
    house.friendbook.script().person = json!({ "id": "1001", "name": "Ann" });
    let mut ann = Visitor::new();
    sign_in(&house, &mut ann, "friendbook", &url(&house)).await;
    house.reload(|config, providers| (with_mail(&config, &mailbox, BOTH), providers)).await;
    let at_once = ann.get(&url(&house)).await.location();
    assert!(parameter(&at_once, "code").is_some(), "a session that is there goes on");
    let mut again = Visitor::new();
    let page = arrive(&house, &mut again, "friendbook").await;
    let to = press(&house, &mut again, &page, &[("action", "details"), ("email", "ann@x.example")]).await;
    let page = again.get(to.location().as_str()).await;
    bring(&house, &mut again, &page, &mailbox.last().code()).await.location();
    let accounts = house.accounts().await;
    assert_eq!(accounts.len(), 1);
    assert_eq!(accounts[0].primary_email().unwrap().proof, Some(EmailProof::Code));
    assert!(house.events().await.iter().any(|(kind, _)| kind == "account.changed"));
}

#[tokio::test]
async fn what_was_typed_wrong_is_said_beside_its_field_and_nothing_is_lost() {
    let (house, mailbox) = house().await;
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    for (name, email, said) in [
        ("", "ann@x.example", "Enter your name."),
        ("123", "ann@x.example", "at least one letter"),
        ("Ann", "", "Enter your e-mail address."),
        ("Ann", "ann", "It looks like"),
        ("Ann", "ann@localhost", "It looks like"),
    ] {
        let form = [("action", "details"), ("name", name), ("email", email)];
        let again = press(&house, &mut ann, &page, &form).await;
        assert_eq!(again.status, 422);
        assert!(again.body.contains(said), "{said}: {}", again.body);
        for (field, typed) in [("name", name), ("email", email)] {
            assert!(typed.is_empty() || again.field(field) == typed, "{field}: {}", again.body);
        }
        assert_eq!(again.body.matches("aria-invalid=\"true\"").count(), 1);
    }
    assert!(mailbox.kept().is_empty());
    assert!(house.refusals().await.is_empty(), "typing is no offence");
    tell(&house, &mut ann, &page, "ann@x.example").await;
}

#[tokio::test]
async fn link_019_an_address_is_one_address_and_no_header() {
    let (house, mailbox) = house().await;
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let long = format!("{}@x.example", "a".repeat(65));
    let longer = format!("a@{}example", "b.".repeat(200));
    for bad in [
        "ann@x.example\r\nBcc: eve@x.example",
        "ann@x.example\nRCPT TO:<eve@x.example>",
        "ann@x.example, eve@x.example",
        "ann@x.example>\r\nDATA",
        "Ann <ann@x.example>",
        "\"ann\"@x.example",
        "ann@[127.0.0.1]",
        // RFC 6531 addresses: letters that look like others, and a mail server may not know them at all
        "\u{430}nn@x.example",
        long.as_str(),
        longer.as_str(),
    ] {
        let form = [("action", "details"), ("name", "Ann"), ("email", bad)];
        let again = press(&house, &mut ann, &page, &form).await;
        // Control characters are refused before any field is looked at.
        let expected = if bad.contains('\n') { 400 } else { 422 };
        assert_eq!(again.status, expected, "{bad:?}");
    }
    // NUL is refused before any field is looked at.
    let form = [("action", "details"), ("name", "Ann"), ("email", "ann\0@x.example")];
    assert!(press(&house, &mut ann, &page, &form).await.status >= 400);
    assert!(mailbox.kept().is_empty());
    // A domain that looks like another is shown as what it is.
    let page = tell(&house, &mut ann, &page, "ann@ex\u{430}mple.org").await;
    assert!(page.body.contains("ann@xn--"), "{}", page.body);
    assert_eq!(mailbox.kept().len(), 1, "the valid twin");
    assert!(mailbox.last().to[0].starts_with("ann@xn--"));
}

#[tokio::test]
async fn a_name_is_text_wherever_it_is_shown() {
    let (house, _mailbox) = house().await;
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let name = "<img src=x onerror=alert(1)> \"'Ann";
    let form = [("action", "details"), ("name", name), ("email", "wrong")];
    let again = press(&house, &mut ann, &page, &form).await;
    assert!(!again.body.contains("<img src=x"), "{}", again.body);
    let script = "{{ 7 * 7 }} ${7*7} Ann";
    let form = [("action", "details"), ("name", script), ("email", "ann@x.example")];
    press(&house, &mut ann, &page, &form).await.location();
}

#[tokio::test]
async fn link_001_an_address_of_somebody_else_says_nothing_and_joins_nothing_by_itself() {
    let (house, mailbox) = house().await;
    // Alice has an account by Globex, with her address proved.
    let mut alice = Visitor::new();
    sign_in(&house, &mut alice, "globex", &url(&house)).await;
    // Whoever names it sees what everybody sees: there is no telling who has an account.
    house.friendbook.script().person = json!({ "id": "mallory" });
    let shape = |page: &Answer, address: &str| {
        let cut = |text: String, name: &str| text.replace(&page.field(name), "");
        cut(cut(page.body.replace(address, "ADDRESS"), "flow"), "csrf")
    };
    let mut seen = Vec::new();
    for address in ["alice@globex.example", "nobody@globex.example"] {
        let mut mallory = Visitor::new();
        let page = arrive(&house, &mut mallory, "friendbook").await;
        let page = tell(&house, &mut mallory, &page, address).await;
        seen.push(shape(&page, address));
    }
    assert_eq!(seen[0], seen[1]);
    // With the code, which only Alice can have: she is asked to come the way she came before.
    house.friendbook.script().person = json!({ "id": "alices-other" });
    let mut other = Visitor::new();
    let page = arrive(&house, &mut other, "friendbook").await;
    let page = tell(&house, &mut other, &page, "alice@globex.example").await;
    let watch = Watch::begin(&house, "link.proof_needed").await;
    let asked = bring(&house, &mut other, &page, &mailbox.last().code()).await;
    assert_eq!(asked.status, 403);
    assert!(asked.body.contains("You may already have an account"), "{asked:#?}");
    watch.refused_once(&house).await;
    assert!(other.session().is_none());
    // She does, in the same sign-in: both are joined, and what went on before has ended.
    let way = choose(&house, &mut other, &asked, "globex").await.location();
    let back = other.get(&approval(&house, &way)).await.location();
    assert!(parameter(&other.get(back.as_str()).await.location(), "code").is_some());
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.identities, rows.sessions), (1, 2, 1));
}

#[tokio::test]
async fn link_003_an_account_that_a_code_planted_gets_nobody() {
    let (house, mailbox) = house().await;
    // Somebody who can read the mailbox today makes an account with its address.
    let mut mallory = Visitor::new();
    let page = arrive(&house, &mut mallory, "friendbook").await;
    let page = tell(&house, &mut mallory, &page, "alice@globex.example").await;
    bring(&house, &mut mallory, &page, &mailbox.last().code()).await.location();
    // Later the owner of the address comes by the company: she is not led into that account.
    let mut alice = Visitor::new();
    let request = depart(&house, &mut alice, "globex", &url(&house)).await;
    let watch = Watch::begin(&house, "link.proved_by_code").await;
    let page = alice.get(&approval(&house, &request)).await;
    assert_eq!(page.status, 403, "{page:#?}");
    watch.refused_once(&house).await;
    assert!(alice.session().is_none());
    assert_eq!(house.rows().await.identities, 1);
    // The valid twin: whoever made it shows that it is theirs, and both are joined.
    let way = choose(&house, &mut alice, &page, "friendbook").await.location();
    alice.get(&approval(&house, &way)).await.location();
    assert_eq!((house.rows().await.accounts, house.rows().await.identities), (1, 2));
}

#[tokio::test]
async fn link_007_a_squatter_who_never_proved_the_address_keeps_nobody_out() {
    let (house, mailbox) = house().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    let squatter = house.accounts().await[0].id.clone();
    let claimed = AccountEmail {
        address: EmailAddress::parse("ann@x.example").unwrap(),
        proof: None,
        lapsed: None,
        primary: false,
    };
    let id = squatter.clone();
    house.app.store.write::<_, StoreError, _>(move |tx| tx.put_email(&id, &claimed)).await.unwrap();
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let page = tell(&house, &mut ann, &page, "ann@x.example").await;
    bring(&house, &mut ann, &page, &mailbox.last().code()).await.location();
    let accounts = house.accounts().await;
    assert_eq!(accounts.len(), 2);
    let owner = accounts.iter().find(|account| account.id != squatter).unwrap();
    assert_eq!(owner.primary_email().unwrap().proof, Some(EmailProof::Code));
    let event = ("account.created".to_owned(), Some("link.local_unverified".to_owned()));
    assert!(house.events().await.contains(&event));
}

#[tokio::test]
async fn link_030_an_account_cannot_take_an_address_that_another_one_proved() {
    let mailbox = Mailbox::start();
    let mut house = House::open().await;
    sign_in(&house, &mut Visitor::new(), "globex", &url(&house)).await;
    house.friendbook.script().person = json!({ "id": "1001", "name": "Ann" });
    sign_in(&house, &mut Visitor::new(), "friendbook", &url(&house)).await;
    house.reload(|config, providers| (with_mail(&config, &mailbox, BOTH), providers)).await;
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let form = [("action", "details"), ("email", "alice@globex.example")];
    let to = press(&house, &mut ann, &page, &form).await.location();
    let page = ann.get(to.as_str()).await;
    let watch = Watch::begin(&house, "person.address_taken").await;
    let taken = bring(&house, &mut ann, &page, &mailbox.last().code()).await;
    assert!(taken.status == 422 && taken.body.contains("belongs to another account"), "{taken:#?}");
    watch.refused_once(&house).await;
    // Never a dead end: another address, or another way in.
    assert!(taken.body.contains("Sign in another way"));
    let to = press(&house, &mut ann, &taken, &[("action", "details"), ("email", "ann@x.example")]).await;
    let page = ann.get(to.location().as_str()).await;
    bring(&house, &mut ann, &page, &mailbox.last().code()).await.location();
    assert_eq!(house.accounts().await.len(), 2);
}

#[tokio::test]
async fn a_provider_that_was_switched_off_meanwhile_lets_nobody_in() {
    let (mut house, mailbox) = house().await;
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let page = tell(&house, &mut ann, &page, "ann@x.example").await;
    house
        .reload(|config, providers| {
            (config, providers.replacen("id = \"friendbook\"", "id = \"friendbook\"\nenabled = false", 1))
        })
        .await;
    let watch = Watch::begin(&house, "provider.disabled").await;
    let refused = bring(&house, &mut ann, &page, &mailbox.last().code()).await;
    assert_eq!(refused.status, 403);
    watch.refused_once(&house).await;
    // The other ways stay open in the same sign-in.
    let way = choose(&house, &mut ann, &refused, "globex").await.location();
    let back = ann.get(&approval(&house, &way)).await.location();
    assert!(parameter(&ann.get(back.as_str()).await.location(), "code").is_some());
}

#[tokio::test]
async fn settings_that_changed_meanwhile_vouch_for_nobody() {
    let (mut house, mailbox) = house().await;
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let page = tell(&house, &mut ann, &page, "ann@x.example").await;
    let changed = |config: String, providers: String| {
        let providers =
            providers.replacen("subject = \"id\"", "subject = \"id\"\nprofile_refresh = \"never\"", 1);
        (config, providers)
    };
    house.reload(changed).await;
    let watch = Watch::begin(&house, "provider.changed").await;
    let refused = bring(&house, &mut ann, &page, &mailbox.last().code()).await;
    assert_eq!(refused.status, 403, "{refused:#?}");
    watch.refused_once(&house).await;
    assert_eq!(house.rows().await.accounts, 0);
    // The valid twin: begun again, by the settings as they are.
    let page = arrive(&house, &mut Visitor::new(), "friendbook").await;
    assert!(page.body.contains("autocomplete=\"email\""));
}

#[tokio::test]
async fn back_and_other_ways_are_no_dead_ends() {
    let (house, mailbox) = house().await;
    let mut ann = Visitor::new();
    let form = arrive(&house, &mut ann, "friendbook").await;
    // The code before there is one: the step that is due.
    let early = press(&house, &mut ann, &form, &[("action", "code"), ("code", "12345678")]).await;
    assert_eq!(early.location().path(), "/details");
    assert_eq!(press(&house, &mut ann, &form, &[("action", "constructor")]).await.status, 400);
    // Back to the form after the code was sent, and the other field changed: the last word counts.
    tell(&house, &mut ann, &form, "ann@x.example").await;
    let fields = [("action", "details"), ("name", "Ann Again"), ("email", "ann@x.example")];
    let to = press(&house, &mut ann, &form, &fields).await.location();
    let page = ann.get(to.as_str()).await;
    // Away to another provider, which asks for nothing.
    let handle = page.field("flow");
    let list = ann.get(&house.at(&format!("/sign-in?flow={handle}"))).await;
    assert_eq!(list.status, 200);
    let way = choose(&house, &mut ann, &list, "globex").await.location();
    let back = ann.get(&approval(&house, &way)).await.location();
    assert!(parameter(&ann.get(back.as_str()).await.location(), "code").is_some());
    assert_eq!(house.accounts().await.len(), 1, "Friendbook's identity left nothing behind");
    // The page of the sign-in that is over leads on.
    let over = ann.get(&house.at(&format!("/details?flow={handle}"))).await;
    assert!(over.status == 400 && over.body.contains("Start again"), "{over:#?}");
    drop(mailbox);
}

#[tokio::test]
async fn an_invitation_for_an_address_is_met_by_proving_it() {
    use countersign::accounts::Invitation;
    use countersign::tokens::handle::{self, Handle};
    let mailbox = Mailbox::start();
    let house = House::with(|config, providers| {
        let (head, tail) = providers.split_once("id = \"friendbook\"").unwrap();
        let tail = tail.replacen("provisioning = \"open\"", "provisioning = \"invitation\"", 1);
        (with_mail(&config, &mailbox, BOTH), format!("{head}id = \"friendbook\"{tail}"))
    })
    .await;
    house.friendbook.script().person = json!({ "id": "1001" });
    for (proved, let_in) in [("eve@x.example", false), ("ann@x.example", true)] {
        let secret = Handle::<handle::Invitation>::new(&house.app.context);
        let invitation = Invitation {
            digest: secret.digest(),
            provider: None,
            email: Some(EmailAddress::parse("ann@x.example").unwrap()),
            groups: BTreeSet::new(),
            created_by: "root".to_owned(),
            created_at: house.now(),
            expires_at: house.now().plus(Duration::from_secs(3600)),
            used_at: None,
        };
        house.app.store.write::<_, StoreError, _>(move |tx| tx.insert_invitation(&invitation)).await.unwrap();
        let mut visitor = Visitor::new();
        visitor.cookies.insert("cs_invitation".to_owned(), secret.expose().to_owned());
        let page = arrive(&house, &mut visitor, "friendbook").await;
        let page = tell(&house, &mut visitor, &page, proved).await;
        let answer = bring(&house, &mut visitor, &page, &mailbox.last().code()).await;
        assert_eq!(answer.status, if let_in { 303 } else { 403 }, "{proved}: {answer:#?}");
        assert_eq!(house.accounts().await.len(), usize::from(let_in));
    }
    // Whoever has no invitation is not even asked.
    house.friendbook.script().person = json!({ "id": "stranger" });
    let mut stranger = Visitor::new();
    let request = depart(&house, &mut stranger, "friendbook", &url(&house)).await;
    assert_eq!(stranger.get(&approval(&house, &request)).await.status, 403);
}
