//! Parameters of a query string or a form body, decoded exactly once.
//!
//! A strict reading of `application/x-www-form-urlencoded` (RFC 6749 appendix B): a broken escape or broken
//! UTF-8 is refused and never repaired, because two readers that repair differently are an attack.

use crate::failure::{Failure, RECORDED, shown};
use std::borrow::Cow;

/// The longest encoded query or body that is read, in bytes.
pub const MAX_ENCODED: usize = 16 * 1024;
/// The most parameters that are read.
pub const MAX_COUNT: usize = 64;
/// The longest decoded value, in bytes, but for the names in [`LONG`].
pub const MAX_VALUE: usize = 2048;
/// The longest decoded value of the parameters that carry tokens or lists, in bytes.
pub const MAX_LONG_VALUE: usize = 8 * 1024;

/// The longest form that carries a provider's message, in bytes, and the longest such message.
pub const MAX_MESSAGE: usize = 512 * 1024;

/// Parameters that carry whole messages of providers (SAML Bindings §3.4, §3.5): base64, which some break into
/// lines.
const MESSAGES: &[&str] = &["SAMLRequest", "SAMLResponse"];
/// Parameters that carry tokens or lists and so may be longer.
const LONG: &[&str] = &[
    "access_token",
    "claims",
    "client_assertion",
    // providers' codes, at our callback
    "code",
    "id_token_hint",
    "registration",
    "request",
    "scope",
    "token",
];

/// What providers say in other words than an app does, each as long as its own check can judge: a logout token
/// (OIDC Back-Channel Logout §2.5) as long as any token, the others by the kind's own rule.
const LONG_OF_PROVIDERS: &[(&str, usize)] =
    &[("logout_token", 64 * 1024), ("signed_request", MAX_LONG_VALUE), ("user", 64 * 1024)];
/// What providers write for people who look into errors (RFC 6749 §4.1.2.1): no decision stands on it, so it is
/// cut and cleaned and never a reason to refuse the error that it explains. Microsoft's has line breaks.
const TOLD_BY_PROVIDERS: &[&str] = &["error_description", "error_reason", "error_uri"];

/// Whose parameters are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    App,
    Provider,
}

/// Parameters that may be sent more than once (RFC 8707 §2, RFC 8693 §2.1).
const REPEATABLE: &[&str] = &["resource", "audience"];

/// What is wrong with one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    Repeated,
    Control,
    TooLong,
}

impl Defect {
    fn failure(self, name: &str) -> Failure {
        let (reason, note) = match self {
            // RFC 6749 §3.1 and §3.2
            Self::Repeated => ("request.duplicate_parameter", "a parameter was sent more than once"),
            Self::Control => ("request.control_character", "a parameter has a control character"),
            Self::TooLong => ("request.too_long", "a parameter is too long"),
        };
        let shown: String = name.chars().filter(|c| c.is_ascii_graphic()).take(40).collect();
        Failure::invalid_request(reason, note).expected("one clean, short value", shown)
    }
}

struct Pair<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
    defect: Option<Defect>,
}

/// Decoded parameters. Empty ones are left out, as if they had not been sent (RFC 6749 §3.1).
///
/// Defects of single parameters are remembered and not refused at once, so that an authorization request
/// can be answered at its redirect URI where that one is sound. [`Parameters::check`] refuses them all.
pub struct Parameters<'a> {
    pairs: Vec<Pair<'a>>,
}

impl<'a> Parameters<'a> {
    /// Decodes a query string (without `?`) or a form body.
    ///
    /// # Errors
    /// `request.too_large`: more than [`MAX_ENCODED`] bytes or [`MAX_COUNT`] parameters;
    /// `request.encoding`: a broken percent escape or broken UTF-8.
    pub fn decode(encoded: &'a str) -> Result<Self, Failure> {
        Self::decode_from(Sender::App, encoded)
    }

    /// The same for a provider's message, which may be as long as [`MAX_MESSAGE`]. What it writes to explain an error
    /// is cut and cleaned here, whatever stands in it.
    ///
    /// # Errors
    /// As [`Parameters::decode`].
    pub fn decode_message(encoded: &'a str) -> Result<Self, Failure> {
        Self::decode_from(Sender::Provider, encoded)
    }

