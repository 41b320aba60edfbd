//! What well-known identity providers write, so that a provider needs only an id, an address and a certificate.
//!
//! A preset is a set of defaults: whatever the configuration says itself goes before it, field by field. Each is held
//! to its product's documented wire form by a test (`tests/saml/presets.rs`).

use super::attributes::{Names, Source};
use super::open::Signed;
use super::profile::{EMAIL_ADDRESS, PERSISTENT, TRANSIENT, UNSPECIFIED};
use serde::Deserialize;

/// Claim types of WS-Federation's identity schema, which Microsoft's products and Auth0 use for attribute names.
macro_rules! identity {
    ($name:literal) => {
        concat!("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/", $name)
    };
}
/// Claim types of Windows Identity Foundation.
macro_rules! windows {
    ($name:literal) => {
        concat!("http://schemas.microsoft.com/ws/2008/06/identity/claims/", $name)
    };
}
/// Attributes of eduPerson (REFEDS eduPerson 202208).
macro_rules! edu_person {
    ($name:literal) => {
        concat!("urn:oid:1.3.6.1.4.1.5923.1.1.1.", $name)
    };
}

/// The unspecified format by the name that JumpCloud has for it.
const UNSPECIFIED_1_0: &str = "urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified";
/// SAML Core §8.3.4
const WINDOWS_NAME: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName";

/// A well-known identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Microsoft Entra ID (Azure AD).
    Entra,
    /// Active Directory Federation Services.
    Adfs,
    /// Okta.
    Okta,
    /// Google Workspace.
    GoogleWorkspace,
    /// Shibboleth, and others that speak eduPerson.
    Shibboleth,
    /// Keycloak.
    Keycloak,
    /// OneLogin.
    Onelogin,
    /// PingFederate.
    Pingfederate,
    /// JumpCloud.
    Jumpcloud,
    /// Auth0, as identity provider.
    Auth0,
}

/// Where a short name comes from: in the order in which the places are tried.
type Places = &'static [Place];

enum Place {
    Name(&'static str),
    NameId(&'static str),
}
use Place::{Name, NameId};

/// What a product does unless somebody changes it there.
pub(super) struct Wire {
    /// What it signs. Neither: one of the two, as is chosen there.
    pub signed: Signed,
    /// The NameID format to ask for. Products that answer a wish which they cannot fulfil with an error are not asked.
    pub nameid_format: Option<&'static str>,
    /// NameID formats whose values stay the same for a person.
    pub nameid_formats: &'static [&'static str],
    /// The attribute that is a better key than its NameID.
    pub subject_attribute: Option<&'static str>,
    attributes: &'static [(&'static str, Places)],
}

const ASSERTION: Signed = Signed { assertion: true, response: false };
const RESPONSE: Signed = Signed { assertion: false, response: true };
const BOTH: Signed = Signed { assertion: true, response: true };
const EITHER: Signed = Signed { assertion: false, response: false };

impl Preset {
    /// All of them, by the names that the configuration has for them.
    pub const ALL: &'static [(&'static str, Preset)] = &[
        ("entra", Preset::Entra),
        ("adfs", Preset::Adfs),
        ("okta", Preset::Okta),
        ("google-workspace", Preset::GoogleWorkspace),
        ("shibboleth", Preset::Shibboleth),
        ("keycloak", Preset::Keycloak),
        ("onelogin", Preset::Onelogin),
        ("pingfederate", Preset::Pingfederate),
        ("jumpcloud", Preset::Jumpcloud),
        ("auth0", Preset::Auth0),
    ];

    /// What it writes.
    pub(super) fn wire(self) -> &'static Wire {
        match self {
            Self::Entra => &ENTRA,
            Self::Adfs => &ADFS,
            Self::Okta => &OKTA,
            Self::GoogleWorkspace => &GOOGLE_WORKSPACE,
            Self::Shibboleth => &SHIBBOLETH,
            Self::Keycloak => &KEYCLOAK,
            Self::Onelogin => &ONELOGIN,
            Self::Pingfederate => &PINGFEDERATE,
            Self::Jumpcloud => &JUMPCLOUD,
            Self::Auth0 => &AUTH0,
        }
    }

    /// Short names of its attributes, with those of the configuration in place of or beside them. A short name that the
    /// configuration gives no attribute has none.
    pub(super) fn names(self, own: &Names) -> Names {
        let preset = self.wire().attributes.iter().map(|(short, places)| {
            let sources = places.iter().map(|place| match place {
                Name(name) => Source::Name((*name).to_owned()),
                NameId(format) => Source::NameId((*format).to_owned()),
            });
            ((*short).to_owned(), sources.collect())
        });
        Names(preset.chain(own.0.clone()).collect())
    }
}

