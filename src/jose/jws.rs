//! The compact form of a JWS (RFC 7515 §7.1), taken apart strictly. Nothing is verified here.

use super::{Alg, JoseError, json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 64 * 1024;
/// The longest header, in bytes of base64url.
const MAX_HEADER: usize = 8 * 1024;

/// The members of a header that have a meaning here. All others are ignored, above all those that bring a
/// key or its address: `jku`, `jwk`, `x5u`, `x5c` (RFC 8725 §3.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<A = Alg> {
    /// The algorithm.
    pub alg: A,
    /// The key, if it was named.
    pub kid: Option<String>,
    /// The type, as it was written (RFC 7515 §4.1.9).
    pub typ: Option<String>,
}

/// A token taken apart.
#[derive(Debug)]
pub(super) struct Compact<'a, A = Alg> {
    pub header: Header<A>,
    /// What the signature covers.
    pub input: &'a [u8],
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
}

/// Takes a token apart.
///
/// # Errors
/// `jose.format`, `jose.alg` (unknown, `none` or HMAC), `jose.kid` (not a text), `jose.crit`.
pub(super) fn parse(token: &str) -> Result<Compact<'_>, JoseError> {
    parse_as(token, Alg::parse)
}

/// The same, with another reading of the algorithm's name.
pub(super) fn parse_as<A>(
    token: &str,
    algorithm: impl FnOnce(&str) -> Option<A>,
) -> Result<Compact<'_, A>, JoseError> {
    if token.len() > MAX_TOKEN {
        return Err(JoseError::format("the token is too long"));
    }
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(sign), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(JoseError::format("the token does not have three parts"));
    };
    if head.len() > MAX_HEADER {
        return Err(JoseError::format("the header is too long"));
    }
    let header = header(&decode(head, "header")?, algorithm)?;
    let payload = decode(body, "payload")?;
    let signature = decode(sign, "signature")?;
    let input = token.get(..head.len() + 1 + body.len()).unwrap_or_default().as_bytes();
    Ok(Compact { header, input, payload, signature })
}

/// Base64url without padding, without white space, and without stray bits at the end (RFC 7515 §2).
fn decode(part: &str, name: &str) -> Result<Vec<u8>, JoseError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JoseError::format(format!("the {name} is not base64url")))
}

