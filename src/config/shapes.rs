//! What a `[[client]]` says of the `sub` that it knows people by, and of the claims that it reads.

use super::read::Section;
use crate::clients::metadata::{ClaimShape, ClaimShapes, SubjectRules};
use crate::clients::sector::sector;
use crate::clients::{Client, registration};

const SUBJECT_TYPES: &[(&str, bool)] = &[("public", false), ("pairwise", true)];

/// `subject_type` and `sector_identifier_uri`.
pub(super) fn subjects(section: &Section<'_>) -> SubjectRules {
    let pairwise = section.word("subject_type", SUBJECT_TYPES).is_some_and(|at| at.value);
    let uri = section.parsed("sector_identifier_uri", |text| {
        registration::web_address(text).map(|()| text.to_owned()).map_err(|e| format!("the address {e}"))
    });
    if let Some(uri) = uri.as_ref().filter(|_| !pairwise) {
        let message = "`sector_identifier_uri` is only for pairwise subjects (OIDC Core §8.1)";
        section.refuse(
            uri.place,
            "config.contradiction",
            message,
            "add `subject_type = \"pairwise\"`, or remove it",
        );
    }
    SubjectRules { pairwise, sector_identifier_uri: uri.map(|at| at.value) }
}

/// A client with pairwise subjects must have a sector.
pub(super) fn check_sector(section: &Section<'_>, client: &Client) {
    if client.subjects.pairwise
        && let Err(error) = sector(client)
    {
        let message = format!("a client with pairwise subjects {error}");
        let help = "write sector_identifier_uri = \"https://example.com/redirect-uris.json\"; its host is the sector";
        section.refuse(section.place_of("subject_type"), "config.sector", message, help);
    }
}

/// `groups_claim`, `roles_claim`, `permissions_claim`.
pub(super) fn shapes(section: &Section<'_>) -> ClaimShapes {
    let shapes = ClaimShapes {
        groups: shape(section, "groups_claim", "groups"),
        roles: shape(section, "roles_claim", "roles"),
        permissions: shape(section, "permissions_claim", "permissions"),
    };
    if let Err(broken) = shapes.check() {
        let key =
            ["groups_claim", "roles_claim", "permissions_claim"].into_iter().find(|key| section.has(key));
        section.refuse(section.place_of(key.unwrap_or("groups_claim")), "config.claim", broken, "");
    }
    shapes
}

fn shape(section: &Section<'_>, key: &'static str, usual: &str) -> ClaimShape {
    let Some(table) = section.section(key) else { return ClaimShape::default() };
    let text = |key| table.text(key).map(|at| at.value);
    let only = table.list("only").unwrap_or_default();
    let shape = ClaimShape {
        name: text("name"),
        prefix: text("prefix"),
        only: only.into_iter().map(|at| at.value).collect(),
    };
    let broken = shape.check(usual).err();
    if let Some(message) = broken {
        table.refuse(table.place(), "config.claim", message, "");
        table.finish();
        return ClaimShape::default();
    }
    table.finish();
    shape
}
