//! How strange requests are made: from a valid one, by dropping, repeating, renaming, bending and shuffling.

use crate::endpoints::{ENDPOINTS, Endpoint, Seeds, With};
use crate::judge::MARK;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::fmt;

/// Bytes that are printed as text.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..200).unwrap_or(&self.0);
        write!(f, "\"{}\"", shown.escape_ascii())?;
        if shown.len() < self.0.len() { write!(f, " … {} bytes", self.0.len()) } else { Ok(()) }
    }
}

/// How a name or value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As forms are (WHATWG URL §5.2).
    Form,
    /// As it is, whatever that means to a parser.
    Raw,
    /// Every byte escaped.
    Escaped,
    /// Escaped, and the escapes cut short.
    Broken,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where it belongs.
    Usual,
    /// In the body instead of the query, or the other way around.
    Other,
    /// In both.
    Both,
}

#[derive(Debug, Clone)]
pub struct Parameter {
    pub name: Bytes,
    pub value: Bytes,
    pub style: Style,
    pub place: Place,
}

/// A request as it will be sent.
#[derive(Debug, Clone)]
pub struct Request {
    pub endpoint: Endpoint,
    pub method: &'static str,
    pub path: String,
    pub parameters: Vec<Parameter>,
    pub separator: &'static str,
    pub content_type: Option<&'static str>,
    pub headers: Vec<(&'static str, Bytes)>,
    /// Instead of the parameters.
    pub body: Option<Bytes>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Request {
    /// Sends it. Nothing comes of what the HTTP library cannot write, such as an address of more than 64 KiB; an
    /// error says that there was no answer.
    pub async fn send(&self, http: &reqwest::Client, origin: &str) -> Result<Option<Answer>, String> {
        let in_query = self.endpoint.method == "GET";
        let written = |query: bool| {
            let here = self.parameters.iter().filter(|parameter| match parameter.place {
                Place::Usual => in_query == query,
                Place::Other => in_query != query,
                Place::Both => true,
            });
            let pairs =
                here.map(|p| [write(&p.name.0, p.style), b"=".to_vec(), write(&p.value.0, p.style)].concat());
            pairs.collect::<Vec<_>>().join(self.separator.as_bytes())
        };
        let query = String::from_utf8_lossy(&written(true)).into_owned();
        let mut url = format!("{origin}{}", self.path);
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        let Ok(url) = url::Url::parse(&url) else { return Ok(None) };
        let mut request = http.request(self.method.parse().expect("a method"), url);
        let body = self.body.clone().map_or_else(|| written(false), |body| body.0);
        if !body.is_empty() || self.endpoint.method == "POST" {
            request = request.body(body);
            if let Some(content_type) = self.content_type {
                request = request.header("content-type", content_type);
            }
        }
        for (name, value) in &self.headers {
            if let Ok(value) = reqwest::header::HeaderValue::from_bytes(&value.0) {
                request = request.header(*name, value);
            }
        }
        let response = match request.send().await {
            Err(error) if error.is_builder() => return Ok(None),
            response => response.map_err(|error| {
                format!(
                    "no answer: {error:?}
{self:#?}"
                )
            })?,
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.map_err(|error| format!("half an answer: {error:?}\n{self:#?}"))?;
        Ok(Some(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() }))
    }

    /// The value of a parameter that was sent once and properly, if it was.
    pub fn plain(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.parameters.iter().filter(|p| p.name.0 == name.as_bytes());
        match (found.next(), found.next()) {
            (Some(p), None) if p.style == Style::Form && p.place == Place::Usual => Some(&p.value.0),
            _ => None,
        }
    }
}

fn write(bytes: &[u8], style: Style) -> Vec<u8> {
    let escaped = || bytes.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes());
    match style {
        Style::Form => url::form_urlencoded::byte_serialize(bytes).collect::<String>().into_bytes(),
        Style::Raw => bytes.to_vec(),
        Style::Escaped => escaped().collect(),
        Style::Broken => escaped().enumerate().filter(|(at, _)| at % 7 != 2).map(|(_, byte)| byte).collect(),
    }
}

/// Values that have broken something somewhere.
const ODD: &[&str] = &[
    "",
    " ",
    "  openid   openid ",
    "\0",
    "a\0b",
    "\r\nset-cookie: cs_session=x",
    "\r\n\r\n<script>",
    MARK,
    "\"><script>alert(7)</script>",
    "javascript:alert(7)",
    "' OR 1=1 --",
    "{{7*7}}${7*7}",
    "../../../../etc/passwd",
    "%00",
    "%zz",
    "%",
    "+",
    "&",
    "=",
    "0",
    "-1",
    "00",
    "1e9",
    "18446744073709551616",
    "99999999999999999999999999",
    "NaN",
    "null",
    "undefined",
    "true",
    "[]",
    "{}",
    "{\"userinfo\":",
    "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}}",
    "none login",
    "none none",
    "S512",
    "plain",
    "code token",
    "token",
    "id_token",
    "fragment",
    "form_post",
    "query.jwt",
    "urn:ietf:params:oauth:request_uri:x",
    "http://localhost:8084/callback#",
    "http://localhost:8084/callback/../x",
    "http://localhost:8084/callback?x=1",
    "http://localhost:8084@evil.example/callback",
    "http://127.0.0.1:99999/callback",
    "http://127.0.0.1:0/callback",
    "http://[::1]:7777/callback",
    "https://evil.example/",
    "//evil.example",
    "urn:strange:other",
    "relative",
    "a.b.c",
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJSUzI1NiJ9..",
    "....",
    "\u{202e}txt",
    "\u{feff}first",
    "ﬁrst",
    "𝔣𝔦𝔯𝔰𝔱",
    "é",
    "e\u{301}",
];

/// Names that mean something somewhere, and some that do not.
const NAMES: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "request",
    "request_uri",
    "registration",
    "claims",
    "resource",
    "audience",
    "id_token_hint",
    "login_hint",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "code",
    "refresh_token",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "token",
    "token_type_hint",
    "access_token",
    "username",
    "password",
    "post_logout_redirect_uri",
    "logout_token",
    "dpop_jkt",
    "authorization_details",
    "flow",
    "csrf",
    "decision",
    "provider",
    "iss",
    "error",
    "SAMLResponse",
    "RelayState",
    "",
    " ",
    "client_id[]",
    "CLIENT_ID",
    "client_id ",
    "__proto__",
    "ſcope",
];

const CONTENT_TYPES: &[Option<&str>] = &[
    None,
    Some(""),
    Some("application/json"),
    Some("text/plain"),
    Some("multipart/form-data; boundary=x"),
    Some("application/x-www-form-urlencoded; charset=utf-16"),
    Some("application/x-www-form-urlencoded; charset=utf-8"),
    Some("APPLICATION/X-WWW-FORM-URLENCODED"),
    Some("application/x-www-form-urlencoded, text/plain"),
    Some("/"),
    Some("application/jwt"),
];

fn odd() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => select(ODD).prop_map(|text| text.as_bytes().to_vec()),
        2 => "\\PC{0,64}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..120),
        // Longer than any limit on one value, shorter and longer than those on a whole request.
        1 => (select(vec!["a", "%", "é", " ", "{", "["]), select(vec![300_usize, 5000, 20_000])).prop_map(|(what, times)| what.repeat(times).into_bytes()),
    ]
}

