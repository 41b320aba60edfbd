//! `[[client]]` and `[[resource_server]]`.

use super::client_keys;
use super::client_logout;
use super::client_requests;
use super::directory::{MentionKind, Mentions, names, resource};
use super::read::Section;
use super::report::{At, Place, Problem};
use super::server::{check_strength, secret};
use super::shapes;
use super::values::{References, seconds};
use crate::accounts::Target;
use crate::clients::metadata::{About, SignInRules};
use crate::clients::{AuthMethod, Client, GrantType, Origin, ResourceServer, SigningAlg, registration};
use crate::ids::{ClientId, GroupName, ProviderId, RoleName};
use crate::protocol::Scope;
use crate::tokens::handle::Digest;
use secrecy::ExposeSecret as _;
use std::collections::{BTreeMap, BTreeSet};

const DAY: u64 = 24 * 60 * 60;

const AUTH_METHODS: &[(&str, AuthMethod)] = &[
    ("client_secret_basic", AuthMethod::ClientSecretBasic),
    ("client_secret_post", AuthMethod::ClientSecretPost),
    ("private_key_jwt", AuthMethod::PrivateKeyJwt),
    ("none", AuthMethod::None),
];

pub(super) const GRANT_TYPES: &[(&str, GrantType)] = &[
    ("authorization_code", GrantType::AuthorizationCode),
    ("refresh_token", GrantType::RefreshToken),
    ("client_credentials", GrantType::ClientCredentials),
];

const ALGORITHMS: &[(&str, SigningAlg)] =
    &[("RS256", SigningAlg::RS256), ("ES256", SigningAlg::ES256), ("EdDSA", SigningAlg::EdDSA)];

/// Where ids and resources were declared, so that a second one can point at the first.
#[derive(Default)]
pub struct Declared {
    ids: BTreeMap<ClientId, Place>,
    resources: BTreeMap<String, Place>,
    default_audience: Option<Place>,
}

impl Declared {
    /// The ids, also of clients that are wrong elsewhere.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.keys().map(ClientId::as_str)
    }
}

/// All `[[client]]`.
pub fn clients(
    root: &Section<'_>,
    development: bool,
    references: &References,
    declared: &mut Declared,
    mentions: &mut Mentions,
) -> BTreeMap<ClientId, Client> {
    let mut all = BTreeMap::new();
    for section in root.sections("client") {
        let id = take_id(&section, declared);
        let client = client(&section, id.as_ref(), development, references, mentions);
        section.finish();
        if let (Some(id), Some(client)) = (id, client) {
            all.insert(id.value, client);
        }
    }
    all
}

fn take_id(section: &Section<'_>, declared: &mut Declared) -> Option<At<ClientId>> {
    if !section.has("id") {
        section.missing("id", "id = \"my-app\"");
    }
    let id = section.parsed("id", |text| ClientId::new(text))?;
    if let Some(first) = declared.ids.get(&id.value) {
        let problem =
            Problem::error("config.duplicate", id.place, format!("the id \"{}\" is taken", id.value));
        section.problems().add(problem.label("again here").related(*first, "first here"));
        return None;
    }
    declared.ids.insert(id.value.clone(), id.place);
    Some(id)
}

