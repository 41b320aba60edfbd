//! `countersign preset`

use super::CliError;
use super::output::{Out, table};
use crate::upstream::presets::{self, Preset};
use clap::Subcommand;
use serde_json::{Value, json};

const SHOW: &str = "\
What a preset sets can be set otherwise in the provider's table, key by key; entries of tables such as authorize_params \
one by one, where an empty text takes one out.

Examples:
  countersign preset show github
  countersign preset show apple --json";

/// What is known about single providers
#[derive(Subcommand)]
pub enum PresetCommand {
    /// List the presets
    List,
    /// Show what a preset sets, what it needs, and where its provider leaves the specification
    #[command(after_help = SHOW)]
    Show {
        /// Its name
        name: String,
    },
}

/// Runs the command. It needs no configuration.
pub fn run(command: &PresetCommand, out: &Out) -> Result<(), CliError> {
    match command {
        PresetCommand::List => {
            let all = presets::all();
            let body: Vec<Value> = all.iter().map(json_of).collect();
            out.show(&json!(body), || {
                let row = |preset: &Preset| {
                    vec![preset.name.to_owned(), preset.kind().to_owned(), preset.about.clone()]
                };
                let rows: Vec<Vec<String>> = all.iter().map(row).collect();
                table(&["PRESET", "KIND", "FOR"], &rows, "")
            });
            Ok(())
        }
        PresetCommand::Show { name } => {
            let preset = presets::named(name).ok_or_else(|| CliError::Refused {
                code: "not_found",
                message: format!("there is no preset `{name}`"),
                help: Some("`countersign preset list` shows what there is".to_owned()),
            })?;
            out.show(&json_of(preset), || text(preset));
            Ok(())
        }
    }
}

fn json_of(preset: &Preset) -> Value {
    let parameter = |(name, parameter): (&String, &presets::Parameter)| {
        json!({
            "name": name,
            "about": parameter.about,
            "example": parameter.example,
            "words": (!parameter.words.is_empty()).then_some(&parameter.words),
            "default": parameter.default,
        })
    };
    json!({
        "name": preset.name,
        "kind": preset.kind(),
        "about": preset.about,
        "register": preset.register,
        "docs": preset.docs,
        "notes": preset.notes,
        "parameters": preset.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "sets": preset.sets().into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect::<Vec<_>>(),
        "deviations": preset.deviations,
    })
}

fn text(preset: &Preset) -> String {
    let mut text = format!("{}: {}\n\nRegister a client at {}\n", preset.name, preset.about, preset.register);
    for page in &preset.docs {
        text.push_str(&format!("Read {page}\n"));
    }
    if !preset.notes.is_empty() {
        text.push_str("\nGood to know:\n");
        preset.notes.iter().for_each(|note| text.push_str(&format!("- {note}\n")));
    }
    if !preset.parameters.is_empty() {
        text.push_str("\nKeys of its own:\n");
        for (name, parameter) in &preset.parameters {
            let usual = match &parameter.default {
                Some(usual) => format!("without it {usual}"),
                None => format!("required, such as {}", parameter.example),
            };
            let words = parameter.words.join(", ");
            let words = if words.is_empty() { words } else { format!("one of {words}; ") };
            text.push_str(&format!("- {name}: {} ({words}{usual})\n", parameter.about));
        }
    }
    text.push_str("\nIt sets:\n");
    preset.sets().iter().for_each(|(key, value)| text.push_str(&format!("  {key} = {value}\n")));
    text.push_str(&deviations(preset));
    text
}

/// Where the provider leaves the specification, and what is done instead.
pub fn deviations(preset: &Preset) -> String {
    if preset.deviations.is_empty() {
        return format!("\n{}: no deviations from the specification are known.\n", preset.name);
    }
    let mut text = format!("\n{} leaves the specification here:\n", preset.name);
    for deviation in &preset.deviations {
        text.push_str(&format!(
            "- {}\n    there: {}\n    here:  {}\n",
            deviation.rule, deviation.theirs, deviation.ours
        ));
    }
    text
}
