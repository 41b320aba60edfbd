//! Every endpoint, with a valid request from which strange ones are made.

use std::fmt;

/// What a person and an app hold after a sign-in: the values that strange requests begin with.
#[derive(Clone)]
pub struct Seeds {
    pub code: String,
    pub access_token: String,
    pub refresh_token: String,
    pub id_token: String,
    pub flow: String,
    pub session: String,
    pub basic: String,
}

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeds")
    }
}

/// What kind of answer an endpoint gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A page or a redirect, for a browser.
    Browser,
    /// JSON, for a program (RFC 6749 §5.2).
    Program,
    /// For whoever holds a token: the challenge tells the error (RFC 6750 §3).
    Bearer,
}

/// One valid request.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    pub kind: Kind,
    pub method: &'static str,
    pub path: &'static str,
    /// The parameters; `{name}` is filled in from the seeds.
    pub parameters: &'static [(&'static str, &'static str)],
    /// Whether the client's credentials, a bearer token or the session's cookie go along.
    pub with: With,
    /// A JSON document instead of a form, for the endpoints that take one.
    pub document: Option<&'static [(&'static str, &'static str)]>,
}

/// What speaks for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum With {
    Nothing,
    Basic,
    Bearer,
    Session,
}

const CODE: &[(&str, &str)] = &[
    ("response_type", "code"),
    ("client_id", "first"),
    ("redirect_uri", "http://localhost:8084/callback"),
    ("scope", "openid email groups"),
    ("state", "the-app's-state"),
    ("nonce", "the-app's-nonce"),
    ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
    ("code_challenge_method", "S256"),
];
const RICH: &[(&str, &str)] = &[
    ("response_type", "code"),
    ("client_id", "first"),
    ("redirect_uri", "http://localhost:8084/callback"),
    ("scope", "openid profile offline_access"),
    ("state", "s"),
    ("nonce", "n"),
    ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
    ("code_challenge_method", "S256"),
    ("response_mode", "query"),
    ("prompt", "none"),
    ("max_age", "3600"),
    ("login_hint", "alice@globex.example"),
    ("id_token_hint", "{id_token}"),
    ("ui_locales", "de-CH en"),
    ("claims_locales", "de"),
    ("display", "page"),
    ("acr_values", "urn:one urn:two"),
    (
        "claims",
        r#"{"userinfo":{"email":{"essential":true}},"id_token":{"auth_time":null,"sub":{"value":"x"}}}"#,
    ),
    ("resource", "urn:strange:api"),
];
const LOOPBACK: &[(&str, &str)] = &[
    ("response_type", "code"),
    ("client_id", "third"),
    ("redirect_uri", "http://127.0.0.1:7777/callback"),
    ("scope", "openid"),
    ("state", "s"),
    ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
    ("code_challenge_method", "S256"),
    ("request", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ0aGlyZCJ9."),
];
const REDEEM: &[(&str, &str)] = &[
    ("grant_type", "authorization_code"),
    ("code", "{code}"),
    ("redirect_uri", "http://localhost:8084/callback"),
    ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
];
const LOGOUT: &[(&str, &str)] = &[
    ("id_token_hint", "{id_token}"),
    ("logout_hint", "alice"),
    ("client_id", "first"),
    ("post_logout_redirect_uri", "http://localhost:8084/bye"),
    ("state", "s"),
    ("ui_locales", "de"),
];
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// One row for each endpoint and kind of request.
pub const ENDPOINTS: &[Endpoint] = &[
    row(Kind::Browser, "GET", "/authorize", CODE, With::Nothing),
    row(Kind::Browser, "GET", "/authorize", CODE, With::Session),
    row(Kind::Browser, "POST", "/authorize", CODE, With::Session),
    row(Kind::Browser, "GET", "/authorize", RICH, With::Session),
    row(Kind::Browser, "POST", "/authorize", RICH, With::Nothing),
    row(Kind::Browser, "GET", "/authorize", LOOPBACK, With::Session),
    row(Kind::Browser, "GET", "/", &[], With::Session),
    row(Kind::Browser, "GET", "/sign-in", &[("flow", "{flow}")], With::Session),
    row(
        Kind::Browser,
        "POST",
        "/sign-in",
        &[("flow", "{flow}"), ("csrf", "x"), ("provider", "globex")],
        With::Session,
    ),
    row(Kind::Browser, "GET", "/continue", &[("flow", "{flow}")], With::Session),
    row(Kind::Browser, "GET", "/details", &[("flow", "{flow}")], With::Session),
    row(
        Kind::Browser,
        "POST",
        "/details",
        &[
            ("flow", "{flow}"),
            ("csrf", "x"),
            ("action", "details"),
            ("name", "Ann"),
            ("email", "ann@x.example"),
            ("code", "12345678"),
        ],
        With::Session,
    ),
    row(Kind::Browser, "GET", "/consent", &[("flow", "{flow}")], With::Session),
    row(
        Kind::Browser,
        "POST",
        "/consent",
        &[("flow", "{flow}"), ("csrf", "x"), ("decision", "allow")],
        With::Session,
    ),
    row(
        Kind::Browser,
        "GET",
        "/upstream/globex/callback",
        &[("code", "c"), ("state", "csst_x"), ("iss", "http://localhost:1"), ("error", "access_denied")],
        With::Nothing,
    ),
    row(
        Kind::Browser,
        "POST",
        "/upstream/friendbook/callback",
        &[("code", "c"), ("state", "csst_x")],
        With::Nothing,
    ),
    row(Kind::Browser, "GET", "/invitation", &[("token", "csiv_x")], With::Nothing),
    row(Kind::Browser, "POST", "/invitation", &[("token", "csiv_x"), ("csrf", "x")], With::Nothing),
    row(Kind::Browser, "GET", "/logout", LOGOUT, With::Session),
    row(Kind::Browser, "POST", "/logout", LOGOUT, With::Session),
    row(Kind::Program, "POST", "/token", REDEEM, With::Basic),
    row(
        Kind::Program,
        "POST",
        "/token",
        &[
            ("grant_type", "authorization_code"),
            ("code", "{code}"),
            ("redirect_uri", "http://localhost:8084/callback"),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            ("client_id", "first"),
            ("client_secret", "first-secret-of-the-tests-0123456789"),
        ],
        With::Nothing,
    ),
    row(
        Kind::Program,
        "POST",
        "/token",
        &[("grant_type", "refresh_token"), ("refresh_token", "{refresh_token}"), ("scope", "openid")],
        With::Basic,
    ),
    row(
        Kind::Program,
        "POST",
        "/token",
        &[("grant_type", "client_credentials"), ("scope", "roles"), ("resource", "urn:strange:api")],
        With::Basic,
    ),
    row(
        Kind::Program,
        "POST",
        "/token",
        &[
            ("grant_type", "client_credentials"),
            ("client_id", "first"),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", "{id_token}"),
        ],
        With::Nothing,
    ),
    row(
        Kind::Program,
        "POST",
        "/introspect",
        &[("token", "{access_token}"), ("token_type_hint", "access_token")],
        With::Basic,
    ),
    row(
        Kind::Program,
        "POST",
        "/revoke",
        &[("token", "{refresh_token}"), ("token_type_hint", "refresh_token")],
        With::Basic,
    ),
    row(Kind::Program, "POST", "/par", CODE, With::Basic),
    row(Kind::Program, "POST", "/par", LOOPBACK, With::Nothing),
    document("POST", "/register", With::Nothing, METADATA),
    document("PUT", "/register/x", With::Bearer, METADATA),
    row(Kind::Program, "GET", "/register/x", &[], With::Bearer),
    row(Kind::Program, "DELETE", "/register/first", &[], With::Bearer),
    row(Kind::Bearer, "GET", "/userinfo", &[], With::Bearer),
    row(Kind::Bearer, "POST", "/userinfo", &[("access_token", "{access_token}")], With::Nothing),
];

const fn row(
    kind: Kind,
    method: &'static str,
    path: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    with: With,
) -> Endpoint {
    Endpoint { kind, method, path, parameters, with, document: None }
}

const fn document(
    method: &'static str,
    path: &'static str,
    with: With,
    members: &'static [(&'static str, &'static str)],
) -> Endpoint {
    Endpoint { kind: Kind::Program, method, path, parameters: &[], with, document: Some(members) }
}

/// What a client registers (RFC 7591 §2): each member with its value as JSON.
const METADATA: &[(&str, &str)] = &[
    ("redirect_uris", r#"["https://app.example/callback"]"#),
    ("client_name", r#""App""#),
    ("client_uri", r#""https://app.example/""#),
    ("logo_uri", r#""https://app.example/logo.png""#),
    ("contacts", r#"["a@app.example"]"#),
    ("response_types", r#"["code"]"#),
    ("grant_types", r#"["authorization_code","refresh_token"]"#),
    ("scope", r#""openid profile""#),
    ("token_endpoint_auth_method", r#""private_key_jwt""#),
    (
        "jwks",
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
    ),
    ("id_token_signed_response_alg", r#""ES256""#),
    ("userinfo_signed_response_alg", r#""RS256""#),
    ("subject_type", r#""public""#),
    ("default_max_age", "3600"),
    ("require_auth_time", "true"),
    ("request_uris", r#"["https://app.example/request.jwt"]"#),
    ("post_logout_redirect_uris", r#"["https://app.example/"]"#),
    ("backchannel_logout_uri", r#""https://app.example/logout""#),
    ("application_type", r#""web""#),
];

impl Seeds {
    /// A parameter's valid value.
    pub fn fill(&self, value: &str) -> String {
        value
            .replace("{code}", &self.code)
            .replace("{access_token}", &self.access_token)
            .replace("{refresh_token}", &self.refresh_token)
            .replace("{id_token}", &self.id_token)
            .replace("{flow}", &self.flow)
    }
}

/// What the house has beside its usual configuration.
pub const MORE: &str = r#"
[registration]
mode = "open"
max_per_source = 1000000

[[client]]
id = "machine"
name = "Machine"
secret = "env:FIRST_SECRET"
grant_types = ["client_credentials"]
scopes = ["roles"]

[[resource_server]]
id = "strange-api"
secret = "env:FIRST_SECRET"
resource = "urn:strange:api"
default_audience = true
"#;
