//! Contradictions that settings of several kinds can hold.

use super::{ClientAuth, Common, Contradiction, Endpoint, LanguageParam, SecretRef};
use crate::outbound::address::{AddressRefused, AddressRules, LOOPBACK, PRIVATE, is_loopback_host};
use std::collections::BTreeMap;

/// Parameters of the protocol itself: extra parameters may not name them.
pub(in crate::upstream) const PROTOCOL_PARAMETERS: &[&str] = &[
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "request",
    "request_uri",
    "access_token",
    "appsecret_proof",
];

/// Contradictions about extra parameters, shared by the kinds.
pub(in crate::upstream) fn check_parameters(
    key: &'static str,
    parameters: &BTreeMap<String, String>,
) -> impl Iterator<Item = Contradiction> {
    let bad: Vec<String> =
        parameters.keys().filter(|name| PROTOCOL_PARAMETERS.contains(&name.as_str())).cloned().collect();
    bad.into_iter()
        .map(move |name| Contradiction::new(key, format!("`{name}` is set by the protocol"), "remove it"))
}

/// Contradictions about the language's parameter, shared by the kinds.
pub(in crate::upstream) fn check_language(param: Option<&LanguageParam>) -> Option<Contradiction> {
    let name = &param?.name;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    if plain && !PROTOCOL_PARAMETERS.contains(&name.as_str()) {
        return None;
    }
    let message = format!("`{name}` cannot be the parameter of a language");
    Some(Contradiction::new("language_param", message, "name the provider's own parameter, such as \"hl\""))
}

/// Contradictions about client authentication, shared by the kinds.
pub(in crate::upstream) fn check_client_auth(
    auth: ClientAuth,
    secret: Option<&SecretRef>,
    pkce: bool,
) -> Vec<Contradiction> {
    let mut found = Vec::new();
    match (auth, secret) {
        (ClientAuth::None | ClientAuth::PrivateKeyJwt | ClientAuth::SignedSecret, Some(_)) => {
            found.push(Contradiction::new(
                "client_secret",
                format!("there is a secret, but `client_auth` is \"{}\"", auth.as_str()),
                "remove one of the two",
            ));
        }
        (
            ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost | ClientAuth::ClientSecretJwt,
            None,
        ) => found.push(Contradiction::new(
            "client_auth",
            format!("`{}` needs a `client_secret`", auth.as_str()),
            "add `client_secret = \"env:NAME\"`, or say `client_auth = \"none\"` for a public client",
        )),
        _ => {}
    }
    if auth == ClientAuth::None && !pkce {
        found.push(Contradiction::new(
            "pkce",
            "a public client without PKCE lets a stolen code be used by anyone",
            "remove `pkce = false`",
        ));
    }
    found
}

/// Contradictions about plain http, shared by the kinds.
pub(in crate::upstream) fn check_plain_http<'a>(
    common: &Common,
    endpoints: impl IntoIterator<Item = (&'static str, &'a Endpoint)>,
) -> Vec<Contradiction> {
    endpoints
        .into_iter()
        .filter(|(_, endpoint)| {
            endpoint.is_plain_http() && !(common.allow_loopback && is_loopback_host(endpoint.url()))
        })
        .map(|(key, _)| {
            Contradiction::new(
                key,
                "http is not safe to sign in over",
                "use https; for development on this machine, add `allow_loopback = true`",
            )
        })
        .collect()
}

/// Contradictions about addresses to which we speak ourselves, shared by the kinds: what stands there as a number is
/// known before anybody is asked. What a name leads to is seen when it is looked up, and plain http is told of apart.
pub(in crate::upstream) fn check_reach<'a>(
    common: &Common,
    endpoints: impl IntoIterator<Item = (&'static str, &'a Endpoint)>,
) -> Vec<Contradiction> {
    let rules = AddressRules {
        allow_loopback: common.allow_loopback,
        allow_private_network: common.allow_private_network,
    };
    let one = |(key, endpoint): (&'static str, &Endpoint)| {
        let Err(AddressRefused::Range(ip, range)) = rules.check_url(endpoint.url()) else { return None };
        let help = match range {
            PRIVATE => "for a provider inside the house, add `allow_private_network = true`",
            LOOPBACK => "for development on this machine, add `allow_loopback = true`",
            _ => "no setting allows it: give the provider's own address",
        };
        Some(Contradiction::new(key, format!("nothing is sent to {ip}, which is a {range} address"), help))
    };
    endpoints.into_iter().filter_map(one).collect()
}
