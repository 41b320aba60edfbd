//! How a client proves itself at the token, introspection and revocation endpoints (RFC 6749 §2.3).

use crate::clients::{AuthMethod, Client, ResourceServer, assertion};
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::protocol::Parameters;
use crate::protocol::parameters::form_decode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;
use std::collections::BTreeSet;
use std::fmt;
use subtle::{Choice, ConstantTimeEq as _};

/// What a client presented. The secret is kept as its digest only.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who it says it is; not checked yet.
    pub client_id: String,
    /// How it proves it.
    pub method: AuthMethod,
    digest: Option<[u8; 64]>,
    assertion: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?} by {:?})", self.client_id, self.method)
    }
}

impl Credentials {
    /// Reads the credentials of a request: the value of its `Authorization` header, if any, and its form.
    ///
    /// # Errors
    /// `invalid_request`: `client.two_methods` (RFC 6749 §2.3), `client.id_mismatch`.
    /// `invalid_client`: `client.basic` (another scheme, or Basic that does not decode),
    /// `client.assertion_type`, `client.assertion` (none, or one that names no client), `client.none` (nothing
    /// presented).
    pub fn parse(authorization: Option<&str>, form: &Parameters<'_>) -> Result<Self, Failure> {
        let posted = form.get("client_secret");
        let asserted = form.has("client_assertion") || form.has("client_assertion_type");
        let presented = [authorization.is_some(), posted.is_some(), asserted];
        if presented.iter().filter(|&&p| p).count() > 1 {
            return Err(Failure::invalid_request("client.two_methods", "two ways of authentication at once"));
        }
        if asserted {
            return Self::asserted(form);
        }
        if let Some(header) = authorization {
            let (client_id, secret) = basic(header)
                .ok_or_else(|| invalid_client("client.basic", "the Authorization header is not Basic"))?;
            // Some libraries send the id in the body too. It must then be the same one.
            if form.get("client_id").is_some_and(|posted| posted != client_id) {
                return Err(Failure::invalid_request("client.id_mismatch", "two different client ids"));
            }
            // An empty secret is as good as none (RFC 6749 §2.3.1). Libraries for native apps send one, since they
            // send a header in any case; a client that has a secret gets nothing by it.
            if secret.is_empty() {
                return Ok(Self { client_id, method: AuthMethod::None, digest: None, assertion: None });
            }
            let digest = Some(hex_digest(&secret));
            return Ok(Self { client_id, method: AuthMethod::ClientSecretBasic, digest, assertion: None });
        }
        let Some(client_id) = form.get("client_id") else {
            return Err(invalid_client("client.none", "the request names no client"));
        };
        let method = if posted.is_some() { AuthMethod::ClientSecretPost } else { AuthMethod::None };
        let digest = posted.map(hex_digest);
        Ok(Self { client_id: client_id.to_owned(), method, digest, assertion: None })
    }

    /// Reads an assertion (RFC 7521 §4.2). It names its client itself; `client_id` beside it must be the same.
    fn asserted(form: &Parameters<'_>) -> Result<Self, Failure> {
        if form.get("client_assertion_type") != Some(assertion::TYPE) {
            return Err(invalid_client("client.assertion_type", "the type of assertion is not offered"));
        }
        let assertion = form.get("client_assertion").unwrap_or_default();
        let client_id = assertion::claimed_client(assertion)
            .ok_or_else(|| invalid_client("client.assertion", "the assertion names no client"))?;
        if form.get("client_id").is_some_and(|posted| posted != client_id) {
            return Err(Failure::invalid_request("client.id_mismatch", "two different client ids"));
        }
        let assertion = Some(assertion.to_owned());
        Ok(Self { client_id, method: AuthMethod::PrivateKeyJwt, digest: None, assertion })
    }

    /// The assertion, if one was presented. It proves nothing until it is verified by the client's keys.
    pub fn assertion(&self) -> Option<&str> {
        self.assertion.as_deref()
    }

