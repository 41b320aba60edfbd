//! Settings of a SAML identity provider.

mod words;

pub use words::{
    Binding, Comparison, Encryption, NameIdFormat, Pem, Policy, SignatureAlgorithm, TextFile, Wish,
};

use super::attributes::Names;
use super::profile::SubjectPolicy;
use crate::ids::ClientId;
use crate::upstream::mapping::Expression;
use crate::upstream::settings::{
    Common, Contradiction, Endpoint, SecretRef, check_plain_http, check_reach, span,
};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The keys of `kind = "saml"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The provider's entity id, exactly as it writes it (SAML Core §8.3.6): compared letter by letter.
    pub entity_id: String,
    /// Where its metadata is fetched, again and again.
    #[serde(default)]
    pub metadata_url: Option<Endpoint>,
    /// A file with its metadata.
    #[serde(default)]
    pub metadata_file: Option<TextFile>,
    /// Certificates of whoever signs the metadata: then it must be signed, by one of them.
    #[serde(default)]
    pub metadata_certificates: Vec<Pem>,
    /// Whoever answers at `metadata_url` over TLS may say which keys the provider has.
    #[serde(default)]
    pub trust_metadata_url: bool,
    /// Where sign-ins begin there, for a provider without metadata.
    #[serde(default)]
    pub sso_url: Option<Endpoint>,
    /// Where logouts go, for a provider without metadata; by `request_binding`.
    #[serde(default)]
    pub slo_url: Option<Endpoint>,
    /// The provider's signing certificates. Beside metadata only these count, whatever the metadata names.
    #[serde(default)]
    pub certificates: Vec<Pem>,
    /// Our entity id there; by default the address of our metadata for this provider.
    #[serde(default)]
    pub our_entity_id: Option<String>,
    /// How our requests travel; by default by redirect, if the provider takes them so.
    #[serde(default)]
    pub request_binding: Option<Binding>,
    /// Sign our requests; by default if there is a `key`.
    #[serde(default)]
    pub sign_requests: Option<bool>,
    /// Our private key and its certificate, in one PEM file (`countersign saml-key` makes one).
    #[serde(default)]
    pub key: Option<SecretRef>,
    /// The key that will follow: published, and tried for decryption, so that the change leaves no gap.
    #[serde(default)]
    pub next_key: Option<SecretRef>,
    /// What must be signed.
    #[serde(default)]
    pub signed: Option<Policy>,
    /// Signature algorithms that are accepted; never SHA-1, never HMAC.
    #[serde(default = "SignatureAlgorithm::usual")]
    pub algorithms: BTreeSet<SignatureAlgorithm>,
    /// Whether assertions come encrypted; by default `optional` if there is a `key`.
    #[serde(default)]
    pub encryption: Option<Encryption>,
    /// Also take AES-CBC, which protects no one from changes: only in signed responses.
    #[serde(default)]
    pub allow_cbc: bool,
    /// The NameID format that is asked for; by default the provider's own choice.
    #[serde(default)]
    pub nameid_format: Option<NameIdFormat>,
    /// NameID formats that are accepted; by default the one that is asked for, or all that last.
    #[serde(default)]
    pub nameid_formats: Option<BTreeSet<NameIdFormat>>,
    /// The attribute that names the person, in place of the NameID.
    #[serde(default)]
    pub subject_attribute: Option<String>,
    /// Demand a new proof at every sign-in (ForceAuthn), and that the answer shows it.
    #[serde(default)]
    pub force_authn: bool,
    /// Authentication contexts of which every answer must show one, best first.
    #[serde(default)]
    pub authn_context: Vec<String>,
    /// How the provider should compare them (SAML Core §3.3.2.2.1).
    #[serde(default)]
    pub authn_context_comparison: Comparison,
    /// Further contexts that an answer may show, for comparisons other than `exact`.
    #[serde(default)]
    pub authn_context_accepted: Vec<String>,
    /// How far its clock may differ from ours.
    #[serde(default = "skew", with = "span")]
    pub skew: Duration,
    /// An assertion that is valid for longer is refused.
    #[serde(default = "lifetime", with = "span")]
    pub max_lifetime: Duration,
    /// An answer that was made longer ago is refused.
    #[serde(default = "response_age", with = "span")]
    pub response_max_age: Duration,
    /// Short names of attributes, which become claims.
    #[serde(default)]
    pub attributes: Names,
    /// The folder in which messages are kept on which the two verifiers of signatures disagree.
    #[serde(default)]
    pub keep_disagreements: Option<PathBuf>,
    /// An answer that nobody asked for starts a normal sign-in. Off: it is refused.
    #[serde(default)]
    pub idp_initiated: bool,
    /// The client that is started then.
    #[serde(default)]
    pub idp_initiated_client: Option<ClientId>,
    /// Who signs out here is signed out there, and the other way round.
    #[serde(default = "yes")]
    pub single_logout: bool,
    /// Wishes that are passed on to the provider; all others stay here.
    #[serde(default = "Wish::usual")]
    pub pass: BTreeSet<Wish>,
    /// Where the proof of an address is found, such as `"true"` for a provider that owns its mailboxes.
    #[serde(default)]
    pub email_verified: Option<Expression>,
}

impl Settings {
    /// The keys, for suggestions.
    pub const KEYS: &'static [&'static str] = &[
        "entity_id",
        "metadata_url",
        "metadata_file",
        "metadata_certificates",
        "trust_metadata_url",
        "sso_url",
        "slo_url",
        "certificates",
        "our_entity_id",
        "request_binding",
        "sign_requests",
        "key",
        "next_key",
        "signed",
        "algorithms",
        "encryption",
        "allow_cbc",
        "nameid_format",
        "nameid_formats",
        "subject_attribute",
        "force_authn",
        "authn_context",
        "authn_context_comparison",
        "authn_context_accepted",
        "skew",
        "max_lifetime",
        "response_max_age",
        "attributes",
        "keep_disagreements",
        "idp_initiated",
        "idp_initiated_client",
        "single_logout",
        "pass",
        "email_verified",
    ];

    /// Whether our requests are signed.
    pub fn signs_requests(&self) -> bool {
        self.sign_requests.unwrap_or(self.key.is_some())
    }

    /// Whether assertions come encrypted.
    pub fn encryption(&self) -> Encryption {
        self.encryption.unwrap_or(if self.key.is_some() { Encryption::Optional } else { Encryption::Off })
    }

    /// What may be somebody's key. By default the format that is asked for, which an answer must have (SAML Core
    /// §3.4.1.1, E15); where none is, every format that names one person for good. The request may not be signed, so
    /// whoever carries it can ask for another.
    pub(super) fn subject(&self) -> SubjectPolicy {
        let asked = self.nameid_format.as_ref().filter(|asked| !asked.is_unspecified());
        let formats = match (&self.nameid_formats, asked) {
            (Some(formats), _) => formats.clone(),
            (None, Some(asked)) => BTreeSet::from([asked.clone()]),
            (None, None) => NameIdFormat::usual(),
        };
        SubjectPolicy {
            formats: formats.iter().map(|format| format.uri().to_owned()).collect(),
            attribute: self.subject_attribute.clone(),
        }
    }

    /// What must be signed.
    pub fn policy(&self) -> Policy {
        self.signed.unwrap_or_default()
    }

    /// The issuer of all its people.
    pub fn sole_issuer(&self) -> Option<String> {
        Some(self.entity_id.clone())
    }

    /// It as the settings write it.
    pub fn issuer_text(&self) -> String {
        self.entity_id.clone()
    }

    /// Whether identities of its people can have this issuer.
    pub fn may_be_issuer(&self, issuer: &str) -> bool {
        issuer == self.entity_id
    }

    /// Whether a demand for a fresh proof reaches the person, by `ForceAuthn`.
    pub fn asks_for_proof(&self) -> bool {
        self.force_authn || self.pass.contains(&Wish::Prompt) || self.pass.contains(&Wish::MaxAge)
    }

    /// Whether answers show when the person proved themselves.
    pub fn shows_when_proved(&self) -> bool {
        true
    }

    /// Contradictions between keys.
    pub fn check(&self, common: &Common) -> Vec<Contradiction> {
        let mut found = Vec::new();
        self.check_source(&mut found);
        self.check_trust(&mut found);
        self.check_keys(&mut found);
        self.check_answers(common, &mut found);
        let endpoints =
            [("metadata_url", &self.metadata_url), ("sso_url", &self.sso_url), ("slo_url", &self.slo_url)];
        found.extend(check_plain_http(
            common,
            endpoints.into_iter().filter_map(|(key, url)| Some((key, url.as_ref()?))),
        ));
        // to the others only browsers go
        found.extend(check_reach(common, self.metadata_url.iter().map(|url| ("metadata_url", url))));
        found
    }

    /// Exactly one place says what the provider is.
    fn check_source(&self, found: &mut Vec<Contradiction>) {
        let mut refuse = |key, message: &str, help: &str| found.push(Contradiction::new(key, message, help));
        let sources = [
            ("metadata_url", self.metadata_url.is_some()),
            ("metadata_file", self.metadata_file.is_some()),
            ("sso_url", self.sso_url.is_some()),
        ];
        let mut named = sources.iter().filter(|(_, there)| *there).map(|(key, _)| *key);
        match (named.next(), named.next()) {
            (None, _) => refuse(
                "entity_id",
                "nothing says where the provider is",
                "add `metadata_url` or `metadata_file`, or `sso_url` with `certificates`",
            ),
            (Some(_), Some(second)) => refuse(
                second,
                "only one of `metadata_url`, `metadata_file` and `sso_url` can say where the provider is",
                "keep one of them",
            ),
            (Some(_), None) => {}
        }
        match (self.idp_initiated, &self.idp_initiated_client) {
            (true, None) => refuse(
                "idp_initiated",
                "nothing says which client is started by an answer that nobody asked for",
                "add `idp_initiated_client`",
            ),
            (false, Some(_)) => refuse(
                "idp_initiated_client",
                "an answer that nobody asked for is refused, so it starts no client",
                "remove it, or add `idp_initiated = true`",
            ),
            _ => {}
        }
        if self.slo_url.is_some() {
            if self.sso_url.is_none() {
                refuse("slo_url", "the metadata says where logouts go", "remove it");
            } else if !self.single_logout {
                refuse("slo_url", "`single_logout` is off, so nothing goes there", "remove one of the two");
            } else if self.key.is_none() {
                refuse(
                    "slo_url",
                    "messages of single logout are signed, and there is no `key` to sign with",
                    "make one by `countersign saml-key FILE`, and add `key = \"file:FILE\"`",
                );
            }
        }
        for (key, id) in
            [("entity_id", Some(&self.entity_id)), ("our_entity_id", self.our_entity_id.as_ref())]
        {
            // SAML Core §8.3.6: a URI of at most 1024 characters
            let bad = |id: &String| {
                id.is_empty()
                    || id.chars().count() > 1024
                    || id.chars().any(|c| c.is_control() || c.is_whitespace())
            };
            if id.is_some_and(bad) {
                refuse(
                    key,
                    "an entity id has 1 to 1024 characters and no white space",
                    "copy it letter by letter",
                );
            }
        }
    }

    /// Something says which keys the provider has, and only one thing does.
    fn check_trust(&self, found: &mut Vec<Contradiction>) {
        let mut refuse = |key, message: &str, help: &str| found.push(Contradiction::new(key, message, help));
        if self.sso_url.is_some() && self.certificates.is_empty() {
            refuse(
                "sso_url",
                "without metadata nothing says which keys the provider has",
                "add `certificates = [\"file:PATH\"]`",
            );
        }
        let pinned = !self.certificates.is_empty();
        if self.metadata_url.is_some()
            && !pinned
            && !self.trust_metadata_url
            && self.metadata_certificates.is_empty()
        {
            refuse(
                "metadata_url",
                "nothing says why a key in this metadata can be trusted",
                "add `metadata_certificates` if it is signed, or `certificates` to pin the provider's keys, or \
                 `trust_metadata_url = true` if whoever answers there may change them",
            );
        }
        if self.trust_metadata_url && self.metadata_url.is_none() {
            refuse("trust_metadata_url", "there is no `metadata_url`", "remove it");
        }
        if self.trust_metadata_url && pinned {
            refuse(
                "trust_metadata_url",
                "`certificates` pins the provider's keys, so none is taken from the metadata",
                "remove one of the two",
            );
        }
        if self.trust_metadata_url && !self.metadata_certificates.is_empty() {
            refuse(
                "trust_metadata_url",
                "`metadata_certificates` says already whose word counts",
                "remove one of the two",
            );
        }
        if !self.metadata_certificates.is_empty() && self.sso_url.is_some() {
            refuse(
                "metadata_certificates",
                "there is no metadata whose signature could be checked",
                "remove it",
            );
        }
        if self.algorithms.is_empty() {
            refuse("algorithms", "no algorithm is accepted", "leave it out for the defaults");
        }
    }

    /// What needs a key of ours has one.
    fn check_keys(&self, found: &mut Vec<Contradiction>) {
        let mut refuse = |key, message: &str, help: &str| found.push(Contradiction::new(key, message, help));
        const MAKE: &str = "make one by `countersign saml-key FILE`, and add `key = \"file:FILE\"`";
        if self.key.is_none() {
            if self.sign_requests == Some(true) {
                refuse("sign_requests", "there is no `key` to sign with", MAKE);
            }
            if self.next_key.is_some() {
                refuse("next_key", "there is no `key` that it could follow", "name it `key`");
            }
            if self.encryption() != Encryption::Off {
                refuse("encryption", "there is no `key` to decrypt with", MAKE);
            }
        }
        if self.key.is_some() && self.key == self.next_key {
            refuse("next_key", "it is the same as `key`", "make another one by `countersign saml-key FILE`");
        }
        if self.allow_cbc && self.encryption() == Encryption::Off {
            refuse("allow_cbc", "nothing comes encrypted", "remove it");
        }
        if self.allow_cbc && !self.policy().signed().response {
            refuse(
                "allow_cbc",
                "AES-CBC lets others change what is encrypted, unless the response is signed",
                "add `signed = \"response\"` or `signed = \"both\"`, or let the provider use AES-GCM",
            );
        }
    }

    /// What is asked of answers goes together.
    fn check_answers(&self, common: &Common, found: &mut Vec<Contradiction>) {
        let mut refuse = |key, message: &str, help: &str| found.push(Contradiction::new(key, message, help));
        let transient = |format: &NameIdFormat| format.is_transient();
        let asked = self.nameid_format.as_ref().is_some_and(transient);
        let accepted = self.nameid_formats.iter().flatten().any(transient);
        if (asked || accepted) && self.subject_attribute.is_none() {
            refuse(
                if asked { "nameid_format" } else { "nameid_formats" },
                "a transient NameID is another one at every sign-in, so nobody would be known again",
                "add `subject_attribute`, or ask for `persistent`",
            );
        }
        if let (Some(asked), Some(accepted)) = (&self.nameid_format, &self.nameid_formats)
            && !accepted.contains(asked)
        {
            refuse("nameid_formats", "the format that `nameid_format` asks for is not accepted", "add it");
        }
        if self.nameid_formats.as_ref().is_some_and(BTreeSet::is_empty) {
            refuse("nameid_formats", "no format is accepted", "leave it out for the defaults");
        }
        if self.subject_attribute.as_deref().is_some_and(|name| name.trim().is_empty()) {
            refuse("subject_attribute", "the name is empty", "leave it out for the NameID");
        }
        let texts = self.authn_context.iter().chain(&self.authn_context_accepted);
        if texts
            .clone()
            .any(|text| text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()))
        {
            refuse("authn_context", "a context is a URI, without white space", "copy it letter by letter");
        }
        let exact = self.authn_context_comparison == Comparison::Exact;
        if !exact && self.authn_context.is_empty() {
            refuse("authn_context_comparison", "there is no `authn_context` to compare with", "remove it");
        }
        if !exact && !self.authn_context.is_empty() && self.authn_context_accepted.is_empty() {
            refuse(
                "authn_context_comparison",
                "only the provider knows how its contexts compare, so the answer could not be checked",
                "list in `authn_context_accepted` what it may show instead",
            );
        }
        if exact && !self.authn_context_accepted.is_empty() {
            refuse(
                "authn_context_accepted",
                "with the comparison `exact` only `authn_context` is accepted",
                "remove it, or set `authn_context_comparison`",
            );
        }
        if self.skew > Duration::from_secs(300) {
            refuse("skew", "clocks may differ by 5 minutes at most", "set the clocks right");
        }
        if !(Duration::from_secs(60)..=Duration::from_secs(86_400)).contains(&self.max_lifetime) {
            refuse("max_lifetime", "it must be between 1m and 24h", "leave it out for 2h");
        }
        if !(Duration::from_secs(60)..=Duration::from_secs(3600)).contains(&self.response_max_age) {
            refuse("response_max_age", "it must be between 1m and 1h", "leave it out for 10m");
        }
        if !common.authoritative_for.0.is_empty() && self.email_verified.is_none() {
            refuse(
                "authoritative_for",
                "SAML has no word for a verified address, so nothing says which addresses are",
                "add `email_verified = \"true\"` if the provider owns its mailboxes, or remove `authoritative_for`",
            );
        }
    }

    /// The secrets it refers to.
    pub fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        let keys = [("key", &self.key), ("next_key", &self.next_key)];
        keys.into_iter().filter_map(|(key, reference)| Some((key, reference.as_ref()?))).collect()
    }

    /// The client that an answer starts for which nobody asked.
    pub fn starts(&self) -> Option<(&'static str, &ClientId)> {
        Some(("idp_initiated_client", self.idp_initiated_client.as_ref()?))
    }

    /// Our entity ids, theirs first. By default ours is of this provider alone.
    pub fn acquaintance(&self) -> Option<(&'static str, [&str; 2])> {
        Some(("our_entity_id", [&self.entity_id, self.our_entity_id.as_deref()?]))
    }

    /// Relates the folder for disagreements to that of the file in which it stands.
    pub fn relate(&mut self, base: &Path) {
        if let Some(folder) = &mut self.keep_disagreements {
            *folder = base.join(&folder);
        }
    }

    /// The certificates and the metadata that it refers to.
    pub fn documents(&self) -> Vec<(&'static str, &SecretRef)> {
        let lists =
            [("certificates", &self.certificates), ("metadata_certificates", &self.metadata_certificates)];
        let certificates = lists
            .into_iter()
            .flat_map(|(key, list)| list.iter().filter_map(move |pem| Some((key, pem.reference()?))));
        certificates.chain(self.metadata_file.iter().map(|file| ("metadata_file", &file.0))).collect()
    }
}

fn yes() -> bool {
    true
}
fn skew() -> Duration {
    Duration::from_secs(60)
}
fn response_age() -> Duration {
    Duration::from_secs(600)
}
fn lifetime() -> Duration {
    Duration::from_secs(7200)
}
