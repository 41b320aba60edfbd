//! What is wrong with the configuration: problems with file, line, column, caret and suggestion.
//!
//! Values that are or may be secrets are blotted out before a line of a file is shown.

use super::values::Files;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;
use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A stretch of one of the files that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index among [`Report::sources`].
    file: usize,
    start: usize,
    end: usize,
}

impl Place {
    /// The bytes `span` of file number `file`.
    pub fn new(file: usize, span: Range<usize>) -> Self {
        Self { file, start: span.start, end: span.end }
    }
    /// The number of the file.
    pub fn file(self) -> usize {
        self.file
    }
    /// The bytes.
    pub fn span(self) -> Range<usize> {
        self.start..self.end
    }
    /// A stretch inside the string that stands here: `within` counts bytes of the string's value. Falls back
    /// to the whole where the text is not written as a plain string on one line.
    #[must_use]
    pub fn within(self, source: &str, value: &str, within: Range<usize>) -> Self {
        let Some(written) = source.get(self.span()) else { return self };
        let Some(offset) = written.find(value).filter(|_| !value.is_empty()) else { return self };
        if within.end > value.len() || within.start > within.end {
            return self;
        }
        let start = self.start + offset;
        Self { file: self.file, start: start + within.start, end: start + within.end }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> At<T> {
    /// The same place with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> At<U> {
        At { value: f(self.value), place: self.place }
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is taken, but somebody should look.
    Warning,
}

/// One problem.
#[derive(Debug, Clone)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word, such as `config.unknown_key`.
    pub code: &'static str,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What is written at the caret.
    pub label: String,
    /// Where; `None` where no place in a file can be named.
    pub place: Option<Place>,
    /// Other places that explain it.
    pub related: Vec<(Place, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    /// An error at a place.
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            label: String::new(),
            place: Some(place),
            related: Vec::new(),
            help: None,
        }
    }
    /// A warning at a place.
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, place, message) }
    }
    /// An error that no place in a file can be named for.
    pub fn nowhere(code: &'static str, message: impl Into<String>) -> Self {
        Self { place: None, ..Self::error(code, Place::new(0, 0..0), message) }
    }
    /// What is written at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }
    /// What to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
    /// Another place that explains it.
    #[must_use]
    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related.push((place, label.into()));
        self
    }
}

/// A file as it was read.
#[derive(Debug, Clone)]
pub struct Source {
    /// How the operator named it.
    pub path: PathBuf,
    /// What it says.
    pub text: Arc<str>,
}

/// Collects problems while the files are read, so that all are reported and not only the first.
#[derive(Debug, Default)]
pub struct Problems {
    sources: RefCell<Vec<Source>>,
    found: RefCell<Vec<Problem>>,
    secret: RefCell<Vec<Place>>,
}

impl Problems {
    /// Takes in a file and gives its number.
    pub fn add_source(&self, path: &Path, text: Arc<str>) -> usize {
        let mut sources = self.sources.borrow_mut();
        sources.push(Source { path: path.to_owned(), text });
        sources.len() - 1
    }
    /// Adds a problem.
    pub fn add(&self, problem: Problem) {
        self.found.borrow_mut().push(problem);
    }
    /// What stands here is never shown.
    pub fn hide(&self, place: Place) {
        self.secret.borrow_mut().push(place);
    }
    /// Whether an error (not only warnings) was found so far.
    pub fn any_error(&self) -> bool {
        self.found.borrow().iter().any(|p| p.severity == Severity::Error)
    }
    /// The text of a file, by number.
    pub fn source(&self, file: usize) -> Arc<str> {
        self.sources.borrow().get(file).map_or_else(|| Arc::from(""), |s| s.text.clone())
    }
    /// Ends the collection.
    pub fn into_report(self, files: Files) -> Report {
        let mut problems = self.found.into_inner();
        // in the order of the files; what has no place comes first
        problems.sort_by_key(|p| p.place);
        Report { sources: self.sources.into_inner(), problems, secret: self.secret.into_inner(), files }
    }
}

/// All problems that were found, ready to be shown.
#[derive(Debug, Clone, Default)]
pub struct Report {
    sources: Vec<Source>,
    problems: Vec<Problem>,
    secret: Vec<Place>,
    files: Files,
}

