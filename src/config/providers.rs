//! `providers.toml`: each `[[provider]]` is read by its kind; here its mistakes get their places, its secrets
//! are found, and its references into `countersign.toml` are checked.

use super::directory::{MentionKind, Mentions};
use super::read::{self, Section, hide_secret, nearest};
use super::report::{Place, Problem, Problems, Report};
use super::server::report_reference;
use super::values::{self, References};
use crate::accounts::Target;
use crate::context::Context;
use crate::ids::ProviderId;
use crate::upstream::kinds;
use crate::upstream::presets::{self, Parameter, Preset};
use crate::upstream::registry::{BuildError, Registry};
use crate::upstream::settings::{COMMON_KEYS, Freshness, Provider, SecretRef};
use secrecy::SecretString;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// All providers, checked, with their secrets found.
#[derive(Clone, Default)]
pub struct Providers {
    list: Vec<Provider>,
    secrets: BTreeMap<SecretRef, SecretString>,
    places: Places,
    sources: Report,
}

/// Where a provider's keys stand.
type Places = BTreeMap<(ProviderId, String), Place>;

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list.iter().map(|provider| &provider.common.id)).finish()
    }
}

impl Providers {
    /// Their settings, in the order of the file.
    pub fn list(&self) -> &[Provider] {
        &self.list
    }
    /// Where a key of a provider stands.
    pub(super) fn place(&self, provider: &ProviderId, key: &str) -> Option<Place> {
        self.places.get(&(provider.clone(), key.to_owned())).copied()
    }
    /// The files from which problems of [`Providers::build`] show lines.
    pub(super) fn with_sources(self, sources: Report) -> Self {
        Self { sources, ..self }
    }
    /// Builds them all; those that are as they were are taken over from `before`, with what they have cached.
    /// Contacts nobody.
    ///
    /// # Errors
    /// A [`Report`] of all that is wrong.
    pub fn build(&self, context: &Context, before: Option<&Registry>) -> Result<Registry, Report> {
        let secret = |reference: &SecretRef| {
            let found = self.secrets.get(reference).cloned();
            found.ok_or_else(|| format!("{reference} was not read"))
        };
        Registry::build(self.list.clone(), &secret, context, before).map_err(|errors| {
            let mut report = self.sources.clone();
            for error in errors {
                report.push(problem(&self.places, error));
            }
            report
        })
    }
}

