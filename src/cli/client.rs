//! `countersign client`

use super::client_logout::{self, Logout};
use super::client_requests::{self, Requests};
use super::output::{Out, at, facts, joined, table};
use super::shapes::{Shapes, shown};
use super::{CliError, logouts};
use crate::accounts::Target;
use crate::clients::metadata::{About, AssertionRules, KeySource};
use crate::clients::{AuthMethod, Client, GrantType, Origin, SigningAlg, registration};
use crate::config::values;
use crate::flow::admin::Desk;
use crate::flow::admin::clients::WithSecret;
use crate::ids::{ClientId, GroupName, ProviderId, RoleName};
use crate::jose::Alg as Verified;
use crate::protocol::Scope;
use crate::store::RegistrationRecord;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

const ADD: &str = "\
A client that is not public gets a secret of 256 random bits, unless it has keys. It is printed once and cannot be read again: keep it where \
the app keeps its secrets. A running server knows the client within a second or two.

Examples:
  countersign client add shop --name Shop --redirect-uri https://shop.example.com/callback --first-party
  countersign client add mobile --public --redirect-uri com.example.mobile:/callback --scope 'openid offline_access'
  countersign client add portal --jwks-uri https://portal.example.com/jwks --redirect-uri https://portal.example.com/cb
  countersign client add reports --grant-type client-credentials --role reporter";

const SIGN_OUT: &str = "\
People stay signed in here and at other clients, so at most clients their next visit signs them in again without a \
question. Example:
  countersign client sign-out shop";

const REPORT: &str = "\
Clients with a backchannel_logout_uri get a signed logout token when a session ends. One that does not take it is asked \
again, with growing pauses, for most of a day. Example:
  countersign client logout-report shop --json";

/// Apps that sign people in through this broker
#[derive(Subcommand)]
pub enum ClientCommand {
    /// Make a client; its secret is printed once
    Add(Box<Add>),
    /// List all clients
    List,
    /// Show a client
    Show {
        /// Its id
        id: ClientId,
    },
    /// Give a client a new secret; it is printed once
    RotateSecret {
        /// Its id
        id: ClientId,
        /// Let the newest of the old secrets go on working until the next rotation
        #[arg(long)]
        keep_previous: bool,
    },
    /// Sign everybody out of a client: its tokens stop working at once, and it is told
    #[command(after_help = SIGN_OUT)]
    SignOut {
        /// Its id
        id: ClientId,
    },
    /// Show how a client was told that sessions ended (the last seven days)
    #[command(after_help = REPORT)]
    LogoutReport {
        /// Its id
        id: ClientId,
    },
    /// Remove a client; all its tokens stop working at once, and it is told
    Remove {
        /// Its id
        id: ClientId,
    },
}