/// One problem as `--json` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct JsonProblem {
    /// `error` or `warning`.
    pub severity: Severity,
    /// The stable word.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Counted from 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Report {
    /// A report of one problem without a place.
    pub fn of(problem: Problem) -> Self {
        Self { problems: vec![problem], ..Self::default() }
    }
    /// All files that were read, secrets among them.
    pub fn files(&self) -> &Files {
        &self.files
    }
    /// The same files without the problems, so that problems found later can be shown.
    #[must_use]
    pub fn without_problems(&self) -> Self {
        Self { problems: Vec::new(), ..self.clone() }
    }
    /// The files that were read.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
    /// The problems, in the order of the files.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
    /// Whether the configuration is refused.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }
    /// How many problems of this severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|p| p.severity == severity).count()
    }
    /// Adds a problem that was found later.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
    /// File, line and column of a problem; lines and columns count from 1.
    pub fn position(&self, problem: &Problem) -> Option<(&Path, usize, usize)> {
        let place = problem.place?;
        let source = self.sources.get(place.file)?;
        let before = source.text.get(..clamp(&source.text, place.span()).start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Some((&source.path, line, column))
    }
    /// The problems as `--json` prints them.
    pub fn to_json(&self) -> Vec<JsonProblem> {
        let one = |problem: &Problem| {
            let position = self.position(problem);
            JsonProblem {
                severity: problem.severity,
                code: problem.code,
                message: problem.message.clone(),
                file: position.map(|(path, _, _)| path.display().to_string()),
                line: position.map(|(_, line, _)| line),
                column: position.map(|(_, _, column)| column),
                help: problem.help.clone(),
            }
        };
        self.problems.iter().map(one).collect()
    }
    /// The problems for people, with the lines they stand on; `color` for a terminal.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let texts: Vec<String> = (0..self.sources.len()).map(|file| self.shown(file)).collect();
        let mut out = String::new();
        for problem in &self.problems {
            out.push_str(&self.render_one(problem, &texts, &renderer));
            out.push_str("\n\n");
        }
        out.push_str(&self.summary());
        out.push('\n');
        out
    }
    /// One line that says how many problems there are.
    pub fn summary(&self) -> String {
        let count = |n: usize, word: &str| match n {
            1 => format!("1 {word}"),
            n => format!("{n} {word}s"),
        };
        match (self.count(Severity::Error), self.count(Severity::Warning)) {
            (0, 0) => "no problems".to_owned(),
            (0, w) => count(w, "warning"),
            (e, 0) => count(e, "error"),
            (e, w) => format!("{}, {}", count(e, "error"), count(w, "warning")),
        }
    }
    /// One line per problem (`file:line:column: message`), for logs.
    pub fn lines(&self) -> Vec<String> {
        let one = |problem: &Problem| match self.position(problem) {
            Some((path, line, column)) => format!("{}:{line}:{column}: {}", path.display(), problem.message),
            None => problem.message.clone(),
        };
        self.problems.iter().map(one).collect()
    }

    fn render_one(&self, problem: &Problem, texts: &[String], renderer: &Renderer) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(problem.message.as_str()).id(problem.code);
        let mut group = Group::with_title(title);
        if let Some(place) = problem.place {
            let mut files = vec![place.file];
            for (other, _) in &problem.related {
                if !files.contains(&other.file) {
                    files.push(other.file);
                }
            }
            for file in files {
                let (Some(text), Some(source)) = (texts.get(file), self.sources.get(file)) else { continue };
                let mut snippet =
                    Snippet::source(text.as_str()).path(source.path.display().to_string()).fold(true);
                if place.file == file {
                    let mut mark = AnnotationKind::Primary.span(clamp(text, place.span()));
                    if !problem.label.is_empty() {
                        mark = mark.label(problem.label.as_str());
                    }
                    snippet = snippet.annotation(mark);
                }
                for (other, label) in problem.related.iter().filter(|(other, _)| other.file == file) {
                    let mark = AnnotationKind::Context.span(clamp(text, other.span())).label(label.as_str());
                    snippet = snippet.annotation(mark);
                }
                group = group.element(snippet);
            }
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    /// A file's text with everything secret blotted out, byte by byte, so that places stay right.
    fn shown(&self, file: usize) -> String {
        let Some(source) = self.sources.get(file) else { return String::new() };
        let mut bytes = source.text.as_bytes().to_vec();
        for place in self.secret.iter().filter(|p| p.file == file) {
            for byte in bytes.get_mut(clamp(&source.text, place.span())).unwrap_or_default() {
                if *byte != b'\n' {
                    *byte = b'*';
                }
            }
        }
        String::from_utf8(bytes).unwrap_or_default()
    }
}

/// The span cut to the text and widened to whole characters.
fn clamp(text: &str, span: Range<usize>) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str, problem: Problem, secret: Option<Range<usize>>) -> Report {
        let problems = Problems::default();
        let file = problems.add_source(Path::new("a.toml"), Arc::from(text));
        if let Some(span) = secret {
            problems.hide(Place::new(file, span));
        }
        problems.add(problem);
        problems.into_report(Files::default())
    }

    #[test]
    fn positions_count_from_one_and_in_characters() {
        let text = "a = 1\nü = 2\n";
        let report = report(text, Problem::error("config.test", Place::new(0, 11..12), "bad"), None);
        let json = report.to_json();
        assert_eq!((json[0].line, json[0].column), (Some(2), Some(5)));
        assert_eq!(report.lines(), ["a.toml:2:5: bad"]);
    }

    #[test]
    fn a_secret_is_never_shown() {
        let text = "secret = \"hünter2\"\n";
        let place = Place::new(0, 9..19);
        let report = report(text, Problem::error("config.test", place, "bad"), Some(9..19));
        let shown = report.render(false);
        assert!(shown.contains("secret = **********"), "{shown}");
        assert!(!shown.contains("nter2"));
    }

    #[test]
    fn a_place_outside_the_text_does_not_panic() {
        for span in [0..0, 1..2, 3..900, 900..901] {
            let report = report("ü", Problem::error("config.test", Place::new(0, span), "bad"), None);
            assert!(report.render(true).contains("bad"));
        }
        let nowhere = report("", Problem::error("config.test", Place::new(7, 0..1), "bad"), None);
        assert!(nowhere.render(false).contains("bad"));
    }
}
