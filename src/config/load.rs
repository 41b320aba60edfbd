//! Reads both files, checks them against each other, and gives either settings or everything that is wrong.

use super::clients::{self, Declared};
use super::directory::{self, Known, Mentions};
use super::read::{self, Section};
use super::report::{Problem, Problems, Report};
use super::server;
use super::settings::Settings;
use super::values::References;
use crate::context::Context;
use secrecy::SecretSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest configuration file, in bytes.
const MOST: u64 = 4 * 1024 * 1024;

/// What to read, and what may be done on the way.
pub struct Inputs<'a> {
    /// `countersign.toml`.
    pub config: PathBuf,
    /// `providers.toml`, where the command line names it; it wins over the key `providers`.
    pub providers: Option<PathBuf>,
    /// Looks up a variable of the environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// With it a missing master key is made in development; without it nothing is written.
    pub create_keys: Option<&'a Context>,
}

impl Inputs<'static> {
    /// The real environment, and nothing is written.
    pub fn new(config: PathBuf, providers: Option<PathBuf>) -> Self {
        Self { config, providers, env: &|name| std::env::var(name).ok(), create_keys: None }
    }
}

/// What was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Arc<Settings>,
    /// Warnings, and the files that were read.
    pub report: Report,
}

/// Reads everything.
///
/// # Errors
/// A [`Report`] of all errors, not only the first.
pub fn load(inputs: &Inputs<'_>) -> Result<Loaded, Report> {
    let problems = Problems::default();
    let settings = read_file(&inputs.config, "configuration", &problems)
        .and_then(|text| settings(&text, &inputs.config, inputs, &problems));
    let refused = problems.any_error();
    let report = problems.into_report();
    match settings {
        Some(settings) if !refused => Ok(Loaded { settings: Arc::new(settings), report }),
        _ => Err(report),
    }
}

/// Reads a file, or reports why not.
fn read_file(path: &Path, what: &str, problems: &Problems) -> Option<Arc<str>> {
    let refuse = |why: String| {
        let message = format!("the {what} file {} cannot be read: {why}", path.display());
        problems.add(Problem::nowhere("config.file", message));
        None
    };
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > MOST => return refuse("it is larger than 4 MiB".to_owned()),
        Ok(meta) if meta.is_dir() => return refuse("it is a folder".to_owned()),
        _ => {}
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Some(Arc::from(text)),
        Err(error) => refuse(error.to_string()),
    }
}

fn settings(text: &Arc<str>, path: &Path, inputs: &Inputs<'_>, problems: &Problems) -> Option<Settings> {
    let file = problems.add_source(path, text.clone());
    let table = read::parse(text, file, problems);
    let root = Section::root(&table, file, problems);
    let references = References { env: inputs.env, base: base_folder(path) };

    let base = server::base(&root);
    let development = base.as_ref().is_some_and(|base| base.development);
    let master_key = server::master_key(&root, development, &references, inputs.create_keys);
    let public = server::public(&root, base.as_ref(), &references);
    let management = server::management(&root);
    let database = server::database(&root, &references);
    let mut mentions = Mentions::default();
    let mut declared = Declared::default();
    let directory = directory::directory(&root, &mut mentions);
    let scopes = directory::scopes(&root, &mut mentions);
    let clients = clients::clients(&root, development, &references, &mut declared, &mut mentions);
    let resource_servers = clients::resource_servers(&root, development, &references, &mut declared);
    let assignments = directory::assignments(&root, &mut mentions);
    let sessions = server::sessions(&root);
    let tokens = server::tokens(&root);
    let keys = server::keys(&root);
    let sign_in = server::sign_in(&root);
    let limits = server::limits(&root);
    let branding = server::branding(&root, &references);
    root.text("providers");
    root.finish();

    let known = Known {
        directory: &directory,
        providers: None,
        scopes: scopes.keys().map(String::as_str).collect(),
        resources: resource_servers.values().map(|server| server.resource.as_str()).collect(),
    };
    mentions.check(&known, problems);

    Some(Settings {
        issuer: base?.issuer.value,
        development,
        public,
        management,
        database: database?,
        master_key: master_key.unwrap_or_else(|| SecretSlice::from(Vec::new())),
        sessions,
        tokens,
        keys,
        sign_in,
        limits,
        branding,
        scopes,
        clients,
        resource_servers,
        directory,
        assignments,
    })
}

/// The folder of a file, to which relative paths in it relate.
fn base_folder(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}
