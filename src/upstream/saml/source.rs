//! Where what is known of a provider comes from: its metadata by address or by file, or the settings alone.

use super::aside::aside_or;
use super::certificate::MOST;
use super::keys::{OwnKey, OwnKeys};
use super::metadata::idp::{self, Address, Described, Location, down, unusable};
use super::open::{Certificate, Signed, Trust};
use super::settings::{Binding, Pem, Settings, SignatureAlgorithm};
use super::xml::{self, METADATA};
use super::{Saml, ns, open, watch};
use crate::context::Context;
use crate::failure::Failure;
use crate::outbound::cached::{Fetched, Suspicion};
use crate::outbound::{Method, Outbound, Request};
use crate::upstream::Parts;
use crate::upstream::registry::Found;
use crate::upstream::settings::{Contradiction, Endpoint, SecretRef};
use secrecy::ExposeSecret as _;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Reads everything that the settings refer to.
pub(super) fn build(settings: &Settings, parts: Parts) -> Result<Saml, Vec<Contradiction>> {
    let Parts { common, mut mapping, secrets, outbound, kept } = parts;
    mapping.email_verified = settings.email_verified.clone();
    let mut wrong = Vec::new();
    let pinned = Arc::new(certificates("certificates", &settings.certificates, &secrets, &mut wrong));
    let metadata_signers =
        certificates("metadata_certificates", &settings.metadata_certificates, &secrets, &mut wrong);
    let keys = OwnKeys {
        current: own_key("key", settings.key.as_ref(), &secrets, &mut wrong),
        next: own_key("next_key", settings.next_key.as_ref(), &secrets, &mut wrong),
    };
    if let (Some(current), Some(next)) = (&keys.current, &keys.next)
        && current.certificate.key().ok() == next.certificate.key().ok()
    {
        wrong.push(Contradiction::new(
            "next_key",
            "it is the same key as `key`",
            "make another one by `countersign saml-key FILE`",
        ));
    }
    let mut saml = Saml {
        settings: settings.clone(),
        common,
        mapping,
        outbound,
        pinned,
        metadata_signers: Arc::new(metadata_signers),
        keys,
        fixed: None,
        subject: settings.subject(),
        fetched: kept.and_then(|kept| kept.downcast().ok()).unwrap_or_default(),
        written: Mutex::default(),
        watch: watch::Watch::default(),
    };
    let fixed = match (&settings.metadata_file, &settings.sso_url) {
        (Some(file), _) => {
            let text = secrets.get(&file.0).map(|text| text.expose_secret().to_owned()).unwrap_or_default();
            saml.reader()
                .read(text.as_bytes())
                .map(Some)
                .map_err(|failure| ("metadata_file", failure.for_operator()))
        }
        (None, Some(sso)) => Ok(Some(saml.by_hand(sso))),
        (None, None) => Ok(None),
    };
    match fixed {
        Ok(described) => saml.fixed = described.map(Arc::new),
        Err((key, message)) if wrong.is_empty() => wrong.push(Contradiction { key, message, help: None }),
        // what is wrong with the certificates is said already
        Err(_) => {}
    }
    if wrong.is_empty() { Ok(saml) } else { Err(wrong) }
}

/// All certificates of a list.
fn certificates(
    key: &'static str,
    list: &[Pem],
    found: &Found,
    wrong: &mut Vec<Contradiction>,
) -> Vec<Certificate> {
    let mut read: Vec<Certificate> = Vec::new();
    for pem in list {
        let (name, text) = match pem {
            Pem::Inline(text) => ("the certificate".to_owned(), text.clone()),
            Pem::Reference(reference) => (
                reference.to_string(),
                found.get(reference).map(|text| text.expose_secret().to_owned()).unwrap_or_default(),
            ),
        };
        match Certificate::read_pem(&text) {
            Ok(more) => {
                for one in more {
                    if !read.contains(&one) {
                        read.push(one);
                    }
                }
            }
            Err(why) => wrong.push(Contradiction {
                key,
                message: format!("{name} cannot be used: {why}"),
                help: None,
            }),
        }
    }
    if read.len() > MOST {
        wrong.push(Contradiction::new(
            key,
            format!("there are {} certificates, and {MOST} are the most", read.len()),
            "take out those that have ended",
        ));
    }
    read
}

/// A key of ours.
fn own_key(
    key: &'static str,
    reference: Option<&SecretRef>,
    found: &Found,
    wrong: &mut Vec<Contradiction>,
) -> Option<Arc<OwnKey>> {
    let reference = reference?;
    let text = found.get(reference)?;
    OwnKey::read_pem(text.expose_secret())
        .map_err(|why| {
            wrong.push(Contradiction::new(
                key,
                format!("{reference} cannot be used: {why}"),
                "`countersign saml-key FILE` makes a file with a key and its certificate",
            ));
        })
        .ok()
        .map(Arc::new)
}

/// What metadata is read with.
struct Reader {
    /// Who signs it; no certificates if nobody is to.
    signers: Trust,
    /// The one entity that counts.
    entity_id: String,
    /// The keys that the configuration names.
    pinned: Arc<Vec<Certificate>>,
    /// Which addresses we may go to.
    outbound: Outbound,
}

