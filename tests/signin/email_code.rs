//! Codes by mail: guessing, replaying, using somebody else's, bombing, and the mail server.

use crate::Watch;
use crate::house::*;
use crate::mailbox::Mailbox;
use crate::person::*;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// A code that is not this one.
fn other(code: &str, by: u64) -> String {
    format!("{:08}", (code.parse::<u64>().unwrap() + by) % 100_000_000)
}

#[tokio::test]
async fn guessing_ends_after_five_tries_and_a_new_code_begins_anew() {
    let (house, mailbox) = house().await;
    let mut eve = Visitor::new();
    let page = arrive(&house, &mut eve, "friendbook").await;
    let page = tell(&house, &mut eve, &page, "victim@x.example").await;
    let code = mailbox.last().code();
    // What is no code takes no try.
    for not_a_code in ["", "1234567", "abcdefgh"] {
        let again = bring(&house, &mut eve, &page, not_a_code).await;
        assert!(again.status == 422 && again.body.contains("Enter the 8 digits"), "{not_a_code}");
    }
    for left in (1..=4).rev() {
        let watch = Watch::begin(&house, "person.code").await;
        let again = bring(&house, &mut eve, &page, &other(&code, left)).await;
        assert_eq!(again.status, 422);
        assert!(again.body.contains(&format!("Tries left: {left}.")), "{}", again.body);
        watch.refused_once(&house).await;
    }
    let last = bring(&house, &mut eve, &page, &other(&code, 7)).await;
    assert!(last.body.contains("does not work any more"));
    let watch = Watch::begin(&house, "person.code_over").await;
    assert_eq!(bring(&house, &mut eve, &page, &code).await.status, 422, "the right one comes too late");
    watch.refused_once(&house).await;
    assert_eq!(house.accounts().await.len(), 0);
    // The valid twin: a new code, by its owner.
    let to = press(&house, &mut eve, &page, &[("action", "resend")]).await.location();
    let page = eve.get(to.as_str()).await;
    assert_eq!(bring(&house, &mut eve, &page, &code).await.status, 422, "the old one is none");
    let done = bring(&house, &mut eve, &page, &mailbox.last().code()).await;
    assert!(parameter(&done.location(), "code").is_some());
}

#[tokio::test]
async fn a_hundred_guesses_at_once_are_five() {
    for (house, mailbox) in houses().await {
        let mut eve = Visitor::new();
        let page = arrive(&house, &mut eve, "friendbook").await;
        let page = tell(&house, &mut eve, &page, "victim@x.example").await;
        let code = mailbox.last().code();
        let guesses = (1..=100).map(|i| {
            let (house, page, code, mut eve) = (&house, &page, other(&code, i), eve.clone());
            async move { bring(house, &mut eve, page, &code).await.body }
        });
        let bodies = futures_util::future::join_all(guesses).await;
        let tried = bodies.iter().filter(|body| body.contains("Tries left")).count();
        // The fifth leaves none, and says so like those that came too late.
        assert_eq!(tried, 4);
        let left: BTreeSet<&str> = bodies
            .iter()
            .filter_map(|body| Some(body.split_once("Tries left: ")?.1.split_once('.')?.0))
            .collect();
        assert_eq!(left, BTreeSet::from(["1", "2", "3", "4"]), "each took one");
        assert_eq!(bring(&house, &mut eve, &page, &code).await.status, 422);
        assert_eq!(house.accounts().await.len(), 0);
    }
}

#[tokio::test]
async fn the_right_code_brought_many_times_at_once_makes_one_account() {
    for (house, mailbox) in houses().await {
        let mut ann = Visitor::new();
        let page = arrive(&house, &mut ann, "friendbook").await;
        let page = tell(&house, &mut ann, &page, "ann@x.example").await;
        let code = mailbox.last().code();
        let tries = (0..20).map(|_| {
            let (house, page, code, mut ann) = (&house, &page, &code, ann.clone());
            async move { bring(house, &mut ann, page, code).await.status }
        });
        let answers = futures_util::future::join_all(tries).await;
        assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
        let rows = house.rows().await;
        assert_eq!((rows.accounts, rows.identities, rows.sessions, rows.grants), (1, 1, 1, 1));
    }
}

