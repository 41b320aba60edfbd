//! Settings of a plain OAuth 2.0 provider: where its endpoints are, and how its profile answer reads.

use crate::ids::ClientId;
use crate::upstream::mapping::Expression;
use crate::upstream::settings::{
    ClientAuth, Common, Contradiction, Endpoint, LanguageParam, SecretRef, check_client_auth, check_language,
    check_parameters, check_plain_http, check_reach,
};
use serde::{Deserialize, de};
use std::collections::BTreeMap;

/// The keys of `kind = "oauth2"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Authorization endpoint (RFC 6749 §3.1).
    pub authorize_url: Endpoint,
    /// Token endpoint (RFC 6749 §3.2).
    pub token_url: Endpoint,
    /// Where the person's profile is read with the access token.
    pub userinfo_url: Endpoint,
    /// What stands for the issuer in identities; by default the origin of `authorize_url`.
    #[serde(default)]
    pub issuer: Option<String>,
    /// What the answer must name as its issuer (RFC 9207). Without it, `iss` is not looked at: nothing else says
    /// what it should be.
    #[serde(default)]
    pub response_issuer: Option<String>,
    /// Whether an answer without `iss` is refused where `response_issuer` is set. Off for a provider that sends it at times.
    #[serde(default = "yes")]
    pub response_issuer_required: bool,
    /// Our client id there.
    pub client_id: String,
    /// Our secret there.
    #[serde(default)]
    pub client_secret: Option<SecretRef>,
    /// How we authenticate; by default `client_secret_basic`, or `none` where there is no secret.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// Scopes to ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What stands between scopes: a space (RFC 6749 §3.3), or a comma where the provider wants one.
    #[serde(default)]
    pub scope_separator: ScopeSeparator,
    /// PKCE S256 (RFC 7636). Off only for providers that refuse it.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// Fixed extra parameters of the authorization request.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    /// Send `state` to the token endpoint too (Naver).
    #[serde(default)]
    pub token_state: bool,
    /// Fixed header fields of the profile request, such as `Client-Id`.
    #[serde(default)]
    pub userinfo_headers: BTreeMap<String, String>,
    /// What must be true of a profile answer that is none of an error (Naver's `resultcode`).
    #[serde(default)]
    pub userinfo_valid: Option<Expression>,
    /// Fixed query parameters of the profile request, such as `fields`.
    #[serde(default)]
    pub userinfo_params: BTreeMap<String, String>,
    /// Where the subject stands in the profile answer: names separated by dots.
    pub subject: Path,
    /// Send `appsecret_proof`, the HMAC-SHA256 of the access token under the secret (Facebook's Graph API).
    #[serde(default)]
    pub appsecret_proof: bool,
    /// How its server tells who took our access away, or wants their data deleted.
    #[serde(default)]
    pub notices: Notices,
    /// Where the profile answer proves its address; true and only true counts.
    #[serde(default)]
    pub email_verified: Option<Expression>,
    /// Where a list of `{ email, primary, verified }` is read (GitHub's `/user/emails`): the address that is
    /// primary and verified counts as verified by this provider. Without it and `email_verified`, no address does.
    #[serde(default)]
    pub emails_url: Option<Endpoint>,
    /// Where that list stands in the answer, if it is not the answer itself.
    #[serde(default)]
    pub emails_list: Option<Path>,
    /// What the list calls an address that is primary.
    #[serde(default = "primary")]
    pub emails_primary: String,
    /// What the list calls an address that is verified.
    #[serde(default = "verified")]
    pub emails_verified: String,
    /// How the provider demands a new proof, such as `{ auth_type = "reauthenticate" }`. Plain OAuth has no
    /// way to show that it happened, so a demand for a fresh proof is refused all the same.
    #[serde(default)]
    pub reauthenticate_params: BTreeMap<String, String>,
    /// How the provider lets the person pick among accounts, such as `{ prompt = "select_account" }`.
    #[serde(default)]
    pub select_account_params: BTreeMap<String, String>,
    /// How it is told the person's language.
    #[serde(default)]
    pub language_param: Option<LanguageParam>,
}

