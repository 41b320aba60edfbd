//! Claims about a person, and what lets each of them through.

use crate::accounts::{Access, Account, Address};
use crate::clients::Client;
use crate::clients::metadata::ClaimShapes;
use crate::clients::shape::SHAPED;
use crate::protocol::Scope;
use crate::protocol::claims::{Wishes, scope_of};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What lets claims about a person into one place: the ID token, or the userinfo endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    /// The scope whose claims go there; none where only single claims do.
    scope: Option<&'a Scope>,
    /// The single claims that were asked for there and allowed (OIDC Core §5.5).
    wishes: Option<&'a Wishes>,
    /// What the client may have at all.
    limit: &'a Scope,
}

impl<'a> Release<'a> {
    /// For an ID token: single claims, and those of the scopes only by the client's setting.
    pub fn to_id_token(client: &'a Client, scope: &'a Scope, wishes: &'a Wishes) -> Self {
        let scope = client.claims_in_id_token.then_some(scope);
        Self { scope, wishes: Some(wishes), limit: &client.scope }
    }
    /// For the userinfo endpoint. Single claims go with `openid`, as everything else there does.
    pub fn to_userinfo(client: &'a Client, scope: &'a Scope, wishes: &'a Wishes) -> Self {
        let wishes = scope.contains("openid").then_some(wishes);
        Self { scope: Some(scope), wishes, limit: &client.scope }
    }
    /// The value, if it may be told.
    fn tell<T: Serialize>(&self, claim: &str, value: Option<T>) -> Option<T> {
        let (value, behind) = (value?, scope_of(claim)?);
        let granted = self.scope.is_some_and(|scope| scope.contains(behind));
        let asked = || {
            let wish = self.wishes.and_then(|wishes| wishes.get(claim));
            self.limit.contains(behind)
                && wish.is_some_and(|wish| serde_json::to_value(&value).is_ok_and(|value| wish.takes(&value)))
        };
        (granted || asked()).then_some(value)
    }
}

/// Claims about a person (OIDC Core §5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // the names of the specification
pub struct PersonClaims {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthdate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoneinfo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number_verified: Option<bool>,
}

impl PersonClaims {
    /// What may be told of an account.
    pub fn new(release: &Release<'_>, account: &Account) -> Self {
        let of = &account.profile;
        let tell = |claim, value: &Option<String>| release.tell(claim, value.clone());
        let email = account.primary_email();
        Self {
            name: tell("name", &of.name),
            given_name: tell("given_name", &of.given_name),
            family_name: tell("family_name", &of.family_name),
            middle_name: tell("middle_name", &of.middle_name),
            nickname: tell("nickname", &of.nickname),
            preferred_username: tell("preferred_username", &of.preferred_username),
            profile: tell("profile", &of.profile),
            picture: tell("picture", &of.picture),
            website: tell("website", &of.website),
            gender: tell("gender", &of.gender),
            birthdate: tell("birthdate", &of.birthdate),
            zoneinfo: tell("zoneinfo", &of.zoneinfo),
            locale: tell("locale", &of.locale),
            updated_at: release.tell("updated_at", Some(account.updated_at.secs())),
            email: release.tell("email", email.map(|email| email.address.as_str().to_owned())),
            email_verified: release.tell("email_verified", email.map(|email| email.proof.is_some())),
            address: release.tell("address", of.address.clone()),
            phone_number: tell("phone_number", &of.phone_number),
            // Nobody has proved a number to us yet, and a provider's word is no proof.
            phone_number_verified: release
                .tell("phone_number_verified", of.phone_number.as_ref().map(|_| false)),
        }
    }
}

/// Groups, roles and permissions as APIs see them, each exactly if its scope was granted; empty lists are
/// issued, so that an API can tell *none* from *not asked*.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Local groups, nested ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Local roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// Permissions of those roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<String>>,
}

fn values<'a>(access: &'a Access, usual: &str) -> Vec<&'a str> {
    match usual {
        "groups" => access.groups.iter().map(|name| name.as_str()).collect(),
        "roles" => access.roles.iter().map(|name| name.as_str()).collect(),
        "permissions" => access.permissions.iter().map(|name| name.as_str()).collect(),
        _ => Vec::new(),
    }
}

impl AccessClaims {
    /// What the scope lets through.
    pub fn new(scope: &Scope, access: &Access) -> Self {
        let tell = |usual: &str| {
            let values = || values(access, usual).into_iter().map(str::to_owned).collect();
            scope.contains(usual).then(values)
        };
        Self { groups: tell("groups"), roles: tell("roles"), permissions: tell("permissions") }
    }
}

/// Groups, roles and permissions in the shape that a client wants. Only names that [`ClaimShapes::check`] lets
/// through get here, so none is a claim of the protocol or of the person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ShapedClaims(BTreeMap<String, Vec<String>>);

impl ShapedClaims {
    /// What may be told, as the client wants it.
    pub fn new(release: &Release<'_>, access: &Access, shapes: &ClaimShapes) -> Self {
        let mut claims = BTreeMap::new();
        for usual in SHAPED {
            let Some(shape) = shapes.of(usual) else { continue };
            if let Some(values) = release.tell(usual, Some(shape.write(values(access, usual)))) {
                claims.entry(shape.name(usual).to_owned()).or_insert(values);
            }
        }
        Self(claims)
    }
    /// By name.
    pub fn get(&self, name: &str) -> Option<&Vec<String>> {
        self.0.get(name)
    }
}
