//! Settings of an OpenID Connect provider.

use crate::ids::ClientId;
use crate::jose::Alg;
use crate::upstream::mapping::{Expression, Field, Mapping, ProfileSource};
use crate::upstream::presets::is_tenant;
use crate::upstream::settings::{
    ClientAuth, Common, Contradiction, Endpoint, LanguageParam, PROTOCOL_PARAMETERS, SecretRef,
    check_client_auth, check_language, check_parameters, check_plain_http, check_reach, span,
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
    /// Where the discovery document is, if it is not at the issuer's usual place (OIDC Discovery §4).
    #[serde(default)]
    pub discovery_url: Option<Endpoint>,
    /// The tenants whose people may come, where the issuer has `{tenantid}` in it: each tenant is an issuer of its
    /// own.
    #[serde(default)]
    pub tenants: Option<Tenants>,
    /// Our client id there.
    pub client_id: String,
    /// Our secret there.
    #[serde(default)]
    pub client_secret: Option<SecretRef>,
    /// How we authenticate; by default `client_secret_basic`, or `none` where there is no secret.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// Whom an assertion of ours is meant for; by default the token endpoint, and the issuer where requests are
    /// pushed to the provider.
    #[serde(default)]
    pub assertion_audience: Option<Audience>,
    /// Our private key (PEM, PKCS#8) for `private_key_jwt`, `signed_secret` and request objects.
    #[serde(default)]
    pub private_key: Option<SecretRef>,
    /// The name by which the provider knows that key.
    #[serde(default)]
    pub key_id: Option<String>,
    /// What that key signs with; by default the usual algorithm of the key, or another that the provider takes.
    #[serde(default)]
    pub signing_alg: Option<Alg>,
    /// Who signs, for `signed_secret` (Apple's team id).
    #[serde(default)]
    pub team_id: Option<String>,
    /// Scopes to ask for; `openid` is always among them.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// PKCE S256 (RFC 7636). Off only for providers that refuse it.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// Send a nonce and demand it in the ID token. Off only for providers that leave it out.
    #[serde(default = "yes")]
    pub nonce: bool,
    /// How the answer comes back.
    #[serde(default)]
    pub response_mode: ResponseMode,
    /// A parameter of the answer that is a JSON object (Apple's `user`): the profile may read it under this name.
    /// Nobody signed it, so nothing else may.
    #[serde(default)]
    pub response_claims: Option<String>,
    /// The token endpoint answers errors under status 200 (Slack).
    #[serde(default)]
    pub errors_under_200: bool,
    /// When userinfo is fetched.
    #[serde(default)]
    pub userinfo: Userinfo,
    /// The userinfo answer is registered as signed: plain JSON is refused (OIDC Core §5.3.2).
    #[serde(default)]
    pub userinfo_signed: bool,
    /// Signature algorithms that are accepted; never `none`, never HMAC.
    #[serde(default = "algorithms")]
    pub algorithms: BTreeSet<Alg>,
    /// ID tokens are signed with HS256 under our client secret, and in no other way (LINE's web login).
    #[serde(default)]
    pub id_token_hs256: bool,
    /// A claim within which `sub` is unique (Slack's `https://slack.com/team_id`): both together are the subject.
    #[serde(default)]
    pub subject_within: Option<String>,
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
    /// The values of `prompt` that it understands; others are not sent.
    #[serde(default = "prompts")]
    pub prompts: BTreeSet<Prompt>,
    /// Its `prompt` takes one value only: where several are wanted, the new proof is what counts.
    #[serde(default)]
    pub one_prompt: bool,
    /// How it is told the person's language, where that is not `ui_locales`.
    #[serde(default)]
    pub language_param: Option<LanguageParam>,
    /// Its ID tokens have `auth_time` when a fresh proof is asked for. Off for providers that never say it.
    #[serde(default = "yes")]
    pub auth_time: bool,
    /// Fixed extra parameters of the authorization request.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    /// Whether the request goes to the provider from here, so that the browser carries only a reference to it
    /// (RFC 9126).
    #[serde(default)]
    pub pushed_authorization_requests: When,
    /// Where to, if discovery does not say.
    #[serde(default)]
    pub pushed_authorization_url: Option<Endpoint>,
    /// Whether the request is an object that our key signs (RFC 9101).
    #[serde(default)]
    pub request_object: When,
}