/// Makes a client
#[derive(Args)]
#[command(after_help = ADD)]
pub struct Add {
    /// Its id, as the app will send it
    id: ClientId,
    /// What people read on the consent page; by default the id
    #[arg(long)]
    name: Option<String>,
    /// An app in a browser or on a device, which cannot keep a secret
    #[arg(long)]
    public: bool,
    /// How it proves itself; by default by a secret (both ways), with keys alone by assertions
    #[arg(long = "auth-method", value_enum, value_name = "METHOD", conflicts_with = "public")]
    auth_methods: Vec<Method>,
    /// A file with its public keys, a JWK Set
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
    jwks: Option<PathBuf>,
    /// The https address at which it publishes its public keys
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// The one algorithm of its assertions, such as ES256; by default any that its keys allow
    #[arg(long, value_name = "ALG", value_parser = verified_alg)]
    assertion_alg: Option<String>,
    /// Whether its assertions must name our issuer alone as their audience; by default as the setting says
    #[arg(long, value_name = "BOOL")]
    strict_assertions: Option<bool>,
    /// Where the app takes its answers: https, http on a loopback host, or (public) a scheme such as com.example.app:
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Where people may be sent after signing out
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    post_logout_redirect_uris: Vec<String>,
    /// An origin from which a browser may read our answers; by default those of the redirect URIs
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// What it may do; by default authorization-code and refresh-token
    #[arg(long = "grant-type", value_enum, value_name = "TYPE")]
    grant_types: Vec<Grant>,
    /// Scopes it may ask for, with spaces between them; by default "openid profile email", or for a client
    /// without people "groups roles permissions"
    #[arg(long, value_parser = scope)]
    scope: Option<Scope>,
    /// A resource that it may ask tokens for; by default the default audience alone
    #[arg(long = "resource", value_name = "URI")]
    resources: Vec<String>,
    /// An app of ours: no consent page
    #[arg(long)]
    first_party: bool,
    /// Do not demand PKCE (never for public clients; only for apps that cannot do it)
    #[arg(long)]
    no_pkce: bool,
    /// How its ID tokens are signed
    #[arg(long, value_enum, default_value = "rs256")]
    id_token_alg: Alg,
    /// How its access tokens are signed
    #[arg(long, value_enum, default_value = "rs256")]
    access_token_alg: Alg,
    /// Put profile, e-mail and group claims into the ID token too
    #[arg(long)]
    claims_in_id_token: bool,
    /// A group it has as itself (client credentials)
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<GroupName>,
    /// A role it has as itself (client credentials)
    #[arg(long = "role", value_name = "NAME")]
    roles: Vec<RoleName>,
    /// A provider that its people may use; by default all
    #[arg(long = "provider", value_name = "ID")]
    providers: Vec<ProviderId>,
    /// The provider that is gone to directly, without a page to choose
    #[arg(long, value_name = "ID")]
    default_provider: Option<ProviderId>,
    /// The app's start page, for "start again"
    #[arg(long, value_name = "URL")]
    home_uri: Option<String>,
    /// Its home page, linked on the consent page
    #[arg(long, value_name = "URL")]
    client_uri: Option<String>,
    /// Its logo; kept for those who list clients, never loaded by our pages
    #[arg(long, value_name = "URL")]
    logo_uri: Option<String>,
    /// How it uses data, linked on the consent page
    #[arg(long, value_name = "URL")]
    policy_uri: Option<String>,
    /// Its terms, linked on the consent page
    #[arg(long, value_name = "URL")]
    tos_uri: Option<String>,
    /// Somebody who looks after it
    #[arg(long = "contact", value_name = "ADDRESS")]
    contacts: Vec<String>,
    /// How long its access tokens live, where that differs from the setting, such as 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    access_token_lifetime: Option<Duration>,
    /// How long its refresh tokens live unused, where that differs from the setting, such as 30d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    refresh_token_lifetime: Option<Duration>,
    #[command(flatten)]
    shapes: Shapes,
    #[command(flatten)]
    requests: Requests,
    #[command(flatten)]
    logout: Logout,
}

#[derive(Clone, Copy, ValueEnum)]
enum Method {
    /// Its secret, in the Authorization header
    #[value(name = "client_secret_basic")]
    Basic,
    /// Its secret, in the form
    #[value(name = "client_secret_post")]
    Post,
    /// An assertion signed with a key of its own (RFC 7523)
    #[value(name = "private_key_jwt")]
    Key,
}

impl From<Method> for AuthMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Basic => Self::ClientSecretBasic,
            Method::Post => Self::ClientSecretPost,
            Method::Key => Self::PrivateKeyJwt,
        }
    }
}

/// A grant type.
#[derive(Clone, Copy, ValueEnum)]
pub enum Grant {
    /// People sign in (RFC 6749 §4.1)
    AuthorizationCode,
    /// New tokens without the person (RFC 6749 §6)
    RefreshToken,
    /// The client as itself (RFC 6749 §4.4)
    ClientCredentials,
}

impl From<Grant> for GrantType {
    fn from(grant: Grant) -> Self {
        match grant {
            Grant::AuthorizationCode => Self::AuthorizationCode,
            Grant::RefreshToken => Self::RefreshToken,
            Grant::ClientCredentials => Self::ClientCredentials,
        }
    }
}

/// An algorithm that we sign with.
#[derive(Clone, Copy, ValueEnum)]
pub enum Alg {
    Rs256,
    Es256,
    Eddsa,
}