/// A valid value, or a bent one.
fn value(valid: String) -> impl Strategy<Value = Vec<u8>> {
    let bent =
        (Just(valid.clone()), any::<Index>(), any::<u8>(), 0..4_usize).prop_map(|(valid, at, byte, how)| {
            let mut bytes = valid.into_bytes();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes.truncate(at),
                    1 => bytes[at] = byte,
                    2 => bytes.insert(at, byte),
                    _ => bytes.extend_from_within(at..),
                }
            }
            bytes
        });
    prop_oneof![12 => Just(valid.into_bytes()), 2 => odd(), 1 => bent]
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![20 => Just(Style::Form), 1 => Just(Style::Raw), 1 => Just(Style::Escaped), 1 => Just(Style::Broken)]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![30 => Just(Place::Usual), 1 => Just(Place::Other), 1 => Just(Place::Both)]
}

fn parameter(
    name: impl Strategy<Value = Vec<u8>>,
    value: impl Strategy<Value = Vec<u8>>,
) -> impl Strategy<Value = Parameter> {
    (name, value, style(), place()).prop_map(|(name, value, style, place)| Parameter {
        name: Bytes(name),
        value: Bytes(value),
        style,
        place,
    })
}

/// Values of members that nobody asked for.
const ODD_JSON: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1e308",
    "18446744073709551616",
    "\"\"",
    "\" \"",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    "[\"\"]",
    "[1]",
    "{\"keys\":[]}",
    "{\"keys\":[{}]}",
    "{\"keys\":null}",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"javascript:alert(7)\"",
    "[\"javascript:alert(7)\"]",
    "[\"https://app.example/#f\"]",
    "[\"http://app.example/\"]",
    "[\"https://*.example/\"]",
    "[\"https://u:p@app.example/\"]",
    "[\"/relative\"]",
    "\"<script>alert(7)</script>\"",
    "\"none\"",
    "\"HS256\"",
    "\"client_secret_jwt\"",
    "[\"implicit\"]",
    "[\"password\"]",
    "\"openid everything\"",
    "undefined",
    "NaN",
    "'x'",
    "",
];