/// Microsoft Learn: "SAML token claims reference", "Customize SAML token claims", "Configure group claims for
/// applications"; "Advanced SAML token certificate signing options" (the default is *Sign SAML assertion*).
/// The NameID is the user principal name by default, which can change hands; the object id stays, and is always sent.
/// Groups are object ids. With more than 150 of them Entra sends `groups.link` in place of all.
const ENTRA: Wire = Wire {
    signed: ASSERTION,
    nameid_format: None,
    nameid_formats: &[PERSISTENT, EMAIL_ADDRESS, UNSPECIFIED],
    subject_attribute: Some("http://schemas.microsoft.com/identity/claims/objectidentifier"),
    attributes: &[
        ("email", &[Name(identity!("emailaddress"))]),
        ("name", &[Name("http://schemas.microsoft.com/identity/claims/displayname")]),
        ("given_name", &[Name(identity!("givenname"))]),
        ("family_name", &[Name(identity!("surname"))]),
        ("preferred_username", &[Name(identity!("name")), Name(identity!("upn"))]),
        ("groups", &[Name(windows!("groups"))]),
        ("groups_link", &[Name("http://schemas.microsoft.com/claims/groups.link")]),
        ("roles", &[Name(windows!("role"))]),
        ("tenant_id", &[Name("http://schemas.microsoft.com/identity/claims/tenantid")]),
        ("amr", &[Name("http://schemas.microsoft.com/claims/authnmethodsreferences")]),
    ],
};

/// Microsoft Learn: "The Role of Claims" (AD FS technical reference); `Set-AdfsRelyingPartyTrust`, whose
/// `SamlResponseSignature` is `AssertionOnly` by default. AD FS sends what its claim rules say and refuses wishes for
/// a NameID format that no rule fulfils, so it is not asked.
const ADFS: Wire = Wire {
    signed: ASSERTION,
    nameid_format: None,
    nameid_formats: &[PERSISTENT, EMAIL_ADDRESS, UNSPECIFIED, WINDOWS_NAME],
    subject_attribute: None,
    attributes: &[
        ("email", &[Name(identity!("emailaddress")), Name("http://schemas.xmlsoap.org/claims/EmailAddress")]),
        (
            "name",
            &[
                Name("http://schemas.microsoft.com/identity/claims/displayname"),
                Name("http://schemas.xmlsoap.org/claims/CommonName"),
                Name(identity!("name")),
            ],
        ),
        ("given_name", &[Name(identity!("givenname"))]),
        ("family_name", &[Name(identity!("surname"))]),
        (
            "preferred_username",
            &[
                Name(identity!("upn")),
                Name("http://schemas.xmlsoap.org/claims/UPN"),
                Name(windows!("windowsaccountname")),
            ],
        ),
        ("groups", &[Name("http://schemas.xmlsoap.org/claims/Group"), Name(windows!("groups"))]),
        ("roles", &[Name(windows!("role"))]),
    ],
};

/// Okta Help Center: "Application Integration Wizard SAML field reference": response and assertion are signed, the
/// NameID is the Okta user name in the unspecified format, attributes have the names that are given there; these are
/// the names of Okta's own profile and examples.
const OKTA: Wire = Wire {
    signed: BOTH,
    nameid_format: None,
    nameid_formats: &[UNSPECIFIED, EMAIL_ADDRESS, PERSISTENT],
    subject_attribute: None,
    attributes: &[
        ("email", &[Name("email"), Name("user.email"), NameId(EMAIL_ADDRESS)]),
        ("name", &[Name("displayName"), Name("user.displayName"), Name("name")]),
        ("given_name", &[Name("firstName"), Name("user.firstName"), Name("first_name")]),
        ("family_name", &[Name("lastName"), Name("user.lastName"), Name("last_name")]),
        ("preferred_username", &[Name("login"), Name("user.login")]),
        ("locale", &[Name("locale"), Name("user.locale")]),
        ("groups", &[Name("groups")]),
    ],
};

/// Google Workspace Admin Help: "Set up your own custom SAML app": the NameID is the primary address unless another
/// field is chosen, attributes and the one for groups have the names that are given there, and the assertion is signed
/// unless *Signed response* is ticked.
const GOOGLE_WORKSPACE: Wire = Wire {
    signed: ASSERTION,
    nameid_format: None,
    nameid_formats: &[EMAIL_ADDRESS, UNSPECIFIED, PERSISTENT],
    subject_attribute: None,
    attributes: &[
        ("email", &[Name("email"), Name("mail"), NameId(EMAIL_ADDRESS), NameId(UNSPECIFIED)]),
        ("name", &[Name("displayName"), Name("name")]),
        ("given_name", &[Name("firstName"), Name("first_name"), Name("givenName")]),
        ("family_name", &[Name("lastName"), Name("last_name"), Name("surname")]),
        ("groups", &[Name("groups"), Name("Groups")]),
    ],
};

