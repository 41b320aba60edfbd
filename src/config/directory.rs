//! The parts of `countersign.toml` about who may do what: scopes, groups, roles, and who has them.

use super::providers::Providers;
use super::read::{Section, nearest};
use super::report::{At, Place, Problem, Problems};
use super::settings::{CustomScope, DeclaredAssignment, Who};
use crate::accounts::access::way_back;
use crate::accounts::{Directory, EmailAddress, Group, Role, Target};
use crate::clients::entitlement::STANDARD_SCOPES;
use crate::clients::registration;
use crate::ids::{AccountId, GroupName, InvalidId, PermissionName, ProviderId, RoleName};
use crate::protocol::Scope;
use std::collections::{BTreeMap, BTreeSet};

/// A reference to something that must exist, to be checked when everything has been read.
pub struct Mention {
    /// What it refers to.
    pub kind: MentionKind,
    /// The name.
    pub name: String,
    /// Where.
    pub place: Place,
}

/// What can be referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MentionKind {
    /// A local group.
    Group,
    /// A local role.
    Role,
    /// An upstream provider.
    Provider,
    /// A client. It may have been made by command, which no file tells.
    Client,
    /// A scope.
    Scope,
    /// A resource identifier.
    Resource,
}

/// All references, collected while reading.
#[derive(Default)]
pub struct Mentions(Vec<Mention>);

/// The names that exist, by kind.
pub struct Known<'k> {
    /// Groups and roles.
    pub directory: &'k Directory,
    /// Providers; `None` where `providers.toml` could not be read, so that nothing is known.
    pub providers: Option<BTreeSet<&'k str>>,
    /// Clients.
    pub clients: BTreeSet<&'k str>,
    /// Custom scopes.
    pub scopes: BTreeSet<&'k str>,
    /// Resource identifiers.
    pub resources: BTreeSet<&'k str>,
}

impl Mentions {
    /// Remembers a reference.
    pub fn add(&mut self, kind: MentionKind, name: &str, place: Place) {
        self.0.push(Mention { kind, name: name.to_owned(), place });
    }
    /// Reports the references that lead nowhere.
    pub fn check(&self, known: &Known<'_>, problems: &Problems) {
        for mention in &self.0 {
            let (what, names, declare): (_, Vec<&str>, _) = match mention.kind {
                MentionKind::Group => (
                    "group",
                    known.directory.groups.keys().map(GroupName::as_str).collect(),
                    format!("declare it: [groups.{}]", key(&mention.name)),
                ),
                MentionKind::Role => (
                    "role",
                    known.directory.roles.keys().map(RoleName::as_str).collect(),
                    format!("declare it: [roles.{}]", key(&mention.name)),
                ),
                MentionKind::Scope => (
                    "scope",
                    STANDARD_SCOPES.iter().copied().chain(known.scopes.iter().copied()).collect(),
                    format!("declare it: [scopes.{}]", key(&mention.name)),
                ),
                MentionKind::Resource => (
                    "resource",
                    known.resources.iter().copied().collect(),
                    "declare it as the `resource` of a [[resource_server]]".to_owned(),
                ),
                MentionKind::Client => (
                    "[[client]]",
                    known.clients.iter().copied().collect(),
                    format!(
                        "declare it: [[client]] with id = \"{}\"; or make it: countersign client add",
                        mention.name
                    ),
                ),
                MentionKind::Provider => {
                    let Some(providers) = &known.providers else { continue };
                    let declare = format!(
                        "declare it in the file of providers: [[provider]] with id = \"{}\"",
                        mention.name
                    );
                    ("provider", providers.iter().copied().collect(), declare)
                }
            };
            if names.contains(&mention.name.as_str()) {
                continue;
            }
            let help = match nearest(&mention.name, names.into_iter()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => declare,
            };
            let message = format!("there is no {what} \"{}\"", mention.name);
            let problem = match mention.kind {
                MentionKind::Client => Problem::warning("config.reference", mention.place, message),
                _ => Problem::error("config.reference", mention.place, message),
            };
            problems.add(problem.help(help));
        }
    }
}

/// A name as a TOML key.
fn key(name: &str) -> String {
    let bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { name.to_owned() } else { format!("\"{name}\"") }
}

