//! The options of `countersign client add` about authorization requests and the sign-ins that they demand.

use crate::clients::Client;
use crate::clients::metadata::{RequestRules, SignInRules};
use crate::config::values;
use crate::jose::Alg;
use clap::Args;
use std::time::Duration;

/// Its requests
#[derive(Args)]
#[command(next_help_heading = "Requests")]
pub struct Requests {
    /// Take only pushed requests from it (RFC 9126)
    #[arg(long)]
    require_pushed_authorization_requests: bool,
    /// Take only signed request objects from it (RFC 9101); it needs keys
    #[arg(long)]
    require_signed_request_object: bool,
    /// The one algorithm of its request objects, such as ES256; by default any that its keys allow
    #[arg(long, value_name = "ALG", value_parser = alg)]
    request_object_signing_alg: Option<String>,
    /// An address at which a request object of its may lie
    #[arg(long = "request-uri", value_name = "URL")]
    request_uris: Vec<String>,
    /// How old a person's last proof may be where a request says nothing, such as 1h
    #[arg(long, value_name = "TIME", value_parser = super::client::duration)]
    default_max_age: Option<Duration>,
    /// Every ID token must say when the person proved themselves
    #[arg(long)]
    require_auth_time: bool,
    /// An authentication context that is wanted where a request says nothing, the most wanted first
    #[arg(long = "default-acr-value", value_name = "ACR")]
    default_acr_values: Vec<String>,
}

fn alg(text: &str) -> Result<String, String> {
    let names = || Alg::ALL.map(Alg::as_str).join(", ");
    Alg::parse(text).map(|alg| alg.to_string()).ok_or_else(|| format!("it must be one of: {}", names()))
}

impl Requests {
    /// What they say of a client.
    pub fn rules(self) -> (RequestRules, SignInRules) {
        let requests = RequestRules {
            pushed_only: self.require_pushed_authorization_requests,
            signed_only: self.require_signed_request_object,
            alg: self.request_object_signing_alg,
            uris: self.request_uris.into_iter().collect(),
        };
        let sign_in = SignInRules {
            default_max_age: self.default_max_age,
            require_auth_time: self.require_auth_time,
            default_acr_values: self.default_acr_values,
            ..SignInRules::default()
        };
        (requests, sign_in)
    }
}

/// What `countersign client show` says of them; what is empty is left out.
pub fn facts(client: &Client) -> Vec<(&'static str, String)> {
    let (requests, sign_in) = (&client.requests, &client.sign_in);
    let only = |flag: bool, text: &str| if flag { text.to_owned() } else { String::new() };
    let lines = |items: &mut dyn Iterator<Item = &String>| items.cloned().collect::<Vec<_>>().join("\n");
    vec![
        ("requests", only(requests.pushed_only, "pushed only")),
        ("request objects", only(requests.signed_only, "required")),
        ("request alg", requests.alg.clone().unwrap_or_default()),
        ("request URIs", lines(&mut requests.uris.iter())),
        ("default max age", sign_in.default_max_age.map(values::show).unwrap_or_default()),
        ("auth_time", only(sign_in.require_auth_time, "required")),
        ("default acr", lines(&mut sign_in.default_acr_values.iter())),
    ]
}
