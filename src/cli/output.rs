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
        let text = if self.json { escaped(&format!("{json:#}")) } else { harmless(&text()) };
        // a reader that went away (`| head`) is no error
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
    }
    /// Prints why there is no outcome.
    pub fn error(&self, error: &CliError) {
        let text = match error {
            CliError::Said(_) => return,
            CliError::Configuration(report) if self.json => {
                let body = json!({ "error": "configuration", "problems": report.to_json() });
                escaped(&format!("{body:#}\n"))
            }
            // it has colours, and cleans what it quotes
            CliError::Configuration(report) => report.render(color()),
            CliError::Refused { code, message, help } if self.json => {
                escaped(&format!("{:#}\n", json!({ "error": code, "message": message, "help": help })))
            }
            CliError::Broken { message, help } if self.json => {
                escaped(&format!("{:#}\n", json!({ "error": "broken", "message": message, "help": help })))
            }
            CliError::Refused { message, help, .. } | CliError::Broken { message, help } => {
                let help = help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
                harmless(&format!("error: {message}{help}\n"))
            }
        };
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// Whether a terminal could act on the character, or show what follows in another order than it stands.
pub fn is_unruly(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text for a terminal: names and whatever else strangers wrote must not act on it.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if is_unruly(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// JSON for a terminal: JSON itself lets DEL, the C1 controls and marks of direction stand as they are.
pub fn escaped(json: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // all of them are in the basic plane, and in JSON they can only stand in a text
        if is_unruly(c) && c != '\n' {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
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
            // a name must not begin a row of its own either
            let cell: String = cell.chars().map(|c| if is_unruly(c) { '\u{fffd}' } else { c }).collect();
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
        let value = harmless(value).replace('\n', &format!("\n{:width$}  ", ""));
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

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "a\u{1b}[31mb\r\u{7}c\u{9b}2Jd\u{202e}e\u{7f}";

    #[test]
    fn admin_011_a_terminal_acts_on_nothing_that_is_printed() {
        assert_eq!(harmless(NASTY), "a\u{fffd}[31mb\u{fffd}\u{fffd}c\u{fffd}2Jd\u{fffd}e\u{fffd}");
        let printed = escaped(&format!("{:#}", json!({ "name": NASTY })));
        assert!(printed.chars().all(|c| c == '\n' || !is_unruly(c)), "{printed:?}");
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["name"], NASTY, "and nothing is lost");
        let rows = [vec!["x\ny  FORGED".to_owned(), NASTY.to_owned()]];
        assert_eq!(table(&["a", "b"], &rows, "").lines().count(), 2);
        assert_eq!(harmless("Grüße, 日本\n"), "Grüße, 日本\n", "the valid twin");
    }
}
