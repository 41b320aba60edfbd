//! Reads both files, checks them against each other, and gives either settings or everything that is wrong.

use super::clients::{self, Declared};
use super::directory::{self, Known, Mentions};
use super::people;
use super::providers::{self, Providers};
use super::read::{self, Section};
use super::registration;
use super::report::{At, Problem, Problems, Report, Severity};
use super::server;
use super::settings::Settings;
use super::values::{self, Environment, References};
use crate::context::Context;
use crate::ids::ProviderId;
use secrecy::SecretSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to read, and what may be done on the way.
#[derive(Clone)]
pub struct Inputs {
    /// `countersign.toml`.
    pub config: PathBuf,
    /// `providers.toml`, where the command line names it; it wins over the key `providers`.
    pub providers: Option<PathBuf>,
    /// Looks up a variable of the environment.
    pub env: Environment,
    /// With it a missing master key is made in development; without it nothing is written.
    pub create_keys: Option<Context>,
}

impl Inputs {
    /// The real environment, and nothing is written.
    pub fn new(config: PathBuf, providers: Option<PathBuf>) -> Self {
        Self { config, providers, env: Arc::new(|name| std::env::var(name).ok()), create_keys: None }
    }
}

/// What was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The providers.
    pub providers: Providers,
    /// Warnings, and the files that were read.
    pub report: Report,
}

/// Reads everything.
///
/// # Errors
/// A [`Report`] of all errors, not only the first.
pub fn load(inputs: &Inputs) -> Result<Loaded, Report> {
    let problems = Problems::default();
    let references = References::new(inputs.env.clone(), base_folder(&inputs.config));
    let settings = read_file(&inputs.config, "configuration", &problems, &references)
        .and_then(|text| settings(&text, inputs, &references, &problems));
    let refused = problems.any_error();
    let report = problems.into_report(references.files.into_inner());
    match settings {
        Some((settings, providers)) if !refused => {
            let providers = providers.with_sources(report.without_problems());
            Ok(Loaded { settings: Arc::new(settings), providers, report })
        }
        _ => Err(report),
    }
}

/// Reads a file, or reports why not.
fn read_file(path: &Path, what: &str, problems: &Problems, references: &References) -> Option<Arc<str>> {
    let read = values::read_bounded(path, values::MOST_ANY);
    references.files.borrow_mut().note(path, read.as_ref().ok().map(|bytes| bytes.as_slice()));
    let refuse = |why: String| {
        let message = format!("the {what} file {} cannot be read: {why}", path.display());
        problems.add(Problem::nowhere("config.file", message));
        None
    };
    match read {
        Err(error) => refuse(error.to_string()),
        Ok(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => Some(Arc::from(text)),
            Err(_) => refuse("it is not UTF-8 text".to_owned()),
        },
    }
}

fn settings(
    text: &Arc<str>,
    inputs: &Inputs,
    references: &References,
    problems: &Problems,
) -> Option<(Settings, Providers)> {
    let file = problems.add_source(&inputs.config, text.clone());
    let table = read::parse(text, file, problems);
    let root = Section::root(&table, file, problems);

    let base = server::base(&root);
    let development = base.as_ref().is_some_and(|base| base.development);
    let master_key = server::master_key(&root, development, references, inputs.create_keys.as_ref());
    let public = server::public(&root, base.as_ref(), references);
    let management = server::management(&root, &public.listen);
    let database = server::database(&root, references);
    let mut mentions = Mentions::default();
    let mut declared = Declared::default();
    let directory = directory::directory(&root, &mut mentions);
    let scopes = directory::scopes(&root, &mut mentions);
    let clients = clients::clients(&root, development, references, &mut declared, &mut mentions);
    let resource_servers = clients::resource_servers(&root, development, references, &mut declared);
    let assigns = directory::assignments(&root, &mut mentions);
    let sessions = server::sessions(&root);
    let tokens = server::tokens(&root);
    let client_network = server::client_network(&root, references);
    let registration = registration::registration(&root, &mut mentions);
    let keys = server::keys(&root);
    let sign_in = server::sign_in(&root);
    let (accounts, address_required) = people::accounts(&root);
    let (has_mail, mail) = (root.has("mail"), people::mail(&root, references));
    let limits = server::limits(&root);
    let branding = server::branding(&root, references);
    let written = root.text("providers");
    root.finish();
    let file = providers_file(inputs, written, references, problems);
    let (providers, named) = match file {
        Some((path, text)) => {
            let file = problems.add_source(&path, text.clone());
            let beside = References::new(inputs.env.clone(), base_folder(&path));
            let read = providers::providers(&text, file, development, &beside, &mut mentions, problems);
            references.files.borrow_mut().merge(beside.files.into_inner());
            (read.0, Some(read.1))
        }
        None => (Providers::default(), None),
    };

    if !has_mail {
        people::check(address_required, &providers, problems);
    }
    let known = Known {
        directory: &directory,
        providers: named.as_ref().map(|named| named.iter().map(ProviderId::as_str).collect()),
        clients: declared.ids().collect(),
        scopes: scopes.keys().map(String::as_str).collect(),
        resources: resource_servers.values().map(|server| server.resource.as_str()).collect(),
    };
    mentions.check(&known, problems);
    let assignments = directory::with_issuers(assigns, &providers, problems);

    let settings = Settings {
        issuer: base?.issuer.value,
        development,
        public,
        management,
        database: database?,
        master_key: master_key.unwrap_or_else(|| SecretSlice::from(Vec::new())),
        sessions,
        tokens,
        client_network,
        registration,
        keys,
        sign_in,
        accounts,
        mail,
        limits,
        branding,
        scopes,
        clients,
        resource_servers,
        directory,
        assignments,
    };
    Some((settings, providers))
}

/// The file of providers and what it says: as the command line names it, or the key `providers`, or the file
/// `providers.toml` beside the configuration.
fn providers_file(
    inputs: &Inputs,
    written: Option<At<String>>,
    references: &References,
    problems: &Problems,
) -> Option<(PathBuf, Arc<str>)> {
    if let Some(path) = &inputs.providers {
        return Some((path.clone(), read_file(path, "providers", problems, references)?));
    }
    if let Some(at) = written {
        let path = references.path(&at.value);
        let read = values::read_bounded(&path, values::MOST_ANY);
        if let Err(error) = read {
            references.files.borrow_mut().note(&path, None);
            let message = format!("{} cannot be read: {error}", path.display());
            let help = "a relative path relates to the folder of this configuration file";
            problems.add(Problem::error("config.file", at.place, message).help(help));
            return None;
        }
        let text = read_file(&path, "providers", problems, references)?;
        return Some((path, text));
    }
    let path = references.path("providers.toml");
    if path.exists() {
        let text = read_file(&path, "providers", problems, references)?;
        return Some((path, text));
    }
    // noted, so that its coming is noticed
    references.files.borrow_mut().note(&path, None);
    let message = "there is no file of providers, so nobody can sign in";
    let mut problem = Problem::nowhere("config.no_provider", message);
    problem.severity = Severity::Warning;
    problems.add(problem.help(format!("write {} (see docs/configuration.md)", path.display())));
    None
}

/// The folder of a file, to which relative paths in it relate.
fn base_folder(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}