impl Settings {
    /// The keys, for suggestions.
    pub const KEYS: &'static [&'static str] = &[
        "issuer",
        "discovery_url",
        "tenants",
        "client_id",
        "client_secret",
        "client_auth",
        "assertion_audience",
        "private_key",
        "key_id",
        "signing_alg",
        "team_id",
        "scopes",
        "pkce",
        "nonce",
        "response_mode",
        "response_claims",
        "errors_under_200",
        "userinfo",
        "userinfo_signed",
        "algorithms",
        "id_token_hs256",
        "subject_within",
        "skew",
        "id_token_max_age",
        "require_iss_parameter",
        "email_verified_text",
        "email_verified",
        "pass",
        "prompts",
        "one_prompt",
        "language_param",
        "auth_time",
        "authorize_params",
        "pushed_authorization_requests",
        "pushed_authorization_url",
        "request_object",
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
        let endpoints = [
            ("issuer", Some(&self.issuer.endpoint)),
            ("discovery_url", self.discovery_url.as_ref()),
            ("pushed_authorization_url", self.pushed_authorization_url.as_ref()),
        ];
        let endpoints = endpoints.into_iter().filter_map(|(key, url)| Some((key, url?)));
        found.extend(check_plain_http(common, endpoints.clone()));
        // where the document is elsewhere, the issuer is only a name
        let asked = endpoints.filter(|(key, _)| *key != "issuer" || self.discovery_url.is_none());
        found.extend(check_reach(common, asked));
        found.extend(self.check_keys());
        found.extend(self.check_deviations(common));
        found.extend(check_parameters("authorize_params", &self.authorize_params));
        found.extend(check_language(self.language_param.as_ref()));
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

    /// The issuer of all its people; `None` where each tenant is one.
    pub fn sole_issuer(&self) -> Option<String> {
        self.tenants.is_none().then(|| self.issuer.text.clone())
    }

    /// It as the settings write it.
    pub fn issuer_text(&self) -> String {
        self.issuer.text.clone()
    }

    /// Whether an issuer can be this provider's: the one of the settings, or that of an admitted tenant.
    pub fn may_be_issuer(&self, issuer: &str) -> bool {
        let text = &self.issuer.text;
        match (&self.tenants, text.split_once(TENANT)) {
            (Some(tenants), Some((before, after))) => issuer
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|tenant| tenants.admit(tenant)),
            _ => issuer == text,
        }
    }

    /// Whether a demand for a fresh proof reaches the person.
    pub fn asks_for_proof(&self) -> bool {
        let prompts = self.pass.contains(&Wish::Prompt) && self.prompts.contains(&Prompt::Login);
        prompts || self.pass.contains(&Wish::MaxAge)
    }

    /// Whether answers show when the person proved themselves.
    pub fn shows_when_proved(&self) -> bool {
        self.auth_time
    }

    /// Contradictions about our own key.
    fn check_keys(&self) -> Vec<Contradiction> {
        let auth = self.auth();
        let authenticates = matches!(auth, ClientAuth::PrivateKeyJwt | ClientAuth::SignedSecret);
        let mut found = Vec::new();
        if self.request_object == When::Always && self.private_key.is_none() {
            found.push(Contradiction::new(
                "request_object",
                "a signed request needs a `private_key`",
                "add `private_key = \"file:KEY.pem\"`",
            ));
        }
        if self.pushed_authorization_requests == When::Never && self.pushed_authorization_url.is_some() {
            found.push(Contradiction::new(
                "pushed_authorization_url",
                "requests are never pushed",
                "remove one of the two",
            ));
        }
        if authenticates && self.private_key.is_none() {
            found.push(Contradiction::new(
                "private_key",
                format!("`client_auth = \"{}\"` needs a `private_key`", auth.as_str()),
                "add `private_key = \"file:KEY.pem\"`",
            ));
        }
        let apple = auth == ClientAuth::SignedSecret;
        for (key, value, wanted) in [("key_id", &self.key_id, apple), ("team_id", &self.team_id, apple)] {
            if wanted && value.is_none() {
                found.push(Contradiction::new(
                    key,
                    format!("`client_auth = \"signed_secret\"` needs a `{key}`"),
                    "the provider's console shows it",
                ));
            }
        }
        let signs = authenticates || self.request_object == When::Always;
        let asserts = matches!(auth, ClientAuth::PrivateKeyJwt | ClientAuth::ClientSecretJwt);
        let idle = [
            ("private_key", self.private_key.is_some() && !signs),
            ("key_id", self.key_id.is_some() && !signs),
            ("signing_alg", self.signing_alg.is_some() && !signs),
            ("assertion_audience", self.assertion_audience.is_some() && !asserts),
            ("team_id", self.team_id.is_some() && !apple),
        ];
        for (key, _) in idle.into_iter().filter(|(_, idle)| *idle) {
            found.push(Contradiction::new(
                key,
                format!("`client_auth = \"{}\"` does not use it", auth.as_str()),
                "remove it, or say `client_auth = \"private_key_jwt\"`",
            ));
        }
        found
    }

    /// Contradictions about what is there for single providers.
    fn check_deviations(&self, common: &Common) -> Vec<Contradiction> {
        let mut found = Vec::new();
        match (self.issuer.text.contains(TENANT), self.tenants.is_some()) {
            (true, false) => found.push(Contradiction::new(
                "tenants",
                format!("an issuer with `{TENANT}` and `tenants` belong together"),
                "say which tenants may come, or \"any\"",
            )),
            (false, true) => found.push(Contradiction::new(
                "tenants",
                format!("`tenants` belongs to an issuer with `{TENANT}`, and this one is of one tenant"),
                "remove it; the preset for several tenants of Microsoft, or any, is microsoft-multitenant",
            )),
            _ => {}
        }
        if self.id_token_hs256 && self.client_secret.is_none() {
            found.push(Contradiction::new(
                "id_token_hs256",
                "the ID token is signed with the client secret, and there is none",
                "add `client_secret`",
            ));
        }
        if self.id_token_hs256 && self.userinfo_signed {
            found.push(Contradiction::new(
                "userinfo_signed",
                "signed userinfo needs the provider's public keys, and it signs with the client secret",
                "remove one of the two",
            ));
        }
        if let Some(name) = &self.response_claims {
            if PROTOCOL_PARAMETERS.contains(&name.as_str()) || name.is_empty() {
                found.push(Contradiction::new(
                    "response_claims",
                    format!("`{name}` is a parameter of the protocol"),
                    "name the parameter that has the JSON object, such as `user`",
                ));
            }
            // whoever signs in can write into it what they like: good for their own name, and for nothing else
            let mapping = Mapping { profile: BTreeMap::new(), ..common.mapping() };
            let mut reads = mapping.reads();
            let sources = [Field::Email, Field::PhoneNumber].map(|field| common.profile.get(&field));
            let expressions = sources.into_iter().flatten().filter_map(ProfileSource::expression);
            reads.extend(
                expressions.chain(&self.email_verified).flat_map(|e| e.reads().iter().map(String::as_str)),
            );
            if reads.contains(name.as_str()) {
                found.push(Contradiction::new(
                    "response_claims",
                    format!("`claims.{name}` is the person's own word, so that no rule, filter or address may read it"),
                    "read it in `profile` only, for a name",
                ));
            }
        }
        found
    }

    /// The secrets it refers to.
    pub fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        let secrets =
            [("client_secret", self.client_secret.as_ref()), ("private_key", self.private_key.as_ref())];
        secrets.into_iter().filter_map(|(key, secret)| Some((key, secret?))).collect()
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