    /// The client that may prove itself in the way that was chosen. It has not done so yet.
    ///
    /// # Errors
    /// `invalid_client`: `client.unknown`, `client.disabled`, `client.method` (not registered for it).
    pub fn eligible<'c>(&self, client: Option<&'c Client>) -> Result<&'c Client, Failure> {
        self.may(client.map(Party::of).as_ref())?;
        client.ok_or_else(|| invalid_client("client.unknown", "no client of this id"))
    }

    /// Checks them against the client of that id. An unknown client costs the same comparison as a known one
    /// and is refused in the same words. An assertion is never enough here: it wants the client's keys.
    ///
    /// # Errors
    /// `invalid_client`: `client.unknown`, `client.disabled`, `client.method` (not registered for it),
    /// `client.secret`, `client.assertion`.
    pub fn verify_client<'c>(&self, client: Option<&'c Client>) -> Result<&'c Client, Failure> {
        self.verify(client.map(Party::of).as_ref())?;
        client.ok_or_else(|| invalid_client("client.unknown", "no client of this id"))
    }

    /// Checks them against the resource server of that id (RFC 7662 §2.1); both ways to send its secret do.
    ///
    /// # Errors
    /// As [`Credentials::verify_client`].
    pub fn verify_resource_server<'c>(
        &self,
        server: Option<&'c ResourceServer>,
    ) -> Result<&'c ResourceServer, Failure> {
        let methods = [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost].into();
        let party = server.map(|server| Party {
            methods: &methods,
            secret_hashes: &server.secret_hashes,
            disabled: server.disabled,
        });
        self.verify(party.as_ref())?;
        server.ok_or_else(|| invalid_client("client.unknown", "no resource server of this id"))
    }

    fn verify(&self, party: Option<&Party<'_>>) -> Result<(), Failure> {
        let secret_fits = self.secret_fits(party.map_or(&[], |party| party.secret_hashes));
        let party = self.may(party)?;
        // A client that has secrets is never let in without one, whatever its methods say.
        let proved = match self.method {
            AuthMethod::None => party.secret_hashes.is_empty(),
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => secret_fits,
            AuthMethod::PrivateKeyJwt => {
                return Err(invalid_client(
                    "client.assertion",
                    "an assertion counts only where keys are at hand",
                ));
            }
        };
        if proved { Ok(()) } else { Err(invalid_client("client.secret", "the client secret does not fit")) }
    }

    /// Whether the party exists, is switched on, and may prove itself in this way.
    fn may<'p, 'a>(&self, party: Option<&'p Party<'a>>) -> Result<&'p Party<'a>, Failure> {
        let Some(party) = party else {
            return Err(invalid_client("client.unknown", "no client of this id"));
        };
        if party.disabled {
            return Err(invalid_client("client.disabled", "the client is switched off"));
        }
        if !party.methods.contains(&self.method) {
            return Err(invalid_client("client.method", "the client is not registered for this method"));
        }
        Ok(party)
    }

    /// Compares with every stored hash, at least once, without an early end.
    fn secret_fits(&self, stored: &[String]) -> bool {
        let nothing = [0_u8; 64];
        let digest = self.digest.as_ref().unwrap_or(&nothing);
        let mut fits = digest.ct_eq(&[b'!'; 64]) & Choice::from(0);
        for hash in stored {
            fits |= digest.as_slice().ct_eq(hash.as_bytes());
        }
        bool::from(fits) && self.digest.is_some()
    }
}

/// Refuses secrets in the address of a request, where logs and histories keep them (RFC 6749 §2.3.1).
///
/// # Errors
/// `invalid_request`, reason `request.secret_in_query`.
pub fn no_secret_in_query(query: &Parameters<'_>) -> Result<(), Failure> {
    const SECRETS: &[&str] = &[
        "client_secret",
        "client_assertion",
        "code",
        "code_verifier",
        "refresh_token",
        "access_token",
        "token",
    ];
    if SECRETS.iter().any(|name| query.has(name)) {
        return Err(Failure::invalid_request("request.secret_in_query", "a secret in the address"));
    }
    Ok(())
}