/// `[groups.NAME]` and `[roles.NAME]`.
pub fn directory(root: &Section<'_>, mentions: &mut Mentions) -> Directory {
    let mut directory = Directory::default();
    let mut group_places = BTreeMap::new();
    for (name, section) in root.named("groups") {
        let group = Group {
            description: section.text("description").map(|at| at.value).unwrap_or_default(),
            member_of: names(&section, "member_of", GroupName::new, |name, place| {
                mentions.add(MentionKind::Group, name, place);
            }),
            roles: names(&section, "roles", RoleName::new, |name, place| {
                mentions.add(MentionKind::Role, name, place);
            }),
        };
        let place = section.place_of("member_of");
        section.finish();
        if let Some(name) = id(root, &name, GroupName::new) {
            group_places.insert(name.clone(), place);
            directory.groups.insert(name, group);
        }
    }
    for (name, section) in root.named("roles") {
        let role = Role {
            description: section.text("description").map(|at| at.value).unwrap_or_default(),
            permissions: names(&section, "permissions", PermissionName::new, |_, _| {}),
        };
        section.finish();
        if let Some(name) = id(root, &name, RoleName::new) {
            directory.roles.insert(name, role);
        }
    }
    report_cycles(&directory, &group_places, root.problems());
    directory
}

/// A checked name, or a report.
pub fn id<T>(
    section: &Section<'_>,
    name: &At<String>,
    new: impl FnOnce(String) -> Result<T, InvalidId>,
) -> Option<T> {
    match new(name.value.clone()) {
        Ok(id) => Some(id),
        Err(error) => {
            section.refuse(name.place, "config.name", error.to_string(), "");
            None
        }
    }
}

/// A set of checked names; each is also given to `each`.
pub fn names<T: Ord>(
    section: &Section<'_>,
    key: &'static str,
    new: impl Fn(String) -> Result<T, InvalidId>,
    mut each: impl FnMut(&str, Place),
) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    for item in section.list(key).unwrap_or_default() {
        if let Some(name) = id(section, &item, &new) {
            each(&item.value, item.place);
            set.insert(name);
        }
    }
    set
}

/// Groups that contain themselves. Each cycle is reported once.
fn report_cycles(directory: &Directory, places: &BTreeMap<GroupName, Place>, problems: &Problems) {
    let mut reported: BTreeSet<&GroupName> = BTreeSet::new();
    for start in directory.groups.keys() {
        if reported.contains(start) {
            continue;
        }
        if let Some(path) = way_back(directory, start) {
            let mut names: Vec<&str> = path.iter().map(|name| name.as_str()).collect();
            names.push(start.as_str());
            let message = format!("groups contain one another: {}", names.join(" → "));
            let place = places.get(start).copied().unwrap_or(Place::new(0, 0..0));
            problems.add(
                Problem::error("config.cycle", place, message).help("remove one of these from a `member_of`"),
            );
            reported.extend(path);
        }
    }
}

/// `[scopes.NAME]`.
pub fn scopes(root: &Section<'_>, mentions: &mut Mentions) -> BTreeMap<String, CustomScope> {
    let mut scopes = BTreeMap::new();
    for (name, section) in root.named("scopes") {
        let description = section.required_text("description", "description = \"Read your invoices\"");
        let resources = section.list("resources").unwrap_or_default();
        for resource in &resources {
            mentions.add(MentionKind::Resource, &resource.value, resource.place);
        }
        section.finish();
        if STANDARD_SCOPES.contains(&name.value.as_str()) {
            let message = format!("`{}` is a standard scope and cannot be declared anew", name.value);
            root.refuse(name.place, "config.name", message, "choose another name");
            continue;
        }
        if name.value.contains(' ') || name.value.is_empty() || Scope::parse(&name.value).is_err() {
            let message = "a scope's name has no spaces, quotes, backslashes or letters beyond ASCII";
            root.refuse(name.place, "config.name", message, "RFC 6749 appendix A.4");
            continue;
        }
        let custom = CustomScope {
            description: description.map(|at| at.value).unwrap_or_default(),
            resources: resources.into_iter().map(|at| at.value).collect(),
        };
        scopes.insert(name.value, custom);
    }
    scopes
}

/// An `[[assign]]`, as far as it can be read before the providers are.
pub struct Assign {
    target: Target,
    who: Named,
}

/// Whom it names.
#[derive(Clone)]
enum Named {
    Person(Who),
    Subject(Subject),
}

/// Whom a provider knows by a subject.
#[derive(Clone)]
struct Subject {
    provider: At<ProviderId>,
    issuer: Option<At<String>>,
    subject: String,
}