    fn decode_from(sender: Sender, encoded: &'a str) -> Result<Self, Failure> {
        let most = match sender {
            Sender::App => MAX_ENCODED,
            Sender::Provider => MAX_MESSAGE,
        };
        if encoded.len() > most {
            return Err(Failure::invalid_request("request.too_large", "the request is too long"));
        }
        let mut pairs: Vec<Pair<'a>> = Vec::with_capacity(8);
        let mut seen = 0_usize;
        for piece in encoded.split('&').filter(|piece| !piece.is_empty()) {
            seen += 1;
            if seen > MAX_COUNT {
                return Err(Failure::invalid_request("request.too_large", "too many parameters"));
            }
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let (Some(name), Some(value)) = (form_decode(name), form_decode(value)) else {
                return Err(Failure::invalid_request("request.encoding", "a broken escape or broken UTF-8"));
            };
            add(&mut pairs, sender, name, value);
        }
        Ok(Self { pairs })
    }

    /// Takes names and values that were decoded elsewhere, by the same rules.
    ///
    /// # Errors
    /// `request.too_large`: more than [`MAX_COUNT`] parameters, or more than [`MAX_ENCODED`] bytes in all.
    pub fn from_pairs(sent: Vec<(String, String)>) -> Result<Parameters<'static>, Failure> {
        let size: usize = sent.iter().map(|(name, value)| name.len() + value.len()).sum();
        if sent.len() > MAX_COUNT || size > MAX_ENCODED {
            return Err(Failure::invalid_request("request.too_large", "the request is too long"));
        }
        let mut pairs = Vec::with_capacity(sent.len());
        for (name, value) in sent {
            add(&mut pairs, Sender::App, Cow::Owned(name), Cow::Owned(value));
        }
        Ok(Parameters { pairs })
    }

    /// The parameters as a query or form body; call [`Parameters::check`] first.
    pub fn encoded(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.iter()).finish()
    }

    /// Refuses every defect: a parameter that was repeated, is too long or has a control character.
    ///
    /// # Errors
    /// `request.duplicate_parameter`, `request.control_character`, `request.too_long`.
    pub fn check(&self) -> Result<(), Failure> {
        for pair in &self.pairs {
            if let Some(defect) = pair.defect {
                return Err(defect.failure(&pair.name));
            }
        }
        Ok(())
    }

    /// The value of a parameter, checked for its own defects only.
    ///
    /// # Errors
    /// As [`Parameters::check`].
    pub fn sound(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.pairs.iter().find(|pair| pair.name == name) {
            None => Ok(None),
            Some(Pair { defect: Some(defect), .. }) => Err(defect.failure(name)),
            Some(pair) => Ok(Some(&pair.value)),
        }
    }

    /// The value of a parameter; one with a defect counts as absent, so call [`Parameters::check`] first.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.sound(name).ok().flatten()
    }

    /// All values of a parameter that may be repeated.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.pairs.iter().filter(move |pair| pair.name == name && pair.defect.is_none()).map(|p| &*p.value)
    }

    /// All names and values, in the order in which they came; call [`Parameters::check`] first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().filter(|pair| pair.defect.is_none()).map(|pair| (&*pair.name, &*pair.value))
    }

    /// Whether the parameter was sent with a value, sound or not.
    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|pair| pair.name == name)
    }
}

impl std::fmt::Debug for Parameters<'_> {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|pair| &pair.name)).finish()
    }
}

fn add<'a>(pairs: &mut Vec<Pair<'a>>, sender: Sender, name: Cow<'a, str>, value: Cow<'a, str>) {
    if value.is_empty() {
        return;
    }
    let told = sender == Sender::Provider && TOLD_BY_PROVIDERS.contains(&&*name);
    let value = if told { Cow::Owned(shown(&value, RECORDED)) } else { value };
    let defect = defect_of(sender, &name, &value);
    let earlier = pairs.iter_mut().find(|pair| pair.name == name);
    match earlier {
        Some(earlier) if !REPEATABLE.contains(&&*name) => earlier.defect = Some(Defect::Repeated),
        _ => pairs.push(Pair { name, value, defect }),
    }
}

fn defect_of(sender: Sender, name: &str, value: &str) -> Option<Defect> {
    let of_provider = LONG_OF_PROVIDERS.iter().find(|(long, _)| sender == Sender::Provider && *long == name);
    let limit = match (name, of_provider) {
        (_, Some((_, limit))) => *limit,
        (name, None) if MESSAGES.contains(&name) => MAX_MESSAGE,
        (name, None) if LONG.contains(&name) => MAX_LONG_VALUE,
        _ => MAX_VALUE,
    };
    if value.len() > limit || name.len() > 256 {
        Some(Defect::TooLong)
    } else if name.chars().any(char::is_control)
        || value.chars().any(|c| c.is_control() && !is_space(name, c))
    {
        Some(Defect::Control)
    } else {
        None
    }
}