impl Reader {
    /// Checks the metadata's signature where somebody is to have signed it, and reads what was signed.
    ///
    /// Blocks, for as long as some megabytes take.
    fn read(&self, bytes: &[u8]) -> Result<Described, Failure> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| unusable("saml.xml.encoding", "the metadata is not UTF-8"))?;
        let text = xml::decode(text.as_bytes(), &METADATA).map_err(down)?;
        let signed;
        let text = if self.signers.certificates.is_empty() {
            text
        } else {
            signed = self.verified(text).map_err(down)?;
            &signed
        };
        idp::read(text, &self.entity_id, &self.pinned, &self.outbound)
    }

    /// What of the metadata is signed by one of those who are to sign it: all of it.
    fn verified(&self, text: &str) -> Result<String, Failure> {
        // one entity or an aggregate; the reader takes nothing else
        let root = match xml::parse_within(text, &METADATA)?.root_element().tag_name().name() {
            "EntitiesDescriptor" => "EntitiesDescriptor",
            _ => "EntityDescriptor",
        };
        open::verify_root_now(text.as_bytes(), &METADATA, (ns::METADATA, root), &self.signers)
    }
}

impl Saml {
    /// What the settings say by themselves.
    fn by_hand(&self, sso: &Endpoint) -> Described {
        let binding = self.settings.request_binding.unwrap_or(Binding::Redirect);
        let address = |endpoint: &Endpoint| Address {
            binding,
            location: Location::new(endpoint.url().clone(), endpoint.as_written()),
            response_location: None,
        };
        Described {
            sso: vec![address(sso)],
            slo: self.settings.slo_url.iter().map(address).collect(),
            certificates: self.pinned.clone(),
            held: Vec::new(),
            wants_signed: false,
            valid_until: None,
            cache_for: None,
        }
    }

    /// What reads its metadata, on whatever thread.
    fn reader(&self) -> Reader {
        Reader {
            signers: Trust {
                certificates: self.metadata_signers.clone(),
                algorithms: self.algorithms(),
                signed: Signed { assertion: false, response: false },
                keep: None,
            },
            entity_id: self.settings.entity_id.clone(),
            pinned: self.pinned.clone(),
            outbound: self.outbound.clone(),
        }
    }

    /// Signature algorithms by URI.
    pub(super) fn algorithms(&self) -> BTreeSet<&'static str> {
        self.settings.algorithms.iter().copied().map(SignatureAlgorithm::uri).collect()
    }

    /// What is known at once, however old.
    pub(super) fn known(&self) -> Option<Arc<Described>> {
        self.fixed.clone().or_else(|| self.fetched.peek())
    }

    /// Why its metadata cannot be had, if it cannot.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = self.fetched.trouble();
        let away =
            (!self.outbound.is_closed()).then(|| "it did not answer several times in a row".to_owned());
        trouble.or(away)
    }

    /// What is known of the provider, kept or fetched, and still valid.
    pub(super) async fn describe(&self, context: &Context) -> Result<Arc<Described>, Failure> {
        let described = match &self.fixed {
            Some(described) => described.clone(),
            None => self.fetched.get(context, || self.fetch(context)).await?,
        };
        if let Some(until) = described.valid_until
            && context.now() > until.plus(self.settings.skew)
        {
            return Err(unusable("saml.metadata.expired", "the provider's metadata is no longer valid")
                .expected("validUntil in the future", until.rfc3339()));
        }
        Ok(described)
    }

    /// Newer keys than `seen`, because a signature is by none that we know.
    pub(super) async fn newer(
        &self,
        context: &Context,
        seen: &Arc<Described>,
        by: Suspicion,
    ) -> Result<Option<Arc<Described>>, Failure> {
        if self.fixed.is_some() {
            return Ok(None);
        }
        let newer = self.fetched.suspect(context, seen, by, || self.fetch(context)).await?;
        Ok(newer.filter(|newer| newer.certificates != seen.certificates))
    }

    /// Refreshes what is due. A failure is kept by the cache and told by `health`.
    pub(super) async fn refresh(&self, context: &Context) {
        if self.fixed.is_none() && self.fetched.is_due(context.now()) {
            let _ = self.fetched.refresh(context, || self.fetch(context)).await;
        }
    }

    async fn fetch(&self, context: &Context) -> Fetched<Described> {
        let url = self
            .settings
            .metadata_url
            .as_ref()
            .ok_or_else(|| Failure::internal("saml.metadata", "there is no address of the metadata"))?;
        let accept = "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9";
        let request = Request {
            method: Method::Get,
            url: url.url().clone(),
            headers: vec![("accept".to_owned(), accept.to_owned())],
            body: Vec::new(),
        };
        let answer = self.outbound.send(request, METADATA.bytes).await?.ok()?;
        // Megabytes, twice through a parser and through both verifiers.
        let (reader, body, max_age) = (self.reader(), answer.body, answer.max_age);
        let gave_up = || unusable("saml.metadata", "the reader gave up on the metadata");
        let described = aside_or(gave_up, move || reader.read(&body)).await?;
        let now = context.now();
        let left = described.valid_until.map_or(Duration::MAX, |until| until.since(now));
        if left.is_zero() {
            return Err(unusable("saml.metadata.expired", "the provider's metadata is no longer valid")
                .expected(
                    "validUntil in the future",
                    described.valid_until.map_or_else(String::new, |u| u.rfc3339()),
                ));
        }
        let wished = described.cache_for.or(max_age).unwrap_or(HOUR);
        Ok((described, wished.clamp(5 * MINUTE, 24 * HOUR).min(left)))
    }
}
