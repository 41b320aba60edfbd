//! Forms: only those that we rendered, sent from our own pages.
//!
//! A form carries a token that is sealed for its purpose and bound to what the browser holds (the flow's
//! handle, the session's cookie), and browsers say where a request comes from (Fetch Metadata, `Origin`).

use crate::context::{Context, Timestamp};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::tokens::seal::Sealer;
use actix_web::http::header::{HeaderMap, ORIGIN};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

const PURPOSE: &str = "csrf";
/// How long a form stays valid.
const LIFETIME: Duration = Duration::from_secs(2 * 3600);

fn refused(note: &'static str) -> Failure {
    Failure::new(OAuthCode::AccessDenied, "request.csrf", UserMessage::FormExpired, note)
}

fn bound(form: &str, binding: &str) -> Vec<u8> {
    // The NUL keeps the two apart; neither can have one.
    format!("{form}\0{binding}").into_bytes()
}

/// A token for a form, bound to what the browser holds.
///
/// # Errors
/// When sealing fails.
pub fn token(sealer: &Sealer, context: &Context, form: &str, binding: &str) -> Result<String, Failure> {
    token_with(sealer, context, form, binding, "")
}

/// A token that also carries a note to the handler of the form.
///
/// # Errors
/// When sealing fails.
pub fn token_with(
    sealer: &Sealer,
    context: &Context,
    form: &str,
    binding: &str,
    note: &str,
) -> Result<String, Failure> {
    let mut plain = context.now().plus(LIFETIME).0.to_be_bytes().to_vec();
    plain.extend_from_slice(note.as_bytes());
    Ok(URL_SAFE_NO_PAD.encode(sealer.seal(PURPOSE, &bound(form, binding), &plain, context)?))
}

/// Checks the token that a form brought.
///
/// # Errors
/// `request.csrf` where it is missing, not ours, of another form or browser, or too old.
pub fn check_token(
    sealer: &Sealer,
    now: Timestamp,
    form: &str,
    binding: &str,
    token: Option<&str>,
) -> Result<(), Failure> {
    note(sealer, now, form, binding, token).map(|_| ())
}

/// Checks the token that a form brought, and gives the note that it carries.
///
/// # Errors
/// As [`check_token`].
pub fn note(
    sealer: &Sealer,
    now: Timestamp,
    form: &str,
    binding: &str,
    token: Option<&str>,
) -> Result<String, Failure> {
    let sealed = token.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let plain = sealed.and_then(|sealed| sealer.open(PURPOSE, &bound(form, binding), &sealed));
    let parts = plain.as_deref().and_then(|plain| {
        let (expires, note) = plain.split_first_chunk::<8>()?;
        Some((i64::from_be_bytes(*expires), std::str::from_utf8(note).ok()?.to_owned()))
    });
    match parts {
        Some((expires, note)) if now.0 < expires => Ok(note),
        Some(_) => Err(refused("the form's token is too old")),
        None => Err(refused("the form's token is missing, or of another form or browser")),
    }
}

/// Checks that a form was sent from a page of ours.
///
/// Our pages send no referrer, and browsers then say `Origin: null` for their forms too (Fetch §3.2), so
/// that alone proves nothing either way: `Sec-Fetch-Site` must then speak for it.
///
/// # Errors
/// `request.origin`.
pub fn check_origin(headers: &HeaderMap, ours: &str) -> Result<(), Failure> {
    let refused = || {
        Failure::new(
            OAuthCode::AccessDenied,
            "request.origin",
            UserMessage::FormExpired,
            "the form was sent from another site",
        )
    };
    let one = |name: &str| -> Result<Option<String>, Failure> {
        let mut values = headers.get_all(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(|v| Some(v.to_owned())).map_err(|_| refused()),
            (Some(_), Some(_)) => Err(refused()),
        }
    };
    let site = one("sec-fetch-site")?;
    if site.as_deref().is_some_and(|site| site != "same-origin") {
        return Err(refused());
    }
    match one(ORIGIN.as_str())?.as_deref() {
        None => Ok(()),
        Some(origin) if origin == ours => Ok(()),
        Some("null") if site.is_some() => Ok(()),
        Some(_) => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{ManualClock, SeededEntropy};
    use actix_web::http::header::{HeaderName, HeaderValue};
    use std::sync::Arc;

    #[test]
    fn oauth_099_a_token_fits_its_form_and_browser_for_a_while() {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let context = Context::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let made = token(&sealer, &context, "consent", "flow-1").unwrap();
        let check = |form, binding, text: Option<&str>| {
            check_token(&sealer, context.now(), form, binding, text).map_err(|f| f.reason)
        };
        assert_eq!(check("consent", "flow-1", Some(&made)), Ok(()));
        assert!(check("sign-in", "flow-1", Some(&made)).is_err());
        assert!(check("consent", "flow-2", Some(&made)).is_err());
        assert!(check("consent", "flow-1", None).is_err());
        assert!(check("consent", "flow-1", Some("AAAA")).is_err());
        clock.advance(LIFETIME);
        assert_eq!(check("consent", "flow-1", Some(&made)), Err("request.csrf"));
    }

    #[test]
    fn oauth_099_a_form_comes_from_our_own_pages() {
        let check = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            check_origin(&headers, "https://id.test").is_ok()
        };
        assert!(check(&[("origin", "https://id.test")]));
        assert!(check(&[("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(check(&[]), "a client that is no browser");
        assert!(!check(&[("origin", "null")]));
        assert!(!check(&[("origin", "https://evil.test")]));
        assert!(!check(&[("origin", "https://id.test"), ("origin", "https://evil.test")]));
        assert!(!check(&[("origin", "https://id.test"), ("sec-fetch-site", "cross-site")]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
    }
}