fn client(
    section: &Section<'_>,
    id: Option<&At<ClientId>>,
    development: bool,
    references: &References,
    mentions: &mut Mentions,
) -> Option<Client> {
    let name = section.text("name");
    let public = section.flag("public").is_some_and(|flag| flag.value);
    let keys = client_keys::keys(section, development, references);
    let auth_methods = auth_methods(section, public);
    let public = auth_methods.iter().all(|method| *method == AuthMethod::None);
    let secret_hashes = secrets(section, development, references);
    check_secret(section, &auth_methods, &secret_hashes);
    client_keys::check(section, &auth_methods, keys.is_some());
    let assertions = client_keys::assertions(section);
    let about = about(section);

    let address = |key, check: fn(&str, bool) -> Result<(), registration::InvalidAddress>| {
        let one = |text: &str| {
            check(text, public).map(|()| text.to_owned()).map_err(|error| format!("the address {error}"))
        };
        let list = section.parsed_list(key, one).unwrap_or_default();
        list.into_iter().map(|at| at.value).collect::<BTreeSet<String>>()
    };
    let redirect_uris = address("redirect_uris", registration::redirect_uri);
    let post_logout_redirect_uris = address("post_logout_redirect_uris", registration::redirect_uri);
    let origins = address("origins", |text, _| registration::origin(text));
    let home_uri = web_address(section, "home_uri");

    let initiate_login_uri = web_address(section, "initiate_login_uri");
    let logout = client_logout::channels(section, &redirect_uris);

    let grant_types = grant_types(section, public);
    let scope = scope(section, &grant_types, mentions);
    let resources = section.parsed_list("resources", resource).unwrap_or_default();
    for at in &resources {
        mentions.add(MentionKind::Resource, &at.value, at.place);
    }
    let require_pkce = section.flag("require_pkce");
    if let Some(flag) = require_pkce.as_ref().filter(|flag| !flag.value && public) {
        let message = "PKCE is always required of public clients (RFC 9700 §2.1.1)";
        section.refuse(
            flag.place,
            "config.pkce",
            message,
            "remove `require_pkce`, or give the client a secret",
        );
    }
    let mut assignments: BTreeSet<Target> = BTreeSet::new();
    let groups = names(section, "groups", GroupName::new, |name, place| {
        mentions.add(MentionKind::Group, name, place);
    });
    let roles = names(section, "roles", RoleName::new, |name, place| {
        mentions.add(MentionKind::Role, name, place);
    });
    assignments.extend(groups.into_iter().map(Target::Group));
    assignments.extend(roles.into_iter().map(Target::Role));
    let default_provider = section.parsed("default_provider", |text| ProviderId::new(text));
    if let Some(at) = &default_provider {
        mentions.add(MentionKind::Provider, at.value.as_str(), at.place);
    }
    let providers = names(section, "providers", ProviderId::new, |name, place| {
        mentions.add(MentionKind::Provider, name, place);
    });
    if let Some(at) = &default_provider
        && !providers.is_empty()
        && !providers.contains(&at.value)
    {
        let message = format!("`default_provider` is \"{}\", which is not among `providers`", at.value);
        let problem = Problem::error("config.contradiction", at.place, message);
        section
            .problems()
            .add(problem.related(section.place_of("providers"), "the providers of this client"));
    }
    let requests = client_requests::requests(section, keys.is_some());
    let sign_in = client_requests::sign_in(section);
    let client = Client {
        id: id?.value.clone(),
        name: name.map_or_else(|| id.map(|id| id.value.to_string()).unwrap_or_default(), |at| at.value),
        auth_methods,
        secret_hashes,
        redirect_uris,
        post_logout_redirect_uris,
        origins,
        grant_types,
        scope,
        resources: resources.into_iter().map(|at| at.value).collect(),
        first_party: section.flag("first_party").is_some_and(|at| at.value),
        require_pkce: public || require_pkce.is_none_or(|at| at.value),
        id_token_alg: section.word("id_token_alg", ALGORITHMS).map_or(SigningAlg::RS256, |at| at.value),
        access_token_alg: section
            .word("access_token_alg", ALGORITHMS)
            .map_or(SigningAlg::RS256, |at| at.value),
        claims_in_id_token: section.flag("claims_in_id_token").is_some_and(|at| at.value),
        assignments,
        access_token_lifetime: section.duration("access_token_lifetime", seconds(30, DAY)).map(|at| at.value),
        refresh_token_lifetime: section
            .duration("refresh_token_lifetime", seconds(60, 2 * 365 * DAY))
            .map(|at| at.value),
        default_provider: default_provider.map(|at| at.value),
        providers,
        home_uri,
        keys,
        assertions,
        requests,
        sign_in: SignInRules { initiate_login_uri, ..sign_in },
        logout,
        subjects: shapes::subjects(section),
        shapes: shapes::shapes(section),
        userinfo_alg: section.word("userinfo_alg", ALGORITHMS).map(|at| at.value),
        about,
        disabled: section.flag("disabled").is_some_and(|at| at.value),
        origin: Origin::Declared,
    };
    shapes::check_sector(section, &client);
    Some(client)
}

/// What people may read about a client. Our pages link to addresses and load nothing from them.
fn about(section: &Section<'_>) -> About {
    let contacts = section.parsed_list("contacts", |text| {
        if registration::contact(text) {
            Ok(text.to_owned())
        } else {
            Err("must be a short text on one line")
        }
    });
    About {
        client_uri: web_address(section, "client_uri"),
        logo_uri: web_address(section, "logo_uri"),
        policy_uri: web_address(section, "policy_uri"),
        tos_uri: web_address(section, "tos_uri"),
        contacts: contacts.unwrap_or_default().into_iter().map(|at| at.value).collect(),
    }
}

/// An address that browsers are led to, or that we send something to.
pub fn web_address(section: &Section<'_>, key: &'static str) -> Option<String> {
    let address = section.parsed(key, |text| {
        registration::web_address(text).map(|()| text.to_owned()).map_err(|e| format!("the address {e}"))
    });
    address.map(|at| at.value)
}

