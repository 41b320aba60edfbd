//! `[registration]`: who may register clients by program, and which.

use super::clients::GRANT_TYPES;
use super::directory::{MentionKind, Mentions};
use super::read::Section;
use super::report::Problem;
use super::settings::{RegistrationMode, RegistrationSettings};
use super::values::{Bounds, seconds};
use crate::clients::GrantType;
use crate::clients::dynamic::{HostRule, Policy};
use crate::protocol::Scope;
use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;
/// What clients that nobody looked at may ask for: who the person is, and to stay signed in. What people may do here
/// (groups, roles, permissions) is not theirs to read unless somebody says so.
const SCOPES: &str = "openid profile email address phone offline_access";

const MODES: &[(&str, RegistrationMode)] = &[
    ("closed", RegistrationMode::Closed),
    ("token", RegistrationMode::Token),
    ("open", RegistrationMode::Open),
];

/// Reads the table; without it registration is closed.
pub fn registration(root: &Section<'_>, mentions: &mut Mentions) -> RegistrationSettings {
    let default = RegistrationSettings {
        mode: RegistrationMode::Closed,
        policy: Policy {
            grant_types: [GrantType::AuthorizationCode, GrantType::RefreshToken].into(),
            scope: Scope::parse(SCOPES).unwrap_or_default(),
            redirect_hosts: Default::default(),
            require_pkce: true,
        },
        unused_lifetime: Duration::from_secs(30 * DAY),
        max_clients: 10_000,
        max_per_source: 50,
    };
    let Some(section) = root.section("registration") else { return default };
    let mode = section.word("mode", MODES).map_or(default.mode, |at| at.value);
    let grant_types = section.list("grant_types").map(|list| {
        let known = list.iter().filter_map(|item| section.one_of("grant_types", item, GRANT_TYPES));
        known.map(|at| at.value).collect()
    });
    let scope = section.list("scopes").map(|list| {
        let mut scope = Scope::empty();
        for item in &list {
            match Scope::parse(&item.value) {
                Ok(part) => {
                    part.iter().for_each(|token| mentions.add(MentionKind::Scope, token, item.place));
                    scope = scope.union(&part);
                }
                Err(error) => section.refuse(item.place, "config.value", format!("`scopes`: {error}"), ""),
            }
        }
        scope
    });
    let hosts = section.parsed_list("redirect_hosts", str::parse::<HostRule>);
    let number =
        |key, most| section.number(key, Bounds::new(1, most)).and_then(|at| u32::try_from(at.value).ok());
    let settings = RegistrationSettings {
        mode,
        policy: Policy {
            grant_types: grant_types.unwrap_or(default.policy.grant_types),
            scope: scope.unwrap_or(default.policy.scope),
            redirect_hosts: hosts.unwrap_or_default().into_iter().map(|at| at.value).collect(),
            // an open house is for tests of clients, which must be able to go without
            require_pkce: mode != RegistrationMode::Open,
        },
        unused_lifetime: section
            .duration("unused_lifetime", seconds(60, 365 * DAY))
            .map_or(default.unused_lifetime, |at| at.value),
        max_clients: number("max_clients", 1_000_000).unwrap_or(default.max_clients),
        max_per_source: number("max_per_source", 1_000_000).unwrap_or(default.max_per_source),
    };
    if mode == RegistrationMode::Open {
        let message = "anybody may register clients here, and clients with a secret may go without PKCE";
        let problem = Problem::warning("config.registration_open", section.place_of("mode"), message);
        let help =
            "for anything but tests write \"token\", and make tokens by `countersign registration-token add`";
        section.problems().add(problem.help(help));
    }
    section.finish();
    settings
}
