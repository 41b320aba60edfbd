//! An expression over a provider's claims: compiled once, bounded in time and memory, and total: whatever
//! the provider says, the outcome is a value or nothing.

use super::scan::{self, ExpressionError};
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use serde::{Deserialize, de};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// Instructions that one evaluation may take.
pub const FUEL: u64 = 10_000;
/// Characters that an expression may have.
const MAX_TEXT: usize = 2_000;
/// Bytes of a text that a filter may make or read.
const MAX_VALUE: usize = 64 * 1024;

static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    // Nothing is there but what is listed: no loops, no formatting, no way to make a large value.
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(32);
    environment.add_filter("default", minijinja::filters::default);
    environment.add_filter("lower", minijinja::filters::lower);
    environment.add_filter("upper", minijinja::filters::upper);
    environment.add_filter("trim", minijinja::filters::trim);
    environment.add_filter("length", minijinja::filters::length);
    environment.add_filter("first", minijinja::filters::first);
    environment.add_filter("last", minijinja::filters::last);
    environment.add_filter("split", split);
    environment.add_filter("list", list);
    environment.add_function(scan::LIST, list);
    environment.add_test("defined", minijinja::tests::is_defined);
    environment.add_test("undefined", minijinja::tests::is_undefined);
    environment.add_test("none", minijinja::tests::is_none);
    environment.add_test("string", minijinja::tests::is_string);
    environment.add_test("number", minijinja::tests::is_number);
    environment.add_test("boolean", minijinja::tests::is_boolean);
    environment.add_test("mapping", minijinja::tests::is_mapping);
    environment.add_test("startingwith", |value: &str, start: &str| value.starts_with(start));
    environment.add_test("endingwith", |value: &str, end: &str| value.ends_with(end));
    environment
});

/// Anything as a list: a list stays, nothing is the empty list, any other value is a list of one.
fn list(value: Value) -> Value {
    match value.kind() {
        ValueKind::Seq => value,
        ValueKind::Undefined | ValueKind::None => Value::from(Vec::<Value>::new()),
        _ => Value::from(vec![value]),
    }
}

fn split(value: &str, by: &str) -> Result<Value, Error> {
    if value.len() > MAX_VALUE || by.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "nothing to split by, or too long"));
    }
    Ok(Value::from(value.split(by).map(Value::from).collect::<Vec<_>>()))
}

/// A compiled expression.
#[derive(Clone)]
pub struct Expression {
    text: String,
    reads: BTreeSet<String>,
    compiled: Arc<minijinja::Expression<'static, 'static>>,
}

impl Expression {
    /// Checks and compiles an expression.
    ///
    /// # Errors
    /// What is wrong, and where in the text.
    pub fn new(text: impl Into<String>) -> Result<Self, ExpressionError> {
        let text = text.into();
        if text.len() > MAX_TEXT {
            return Err(ExpressionError {
                message: format!("an expression has at most {MAX_TEXT} characters"),
                range: 0..text.len(),
            });
        }
        let scan::Checked { prepared, reads } = scan::check(&text)?;
        let compiled = LANGUAGE.compile_expression_owned(prepared).map_err(|error| ExpressionError {
            message: error.detail().unwrap_or("the expression does not parse").to_owned(),
            range: 0..text.len(),
        })?;
        Ok(Self { text, reads, compiled: Arc::new(compiled) })
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The claims that it reads, by their outermost name.
    pub fn reads(&self) -> &BTreeSet<String> {
        &self.reads
    }

    /// Its value, or `None` where it has none: types do not go together, or it takes too long. A claim that is
    /// missing is undefined, or an error where something is done with it.
    pub(super) fn eval(&self, claims: &Value) -> Option<Value> {
        let root = Value::from_pairs([(scan::ROOT, claims.clone())]);
        self.compiled.eval(root).ok()
    }

    /// Whether its value is `true`; every other outcome, an error included, is `false`.
    pub(super) fn holds(&self, claims: &Value) -> bool {
        self.eval(claims).is_some_and(|value| value.kind() == ValueKind::Bool && value.is_true())
    }

    /// Its value if that is a text.
    pub(super) fn text(&self, claims: &Value) -> Option<String> {
        self.eval(claims).and_then(|value| value.as_str().map(str::to_owned))
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at =
            |error: &ExpressionError| text.get(..error.range.start).map_or(0, |part| part.chars().count());
        Self::new(text.clone()).map_err(|error| {
            de::Error::custom(format_args!("{} (character {} of the expression)", error, at(&error) + 1))
        })
    }
}
