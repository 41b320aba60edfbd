//! Every change of an OpenID Connect or OAuth 2.0 provider's answer, through the whole broker: what the person sees,
//! what is kept, and what comes next.

use crate::house::{Answer, House, Visitor, approval, authorize};
use crate::oidc::{self, Case, Kind, Outcome, World};
use crate::saml_mutations::{refusals, seen};
use crate::standin::{CLIENT_SECRET, Canary, Standin};
use serde_json::json;
use std::collections::BTreeMap;

/// A broker with its two providers, and what was seen of refusals so far.
struct Tried {
    house: House,
    canary: Canary,
    /// `providers.toml` as it was.
    providers: String,
    /// How often the providers were set up anew.
    fresh: usize,
    /// What was seen of refusals that blame the answer, and by what.
    alike: BTreeMap<(&'static str, String), Vec<String>>,
}

fn id(kind: Kind) -> &'static str {
    match kind {
        Kind::OpenId => "globex",
        Kind::OAuth2 => "friendbook",
    }
}

impl Tried {
    async fn open() -> Self {
        let house = House::open().await;
        let providers = std::fs::read_to_string(house.folder.path().join("providers.toml")).unwrap();
        let mut tried = Self { house, canary: Canary::start(), providers, fresh: 0, alike: BTreeMap::new() };
        tried.set_up(Kind::OpenId, "").await;
        tried.behave(Kind::OpenId, "");
        assert_eq!(tried.come(&mut Visitor::new(), Kind::OpenId).await.0.location().path(), "/continue");
        tried
    }

    fn standin(&self, kind: Kind) -> &Standin {
        match kind {
            Kind::OpenId => &self.house.globex,
            Kind::OAuth2 => &self.house.friendbook,
        }
    }

    fn other(&self, kind: Kind) -> &Standin {
        match kind {
            Kind::OpenId => &self.house.friendbook,
            Kind::OAuth2 => &self.house.globex,
        }
    }

    fn world(&self, kind: Kind) -> World {
        let (issuer, canary) = (self.standin(kind).origin().to_owned(), self.canary.origin.clone());
        World { issuer, canary, now: self.house.now().secs() }
    }

    /// The provider with further settings; nothing of what it publishes has been read.
    async fn set_up(&mut self, kind: Kind, settings: &str) {
        self.fresh += 1;
        let head = match kind {
            Kind::OpenId => "kind = \"oidc\"\n",
            Kind::OAuth2 => "kind = \"oauth2\"\n",
        };
        let with = format!("{head}order = {}\n{settings}\n", self.fresh);
        let providers = self.providers.replacen(head, &with, 1);
        assert_ne!(providers, self.providers);
        // What was read is kept where only such settings change; not where it is reached in another way.
        let otherwise = self.providers.replacen(head, &format!("{head}allow_private_network = true\n"), 1);
        self.house.reload(|config, _| (config, otherwise)).await;
        self.house.reload(|config, _| (config, providers)).await;
    }

    /// Away with the change.
    fn behave(&self, kind: Kind, settings: &str) {
        let standin = self.standin(kind);
        standin.behave();
        oidc::sound(settings, &mut standin.script(), &self.world(kind));
    }

    /// From the app by way of the provider to the broker's answer, and whether the browser was at the provider.
    async fn come(&self, visitor: &mut Visitor, kind: Kind) -> (Answer, bool) {
        let url = authorize(&self.house, "first", &[("idp_hint", id(kind))]);
        let answer = visitor.get(&url).await;
        let to = answer.header("location").filter(|to| to.starts_with(self.standin(kind).origin()));
        match to {
            Some(to) => (visitor.get(&approval(&self.house, &to.parse().unwrap())).await, true),
            None => (answer, false),
        }
    }

    /// The same browser signs in as if nothing had been.
    async fn next_is_sound(&self, case: &Case, visitor: &mut Visitor) {
        self.behave(case.kind, case.settings);
        let (next, _) = self.come(visitor, case.kind).await;
        assert_eq!(
            next.header("location").map(|to| to.contains("/continue?")),
            Some(true),
            "{case}: {next:#?}"
        );
        assert!(visitor.session().is_some(), "{case}");
    }

