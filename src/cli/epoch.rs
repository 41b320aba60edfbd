//! `countersign new-epoch`

use super::output::{Out, facts};
use super::{CliError, admin_name};
use crate::flow::admin::Desk;
use clap::Args;
use serde_json::json;

const HELP: &str = "\
Everybody is signed out: sessions, refresh tokens, codes, unused invitations and sign-ins in progress end, and the \
signing keys are made anew, so that no access token of before is accepted anywhere once an API has fetched our keys \
again. Accounts, links, groups, roles, consents and clients stay as they are.

Run it after you restored a backup, before the server starts: the backup knows nothing of what was revoked, used or \
suspended since it was made. Then look at what may have come back: suspended accounts (`countersign account suspend`), \
client secrets that were replaced (`countersign client rotate-secret`), assignments and consents that were taken away.

Run it too when the clock had been set far ahead: what was issued meanwhile would live for too long.

Examples:
  countersign new-epoch --because \"restored the backup of 3 o'clock\" --yes";

/// Ends everything that was given out, for instance after a backup was restored
#[derive(Args)]
#[command(after_help = HELP)]
pub struct NewEpoch {
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Yes, sign everybody out
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub async fn run(epoch: NewEpoch, desk: &Desk, out: &Out) -> Result<(), CliError> {
    if !epoch.yes {
        return Err(CliError::Refused {
            code: "refused",
            message: "a new epoch signs everybody out".to_owned(),
            help: Some("add --yes if that is what you want".to_owned()),
        });
    }
    let ended = desk.new_epoch(&epoch.because).await?;
    let body = json!({
        "sessions": ended.sessions, "grants": ended.grants, "invitations": ended.invitations,
        "keys": ended.keys, "by": admin_name(),
    });
    out.show(&body, || {
        let count = |n: usize| n.to_string();
        format!(
            "A new epoch has begun. Ended:\n{}",
            facts(&[
                ("sessions", count(ended.sessions)),
                ("grants", count(ended.grants)),
                ("invitations", count(ended.invitations)),
                ("signing keys", count(ended.keys)),
            ])
        )
    });
    Ok(())
}