/// REFEDS eduPerson 202208, RFC 4519 and RFC 2798 as `urn:oid:` names (MACE-Dir SAML Attribute Profiles §2.1), SAML
/// V2.0 Subject Identifier Attributes Profile 1.0; Shibboleth IdP 5: "SAML2SSOConfiguration" (responses signed,
/// assertions encrypted). The NameID is transient, so the key is the pairwise id.
const SHIBBOLETH: Wire = Wire {
    signed: RESPONSE,
    nameid_format: None,
    nameid_formats: &[PERSISTENT, TRANSIENT],
    subject_attribute: Some("urn:oasis:names:tc:SAML:attribute:pairwise-id"),
    attributes: &[
        ("email", &[Name("urn:oid:0.9.2342.19200300.100.1.3")]),
        ("name", &[Name("urn:oid:2.16.840.1.113730.3.1.241"), Name("urn:oid:2.5.4.3")]),
        ("given_name", &[Name("urn:oid:2.5.4.42")]),
        ("family_name", &[Name("urn:oid:2.5.4.4")]),
        ("preferred_username", &[Name(edu_person!("6")), Name("urn:oid:0.9.2342.19200300.100.1.1")]),
        ("locale", &[Name("urn:oid:2.16.840.1.113730.3.1.39")]),
        ("phone_number", &[Name("urn:oid:2.5.4.20")]),
        ("groups", &[Name("urn:oid:1.3.6.1.4.1.5923.1.5.1.1")]),
        ("affiliation", &[Name(edu_person!("1"))]),
        ("scoped_affiliation", &[Name(edu_person!("9"))]),
        ("entitlement", &[Name(edu_person!("7"))]),
        ("assurance", &[Name(edu_person!("11"))]),
        ("principal_name", &[Name(edu_person!("6"))]),
        ("unique_id", &[Name(edu_person!("13"))]),
        ("targeted_id", &[Name(edu_person!("10"))]),
        ("pairwise_id", &[Name("urn:oasis:names:tc:SAML:attribute:pairwise-id")]),
        ("subject_id", &[Name("urn:oasis:names:tc:SAML:attribute:subject-id")]),
        ("home_organization", &[Name("urn:oid:1.3.6.1.4.1.25178.1.2.9")]),
    ],
};

/// Keycloak Server Administration Guide: "Creating a SAML client" (*Sign documents* is on, *Sign assertions* off; the
/// format that is asked for is sent), "Protocol mappers": X.500 names for the built-in ones, `Role` several times
/// over for roles, `member` for groups.
const KEYCLOAK: Wire = Wire {
    signed: RESPONSE,
    nameid_format: Some(PERSISTENT),
    nameid_formats: &[PERSISTENT],
    subject_attribute: None,
    attributes: &[
        ("email", &[Name("urn:oid:1.2.840.113549.1.9.1"), Name("email")]),
        ("name", &[Name("name"), Name("displayName")]),
        ("given_name", &[Name("urn:oid:2.5.4.42"), Name("firstName")]),
        ("family_name", &[Name("urn:oid:2.5.4.4"), Name("lastName")]),
        ("preferred_username", &[Name("username")]),
        ("roles", &[Name("Role")]),
        ("groups", &[Name("member"), Name("groups")]),
    ],
};

/// OneLogin Knowledge Base: "SAML Custom Connector (Advanced)": the NameID is the address, the *SAML signature element*
/// is chosen there, and the parameters have the names that are given there; these are those of its own connectors.
const ONELOGIN: Wire = Wire {
    signed: EITHER,
    nameid_format: None,
    nameid_formats: &[EMAIL_ADDRESS, UNSPECIFIED, PERSISTENT],
    subject_attribute: None,
    attributes: &[
        ("email", &[Name("User.email"), Name("email"), NameId(EMAIL_ADDRESS)]),
        ("name", &[Name("displayName"), Name("name")]),
        ("given_name", &[Name("User.FirstName"), Name("firstName")]),
        ("family_name", &[Name("User.LastName"), Name("lastName")]),
        ("groups", &[Name("memberOf"), Name("groups")]),
    ],
};