    async fn refused(&mut self, case: &Case, reason: &str) {
        let reason = case.at_the_door.unwrap_or(reason);
        let others = self.other(case.kind).count("/token");
        let (house, standin) = (&self.house, self.standin(case.kind));
        let mut visitor = Visitor::new();
        let (rows, times) = (house.rows().await, refusals(house).await);
        let (codes, keys) = (standin.count("/token"), standin.count("/jwks"));
        let (answer, left) = self.come(&mut visitor, case.kind).await;
        assert!((400..=599).contains(&answer.status), "{case}: {answer:#?}");
        // no session, no code, no token
        assert!(visitor.session().is_none(), "{case}");
        assert!(!visitor.set.iter().any(|cookie| cookie.starts_with("cs_session=")), "{case}");
        assert_eq!(house.rows().await, rows, "{case}: nothing is stored");
        // one record, with the reason and the way to it
        assert_eq!(refusals(house).await, times + 1, "{case}: recorded once");
        let (looks, recorded) = seen(house, &answer).await;
        assert_eq!(recorded, reason, "{case}: {:#?}", house.refusals().await[0]);
        assert!(!answer.body.contains(reason) && !answer.body.contains("alert("), "{case}");
        let kept = house
            .refusals()
            .await
            .into_iter()
            .find(|kept| answer.has_reference(kept.refusal.reference.as_str()));
        let kept = kept.unwrap().refusal;
        assert_eq!(kept.provider.as_ref().map(|provider| provider.as_str()), Some(id(case.kind)), "{case}");
        let failed: Vec<&str> =
            kept.steps.iter().filter(|step| !step.passed).map(|step| step.check.as_str()).collect();
        let left = left && case.at_the_door.is_none();
        let expected = if left { vec![reason] } else { Vec::new() };
        assert_eq!(failed, expected, "{case}: {:#?}", kept.steps);
        assert_eq!(kept.steps.last().is_some_and(|step| !step.passed), left, "{case}");
        // nobody was asked but the provider, and it not more than it takes
        assert_eq!(standin.count("/token") > codes, case.redeemed, "{case}: the code");
        let read = standin.count("/jwks") - keys;
        assert!(read <= 1 + usize::from(case.published), "{case}: keys were read {read} times");
        assert_eq!(self.other(case.kind).count("/token"), others, "{case}: another provider was asked");
        self.only_the_provider_was_asked(case);
        if case.at_the_door.is_none()
            && answer.status == 400
            && !reason.ends_with(".cancelled")
            && reason != "oidc.provider_error"
        {
            let of = self.alike.entry((id(case.kind), looks)).or_default();
            of.push(format!("{case}"));
        }
        if case.published {
            self.set_up(case.kind, case.settings).await;
        }
        self.next_is_sound(case, &mut visitor).await;
    }

    async fn accepted(&mut self, case: &Case) {
        let house = &self.house;
        let times = refusals(house).await;
        let before = house.accounts().await;
        let mut visitor = Visitor::new();
        let (answer, _) = self.come(&mut visitor, case.kind).await;
        assert_eq!(answer.status, 303, "{case}: {answer:#?} {:#?}", house.refusals().await.first());
        assert_eq!(answer.location().path(), "/continue", "{case}");
        assert!(visitor.session().is_some(), "{case}");
        assert_eq!(refusals(house).await, times, "{case}");
        self.only_the_provider_was_asked(case);
        // Somebody new, of whose address is proved what the provider proved.
        if addresses(case) {
            let mut after = house.accounts().await;
            after.retain(|account| before.iter().all(|old| old.id != account.id));
            let [new] = &after[..] else { panic!("{case}: nobody new") };
            let proved = new.primary_email().unwrap().proof.is_some();
            assert_eq!(proved, case.outcome == Outcome::Accepted, "{case}");
        }
    }

    fn only_the_provider_was_asked(&self, case: &Case) {
        assert_eq!(self.canary.touched(), 0, "{case}: somebody spoke to the canary");
        let own = ["/.well-known/openid-configuration", "/jwks", "/token", "/userinfo", "/me"];
        for seen in self.standin(case.kind).seen() {
            assert!(own.contains(&seen.path.as_str()), "{case}: asked for {}", seen.path);
        }
    }

