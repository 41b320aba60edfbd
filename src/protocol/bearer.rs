//! Where a request carries its access token (RFC 6750 §2).

use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::protocol::Parameters;

/// Finds the one access token of a request to userinfo: in the `Authorization` header or in a form body,
/// never in the address (RFC 9700 §4.3.2).
///
/// # Errors
/// `invalid_request`: `bearer.query` (a token in the address), `bearer.two` (more than one place).
/// `invalid_token`: `bearer.missing`, `bearer.scheme`.
pub fn token<'p>(
    authorization: Option<&'p str>,
    query: Option<&Parameters<'_>>,
    form: Option<&'p Parameters<'_>>,
) -> Result<&'p str, Failure> {
    if query.is_some_and(|query| query.has("access_token")) {
        return Err(Failure::invalid_request("bearer.query", "an access token in the address"));
    }
    let posted = form.and_then(|form| form.get("access_token"));
    match (authorization, posted) {
        (Some(_), Some(_)) => Err(Failure::invalid_request("bearer.two", "two access tokens")),
        (None, Some(token)) => Ok(token),
        (Some(header), None) => match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_matches(' ')),
            _ => Err(invalid_token("bearer.scheme", "the Authorization header is not Bearer")),
        },
        (None, None) => Err(invalid_token("bearer.missing", "no access token")),
    }
}

/// The refusal of an access token: answered with 401 and `WWW-Authenticate` (RFC 6750 §3).
pub fn invalid_token(reason: &'static str, note: &'static str) -> Failure {
    Failure::new(OAuthCode::InvalidToken, reason, UserMessage::AppMisconfigured, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(header: Option<&str>, query: &str, form: &str) -> Result<String, &'static str> {
        let (query, form) = (Parameters::decode(query).unwrap(), Parameters::decode(form).unwrap());
        token(header, Some(&query), Some(&form)).map(str::to_owned).map_err(|f| f.reason)
    }

    #[test]
    fn oauth_075_a_token_comes_in_one_place_and_never_in_the_address() {
        assert_eq!(find(Some("Bearer abc"), "", ""), Ok("abc".to_owned()));
        assert_eq!(find(Some("bearer abc"), "", ""), Ok("abc".to_owned()));
        assert_eq!(find(None, "", "access_token=abc"), Ok("abc".to_owned()));
        assert_eq!(find(None, "access_token=abc", ""), Err("bearer.query"));
        assert_eq!(find(Some("Bearer abc"), "access_token=abc", ""), Err("bearer.query"));
        assert_eq!(find(Some("Bearer abc"), "", "access_token=abc"), Err("bearer.two"));
        assert_eq!(find(Some("Basic abc"), "", ""), Err("bearer.scheme"));
        assert_eq!(find(Some("Bearerabc"), "", ""), Err("bearer.scheme"));
        assert_eq!(find(None, "", ""), Err("bearer.missing"));
    }
}
