//! `countersign check`

use super::output::{Out, color};
use super::{CliError, Global};
use crate::config::report::Problem;
use crate::config::{Loaded, Report, load};
use crate::context::Context;
use crate::mail;
use crate::upstream::presets::{self, Preset};
use crate::upstream::{Health, Registry};
use clap::Args;
use serde_json::{Value, json};

const HELP: &str = "\
Every problem is shown with file, line, column and what to do. Nobody is contacted and nothing is written, unless \
--online asks the providers for their metadata and keys, and connects to the mail server. Secrets are read where they are referred to, and never shown.

Exit codes: 0 no errors (there may be warnings), 1 errors, 2 the command line was not understood, 3 a provider or the \
mail server did not answer (--online).

Examples:
  countersign check
  countersign check --config /etc/countersign/countersign.toml --providers ./providers.toml
  countersign check --online --json";

/// Reads the whole configuration and reports everything that is wrong with it
#[derive(Args)]
#[command(after_help = HELP)]
pub struct Check {
    /// Also ask each provider for its metadata and keys, and connect to the mail server
    #[arg(long)]
    online: bool,
}

/// Runs the command.
pub async fn run(check: Check, global: &Global, out: &Out) -> Result<(), CliError> {
    let context = Context::system();
    let (loaded, report) = match load(&global.inputs()) {
        Ok(loaded) => (Some(loaded.clone()), loaded.report),
        Err(report) => (None, report),
    };
    // what only building finds, such as certificates that cannot be used
    let built = loaded.as_ref().map(|loaded| loaded.providers.build(&context, None));
    let (registry, report) = match built {
        Some(Ok(registry)) => (Some(registry), report),
        Some(Err(more)) => (None, joined(report, &more)),
        None => (None, report),
    };
    let answers = match registry.filter(|_| check.online) {
        Some(registry) => Some(ask(&registry, &context).await),
        None => None,
    };
    let mail = match loaded.as_ref().filter(|_| check.online).and_then(|loaded| {
        let own_name = loaded.settings.issuer.url().host_str().unwrap_or("localhost").to_owned();
        Some((loaded.settings.mail.clone()?, own_name))
    }) {
        Some((server, own_name)) => {
            Some(mail::probe(&server, &own_name).await.map_err(|error| error.to_string()))
        }
        None => None,
    };
    let silent = answers.iter().flatten().filter(|answer| answer.trouble.is_some()).count();
    let silent = silent + mail.iter().filter(|answer| answer.is_err()).count();
    let body = json!({
        "ok": !report.has_errors() && silent == 0,
        "problems": report.to_json(),
        "presets": loaded.as_ref().map(presets_json),
        "mail": mail.as_ref().map(|answer| json!({ "ok": answer.is_ok(), "message": answer.as_ref().err() })),
        "providers": answers.as_ref().map(|answers| answers.iter().map(Answer::json).collect::<Vec<_>>()),
    });
    out.show(&body, || {
        let mut told = text(&report, loaded.as_ref(), answers.as_deref());
        match &mail {
            Some(Ok(())) => told.push_str("mail server: answers\n"),
            Some(Err(why)) => told.push_str(&format!("mail server: {why}\n")),
            None => {}
        }
        told
    });
    match (report.has_errors(), silent) {
        (true, _) => Err(CliError::Said(1)),
        (false, 0) => Ok(()),
        (false, _) => Err(CliError::Said(3)),
    }
}

fn joined(mut report: Report, more: &Report) -> Report {
    let more: Vec<Problem> = more.problems().to_vec();
    more.into_iter().for_each(|problem| report.push(problem));
    report
}

fn text(report: &Report, loaded: Option<&Loaded>, answers: Option<&[Answer]>) -> String {
    let mut text = String::new();
    if !report.problems().is_empty() {
        text.push_str(&report.render(color()));
    }
    if let Some(loaded) = loaded.filter(|_| !report.has_errors()) {
        let settings = &loaded.settings;
        let count = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
        text.push_str(&format!(
            "{} is right: {}, {}, {}, {}, {}.\n",
            settings.issuer.as_str(),
            count(loaded.providers.list().len(), "provider"),
            count(settings.clients.len(), "client"),
            count(settings.resource_servers.len(), "resource server"),
            count(settings.directory.groups.len(), "group"),
            count(settings.directory.roles.len(), "role"),
        ));
    }
    if let Some(loaded) = loaded.filter(|_| !report.has_errors()) {
        for (_, preset) in used(loaded) {
            text.push_str(&super::preset::deviations(preset));
        }
    }
    for answer in answers.unwrap_or_default() {
        let but = answer.warning.as_ref().map(|why| format!(", but {why}")).unwrap_or_default();
        let said = match &answer.trouble {
            Some(trouble) => trouble.clone(),
            None if answer.asked => format!("answers{but}"),
            None => format!("has nothing to be asked ahead of a sign-in{but}"),
        };
        text.push_str(&format!("{}: {said}\n", answer.provider));
    }
    text
}

/// The presets that providers name, each once, with the providers.
fn used(loaded: &Loaded) -> Vec<(Vec<String>, &'static Preset)> {
    let by = |preset: &Preset| -> Vec<String> {
        let named = loaded.providers.list().iter().map(|provider| &provider.common);
        named
            .filter(|common| common.preset.as_deref() == Some(preset.name))
            .map(|common| common.id.to_string())
            .collect()
    };
    presets::all().iter().map(|preset| (by(preset), preset)).filter(|(ids, _)| !ids.is_empty()).collect()
}

fn presets_json(loaded: &Loaded) -> Vec<Value> {
    let one = |(ids, preset): (Vec<String>, &Preset)| json!({ "preset": preset.name, "providers": ids, "deviations": preset.deviations });
    used(loaded).into_iter().map(one).collect()
}

/// What became of asking a provider.
struct Answer {
    provider: String,
    asked: bool,
    reason: Option<&'static str>,
    trouble: Option<String>,
    warning: Option<String>,
}

impl Answer {
    fn json(&self) -> Value {
        json!({
            "provider": self.provider,
            "ok": self.trouble.is_none(),
            "asked": self.asked,
            "reason": self.reason,
            "message": self.trouble,
            "warning": self.warning,
        })
    }
}

/// Asks all providers that are switched on, at the same time.
async fn ask(registry: &Registry, context: &Context) -> Vec<Answer> {
    let enabled = registry.iter().filter(|entry| entry.policy.enabled);
    let each = enabled.map(|entry| async {
        let warmed = entry.upstream.warm(context).await;
        // plain OAuth 2.0 publishes nothing, and a SAML provider may stand in the settings with all that it has
        let asked = warmed.as_ref().copied().unwrap_or(true);
        let failure = warmed.err();
        Answer {
            provider: entry.id.to_string(),
            asked,
            warning: match entry.upstream.health() {
                Health::Warned(why) if failure.is_none() => Some(why),
                _ => None,
            },
            reason: failure.as_ref().map(|failure| failure.reason),
            trouble: failure.map(|failure| format!("{} ({})", failure.detail.note, failure.reason)),
        }
    });
    futures_util::future::join_all(each).await
}