    /// All that is wrong with an answer looks the same, and nothing of it that is secret was kept.
    fn finish(&self) {
        for kind in ["globex", "friendbook"] {
            let looks: Vec<_> = self.alike.iter().filter(|((of, _), _)| *of == kind).collect();
            assert!(looks.len() <= 1, "they look different: {looks:#?}");
        }
        nothing_secret_is_kept(&self.house);
    }
}

/// Whether it is about addresses, so that it is tried by somebody new.
fn addresses(case: &Case) -> bool {
    ["OIDC-042", "OIDC-043"].contains(&case.row)
}

/// No code, token, verifier or secret stands in the database or beside it.
#[track_caller]
pub fn nothing_secret_is_kept(house: &House) {
    let mut secrets = house.globex.secrets();
    secrets.extend(house.friendbook.secrets());
    secrets.push(url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect());
    // Of a long one, its end, which is the signature.
    let end = |secret: &String| secret.chars().skip(secret.chars().count().saturating_sub(40)).collect();
    let ends: Vec<String> = secrets.iter().map(end).filter(|end: &String| end.len() > 8).collect();
    for entry in std::fs::read_dir(house.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let found = first_of(&std::fs::read(&path).unwrap(), &ends);
        assert_eq!(found, None, "stands in {}", path.display());
    }
}

/// One of the texts that is in there, in one pass.
fn first_of<'a>(bytes: &[u8], texts: &'a [String]) -> Option<&'a str> {
    let mut by_start: BTreeMap<&[u8], Vec<&str>> = BTreeMap::new();
    let mut starts = vec![false; 1 << 16];
    let place = |pair: &[u8]| usize::from(pair[0]) << 8 | usize::from(pair[1]);
    for text in texts {
        let start = &text.as_bytes()[..2];
        starts[place(start)] = true;
        by_start.entry(start).or_default().push(text);
    }
    let hits = bytes.windows(2).enumerate().filter(|(_, pair)| starts[place(pair)]);
    for (at, pair) in hits {
        let all = by_start[pair].iter();
        if let Some(text) = all.copied().find(|text| bytes[at..].starts_with(text.as_bytes())) {
            return Some(text);
        }
    }
    None
}

#[test]
fn a_secret_is_found_wherever_it_stands() {
    let texts = ["a secret text".to_owned(), "another secret".to_owned()];
    for (text, found) in [
        ("", None),
        ("a secret", None),
        ("a secret text", Some("a secret text")),
        ("aaanother secret", Some("another secret")),
        ("x\u{0}a a secret text", Some("a secret text")),
        ("another secre", None),
    ] {
        assert_eq!(first_of(text.as_bytes(), &texts), found, "{text}");
    }
}

/// Tries all changes of a row of the corpus, each before a sound sign-in in the same browser.
async fn row(row: &str) {
    let mut tried = Tried::open().await;
    let forged = oidc::row("OIDC-017").into_iter().find(|case| case.name == "signature cut off").unwrap();
    let mut now = (Kind::OpenId, "");
    // What goes wrong with a signature comes first, so that all else is compared with it.
    for (number, case) in std::iter::once(forged).chain(oidc::row(row)).enumerate() {
        println!("{case}");
        let kind = case.kind;
        if case.published || now != (kind, case.settings) {
            tried.set_up(kind, case.settings).await;
        }
        now = (kind, case.settings);
        tried.behave(kind, case.settings);
        // far enough that nothing is cooling down
        tried.house.wait(std::time::Duration::from_secs(31));
        let world = tried.world(kind);
        {
            let mut script = tried.standin(kind).script();
            if addresses(&case) {
                let new = format!("somebody-{number}");
                let unproved = case.outcome == Outcome::Unproved;
                let email = if unproved { "alice".to_owned() } else { new.clone() };
                script.person = json!({
                    "sub": new, "email": format!("{email}@globex.example"), "email_verified": true,
                });
            }
            case.spoil(&mut script, &world);
        }
        match case.outcome {
            Outcome::Refused(reason) => tried.refused(&case, reason).await,
            Outcome::Accepted | Outcome::Unproved => tried.accepted(&case).await,
        }
        if case.published {
            // and the next one reads anew
            now = (kind, "\n");
        }
    }
    tried.finish();
}

#[tokio::test]
async fn oidc_001_the_iss_parameter_of_another_provider() {
    row("OIDC-001").await;
}

