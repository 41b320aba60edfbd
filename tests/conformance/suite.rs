//! The suite's part, played without the suite: an app, the person at its browser, and the provider that the
//! person signs in with.

use crate::house::{Answer, House, Visitor, approval, choose};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// Where the suite's answers go. Nothing listens there: an answer is caught before it leaves.
pub const CALLBACK: &str = "https://suite.test/callback";
/// The second client's, with a query of its own.
pub const CALLBACK_2: &str = "https://suite.test/callback?dummy1=lorem&dummy2=ipsum";
/// The secret of all of the suite's clients.
pub const SECRET: &str = "first-secret-of-the-tests-0123456789";

const CLIENTS: &str = r#"
[[client]]
id = "suite"
secret = "env:FIRST_SECRET"
redirect_uris = ["https://suite.test/callback"]
scopes = ["openid", "profile", "email", "address", "phone", "offline_access"]
require_pkce = false

[[client]]
id = "suite-2"
secret = "env:FIRST_SECRET"
redirect_uris = ["https://suite.test/callback", "https://suite.test/callback?dummy1=lorem&dummy2=ipsum"]
scopes = ["openid", "profile", "email", "address", "phone", "offline_access"]
require_pkce = false

[[client]]
id = "suite-post"
secret = "env:FIRST_SECRET"
auth_methods = ["client_secret_post"]
redirect_uris = ["https://suite.test/callback"]
scopes = ["openid"]
require_pkce = false
"#;

/// A broker, and a person who uses the suite as an app.
pub struct Suite {
    pub house: House,
    pub person: Visitor,
    /// How often the person was sent to the provider.
    pub asked: usize,
    /// Added to each authorization request.
    mode: Option<&'static str>,
}

/// Where an authorization request led.
#[derive(Debug)]
pub enum Landing {
    /// To the app, with these parameters.
    App(BTreeMap<String, String>),
    /// To a page of ours that is not part of a sign-in.
    Page(Answer),
}

impl Landing {
    /// The parameters of an answer with a code.
    pub fn code(&self) -> &str {
        match self {
            Self::App(answer) if answer.contains_key("code") => &answer["code"],
            other => panic!("no code: {other:#?}"),
        }
    }
    /// The error that the app got.
    pub fn error(&self) -> &str {
        match self {
            Self::App(answer) if answer.contains_key("error") => &answer["error"],
            other => panic!("no error: {other:#?}"),
        }
    }
    /// The page, which must refuse.
    pub fn refusal(&self) -> &Answer {
        match self {
            Self::Page(answer) if answer.status >= 400 => answer,
            other => panic!("no refusal: {other:#?}"),
        }
    }
}

/// Tokens, as the app keeps them.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: String,
    pub id: String,
    pub refresh: Option<String>,
}

impl Tokens {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:#?}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["token_type"], "Bearer");
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        Self {
            access: text("access_token").unwrap(),
            id: text("id_token").unwrap(),
            refresh: text("refresh_token"),
        }
    }
    /// The ID token's header and claims.
    pub fn id_token(&self) -> (Value, Value) {
        decode(&self.id)
    }
    /// The ID token's claims.
    pub fn claims(&self) -> Value {
        self.id_token().1
    }
}

/// A JWT's header and claims.
pub fn decode(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

/// `Authorization: Basic` of one of the suite's clients.
pub fn basic(client: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client}:{SECRET}")))
}

