//! The profile fields that a mapping can fill, and what each of them takes.

use crate::accounts::{Address, Profile};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// Characters of a profile field.
const MAX_FIELD: usize = 255;
/// Characters of an address (of a page, or of a house on several lines).
const MAX_LONG: usize = 2_048;
/// Digits of a telephone number, by its longest extension (E.164 §6.2.1 allows 15 without one).
const MAX_DIGITS: usize = 30;

/// The fields that a mapping can fill. Protocol claims (`sub`, `iss`, `email_verified` …) are not among
/// them: they have no place to go. Nor is `phone_number_verified`: a provider's word is no proof to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the claims of OIDC Core §5.1 and §5.1.1
pub enum Field {
    Name,
    GivenName,
    FamilyName,
    MiddleName,
    Nickname,
    PreferredUsername,
    Profile,
    Picture,
    Website,
    Gender,
    Birthdate,
    Zoneinfo,
    Locale,
    Email,
    PhoneNumber,
    AddressFormatted,
    AddressStreetAddress,
    AddressLocality,
    AddressRegion,
    AddressPostalCode,
    AddressCountry,
}

impl Field {
    /// All of them, with the claim each comes from unless a setting says otherwise; a dot leads into a claim
    /// that is an object.
    pub const ALL: [(Self, &'static str); 21] = [
        (Self::Name, "name"),
        (Self::GivenName, "given_name"),
        (Self::FamilyName, "family_name"),
        (Self::MiddleName, "middle_name"),
        (Self::Nickname, "nickname"),
        (Self::PreferredUsername, "preferred_username"),
        (Self::Profile, "profile"),
        (Self::Picture, "picture"),
        (Self::Website, "website"),
        (Self::Gender, "gender"),
        (Self::Birthdate, "birthdate"),
        (Self::Zoneinfo, "zoneinfo"),
        (Self::Locale, "locale"),
        (Self::Email, "email"),
        (Self::PhoneNumber, "phone_number"),
        (Self::AddressFormatted, "address.formatted"),
        (Self::AddressStreetAddress, "address.street_address"),
        (Self::AddressLocality, "address.locality"),
        (Self::AddressRegion, "address.region"),
        (Self::AddressPostalCode, "address.postal_code"),
        (Self::AddressCountry, "address.country"),
    ];

    /// What a provider says by the field's usual claim.
    pub(super) fn usual(claim: &str, claims: &Map<String, Json>) -> Option<String> {
        let value = match claim.split_once('.') {
            Some((outer, inner)) => claims.get(outer).and_then(|object| object.get(inner)),
            None => claims.get(claim),
        };
        value.and_then(Json::as_str).map(str::to_owned)
    }

    /// The value as it may be kept, if it is one for this field.
    pub(super) fn accept(self, text: &str) -> Option<String> {
        let text = text.trim();
        let lines = matches!(self, Self::AddressFormatted | Self::AddressStreetAddress);
        let long = lines || matches!(self, Self::Picture | Self::Profile | Self::Website);
        let limit = if long { MAX_LONG } else { MAX_FIELD };
        // OIDC Core §5.1.1: these two may have line breaks
        let broken = |c: char| c.is_control() && !(lines && matches!(c, '\r' | '\n'));
        if text.is_empty() || text.chars().count() > limit || text.chars().any(broken) {
            return None;
        }
        let fits = match self {
            // a picture is shown on pages: nothing but an https address
            Self::Picture => is_web(text, &["https"]),
            Self::Profile | Self::Website => is_web(text, &["https", "http"]),
            Self::Locale => text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')),
            Self::Zoneinfo => {
                text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/' | b'+'))
            }
            Self::Birthdate => is_birthdate(text),
            Self::PhoneNumber => is_phone_number(text),
            _ => true,
        };
        fits.then(|| text.to_owned())
    }

    /// The field's place.
    pub(super) fn place<'m>(
        self,
        profile: &'m mut Profile,
        address: &'m mut Address,
        email: &'m mut Option<String>,
    ) -> &'m mut Option<String> {
        match self {
            Self::Name => &mut profile.name,
            Self::GivenName => &mut profile.given_name,
            Self::FamilyName => &mut profile.family_name,
            Self::MiddleName => &mut profile.middle_name,
            Self::Nickname => &mut profile.nickname,
            Self::PreferredUsername => &mut profile.preferred_username,
            Self::Profile => &mut profile.profile,
            Self::Picture => &mut profile.picture,
            Self::Website => &mut profile.website,
            Self::Gender => &mut profile.gender,
            Self::Birthdate => &mut profile.birthdate,
            Self::Zoneinfo => &mut profile.zoneinfo,
            Self::Locale => &mut profile.locale,
            Self::Email => email,
            Self::PhoneNumber => &mut profile.phone_number,
            Self::AddressFormatted => &mut address.formatted,
            Self::AddressStreetAddress => &mut address.street_address,
            Self::AddressLocality => &mut address.locality,
            Self::AddressRegion => &mut address.region,
            Self::AddressPostalCode => &mut address.postal_code,
            Self::AddressCountry => &mut address.country,
        }
    }
}

