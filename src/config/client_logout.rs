//! What a `[[client]]` says of how it is told that a session ended.

use super::clients::web_address;
use super::read::Section;
use crate::clients::metadata::LogoutChannels;
use crate::clients::registration;
use std::collections::BTreeSet;

/// How the client is told that a session ended.
pub fn channels(section: &Section<'_>, redirect_uris: &BTreeSet<String>) -> LogoutChannels {
    let required = |key: &'static str, beside: &'static str| {
        let flag = section.flag(key).filter(|flag| flag.value);
        if let Some(flag) = flag.as_ref().filter(|_| !section.has(beside)) {
            let message = format!("`{key}` says nothing without `{beside}`");
            section.refuse(flag.place, "config.contradiction", message, &format!("add `{beside}`"));
        }
        flag.is_some()
    };
    let frontchannel_uri = section.parsed("frontchannel_logout_uri", |text| {
        registration::frontchannel_uri(text, redirect_uris)
            .map(|()| text.to_owned())
            .map_err(|error| format!("the address {error}"))
    });
    LogoutChannels {
        backchannel_uri: web_address(section, "backchannel_logout_uri"),
        backchannel_session_required: required(
            "backchannel_logout_session_required",
            "backchannel_logout_uri",
        ),
        frontchannel_uri: frontchannel_uri.map(|at| at.value),
        frontchannel_session_required: required(
            "frontchannel_logout_session_required",
            "frontchannel_logout_uri",
        ),
    }
}
