//! The command line: reads arguments, calls one function, prints its outcome. Each command is a file.

mod account;
mod check;
mod client;
mod client_logout;
mod client_requests;
mod directory;
mod epoch;
mod keys;
mod logging;
mod logouts;
mod migrate;
mod output;
mod preset;
mod registration_token;
mod saml_key;
mod serve;
mod session;
mod shapes;
mod trace;

use crate::config::{Inputs, Loaded, Report, load};
use crate::context::Context;
use crate::flow::admin::{AdminError, Desk};
use crate::store::{Store, StoreError};
use clap::{Args, Parser, Subcommand};
use output::Out;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  countersign check                              is the configuration right?
  countersign check --online                     … and do the providers answer?
  countersign serve --config countersign.toml    run the server
  countersign client add my-app --redirect-uri https://app.example.com/callback
  countersign account list ann
  countersign account grant ann@example.com --role editor
  countersign trace 7K2M-9QXD-41RT               why was this sign-in refused?

Exit codes:
  0  done, and nothing is wrong
  1  something is wrong: the configuration has errors, or the wish was refused
  2  the command line was not understood
  3  something did not work: the database, the network, a file

Settings stand in countersign.toml and providers.toml; docs/configuration.md explains every key. \
The environment variable DATABASE_URL goes before `[database] url`.";

/// An identity broker: people sign in with the account they have, apps trust one OpenID Connect issuer.
#[derive(Parser)]
#[command(name = "countersign", version, after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args, Clone)]
struct Global {
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "COUNTERSIGN_CONFIG",
        default_value = "countersign.toml"
    )]
    config: PathBuf,
    /// The file of providers, in place of the one that the configuration names
    #[arg(long, global = true, value_name = "FILE")]
    providers: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// Read the whole configuration and report everything that is wrong with it
    Check(check::Check),
    /// What is known about single providers
    #[command(subcommand)]
    Preset(preset::PresetCommand),
    /// Bring the database to this version
    Migrate(migrate::Migrate),
    /// Apps that sign people in through this broker
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// Tokens that let programs register clients by themselves
    #[command(subcommand)]
    RegistrationToken(registration_token::RegistrationTokenCommand),
    /// The keys that sign tokens
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// People
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// The browsers in which people are signed in
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Groups, of which people are members
    #[command(subcommand)]
    Group(directory::GroupCommand),
    /// Roles, which carry permissions
    #[command(subcommand)]
    Role(directory::RoleCommand),
    /// End everything that was given out, for instance after a backup was restored
    NewEpoch(epoch::NewEpoch),
    /// Make a key by which SAML identity providers know us
    SamlKey(saml_key::SamlKey),
    /// Tell why a sign-in was refused, by the reference that the person saw
    Trace(trace::Trace),
}

/// Why a command ended without success.
enum CliError {
    /// The configuration has errors (exit code 1).
    Configuration(Report),
    /// The wish was refused (exit code 1).
    Refused {
        /// The stable word.
        code: &'static str,
        /// A sentence without a full stop.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Something did not work (exit code 3).
    Broken {
        /// A sentence without a full stop.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Everything was said already; only the exit code is left.
    Said(u8),
}

impl CliError {
    fn broken(message: impl Into<String>) -> Self {
        Self::Broken { message: message.into(), help: None }
    }
    fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::Refused { .. } => 1,
            Self::Broken { .. } => 3,
            Self::Said(code) => *code,
        }
    }
}

impl From<Report> for CliError {
    fn from(report: Report) -> Self {
        Self::Configuration(report)
    }
}

impl From<AdminError> for CliError {
    fn from(error: AdminError) -> Self {
        let message = error.to_string();
        let (code, help) = match error {
            AdminError::Store(error) => return error.into(),
            AdminError::NotFound { what, .. } => ("not_found", list_command(what)),
            AdminError::Declared { .. } => ("declared", None),
            AdminError::Taken { .. } => ("taken", None),
            AdminError::Refused(_) => ("refused", None),
        };
        Self::Refused { code, message, help }
    }
}