struct Party<'a> {
    methods: &'a BTreeSet<AuthMethod>,
    secret_hashes: &'a [String],
    disabled: bool,
}

impl<'a> Party<'a> {
    fn of(client: &'a Client) -> Self {
        Self {
            methods: &client.auth_methods,
            secret_hashes: &client.secret_hashes,
            disabled: client.disabled,
        }
    }
}

/// Reads a Basic header: base64 of id and secret, each form-encoded first (RFC 6749 §2.3.1), so that a colon
/// within either travels as `%3A`.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim_matches(' ')).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let (id, secret) = (form_decode(id)?, form_decode(secret)?);
    let sound = |text: &str| !text.chars().any(char::is_control);
    (!id.is_empty() && sound(&id) && sound(&secret)).then(|| (id.into_owned(), secret.into_owned()))
}

fn hex_digest(secret: &str) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = sha2::Sha256::digest(secret.as_bytes());
    let mut hex = [0_u8; 64];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(digest) {
        for (to, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *to = DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
        }
    }
    hex
}

/// The refusal that asks the client to authenticate: answered with 401 and `WWW-Authenticate`
/// (RFC 6749 §5.2).
pub fn invalid_client(reason: &'static str, note: &'static str) -> Failure {
    Failure::new(OAuthCode::InvalidClient, reason, UserMessage::AppMisconfigured, note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::tests::{client, resource_server};
    use proptest::prelude::*;

    fn hash(secret: &str) -> String {
        String::from_utf8(hex_digest(secret).to_vec()).unwrap()
    }

    fn confidential(secret: &str) -> Client {
        let mut client = client("app");
        client.auth_methods = [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost].into();
        client.secret_hashes = vec![hash(secret)];
        client
    }

    fn header(plain: &str) -> String {
        format!("Basic {}", STANDARD.encode(plain))
    }

    fn outcome(authorization: Option<&str>, form: &str, client: Option<&Client>) -> &'static str {
        let form = Parameters::decode(form).unwrap();
        match Credentials::parse(authorization, &form).and_then(|c| c.verify_client(client).map(|_| ())) {
            Ok(()) => "ok",
            Err(failure) => failure.reason,
        }
    }

    #[test]
    fn oauth_051_two_methods_are_refused() {
        let app = confidential("s");
        let basic = header("app:s");
        assert_eq!(outcome(Some(&basic), "client_secret=s", Some(&app)), "client.two_methods");
        assert_eq!(outcome(Some(&basic), "client_assertion=x", Some(&app)), "client.two_methods");
        assert_eq!(
            outcome(None, "client_id=app&client_secret=s&client_assertion=x", Some(&app)),
            "client.two_methods"
        );
        assert_eq!(outcome(Some(&basic), "client_id=other", Some(&app)), "client.id_mismatch");
        assert_eq!(outcome(Some(&basic), "client_id=app", Some(&app)), "ok");
        assert_eq!(outcome(None, "client_id=app&client_secret=s", Some(&app)), "ok");
    }

    #[test]
    fn an_assertion_names_its_client_and_proves_nothing_by_itself() {
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let mut app = client("app");
        app.auth_methods = [AuthMethod::PrivateKeyJwt].into();
        let assertion = format!("e30.{}.AA", URL_SAFE_NO_PAD.encode(r#"{"sub":"app"}"#));
        let form = format!("client_assertion_type={}&client_assertion={assertion}", assertion::TYPE);
        let parsed = Credentials::parse(None, &Parameters::decode(&form).unwrap()).unwrap();
        assert_eq!((parsed.client_id.as_str(), parsed.assertion()), ("app", Some(assertion.as_str())));
        assert!(!format!("{parsed:?}").contains(&assertion));
        assert_eq!(parsed.eligible(Some(&app)).unwrap().id, app.id);
        assert_eq!(outcome(None, &form, Some(&app)), "client.assertion");
        app.secret_hashes.clear();
        assert_eq!(outcome(None, &form, Some(&app)), "client.assertion");
        assert_eq!(outcome(None, "client_id=app", Some(&app)), "client.method", "not even by its name");
        assert_eq!(outcome(None, &format!("{form}&client_id=app"), Some(&app)), "client.assertion");
        assert_eq!(outcome(None, &format!("{form}&client_id=other"), Some(&app)), "client.id_mismatch");
        assert_eq!(
            outcome(None, &format!("client_assertion={assertion}"), Some(&app)),
            "client.assertion_type"
        );
        let other = form.replace("jwt-bearer", "saml2-bearer");
        assert_eq!(outcome(None, &other, Some(&app)), "client.assertion_type");
        let bare = format!("client_assertion_type={}", assertion::TYPE);
        assert_eq!(outcome(None, &bare, Some(&app)), "client.assertion");
        app.auth_methods = [AuthMethod::ClientSecretPost].into();
        assert_eq!(parsed.eligible(Some(&app)).unwrap_err().reason, "client.method");
        assert_eq!(parsed.eligible(None).unwrap_err().reason, "client.unknown");
        let mut api = resource_server("app", "urn:api");
        api.secret_hashes = vec![hash("s")];
        assert_eq!(parsed.verify_resource_server(Some(&api)).unwrap_err().reason, "client.method");
    }

    #[test]
    fn oauth_053_a_confidential_client_without_its_secret_is_refused() {
        let mut app = confidential("s");
        assert_eq!(outcome(None, "client_id=app", Some(&app)), "client.method");
        assert_eq!(outcome(None, "client_id=app&client_secret=", Some(&app)), "client.method");
        assert_eq!(outcome(None, "client_id=app&client_secret=S", Some(&app)), "client.secret");
        assert_eq!(outcome(None, "grant_type=x", Some(&app)), "client.none");
        app.auth_methods.insert(AuthMethod::None);
        assert_eq!(outcome(None, "client_id=app", Some(&app)), "client.secret", "it has a secret to show");
    }

    #[test]
    fn oauth_054_a_secret_in_the_query_is_refused() {
        let refused = |query: &str| no_secret_in_query(&Parameters::decode(query).unwrap()).is_err();
        assert!(refused("client_secret=s") && refused("a=b&refresh_token=x") && refused("code=x"));
        assert!(refused("code=x&code=y"), "sent twice");
        assert!(!refused("") && !refused("tenant=a"), "the valid twin");
    }

    #[test]
    fn oauth_061_an_unknown_client_is_compared_and_refused_like_a_known_one() {
        let app = confidential("s");
        let wrong =
            Credentials::parse(None, &Parameters::decode("client_id=app&client_secret=x").unwrap()).unwrap();
        let (known, unknown) =
            (wrong.verify_client(Some(&app)).unwrap_err(), wrong.verify_client(None).unwrap_err());
        assert_eq!((known.code, known.user), (unknown.code, unknown.user));
    }

    #[test]
    fn oauth_062_basic_is_form_decoded_exactly() {
        let secret = "a+b%3A:é ~";
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let mut app = confidential(secret);
        app.id = "https://rp.test:1/a".parse().unwrap();
        let id: String = url::form_urlencoded::byte_serialize(app.id.as_str().as_bytes()).collect();
        assert_eq!(outcome(Some(&header(&format!("{id}:{encoded}"))), "", Some(&app)), "ok");
        for bad in ["a+b%253A:é ~", "a b%3A%3A%C3%A9 ~", "a%2Bb%3A%3A%C3%A9+~", "%zz", "%C3", "a%00"] {
            assert_ne!(outcome(Some(&header(&format!("{id}:{bad}"))), "", Some(&app)), "ok", "{bad}");
        }
        for bad in ["Basic", "Basic !!!", "Basic YQ==", "Bearer x", "", "Basic Og==", "basic  "] {
            assert_eq!(outcome(Some(bad), "", Some(&app)), "client.basic", "{bad}");
        }
    }

    #[test]
    fn an_empty_secret_is_as_good_as_none() {
        let mut spa = confidential("s");
        spa.secret_hashes.clear();
        spa.auth_methods = [AuthMethod::None].into();
        for (authorization, form) in [
            (None, "client_id=app"),
            (None, "client_id=app&client_secret="),
            (Some(header("app:")), ""),
            (Some(header("app:")), "client_id=app"),
        ] {
            assert_eq!(outcome(authorization.as_deref(), form, Some(&spa)), "ok", "{authorization:?} {form}");
            let app = confidential("s");
            assert_eq!(outcome(authorization.as_deref(), form, Some(&app)), "client.method", "{form}");
        }
        assert_eq!(outcome(Some(&header("app:x")), "", Some(&spa)), "client.method");
        assert_eq!(outcome(Some(&header(":")), "client_id=app", Some(&spa)), "client.basic");
        assert_eq!(outcome(Some(&header("app:")), "client_id=other", Some(&spa)), "client.id_mismatch");
    }

    #[test]
    fn a_switched_off_client_and_an_unregistered_method_are_refused() {
        let mut app = confidential("s");
        app.auth_methods = [AuthMethod::ClientSecretBasic].into();
        assert_eq!(outcome(None, "client_id=app&client_secret=s", Some(&app)), "client.method");
        app.disabled = true;
        assert_eq!(outcome(Some(&header("app:s")), "", Some(&app)), "client.disabled");
    }

    #[test]
    fn a_public_client_may_not_show_a_secret() {
        let mut spa = client("spa");
        spa.auth_methods = [AuthMethod::None].into();
        assert_eq!(outcome(None, "client_id=spa", Some(&spa)), "ok");
        assert_eq!(outcome(None, "client_id=spa&client_secret=x", Some(&spa)), "client.method");
        assert_eq!(outcome(Some(&header("spa:x")), "", Some(&spa)), "client.method");
    }

    #[test]
    fn a_resource_server_needs_its_secret() {
        let mut api = resource_server("api", "urn:api");
        api.secret_hashes = vec![hash("old"), hash("new")];
        let verdict = |form: &str| {
            let form = Parameters::decode(form).unwrap();
            Credentials::parse(None, &form).unwrap().verify_resource_server(Some(&api)).is_ok()
        };
        assert!(verdict("client_id=api&client_secret=old"));
        assert!(verdict("client_id=api&client_secret=new"));
        assert!(!verdict("client_id=api&client_secret=x"));
        assert!(!verdict("client_id=api"));
    }

    proptest! {
        /// Law (OAUTH-062): exactly the secret itself is accepted; no two secrets are equal.
        #[test]
        fn only_the_secret_itself_fits(secret in "\\PC{1,30}", other in "\\PC{1,30}") {
            let app = confidential(&secret);
            let encode = |s: &str| url::form_urlencoded::byte_serialize(s.as_bytes()).collect::<String>();
            let with = |s: &str| outcome(Some(&header(&format!("app:{}", encode(s)))), "", Some(&app));
            prop_assert_eq!(with(&secret), "ok");
            prop_assert_eq!(with(&other) == "ok", secret == other);
        }

        #[test]
        fn no_header_panics(text in "\\PC{0,60}") {
            let form = Parameters::decode("client_id=app").unwrap();
            let _ = Credentials::parse(Some(&text), &form);
            let _ = Credentials::parse(Some(&header(&text)), &form);
        }
    }
}
