//! What is in force, as a registration document (RFC 7591 §3.2.1, RFC 7592 §3).

use super::{ApplicationType, Registered};
use crate::clients::metadata::KeySource;
use crate::clients::{AuthMethod, GrantType, SigningAlg};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The metadata in force. Read again, it gives the same client. Secrets are not part of it.
pub fn show(registered: &Registered) -> Map<String, Value> {
    let client = &registered.client;
    let mut shown = Map::new();
    let mut put = |member: &str, value: Value| {
        let empty = match &value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        if !empty {
            shown.insert(member.to_owned(), value);
        }
    };
    let set = |texts: &BTreeSet<String>| json!(texts);
    let method = client.auth_methods.first().copied().unwrap_or(AuthMethod::None);
    put("client_id", json!(client.id));
    put("client_id_issued_at", json!(registered.issued_at.secs()));
    put("client_name", json!(client.name));
    put("redirect_uris", set(&client.redirect_uris));
    put("post_logout_redirect_uris", set(&client.post_logout_redirect_uris));
    if client.grant_types.contains(&GrantType::AuthorizationCode) {
        put("response_types", json!(["code"]));
    }
    put("grant_types", client.grant_types.iter().map(|grant| json!(grant.as_str())).collect());
    put(
        "application_type",
        json!(match registered.application_type {
            ApplicationType::Web => "web",
            ApplicationType::Native => "native",
        }),
    );
    put("token_endpoint_auth_method", json!(method.as_str()));
    put("token_endpoint_auth_signing_alg", json!(client.assertions.alg));
    put("scope", json!(client.scope.to_string()));
    match &client.keys {
        Some(KeySource::Jwks(text)) => {
            put("jwks", serde_json::from_str(text).unwrap_or(Value::Null));
        }
        Some(KeySource::JwksUri(address)) => put("jwks_uri", json!(address)),
        None => {}
    }
    let about = &client.about;
    put("contacts", set(&about.contacts));
    put("client_uri", json!(about.client_uri));
    put("logo_uri", json!(about.logo_uri));
    put("policy_uri", json!(about.policy_uri));
    put("tos_uri", json!(about.tos_uri));
    put("subject_type", json!(if client.subjects.pairwise { "pairwise" } else { "public" }));
    put("sector_identifier_uri", json!(client.subjects.sector_identifier_uri));
    put("id_token_signed_response_alg", json!(client.id_token_alg.as_str()));
    put("userinfo_signed_response_alg", json!(client.userinfo_alg.map(SigningAlg::as_str)));
    put("request_object_signing_alg", json!(client.requests.alg));
    put("request_uris", set(&client.requests.uris));
    put("require_pushed_authorization_requests", json!(client.requests.pushed_only));
    put("require_signed_request_object", json!(client.requests.signed_only));
    put("default_max_age", json!(client.sign_in.default_max_age.map(|age| age.as_secs())));
    put("require_auth_time", json!(client.sign_in.require_auth_time));
    put("default_acr_values", json!(client.sign_in.default_acr_values));
    put("initiate_login_uri", json!(client.sign_in.initiate_login_uri));
    let logout = &client.logout;
    put("backchannel_logout_uri", json!(logout.backchannel_uri));
    put("backchannel_logout_session_required", json!(logout.backchannel_session_required));
    put("frontchannel_logout_uri", json!(logout.frontchannel_uri));
    put("frontchannel_logout_session_required", json!(logout.frontchannel_session_required));
    put("software_id", json!(registered.software_id));
    put("software_version", json!(registered.software_version));
    shown
}