#[tokio::test]
async fn link_025_a_code_is_of_no_use_in_another_browser_or_sign_in() {
    let (house, mailbox) = house().await;
    // Eve has a code sent to the victim, and gets the victim to tell it.
    let mut ann = Visitor::new();
    let first = arrive(&house, &mut ann, "friendbook").await;
    let page = tell(&house, &mut ann, &first, "ann@x.example").await;
    let code = mailbox.last().code();
    // Another browser has not begun the sign-in: it has the address of the page and even the form.
    let watch = Watch::begin(&house, "browser_binding").await;
    let refused = bring(&house, &mut Visitor::new(), &page, &code).await;
    assert_eq!(refused.status, 400);
    watch.refused_once(&house).await;
    // A sign-in of its own, for the same address.
    house.friendbook.script().person = json!({ "id": "eve" });
    let mut eve = Visitor::new();
    let own = arrive(&house, &mut eve, "friendbook").await;
    let own = tell(&house, &mut eve, &own, "ann@x.example").await;
    let eves = mailbox.last().code();
    assert_eq!(bring(&house, &mut eve, &own, &code).await.status, 422);
    assert_eq!(bring(&house, &mut ann, &page, &eves).await.status, 422);
    assert_eq!(house.accounts().await.len(), 0);
    assert!(parameter(&bring(&house, &mut ann, &page, &code).await.location(), "code").is_some());
}

#[tokio::test]
async fn a_used_code_is_used_up_and_an_old_cookie_brings_nothing_back() {
    let (house, mailbox) = house().await;
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let page = tell(&house, &mut ann, &page, "ann@x.example").await;
    let before = ann.clone();
    let code = mailbox.last().code();
    bring(&house, &mut ann, &page, &code).await.location();
    let rows = house.rows().await;
    let mut old = before.clone();
    assert_eq!(bring(&house, &mut old, &page, &code).await.status, 422);
    assert_eq!(house.rows().await, rows);
    // Nor does telling anew in the old sign-in, with a code of its own.
    let mut old = before;
    let to = press(&house, &mut old, &page, &[("action", "resend")]).await.location();
    let again = old.get(to.as_str()).await;
    let watch = Watch::begin(&house, "person.answered").await;
    let refused = bring(&house, &mut old, &again, &mailbox.last().code()).await;
    assert_eq!(refused.status, 400, "{refused:#?}");
    watch.refused_once(&house).await;
}

#[tokio::test]
async fn another_address_needs_another_code() {
    let (house, mailbox) = house().await;
    let mut eve = Visitor::new();
    let page = arrive(&house, &mut eve, "friendbook").await;
    let page = tell(&house, &mut eve, &page, "eve@x.example").await;
    let (at_own, own) = (eve.clone(), mailbox.last().code());
    // She changes the address to the victim's, and brings the code of her own.
    let to = press(&house, &mut eve, &page, &[("action", "change")]).await.location();
    let form = eve.get(to.as_str()).await;
    assert_eq!(
        (form.field("name"), form.field("email")),
        ("Ann Other".to_owned(), "eve@x.example".to_owned())
    );
    let page = tell(&house, &mut eve, &form, "victim@x.example").await;
    assert_eq!(bring(&house, &mut eve, &page, &own).await.status, 422);
    // The earlier cookie names her own address; its code was replaced.
    let mut earlier = at_own;
    assert_eq!(bring(&house, &mut earlier, &page, &own).await.status, 422);
    // And with that cookie the victim's code proves nothing about hers.
    let victims = mailbox.last().code();
    assert_eq!(bring(&house, &mut earlier, &page, &victims).await.status, 422);
    assert!(parameter(&bring(&house, &mut eve, &page, &victims).await.location(), "code").is_some());
    assert_eq!(house.accounts().await[0].primary_email().unwrap().address.as_str(), "victim@x.example");
}

#[tokio::test]
async fn a_code_ends_and_so_does_the_sign_in() {
    let (house, mailbox) = house().await;
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let page = tell(&house, &mut ann, &page, "ann@x.example").await;
    house.wait(Duration::from_secs(600));
    let late = bring(&house, &mut ann, &page, &mailbox.last().code()).await;
    assert!(late.status == 422 && late.body.contains("does not work any more"));
    let to = press(&house, &mut ann, &page, &[("action", "resend")]).await.location();
    let page = ann.get(to.as_str()).await;
    house.wait(Duration::from_secs(301));
    let over = bring(&house, &mut ann, &page, &mailbox.last().code()).await;
    assert_eq!(over.status, 400);
    assert!(over.body.contains("no longer open") && over.body.contains("Start again"), "{over:#?}");
    assert_eq!(house.accounts().await.len(), 0);
}