/// How a provider's server tells us of somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notices {
    /// Not at all.
    #[default]
    None,
    /// By a form with an HMAC under our secret (Facebook).
    SignedRequest,
}

impl Settings {
    /// The keys, for suggestions.
    pub const KEYS: &'static [&'static str] = &[
        "authorize_url",
        "token_url",
        "userinfo_url",
        "issuer",
        "response_issuer",
        "response_issuer_required",
        "client_id",
        "client_secret",
        "client_auth",
        "scopes",
        "scope_separator",
        "pkce",
        "authorize_params",
        "token_state",
        "userinfo_headers",
        "userinfo_valid",
        "userinfo_params",
        "subject",
        "appsecret_proof",
        "notices",
        "email_verified",
        "emails_url",
        "emails_list",
        "emails_primary",
        "emails_verified",
        "reauthenticate_params",
        "select_account_params",
        "language_param",
    ];

    /// How we authenticate.
    pub fn auth(&self) -> ClientAuth {
        self.client_auth.unwrap_or(match self.client_secret {
            Some(_) => ClientAuth::ClientSecretBasic,
            None => ClientAuth::None,
        })
    }

    /// What stands for the issuer in identities.
    pub fn issuer(&self) -> String {
        self.issuer.clone().unwrap_or_else(|| self.authorize_url.origin())
    }

    /// The same, in which all its people are.
    pub fn sole_issuer(&self) -> Option<String> {
        Some(self.issuer())
    }

    /// It as the settings write it.
    pub fn issuer_text(&self) -> String {
        self.issuer()
    }

    /// Whether identities of its people can have this issuer.
    pub fn may_be_issuer(&self, issuer: &str) -> bool {
        issuer == self.issuer()
    }

    /// Whether a demand for a fresh proof reaches the person.
    pub fn asks_for_proof(&self) -> bool {
        !self.reauthenticate_params.is_empty()
    }

    /// Whether answers show when the person proved themselves.
    pub fn shows_when_proved(&self) -> bool {
        false
    }

    /// Contradictions between keys.
    pub fn check(&self, common: &Common) -> Vec<Contradiction> {
        let mut found = check_client_auth(self.auth(), self.client_secret.as_ref(), self.pkce);
        let endpoints = [
            ("authorize_url", Some(&self.authorize_url)),
            ("token_url", Some(&self.token_url)),
            ("userinfo_url", Some(&self.userinfo_url)),
            ("emails_url", self.emails_url.as_ref()),
        ];
        let endpoints = endpoints.into_iter().filter_map(|(key, url)| Some((key, url?)));
        found.extend(check_plain_http(common, endpoints.clone()));
        // where people go, only their browsers go
        found.extend(check_reach(common, endpoints.filter(|(key, _)| *key != "authorize_url")));
        found.extend(check_parameters("authorize_params", &self.authorize_params));
        if !common.acr_map.is_empty() {
            found.push(Contradiction::new(
                "acr_map",
                "plain OAuth 2.0 shows no authentication context",
                "remove it; only an ID token has one",
            ));
        }
        found.extend(check_parameters("userinfo_params", &self.userinfo_params));
        found.extend(check_parameters("reauthenticate_params", &self.reauthenticate_params));
        found.extend(check_parameters("select_account_params", &self.select_account_params));
        found.extend(check_language(self.language_param.as_ref()));
        let signed = self.notices == Notices::SignedRequest;
        for (key, set) in [("appsecret_proof", self.appsecret_proof), ("notices", signed)] {
            if set && self.client_secret.is_none() {
                found.push(Contradiction::new(
                    key,
                    "the signature is made with the client secret, and there is none",
                    "add `client_secret`",
                ));
            }
        }
        if !common.authoritative_for.0.is_empty()
            && self.emails_url.is_none()
            && self.email_verified.is_none()
        {
            found.push(Contradiction::new(
                "authoritative_for",
                "a plain OAuth provider verifies no address unless `email_verified` or `emails_url` says where it \
                 tells so",
                "remove `authoritative_for`, or add one of the two",
            ));
        }
        if !common.domains.0.is_empty()
            && common.domain_claim.is_none()
            && self.emails_url.is_none()
            && self.email_verified.is_none()
        {
            found.push(Contradiction::new(
                "domains",
                "nobody can sign in: the domain is that of a verified address, and this provider verifies none",
                "say where the domain is found: `domain_claim`, or the proof of an address: `email_verified`",
            ));
        }
        if self.emails_url.is_some() && self.email_verified.is_some() {
            found.push(Contradiction::new(
                "email_verified",
                "`emails_url` says already where the proof is found",
                "remove one of the two",
            ));
        }
        if matches!(
            self.auth(),
            ClientAuth::ClientSecretJwt | ClientAuth::PrivateKeyJwt | ClientAuth::SignedSecret
        ) {
            found.push(Contradiction::new(
                "client_auth",
                format!("plain OAuth providers are not known to take `{}`", self.auth().as_str()),
                "use a secret, or `kind = \"oidc\"`",
            ));
        }
        for (name, value) in &self.userinfo_headers {
            let known = ["authorization", "accept", "host", "content-length", "cookie"];
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
            let token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !token || !plain(value) || known.contains(&name.to_ascii_lowercase().as_str()) {
                found.push(Contradiction::new(
                    "userinfo_headers",
                    format!("`{name}` cannot be sent"),
                    "name a header field of the provider's API, with a value of printable ASCII",
                ));
            }
        }
        if self
            .issuer
            .as_deref()
            .is_some_and(|text| text.trim().is_empty() || text.chars().any(char::is_control))
        {
            found.push(Contradiction::new(
                "issuer",
                "the issuer is empty",
                "leave it out for the origin of `authorize_url`",
            ));
        }
        if self.response_issuer.as_deref().is_some_and(|text| !is_issuer(text)) {
            found.push(Contradiction::new(
                "response_issuer",
                "the answer's issuer is an address without query and fragment (RFC 8414 §2)",
                "write it as the provider's metadata does (`issuer`), or leave it out",
            ));
        }
        if self.client_id.is_empty() {
            found.push(Contradiction::new(
                "client_id",
                "the client id is empty",
                "the provider's console shows it",
            ));
        }
        found
    }

    /// The secrets it refers to.
    pub fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        self.client_secret.iter().map(|secret| ("client_secret", secret)).collect()
    }

    /// Nobody starts a client.
    pub fn starts(&self) -> Option<(&'static str, &ClientId)> {
        None
    }

    /// Several may be one client of one provider.
    pub fn acquaintance(&self) -> Option<(&'static str, [&str; 2])> {
        None
    }

    /// There are no paths.
    pub fn relate(&mut self, _base: &std::path::Path) {}

    /// None.
    pub fn documents(&self) -> Vec<(&'static str, &SecretRef)> {
        Vec::new()
    }
}

/// A way into a JSON object: names separated by dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<String>);

impl Path {
    /// The names, outermost first.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        if names.iter().any(String::is_empty) || names.len() > 8 {
            return Err(de::Error::custom(format_args!(
                "`{text}` is not a path such as \"id\" or \"data.id\""
            )));
        }
        Ok(Self(names))
    }
}

/// What stands between scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum ScopeSeparator {
    /// As RFC 6749 §3.3 wants it.
    #[default]
    #[serde(rename = " ")]
    Space,
    /// As some providers want it.
    #[serde(rename = ",")]
    Comma,
}

fn is_issuer(text: &str) -> bool {
    Endpoint::parse(text).is_ok_and(|endpoint| endpoint.url().query().is_none())
}

fn yes() -> bool {
    true
}
fn primary() -> String {
    "primary".to_owned()
}
fn verified() -> String {
    "verified".to_owned()
}
