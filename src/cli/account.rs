//! `countersign account`

use super::CliError;
use super::client::duration;
use super::output::{Out, at, facts, joined, table};
use crate::accounts::{Account, AccountEmail, Assignment, EmailAddress, Provenance, Target};
use crate::flow::admin::Desk;
use crate::flow::admin::accounts::{AccountView, Invite};
use crate::ids::{AccountId, ClientId, GroupName, IdentityId, ProviderId, RoleName};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;

const GRANT: &str = "\
What an administrator gives is never touched by a provider. Examples:
  countersign account grant ann@example.com --role editor
  countersign account grant 9f3c2k1LQ0aBcDeFgHiJkL --group staff";

const INVITE: &str = "\
Providers with `provisioning = \"invitation\"` let only those in who bring an invitation. It is printed once. Example:
  countersign account invite --email ann@example.com --group staff --lifetime 7d";

/// People
#[derive(Subcommand)]
pub enum AccountCommand {
    /// List accounts
    List {
        /// Only those whose id, name or address contains this
        #[arg(default_value = "", hide_default_value = true)]
        filter: String,
        /// Begin behind this id (200 are listed at a time)
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        after: Option<AccountId>,
    },
    /// Show all that is known about an account
    Show {
        /// Its id or address
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// Find the account that a client knows by a `sub`, pairwise ones too
    Known {
        /// The client
        #[arg(long, value_name = "ID")]
        to: ClientId,
        /// The `sub` in its tokens
        #[arg(long = "as", value_name = "SUB", allow_hyphen_values = true)]
        sub: String,
    },
    /// Suspend an account: nobody can sign in to it, its sessions end and its tokens stop working at once
    Suspend {
        /// Its id or address
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// Sign an account out everywhere: its sessions end, its tokens stop working at once, and apps are told
    SignOut {
        /// Its id or address
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// Take a way in away from an account; the sessions that came by it end
    Unlink {
        /// Its id or address
        #[arg(allow_hyphen_values = true)]
        account: String,
        /// The identity's id, as `account show --json` names it
        #[arg(allow_hyphen_values = true)]
        identity: IdentityId,
        /// Even if it is the only way in: for somebody whose account at the provider was made anew. The next sign-in with
        /// the same verified address joins this account
        #[arg(long)]
        even_last: bool,
    },
    /// Let a suspended account sign in again
    Activate {
        /// Its id or address
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// Remove an account and what is known about it, for good
    Remove {
        /// Its id or address
        #[arg(allow_hyphen_values = true)]
        account: String,
        /// Really
        #[arg(long)]
        yes: bool,
    },
    /// Give an account a group or role
    #[command(after_help = GRANT)]
    Grant {
        /// Its id or address
        #[arg(allow_hyphen_values = true)]
        account: String,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Take a group or role back that an administrator gave
    Revoke {
        /// Its id or address
        #[arg(allow_hyphen_values = true)]
        account: String,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Invite somebody whom a provider's policy would not let in
    #[command(after_help = INVITE)]
    Invite {
        /// The address that the person must hold with proof; without it, whoever brings the invitation
        #[arg(long, value_parser = address)]
        email: Option<EmailAddress>,
        /// The provider by which they must come
        #[arg(long, value_name = "ID")]
        provider: Option<ProviderId>,
        /// A group that they get
        #[arg(long = "group", value_name = "NAME")]
        groups: Vec<GroupName>,
        /// For how long it can be used
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "7d")]
        lifetime: Duration,
    },
}

/// One group or one role
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct TargetArgs {
    /// The group
    #[arg(long, value_name = "NAME")]
    group: Option<GroupName>,
    /// The role
    #[arg(long, value_name = "NAME")]
    role: Option<RoleName>,
}

impl TargetArgs {
    fn target(self) -> Result<Target, CliError> {
        match (self.group, self.role) {
            (Some(group), None) => Ok(Target::Group(group)),
            (None, Some(role)) => Ok(Target::Role(role)),
            _ => Err(CliError::broken("name one group or one role")),
        }
    }
}

fn address(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| error.to_string())
}

/// Runs the command.
pub async fn run(command: AccountCommand, desk: &Desk, out: &Out) -> Result<(), CliError> {
    match command {
        AccountCommand::List { filter, after } => {
            let accounts = desk.accounts(&filter, after).await?;
            let body: Vec<Value> = accounts.iter().map(json_of).collect();
            out.show(&json!(body), || {
                let row = |account: &Account| {
                    vec![
                        account.id.to_string(),
                        account.profile.name.clone().unwrap_or_default(),
                        account.primary_email().map(address_of).unwrap_or_default(),
                        account.status.as_str().to_owned(),
                    ]
                };
                let rows: Vec<_> = accounts.iter().map(row).collect();
                table(&["id", "name", "address", "status"], &rows, "There are no such accounts.")
            });
        }
        AccountCommand::Show { account } => {
            let view = desk.account(&account).await?;
            out.show(&json_of_view(&view), || text_of(&view));
        }
        AccountCommand::Known { to, sub } => {
            let id = desk.account_known_as(&to, &sub).await?;
            let view = desk.account(id.as_str()).await?;
            out.show(&json_of_view(&view), || text_of(&view));
        }
        AccountCommand::Suspend { account } => {
            let changed = desk.suspend(&account).await?;
            said(out, changed, "The account is suspended.", "The account was suspended already.");
        }
        AccountCommand::SignOut { account } => {
            let ended = desk.sign_out(&account).await?;
            out.show(&json!({ "sessions_ended": ended }), || match ended {
                0 => "No session was open; nothing that was granted works any more.".to_owned(),
                1 => "One session ended.".to_owned(),
                several => format!("{several} sessions ended."),
            });
        }
        AccountCommand::Unlink { account, identity, even_last } => {
            let ended = desk.unlink(&account, &identity, even_last).await?;
            out.show(&json!({ "sessions_ended": ended }), || {
                format!("The way in is gone. Sessions that came by it and ended: {ended}.")
            });
        }
        AccountCommand::Activate { account } => {
            let changed = desk.activate(&account).await?;
            said(out, changed, "The account can sign in again.", "The account could sign in already.");
        }
        AccountCommand::Remove { account, yes } => {
            if !yes {
                return Err(CliError::Refused {
                    code: "refused",
                    message: "an account cannot be brought back".to_owned(),
                    help: Some("add --yes if you mean it; `account suspend` can be undone".to_owned()),
                });
            }
            desk.remove_account(&account).await?;
            said(out, true, "The account was removed.", "");
        }
        AccountCommand::Grant { account, target } => {
            let changed = desk.grant(&account, target.target()?).await?;
            said(out, changed, "Given.", "You had given it already.");
        }
        AccountCommand::Revoke { account, target } => {
            let changed = desk.revoke(&account, target.target()?).await?;
            said(out, changed, "Taken back.", "No administrator had given it.");
        }
        AccountCommand::Invite { email, provider, groups, lifetime } => {
            let groups = groups.into_iter().collect();
            let invitation = desk.invite(Invite { email, provider, groups, lifetime }).await?;
            let ends = desk.context.now().plus(lifetime);
            let link = desk.settings.issuer.at(&format!("/invitation?token={}", invitation.expose()));
            let body = json!({ "invitation": invitation.expose(), "link": link, "expires_at": at(ends) });
            out.show(&body, || {
                format!(
                    "{}\nSend the person this link. It works once and is not shown again.",
                    facts(&[("link", link.clone()), ("until", at(ends))])
                )
            });
        }
    }
    Ok(())
}

fn said(out: &Out, changed: bool, yes: &str, no: &str) {
    out.show(&json!({ "changed": changed }), || if changed { yes } else { no }.to_owned());
}

fn json_of(account: &Account) -> Value {
    let emails: Vec<Value> = account
        .emails
        .iter()
        .map(|email| {
            json!({
                "address": email.address,
                "proof": email.proof.as_ref().map(ToString::to_string),
                "lapsed": email.lapsed,
                "primary": email.primary,
            })
        })
        .collect();
    json!({
        "id": account.id, "status": account.status, "profile": account.profile, "emails": emails,
        "created_at": at(account.created_at), "updated_at": at(account.updated_at),
    })
}

/// An address, and whether it is only said.
fn address_of(email: &AccountEmail) -> String {
    match email.proof {
        Some(_) => email.address.to_string(),
        None => format!("{} (not proved)", email.address),
    }
}

/// Who gave it, in words.
fn giver(provenance: &Provenance) -> String {
    match provenance {
        Provenance::Provider { provider, rule } => format!("provider {provider}, rule {rule}"),
        Provenance::Configuration => "configuration file".to_owned(),
        Provenance::Admin(name) => format!("administrator {name}"),
    }
}

fn json_of_view(view: &AccountView) -> Value {
    let mut body = json_of(&view.account);
    let identities: Vec<Value> = view
        .identities
        .iter()
        .map(|identity| {
            json!({
                "id": identity.id, "provider": identity.key.provider, "issuer": identity.key.issuer,
                "subject": identity.key.subject, "label": identity.label,
                "linked_at": at(identity.linked_at), "last_used_at": at(identity.last_used_at),
            })
        })
        .collect();
    let assignments: Vec<Value> = view
        .assignments
        .iter()
        .map(|a| json!({ "kind": a.target.kind(), "name": a.target.name(), "by": giver(&a.provenance) }))
        .collect();
    let sessions: Vec<Value> = view
        .sessions
        .iter()
        .map(|s| json!({ "id": s.id, "created_at": at(s.created_at), "last_seen_at": at(s.last_seen_at) }))
        .collect();
    let grants: Vec<Value> = view
        .grants
        .iter()
        .map(|g| json!({ "id": g.id, "client": g.client, "scope": g.scope, "created_at": at(g.created_at) }))
        .collect();
    let events: Vec<Value> = view
        .events
        .iter()
        .map(|record| {
            let event = &record.event;
            json!({
                "at": at(event.at), "kind": event.kind.as_str(), "actor": event.actor.to_string(),
                "provider": event.provider, "client": event.client, "reason": event.reason, "data": event.data,
            })
        })
        .collect();
    if let Some(body) = body.as_object_mut() {
        body.insert("identities".to_owned(), json!(identities));
        body.insert("assignments".to_owned(), json!(assignments));
        body.insert("access".to_owned(), json!(view.access));
        body.insert("sessions".to_owned(), json!(sessions));
        body.insert("grants".to_owned(), json!(grants));
        body.insert("events".to_owned(), json!(events));
    }
    body
}

fn text_of(view: &AccountView) -> String {
    let account = &view.account;
    let emails = account.emails.iter().map(|email| {
        let worth = match (&email.proof, &email.lapsed) {
            (Some(proof), _) => format!("proved by {proof}"),
            (None, Some(by)) => format!("not proved; once by {by}, for which the domain no longer counts"),
            (None, None) => "not proved".to_owned(),
        };
        format!("{} ({worth})", email.address)
    });
    let given = |a: &Assignment| format!("{} {}: {}", a.target.kind(), a.target.name(), giver(&a.provenance));
    let ways = view.identities.iter().map(|i| {
        let label = i.label.clone().unwrap_or_else(|| i.key.subject.clone());
        format!("{}: {label} (last {})", i.key.provider, at(i.last_used_at))
    });
    let events = view.events.iter().map(|record| {
        let event = &record.event;
        let by = event.provider.as_ref().map(|provider| format!(", {provider}")).unwrap_or_default();
        let remarks = event.data.get("remarks").and_then(Value::as_array).into_iter().flatten();
        let remarks: String =
            remarks.filter_map(Value::as_str).map(|remark| format!("\n    {remark}")).collect();
        format!("{}  {} by {}{by}{remarks}", at(event.at), event.kind.as_str(), event.actor)
    });
    let lines = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join("\n");
    facts(&[
        ("id", account.id.to_string()),
        ("name", account.profile.name.clone().unwrap_or_default()),
        ("status", account.status.as_str().to_owned()),
        ("made", at(account.created_at)),
        ("addresses", lines(&mut emails.into_iter())),
        ("ways in", lines(&mut ways.into_iter())),
        ("given", lines(&mut view.assignments.iter().map(given))),
        ("groups", joined(&view.access.groups)),
        ("roles", joined(&view.access.roles)),
        ("permissions", joined(&view.access.permissions)),
        ("sessions", view.sessions.len().to_string()),
        ("grants", joined(view.grants.iter().map(|grant| &grant.client))),
        ("lately", lines(&mut events.into_iter())),
    ])
}
