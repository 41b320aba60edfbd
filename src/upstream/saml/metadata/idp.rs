//! The provider's metadata: where it is, and which keys it has.

use super::times;
use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::outbound::Outbound;
use crate::upstream::checks::clean;
use crate::upstream::saml::certificate;
use crate::upstream::saml::ns;
use crate::upstream::saml::open::Certificate;
use crate::upstream::saml::settings::Binding;
use crate::upstream::saml::xml::{self, METADATA};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Addresses for one purpose.
const MOST_ENDPOINTS: usize = 32;

/// Where something is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::upstream::saml) struct Address {
    /// How.
    pub binding: Binding,
    /// Where to.
    pub location: Location,
    /// Where answers go, if elsewhere (SAML Metadata §2.2.2).
    pub response_location: Option<Location>,
}

/// An address of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::upstream::saml) struct Location {
    /// To which the browser goes.
    pub url: Url,
    /// As the provider writes it, for `Destination`: it compares letter by letter, and a parsed address is written anew
    /// (in lower case, without the usual port, without `..`).
    pub written: String,
}

impl Location {
    /// An address and the text that it was read from, without what readers of addresses pass over.
    pub fn new(url: Url, text: &str) -> Self {
        let text = text.trim();
        let odd = text.chars().any(|c| c.is_control() || c.is_whitespace());
        let written = if odd { url.as_str().to_owned() } else { text.to_owned() };
        Self { url, written }
    }
}

/// What is known of a provider.
#[derive(Debug, Clone)]
pub(in crate::upstream::saml) struct Described {
    /// Where sign-ins begin.
    pub sso: Vec<Address>,
    /// Where logouts go.
    pub slo: Vec<Address>,
    /// Certificates that may sign; never empty.
    pub certificates: Arc<Vec<Certificate>>,
    /// Certificates that it names, of keys that nobody has confirmed.
    pub held: Vec<Certificate>,
    /// It wants our requests signed.
    pub wants_signed: bool,
    /// After this it must not be used.
    pub valid_until: Option<Timestamp>,
    /// For how long it should be kept.
    pub cache_for: Option<Duration>,
}

impl Described {
    /// The address for a binding, or the best one where none is given.
    pub fn sso_by(&self, binding: Option<Binding>) -> Option<&Address> {
        by(&self.sso, binding)
    }
    /// The same for logouts.
    pub fn slo_by(&self, binding: Option<Binding>) -> Option<&Address> {
        by(&self.slo, binding)
    }
}

/// By redirect where there is a choice: it needs no script.
fn by(list: &[Address], binding: Option<Binding>) -> Option<&Address> {
    let find = |wanted: Binding| list.iter().find(|address| address.binding == wanted);
    match binding {
        Some(binding) => find(binding),
        None => find(Binding::Redirect).or_else(|| find(Binding::Post)),
    }
}

/// Metadata that cannot be used. Whoever wants to sign in can only wait.
pub(in crate::upstream::saml) fn unusable(
    reason: &'static str,
    note: impl Into<std::borrow::Cow<'static, str>>,
) -> Failure {
    Failure::new(OAuthCode::TemporarilyUnavailable, reason, UserMessage::ProviderUnavailable, note)
}

/// Metadata that cannot be used keeps people out until it is right again; it is no refusal of theirs.
pub(in crate::upstream::saml) fn down(failure: Failure) -> Failure {
    Failure { code: OAuthCode::TemporarilyUnavailable, user: UserMessage::ProviderUnavailable, ..failure }
}