/// A document of these members, with some of them gone, bent or twice, and the whole cut or wrapped.
fn document(members: &'static [(&'static str, &'static str)]) -> impl Strategy<Value = Vec<u8>> {
    let long = prop_oneof![
        Just(format!("\"{}\"", "x".repeat(5000))),
        Just(format!("[{}\"x\"]", "\"x\",".repeat(3000))),
        Just(format!("{}{}", "[".repeat(2000), "]".repeat(2000))),
        Just(format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500))),
    ];
    let odd = prop_oneof![8 => select(ODD_JSON).prop_map(str::to_owned), 1 => long, 1 => "\\PC{0,40}"];
    let change = (any::<Index>(), 0..4_usize, odd, select(NAMES));
    let whole = prop_oneof![14 => Just(0_usize), 1 => 1..6_usize];
    (vec(change, 0..4), whole, any::<Index>()).prop_map(move |(changes, whole, at)| {
        let mut all: Vec<(String, String)> =
            members.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (which, how, odd, name) in changes {
            if all.is_empty() {
                break;
            }
            let which = which.index(all.len());
            match how {
                0 => drop(all.remove(which)),
                1 => all.push((all[which].0.clone(), odd)),
                2 => all.push((name.to_owned(), odd)),
                _ => all[which].1 = odd,
            }
        }
        let members: Vec<String> = all.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        let text = format!("{{{}}}", members.join(","));
        match whole {
            0 => text.into_bytes(),
            1 => text.as_bytes()[..at.index(text.len())].to_vec(),
            2 => format!("[{text}]").into_bytes(),
            3 => format!("\u{feff}{text}").into_bytes(),
            4 => format!("{text}{text}").into_bytes(),
            _ => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    })
}

/// What becomes of one parameter: mostly itself, sometimes nothing, sometimes two.
fn fate(name: &'static str, valid: String) -> impl Strategy<Value = Vec<Parameter>> {
    let own = || parameter(Just(name.as_bytes().to_vec()), value(valid.clone()));
    prop_oneof![
        14 => own().prop_map(|one| vec![one]),
        1 => Just(Vec::new()),
        1 => (own(), own()).prop_map(|(one, other)| vec![one, other]),
        1 => parameter(select(NAMES).prop_map(|name| name.as_bytes().to_vec()), value(valid.clone())).prop_map(|one| vec![one]),
    ]
}

