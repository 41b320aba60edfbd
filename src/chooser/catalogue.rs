//! All providers in the order of the list, with indexes, so that neither a sign-in nor a search walks through
//! thousands; and the part of them that is open to one request.

use super::Candidate;
use crate::accounts::EmailAddress;
use crate::accounts::email::canonical_domain;
use crate::ids::ProviderId;
use std::collections::BTreeMap;
use std::fmt;
use unicode_normalization::UnicodeNormalization as _;

/// How many providers a page shows at most; who does not find theirs searches.
pub const SHOWN: usize = 20;
/// From so many on the list, a page that shows all of them would be slower than a search.
pub const SEARCHED: usize = 50;
/// The longest search that is looked at, in characters.
const LONGEST: usize = 100;

/// All providers that are switched on. It never changes; another configuration has another.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// In the order of the list.
    all: Vec<Candidate>,
    by_id: BTreeMap<ProviderId, usize>,
    by_domain: BTreeMap<String, usize>,
    /// Names as they are searched.
    names: Vec<String>,
}

impl Catalogue {
    /// Orders them: by `order`, then by name.
    pub fn new(mut all: Vec<Candidate>) -> Self {
        all.sort_by(|a, b| (a.order, &a.name, &a.id).cmp(&(b.order, &b.name, &b.id)));
        let by_id = all.iter().enumerate().map(|(at, one)| (one.id.clone(), at)).collect();
        let domains = |(at, one): (usize, &Candidate)| {
            one.domains.iter().map(move |d| (d.clone(), at)).collect::<Vec<_>>()
        };
        let by_domain = all.iter().enumerate().flat_map(domains).collect();
        let names = all.iter().map(|one| folded(&one.name)).collect();
        Self { all, by_id, by_domain, names }
    }
    /// All of them, in order.
    pub fn all(&self) -> &[Candidate] {
        &self.all
    }
}

/// The providers that are open to one request.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    catalogue: &'a Catalogue,
    admits: &'a dyn Fn(&Candidate) -> bool,
}

impl fmt::Debug for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.open().map(|one| &one.id)).finish()
    }
}

/// What a page shows of the list.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// In the order in which they are shown.
    pub shown: Vec<&'a Candidate>,
    /// There are more than these.
    pub more: bool,
}

impl<'a> Offer<'a> {
    /// Those that `admits` lets through.
    pub fn new(catalogue: &'a Catalogue, admits: &'a dyn Fn(&Candidate) -> bool) -> Self {
        Self { catalogue, admits }
    }
    fn open(&self) -> impl Iterator<Item = &'a Candidate> + use<'a> {
        let admits = self.admits;
        self.catalogue.all.iter().filter(move |one| admits(one))
    }
    fn at(&self, at: Option<&usize>) -> Option<&'a Candidate> {
        self.catalogue.all.get(*at?).filter(|one| (self.admits)(one))
    }
    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open().next().is_none()
    }
    /// The only one, if there is one and no other.
    pub fn only(&self) -> Option<&'a Candidate> {
        let mut open = self.open();
        match (open.next(), open.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    }
    /// The one of this id.
    pub fn of_id(&self, id: &str) -> Option<&'a Candidate> {
        let id = ProviderId::new(id).ok()?;
        self.at(self.catalogue.by_id.get(&id))
    }
    /// The one that looks after a canonical domain.
    pub fn of_domain(&self, domain: &str) -> Option<&'a Candidate> {
        self.at(self.catalogue.by_domain.get(domain))
    }
    /// Those on the list, from its beginning; all of them where that is a bearable page.
    pub fn first(&self) -> Found<'a> {
        let mut listed: Vec<_> = self.open().filter(|one| !one.hidden).take(SEARCHED + 1).collect();
        let more = listed.len() > SEARCHED;
        if more {
            listed.truncate(SHOWN);
        }
        Found { shown: listed, more }
    }
    /// Those that a person looks for: by their work address or its domain, which also finds what is not on the
    /// list, or else by words of the name. The name itself comes first, then names that have the words as whole
    /// ones, then names that begin with the first word.
    pub fn search(&self, query: &str) -> Found<'a> {
        let query = query.trim();
        if query.is_empty() || query.chars().count() > LONGEST {
            return self.first();
        }
        let domain = match EmailAddress::parse(query) {
            Ok(address) => Some(address.domain().to_owned()),
            Err(_) => canonical_domain(query.trim_start_matches('@')),
        };
        if let Some(home) = domain.and_then(|domain| self.of_domain(&domain)) {
            return Found { shown: vec![home], more: false };
        }
        let query = folded(query);
        let words: Vec<&str> = query.split_whitespace().collect();
        let hits = self.catalogue.all.iter().zip(&self.catalogue.names).filter(|(one, name)| {
            !one.hidden && words.iter().all(|word| name.contains(word)) && (self.admits)(one)
        });
        let mut hits: Vec<_> = hits.map(|(one, name)| (far(&words, name), one)).collect();
        // Stable, so that equally good ones stay in the order of the list.
        hits.sort_by_key(|(far, _)| *far);
        let more = hits.len() > SHOWN;
        Found { shown: hits.into_iter().take(SHOWN).map(|(_, one)| one).collect(), more }
    }
}

/// How far a name that contains all these words is from what was typed: the name itself, the words as whole ones,
/// begun by the first, or anywhere in it.
fn far(words: &[&str], name: &str) -> u8 {
    let whole =
        || words.iter().all(|word| name.split(|c: char| !c.is_alphanumeric()).any(|own| own == *word));
    if name.split_whitespace().eq(words.iter().copied()) {
        0
    } else if whole() {
        1
    } else if words.first().is_some_and(|first| name.starts_with(first)) {
        2
    } else {
        3
    }
}