/// Reads metadata: the one entity with this id, alone or within an aggregate, as identity provider.
///
/// `pinned` are the keys that the configuration names: then no others are taken.
///
/// # Errors
/// `saml.metadata`, `.entity`, `.role`, `.keys`, `saml.key.weak`, those of the XML reader, `net.address`.
pub(in crate::upstream::saml) fn read(
    text: &str,
    entity_id: &str,
    pinned: &Arc<Vec<Certificate>>,
    outbound: &Outbound,
) -> Result<Described, Failure> {
    let document = xml::parse_within(text, &METADATA).map_err(down)?;
    let entity = find(document.root_element(), entity_id)?;
    let role = role(entity)?;
    let above = || role.ancestors().filter(Node::is_element);

    let mut valid_until = None;
    let mut cache_for = None;
    for node in above() {
        if let Some(text) = xml::attribute(node, "validUntil") {
            let until = times::moment(text).ok_or_else(|| malformed("validUntil", text))?;
            valid_until = Some(valid_until.map_or(until, |earlier: Timestamp| earlier.min(until)));
        }
        if let Some(text) = xml::attribute(node, "cacheDuration") {
            let span = times::duration(text).ok_or_else(|| malformed("cacheDuration", text))?;
            cache_for = Some(cache_for.map_or(span, |shorter: Duration| shorter.min(span)));
        }
    }

    let named = signing_certificates(role);
    let (certificates, held) = if pinned.is_empty() {
        let named = named?;
        if named.is_empty() {
            // without one, nothing that the provider says could be checked
            return Err(unusable("saml.metadata.keys", "the metadata names no signing certificate"));
        }
        (Arc::new(named), Vec::new())
    } else {
        // keys are pinned, not certificates: a renewed certificate of a pinned key verifies like the old one
        let keys: Vec<_> = pinned.iter().filter_map(|one| one.key().ok()).collect();
        let is_pinned = |one: &Certificate| one.key().is_ok_and(|key| keys.contains(&key));
        let held = named.unwrap_or_default().into_iter().filter(|one| !is_pinned(one)).collect();
        (pinned.clone(), held)
    };
    let sso = addresses(role, "SingleSignOnService", outbound)?;
    if sso.is_empty() {
        return Err(unusable(
            "saml.metadata.role",
            "the metadata names no address for sign-ins that we can use",
        )
        .expected("a SingleSignOnService by HTTP-Redirect or HTTP-POST", "none"));
    }
    Ok(Described {
        sso,
        slo: addresses(role, "SingleLogoutService", outbound)?,
        certificates,
        held,
        wants_signed: flag(role, "WantAuthnRequestsSigned")?,
        valid_until,
        cache_for,
    })
}

fn malformed(what: &str, received: &str) -> Failure {
    unusable("saml.metadata", "the metadata breaks its schema").expected(what, clean(received))
}

/// xs:boolean; `false` if it is not there.
fn flag(node: Node<'_, '_>, name: &str) -> Result<bool, Failure> {
    match xml::attribute(node, name) {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(other) => Err(malformed(name, other)),
    }
}

/// The entity with this id, at the root or in groups, which may hold groups (SAML Metadata §2.3.1).
fn find<'a, 'i>(root: Node<'a, 'i>, entity_id: &str) -> Result<Node<'a, 'i>, Failure> {
    let is_entity = |node: Node<'_, '_>| xml::is(node, ns::METADATA, "EntityDescriptor");
    let is_group = |node: Node<'_, '_>| xml::is(node, ns::METADATA, "EntitiesDescriptor");
    if !is_entity(root) && !is_group(root) {
        return Err(unusable("saml.metadata", "the document is no SAML metadata")
            .expected("an EntityDescriptor or EntitiesDescriptor", clean(root.tag_name().name())));
    }
    // only what stands where the schema lets it stand: an entity within an extension is none
    let in_place = |node: Node<'_, '_>| node.ancestors().skip(1).filter(Node::is_element).all(is_group);
    let entities = || root.descendants().filter(|node| is_entity(*node) && in_place(*node));
    let mut matching = entities().filter(|node| xml::attribute(*node, "entityID") == Some(entity_id));
    match (matching.next(), matching.next()) {
        (Some(entity), None) => Ok(entity),
        (Some(_), Some(_)) => {
            Err(unusable("saml.metadata.entity", "the metadata describes the provider twice")
                .expected(entity_id, "two of them"))
        }
        (None, _) => {
            let mut others = entities().filter_map(|node| xml::attribute(node, "entityID"));
            let received = match (others.next(), others.count()) {
                (Some(one), 0) => clean(one),
                (Some(one), more) => format!("{} and {more} more", clean(one)),
                (None, _) => "none".to_owned(),
            };
            Err(unusable("saml.metadata.entity", "the metadata is another entity's")
                .expected(entity_id, received))
        }
    }
}

