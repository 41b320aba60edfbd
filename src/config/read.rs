//! Reading a TOML file value by value, so that every mistake is reported with its place, and not only the
//! first. A [`Section`] remembers which keys were asked for; what is left at the end is unknown.

use super::report::{At, Place, Problem, Problems};
use super::values;
use crate::config::values::Bounds;
use std::cell::RefCell;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parses a file. Errors of syntax are reported to `problems`; what could be read is given back, so that
/// the rest of the file is checked too.
pub fn parse<'t>(text: &'t str, file: usize, problems: &Problems) -> Spanned<DeTable<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        hide_line(text, &span, file, problems);
        let problem = Problem::error("config.syntax", Place::new(file, span), error.message().trim_end())
            .label("TOML is not understood from here");
        problems.add(problem);
    }
    table
}

/// A broken line may hold a secret that was never meant to be there: shows such a line only up to its `=`.
fn hide_line(text: &str, span: &std::ops::Range<usize>, file: usize, problems: &Problems) {
    let at = span.start.min(text.len());
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |i| i + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or("");
    let Some((key, _)) = line.split_once('=') else { return };
    if sounds_secret(key) {
        problems.hide(Place::new(file, start + key.len() + 1..start + line.len()));
    }
}

/// Whether a key's name says that its value is a secret.
fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "password", "passwd", "token", "key", "url"].iter().any(|word| key.contains(word))
}

/// Hides the value in which the span lies, if its key says that it is a secret and it is no reference.
pub fn hide_secret(section: &Section<'_>, span: &std::ops::Range<usize>) {
    for (key, value) in section.table() {
        let reference =
            value.get_ref().as_str().is_some_and(|v| v.starts_with("env:") || v.starts_with("file:"));
        let touched =
            key.span() == *span || (value.span().start <= span.start && span.end <= value.span().end);
        if touched && !reference && key.get_ref().contains("secret") {
            section.problems().hide(Place::new(section.place().file(), value.span()));
        }
    }
}

/// A table of the file that is being read.
pub struct Section<'a> {
    table: &'a DeTable<'a>,
    place: Place,
    name: String,
    problems: &'a Problems,
    asked: RefCell<Vec<&'static str>>,
}

/// A value of the file that is being read.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// The value.
    pub value: &'a DeValue<'a>,
    /// Where it stands.
    pub place: Place,
}

impl<'a> Value<'a> {
    fn new(file: usize, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { value: value.get_ref(), place: Place::new(file, value.span()) }
    }
    /// What TOML calls its type, with an article.
    pub fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}

impl<'a> Section<'a> {
    /// The whole file.
    pub fn root(table: &'a Spanned<DeTable<'a>>, file: usize, problems: &'a Problems) -> Self {
        Self::new(table.get_ref(), Place::new(file, 0..0), String::new(), problems)
    }

    fn new(table: &'a DeTable<'a>, place: Place, name: String, problems: &'a Problems) -> Self {
        Self { table, place, name, problems, asked: RefCell::new(Vec::new()) }
    }

