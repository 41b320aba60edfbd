//! `countersign keys`

use super::output::{Out, at, table};
use super::{CliError, Global, admin_name, open};
use crate::audit::Actor;
use crate::clients::SigningAlg;
use crate::context::Context;
use crate::failure::Failure;
use crate::flow::keys::Keys;
use crate::tokens::KeyRecord;
use crate::tokens::rotation::Urgency;
use crate::tokens::seal::Sealer;
use clap::Subcommand;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

const ROTATE: &str = "\
The next key is published `[keys] publish_ahead` before it signs, so that apps that cache our keys know it in time; the \
present one stays published until the last token that it signed has expired. With --now the next key signs at once: for \
when somebody may have the present one. Apps that cache our keys may then refuse tokens until they fetch them again.

Examples:
  countersign keys rotate
  countersign keys rotate --alg es256 --now";

/// The keys that sign tokens
#[derive(Subcommand)]
pub enum KeysCommand {
    /// List the keys
    List,
    /// Let the next keys take over
    #[command(after_help = ROTATE)]
    Rotate {
        /// Only this algorithm; by default all
        #[arg(long = "alg", value_enum)]
        algs: Vec<super::client::Alg>,
        /// Without waiting until apps know the next key
        #[arg(long)]
        now: bool,
    },
}

/// Runs the command.
pub async fn run(command: KeysCommand, global: &Global, out: &Out) -> Result<(), CliError> {
    let loaded = global.load()?;
    let store = open(&loaded)?;
    let context = Context::system();
    let sealer = Sealer::new(loaded.settings.master_key.expose_secret()).map_err(Failure::from)?;
    let keys = Keys::new(&context, &store, &sealer, &loaded.settings);
    let records = match command {
        KeysCommand::List => keys.list().await?,
        KeysCommand::Rotate { algs, now } => {
            let algs: Vec<SigningAlg> = match algs.is_empty() {
                true => SigningAlg::ALL.to_vec(),
                false => algs.into_iter().map(SigningAlg::from).collect(),
            };
            let urgency = if now { Urgency::AtOnce } else { Urgency::Announced };
            keys.rotate(&algs, urgency, &Actor::Admin(admin_name())).await?
        }
    };
    let body: Vec<Value> = records.iter().map(json_of).collect();
    out.show(&json!(body), || {
        let row = |key: &KeyRecord| {
            let time = |time: Option<_>| time.map(at).unwrap_or_default();
            let state = key.state.as_str().to_owned();
            let times = [at(key.created_at), time(key.activates_at), time(key.retired_at)];
            [key.id.to_string(), key.alg.as_str().to_owned(), state].into_iter().chain(times).collect()
        };
        let rows: Vec<Vec<String>> = records.iter().map(row).collect();
        let empty = "There are no keys yet; the server makes them at its first start.";
        table(&["id", "alg", "state", "published", "signs from", "retired"], &rows, empty)
    });
    Ok(())
}

fn json_of(key: &KeyRecord) -> Value {
    json!({
        "id": key.id, "alg": key.alg.as_str(), "state": key.state.as_str(), "created_at": at(key.created_at),
        "activates_at": key.activates_at.map(at), "retired_at": key.retired_at.map(at),
    })
}