/// The address of a page, without a user name in it.
fn is_web(text: &str, schemes: &[&str]) -> bool {
    url::Url::parse(text).is_ok_and(|url| schemes.contains(&url.scheme()) && url.username().is_empty())
}

/// `YYYY-MM-DD` (the year `0000` where it is not told) or `YYYY` (OIDC Core §5.1).
fn is_birthdate(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut next = |length: usize, most: u32| match parts.next() {
        Some(part) if part.len() == length && part.bytes().all(|b| b.is_ascii_digit()) => {
            part.parse().is_ok_and(|number: u32| number <= most && (length == 4 || number > 0))
        }
        _ => false,
    };
    next(4, 9999) && (text.len() == 4 || (next(2, 12) && next(2, 31) && text.len() == 10))
}

/// E.164, perhaps with the marks that people write, and an extension by RFC 3966 (OIDC Core §5.1).
fn is_phone_number(text: &str) -> bool {
    let (number, extension) = text.split_once(";ext=").unwrap_or((text, ""));
    let rest = number.strip_prefix('+').unwrap_or(number);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (3..=MAX_DIGITS).contains(&digits)
        && rest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'-' | b'.' | b'(' | b')' | b'/'))
        && extension.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_numbers_have_a_form() {
        for good in ["1970-01-31", "0000-12-01", "1970"] {
            assert_eq!(Field::Birthdate.accept(good).as_deref(), Some(good));
        }
        for bad in [
            "70-1-1",
            "1970-13-01",
            "1970-00-01",
            "1970-01-00",
            "1970-01-01-01",
            "1970-",
            "soon",
            "197٠",
            "01970-1-31",
            "+197-01-31",
            "1970-+1-31",
            "1970-01-+1",
            "1970-12-32",
        ] {
            assert_eq!(Field::Birthdate.accept(bad), None, "{bad}");
        }
        for good in ["+1 (604) 555-1234;ext=5678", "+4930901820", "112"] {
            assert_eq!(Field::PhoneNumber.accept(good).as_deref(), Some(good));
        }
        for bad in ["+", "call me", "+49x30", "0+49 30 1", "12", "+49 30;ext=a", &"1".repeat(40)] {
            assert_eq!(Field::PhoneNumber.accept(bad), None, "{bad}");
        }
    }

    #[test]
    fn places_and_languages_are_words() {
        for good in ["de", "de-CH", "zh_Hant_TW"] {
            assert_eq!(Field::Locale.accept(good).as_deref(), Some(good));
        }
        for bad in ["de CH", "<b>", "de/CH", "d\u{e9}"] {
            assert_eq!(Field::Locale.accept(bad), None, "{bad}");
        }
        for good in ["Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+1", "America/Port-au-Prince"]
        {
            assert_eq!(Field::Zoneinfo.accept(good).as_deref(), Some(good));
        }
        for bad in ["Europe Berlin", "<b>", "Europe\\Berlin"] {
            assert_eq!(Field::Zoneinfo.accept(bad), None, "{bad}");
        }
    }

    #[test]
    fn fields_have_a_length() {
        for (field, start, most) in [
            (Field::Name, "", 255),
            (Field::AddressLocality, "", 255),
            (Field::AddressFormatted, "", 2048),
            (Field::AddressStreetAddress, "", 2048),
            (Field::Picture, "https://a.example/", 2048),
            (Field::Profile, "https://a.example/", 2048),
            (Field::Website, "http://a.example/", 2048),
        ] {
            let text = format!("{start}{}", "\u{e9}".repeat(most - start.len()));
            assert!(field.accept(&text).is_some(), "{field:?}");
            assert_eq!(field.accept(&format!("{text}x")), None, "{field:?}");
        }
        assert_eq!(Field::Name.accept(" "), None);
        let digits = |count: usize| Field::PhoneNumber.accept(&"1".repeat(count));
        assert!(digits(3).is_some() && digits(30).is_some());
        assert!(digits(2).is_none() && digits(31).is_none());
    }

    #[test]
    fn only_houses_have_lines() {
        let lines = "1 Main St\r\nSpringfield";
        assert_eq!(Field::AddressFormatted.accept(lines).as_deref(), Some(lines));
        assert_eq!(Field::AddressStreetAddress.accept("a\tb"), None);
        assert_eq!(Field::AddressLocality.accept(lines), None);
    }

    #[test]
    fn pages_are_web_addresses() {
        for field in [Field::Profile, Field::Website, Field::Picture] {
            assert!(field.accept("https://a.example/me").is_some());
            for bad in ["javascript:alert(1)", "https://user@a.example", "a.example", "data:text/html,x"] {
                assert_eq!(field.accept(bad), None, "{bad}");
            }
        }
        assert_eq!(Field::Picture.accept("http://a.example/p.png"), None);
    }
}