fn header<A>(bytes: &[u8], algorithm: impl FnOnce(&str) -> Option<A>) -> Result<Header<A>, JoseError> {
    let object = json::object(bytes).map_err(|error| JoseError::format(format!("the header is {error}")))?;
    // We implement no extension, so each one that must be understood is a reason to refuse (RFC 7515
    // §4.1.11); `b64` must always come with `crit` (RFC 7797 §6), and is refused if it does not, too.
    if object.contains_key("crit") || object.contains_key("b64") {
        return Err(JoseError::new("jose.crit", "the header demands an extension"));
    }
    // RFC 7516 §9: what has `enc` is encrypted.
    if object.contains_key("enc") {
        return Err(JoseError::format("the token is encrypted, not signed"));
    }
    let text = |name: &str| match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("the header's {name} is not a text")),
    };
    let refuse = |reason| move |note: String| JoseError::new(reason, note);
    let alg = text("alg").map_err(refuse("jose.alg"))?;
    let alg = alg
        .as_deref()
        .and_then(algorithm)
        .ok_or_else(|| JoseError::new("jose.alg", "the algorithm is missing or not one that we verify"))?;
    let kid = text("kid").map_err(refuse("jose.kid"))?;
    let typ = text("typ").map_err(refuse("jose.format"))?;
    // A nested token would need a second verification, which nobody asked for (RFC 7519 §5.2).
    if let Some(cty) = text("cty").map_err(refuse("jose.format"))?
        && cty.to_ascii_lowercase().trim_start_matches("application/") == "jwt"
    {
        return Err(JoseError::format("the token is nested"));
    }
    Ok(Header { alg, kid, typ })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(header: &str) -> String {
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"), "AAAA")
    }
    fn reason(token: &str) -> &'static str {
        parse(token).map_or_else(|error| error.reason(), |_| "accepted")
    }

    #[test]
    fn a_plain_token_is_taken_apart() {
        let token = token(r#"{"alg":"RS256","kid":"k","typ":"JWT","jku":"https://evil.test","x5c":[]}"#);
        let compact = parse(&token).unwrap();
        assert_eq!(
            compact.header,
            Header { alg: Alg::RS256, kid: Some("k".into()), typ: Some("JWT".into()) }
        );
        assert_eq!(compact.payload, b"{}");
        assert_eq!(compact.signature, [0, 0, 0]);
        assert_eq!(format!("{}.AAAA", std::str::from_utf8(compact.input).unwrap()), token);
    }

    #[test]
    fn oidc_017_018_none_and_hmac_are_no_algorithms() {
        for alg in ["\"none\"", "\"None\"", "\"nOnE\"", "\"HS256\"", "\"\"", "null", "[\"RS256\"]", "256"] {
            assert_eq!(reason(&token(&format!("{{\"alg\":{alg}}}"))), "jose.alg", "{alg}");
        }
        assert_eq!(reason(&token("{}")), "jose.alg");
        let unsigned = token(r#"{"alg":"none"}"#);
        assert_eq!(reason(unsigned.trim_end_matches('A')), "jose.alg");
    }

    #[test]
    fn oidc_025_no_extension_is_understood() {
        assert_eq!(reason(&token(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#)), "jose.crit");
        assert_eq!(reason(&token(r#"{"alg":"RS256","b64":false}"#)), "jose.crit");
        assert_eq!(reason(&token(r#"{"alg":"RS256","crit":["exp"],"exp":1}"#)), "jose.crit");
        assert_eq!(reason(&token(r#"{"alg":"RS256","crit":[]}"#)), "jose.crit");
    }

    #[test]
    fn oidc_026_029_030_only_the_compact_form_of_a_jws() {
        let good = token(r#"{"alg":"RS256"}"#);
        assert_eq!(reason(&good), "accepted");
        let mut bad = vec![
            String::new(),
            ".".into(),
            "..".into(),
            "a.b".into(),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}.AA.AA"),
            format!("{good}="),
            format!("{good}\n"),
            format!(" {good}"),
            good.replacen('.', "=.", 1),
            // bits that no byte needs
            format!("{}AB", good.trim_end_matches("AAAA")),
            r#"{"payload":"e30","signatures":[{"protected":"e30","signature":"AA"}]}"#.into(),
            token(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#),
            token(r#"{"alg":"RS256","enc":"A256GCM","zip":"DEF"}"#),
            token(r#"{"alg":"RS256","cty":"JWT"}"#),
            token(r#"{"alg":"RS256","cty":"application/jwt"}"#),
            token(r#"{"alg":"RS256","typ":1}"#),
            token("[]"),
        ];
        bad.push("A".repeat(MAX_TOKEN + 1));
        for bad in bad {
            assert_eq!(reason(&bad), "jose.format", "{}", bad.get(..60).unwrap_or(&bad));
        }
    }

    #[test]
    fn tokens_and_headers_have_bounds() {
        let note = |token: &str| parse(token).unwrap_err().note().to_owned();
        assert_eq!(note(&"A".repeat(MAX_TOKEN)), "the token does not have three parts");
        assert_eq!(note(&"A".repeat(MAX_TOKEN + 1)), "the token is too long");
        let headed = |length: usize| format!("{}.e30.AA", "A".repeat(length));
        assert!(note(&headed(MAX_HEADER)).starts_with("the header is not acceptable JSON"));
        assert_eq!(note(&headed(MAX_HEADER + 1)), "the header is too long");
    }

    #[test]
    fn oidc_027_two_algorithms_are_none() {
        assert_eq!(reason(&token(r#"{"alg":"RS256","alg":"none"}"#)), "jose.format");
    }

    #[test]
    fn oidc_021_a_key_id_is_a_text() {
        for kid in ["null", "1", "[\"k\"]", "{}"] {
            assert_eq!(reason(&token(&format!("{{\"alg\":\"RS256\",\"kid\":{kid}}}"))), "jose.kid", "{kid}");
        }
        let huge = token(&format!("{{\"alg\":\"RS256\",\"kid\":\"{}\"}}", "k".repeat(MAX_HEADER)));
        assert_eq!(reason(&huge), "jose.format");
    }

    proptest! {
        /// Law: no text makes the parser panic, and what it accepts is put together again letter by letter.
        #[test]
        fn parsing_loses_nothing(text in "[A-Za-z0-9_.{}-]{0,80}", head in ".{0,40}", body in any::<Vec<u8>>()) {
            let _ = parse(&text);
            let token = format!(
                "{}.{}.",
                URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"ES256\",\"x\":{}}}", serde_json::json!(head))),
                URL_SAFE_NO_PAD.encode(&body),
            );
            let compact = parse(&token).unwrap();
            prop_assert_eq!(&compact.payload, &body);
            prop_assert_eq!(compact.input, &token.as_bytes()[..token.len() - 1]);
        }
    }
}