    /// Where the table begins.
    pub fn place(&self) -> Place {
        self.place
    }
    /// The table's name as a person writes it, such as `[tokens]`; empty for the file itself.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Where problems go.
    pub fn problems(&self) -> &'a Problems {
        self.problems
    }
    /// The text of the file.
    pub fn source(&self) -> Arc<str> {
        self.problems.source(self.place.file())
    }
    /// The table as TOML, for a reader of its own. Mark the keys it reads with [`Section::ask`].
    pub fn table(&self) -> &'a DeTable<'a> {
        self.table
    }
    /// Says that a key is known here.
    pub fn ask(&self, key: &'static str) {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
    }
    /// A key's value, whatever it is.
    pub fn value(&self, key: &'static str) -> Option<Value<'a>> {
        self.ask(key);
        self.table.get(key).map(|value| Value::new(self.place.file(), value))
    }
    /// Where a key's value stands, or else the table.
    pub fn place_of(&self, key: &'static str) -> Place {
        self.value(key).map_or(self.place, |value| value.place)
    }
    /// Whether the key is there, right or wrong.
    pub fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// Reports a value of the wrong type.
    pub fn wrong_type(&self, key: &str, value: Value<'_>, wanted: &str) {
        let problem = Problem::error(
            "config.type",
            value.place,
            format!("`{key}` must be {wanted}, but it is {}", value.kind()),
        );
        self.problems.add(problem.label(format!("expected {wanted}")));
    }
    /// Reports a value of the right type that is not acceptable.
    pub fn refuse(&self, place: Place, code: &'static str, message: impl Into<String>, help: &str) {
        let problem = Problem::error(code, place, message);
        self.problems.add(if help.is_empty() { problem } else { problem.help(help) });
    }
    /// Reports that a key is missing. `help` shows a line that could be written.
    pub fn missing(&self, key: &'static str, help: &str) {
        self.ask(key);
        let of = if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) };
        let problem = Problem::error("config.missing", self.place, format!("`{key}` is missing{of}"));
        self.problems.add(problem.label("here").help(format!("write, for example: {help}")));
    }

    /// A string.
    pub fn text(&self, key: &'static str) -> Option<At<String>> {
        let value = self.value(key)?;
        match value.value {
            DeValue::String(text) => Some(At { value: text.clone().into_owned(), place: value.place }),
            _ => {
                self.wrong_type(key, value, "a string");
                None
            }
        }
    }
    /// A string that must be there. `help` shows a line that could be written.
    pub fn required_text(&self, key: &'static str, help: &str) -> Option<At<String>> {
        if !self.has(key) {
            self.missing(key, help);
        }
        self.text(key)
    }
    /// A string that `parse` turns into something; its error ends the sentence "`key` …".
    pub fn parsed<T, E: Display>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let text = self.text(key)?;
        match parse(&text.value) {
            Ok(value) => Some(At { value, place: text.place }),
            Err(error) => {
                self.problems.add(Problem::error("config.value", text.place, format!("`{key}`: {error}")));
                None
            }
        }
    }
    /// true or false.
    pub fn flag(&self, key: &'static str) -> Option<At<bool>> {
        let value = self.value(key)?;
        match value.value {
            DeValue::Boolean(flag) => Some(At { value: *flag, place: value.place }),
            _ => {
                self.wrong_type(key, value, "true or false");
                None
            }
        }
    }
    /// A whole number within bounds.
    pub fn number(&self, key: &'static str, bounds: Bounds<u64>) -> Option<At<u64>> {
        let value = self.value(key)?;
        let DeValue::Integer(number) = value.value else {
            self.wrong_type(key, value, "a whole number");
            return None;
        };
        let number = i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX);
        let inside = u64::try_from(number).ok().filter(|n| bounds.hold(n));
        if inside.is_none() {
            let message = format!("`{key}` must be a whole number from {} to {}", bounds.least, bounds.most);
            self.problems.add(Problem::error("config.bounds", value.place, message));
        }
        inside.map(|number| At { value: number, place: value.place })
    }
    /// A length of time such as "10m", within bounds.
    pub fn duration(&self, key: &'static str, bounds: Bounds<Duration>) -> Option<At<Duration>> {
        let value = self.value(key)?;
        let DeValue::String(text) = value.value else {
            let wanted = "a length of time such as \"10m\", \"12h\" or \"30d\"";
            self.wrong_type(key, value, wanted);
            return None;
        };
        match values::duration(text) {
            Err(rule) => {
                let message = format!("`{key}` is not a length of time: {rule}");
                let help = "write a number and a unit: \"30s\", \"10m\", \"12h\", \"30d\", also \"1h30m\"";
                self.refuse(value.place, "config.value", message, help);
                None
            }
            Ok(duration) if bounds.hold(&duration) => Some(At { value: duration, place: value.place }),
            Ok(_) => {
                let (least, most) = (values::show(bounds.least), values::show(bounds.most));
                let message = format!("`{key}` must be between \"{least}\" and \"{most}\"");
                self.refuse(value.place, "config.bounds", message, "");
                None
            }
        }
    }
    /// A list of strings; one string alone counts as a list of one.
    pub fn list(&self, key: &'static str) -> Option<Vec<At<String>>> {
        let value = self.value(key)?;
        match value.value {
            DeValue::String(text) => Some(vec![At { value: text.clone().into_owned(), place: value.place }]),
            DeValue::Array(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items.iter() {
                    let item = Value::new(self.place.file(), item);
                    match item.value {
                        DeValue::String(text) => {
                            list.push(At { value: text.clone().into_owned(), place: item.place });
                        }
                        _ => self.wrong_type(key, item, "a list of strings"),
                    }
                }
                Some(list)
            }
            _ => {
                self.wrong_type(key, value, "a list of strings");
                None
            }
        }
    }
    /// A list of strings that `parse` turns into something each.
    pub fn parsed_list<T, E: Display>(
        &self,
        key: &'static str,
        mut parse: impl FnMut(&str) -> Result<T, E>,
    ) -> Option<Vec<At<T>>> {
        let mut list = Vec::new();
        for item in self.list(key)? {
            match parse(&item.value) {
                Ok(value) => list.push(At { value, place: item.place }),
                Err(error) => {
                    let message = format!("`{key}`: {error}");
                    self.problems.add(Problem::error("config.value", item.place, message));
                }
            }
        }
        Some(list)
    }
    /// One of a few words.
    pub fn word<T: Copy>(&self, key: &'static str, words: &[(&'static str, T)]) -> Option<At<T>> {
        let text = self.text(key)?;
        self.one_of(key, &text, words)
    }
    /// Takes one of a few words, or reports the nearest.
    pub fn one_of<T: Copy>(
        &self,
        key: &str,
        text: &At<String>,
        words: &[(&'static str, T)],
    ) -> Option<At<T>> {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(At { value: *value, place: text.place });
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{key}` must be one of: {}", names.join(", "));
        let mut problem = Problem::error("config.value", text.place, message);
        if let Some(near) = nearest(&text.value, names.iter().copied()) {
            problem = problem.help(format!("did you mean \"{near}\"?"));
        }
        self.problems.add(problem);
        None
    }

    /// A table inside this one.
    pub fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let value = self.value(key)?;
        match value.value {
            DeValue::Table(table) => {
                let name = self.child(key);
                Some(Section::new(table, value.place, format!("[{name}]"), self.problems))
            }
            _ => {
                self.wrong_type(key, value, "a table");
                None
            }
        }
    }
    /// The tables `[[key]]`.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let name = self.child(key);
        let DeValue::Array(items) = value.value else {
            let problem = Problem::error(
                "config.type",
                value.place,
                format!("`{name}` must be a list of tables, but it is {}", value.kind()),
            );
            self.problems.add(problem.help(format!("write `[[{name}]]` with two brackets")));
            return Vec::new();
        };
        let mut sections = Vec::with_capacity(items.len());
        for item in items.iter() {
            let item = Value::new(self.place.file(), item);
            match item.value {
                DeValue::Table(table) => {
                    sections.push(Section::new(table, item.place, format!("[[{name}]]"), self.problems));
                }
                _ => self.wrong_type(key, item, "a table"),
            }
        }
        sections
    }
    /// The tables `[key.NAME]`, in the order of the file, each with its name.
    pub fn named(&self, key: &'static str) -> Vec<(At<String>, Section<'a>)> {
        let Some(section) = self.section(key) else { return Vec::new() };
        let prefix = self.child(key);
        let mut named = Vec::with_capacity(section.table.len());
        for (name, value) in section.table {
            let place = Place::new(self.place.file(), name.span());
            let value = Value::new(self.place.file(), value);
            let at = At { value: name.get_ref().clone().into_owned(), place };
            match value.value {
                DeValue::Table(table) => {
                    let title = format!("[{prefix}.{}]", at.value);
                    named.push((at, Section::new(table, value.place, title, self.problems)));
                }
                _ => {
                    let message =
                        format!("`{prefix}.{}` must be a table, but it is {}", at.value, value.kind());
                    let problem = Problem::error("config.type", place, message);
                    self.problems.add(problem.help(format!("write `[{prefix}.NAME]` and its keys below")));
                }
            }
        }
        named
    }

    /// Reports every key that nobody asked for. Call it last.
    pub fn finish(self) {
        let asked = self.asked.into_inner();
        for (key, value) in self.table {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let file = self.place.file();
            if sounds_secret(name) {
                self.problems.hide(Place::new(file, value.span()));
            }
            let of = if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) };
            let place = Place::new(file, key.span());
            let mut problem =
                Problem::error("config.unknown_key", place, format!("there is no key `{name}`{of}"))
                    .label("unknown key");
            // `client_id` in [[client]], as protocols write it, is `id` here.
            let own = self.name.trim_matches(['[', ']']);
            let bare = name.strip_prefix(own).and_then(|rest| rest.strip_prefix('_'));
            let bare = bare.filter(|bare| asked.contains(bare));
            problem = match bare.or_else(|| nearest(name, asked.iter().copied())) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None if asked.is_empty() => problem,
                None => problem.help(format!("the keys here are: {}", asked.join(", "))),
            };
            self.problems.add(problem);
        }
    }

    fn child(&self, key: &str) -> String {
        let own = self.name.trim_start_matches('[').trim_end_matches(']');
        if own.is_empty() { key.to_owned() } else { format!("{own}.{key}") }
    }
}

/// The word that was probably meant.
pub fn nearest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let folded = text.to_lowercase().replace('-', "_");
    words
        .map(|word| (strsim::damerau_levenshtein(&folded, &word.to_lowercase().replace('-', "_")), word))
        // a short name resembles every other short name
        .filter(|(distance, word)| {
            *distance <= word.chars().count().div_ceil(4) && *distance * 2 < word.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let words = ["listen", "workers", "trusted_proxies"];
        assert_eq!(nearest("listn", words.into_iter()), Some("listen"));
        assert_eq!(nearest("trusted-proxy", words.into_iter()), Some("trusted_proxies"));
        assert_eq!(nearest("Workers", words.into_iter()), Some("workers"));
        assert_eq!(nearest("colour", words.into_iter()), None);
    }
}