/// `[[assign]]`.
pub fn assignments(root: &Section<'_>, mentions: &mut Mentions) -> Vec<Assign> {
    let mut all = Vec::new();
    for section in root.sections("assign") {
        let groups = names(&section, "groups", GroupName::new, |name, place| {
            mentions.add(MentionKind::Group, name, place);
        });
        let roles = names(&section, "roles", RoleName::new, |name, place| {
            mentions.add(MentionKind::Role, name, place);
        });
        let who = who(&section, mentions);
        if !section.has("groups") && !section.has("roles") {
            section.missing("groups", "groups = [\"staff\"] or roles = [\"admin\"]");
        }
        section.finish();
        let targets = groups.into_iter().map(Target::Group).chain(roles.into_iter().map(Target::Role));
        for target in targets {
            all.extend(who.iter().cloned().map(|who| Assign { target: target.clone(), who }));
        }
    }
    all
}

/// Gives each subject the issuer to whom it means somebody. One of a provider that is not there is left out: that is told
/// elsewhere.
pub fn with_issuers(
    assigns: Vec<Assign>,
    providers: &Providers,
    problems: &Problems,
) -> Vec<DeclaredAssignment> {
    let issued = |named| match named {
        Named::Person(who) => Some(who),
        Named::Subject(subject) => with_issuer(subject, providers, problems),
    };
    let known = |Assign { target, who }| Some(DeclaredAssignment { target, who: issued(who)? });
    assigns.into_iter().filter_map(known).collect()
}

fn with_issuer(named: Subject, providers: &Providers, problems: &Problems) -> Option<Who> {
    let Subject { provider: At { value: provider, place }, issuer, subject } = named;
    let kind = &providers.list().iter().find(|one| one.common.id == provider)?.kind;
    let issuer = match (issuer, kind.issuer()) {
        (Some(issuer), _) if kind.may_be_issuer(&issuer.value) => issuer.value,
        (Some(issuer), _) => {
            let message = format!("`{}` is no issuer of \"{provider}\"", issuer.value);
            let help = "a person's identities are shown with their issuer by `countersign account show`";
            problems.add(Problem::error("config.contradiction", issuer.place, message).help(help));
            return None;
        }
        (None, Some(issuer)) => issuer,
        (None, None) => {
            let message =
                format!("\"{provider}\" has an issuer for each tenant, so a subject alone is nobody");
            let help = "say beside it which: issuer = \"https://…\"";
            problems.add(Problem::error("config.contradiction", place, message).help(help));
            return None;
        }
    };
    Some(Who::Subject { provider, issuer, subject })
}

fn who(section: &Section<'_>, mentions: &mut Mentions) -> Vec<Named> {
    let accounts = section.parsed_list("account", |text| AccountId::new(text));
    let emails = section.parsed_list("email", EmailAddress::parse);
    let provider = section.parsed("provider", |text| ProviderId::new(text));
    let subjects = section.list("subject");
    if !["account", "email", "provider", "subject"].iter().any(|key| section.has(key)) {
        section.missing("email", "email = \"ann@example.com\", or account, or provider and subject");
    }
    if section.has("provider") != section.has("subject") {
        let (there, absent) =
            if section.has("provider") { ("provider", "subject") } else { ("subject", "provider") };
        let message = format!("`{there}` needs `{absent}` beside it");
        section.refuse(
            section.place_of(there),
            "config.contradiction",
            message,
            "a subject means something only at its own provider",
        );
    }
    let issuer = section.text("issuer");
    if let (Some(issuer), false) = (&issuer, section.has("provider")) {
        let help = "an issuer tells subjects of one provider apart";
        section.refuse(issuer.place, "config.contradiction", "`issuer` needs `provider` beside it", help);
    }
    let mut who: Vec<Named> = Vec::new();
    who.extend(accounts.unwrap_or_default().into_iter().map(|at| Named::Person(Who::Account(at.value))));
    who.extend(emails.unwrap_or_default().into_iter().map(|at| Named::Person(Who::Email(at.value))));
    if let Some(provider) = provider {
        mentions.add(MentionKind::Provider, provider.value.as_str(), provider.place);
        for subject in subjects.unwrap_or_default() {
            let (provider, issuer) = (provider.clone(), issuer.clone());
            who.push(Named::Subject(Subject { provider, issuer, subject: subject.value }));
        }
    }
    who
}

/// A resource identifier, checked.
pub fn resource(text: &str) -> Result<String, registration::InvalidAddress> {
    registration::resource(text).map(|()| text.to_owned())
}
