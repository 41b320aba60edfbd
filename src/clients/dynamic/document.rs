//! Reading a registration document (RFC 7591 §2, OIDC Registration §2): every member that we know is taken or
//! refused by name, every other is ignored (RFC 7591 §2). Nothing half-understood becomes a client.

use super::{ApplicationType, Narrowing, Policy, Registered, refuse};
use crate::clients::metadata::{
    About, AssertionRules, KeySource, LogoutChannels, RequestRules, SignInRules, SubjectRules,
};
use crate::clients::registration::{self, InvalidAddress};
use crate::clients::{AuthMethod, Client, GrantType, Origin, SigningAlg};
use crate::context::Timestamp;
use crate::failure::Failure;
use crate::ids::ClientId;
use crate::protocol::Scope;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::time::Duration;
use url::Url;

/// The most entries of a list.
const MOST: usize = 50;
/// The longest text, in bytes.
const LONGEST: usize = 2048;
/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

/// Members that ask for what we do not offer: encrypted tokens, signed introspection and authorization answers,
/// tokens bound to certificates or keys. A client that registers them counts on them, so they are refused.
pub const NOT_OFFERED: &[&str] = &[
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "introspection_signed_response_alg",
    "introspection_encrypted_response_alg",
    "introspection_encrypted_response_enc",
    "authorization_signed_response_alg",
    "authorization_encrypted_response_alg",
    "authorization_encrypted_response_enc",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
];
/// Members whose `true` asks for what we do not offer.
const NOT_OFFERED_FLAGS: &[&str] =
    &["dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens"];

/// What the broker can do, as far as clients choose.
#[derive(Debug, Clone)]
pub struct Capabilities<'a> {
    /// Algorithms by which assertions and request objects are verified.
    pub verified: &'a [&'static str],
    /// Scopes that are offered.
    pub scope: &'a Scope,
}

/// Whose registration is read, and under what.
#[derive(Debug, Clone)]
pub struct Registrant {
    /// The client's id.
    pub id: ClientId,
    /// What the initial access token allows.
    pub narrowing: Narrowing,
    /// When it was registered.
    pub issued_at: Timestamp,
}

/// Reads a document into a client without secrets. The keys by value and the list at `sector_identifier_uri` are
/// for the caller to check.
///
/// # Errors
/// `invalid_redirect_uri`: `registration.redirect_uri`. `invalid_client_metadata`: `registration.metadata` (a value
/// of the wrong kind), `registration.not_offered`, `registration.policy`, `registration.rules` (members that do not
/// go together). The failure names the member.
pub fn read(
    document: &Map<String, Value>,
    registrant: &Registrant,
    policy: &Policy,
    offered: &Capabilities<'_>,
) -> Result<Registered, Failure> {
    let read = Reader { document };
    not_offered(&read)?;
    let policy = policy.narrowed(&registrant.narrowing);
    let application_type = match read.text("application_type")? {
        None | Some("web") => ApplicationType::Web,
        Some("native") => ApplicationType::Native,
        Some(_) => return Err(refuse("registration.metadata", "application_type", "neither web nor native")),
    };
    let method = read.text("token_endpoint_auth_method")?.unwrap_or("client_secret_basic");
    let method = [
        AuthMethod::None,
        AuthMethod::ClientSecretBasic,
        AuthMethod::ClientSecretPost,
        AuthMethod::PrivateKeyJwt,
    ]
    .into_iter()
    .find(|known| known.as_str() == method)
    .ok_or_else(|| {
        refuse("registration.not_offered", "token_endpoint_auth_method", "a way that is not offered")
    })?;
    let public = method == AuthMethod::None;
    let grant_types = grant_types(&read, &policy)?;
    let places = Places { public, application_type, policy: &policy, narrowing: &registrant.narrowing };
    let redirect_uris =
        addresses(&read, "redirect_uris", "registration.redirect_uri", |text| places.check(text))?;
    let after_logout = addresses(&read, "post_logout_redirect_uris", "registration.redirect_uri", |text| {
        places.check(text)
    })?;
    let about = about(&read)?;
    let name = match read.text("client_name")? {
        Some(name) => one_line("client_name", name, LONGEST_NAME)?,
        None => default_name(&about, &redirect_uris).unwrap_or_else(|| registrant.id.to_string()),
    };
    let client = Client {
        id: registrant.id.clone(),
        name,
        auth_methods: [method].into(),
        secret_hashes: Vec::new(),
        origins: BTreeSet::new(),
        scope: scope(&read, &policy, offered)?,
        grant_types,
        resources: BTreeSet::new(),
        // whoever registers itself is never one of ours
        first_party: false,
        require_pkce: public || policy.require_pkce,
        id_token_alg: signing(&read, "id_token_signed_response_alg")?.unwrap_or(SigningAlg::RS256),
        access_token_alg: SigningAlg::RS256,
        claims_in_id_token: false,
        assignments: BTreeSet::new(),
        access_token_lifetime: None,
        refresh_token_lifetime: None,
        default_provider: None,
        providers: BTreeSet::new(),
        home_uri: None,
        keys: keys(&read)?,
        assertions: AssertionRules {
            alg: verified(&read, "token_endpoint_auth_signing_alg", offered)?,
            issuer_only: None,
        },
        requests: requests(&read, offered)?,
        sign_in: sign_in(&read)?,
        logout: logout(&read, &redirect_uris)?,
        subjects: subjects(&read, &redirect_uris)?,
        shapes: Default::default(),
        userinfo_alg: signing(&read, "userinfo_signed_response_alg")?,
        about,
        redirect_uris,
        post_logout_redirect_uris: after_logout,
        disabled: false,
        origin: Origin::Registered,
    };
    // What holds for every client holds for this one (the members above name the usual mistakes).
    registration::client(&client).map_err(|broken| {
        let note = format!("the members do not go together: {broken}");
        let member = if client.redirect_uris.is_empty() { "redirect_uris" } else { "grant_types" };
        refuse("registration.rules", member, note)
    })?;
    Ok(Registered {
        client,
        application_type,
        software_id: read.short("software_id")?,
        software_version: read.short("software_version")?,
        narrowing: registrant.narrowing.clone(),
        issued_at: registrant.issued_at,
    })
}