/// Status and OAuth error code of an answer in JSON.
pub fn oauth_error(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{e}: {answer:#?}"));
    (answer.status, body["error"].as_str().unwrap().to_owned())
}

impl Suite {
    /// With answers as they come where no response mode is asked for.
    pub async fn open() -> Self {
        Self::with(None, |config, providers| (config, providers)).await
    }

    /// With the broker's files changed, and a response mode that is always asked for.
    pub async fn with(
        mode: Option<&'static str>,
        change: impl FnOnce(String, String) -> (String, String),
    ) -> Self {
        let house = House::with(|config, providers| change(config + CLIENTS, providers)).await;
        Self { house, person: Visitor::new(), asked: 0, mode }
    }

    /// The address of an authorization request. A parameter in `more` goes before the usual one of that name,
    /// and without a value does away with it.
    pub fn request(&self, client: &str, more: &[(&str, &str)]) -> Url {
        let mut url = Url::parse(&self.house.at("/authorize")).unwrap();
        let usual = [
            ("client_id", client),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid"),
            ("state", "suite-state"),
            ("nonce", "suite-nonce"),
            ("response_mode", self.mode.unwrap_or_default()),
        ];
        let named = |name: &str| more.iter().any(|(n, _)| *n == name);
        let usual = usual.iter().filter(|(name, _)| !named(name));
        for (name, value) in usual.chain(more).filter(|(_, value)| !value.is_empty()) {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }

    /// An authorization request; the person does whatever our pages and the provider ask for.
    pub async fn authorize(&mut self, client: &str, more: &[(&str, &str)]) -> Landing {
        let url = self.request(client, more);
        let first = self.person.get(url.as_str()).await;
        self.land(first).await
    }

    /// Goes on from an answer of ours to where it leads in the end.
    pub async fn land(&mut self, mut answer: Answer) -> Landing {
        for _ in 0..20 {
            if answer.status == 303 {
                let to = answer.location();
                if to.host_str() == Some("suite.test") {
                    assert_ne!(self.mode, Some("form_post"), "{to}");
                    return Landing::App(to.query_pairs().into_owned().collect());
                }
                let away = to.as_str().starts_with(self.house.globex.origin());
                self.asked += usize::from(away);
                let next = if away { approval(&self.house, &to) } else { to.into() };
                answer = self.person.get(&next).await;
            } else if answer.body.contains("name=\"provider\"") && answer.status == 200 {
                answer = choose(&self.house, &mut self.person, &answer, "globex").await;
            } else if answer.body.contains("name=\"decision\"") {
                let (flow, csrf) = (answer.field("flow"), answer.field("csrf"));
                let form = [("flow", flow.as_str()), ("csrf", csrf.as_str()), ("decision", "allow")];
                answer = self.person.post(&self.house.at("/consent"), &form).await;
            } else if answer.body.contains("action=\"https://suite.test/") {
                assert_eq!(self.mode, Some("form_post"), "{answer:#?}");
                let names = ["code", "error", "error_description", "state", "iss"];
                let there =
                    names.into_iter().filter(|name| answer.body.contains(&format!("name=\"{name}\"")));
                return Landing::App(there.map(|name| (name.to_owned(), answer.field(name))).collect());
            } else {
                return Landing::Page(answer);
            }
        }
        panic!("it leads nowhere: {answer:#?}");
    }

    /// A form to the token endpoint, with the client's secret in the header.
    pub async fn token(&self, client: &str, form: &[(&str, &str)]) -> Answer {
        self.call("/token", &basic(client), form).await
    }

    /// A form to an endpoint for programs.
    pub async fn call(&self, path: &str, authorization: &str, form: &[(&str, &str)]) -> Answer {
        let mut program = Visitor::new();
        if !authorization.is_empty() {
            program.headers.push(("authorization".to_owned(), authorization.to_owned()));
        }
        program.post_from(&self.house.at(path), form, None, None).await
    }

    /// Redeems a code, with the redirect URI of the request.
    pub async fn redeem(&self, client: &str, code: &str, redirect_uri: &str) -> Answer {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
        self.token(client, &form).await
    }

    /// A whole sign-in by the first client.
    pub async fn sign_in(&mut self, more: &[(&str, &str)]) -> Tokens {
        self.sign_in_by("suite", more).await
    }

    /// A whole sign-in.
    pub async fn sign_in_by(&mut self, client: &str, more: &[(&str, &str)]) -> Tokens {
        let landing = self.authorize(client, more).await;
        if let Landing::App(answer) = &landing {
            let state = more.iter().find(|(name, _)| *name == "state").map_or("suite-state", |(_, s)| s);
            assert_eq!(answer.get("state").map(String::as_str), Some(state).filter(|s| !s.is_empty()));
            // RFC 9207 §2
            assert_eq!(answer.get("iss"), Some(&self.house.origin));
        }
        let redirect_uri =
            more.iter().find(|(name, _)| *name == "redirect_uri").map_or(CALLBACK, |(_, uri)| uri);
        Tokens::of(&self.redeem(client, landing.code(), redirect_uri).await)
    }

    /// Redeems a refresh token.
    pub async fn refresh(&self, client: &str, token: &str) -> Answer {
        self.token(client, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Tokens of an answer of the token endpoint, which must be good.
    pub fn tokens(&self, answer: &Answer) -> Tokens {
        Tokens::of(answer)
    }

    /// What userinfo says to a GET.
    pub async fn userinfo(&self, access: &str) -> Value {
        let mut program = Visitor::new();
        program.headers.push(("authorization".to_owned(), format!("Bearer {access}")));
        let answer = program.get(&self.house.at("/userinfo")).await;
        assert_eq!(answer.status, 200, "{answer:#?}");
        assert!(answer.header("content-type").unwrap().starts_with("application/json"));
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The discovery document.
    pub async fn discovery(&self) -> Value {
        let answer = Visitor::new().get(&self.house.at("/.well-known/openid-configuration")).await;
        assert_eq!(answer.status, 200);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The published keys.
    pub async fn keys(&self) -> Vec<Value> {
        let answer = Visitor::new().get(&self.house.at("/jwks")).await;
        let mut set: Value = serde_json::from_str(&answer.body).unwrap();
        set["keys"].as_array_mut().unwrap().drain(..).collect()
    }
}