#[tokio::test]
async fn mail_bombing_is_bounded_for_sign_in_address_identity_and_network() {
    for (house, mailbox) in houses().await {
        // One sign-in: five.
        let mut eve = Visitor::new();
        let page = arrive(&house, &mut eve, "friendbook").await;
        let page = tell(&house, &mut eve, &page, "a@x.example").await;
        for _ in 0..4 {
            press(&house, &mut eve, &page, &[("action", "resend")]).await.location();
        }
        let watch = Watch::begin(&house, "person.codes_spent").await;
        let enough = press(&house, &mut eve, &page, &[("action", "resend")]).await;
        assert!(enough.status == 422 && enough.body.contains("Too many codes"), "{}", enough.body);
        watch.refused_once(&house).await;
        assert_eq!(mailbox.kept().len(), 5);
        // One address, whoever asks: five in an hour.
        house.friendbook.script().person = json!({ "id": "another" });
        let mut mallory = Visitor::new();
        let form = arrive(&house, &mut mallory, "friendbook").await;
        let fields = [("action", "details"), ("name", "M"), ("email", "A@X.example")];
        let enough = press(&house, &mut mallory, &form, &fields).await;
        assert!(enough.status == 422 && enough.body.contains("Too many codes"), "{}", enough.body);
        assert_eq!(enough.field("email"), "A@x.example", "nothing is lost");
        // One identity, by any number of sign-ins and addresses: ten.
        for i in 0..2 {
            let mut mallory = Visitor::new();
            let form = arrive(&house, &mut mallory, "friendbook").await;
            let page = tell(&house, &mut mallory, &form, &format!("b{i}@x.example")).await;
            for _ in 0..4 {
                press(&house, &mut mallory, &page, &[("action", "resend")]).await.location();
            }
        }
        let mut mallory = Visitor::new();
        let form = arrive(&house, &mut mallory, "friendbook").await;
        let fields = [("action", "details"), ("name", "M"), ("email", "c@x.example")];
        assert_eq!(press(&house, &mut mallory, &form, &fields).await.status, 422);
        assert_eq!(mailbox.kept().len(), 15);
        // An hour later all is well again.
        house.wait(Duration::from_secs(3600));
        let mut ann = Visitor::new();
        let form = arrive(&house, &mut ann, "friendbook").await;
        tell(&house, &mut ann, &form, "a@x.example").await;
        assert_eq!(mailbox.kept().len(), 16);
    }
    let mailbox = Mailbox::start();
    let house = House::with(|config, providers| {
        let config =
            with_mail(&config, &mailbox, BOTH).replacen("[limits]", "[limits]\ncodes_per_network = 2", 1);
        (config, providers)
    })
    .await;
    for i in 0..3 {
        house.friendbook.script().person = json!({ "id": format!("one-of-many-{i}") });
        let mut bot = Visitor::new();
        let form = arrive(&house, &mut bot, "friendbook").await;
        let email = format!("victim-{i}@x.example");
        let fields = [("action", "details"), ("name", "Bot"), ("email", email.as_str())];
        let answer = press(&house, &mut bot, &form, &fields).await;
        assert_eq!(answer.status, if i < 2 { 303 } else { 422 });
    }
    assert_eq!(mailbox.kept().len(), 2);
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_told_and_the_next_try_works() {
    let (house, mailbox) = house().await;
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let fields = [("action", "details"), ("name", "Ann"), ("email", "ann@x.example")];
    // More often than codes may be sent: what was not sent does not count.
    for _ in 0..7 {
        mailbox.manners().greeting = Some("421 4.3.2 closed for today");
        let watch = Watch::begin(&house, "mail.unavailable").await;
        let away = press(&house, &mut ann, &page, &fields).await;
        assert_eq!(away.status, 503, "{away:#?}");
        assert!(away.body.contains("could not send you a mail") && away.body.contains("Try again"));
        watch.refused_once(&house).await;
    }
    let kept = house.refusals().await.remove(0);
    assert!(away_note(&kept.refusal.note), "{}", kept.refusal.note);
    // Nothing has to be typed again.
    let handle = page.field("flow");
    let back = ann.get(&house.at(&format!("/continue?flow={handle}"))).await.location();
    let form = ann.get(back.as_str()).await;
    assert_eq!((form.field("name"), form.field("email")), ("Ann".to_owned(), "ann@x.example".to_owned()));
    mailbox.manners().greeting = None;
    tell(&house, &mut ann, &form, "ann@x.example").await;
}

fn away_note(note: &str) -> bool {
    note.contains("did not take the letter") && note.contains("421")
}

#[tokio::test]
async fn an_address_that_the_mail_server_refuses_is_said_beside_its_field() {
    let (house, mailbox) = house().await;
    mailbox.manners().recipient = Some("550 5.1.1 no such user");
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    let fields = [("action", "details"), ("name", "Ann"), ("email", "anm@x.example")];
    let watch = Watch::begin(&house, "mail.recipient").await;
    let again = press(&house, &mut ann, &page, &fields).await;
    assert!(again.status == 422 && again.body.contains("does not accept mail"), "{again:#?}");
    watch.refused_once(&house).await;
    mailbox.manners().recipient = None;
    tell(&house, &mut ann, &again, "ann@x.example").await;
}

#[tokio::test]
async fn letters_go_by_tls_with_a_password_where_the_server_wants_it() {
    let (mailbox, certificate) = Mailbox::start_tls();
    mailbox.manners().login = Some("sender:MDEyMzQ1Njc4OWFiY2Rl");
    let folder = tempfile::tempdir().unwrap();
    let (ca, password) = (folder.path().join("ca.pem"), folder.path().join("password"));
    std::fs::write(&ca, certificate).unwrap();
    std::fs::write(&password, "MDEyMzQ1Njc4OWFiY2Rl\n").unwrap();
    let lines = |extra: &str| {
        format!(
            "{BOTH}[mail]\nhost = \"localhost\"\nport = {}\nfrom = \"id@house.example\"\nusername = \"sender\"\npassword = \"file:{}\"\n{extra}\n[branding]",
            mailbox.port(),
            password.display(),
        )
    };
    let trusted = lines(&format!("ca_file = \"{}\"", ca.display()));
    let mut house =
        House::with(|config, providers| (config.replacen("[branding]", &trusted, 1), providers)).await;
    house.friendbook.script().person = json!({ "id": "1001" });
    let mut ann = Visitor::new();
    let page = arrive(&house, &mut ann, "friendbook").await;
    tell(&house, &mut ann, &page, "ann@x.example").await;
    assert_eq!(mailbox.last().login.as_deref(), Some("sender:MDEyMzQ1Njc4OWFiY2Rl"));
    // A certificate that nobody vouches for, and a server that does not offer the TLS that is demanded: no letter,
    // and above all no password.
    let (plain, fields) =
        (Mailbox::start(), [("action", "details"), ("name", "Ann"), ("email", "ann@x.example")]);
    let starttls = format!(
        "{}\ntls = \"starttls\"",
        trusted.replace(&mailbox.port().to_string(), &plain.port().to_string()).replace("\n[branding]", "")
    );
    for wrong in [lines(""), format!("{starttls}\n[branding]")] {
        house.reload(|config, providers| (config.replacen(&trusted, &wrong, 1), providers)).await;
        let mut ben = Visitor::new();
        let page = arrive(&house, &mut ben, "friendbook").await;
        assert_eq!(press(&house, &mut ben, &page, &fields).await.status, 503);
        house.reload(|config, providers| (config.replacen(&wrong, &trusted, 1), providers)).await;
    }
    assert_eq!((mailbox.kept().len(), plain.kept().len()), (1, 0));
}

/// What the server answers counts: else anybody could ask it, through us, about any number of mailboxes.
#[tokio::test]
async fn tries_at_a_server_that_declines_count_and_those_at_one_that_is_away_do_not() {
    for declines in [false, true] {
        let (house, mailbox) = house().await;
        if declines {
            mailbox.manners().recipient = Some("450 4.2.0 come again later");
        } else {
            mailbox.manners().greeting = Some("421 not now");
        }
        for _ in 0..6 {
            let mut ann = Visitor::new();
            let page = arrive(&house, &mut ann, "friendbook").await;
            let fields = [("action", "details"), ("name", "Ann"), ("email", "ann@x.example")];
            press(&house, &mut ann, &page, &fields).await;
        }
        let refusals = house.refusals().await;
        let spent = refusals.iter().any(|kept| kept.refusal.reason == "person.codes_spent");
        assert_eq!(spent, declines, "{refusals:?}");
    }
}
