//! The options of `client add` that say what the client's people are called and which claims it reads.

use super::client::Alg;
use crate::clients::metadata::{ClaimShape, ClaimShapes, SubjectRules};
use clap::{Args, ValueEnum};

/// Whom the app knows people as, and which claims it reads
#[derive(Args)]
pub struct Shapes {
    /// Whether it knows people by their account's id, or by one that no other app can tie to theirs
    #[arg(long, value_enum, default_value = "public")]
    subject_type: SubjectType,
    /// Several hosts with one pairwise id: the document that lists all redirect URIs
    #[arg(long, value_name = "URL")]
    sector_identifier_uri: Option<String>,
    /// Sign the answers of userinfo; without it they are plain JSON
    #[arg(long, value_enum)]
    pub(super) userinfo_alg: Option<Alg>,
    /// The claim in which it reads groups
    #[arg(long, value_name = "NAME")]
    groups_claim: Option<String>,
    /// What is put before each group
    #[arg(long, value_name = "TEXT")]
    groups_prefix: Option<String>,
    /// Tell it only groups that begin so
    #[arg(long, value_name = "TEXT")]
    groups_only: Vec<String>,
    /// The claim in which it reads roles
    #[arg(long, value_name = "NAME")]
    roles_claim: Option<String>,
    /// What is put before each role
    #[arg(long, value_name = "TEXT")]
    roles_prefix: Option<String>,
    /// Tell it only roles that begin so
    #[arg(long, value_name = "TEXT")]
    roles_only: Vec<String>,
    /// The claim in which it reads permissions
    #[arg(long, value_name = "NAME")]
    permissions_claim: Option<String>,
    /// What is put before each permission
    #[arg(long, value_name = "TEXT")]
    permissions_prefix: Option<String>,
    /// Tell it only permissions that begin so
    #[arg(long, value_name = "TEXT")]
    permissions_only: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SubjectType {
    /// The account's id
    Public,
    /// An id for the app's sector alone (OIDC Core §8.1)
    Pairwise,
}

impl Shapes {
    pub(super) fn subjects(&self) -> SubjectRules {
        SubjectRules {
            pairwise: self.subject_type == SubjectType::Pairwise,
            sector_identifier_uri: self.sector_identifier_uri.clone(),
        }
    }
    pub(super) fn shapes(self) -> ClaimShapes {
        let shape =
            |name, prefix, only: Vec<String>| ClaimShape { name, prefix, only: only.into_iter().collect() };
        ClaimShapes {
            groups: shape(self.groups_claim, self.groups_prefix, self.groups_only),
            roles: shape(self.roles_claim, self.roles_prefix, self.roles_only),
            permissions: shape(self.permissions_claim, self.permissions_prefix, self.permissions_only),
        }
    }
}

/// A shape in a few words; empty where it is the usual one.
pub(super) fn shown(shape: &ClaimShape) -> String {
    let name = shape.name.as_ref().map(|name| format!("as {name}"));
    let prefix = shape.prefix.as_ref().map(|prefix| format!("after \"{prefix}\""));
    let only = shape.only.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let only = (!only.is_empty()).then(|| format!("only {only}"));
    [name, prefix, only].into_iter().flatten().collect::<Vec<_>>().join("; ")
}
