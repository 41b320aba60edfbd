//! What we offer, told to applications: OIDC Discovery 1.0 §3 and RFC 8414 §2. Only what works is named. Made
//! once per snapshot, served as bytes.

use crate::clients::Offer;
use crate::config::Settings;
use crate::config::settings::RegistrationMode;
use crate::jose::{Alg, Keyring};
use crate::protocol::ResponseMode;
use crate::protocol::claims::PERSONAL;
use crate::upstream::Registry;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::Digest as _;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A document that is ready to serve.
#[derive(Debug, Clone)]
pub struct Document {
    /// JSON.
    pub body: Arc<[u8]>,
    /// A strong entity tag, quotes included.
    pub etag: String,
}

/// Paths of our endpoints under the issuer.
pub mod paths {
    /// OIDC Discovery §4.
    pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
    /// RFC 8414 §3.
    pub const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
    /// RFC 7517 §5.
    pub const JWKS: &str = "/jwks";
    /// RFC 6749 §3.1.
    pub const AUTHORIZE: &str = "/authorize";
    /// RFC 9126 §2.
    pub const PUSH: &str = "/par";
    /// RFC 6749 §3.2.
    pub const TOKEN: &str = "/token";
    /// OIDC Core §5.3.
    pub const USERINFO: &str = "/userinfo";
    /// RFC 7009 §2.
    pub const REVOKE: &str = "/revoke";
    /// RFC 7662 §2.
    pub const INTROSPECT: &str = "/introspect";
    /// RFC 7591 §3, OIDC Registration §3.
    pub const REGISTER: &str = "/register";
    /// OIDC RP-Initiated Logout §2.
    pub const LOGOUT: &str = "/logout";
}

#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    authorization_endpoint: String,
    pushed_authorization_request_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    jwks_uri: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    end_session_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    scopes_supported: Vec<&'a str>,
    claims_supported: Vec<&'static str>,
    claim_types_supported: [&'static str; 1],
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 2],
    grant_types_supported: [&'static str; 3],
    subject_types_supported: [&'static str; 2],
    id_token_signing_alg_values_supported: Vec<&'static str>,
    userinfo_signing_alg_values_supported: Vec<&'static str>,
    /// Ours, where some provider is declared to reach one.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    acr_values_supported: BTreeSet<&'a str>,
    token_endpoint_auth_methods_supported: [&'static str; 4],
    token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: [&'static str; 4],
    revocation_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: [&'static str; 3],
    introspection_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    code_challenge_methods_supported: [&'static str; 1],
    prompt_values_supported: [&'static str; 4],
    display_values_supported: [&'static str; 4],
    authorization_response_iss_parameter_supported: bool,
    backchannel_logout_supported: bool,
    backchannel_logout_session_supported: bool,
    frontchannel_logout_supported: bool,
    frontchannel_logout_session_supported: bool,
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
    require_request_uri_registration: bool,
    request_object_signing_alg_values_supported: Vec<&'static str>,
    require_pushed_authorization_requests: bool,
}

/// The claims of an ID token that are not about the person.
const CLAIMS: &[&str] =
    &["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"];

const CLIENT_AUTH: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

/// The algorithms of what clients sign: assertions and request objects.
fn client_algs() -> Vec<&'static str> {
    Alg::ALL.into_iter().map(Alg::as_str).collect()
}

/// Makes the document. It serves at both well-known paths: RFC 8414 §2 lets a server name more than OAuth
/// needs.
pub fn document(settings: &Settings, offer: &Offer, keyring: &Keyring, upstreams: &Registry) -> Document {
    let issuer = &settings.issuer;
    let registration = settings.registration.mode != RegistrationMode::Closed;
    let on = upstreams.iter().filter(|entry| entry.policy.enabled);
    let acr_values = on.flat_map(|entry| entry.policy.acr_map.values()).collect();
    let metadata = Metadata {
        issuer: issuer.as_str(),
        authorization_endpoint: issuer.at(paths::AUTHORIZE),
        pushed_authorization_request_endpoint: issuer.at(paths::PUSH),
        token_endpoint: issuer.at(paths::TOKEN),
        userinfo_endpoint: issuer.at(paths::USERINFO),
        jwks_uri: issuer.at(paths::JWKS),
        revocation_endpoint: issuer.at(paths::REVOKE),
        introspection_endpoint: issuer.at(paths::INTROSPECT),
        end_session_endpoint: issuer.at(paths::LOGOUT),
        registration_endpoint: registration.then(|| issuer.at(paths::REGISTER)),
        scopes_supported: offer.scopes().collect(),
        claims_supported: CLAIMS.iter().copied().chain(PERSONAL.iter().map(|(claim, _)| *claim)).collect(),
        claim_types_supported: ["normal"],
        response_types_supported: ["code"],
        response_modes_supported: ResponseMode::ALL.map(ResponseMode::as_str),
        grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
        subject_types_supported: ["public", "pairwise"],
        id_token_signing_alg_values_supported: keyring.algs().map(|alg| alg.as_str()).collect(),
        userinfo_signing_alg_values_supported: keyring.algs().map(|alg| alg.as_str()).collect(),
        acr_values_supported: acr_values,
        token_endpoint_auth_methods_supported: CLIENT_AUTH,
        token_endpoint_auth_signing_alg_values_supported: client_algs(),
        revocation_endpoint_auth_methods_supported: CLIENT_AUTH,
        revocation_endpoint_auth_signing_alg_values_supported: client_algs(),
        // RFC 7662 §2.1: anybody could fish for tokens
        introspection_endpoint_auth_methods_supported: [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        introspection_endpoint_auth_signing_alg_values_supported: client_algs(),
        code_challenge_methods_supported: ["S256"],
        prompt_values_supported: ["none", "login", "consent", "select_account"],
        // Our pages fit every window, and need no scripts.
        display_values_supported: ["page", "popup", "touch", "wap"],
        authorization_response_iss_parameter_supported: true,
        backchannel_logout_supported: true,
        backchannel_logout_session_supported: true,
        frontchannel_logout_supported: true,
        frontchannel_logout_session_supported: true,
        claims_parameter_supported: true,
        request_parameter_supported: true,
        request_uri_parameter_supported: true,
        require_request_uri_registration: true,
        // There is no `none`: an object that nobody signed proves nothing (RFC 9101 §10.1).
        request_object_signing_alg_values_supported: client_algs(),
        require_pushed_authorization_requests: settings.sign_in.pushed_only,
    };
    // Texts, lists and booleans always have a JSON form.
    let body = serde_json::to_vec(&metadata).unwrap_or_default();
    let digest = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(&body));
    Document { body: body.into(), etag: format!("\"{}\"", digest.get(..22).unwrap_or_default()) }
}
