//! `countersign session`

use super::CliError;
use super::output::{Out, at, joined, table};
use crate::flow::admin::Desk;
use crate::ids::SessionId;
use crate::sessions::Session;
use clap::Subcommand;
use serde_json::{Value, json};

const END: &str = "\
`account sign-out` ends all sessions of a person. Example:
  countersign session end 9f3c2k1LQ0aBcDeFgHiJkL";

/// The browsers in which people are signed in
#[derive(Subcommand)]
pub enum SessionCommand {
    /// List the live sessions of an account
    List {
        /// The account's id or address
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// End a session: its tokens stop working at once, and its apps are told
    #[command(after_help = END)]
    End {
        /// Its id, which apps know as `sid`
        #[arg(allow_hyphen_values = true)]
        id: SessionId,
    },
}

/// Runs the command.
pub async fn run(command: SessionCommand, desk: &Desk, out: &Out) -> Result<(), CliError> {
    match command {
        SessionCommand::List { account } => {
            let sessions = desk.sessions(&account).await?;
            let body: Vec<Value> = sessions.iter().map(json_of).collect();
            out.show(&json!(body), || {
                let row = |session: &Session| {
                    vec![
                        session.id.to_string(),
                        joined(session.proofs.iter().map(|proof| &proof.provider)),
                        at(session.created_at),
                        at(session.last_seen_at),
                        at(session.expires_at),
                    ]
                };
                let rows: Vec<_> = sessions.iter().map(row).collect();
                table(&["id", "by", "began", "used", "ends"], &rows, "Nobody is signed in to this account.")
            });
        }
        SessionCommand::End { id } => {
            let ended = desk.end_session(&id).await?;
            out.show(&json!({ "changed": ended }), || {
                if ended { "The session ended." } else { "The session had ended before." }.to_owned()
            });
        }
    }
    Ok(())
}

fn json_of(session: &Session) -> Value {
    let proofs: Vec<Value> = session
        .proofs
        .iter()
        .map(|proof| json!({ "provider": proof.provider, "identity": proof.identity, "at": at(proof.auth_time) }))
        .collect();
    json!({
        "id": session.id, "account": session.account, "proofs": proofs, "created_at": at(session.created_at),
        "last_seen_at": at(session.last_seen_at), "expires_at": at(session.expires_at),
    })
}