/// A contradiction with its place.
fn problem(places: &Places, error: BuildError) -> Problem {
    let at = |key: &str| places.get(&(error.provider.clone(), key.to_owned())).copied();
    let message = error.problem.message;
    let problem = match at(error.problem.key).or_else(|| at("")) {
        Some(place) => Problem::error("config.provider", place, message),
        None => Problem::nowhere("config.provider", format!("provider {}: {message}", error.provider)),
    };
    match error.problem.help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// Reads the file.
pub fn providers(
    text: &str,
    file: usize,
    development: bool,
    references: &References,
    mentions: &mut Mentions,
    problems: &Problems,
) -> (Providers, BTreeSet<ProviderId>) {
    let table = read::parse(text, file, problems);
    let root = Section::root(&table, file, problems);
    let sections = root.sections("provider");
    root.finish();
    let mut read = Providers::default();
    let mut named = BTreeSet::new();
    for section in &sections {
        // a provider that is wrong elsewhere can be referred to all the same
        named.extend(section.table().get("id").and_then(|id| ProviderId::new(id.get_ref().as_str()?).ok()));
        let Some(mut provider) = read_one(section, problems) else {
            look_further(section, development, references);
            continue;
        };
        read.places.extend(places(section, section.table(), &provider.common.id));
        check_rules(section, &provider, mentions);
        if let Some((key, client)) = provider.kind.starts() {
            mentions.add(MentionKind::Client, client.as_str(), place(section, key));
        }
        check_proof(section);
        if provider.common.freshness == Freshness::Trusted && !provider.kind.asks_for_proof() {
            let message = "`freshness = \"trusted\"` takes every answer for a fresh proof, and nothing asks this provider for one";
            let problem = Problem::warning("config.freshness", place(section, "freshness"), message);
            problems.add(
                problem.help("leave it out: apps that demand a fresh proof then do without this provider"),
            );
        }
        let kept_back = ["pass", "prompts", "auth_time"].iter().any(|key| section.table().contains_key(*key))
            && provider.kind.shows_when_proved()
            && !provider.kind.asks_for_proof();
        if provider.common.freshness == Freshness::Proved && kept_back {
            let message = "nothing asks this provider for a fresh proof, and one is checked for where an app demands it";
            let problem = Problem::warning("config.freshness", place(section, "pass"), message);
            let help = "let `prompt` or `max_age` pass, or whoever is signed in there already is refused by such apps";
            problems.add(problem.help(help));
        }
        if provider.common.allow_loopback && !development {
            refuse_loopback(section);
        }
        let secrets = provider
            .kind
            .secrets()
            .into_iter()
            .map(|(key, reference)| (key, reference, references.resolve(&reference.to_string())));
        let documents = provider
            .kind
            .documents()
            .into_iter()
            .map(|(key, reference)| (key, reference, references.document(&reference.to_string())));
        for (key, reference, found) in secrets.chain(documents) {
            match found {
                Ok(secret) => {
                    read.secrets.insert(reference.clone(), secret);
                }
                Err(error) => report_reference(section, key, place(section, key), &error),
            }
        }
        provider.kind.relate(&references.base);
        if let Some(path) = &mut provider.common.ca_file {
            *path = references.base.join(&path);
            look_at_ca_file(section, path, references);
        }
        read.list.push(provider);
    }
    for error in Registry::check(&read.list) {
        problems.add(problem(&read.places, error));
    }
    check_acquaintances(&read, problems);
    let off = read.list.iter().all(|provider| !provider.common.enabled);
    if off && read.list.len() == sections.len() {
        let message = "no provider is switched on, so nobody can sign in";
        problems.add(Problem::warning("config.no_provider", Place::new(file, 0..0), message));
    }
    (read, named)
}

/// What can be said of a table whose values are wrong already: so that one run shows all mistakes, and not only
/// those of the first kind.
fn look_further(section: &Section<'_>, development: bool, references: &References) {
    for (key, value) in section.table() {
        let (key, value) = (key.get_ref().as_ref(), value.get_ref());
        match (key, value.as_str()) {
            ("allow_loopback", _) if value.as_bool() == Some(true) && !development => {
                refuse_loopback(section)
            }
            ("ca_file", Some(path)) => look_at_ca_file(section, &references.base.join(path), references),
            (_, Some(text)) if text.starts_with("env:") || text.starts_with("file:") => {
                if let Err(error) = references.resolve(text) {
                    report_reference(section, key, place(section, key), &error);
                }
            }
            _ => {}
        }
    }
}

fn refuse_loopback(section: &Section<'_>) {
    let message = "`allow_loopback` is only for development";
    let help = "remove it, or set `development = true` in countersign.toml";
    section.refuse(place(section, "allow_loopback"), "config.development", message, help);
}

fn look_at_ca_file(section: &Section<'_>, path: &Path, references: &References) {
    let content = values::read_bounded(path, values::MOST_ANY);
    references.files.borrow_mut().note(path, content.as_ref().ok().map(|bytes| bytes.as_slice()));
    if let Err(error) = content {
        let message = format!("{} cannot be read: {error}", path.display());
        section.refuse(place(section, "ca_file"), "config.file", message, "");
    }
}

/// Where all keys of a provider stand, those that its preset sets too, and the table.
fn places(section: &Section<'_>, table: &DeTable<'_>, id: &ProviderId) -> Places {
    let header = section.place().span();
    let keys = Provider::places(Spanned::new(header.clone(), table.clone()));
    let stand = keys.into_iter().filter(|(_, span)| !span.is_empty()).chain([(String::new(), header)]);
    stand.map(|(key, span)| ((id.clone(), key), Place::new(section.place().file(), span))).collect()
}

/// Where a key's value stands, or else the table.
fn place(section: &Section<'_>, key: &str) -> Place {
    let value = section.table().get(key);
    value.map_or(section.place(), |value| Place::new(section.place().file(), value.span()))
}

/// Two providers that are one there: what the identity provider says by itself reaches one of them only.
fn check_acquaintances(read: &Providers, problems: &Problems) {
    let mut known: BTreeMap<[&str; 2], (&ProviderId, Option<Place>)> = BTreeMap::new();
    for provider in read.list.iter().filter(|provider| provider.common.enabled) {
        let Some((key, names)) = provider.kind.acquaintance() else { continue };
        let id = &provider.common.id;
        let here = read.place(id, key);
        let Some((other, there)) = known.insert(names, (id, here)) else { continue };
        let message = format!(
            "`{other}` has the same `{key}` at {}, which knows both as one: its logouts reach only the one whose \
             address it has",
            names[0]
        );
        let mut problem = match here {
            Some(place) => Problem::warning("config.acquaintance", place, message),
            None => continue,
        };
        if let Some(there) = there {
            problem = problem.related(there, "here too");
        }
        let help = "leave it out for the address of our metadata, which is of one provider alone, and register both there";
        problems.add(problem.help(help));
    }
}

/// The groups and roles that rules assign must exist.
fn check_rules(section: &Section<'_>, provider: &Provider, mentions: &mut Mentions) {
    let written = section.table().get("map").and_then(|map| map.get_ref().as_array());
    for (rule, table) in provider.common.rules.iter().zip(written.into_iter().flat_map(|list| list.iter())) {
        let kind = match rule.target {
            Target::Group(_) => MentionKind::Group,
            Target::Role(_) => MentionKind::Role,
        };
        let value = table.get_ref().get(rule.target.kind());
        let span = value.map_or(table.span(), Spanned::span);
        mentions.add(kind, rule.target.name(), Place::new(section.place().file(), span));
    }
}

/// A preset's proof is about the address that the preset takes, and about no other.
fn check_proof(section: &Section<'_>) {
    let span = presets::of(section.table()).and_then(|preset| preset.unproved_address(section.table()));
    let Some(span) = span else { return };
    let message = "the preset's `email_verified` is about another address than this one";
    let help =
        "say where the proof of this one is found: email_verified = \"…\"; or \"false\", if it has none";
    let place = Place::new(section.place().file(), span);
    section.refuse(place, "config.contradiction", message, help);
}

/// Reads one table by its kind. The kind's reader stops at its first mistake, so what is wrong is reported,
/// taken out, and the rest read again, until nothing new is found. For a key that is missing something stands in then, so that
/// it hides nothing either: for a preset's parameter its example, and what else is there may be held against it.
fn read_one(section: &Section<'_>, problems: &Problems) -> Option<Provider> {
    let mut table = section.table().clone();
    let header = section.place().span();
    let mut taken: Vec<String> = Vec::new();
    let mut said: BTreeSet<(usize, String)> = BTreeSet::new();
    loop {
        let errors = match Provider::from_table(Spanned::new(header.clone(), table.clone())) {
            Ok(provider) if taken.is_empty() => return Some(provider),
            Ok(provider) => {
                // beside what was taken out a key may contradict only what is not there any more
                if taken.iter().all(|key| parameter(&table, key).is_some()) {
                    let id = provider.common.id.clone();
                    let places = places(section, &table, &id);
                    for found in provider.check() {
                        problems.add(problem(&places, BuildError { provider: id.clone(), problem: found }));
                    }
                }
                return None;
            }
            Err(errors) => errors,
        };
        let mut progress = false;
        for error in errors {
            let span = error.span().unwrap_or_else(|| header.clone());
            let span = narrow(&table, &header, &span, error.message()).unwrap_or(span);
            // what was taken out is missing by our own doing
            let ours = missing(error.message()).is_some_and(|key| taken.iter().any(|t| t == key));
            if !ours && !span.is_empty() && said.insert((span.start, error.message().to_owned())) {
                report(section, &table, &error, span.clone(), problems);
            }
            progress |= take_out(&mut table, &span, &mut taken);
            let key = missing(error.message()).filter(|_| span == header);
            progress |= key.is_some_and(|key| stand_in(&mut table, key, &mut taken));
        }
        if !progress {
            return None;
        }
    }
}

/// Puts something where a key is missing. It stands nowhere, so that nothing is said about it, also if the key cannot be
/// that.
fn stand_in(table: &mut DeTable<'_>, key: &str, taken: &mut Vec<String>) -> bool {
    let value = match (key, parameter(table, key)) {
        (_, Some((_, parameter))) => parameter.example.as_str(),
        ("kind", _) => return false,
        ("id", _) => "id",
        ("provisioning", _) => "never",
        _ => "https://id.example",
    };
    taken.push(key.to_owned());
    let value = Spanned::new(0..0, DeValue::String(Cow::Borrowed(value)));
    table.insert(Spanned::new(0..0, Cow::Owned(key.to_owned())), value).is_none()
}

/// The parameter of this name, if the table's preset has one.
fn parameter(table: &DeTable<'_>, key: &str) -> Option<(&'static str, &'static Parameter)> {
    presets::of(table)?.parameters.get_key_value(key).map(|(name, parameter)| (name.as_str(), parameter))
}

/// What a parameter is, and how one looks.
fn about(name: &str, parameter: &Parameter) -> String {
    format!("{}, such as: {name} = \"{}\"", parameter.about, parameter.example)
}

/// Where an error about a list of tables names only the list, finds the table that causes it: the one that
/// alone has the same error.
fn narrow(
    table: &DeTable<'_>,
    header: &Range<usize>,
    span: &Range<usize>,
    message: &str,
) -> Option<Range<usize>> {
    let (key, value) = table.iter().find(|(_, value)| value.span() == *span)?;
    let items =
        value.get_ref().as_array().filter(|items| items.iter().all(|item| item.get_ref().is_table()))?;
    let guilty = items.iter().find(|item| {
        let mut alone = table.clone();
        let list: DeArray<'_> = std::iter::once((*item).clone()).collect();
        alone.insert(key.clone(), Spanned::new(value.span(), DeValue::Array(list)));
        Provider::from_table(Spanned::new(header.clone(), alone))
            .is_err_and(|errors| errors.iter().any(|error| error.message() == message))
    })?;
    Some(guilty.span())
}

/// Removes the entry in which the span lies; in a list of tables, the table alone.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>, taken: &mut Vec<String>) -> bool {
    let found = table.iter().find(|(key, value)| inside(span, &key.span()) || covers(value, span));
    let Some(name) = found.map(|(key, _)| key.get_ref().clone().into_owned()) else { return false };
    taken.push(name.clone());
    let Some((key, value)) = table.remove_entry(name.as_str()) else { return false };
    let value_span = value.span();
    if let DeValue::Array(items) = value.into_inner() {
        let before = items.len();
        let rest: DeArray<'_> = items.into_iter().filter(|item| !covers(item, span)).collect();
        if !rest.is_empty() && rest.len() < before {
            table.insert(key, Spanned::new(value_span, DeValue::Array(rest)));
        }
    }
    true
}