/// Members by name. `null` counts as left out (RFC 7592 §2.2).
struct Reader<'d> {
    document: &'d Map<String, Value>,
}

impl<'d> Reader<'d> {
    fn value(&self, member: &str) -> Option<&'d Value> {
        self.document.get(member).filter(|value| !value.is_null())
    }
    fn text(&self, member: &'static str) -> Result<Option<&'d str>, Failure> {
        match self.value(member) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= LONGEST => Ok(Some(text)),
            Some(_) => Err(refuse("registration.metadata", member, "not a text, or too long a one")),
        }
    }
    fn short(&self, member: &'static str) -> Result<Option<String>, Failure> {
        self.text(member)?.map(|text| one_line(member, text, 255)).transpose()
    }
    fn list(&self, member: &'static str) -> Result<Option<Vec<&'d str>>, Failure> {
        let wrong = || refuse("registration.metadata", member, "not a list of texts, or too long a one");
        match self.value(member) {
            None => Ok(None),
            Some(Value::Array(items)) if items.len() <= MOST => items
                .iter()
                .map(|item| item.as_str().filter(|text| text.len() <= LONGEST).ok_or_else(wrong))
                .collect::<Result<Vec<_>, _>>()
                .map(Some),
            Some(_) => Err(wrong()),
        }
    }
    fn flag(&self, member: &'static str) -> Result<bool, Failure> {
        match self.value(member) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            // some programs write flags as texts
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            Some(_) => Err(refuse("registration.metadata", member, "neither true nor false")),
        }
    }
}

fn one_line(member: &'static str, text: &str, longest: usize) -> Result<String, Failure> {
    let fits =
        !text.trim().is_empty() && text.chars().count() <= longest && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(refuse("registration.metadata", member, "empty, too long, or not on one line"))
    }
}

fn not_offered(read: &Reader<'_>) -> Result<(), Failure> {
    let asked = NOT_OFFERED.iter().find(|member| read.value(member).is_some());
    let flagged = NOT_OFFERED_FLAGS
        .iter()
        .find(|member| read.value(member).is_some_and(|value| *value != Value::Bool(false)));
    if let Some(member) = asked.or(flagged) {
        return Err(refuse("registration.not_offered", member, "something that is not offered"));
    }
    match read.list("response_types")? {
        // RFC 9700 §2.1.2: whatever puts tokens into addresses is refused by design
        Some(types) if types != ["code"] => {
            Err(refuse("registration.not_offered", "response_types", "another response type than code"))
        }
        _ => Ok(()),
    }
}

fn grant_types(read: &Reader<'_>, policy: &Policy) -> Result<BTreeSet<GrantType>, Failure> {
    let Some(names) = read.list("grant_types")? else {
        // RFC 7591 §2: the default
        return allowed([GrantType::AuthorizationCode].into(), policy);
    };
    let known = [GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials];
    let mut types = BTreeSet::new();
    for name in names {
        let found = known.into_iter().find(|known| known.as_str() == name);
        types.insert(found.ok_or_else(|| {
            refuse("registration.not_offered", "grant_types", "a grant type that is not offered")
        })?);
    }
    allowed(types, policy)
}