/// `auth_methods`. Unless said otherwise: with a secret both ways of sending it, with keys alone assertions.
fn auth_methods(section: &Section<'_>, public: bool) -> BTreeSet<AuthMethod> {
    let written = section.list("auth_methods");
    let Some(list) = written else {
        let secret = section.has("secret") || section.has("secret_sha256");
        let keys = section.has("jwks") || section.has("jwks_uri");
        return if public {
            BTreeSet::from([AuthMethod::None])
        } else if keys && !secret {
            BTreeSet::from([AuthMethod::PrivateKeyJwt])
        } else {
            BTreeSet::from([AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost])
        };
    };
    let mut methods = BTreeSet::new();
    for item in &list {
        if let Some(method) = section.one_of("auth_methods", item, AUTH_METHODS) {
            methods.insert(method.value);
        }
    }
    let place = section.place_of("auth_methods");
    if methods.contains(&AuthMethod::None) && methods.len() > 1 {
        // whoever has the secret could also do without, so it would protect nothing
        let message = "`none` cannot stand beside another method";
        section.refuse(place, "config.contradiction", message, "remove \"none\"");
        methods.remove(&AuthMethod::None);
    }
    if public && methods.iter().any(|method| *method != AuthMethod::None) {
        let message = "`public = true` and these `auth_methods` contradict each other";
        section.refuse(place, "config.contradiction", message, "remove one of the two");
    }
    if methods.is_empty() {
        return BTreeSet::from([if public { AuthMethod::None } else { AuthMethod::ClientSecretBasic }]);
    }
    methods
}

/// `secret` (one reference or several, while one is being replaced) and `secret_sha256`.
fn secrets(section: &Section<'_>, development: bool, references: &References) -> Vec<String> {
    let mut hashes = Vec::new();
    let several = section.value("secret").is_some_and(|value| value.value.is_array());
    if several {
        for at in section.list("secret").unwrap_or_default() {
            match references.resolve(&at.value) {
                Ok(secret) => {
                    let secret = At { value: secret, place: at.place };
                    check_strength(section, &secret, development);
                    hashes.push(Digest::of(secret.value.expose_secret()).as_str().to_owned());
                }
                Err(error) => super::server::report_reference(section, "secret", at.place, &error),
            }
        }
    } else if let Some(secret) = secret(section, "secret", references) {
        check_strength(section, &secret, development);
        hashes.push(Digest::of(secret.value.expose_secret()).as_str().to_owned());
    }
    let written = section.parsed_list("secret_sha256", |text| {
        let legal = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let rule =
            "must be the SHA-256 of the secret, 64 hexadecimal digits (printf %s \"$SECRET\" | sha256sum)";
        if legal { Ok(text.to_ascii_lowercase()) } else { Err(rule) }
    });
    hashes.extend(written.unwrap_or_default().into_iter().map(|at| at.value));
    hashes
}

fn check_secret(section: &Section<'_>, methods: &BTreeSet<AuthMethod>, hashes: &[String]) {
    let given = ["secret", "secret_sha256"].into_iter().find(|key| section.has(key));
    let needed = methods.iter().any(|method| method.needs_secret());
    match given {
        Some(key) if methods.iter().all(|method| *method == AuthMethod::None) => {
            let message = "a public client cannot keep a secret (RFC 6749 §2.1)";
            let help = "remove the secret, or remove `public` if the client runs on a server";
            section.refuse(section.place_of(key), "config.public_secret", message, help);
        }
        Some(key) if !needed => {
            let message = "this client proves itself by its keys alone, so its secret is good for nothing";
            let help = "remove the secret, or name a method that uses it in `auth_methods`";
            section.refuse(section.place_of(key), "config.contradiction", message, help);
        }
        None if needed && hashes.is_empty() => {
            let message = format!("a client that is not public needs a secret or keys{}", of(section));
            let help = "add `secret = \"env:NAME\"` (or \"file:PATH\", or `secret_sha256`), or `jwks_uri`; for an app in a browser or on a phone write `public = true`";
            section.refuse(section.place(), "config.missing", message, help);
        }
        _ => {}
    }
}

fn of(section: &Section<'_>) -> String {
    section.text("id").map(|id| format!(" (\"{}\")", id.value)).unwrap_or_default()
}