impl From<Alg> for SigningAlg {
    fn from(alg: Alg) -> Self {
        match alg {
            Alg::Rs256 => Self::RS256,
            Alg::Es256 => Self::ES256,
            Alg::Eddsa => Self::EdDSA,
        }
    }
}

/// Scopes with spaces between them.
pub fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).map_err(|error| error.to_string())
}

fn verified_alg(text: &str) -> Result<String, String> {
    let names = || Verified::ALL.map(Verified::as_str).join(", ");
    Verified::parse(text).map(|alg| alg.to_string()).ok_or_else(|| format!("it must be one of: {}", names()))
}

/// A length of time such as 10m.
pub fn duration(text: &str) -> Result<Duration, String> {
    values::duration(text).map_err(|rule| format!("{rule} (write, for example, 10m or 30d)"))
}

impl Add {
    fn client(self) -> Result<Client, CliError> {
        let keys = match (self.jwks, self.jwks_uri) {
            (Some(path), _) => {
                let text = values::read_bounded(&path, values::MOST_ANY).and_then(|bytes| {
                    let utf8 = String::from_utf8(bytes.to_vec());
                    utf8.map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
                });
                let text = text.map_err(|error| {
                    CliError::broken(format!("{} cannot be read: {error}", path.display()))
                })?;
                Some(KeySource::Jwks(text))
            }
            (None, address) => address.map(KeySource::JwksUri),
        };
        let auth_methods: BTreeSet<AuthMethod> = if self.public {
            BTreeSet::from([AuthMethod::None])
        } else if !self.auth_methods.is_empty() {
            self.auth_methods.into_iter().map(AuthMethod::from).collect()
        } else if keys.is_some() {
            BTreeSet::from([AuthMethod::PrivateKeyJwt])
        } else {
            BTreeSet::from([AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost])
        };
        let grant_types: BTreeSet<GrantType> = if self.grant_types.is_empty() {
            BTreeSet::from([GrantType::AuthorizationCode, GrantType::RefreshToken])
        } else {
            self.grant_types.iter().map(|grant| GrantType::from(*grant)).collect()
        };
        let (requests, mut sign_in) = self.requests.rules();
        sign_in.initiate_login_uri = self.logout.initiate_login_uri.clone();
        let groups = self.groups.into_iter().map(Target::Group);
        let roles = self.roles.into_iter().map(Target::Role);
        Ok(Client {
            name: self.name.unwrap_or_else(|| self.id.to_string()),
            id: self.id,
            auth_methods,
            secret_hashes: Vec::new(),
            redirect_uris: self.redirect_uris.into_iter().collect(),
            post_logout_redirect_uris: self.post_logout_redirect_uris.into_iter().collect(),
            origins: self.origins.into_iter().collect(),
            scope: self.scope.unwrap_or_else(|| registration::usual_scope(&grant_types)),
            grant_types,
            resources: self.resources.into_iter().collect(),
            first_party: self.first_party,
            require_pkce: !self.no_pkce,
            id_token_alg: self.id_token_alg.into(),
            access_token_alg: self.access_token_alg.into(),
            claims_in_id_token: self.claims_in_id_token,
            assignments: groups.chain(roles).collect(),
            access_token_lifetime: self.access_token_lifetime,
            refresh_token_lifetime: self.refresh_token_lifetime,
            default_provider: self.default_provider,
            providers: self.providers.into_iter().collect(),
            home_uri: self.home_uri,
            keys,
            assertions: AssertionRules { alg: self.assertion_alg, issuer_only: self.strict_assertions },
            requests,
            sign_in,
            logout: self.logout.channels(),
            subjects: self.shapes.subjects(),
            userinfo_alg: self.shapes.userinfo_alg.map(Into::into),
            shapes: self.shapes.shapes(),
            about: About {
                client_uri: self.client_uri,
                logo_uri: self.logo_uri,
                policy_uri: self.policy_uri,
                tos_uri: self.tos_uri,
                contacts: self.contacts.into_iter().collect(),
            },
            disabled: false,
            origin: Origin::Created,
        })
    }
}