fn allowed(types: BTreeSet<GrantType>, policy: &Policy) -> Result<BTreeSet<GrantType>, Failure> {
    if types.is_subset(&policy.grant_types) {
        Ok(types)
    } else {
        Err(refuse("registration.policy", "grant_types", "a grant type that may not be registered here"))
    }
}

/// What was asked for, as far as it is offered and allowed; without a wish, all of that (RFC 7591 §2).
fn scope(read: &Reader<'_>, policy: &Policy, offered: &Capabilities<'_>) -> Result<Scope, Failure> {
    let may = policy.scope.intersection(offered.scope);
    let Some(text) = read.text("scope")? else { return Ok(may) };
    let asked = Scope::parse(text)
        .map_err(|_| refuse("registration.metadata", "scope", "characters that no scope has"))?;
    let given = asked.intersection(&may);
    if given.is_empty() && !asked.is_empty() {
        return Err(refuse("registration.policy", "scope", "only scopes that may not be registered here"));
    }
    Ok(given)
}

/// What holds for the places to which people are sent.
struct Places<'a> {
    public: bool,
    application_type: ApplicationType,
    policy: &'a Policy,
    narrowing: &'a Narrowing,
}

impl Places<'_> {
    fn check(&self, text: &str) -> Result<(), String> {
        registration::redirect_uri(text, self.public).map_err(|error| error.to_string())?;
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let web = matches!(url.scheme(), "http" | "https");
        if self.application_type == ApplicationType::Web && !web {
            // OIDC Registration §2 application_type
            return Err("has an app's own scheme, which is for application_type native".to_owned());
        }
        if !self.policy.allows_address(self.narrowing, &url) {
            return Err("leads to a place that may not be registered here".to_owned());
        }
        Ok(())
    }
}

fn addresses(
    read: &Reader<'_>,
    member: &'static str,
    reason: &'static str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<BTreeSet<String>, Failure> {
    let mut all = BTreeSet::new();
    for text in read.list(member)?.unwrap_or_default() {
        check(text).map_err(|why| refuse(reason, member, format!("an address {why}")))?;
        all.insert(text.to_owned());
    }
    Ok(all)
}

fn address(read: &Reader<'_>, member: &'static str) -> Result<Option<String>, Failure> {
    let Some(text) = read.text(member)? else { return Ok(None) };
    web_address(member, text)?;
    Ok(Some(text.to_owned()))
}

/// An address for which the specification knows no exception for loopback hosts.
fn secure(read: &Reader<'_>, member: &'static str) -> Result<Option<String>, Failure> {
    match address(read, member)? {
        Some(address) if !address.starts_with("https:") => {
            Err(refuse("registration.metadata", member, "the address is not https"))
        }
        other => Ok(other),
    }
}

fn web_address(member: &'static str, text: &str) -> Result<(), Failure> {
    registration::web_address(text).map_err(|error: InvalidAddress| {
        refuse("registration.metadata", member, format!("the address {error}"))
    })
}

fn about(read: &Reader<'_>) -> Result<About, Failure> {
    let contacts = read.list("contacts")?.unwrap_or_default();
    if contacts.len() > 20 || !contacts.iter().all(|text| registration::contact(text)) {
        let note = "contacts must be short texts on one line, at most 20";
        return Err(refuse("registration.metadata", "contacts", note));
    }
    Ok(About {
        client_uri: address(read, "client_uri")?,
        logo_uri: address(read, "logo_uri")?,
        policy_uri: address(read, "policy_uri")?,
        tos_uri: address(read, "tos_uri")?,
        contacts: contacts.into_iter().map(str::to_owned).collect(),
    })
}

/// What people read on the consent page where the client gave no name: the host that they would be sent to.
fn default_name(about: &About, redirect_uris: &BTreeSet<String>) -> Option<String> {
    let host = |text: &String| Url::parse(text).ok()?.host_str().map(str::to_owned);
    redirect_uris.iter().find_map(host).or_else(|| about.client_uri.as_ref().and_then(host))
}

fn signing(read: &Reader<'_>, member: &'static str) -> Result<Option<SigningAlg>, Failure> {
    let Some(name) = read.text(member)? else { return Ok(None) };
    let found = SigningAlg::ALL.into_iter().find(|alg| alg.as_str() == name);
    let note = "an algorithm that is not offered";
    found.map(Some).ok_or_else(|| refuse("registration.not_offered", member, note))
}

