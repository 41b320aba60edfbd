//! The log of the server.

use super::output::{escaped, is_unruly};
use clap::ValueEnum;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatFields, Writer, debug_fn};
use tracing_subscriber::prelude::*;

/// How the log reads.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line, for programs
    Json,
}

/// Starts the log on standard error. `RUST_LOG` chooses what is in it; `info` by default.
pub fn start(format: LogFormat) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    // a second start (in tests) keeps the first
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).with_writer(|| Lines(io::stderr())).try_init(),
        LogFormat::Text => builder
            .fmt_fields(fields())
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .with_writer(io::stderr)
            .try_init(),
    };
}

/// Fields of an event in one line, whatever is in them: what a stranger sent can neither begin a line of its
/// own nor speak to the terminal.
fn fields() -> impl for<'a> FormatFields<'a> + 'static {
    debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        if field.name() != "message" {
            write!(writer, "{}=", field.name())?;
        }
        write!(Escaping(writer), "{value:?}")
    })
    .delimited(" ")
}

struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '\n' => self.0.write_str("\\n"),
            c if is_unruly(c) => write!(self.0, "{}", c.escape_unicode()),
            c => self.0.write_char(c),
        })
    }
}

/// Writes JSON lines in which nothing speaks to a terminal.
struct Lines<W>(W);

impl<W: io::Write> io::Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(escaped(text).as_bytes())?,
            Err(_) => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(json: bool, say: impl FnOnce()) -> String {
        let kept = Kept::default();
        let (text, lines) = (kept.clone(), kept.clone());
        let builder = tracing_subscriber::fmt();
        if json {
            let log = builder.json().flatten_event(true).with_writer(move || Lines(lines.clone())).finish();
            tracing::subscriber::with_default(log, say);
        } else {
            let log =
                builder.fmt_fields(fields()).with_ansi(false).with_writer(move || text.clone()).finish();
            tracing::subscriber::with_default(log, say);
        }
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn admin_011_a_log_is_one_line_an_event_whatever_is_in_it() {
        let nasty = "x\r\n2026-11-26T00:00:00Z  INFO forged\u{1b}[2J\u{9b}31m\u{202e}\u{7f}\"";
        for json in [false, true] {
            let log = told(json, || {
                tracing::info!(text = nasty, shown = %nasty, "said {nasty}");
                tracing::warn!(reason = "request.host", times = 3, "refused");
            });
            assert_eq!(log.lines().count(), 2, "{log:?}");
            assert!(log.chars().all(|c| c == '\n' || !is_unruly(c)), "{log:?}");
            if json {
                let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
                assert_eq!(first["text"], nasty, "and nothing is lost");
            } else {
                let last = log.lines().last().unwrap();
                assert!(last.ends_with("refused reason=\"request.host\" times=3"), "the valid twin: {last}");
            }
        }
    }
}