/// Runs the command.
pub async fn run(command: ClientCommand, desk: &Desk, out: &Out) -> Result<(), CliError> {
    match command {
        ClientCommand::Add(add) => {
            if add.public && add.no_pkce {
                return Err(CliError::Refused {
                    code: "refused",
                    message: "PKCE is always required of public clients (RFC 9700 §2.1.1)".to_owned(),
                    help: None,
                });
            }
            show_secret(&desk.add_client(add.client()?).await?, "made", out);
        }
        ClientCommand::List => {
            let clients = desk.clients().await?;
            let body: Vec<Value> = clients.values().map(json_of).collect();
            out.show(&json!(body), || {
                let row = |client: &Client| {
                    let kind = if client.is_public() { "public" } else { "confidential" };
                    let state = if client.disabled { "off" } else { "on" };
                    vec![
                        client.id.to_string(),
                        client.name.clone(),
                        kind.to_owned(),
                        client.origin.as_str().to_owned(),
                        state.to_owned(),
                    ]
                };
                let rows: Vec<_> = clients.values().map(row).collect();
                table(&["id", "name", "kind", "origin", "state"], &rows, "There are no clients.")
            });
        }
        ClientCommand::Show { id } => {
            let client = desk.client(&id).await?;
            let registration = desk.registration(&id).await?;
            let mut body = json_of(&client);
            if let (Some(record), Some(body)) = (&registration, body.as_object_mut()) {
                body.insert("registration".to_owned(), registration_json(record));
            }
            out.show(&body, || {
                text_of(&client) + &registration.as_ref().map(registration_text).unwrap_or_default()
            });
        }
        ClientCommand::RotateSecret { id, keep_previous } => {
            show_secret(&desk.rotate_secret(&id, keep_previous).await?, "changed", out);
        }
        ClientCommand::SignOut { id } => {
            let (grants, told) = desk.sign_out_of_client(&id).await?;
            out.show(&json!({ "grants_revoked": grants, "logouts_queued": told }), || {
                format!(
                    "Everybody is signed out of {id}: {grants} grants ended, {told} logout tokens follow."
                )
            });
        }
        ClientCommand::LogoutReport { id } => {
            let report = desk.logout_report(&id).await?;
            out.show(&logouts::json_of(&report), || logouts::text_of(&report));
        }
        ClientCommand::Remove { id } => {
            desk.remove_client(&id).await?;
            out.show(&json!({ "removed": id }), || format!("The client {id} was removed."));
        }
    }
    Ok(())
}

fn show_secret(made: &WithSecret, done: &str, out: &Out) {
    let secret = made.secret.as_ref().map(|secret| secret.expose());
    let mut body = json_of(&made.client);
    if let (Some(secret), Some(body)) = (secret, body.as_object_mut()) {
        body.insert("client_secret".to_owned(), json!(secret));
    }
    out.show(&body, || match secret {
        Some(secret) => format!(
            "The client {} was {done}.\n\nclient_id      {}\nclient_secret  {secret}\n\nThis secret is not shown again.",
            made.client.id, made.client.id
        ),
        None if made.client.is_public() => {
            format!("The client {} was {done}. It is public and has no secret.", made.client.id)
        }
        None => format!("The client {} was {done}. It proves itself by its keys.", made.client.id),
    });
}

/// The client without the digests of its secrets.
fn json_of(client: &Client) -> Value {
    let mut body = json!(client);
    if let Some(body) = body.as_object_mut() {
        body.remove("secret_hashes");
        body.insert("secrets".to_owned(), json!(client.secret_hashes.len()));
        let time = |time: Option<Duration>| json!(time.map(values::show));
        body.insert("access_token_lifetime".to_owned(), time(client.access_token_lifetime));
        body.insert("refresh_token_lifetime".to_owned(), time(client.refresh_token_lifetime));
        if let Some(sign_in) = body.get_mut("sign_in").and_then(Value::as_object_mut) {
            sign_in.insert("default_max_age".to_owned(), time(client.sign_in.default_max_age));
        }
    }
    body
}

