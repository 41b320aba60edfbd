//! `countersign registration-token`

use super::CliError;
use super::client::{Grant, duration, scope};
use super::output::{Out, at, facts, joined, table};
use crate::clients::GrantType;
use crate::clients::dynamic::{HostRule, Narrowing, RegistrationToken};
use crate::config::settings::RegistrationMode;
use crate::flow::admin::Desk;
use crate::flow::admin::registration::NewToken;
use crate::protocol::Scope;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;

const ADD: &str = "\
With `[registration] mode = \"token\"` a program that sends the token to /register may register clients by itself. What \
it may register is what the configuration allows, and no more than the options here leave of that. The token is printed \
once.

Examples:
  countersign registration-token add --note 'portal installer' --uses 1 --lifetime 1h
  countersign registration-token add --note 'team shop' --redirect-host '*.shop.example.com' --scope 'openid email'";

/// Tokens that let programs register clients by themselves
#[derive(Subcommand)]
pub enum RegistrationTokenCommand {
    /// Make a token; it is printed once
    Add(Add),
    /// List the tokens; those that ended stay listed for a week
    List,
    /// End a token; clients that it registered stay
    Revoke {
        /// Its id, as listed
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

/// Makes a token
#[derive(Args)]
#[command(after_help = ADD)]
pub struct Add {
    /// What it is for, for whoever reads the list
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// For how long it can be used
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1d")]
    lifetime: Duration,
    /// How many clients it may register; by default any number
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// Only these grant types; by default those of the configuration
    #[arg(long = "grant-type", value_enum, value_name = "TYPE")]
    grant_types: Vec<Grant>,
    /// Only these scopes, with spaces between them; by default those of the configuration
    #[arg(long, value_parser = scope)]
    scope: Option<Scope>,
    /// Only redirect URIs there: a host, *.DOMAIN, or an app's scheme with a colon; by default as configured
    #[arg(long = "redirect-host", value_name = "HOST")]
    redirect_hosts: Vec<HostRule>,
}

/// Runs the command.
pub async fn run(command: RegistrationTokenCommand, desk: &Desk, out: &Out) -> Result<(), CliError> {
    match command {
        RegistrationTokenCommand::Add(add) => {
            let grant_types = add.grant_types.iter().map(|grant| GrantType::from(*grant));
            let narrowing = Narrowing {
                grant_types: (!add.grant_types.is_empty()).then(|| grant_types.collect()),
                scope: add.scope,
                redirect_hosts: add.redirect_hosts.into_iter().collect(),
            };
            let new = NewToken { note: add.note, narrowing, uses: add.uses, lifetime: add.lifetime };
            let (token, handle) = desk.add_registration_token(new).await?;
            let mut body = json_of(&token);
            if let Some(body) = body.as_object_mut() {
                body.insert("token".to_owned(), json!(handle.expose()));
            }
            let closed = desk.settings.registration.mode == RegistrationMode::Closed;
            out.show(&body, || {
                let mut text = facts(&[
                    ("id", token.id.clone()),
                    ("token", handle.expose().to_owned()),
                    ("until", at(token.expires_at)),
                ]);
                text.push_str("\nThis token is not shown again.");
                if closed {
                    text.push_str(" It works once `[registration] mode` is \"token\".");
                }
                text
            });
        }
        RegistrationTokenCommand::List => {
            let tokens = desk.registration_tokens().await?;
            let body: Vec<Value> = tokens.iter().map(json_of).collect();
            out.show(&json!(body), || {
                let row = |token: &RegistrationToken| {
                    let state = match (token.is_usable(desk.context.now()), token.revoked_at) {
                        (true, _) => "usable",
                        (false, Some(_)) => "revoked",
                        (false, None) => "over",
                    };
                    vec![
                        token.id.clone(),
                        token.note.clone(),
                        token.uses_left.map_or_else(|| "any".to_owned(), |uses| uses.to_string()),
                        at(token.expires_at),
                        state.to_owned(),
                        allowed(token),
                    ]
                };
                let rows: Vec<_> = tokens.iter().map(row).collect();
                table(&["id", "note", "uses left", "until", "state", "only"], &rows, "There are no tokens.")
            });
        }
        RegistrationTokenCommand::Revoke { id } => {
            desk.revoke_registration_token(&id).await?;
            out.show(&json!({ "revoked": id }), || format!("The token {id} was revoked."));
        }
    }
    Ok(())
}

/// What a token allows of what the configuration allows.
fn allowed(token: &RegistrationToken) -> String {
    let only = &token.narrowing;
    let grants = only.grant_types.iter().flatten().map(|grant| grant.as_str().to_owned());
    let scope = only.scope.iter().map(ToString::to_string);
    let hosts = only.redirect_hosts.iter().map(ToString::to_string);
    joined(grants.chain(scope).chain(hosts))
}

fn json_of(token: &RegistrationToken) -> Value {
    json!({
        "id": token.id, "note": token.note, "only": token.narrowing, "uses_left": token.uses_left,
        "created_by": token.created_by, "created_at": at(token.created_at), "expires_at": at(token.expires_at),
        "revoked_at": token.revoked_at.map(at),
    })
}