fn verified(
    read: &Reader<'_>,
    member: &'static str,
    offered: &Capabilities<'_>,
) -> Result<Option<String>, Failure> {
    let Some(name) = read.text(member)? else { return Ok(None) };
    if offered.verified.contains(&name) {
        Ok(Some(name.to_owned()))
    } else {
        Err(refuse("registration.not_offered", member, "an algorithm that is not verified here"))
    }
}

fn keys(read: &Reader<'_>) -> Result<Option<KeySource>, Failure> {
    let by_value = match read.value("jwks") {
        None => None,
        Some(set @ Value::Object(_)) => Some(KeySource::Jwks(set.to_string())),
        Some(_) => return Err(refuse("registration.metadata", "jwks", "not a JWK Set")),
    };
    let by_address = address(read, "jwks_uri")?.map(KeySource::JwksUri);
    if by_value.is_some() && by_address.is_some() {
        let note = "jwks and jwks_uri cannot stand side by side (RFC 7591 §2)";
        return Err(refuse("registration.metadata", "jwks_uri", note));
    }
    Ok(by_value.or(by_address))
}

fn requests(read: &Reader<'_>, offered: &Capabilities<'_>) -> Result<RequestRules, Failure> {
    let mut uris = BTreeSet::new();
    for text in read.list("request_uris")?.unwrap_or_default() {
        registration::request_uri(text).map_err(|error| {
            refuse("registration.metadata", "request_uris", format!("the address {error}"))
        })?;
        uris.insert(text.to_owned());
    }
    Ok(RequestRules {
        pushed_only: read.flag("require_pushed_authorization_requests")?,
        signed_only: read.flag("require_signed_request_object")?,
        alg: verified(read, "request_object_signing_alg", offered)?,
        uris,
    })
}

fn sign_in(read: &Reader<'_>) -> Result<SignInRules, Failure> {
    let max_age = match read.value("default_max_age") {
        None => None,
        Some(value) => {
            let seconds = value.as_u64().filter(|seconds| *seconds <= u64::from(u32::MAX));
            let wrong = || refuse("registration.metadata", "default_max_age", "not a number of seconds");
            Some(Duration::from_secs(seconds.ok_or_else(wrong)?))
        }
    };
    let wanted = read.list("default_acr_values")?.unwrap_or_default();
    if !wanted.iter().all(|acr| registration::acr_value(acr)) {
        return Err(refuse("registration.metadata", "default_acr_values", "a value that is no single word"));
    }
    Ok(SignInRules {
        default_max_age: max_age,
        require_auth_time: read.flag("require_auth_time")?,
        default_acr_values: wanted.into_iter().map(str::to_owned).collect(),
        initiate_login_uri: secure(read, "initiate_login_uri")?,
    })
}

fn logout(read: &Reader<'_>, redirect_uris: &BTreeSet<String>) -> Result<LogoutChannels, Failure> {
    let backchannel_uri = address(read, "backchannel_logout_uri")?;
    let frontchannel_uri = address(read, "frontchannel_logout_uri")?;
    if let Some(uri) = &frontchannel_uri {
        registration::frontchannel_uri(uri, redirect_uris).map_err(|why| {
            refuse("registration.metadata", "frontchannel_logout_uri", format!("the address {why}"))
        })?;
    }
    Ok(LogoutChannels {
        // without an address there is nothing that could carry the session
        backchannel_session_required: read.flag("backchannel_logout_session_required")?
            && backchannel_uri.is_some(),
        backchannel_uri,
        frontchannel_session_required: read.flag("frontchannel_logout_session_required")?
            && frontchannel_uri.is_some(),
        frontchannel_uri,
    })
}

fn subjects(read: &Reader<'_>, redirect_uris: &BTreeSet<String>) -> Result<SubjectRules, Failure> {
    let pairwise = match read.text("subject_type")? {
        None | Some("public") => false,
        Some("pairwise") => true,
        Some(_) => {
            return Err(refuse("registration.metadata", "subject_type", "neither public nor pairwise"));
        }
    };
    let member = "sector_identifier_uri";
    let sector_identifier_uri = if pairwise { secure(read, member)? } else { address(read, member)? };
    let hosts: BTreeSet<Option<String>> = redirect_uris
        .iter()
        .map(|text| Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned)))
        .collect();
    if pairwise && sector_identifier_uri.is_none() && (hosts.len() != 1 || hosts.contains(&None)) {
        // OIDC Core §8.1: of several hosts none can be the sector
        let note = "pairwise subjects need one host among the redirect URIs, or a sector_identifier_uri";
        return Err(refuse("registration.metadata", member, note));
    }
    Ok(SubjectRules { pairwise, sector_identifier_uri })
}