fn grant_types(section: &Section<'_>, public: bool) -> BTreeSet<GrantType> {
    let mut types = BTreeSet::new();
    let written = section.list("grant_types");
    for item in written.iter().flatten() {
        if matches!(item.value.as_str(), "implicit" | "password") {
            let message = format!("the grant type `{}` is not offered by design", item.value);
            let help = "RFC 9700 §2.1.2 and §2.4; use authorization_code";
            section.refuse(item.place, "config.grant_type", message, help);
        } else if let Some(at) = section.one_of("grant_types", item, GRANT_TYPES) {
            if at.value == GrantType::ClientCredentials && public {
                let message = "`client_credentials` is not for public clients (RFC 6749 §4.4)";
                section.refuse(at.place, "config.grant_type", message, "give the client a secret");
            }
            types.insert(at.value);
        }
    }
    if written.is_none() {
        types.extend([GrantType::AuthorizationCode, GrantType::RefreshToken]);
    }
    let place = section.place_of("grant_types");
    if types.contains(&GrantType::RefreshToken) && !types.contains(&GrantType::AuthorizationCode) {
        let message = "`refresh_token` needs `authorization_code` beside it";
        section.refuse(place, "config.grant_type", message, "nothing else gives refresh tokens");
    }
    let redirects = section.has("redirect_uris");
    if types.contains(&GrantType::AuthorizationCode) && !redirects {
        let message = format!("`redirect_uris` is missing{}", of(section));
        let help = "write redirect_uris = [\"https://app.example.com/callback\"], or grant_types = [\"client_credentials\"] for a service without people";
        section.refuse(place, "config.missing", message, help);
    }
    types
}

/// `scopes`: a list, or one string with spaces as in requests.
fn scope(section: &Section<'_>, grant_types: &BTreeSet<GrantType>, mentions: &mut Mentions) -> Scope {
    let Some(list) = section.list("scopes") else { return registration::usual_scope(grant_types) };
    let source = section.source();
    let mut scope = Scope::empty();
    for item in &list {
        match Scope::parse(&item.value) {
            Ok(part) => {
                for token in part.iter() {
                    let start = token_start(&item.value, token);
                    let place = item.place.within(&source, &item.value, start..start + token.len());
                    mentions.add(MentionKind::Scope, token, place);
                }
                scope = scope.union(&part);
            }
            Err(error) => section.refuse(item.place, "config.value", format!("`scopes`: {error}"), ""),
        }
    }
    scope
}

/// Where a token of a scope begins.
fn token_start(text: &str, token: &str) -> usize {
    let mut at = 0;
    for part in text.split(' ') {
        if part == token {
            return at;
        }
        at += part.len() + 1;
    }
    0
}

/// All `[[resource_server]]`.
pub fn resource_servers(
    root: &Section<'_>,
    development: bool,
    references: &References,
    declared: &mut Declared,
) -> BTreeMap<ClientId, ResourceServer> {
    let mut all = BTreeMap::new();
    for section in root.sections("resource_server") {
        let id = take_id(&section, declared);
        let name = section.text("name");
        let secret_hashes = secrets(&section, development, references);
        check_secret(&section, &[AuthMethod::ClientSecretBasic].into(), &secret_hashes);
        if !section.has("resource") {
            section.missing("resource", "resource = \"https://api.example.com\"");
        }
        let identifier = section.parsed("resource", resource);
        if let Some(at) = &identifier {
            match declared.resources.get(&at.value) {
                Some(first) => {
                    let message = format!("the resource \"{}\" has two servers", at.value);
                    let problem = Problem::error("config.duplicate", at.place, message);
                    section.problems().add(problem.label("again here").related(*first, "first here"));
                }
                None => {
                    declared.resources.insert(at.value.clone(), at.place);
                }
            }
        }
        let default_audience = section.flag("default_audience").filter(|at| at.value);
        if let Some(at) = &default_audience {
            match declared.default_audience {
                Some(first) => {
                    let message = "two resource servers are the default audience";
                    let problem = Problem::error("config.contradiction", at.place, message);
                    let problem = problem.label("again here").related(first, "first here");
                    section.problems().add(problem.help("a token without a `resource` can have only one"));
                }
                None => declared.default_audience = Some(at.place),
            }
        }
        let disabled = section.flag("disabled").is_some_and(|at| at.value);
        section.finish();
        if let (Some(id), Some(resource)) = (id, identifier) {
            let server = ResourceServer {
                name: name.map_or_else(|| id.value.to_string(), |at| at.value),
                id: id.value.clone(),
                secret_hashes,
                resource: resource.value,
                default_audience: default_audience.is_some(),
                disabled,
                origin: Origin::Declared,
            };
            all.insert(id.value, server);
        }
    }
    all
}