/// White space of JSON (RFC 8259 §2), which may stand in the one parameter that is JSON (OIDC Core §5.5), and line
/// breaks within base64.
fn is_space(name: &str, c: char) -> bool {
    (name == "claims" || MESSAGES.contains(&name)) && matches!(c, '\t' | '\n' | '\r')
}

/// Decodes one name or value: `+` is a space, `%XX` a byte, and the bytes must be UTF-8. `None` on a broken
/// escape or broken UTF-8.
pub fn form_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|b| b == b'+' || b == b'%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (hex_digit(bytes.next()?)?, hex_digit(bytes.next()?)?);
                high * 16 + low
            }
            other => other,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(encoded: &str) -> &'static str {
        match Parameters::decode(encoded).and_then(|p| p.check()) {
            Ok(()) => "ok",
            Err(failure) => failure.reason,
        }
    }

    #[test]
    fn oauth_021_empty_parameters_count_as_omitted() {
        let parameters = Parameters::decode("scope=&state&a=1").unwrap();
        assert_eq!(parameters.get("scope"), None);
        assert!(!parameters.has("state"));
        assert_eq!(parameters.get("a"), Some("1"));
    }

    #[test]
    fn a_parameter_sent_twice_is_refused_but_for_resource_and_audience() {
        assert_eq!(reason("state=1&state=1"), "request.duplicate_parameter");
        assert_eq!(reason("unknown=1&unknown=2"), "request.duplicate_parameter");
        assert_eq!(reason("resource=urn:a&resource=urn:b"), "ok");
        assert_eq!(reason("audience=a&audience=b&state=1"), "ok");
        let parameters = Parameters::decode("state=1&state=2").unwrap();
        assert_eq!(parameters.get("state"), None, "neither of the two is taken");
        let parameters = Parameters::decode("resource=urn:a&resource=urn:b").unwrap();
        assert_eq!(parameters.all("resource").collect::<Vec<_>>(), ["urn:a", "urn:b"]);
    }

    #[test]
    fn oauth_022_control_characters_are_refused() {
        for bad in ["state=%0d%0aSet-Cookie:", "state=%00", "state=a%7f", "state=%C2%85", "st%0aate=1"] {
            assert_eq!(reason(bad), "request.control_character", "{bad}");
        }
        assert_eq!(reason("state=a%20b%C3%A9"), "ok");
        // JSON that was laid out for people (RFC 8259 §2)
        assert_eq!(reason("claims=%7B%0D%0A%09%22userinfo%22%3Anull%7D"), "ok");
        assert_eq!(reason("claims=%7B%00%7D"), "request.control_character");
    }

    #[test]
    fn oauth_023_long_parameters_are_refused() {
        assert_eq!(reason(&format!("state={}", "x".repeat(MAX_VALUE))), "ok");
        assert_eq!(reason(&format!("state={}", "x".repeat(MAX_VALUE + 1))), "request.too_long");
        assert_eq!(reason(&format!("id_token_hint={}", "x".repeat(MAX_LONG_VALUE))), "ok");
        assert_eq!(reason(&"x".repeat(MAX_ENCODED + 1)), "request.too_large");
        let many: String = (0..=MAX_COUNT).map(|i| format!("p{i}=1&")).collect();
        assert_eq!(reason(&many), "request.too_large");
    }

    #[test]
    fn a_provider_s_message_may_be_long_and_nothing_beside_it() {
        let reason = |encoded: &str| match Parameters::decode_message(encoded).and_then(|p| p.check()) {
            Ok(()) => "ok",
            Err(failure) => failure.reason,
        };
        let long = "x".repeat(MAX_ENCODED * 4);
        assert_eq!(reason(&format!("SAMLResponse={long}&RelayState=r")), "ok");
        assert_eq!(reason(&format!("SAMLResponse={long}%0D%0A{long}")), "ok");
        assert_eq!(reason(&format!("RelayState={long}")), "request.too_long");
        assert_eq!(reason("RelayState=a%0D%0Ab"), "request.control_character");
        assert_eq!(reason(&format!("SAMLResponse={}", "x".repeat(MAX_MESSAGE))), "request.too_large");
        assert_eq!(super::tests::reason(&format!("SAMLRequest={long}")), "request.too_large");
        assert_eq!(reason("SAMLResponse=a&SAMLResponse=b"), "request.duplicate_parameter");
    }

    #[test]
    fn what_a_provider_says_of_an_error_is_cut_and_cleaned_and_refuses_nothing() {
        let read = |encoded: &str| {
            let parameters = Parameters::decode_message(encoded).unwrap();
            parameters.check().map_err(|failure| failure.reason)?;
            Ok(parameters.iter().map(|(_, value)| value.to_owned()).collect::<Vec<_>>())
        };
        let long = "x".repeat(3000);
        for name in ["error_description", "error_reason", "error_uri"] {
            assert_eq!(read(&format!("{name}=a%0d%0ab")), Ok(vec!["a\u{fffd}\u{fffd}b".to_owned()]));
            assert_eq!(read(&format!("{name}={long}")), Ok(vec![format!("{}…", "x".repeat(RECORDED))]));
            assert_eq!(read(&format!("{name}=a&{name}=b")), Err("request.duplicate_parameter"));
            // the valid twins: nothing else of theirs, and nothing of an app's
            assert_eq!(reason(&format!("{name}=a%0d%0ab")), "request.control_character");
            assert_eq!(reason(&format!("{name}={long}")), "request.too_long");
        }
        for name in ["error", "state", "iss", "code"] {
            assert_eq!(read(&format!("{name}=a%0d%0ab")), Err("request.control_character"), "{name}");
        }
        assert_eq!(read(&format!("error={long}")), Err("request.too_long"));
    }

    #[test]
    fn what_only_providers_send_may_be_as_long_as_its_own_check_can_judge() {
        let of_provider = |name: &str, length: usize| {
            let encoded = format!("{name}={}", "x".repeat(length));
            let checked = Parameters::decode_message(&encoded).and_then(|parameters| parameters.check());
            checked.map_err(|failure| failure.reason)
        };
        for (name, most) in
            [("logout_token", 64 * 1024), ("signed_request", 8 * 1024), ("user", 64 * 1024), ("state", 2048)]
        {
            assert_eq!(of_provider(name, most), Ok(()), "{name}");
            assert_eq!(of_provider(name, most + 1), Err("request.too_long"), "{name}");
            assert_eq!(
                reason(&format!("{name}={}", "x".repeat(2049))),
                "request.too_long",
                "of an app: {name}"
            );
        }
    }

    #[test]
    fn broken_escapes_and_broken_utf8_are_refused() {
        for bad in ["a=%", "a=%2", "a=%zz", "a=%+1", "a=%C3", "%FF=1"] {
            assert_eq!(reason(bad), "request.encoding", "{bad}");
        }
    }

    #[test]
    fn decoded_pairs_are_held_to_the_same_rules() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let reason =
            |pairs: Vec<(String, String)>| match Parameters::from_pairs(pairs).and_then(|p| p.check()) {
                Ok(()) => "ok",
                Err(failure) => failure.reason,
            };
        assert_eq!(reason(vec![pair("state", "1"), pair("scope", "")]), "ok");
        assert_eq!(reason(vec![pair("state", "1"), pair("state", "1")]), "request.duplicate_parameter");
        assert_eq!(reason(vec![pair("state", "a\r\n")]), "request.control_character");
        assert_eq!(reason(vec![pair("state", &"x".repeat(MAX_VALUE + 1))]), "request.too_long");
        assert_eq!(reason(vec![pair("scope", &"x".repeat(MAX_ENCODED))]), "request.too_large");
        assert_eq!(reason((0..=MAX_COUNT).map(|i| pair(&i.to_string(), "1")).collect()), "request.too_large");
        let parameters =
            Parameters::from_pairs(vec![pair("a", "1 &="), pair("resource", "x"), pair("resource", "y")]);
        assert_eq!(parameters.unwrap().encoded(), "a=1+%26%3D&resource=x&resource=y");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(name in "[a-z_]{1,10}", value in "\\PC{1,100}") {
            let encoded: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair(&name, &value).finish();
            let parameters = Parameters::decode(&encoded).unwrap();
            prop_assert_eq!(parameters.get(&name), Some(value.as_str()));
        }

        #[test]
        fn no_text_panics_or_yields_a_control_character(text in ".{0,400}") {
            if let Ok(parameters) = Parameters::decode(&text)
                && parameters.check().is_ok() {
                for pair in &parameters.pairs {
                    prop_assert!(!pair.value.chars().any(|c| c.is_control() && !is_space(&pair.name, c)));
                }
            }
        }
    }
}
