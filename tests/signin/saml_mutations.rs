//! Every mutation of an answer, through the whole broker: what the person sees, what is kept, and what comes next.

use crate::house::{Answer, House, Visitor, authorize};
use crate::saml::mutations::{ALL, HARMLESS, MALLORY, UNSIGNED, World};
use crate::saml::{Encryption, Key, Message, Request, Script, Signature, edit};
use crate::saml_logout::{Acme, ENTITY};
use countersign::upstream::Departure;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

/// A server at which nobody may knock.
struct Canary(TcpListener);

impl Canary {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }
    fn origin(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }
    #[track_caller]
    fn silent(&self, after: &str) {
        assert!(self.0.accept().is_err(), "{after}: something was fetched");
    }
}

/// How often somebody was refused, in all.
pub async fn refusals(house: &House) -> u64 {
    house.refusals().await.iter().map(|refusal| refusal.times).sum()
}

/// From the app to the provider, and the script of its answer.
async fn script(acme: &Acme, visitor: &mut Visitor) -> (Script, String) {
    let to = visitor.get(&authorize(&acme.house, "first", &[("idp_hint", "acme")])).await.location();
    let asked = Request::of(&Departure::RedirectTo(to));
    (acme.idp.script(acme.house.now(), &asked, &acme.callback()), asked.relay_state.unwrap())
}

/// The text without what is new on each page: the handle or token behind each of these words.
fn without(text: &str, words: &[&str]) -> String {
    let mut text = text.to_owned();
    for word in words {
        let mut parts = text.split(word);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            out.push_str(word);
            out.push_str(
                part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-'),
            );
        }
        text = out;
    }
    text
}

/// What of an answer could tell one refusal from another, and the reason that the operator finds under its reference.
pub async fn seen(house: &House, answer: &Answer) -> (String, String) {
    let refusals = house.refusals().await;
    let kept = refusals.iter().find(|kept| answer.has_reference(kept.refusal.reference.as_str()));
    let refusal = &kept.unwrap_or_else(|| panic!("no reference: {answer:#?}")).refusal;
    let body = answer.body.replace(refusal.reference.as_str(), "");
    let body = without(&body, &["csst_", "name=\"csrf\" value=\""]);
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    let names: BTreeSet<&str> = names.collect();
    (format!("{} {names:?} {body}", answer.status), refusal.reason.clone())
}

struct Tried {
    acme: Acme,
    canary: Canary,
    /// What was seen of refusals that have to do with signatures and keys, and by what.
    alike: BTreeMap<String, Vec<String>>,
}

impl Tried {
    /// Sends the message, and then a sound one. True if it was accepted.
    async fn send(&mut self, what: &str, alike: bool, visitor: &mut Visitor, message: &Message) -> bool {
        let house = &self.acme.house;
        let (rows, times) = (house.rows().await, refusals(house).await);
        let answer = self.acme.send(visitor, &self.acme.callback(), &message.form()).await;
        self.canary.silent(what);
        if answer.status == 303 {
            assert_eq!(refusals(house).await, times, "{what}");
            return true;
        }
        // 503 where the provider says that it failed
        assert!((400..500).contains(&answer.status) || answer.status == 503, "{what}: {answer:#?}");
        assert!(visitor.session().is_none(), "{what}");
        assert_eq!(house.rows().await, rows, "{what}: nothing is stored");
        assert_eq!(refusals(house).await, times + 1, "{what}: recorded once");
        let (seen, reason) = seen(house, &answer).await;
        assert!(!answer.body.contains(&reason), "{what}");
        if alike {
            self.alike.entry(seen).or_default().push(format!("{what} {reason}"));
        }
        // The same browser signs in as if nothing had been.
        let (script, state) = script(&self.acme, visitor).await;
        let sound = Message::new(script.xml(), &state);
        let next = self.acme.send(visitor, &self.acme.callback(), &sound.form()).await;
        assert_eq!(next.location().path(), "/continue", "{what}: the next valid answer");
        assert!(visitor.session().is_some(), "{what}");
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mutation_gets_through_the_broker_and_none_leaves_anything() {
    let acme = Acme::open("signed = \"either\"\n").await;
    let canary = Canary::new();
    let mut stolen = Script::sound(
        acme.house.now(),
        ENTITY,
        &acme.house.at("/upstream/acme/metadata"),
        &acme.callback(),
        "_somebody-elses-request",
        Key::rsa(),
    );
    stolen.assertion.name_id.as_mut().unwrap().value = "bob-persistent".to_owned();
    let world = World { canary: canary.origin(), idp: Key::rsa(), stolen: stolen.sealed_assertion() };
    let mut tried = Tried { acme, canary, alike: BTreeMap::new() };
    type Signs = (&'static str, fn(&mut Script));
    let signed: [Signs; 3] = [
        ("assertion", |_| {}),
        ("response", |script| {
            script.sign_assertion = None;
            script.sign_response = Some(Signature::by(Key::rsa()));
        }),
        ("both", |script| script.sign_response = Some(Signature::by(Key::rsa()))),
    ];
    for (kind, mutation) in ALL.iter().enumerate().flat_map(|(kind, all)| all.iter().map(move |m| (kind, m)))
    {
        let mut made = false;
        for (how, prepare) in signed {
            let mut visitor = Visitor::new();
            let (mut script, state) = script(&tried.acme, &mut visitor).await;
            prepare(&mut script);
            let mut message = Message::new(script.xml(), &state);
            if !mutation.make(&mut message.xml, &world) {
                continue;
            }
            made = true;
            let what = format!("{how} {}", mutation.name);
            // Of the first two kinds nobody can tell what it was; the others say so of what no signature covers.
            let accepted = tried.send(&what, kind < 2, &mut visitor, &message).await;
            let harmless = HARMLESS.contains(&mutation.name)
                || (how == "assertion" && UNSIGNED.contains(&mutation.name));
            assert!(harmless || !accepted, "{what} was accepted");
            assert!(accepted || !harmless || how != "assertion", "{what} was refused");
            break;
        }
        assert!(made, "{} applies to no message", mutation.name);
    }
    // What goes wrong with a key looks like what goes wrong with a signature.
    let data = "Response/EncryptedAssertion/EncryptedData";
    for (name, to, path) in [
        ("content", Key::service(), Some(format!("{data}/CipherData/CipherValue"))),
        ("key", Key::service(), Some(format!("{data}/KeyInfo/EncryptedKey/CipherData/CipherValue"))),
        ("for somebody else", Key::attacker(), None),
    ] {
        let mut visitor = Visitor::new();
        let (mut script, state) = script(&tried.acme, &mut visitor).await;
        script.encrypt = Some(Encryption::to(to.der()));
        let mut message = Message::new(script.xml(), &state);
        if let Some(path) = path {
            edit(&mut message.xml, |tree| {
                tree.change(&path, |text| {
                    let letter = if text.starts_with('A') { "B" } else { "A" };
                    format!("{letter}{}", text.get(1..).unwrap_or_default())
                })
            })
            .unwrap();
        }
        assert!(!tried.send(name, true, &mut visitor, &message).await, "{name}");
    }
    let all: Vec<_> = tried.alike.keys().collect();
    assert_eq!(all.len(), 1, "they look different: {:#?}", tried.alike);
    // Nobody but the one whom the provider named has ever been let in.
    let house = &tried.acme.house;
    assert_eq!((house.rows().await.accounts, house.rows().await.identities), (1, 1));
    assert!(!format!("{:?}", house.accounts().await).contains(MALLORY));
}