/// What stands for the tenant in an issuer of many (Microsoft's discovery document has it letter by letter).
pub const TENANT: &str = "{tenantid}";

/// The tenants whose people may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    /// Of any organisation, as far as the provider itself lets them.
    Any,
    /// Of these.
    Only(BTreeSet<String>),
}

impl Tenants {
    /// Whether this one's may.
    pub fn admit(&self, tenant: &str) -> bool {
        is_tenant(tenant)
            && match self {
                Self::Any => true,
                Self::Only(list) => list.contains(tenant),
            }
    }
}

impl<'de> Deserialize<'de> for Tenants {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> de::Visitor<'de> for Read {
            type Value = Tenants;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of tenants' ids, or \"any\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Tenants, E> {
                if text == "any" {
                    Ok(Tenants::Any)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Tenants, A::Error> {
                let mut tenants = BTreeSet::new();
                while let Some(tenant) = list.next_element::<String>()? {
                    if !is_tenant(&tenant) {
                        return Err(de::Error::custom(format_args!(
                            "`{tenant}` is not a tenant's id such as 72f988bf-86f1-41af-91ab-2d7cd011db47"
                        )));
                    }
                    tenants.insert(tenant.to_ascii_lowercase());
                }
                if tenants.is_empty() {
                    return Err(de::Error::custom("name at least one tenant, or say \"any\""));
                }
                Ok(Tenants::Only(tenants))
            }
        }
        deserializer.deserialize_any(Read)
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

/// Whether the request travels in another way than as parameters of an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Where the provider's discovery document demands it. A provider that only offers it gains us nothing that PKCE,
    /// `nonce` and the sealed state do not give, and costs each sign-in a request more that can fail.
    #[default]
    Auto,
    /// Always; for providers that demand it of single clients, which discovery does not say.
    Always,
    /// Never.
    Never,
}

/// Whom an assertion is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The provider's issuer (FAPI 2.0 Security Profile §5.3.3.1).
    Issuer,
    /// The endpoint to which it goes (OIDC Core §9).
    Endpoint,
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

/// A value of `prompt` (OIDC Core §3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Nothing may be shown.
    None,
    /// A new proof.
    Login,
    /// The person picks an account.
    SelectAccount,
}

fn prompts() -> BTreeSet<Prompt> {
    BTreeSet::from([Prompt::None, Prompt::Login, Prompt::SelectAccount])
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