/// What it says of itself as identity provider of SAML 2.0 (SAML Metadata §2.4.1, §2.4.3).
fn role<'a, 'i: 'a>(entity: Node<'a, 'i>) -> Result<Node<'a, 'i>, Failure> {
    let speaks = |node: &Node<'_, '_>| {
        let protocols = xml::attribute(*node, "protocolSupportEnumeration").unwrap_or_default();
        protocols.split_ascii_whitespace().any(|protocol| protocol == ns::PROTOCOL)
    };
    let mut roles = xml::children(entity, ns::METADATA, "IDPSSODescriptor").filter(speaks);
    match (roles.next(), roles.next()) {
        (Some(role), None) => Ok(role),
        (first, _) => {
            let received = match first {
                Some(_) => "two".to_owned(),
                None => {
                    let names: BTreeSet<&str> =
                        xml::elements(entity).map(|node| node.tag_name().name()).collect();
                    clean(&names.into_iter().collect::<Vec<_>>().join(", "))
                }
            };
            Err(unusable(
                "saml.metadata.role",
                "the metadata does not describe one identity provider of SAML 2.0",
            )
            .expected("one IDPSSODescriptor for SAML 2.0", received))
        }
    }
}

/// Certificates of keys that may sign. A key without `use` is for everything (SAML Metadata §2.4.1.1, E62).
fn signing_certificates(role: Node<'_, '_>) -> Result<Vec<Certificate>, Failure> {
    let mut found: Vec<Certificate> = Vec::new();
    for descriptor in xml::children(role, ns::METADATA, "KeyDescriptor") {
        match xml::attribute(descriptor, "use") {
            None | Some("signing") => {}
            Some("encryption") => continue,
            Some(other) => return Err(malformed("use", other)),
        }
        let info = xml::only_child(descriptor, ns::SIGNATURE, "KeyInfo").map_err(not_metadata)?;
        let mut texts = xml::children(info, ns::SIGNATURE, "X509Data")
            .flat_map(|data| xml::children(data, ns::SIGNATURE, "X509Certificate"));
        // a key that has no certificate we do not know how to use; a second certificate could be its issuer's
        let Some(first) = texts.next() else { continue };
        if texts.next().is_some() {
            return Err(unusable("saml.metadata.keys", "a key in the metadata has several certificates")
                .expected(
                    "one certificate in each KeyDescriptor, or `certificates` in the settings",
                    "several",
                ));
        }
        let certificate = in_base64(xml::text(first).map_err(not_metadata)?)?;
        if !found.contains(&certificate) {
            found.push(certificate);
        }
        if found.len() > certificate::MOST {
            return Err(unusable("saml.metadata.keys", "the metadata names too many keys")
                .expected(format!("{} at most", certificate::MOST), "more"));
        }
    }
    Ok(found)
}

fn not_metadata(failure: Failure) -> Failure {
    let (expected, received) =
        (failure.detail.expected.unwrap_or_default(), failure.detail.received.unwrap_or_default());
    malformed(&expected, &received)
}

/// Base64 with white space (XML Signature 1.1 §4.5.4), of a certificate in DER.
fn in_base64(text: &str) -> Result<Certificate, Failure> {
    let packed: String = text.split(xml::SPACES).collect();
    let der = STANDARD.decode(packed).map_err(|_| malformed("a certificate in Base64", "something else"))?;
    Certificate::read(&der).map_err(down)
}

/// The addresses of one service by bindings that we speak.
fn addresses(role: Node<'_, '_>, service: &str, outbound: &Outbound) -> Result<Vec<Address>, Failure> {
    let mut found = Vec::new();
    for node in xml::children(role, ns::METADATA, service).take(MOST_ENDPOINTS) {
        let binding = match xml::attribute(node, "Binding") {
            Some(uri) if uri == Binding::Redirect.uri() => Binding::Redirect,
            Some(uri) if uri == Binding::Post.uri() => Binding::Post,
            Some(_) => continue,
            None => return Err(malformed("Binding", "absent")),
        };
        let address = |name: &str| -> Result<Option<Location>, Failure> {
            let Some(text) = xml::attribute(node, name) else { return Ok(None) };
            let url = Url::parse(text).ok().filter(|url| url.fragment().is_none());
            let url = url.ok_or_else(|| malformed(name, text))?;
            outbound.check_url(&url)?;
            Ok(Some(Location::new(url, text)))
        };
        let location = address("Location")?.ok_or_else(|| malformed("Location", "absent"))?;
        found.push(Address { binding, location, response_location: address("ResponseLocation")? });
    }
    Ok(found)
}