/// A text as it is searched: compatibility forms and case count for nothing.
fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn catalogue(names: &[(&str, &str, Option<&str>, bool)]) -> Catalogue {
        let one = |(id, name, domain, hidden): &(&str, &str, Option<&str>, bool)| Candidate {
            id: ProviderId::new(*id).unwrap(),
            name: (*name).to_owned(),
            order: 0,
            hidden: *hidden,
            domains: domain.map(str::to_owned).into_iter().collect(),
            lets_choose: true,
        };
        Catalogue::new(names.iter().map(one).collect())
    }
    fn ids(found: &Found<'_>) -> Vec<String> {
        found.shown.iter().map(|one| one.id.to_string()).collect()
    }

    #[test]
    fn a_name_is_found_by_its_words_and_a_company_by_its_domain() {
        let all = catalogue(&[
            ("acme", "ACME Widgets", Some("acme.example"), false),
            ("globex", "Globex", Some("globex.example"), false),
            ("widget", "Widget Works", None, false),
            ("secret", "Secret Works", Some("secret.example"), true),
        ]);
        let offer = Offer::new(&all, &|_| true);
        assert_eq!(ids(&offer.search("widg")), ["widget", "acme"], "what begins with it comes first");
        assert_eq!(ids(&offer.search("  widgets ACME ")), ["acme"]);
        assert_eq!(ids(&offer.search("ａｃｍｅ")), ["acme"]);
        assert_eq!(ids(&offer.search("ada@ACME.example")), ["acme"]);
        assert_eq!(ids(&offer.search("globex.example")), ["globex"]);
        assert_eq!(ids(&offer.search("bob@secret.example")), ["secret"], "its own people know its domain");
        assert!(offer.search("secret").shown.is_empty(), "by name, what is hidden stays hidden");
        assert!(offer.search("nothing").shown.is_empty());
        assert_eq!(ids(&offer.search(" ")), ["acme", "globex", "widget"]);
        assert_eq!(ids(&offer.search(&"x".repeat(101))), ["acme", "globex", "widget"]);
    }

    #[test]
    fn what_was_typed_in_full_comes_before_what_only_contains_it() {
        let many: Vec<(String, String)> =
            (0..500).map(|at| (format!("p{at}"), format!("Oak {at}"))).collect();
        let mut names: Vec<_> =
            many.iter().map(|(id, name)| (id.as_str(), name.as_str(), None, false)).collect();
        names.extend([("first", "Oak", None, false), ("part", "A 7 Oak", None, false)]);
        let all = catalogue(&names);
        let offer = Offer::new(&all, &|_| true);
        let best = |query: &str| ids(&offer.search(query)).into_iter().next();
        assert_eq!(best("oak 7").as_deref(), Some("p7"), "and not one of 17, 27, 70 …");
        assert_eq!(
            best("7 oak").as_deref(),
            Some("part"),
            "its words as whole ones, in the order of the list"
        );
        assert_eq!(best("OAK").as_deref(), Some("first"));
        let found = offer.search("oak 49");
        assert_eq!((ids(&found)[0].as_str(), found.shown.len()), ("p49", 15), "what contains it comes after");
        assert!(offer.search("oak").more);
    }

    #[test]
    fn what_is_not_open_is_found_by_nothing() {
        let all = catalogue(&[("a", "A", Some("a.example"), false), ("b", "B", Some("b.example"), false)]);
        let offer = Offer::new(&all, &|one| one.id.as_str() == "b");
        assert_eq!(offer.only().map(|one| one.id.as_str()), Some("b"));
        assert!(offer.of_id("a").is_none() && offer.of_domain("a.example").is_none());
        assert_eq!(ids(&offer.search("a.example")), Vec::<String>::new());
        assert!(offer.of_id("b").is_some() && offer.of_domain("b.example").is_some());
        assert!(Offer::new(&all, &|_| false).is_empty());
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let many: Vec<String> = (0..=SEARCHED).map(|at| format!("p{at:03}")).collect();
        let of = |count: usize| {
            catalogue(
                &many[..count].iter().map(|id| (id.as_str(), id.as_str(), None, false)).collect::<Vec<_>>(),
            )
        };
        let few = of(SEARCHED);
        let found = Offer::new(&few, &|_| true).first();
        assert_eq!((found.shown.len(), found.more), (SEARCHED, false));
        let more = of(SEARCHED + 1);
        let found = Offer::new(&more, &|_| true).first();
        assert_eq!((found.shown.len(), found.more), (SHOWN, true));
        let found = Offer::new(&more, &|_| true).search("p0");
        assert_eq!((found.shown.len(), found.more), (SHOWN, true));
    }

    proptest! {
        /// Law: whatever is typed, only what is open is shown, hidden ones only by their domain, and never more
        /// than a page holds.
        #[test]
        fn a_search_shows_only_what_is_open(query in "\\PC{0,40}", open in prop::collection::vec(any::<bool>(), 4)) {
            let all = catalogue(&[
                ("p0", "Zero", Some("zero.example"), false), ("p1", "One", None, true),
                ("p2", "Two", Some("two.example"), true), ("p3", "Three", None, false),
            ]);
            let admits = |one: &Candidate| open[one.id.as_str()[1..].parse::<usize>().unwrap()];
            let found = Offer::new(&all, &admits).search(&query);
            prop_assert!(found.shown.len() <= SEARCHED);
            for one in found.shown {
                prop_assert!(admits(one));
                prop_assert!(!one.hidden || query.contains("two.example"));
            }
        }
    }
}
