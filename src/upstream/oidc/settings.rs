//! Settings of an OpenID Connect provider.

use crate::jose::Alg;
use crate::upstream::mapping::Expression;
use crate::upstream::settings::{
    ClientAuth, Common, Contradiction, Endpoint, SecretRef, check_client_auth, check_parameters,
    check_plain_http, span,
};
use serde::{Deserialize, de};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The keys of `kind = "oidc"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The issuer, exactly as the provider writes it (OIDC Discovery §3): compared letter by letter.
    pub issuer: IssuerText,
    /// Our client id there.
    pub client_id: String,
    /// Our secret there.
    #[serde(default)]
    pub client_secret: Option<SecretRef>,
    /// How we authenticate; by default `client_secret_basic`, or `none` where there is no secret.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// Scopes to ask for; `openid` is always among them.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// PKCE S256 (RFC 7636). Off only for providers that refuse it.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// How the answer comes back.
    #[serde(default)]
    pub response_mode: ResponseMode,
    /// When userinfo is fetched.
    #[serde(default)]
    pub userinfo: Userinfo,
    /// The userinfo answer is registered as signed: plain JSON is refused (OIDC Core §5.3.2).
    #[serde(default)]
    pub userinfo_signed: bool,
    /// Signature algorithms that are accepted; never `none`, never HMAC.
    #[serde(default = "algorithms")]
    pub algorithms: BTreeSet<Alg>,
    /// How far its clock may differ from ours.
    #[serde(default = "skew", with = "span")]
    pub skew: Duration,
    /// An ID token that was issued longer ago is refused.
    #[serde(default = "token_age", with = "span")]
    pub id_token_max_age: Duration,
    /// Demand the response parameter `iss` (RFC 9207) even if the provider does not advertise it.
    #[serde(default)]
    pub require_iss_parameter: bool,
    /// The provider writes `email_verified` as `"true"`: accept that text as the boolean.
    #[serde(default)]
    pub email_verified_text: bool,
    /// Where the proof of an address is found when it is not `email_verified`; true and only true counts.
    #[serde(default)]
    pub email_verified: Option<Expression>,
    /// Wishes that are passed on to the provider; all others stay here.
    #[serde(default = "pass")]
    pub pass: BTreeSet<Wish>,
    /// Fixed extra parameters of the authorization request.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
}

impl Settings {
    /// The keys, for suggestions.
    pub const KEYS: &'static [&'static str] = &[
        "issuer",
        "client_id",
        "client_secret",
        "client_auth",
        "scopes",
        "pkce",
        "response_mode",
        "userinfo",
        "userinfo_signed",
        "algorithms",
        "skew",
        "id_token_max_age",
        "require_iss_parameter",
        "email_verified_text",
        "email_verified",
        "pass",
        "authorize_params",
    ];

    /// How we authenticate.
    pub fn auth(&self) -> ClientAuth {
        self.client_auth.unwrap_or(match self.client_secret {
            Some(_) => ClientAuth::ClientSecretBasic,
            None => ClientAuth::None,
        })
    }

    /// Contradictions between keys.
    pub fn check(&self, common: &Common) -> Vec<Contradiction> {
        let mut found = check_client_auth(self.auth(), self.client_secret.as_ref(), self.pkce);
        found.extend(check_plain_http(common, [("issuer", &self.issuer.endpoint)]));
        found.extend(check_parameters("authorize_params", &self.authorize_params));
        if self.algorithms.is_empty() {
            found.push(Contradiction::new(
                "algorithms",
                "no algorithm is accepted",
                "leave it out for the defaults",
            ));
        }
        if self.skew > Duration::from_secs(300) {
            found.push(Contradiction::new(
                "skew",
                "clocks may differ by 5 minutes at most",
                "set the clocks right",
            ));
        }
        if self.userinfo_signed && self.userinfo == Userinfo::Never {
            found.push(Contradiction::new(
                "userinfo_signed",
                "userinfo is never fetched",
                "remove `userinfo_signed`, or say `userinfo = \"always\"`",
            ));
        }
        if self.email_verified.is_some() && self.email_verified_text {
            found.push(Contradiction::new(
                "email_verified_text",
                "`email_verified` says already where the proof is found",
                "remove one of the two",
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

    /// There are no paths.
    pub fn relate(&mut self, _base: &std::path::Path) {}

    /// None.
    pub fn documents(&self) -> Vec<(&'static str, &SecretRef)> {
        Vec::new()
    }
}

/// An issuer identifier: the text as written, which is what is compared, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerText {
    /// As written.
    pub text: String,
    /// As an address.
    pub endpoint: Endpoint,
}

impl<'de> Deserialize<'de> for IssuerText {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let endpoint =
            Endpoint::parse(&text).map_err(|rule| de::Error::custom(format_args!("`{text}` {rule}")))?;
        if endpoint.url().query().is_some() {
            return Err(de::Error::custom("an issuer has no query (OIDC Discovery §3)"));
        }
        if text.contains("/.well-known/") {
            return Err(de::Error::custom("give the issuer itself, without `/.well-known/…`"));
        }
        Ok(Self { text, endpoint })
    }
}

/// How the provider's answer comes back (OAuth 2.0 Multiple Response Types §2.1, Form Post §2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query; the default of the code flow, so that it is not sent.
    #[default]
    Query,
    /// By a form that posts itself.
    FormPost,
}

/// When userinfo is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Userinfo {
    /// When the ID token lacks a claim that the scopes ask for or a rule reads.
    #[default]
    WhenNeeded,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Something an application may wish of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// An address or name to fill in.
    LoginHint,
    /// `login`, `select_account`, `none`.
    Prompt,
    /// The greatest age of the proof.
    MaxAge,
    /// Languages.
    UiLocales,
    /// Authentication contexts.
    AcrValues,
}

fn yes() -> bool {
    true
}
fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}
fn algorithms() -> BTreeSet<Alg> {
    use Alg::{ES256, EdDSA, PS256, RS256};
    BTreeSet::from([RS256, PS256, ES256, EdDSA])
}
fn skew() -> Duration {
    Duration::from_secs(30)
}
fn token_age() -> Duration {
    Duration::from_secs(600)
}
fn pass() -> BTreeSet<Wish> {
    // login_hint tells one party what the person typed at another: it goes only where configuration says so
    BTreeSet::from([Wish::Prompt, Wish::MaxAge, Wish::UiLocales, Wish::AcrValues])
}
