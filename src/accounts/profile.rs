//! What we know of a person, by the names of OIDC Core §5.1. Absent fields are not issued. Whether a telephone
//! number is verified is no field: nobody has proved one to us, and a provider's word is no proof.

use serde::{Deserialize, Serialize};

/// What we know of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Full name for display.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Given names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Family names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// Middle names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<String>,
    /// Casual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// A short name the person likes; not unique, never a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// URL of a page about the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// URL of a picture (https).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// URL of the person's own page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// Gender, as the person says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<String>,
    /// `YYYY-MM-DD`, `0000-MM-DD` without the year, or `YYYY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthdate: Option<String>,
    /// Time zone name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoneinfo: Option<String>,
    /// BCP 47 language tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Telephone number, as a provider said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// Postal address; never one without any part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The name was told to us by the person, so that a provider that says none does not unsay it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub name_by_person: bool,
}

/// A postal address (OIDC Core §5.1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// As it is written on a letter; may have line breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    /// Street, house, post box; may have line breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_address: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// State, province or region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl Profile {
    /// This profile, with an older one's values where it has none. An address is taken as a whole: half of one
    /// and half of another would be nobody's.
    #[must_use]
    pub fn or(mut self, old: &Self) -> Self {
        fn fill<T: Clone>(new: &mut Option<T>, old: &Option<T>) {
            if new.is_none() {
                new.clone_from(old);
            }
        }
        if self.name.is_none() {
            self.name_by_person = old.name_by_person;
        }
        fill(&mut self.name, &old.name);
        fill(&mut self.given_name, &old.given_name);
        fill(&mut self.family_name, &old.family_name);
        fill(&mut self.middle_name, &old.middle_name);
        fill(&mut self.nickname, &old.nickname);
        fill(&mut self.preferred_username, &old.preferred_username);
        fill(&mut self.profile, &old.profile);
        fill(&mut self.picture, &old.picture);
        fill(&mut self.website, &old.website);
        fill(&mut self.gender, &old.gender);
        fill(&mut self.birthdate, &old.birthdate);
        fill(&mut self.zoneinfo, &old.zoneinfo);
        fill(&mut self.locale, &old.locale);
        fill(&mut self.phone_number, &old.phone_number);
        fill(&mut self.address, &old.address);
        self
    }
    /// This profile in place of an older one, of which only what the person told stays where this one is silent.
    #[must_use]
    pub fn instead_of(mut self, old: &Self) -> Self {
        if self.name.is_none() && old.name_by_person {
            self.name.clone_from(&old.name);
            self.name_by_person = true;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_new_goes_first_and_nothing_old_is_lost() {
        let member = |at: &str| {
            json!({"name": at, "profile": at, "website": at, "gender": at, "birthdate": at,
            "phone_number": at, "address": {"country": at}, "given_name": at, "family_name": at,
            "middle_name": at, "nickname": at, "preferred_username": at, "picture": at, "zoneinfo": at,
            "locale": at})
        };
        let read = |value| serde_json::from_value::<Profile>(value).unwrap();
        let (old, new) = (read(member("old")), read(member("new")));
        assert_eq!(serde_json::to_value(&new).unwrap(), member("new"), "every field is named here");
        assert_eq!(new.clone().or(&old), new);
        assert_eq!(Profile::default().or(&old), old);
    }

    #[test]
    fn what_the_person_told_stays_until_a_provider_says_otherwise() {
        let named = |name: &str, by_person| Profile {
            name: Some(name.to_owned()),
            nickname: Some("n".to_owned()),
            name_by_person: by_person,
            ..Profile::default()
        };
        let silent = Profile::default();
        let stays = silent.clone().instead_of(&named("Ann", true));
        assert_eq!(stays, Profile { nickname: None, ..named("Ann", true) });
        assert_eq!(silent.clone().instead_of(&named("Ann", false)), silent, "a provider's own name goes");
        assert_eq!(named("Bea", false).instead_of(&named("Ann", true)), named("Bea", false));
        assert!(silent.or(&named("Ann", true)).name_by_person);
        assert!(!named("Bea", false).or(&named("Ann", true)).name_by_person);
    }

    #[test]
    fn a_profile_of_an_earlier_version_reads_as_one_without_the_rest() {
        let old: Profile = serde_json::from_str(r#"{"name":"A","later":1}"#).unwrap();
        assert_eq!(old, Profile { name: Some("A".to_owned()), ..Profile::default() });
    }
}