fn text_of(client: &Client) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words = |value: Value| joined(value.as_array().into_iter().flatten().map(word));
    let lines = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join("\n");
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let time = |time: Option<Duration>| time.map(values::show).unwrap_or_default();
    let mut lines_of = vec![
        ("id", client.id.to_string()),
        ("name", client.name.clone()),
        ("origin", client.origin.as_str().to_owned()),
        ("switched off", if client.disabled { yes(true) } else { String::new() }),
        ("public", yes(client.is_public())),
        ("auth methods", words(json!(client.auth_methods))),
        ("secrets", client.secret_hashes.len().to_string()),
        ("keys", keys_of(client)),
        ("assertion alg", client.assertions.alg.clone().unwrap_or_default()),
        ("strict assertions", client.assertions.issuer_only.map(yes).unwrap_or_default()),
        ("redirect URIs", lines(&client.redirect_uris)),
        ("after logout", lines(&client.post_logout_redirect_uris)),
        ("origins", lines(&client.origins)),
        ("grant types", words(json!(client.grant_types))),
        ("scope", client.scope.to_string()),
        ("resources", lines(&client.resources)),
        ("first party", yes(client.first_party)),
        ("PKCE", if client.require_pkce { "required" } else { "optional" }.to_owned()),
        ("ID token", client.id_token_alg.as_str().to_owned()),
        ("access token", client.access_token_alg.as_str().to_owned()),
        ("claims in ID token", yes(client.claims_in_id_token)),
        ("userinfo", client.userinfo_alg.map_or("plain", SigningAlg::as_str).to_owned()),
        ("subjects", if client.subjects.pairwise { "pairwise" } else { "public" }.to_owned()),
        ("sector", client.subjects.sector_identifier_uri.clone().unwrap_or_default()),
        ("groups", shown(&client.shapes.groups)),
        ("roles", shown(&client.shapes.roles)),
        ("permissions", shown(&client.shapes.permissions)),
        (
            "has",
            joined(client.assignments.iter().map(|target| format!("{} {}", target.kind(), target.name()))),
        ),
        ("access lifetime", time(client.access_token_lifetime)),
        ("refresh lifetime", time(client.refresh_token_lifetime)),
        ("goes to", client.default_provider.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("providers", joined(&client.providers)),
        ("start page", client.home_uri.clone().unwrap_or_default()),
        ("home page", client.about.client_uri.clone().unwrap_or_default()),
        ("logo", client.about.logo_uri.clone().unwrap_or_default()),
        ("use of data", client.about.policy_uri.clone().unwrap_or_default()),
        ("terms", client.about.tos_uri.clone().unwrap_or_default()),
        ("contacts", lines(&client.about.contacts)),
    ];
    lines_of.extend(client_requests::facts(client));
    lines_of.extend(client_logout::facts(client));
    facts(&lines_of)
}

fn registration_json(record: &RegistrationRecord) -> Value {
    let registered = &record.registered;
    json!({
        "registered_at": at(registered.issued_at), "source": record.source, "token": record.token,
        "first_used_at": record.used_at.map(at), "application_type": registered.application_type,
        "software_id": registered.software_id, "software_version": registered.software_version,
    })
}

fn registration_text(record: &RegistrationRecord) -> String {
    let registered = &record.registered;
    let software = registered.software_id.iter().chain(&registered.software_version).cloned();
    facts(&[
        ("registered", at(registered.issued_at)),
        ("from", record.source.clone()),
        ("by token", record.token.clone().unwrap_or_default()),
        ("first used", record.used_at.map(at).unwrap_or_default()),
        ("software", software.collect::<Vec<_>>().join(" ")),
    ])
}

fn keys_of(client: &Client) -> String {
    match &client.keys {
        None => String::new(),
        Some(KeySource::JwksUri(address)) => address.clone(),
        Some(KeySource::Jwks(text)) => {
            let count = crate::jose::JwkSet::registered(text.as_bytes()).map_or(0, |keys| keys.len());
            format!("{count} by value")
        }
    }
}