/// Where the names of such things can be seen.
fn list_command(what: &str) -> Option<String> {
    let command = match what {
        "client" => "countersign client list",
        "registration token" => "countersign registration-token list",
        "account" => "countersign account list",
        "group" => "countersign group list",
        "role" => "countersign role list",
        "refusal" => {
            return Some("refusals are kept for a while only; is the reference written right?".to_owned());
        }
        _ => return None,
    };
    Some(format!("`{command}` shows what there is"))
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let help = matches!(error, StoreError::Unavailable(_))
            .then(|| "is the database running, and is `[database] url` (or DATABASE_URL) right?".to_owned());
        Self::Broken { message: error.to_string(), help }
    }
}

impl From<crate::failure::Failure> for CliError {
    fn from(failure: crate::failure::Failure) -> Self {
        let message = failure.for_operator();
        let help = match failure.reason {
            "database.restored" => Some(
                "if a backup was restored on purpose, run `countersign new-epoch`: it ends what the backup brought back",
            ),
            "clock.behind" => {
                Some("set the clock; if it was ahead before and is right now, run `countersign new-epoch`")
            }
            _ => None,
        };
        Self::Broken { message, help: help.map(str::to_owned) }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let plain = error.render().to_string();
            if plain.chars().any(|c| c != '\n' && output::is_unruly(c)) {
                eprint!("{}", output::harmless(&plain));
            } else {
                let _ = error.print();
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let out = Out::new(cli.global.json);
    crate::outbound::install_crypto();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out.error(&CliError::broken(format!("no threads can be started: {error}")));
            return ExitCode::from(3);
        }
    };
    match runtime.block_on(dispatch(cli, &out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn dispatch(cli: Cli, out: &Out) -> Result<(), CliError> {
    let global = cli.global;
    match cli.command {
        Command::Serve(serve) => serve::run(serve, &global).await,
        Command::Check(check) => check::run(check, &global, out).await,
        Command::Migrate(migrate) => migrate::run(migrate, &global, out).await,
        Command::Client(command) => client::run(command, &global.desk()?, out).await,
        Command::RegistrationToken(command) => registration_token::run(command, &global.desk()?, out).await,
        Command::Preset(command) => preset::run(&command, out),
        Command::Keys(command) => keys::run(command, &global, out).await,
        Command::Account(command) => account::run(command, &global.desk()?, out).await,
        Command::Session(command) => session::run(command, &global.desk()?, out).await,
        Command::Group(command) => directory::run_group(command, &global.desk()?, out).await,
        Command::Role(command) => directory::run_role(command, &global.desk()?, out).await,
        Command::SamlKey(wanted) => saml_key::run(&wanted, out),
        Command::NewEpoch(epoch) => epoch::run(epoch, &global.desk()?, out).await,
        Command::Trace(trace) => trace::run(trace, &global.desk()?, out).await,
    }
}

impl Global {
    fn inputs(&self) -> Inputs {
        Inputs::new(self.config.clone(), self.providers.clone())
    }
    /// The configuration; warnings are for `check` and `serve`.
    fn load(&self) -> Result<Loaded, CliError> {
        Ok(load(&Inputs { create_keys: Some(Context::system()), ..self.inputs() })?)
    }
    /// What the commands of administrators work on.
    fn desk(&self) -> Result<Desk, CliError> {
        let loaded = self.load()?;
        let store = open(&loaded)?;
        Ok(Desk {
            context: Context::system(),
            store,
            settings: loaded.settings,
            providers: loaded.providers.list().iter().map(|provider| provider.common.id.clone()).collect(),
            admin: admin_name(),
        })
    }
}

/// Opens the database, which must have this version's schema.
fn open(loaded: &Loaded) -> Result<Store, CliError> {
    let store = Store::open(&loaded.settings.database)?;
    if let Some(lacking) = store.pending_migrations()?.into_iter().next() {
        return Err(StoreError::Older(lacking).into());
    }
    Ok(store)
}

/// The operating system's name of whoever runs this.
fn admin_name() -> String {
    let named = ["USER", "LOGNAME"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty() && name.len() <= 128 && !name.chars().any(char::is_control));
    named.unwrap_or_else(|| {
        #[cfg(unix)]
        if let Ok(meta) = std::fs::metadata("/proc/self") {
            use std::os::unix::fs::MetadataExt as _;
            return format!("uid {}", meta.uid());
        }
        "unknown".to_owned()
    })
}

#[cfg(test)]
mod tests;