fn header(name: &'static str, valid: Option<String>) -> impl Strategy<Value = Vec<(&'static str, Bytes)>> {
    let usual: Vec<_> = valid.clone().map(|valid| (name, Bytes(valid.into_bytes()))).into_iter().collect();
    let scheme = select(vec![
        "",
        "Basic ",
        "Bearer ",
        "basic",
        "Negotiate ",
        "Basic Basic ",
        "cs_session=",
        "cs_flow_x=",
    ]);
    let strange = (scheme, value(valid.unwrap_or_default()))
        .prop_map(move |(scheme, value)| (name, Bytes([scheme.as_bytes(), &value].concat())));
    prop_oneof![12 => Just(usual), 2 => vec(strange, 0..3)]
}

/// Requests made from these seeds.
pub fn request(seeds: &Seeds) -> impl Strategy<Value = Request> + use<> {
    let seeds = seeds.clone();
    select(ENDPOINTS).prop_flat_map(move |endpoint| {
        let known: Vec<_> =
            endpoint.parameters.iter().map(|(name, valid)| fate(name, seeds.fill(valid)).boxed()).collect();
        let more = vec(
            parameter(
                prop_oneof![4 => select(NAMES).prop_map(|name| name.as_bytes().to_vec()), 1 => odd()],
                prop_oneof![1 => odd(), 1 => select(values(&seeds)).prop_map(String::into_bytes)],
            ),
            0..3,
        );
        let parameters = (known, option::weighted(0.15, more), any::<bool>()).prop_flat_map(|(known, more, shuffle)| {
            let all: Vec<Parameter> = known.into_iter().flatten().chain(more.into_iter().flatten()).collect();
            if shuffle { Just(all).prop_shuffle().boxed() } else { Just(all).boxed() }
        });
        let method = prop_oneof![
            24 => Just(endpoint.method),
            1 => select(vec!["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"]),
        ];
        let separator = prop_oneof![20 => Just("&"), 1 => select(vec!["&&", ";", "&=&", "\n", ","])];
        let content_type = prop_oneof![
            16 => Just(Some(if endpoint.document.is_some() { "application/json" } else { "application/x-www-form-urlencoded" })),
            1 => select(CONTENT_TYPES),
        ];
        let authorization = match endpoint.with {
            With::Basic => Some(seeds.basic.clone()),
            With::Bearer => Some(format!("Bearer {}", seeds.access_token)),
            With::Nothing | With::Session => None,
        };
        let cookie = (endpoint.with == With::Session).then(|| format!("cs_session={}", seeds.session));
        let headers = (
            header("authorization", authorization),
            header("cookie", cookie),
            header("origin", None),
            header("accept", Some("text/html".to_owned())),
            header("sec-fetch-mode", None),
            header("content-encoding", None),
        )
            .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].concat());
        let senseless = prop_oneof![odd(), Just(b"a=b&".repeat(60_000)), Just(b"&".repeat(200_000))];
        let body = match endpoint.document {
            Some(members) => prop_oneof![20 => document(members), 1 => senseless].prop_map(Some).boxed(),
            None => option::weighted(0.02, senseless).boxed(),
        };
        let path = prop_oneof![
            24 => Just(endpoint.path.to_owned()),
            1 => select(vec!["/", "//", "/./", "/x", "/%2e%2e", "/%00", "/%ff"]).prop_map(move |more| format!("{}{more}", endpoint.path)),
        ];
        (method, path, parameters, separator, content_type, headers, body).prop_map(
            move |(method, path, parameters, separator, content_type, headers, body)| Request {
                endpoint,
                method,
                path,
                parameters,
                separator,
                content_type,
                headers,
                body: body.map(Bytes),
            },
        )
    })
}

/// Every value that is worth something.
fn values(seeds: &Seeds) -> Vec<String> {
    let all = ENDPOINTS.iter().flat_map(|endpoint| endpoint.parameters);
    all.map(|(_, value)| seeds.fill(value)).collect()
}