/// PingFederate Server documentation: "Configuring IdP browser SSO", "Setting up an attribute contract", "Configuring
/// signature policy": the subject is `SAML_SUBJECT`, attributes have the names of the contract, and either the response
/// or the assertion is signed; these are the names of the directory attributes.
const PINGFEDERATE: Wire = Wire {
    signed: EITHER,
    nameid_format: None,
    nameid_formats: &[UNSPECIFIED, PERSISTENT, EMAIL_ADDRESS],
    subject_attribute: None,
    attributes: &[
        ("email", &[Name("mail"), Name("email"), NameId(EMAIL_ADDRESS)]),
        ("name", &[Name("displayName"), Name("cn")]),
        ("given_name", &[Name("givenName"), Name("firstName")]),
        ("family_name", &[Name("sn"), Name("lastName")]),
        ("preferred_username", &[Name("uid"), Name("sAMAccountName"), Name("username")]),
        ("groups", &[Name("memberOf"), Name("groups")]),
    ],
};

/// JumpCloud Support: "SSO Application Connector Fields", "SSO using Custom SAML Application Connectors": the NameID is
/// the address in the unspecified format (by its SAML 1.0 name), *Sign* is chosen there, attributes have the names that
/// are given there, and the one for groups is `memberOf`.
const JUMPCLOUD: Wire = Wire {
    signed: EITHER,
    nameid_format: None,
    nameid_formats: &[UNSPECIFIED_1_0, UNSPECIFIED, EMAIL_ADDRESS, PERSISTENT],
    subject_attribute: None,
    attributes: &[
        ("email", &[Name("email"), NameId(EMAIL_ADDRESS), NameId(UNSPECIFIED_1_0), NameId(UNSPECIFIED)]),
        ("name", &[Name("displayname"), Name("displayName"), Name("name")]),
        ("given_name", &[Name("firstname"), Name("firstName")]),
        ("family_name", &[Name("lastname"), Name("lastName")]),
        ("preferred_username", &[Name("username")]),
        ("groups", &[Name("memberOf"), Name("groups")]),
    ],
};

/// Auth0 Docs: "Customize SAML Assertions": the default mappings, `signResponse` false, the NameID is the user id in the
/// unspecified format, claims without a mapping are passed on below `http://schemas.auth0.com/`. Its default algorithm
/// is SHA-1, which we refuse: `signatureAlgorithm` and `digestAlgorithm` must be set there.
const AUTH0: Wire = Wire {
    signed: ASSERTION,
    nameid_format: None,
    nameid_formats: &[UNSPECIFIED, PERSISTENT],
    subject_attribute: None,
    attributes: &[
        ("email", &[Name(identity!("emailaddress"))]),
        ("name", &[Name(identity!("name"))]),
        ("given_name", &[Name(identity!("givenname"))]),
        ("family_name", &[Name(identity!("surname"))]),
        ("preferred_username", &[Name(identity!("upn"))]),
        ("nickname", &[Name("http://schemas.auth0.com/nickname")]),
        ("picture", &[Name("http://schemas.auth0.com/picture")]),
        ("email_verified", &[Name("http://schemas.auth0.com/email_verified")]),
        ("groups", &[Name("http://schemas.xmlsoap.org/claims/Group")]),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_has_the_name_that_the_configuration_has_for_it() {
        for (name, preset) in Preset::ALL {
            let read: Preset = serde_json::from_value((*name).into()).unwrap();
            assert_eq!(read, *preset);
        }
    }

    #[test]
    fn each_can_tell_people_apart() {
        for (name, preset) in Preset::ALL {
            let wire = preset.wire();
            let lasting = wire.nameid_formats.iter().any(|format| *format != TRANSIENT);
            assert!(lasting || wire.subject_attribute.is_some(), "{name}");
            assert!(wire.nameid_format.is_none_or(|asked| wire.nameid_formats.contains(&asked)), "{name}");
            let shorts: BTreeSet<_> = wire.attributes.iter().map(|(short, _)| *short).collect();
            assert_eq!(shorts.len(), wire.attributes.len(), "{name}: a short name twice");
            for due in ["email", "name", "given_name", "family_name"] {
                assert!(shorts.contains(due), "{name}: {due}");
            }
        }
    }

    #[test]
    fn short_names_keep_to_the_rules_of_the_configuration() {
        for (name, preset) in Preset::ALL {
            let names = preset.names(&Names::default());
            let table: toml::Table =
                names.0.keys().map(|short| (short.clone(), toml::Value::String("x".to_owned()))).collect();
            assert!(table.try_into::<Names>().is_ok(), "{name}");
        }
    }

    #[test]
    fn the_configuration_goes_before_the_preset_name_by_name() {
        let own: Names = toml::from_str("email = 'workmail'\nname = []\nteam = 'team'").unwrap();
        let names = Preset::Okta.names(&own);
        assert_eq!(names.0["email"], [Source::Name("workmail".to_owned())]);
        assert_eq!(names.0["name"], []);
        assert_eq!(names.0["team"], [Source::Name("team".to_owned())]);
        assert_eq!(names.0["groups"], [Source::Name("groups".to_owned())]);
    }
}