fn inside(inner: &Range<usize>, outer: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end && outer.start < outer.end
}

/// Whether the span lies in the value. A table's own span is only its header.
fn covers(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    inside(span, &value.span())
        || match value.get_ref() {
            DeValue::Array(items) => items.iter().any(|item| covers(item, span)),
            DeValue::Table(table) => {
                table.iter().any(|(key, value)| inside(span, &key.span()) || covers(value, span))
            }
            _ => false,
        }
}

/// The key in "missing field `key`".
fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// The words in backticks behind "expected".
fn expected(message: &str) -> Vec<&str> {
    let list = message.split_once("expected").map_or("", |(_, list)| list);
    list.split('`').skip(1).step_by(2).collect()
}

/// Reports one error of a kind's reader in our own words.
fn report(
    section: &Section<'_>,
    table: &DeTable<'_>,
    error: &toml::de::Error,
    span: Range<usize>,
    problems: &Problems,
) {
    let place = Place::new(section.place().file(), span.clone());
    let message = error.message();
    hide_secret(section, &span);
    let top_level = table.iter().any(|(key, _)| inside(&span, &key.span()));
    let problem = if let Some(key) = missing(message) {
        let problem = Problem::error("config.missing", place, format!("`{key}` is missing")).label("here");
        match (key, parameter(table, key)) {
            ("provisioning", _) => problem.help(
                "write, for example: provisioning = \"open\" (everybody of that provider gets an account)",
            ),
            (_, Some((name, parameter))) => problem.help(about(name, parameter)),
            (_, None) => problem,
        }
    } else if let Some(rest) = message.strip_prefix("unknown field `") {
        let name = rest.split('`').next().unwrap_or("");
        let problem = Problem::error("config.unknown_key", place, format!("there is no key `{name}` here"))
            .label("unknown key");
        let preset = presets::of(table);
        let kind = table.get("kind").and_then(|kind| kind.get_ref().as_str());
        let own = kinds::keys(kind.or(preset.map(Preset::kind)).unwrap_or("")).unwrap_or_default();
        let parameters = preset.into_iter().flat_map(|preset| preset.parameters.keys().map(String::as_str));
        let words: Vec<&str> = if top_level {
            COMMON_KEYS.iter().chain(own).copied().chain(parameters).collect()
        } else {
            expected(message)
        };
        match nearest(name, words.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("the keys here are: {}", words.join(", "))),
        }
    } else if let Some(rest) = message.strip_prefix("unknown variant `") {
        let name = rest.split('`').next().unwrap_or("");
        let words = expected(message);
        let message = format!("\"{name}\" is none of: {}", words.join(", "));
        let problem = Problem::error("config.value", place, message);
        match nearest(name, words.into_iter()) {
            Some(near) => problem.help(format!("did you mean \"{near}\"?")),
            None => problem,
        }
    } else if message.starts_with("a secret is given by reference") {
        problems.hide(place);
        let help = "put it into a file or a variable, and refer to that";
        Problem::error("config.secret", place, message.to_owned()).help(help)
    } else if let Some((text, character)) = in_expression(message) {
        let source = section.source();
        let value = source.get(span).unwrap_or("").trim_matches(['"', '\'']).to_owned();
        let start = value.char_indices().nth(character - 1).map_or(value.len(), |(at, _)| at);
        let end =
            value.get(start..).and_then(|rest| rest.chars().next()).map_or(start, |c| start + c.len_utf8());
        Problem::error("config.expression", place.within(&source, &value, start..end), text.to_owned())
            .help("the language is described in docs/configuration.md, \"Expressions\"")
    } else if let Some((got, wanted)) =
        message.strip_prefix("invalid ").and_then(|m| m.split_once(", expected "))
    {
        let key =
            table.iter().find(|(_, value)| covers(value, &span)).map_or("this", |(key, _)| key.get_ref());
        let got = got.split_once(": ").map_or(got, |(_, got)| got);
        let wanted = plainly(wanted);
        Problem::error("config.type", place, format!("`{key}` must be {wanted}, but it is {got}"))
    } else {
        let problem = Problem::error("config.value", place, message.to_owned());
        let key = table.iter().find(|(_, value)| covers(value, &span)).map(|(key, _)| key.get_ref());
        match key.and_then(|key| parameter(table, key)) {
            Some((name, parameter)) => problem.help(about(name, parameter)),
            None => problem,
        }
    };
    problems.add(problem);
}

/// What a reader of serde's calls a type, as people call it.
fn plainly(wanted: &str) -> &str {
    match wanted {
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        other => other,
    }
}

/// The text and the character in "… (character 3 of the expression)".
fn in_expression(message: &str) -> Option<(&str, usize)> {
    let (text, rest) = message.rsplit_once(" (character ")?;
    let character = rest.strip_suffix(" of the expression)")?.parse().ok()?;
    (character > 0).then_some((text, character))
}