#[tokio::test]
async fn oidc_002_the_iss_parameter_missing_although_advertised() {
    row("OIDC-002").await;
}

#[tokio::test]
async fn oidc_005_an_id_token_of_another_issuer() {
    row("OIDC-005").await;
}

#[tokio::test]
async fn oidc_006_an_id_token_about_nobody() {
    row("OIDC-006").await;
}

#[tokio::test]
async fn oidc_007_an_id_token_for_somebody_else() {
    row("OIDC-007").await;
}

#[tokio::test]
async fn oidc_009_several_audiences_without_us_as_the_authorized_party() {
    row("OIDC-009").await;
}

#[tokio::test]
async fn oidc_010_an_id_token_without_times() {
    row("OIDC-010").await;
}

#[tokio::test]
async fn oidc_011_times_of_the_wrong_type() {
    row("OIDC-011").await;
}

#[tokio::test]
async fn oidc_013_times_far_away() {
    row("OIDC-013").await;
}

#[tokio::test]
async fn oidc_014_no_nonce() {
    row("OIDC-014").await;
}

#[tokio::test]
async fn oidc_015_another_nonce() {
    row("OIDC-015").await;
}

#[tokio::test]
async fn oidc_017_alg_none() {
    row("OIDC-017").await;
}

#[tokio::test]
async fn oidc_018_the_public_key_as_an_hmac_secret() {
    row("OIDC-018").await;
}

#[tokio::test]
async fn oidc_019_the_client_secret_as_an_hmac_secret() {
    row("OIDC-019").await;
}

#[tokio::test]
async fn oidc_021_a_key_id_that_leads_elsewhere() {
    row("OIDC-021").await;
}

#[tokio::test]
async fn oidc_022_no_key_id_and_several_keys() {
    row("OIDC-022").await;
}

#[tokio::test]
async fn oidc_023_a_key_that_the_token_brings_along() {
    row("OIDC-023").await;
}

#[tokio::test]
async fn oidc_025_extensions_that_must_be_understood() {
    row("OIDC-025").await;
}

#[tokio::test]
async fn oidc_026_another_form_than_compact() {
    row("OIDC-026").await;
}

#[tokio::test]
async fn oidc_027_members_twice() {
    row("OIDC-027").await;
}

#[tokio::test]
async fn oidc_029_encrypted_where_signed_is_due() {
    row("OIDC-029").await;
}

#[tokio::test]
async fn oidc_030_what_would_cost_a_decrypter_dearly() {
    row("OIDC-030").await;
}

#[tokio::test]
async fn oidc_031_weak_and_broken_keys() {
    row("OIDC-031").await;
}

#[tokio::test]
async fn oidc_033_keys_for_another_use() {
    row("OIDC-033").await;
}

#[tokio::test]
async fn oidc_034_another_at_hash() {
    row("OIDC-034").await;
}

#[tokio::test]
async fn oidc_035_another_c_hash_or_s_hash() {
    row("OIDC-035").await;
}

#[tokio::test]
async fn oidc_037_unsigned_userinfo_where_signed_is_registered() {
    row("OIDC-037").await;
}

#[tokio::test]
async fn oidc_038_a_profile_without_a_stable_id() {
    row("OIDC-038").await;
}

#[tokio::test]
async fn oidc_039_a_number_is_not_the_text_of_it() {
    row("OIDC-039").await;
}

#[tokio::test]
async fn oidc_041_a_domain_limit_holds_for_everyone() {
    row("OIDC-041").await;
}

#[tokio::test]
async fn oidc_042_only_true_is_verified() {
    row("OIDC-042").await;
}

#[tokio::test]
async fn oidc_043_a_mutable_address_without_the_providers_own_word() {
    row("OIDC-043").await;
}

#[tokio::test]
async fn oidc_053_error_and_code_together_or_neither_or_more() {
    row("OIDC-053").await;
}

#[tokio::test]
async fn oidc_054_the_providers_words_never_reach_the_person() {
    row("OIDC-054").await;
}

#[tokio::test]
async fn oidc_055_odd_token_responses() {
    row("OIDC-055").await;
}

#[tokio::test]
async fn oidc_058_endpoints_on_another_scheme_or_inside() {
    row("OIDC-058").await;
}

#[tokio::test]
async fn oidc_059_redirects_are_not_followed() {
    row("OIDC-059").await;
}
