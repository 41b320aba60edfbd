//! What a `[[client]]` says of its authorization requests, and of the sign-ins that they demand.

use super::read::Section;
use super::values::seconds;
use crate::clients::metadata::{RequestRules, SignInRules};
use crate::clients::registration;
use crate::jose::Alg;

const YEAR: u64 = 365 * 24 * 60 * 60;

/// Rules for its authorization requests.
pub fn requests(section: &Section<'_>, has_keys: bool) -> RequestRules {
    let flag = |key| section.flag(key);
    let signed_only = flag("require_signed_request_object");
    if let Some(at) = signed_only.as_ref().filter(|at| at.value && !has_keys) {
        let message = "signed request objects are demanded of a client that has no keys to sign them";
        let help = "add `jwks_uri` or `jwks`, or remove `require_signed_request_object`";
        section.refuse(at.place, "config.contradiction", message, help);
    }
    let algs: Vec<(&'static str, Alg)> = Alg::ALL.map(|alg| (alg.as_str(), alg)).to_vec();
    let uris = section.parsed_list("request_uris", |text| {
        registration::request_uri(text)
            .map(|()| text.to_owned())
            .map_err(|error| format!("the address {error}"))
    });
    RequestRules {
        pushed_only: flag("require_pushed_authorization_requests").is_some_and(|at| at.value),
        signed_only: signed_only.is_some_and(|at| at.value),
        alg: section.word("request_object_signing_alg", &algs).map(|at| at.value.as_str().to_owned()),
        uris: uris.unwrap_or_default().into_iter().map(|at| at.value).collect(),
    }
}

/// What it demands of each sign-in.
pub fn sign_in(section: &Section<'_>) -> SignInRules {
    let acr_values = section.parsed_list("default_acr_values", |text| {
        if registration::acr_value(text) { Ok(text.to_owned()) } else { Err("must be a word without spaces") }
    });
    SignInRules {
        default_max_age: section.duration("default_max_age", seconds(0, YEAR)).map(|at| at.value),
        require_auth_time: section.flag("require_auth_time").is_some_and(|at| at.value),
        default_acr_values: acr_values.unwrap_or_default().into_iter().map(|at| at.value).collect(),
        ..SignInRules::default()
    }
}
