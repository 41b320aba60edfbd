//! Printing: text for people, JSON for programs. What was asked for goes to standard output, everything
//! else to standard error.

use super::CliError;
use crate::context::Timestamp;
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Write as _};

/// How to print.
pub struct Out {
    json: bool,
}

impl Out {
    /// As JSON, or for people.
    pub fn new(json: bool) -> Self {
        Self { json }
    }
    /// Prints the outcome.
    pub fn show(&self, json: &Value, text: impl FnOnce() -> String) {
        let text = if self.json { format!("{json:#}") } else { text() };
        // a reader that went away (`| head`) is no error
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
    }
    /// Prints why there is no outcome.
    pub fn error(&self, error: &CliError) {
        let mut stderr = std::io::stderr().lock();
        let _ = match error {
            CliError::Said(_) => Ok(()),
            CliError::Configuration(report) if self.json => {
                let body = json!({ "error": "configuration", "problems": report.to_json() });
                writeln!(stderr, "{body:#}")
            }
            CliError::Configuration(report) => write!(stderr, "{}", report.render(color())),
            CliError::Refused { code, message, help } if self.json => {
                writeln!(stderr, "{:#}", json!({ "error": code, "message": message, "help": help }))
            }
            CliError::Broken { message, help } if self.json => {
                writeln!(stderr, "{:#}", json!({ "error": "broken", "message": message, "help": help }))
            }
            CliError::Refused { message, help, .. } | CliError::Broken { message, help } => {
                let help = help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
                writeln!(stderr, "error: {message}{help}")
            }
        };
    }
}

/// Whether standard error is a terminal that wants colours (no-color.org).
pub fn color() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns, each as wide as it must be.
pub fn table(head: &[&str], rows: &[Vec<String>], empty: &str) -> String {
    if rows.is_empty() {
        return empty.to_owned();
    }
    let head: Vec<String> = head.iter().map(|cell| cell.to_uppercase()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| {
        all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // names come from strangers: a terminal must not act on them
            let cell: String = cell.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            line.push_str(&format!("{cell:width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Lines of a name and a value; those without a value are left out.
pub fn facts(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<&(&str, String)> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in pairs {
        let value: String =
            value.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect();
        let value = value.replace('\n', &format!("\n{:width$}  ", ""));
        out.push_str(&format!("{name:width$}  {value}\n"));
    }
    out
}

/// A list in one line.
pub fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// A moment, for people and programs alike.
pub fn at(time: Timestamp) -> String {
    time.rfc3339()
}
