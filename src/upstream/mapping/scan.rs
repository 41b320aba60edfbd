//! Reads an expression token by token before the template engine compiles it: only the names that exist
//! here, only harmless operators, and no `in` that would look for a part of a text.

use std::collections::BTreeSet;
use std::ops::Range;

/// Filters that an expression may use.
pub const FILTERS: &[&str] =
    &["default", "lower", "upper", "trim", "length", "first", "last", "split", "list"];
/// Tests that an expression may use (`is …`).
pub const TESTS: &[&str] =
    &["defined", "undefined", "none", "string", "number", "boolean", "mapping", "startingwith", "endingwith"];
/// The one function.
pub const LIST: &str = "list";
/// The one variable.
pub const ROOT: &str = "claims";

/// What is wrong with an expression, and where in its text (bytes).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// A sentence without a full stop.
    pub message: String,
    /// The part of the expression's text it is about.
    pub range: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Text,
    Number,
    Sign,
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    at: usize,
}

impl Token<'_> {
    fn range(&self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }
    fn is(&self, kind: Kind, text: &str) -> bool {
        self.kind == kind && self.text == text
    }
}

fn error<T>(message: impl Into<String>, range: Range<usize>) -> Result<T, ExpressionError> {
    Err(ExpressionError { message: message.into(), range })
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, ExpressionError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        if first.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        let (kind, length) = if first.is_ascii_alphabetic() || first == '_' {
            (Kind::Name, rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len()))
        } else if first.is_ascii_digit() {
            (Kind::Number, rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()))
        } else if first == '\'' || first == '"' {
            let body = rest.get(1..).unwrap_or_default();
            match body.find([first, '\\']) {
                Some(end) if body.get(end..).is_some_and(|rest| rest.starts_with('\\')) => {
                    return error("a text here has no backslash", at + 1 + end..at + 2 + end);
                }
                Some(end) => (Kind::Text, end + 2),
                None => return error("this text is not closed", at..text.len()),
            }
        } else {
            let pair = rest.get(..2).filter(|pair| matches!(*pair, "==" | "!=" | "<=" | ">="));
            match pair {
                Some(_) => (Kind::Sign, 2),
                None if "()[].,|<>-~".contains(first) => (Kind::Sign, 1),
                None => return error(format!("`{first}` has no place here"), at..at + first.len_utf8()),
            }
        };
        let (token, after) = rest.split_at(length);
        found.push(Token { kind, text: token, at });
        rest = after;
    }
    Ok(found)
}

/// An expression that was checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked {
    /// The text to compile.
    pub prepared: String,
    /// The outermost names of the claims it reads.
    pub reads: BTreeSet<String>,
}

/// Checks the names and signs of an expression and returns the text to compile: the same, with the right
/// side of every `in` made a list, so that `'admin' in claims.group` is not true of `"not-admins"`.
pub fn check(text: &str) -> Result<Checked, ExpressionError> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return error("the expression is empty", 0..text.len());
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut copied = 0;
    let mut reads = BTreeSet::new();
    for (i, token) in tokens.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| tokens.get(i));
        let next = tokens.get(i + 1);
        if token.kind == Kind::Name {
            check_name(&tokens, i, before, next)?;
            if token.text == ROOT && !before.is_some_and(|before| before.is(Kind::Sign, ".")) {
                reads.extend(tokens.get(i + 2).map(|name| name.text.trim_matches(['\'', '"']).to_owned()));
            }
        }
        if token.is(Kind::Name, "in") && !before.is_some_and(|before| before.is(Kind::Sign, ".")) {
            let (start, end) = right_side(&tokens, i)?;
            out.push_str(text.get(copied..start).unwrap_or_default());
            out.push_str("list(");
            out.push_str(text.get(start..end).unwrap_or_default());
            out.push(')');
            copied = end;
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Ok(Checked { prepared: out, reads })
}

fn check_name(
    tokens: &[Token<'_>],
    i: usize,
    before: Option<&Token<'_>>,
    next: Option<&Token<'_>>,
) -> Result<(), ExpressionError> {
    let Some(token) = tokens.get(i) else { return Ok(()) };
    let called = next.is_some_and(|next| next.is(Kind::Sign, "("));
    let after = |text: &str| before.is_some_and(|before| before.text == text);
    let after_is = after("is")
        || (after("not")
            && i.checked_sub(2).and_then(|i| tokens.get(i)).is_some_and(|t| t.is(Kind::Name, "is")));
    let one_of = |what: &str, allowed: &[&str]| {
        if allowed.contains(&token.text) {
            Ok(())
        } else {
            error(
                format!("there is no {what} `{}`; there are {}", token.text, allowed.join(", ")),
                token.range(),
            )
        }
    };
    if after("|") {
        return one_of("filter", FILTERS);
    }
    if after_is && token.text != "not" {
        return one_of("test", TESTS);
    }
    if after(".") {
        return if called { error("values have no methods here", token.range()) } else { Ok(()) };
    }
    match token.text {
        "and" | "or" | "not" | "in" | "is" | "if" | "else" | "true" | "false" | "none" => Ok(()),
        ROOT if !called => Ok(()),
        LIST if called => Ok(()),
        other if called => error(format!("there is no function `{other}`; there is `list`"), token.range()),
        other => error(
            format!(
                "there is no name `{other}`; what the provider said is in `claims`, such as `claims.{other}`"
            ),
            token.range(),
        ),
    }
}

/// The extent of what stands right of `in`: a claim, a list, or a call of `list`.
fn right_side(tokens: &[Token<'_>], i: usize) -> Result<(usize, usize), ExpressionError> {
    let at = tokens.get(i).map_or(0..0, Token::range);
    let Some(first) = tokens.get(i + 1) else { return error("something is missing after `in`", at) };
    let mut next = i + 1;
    let mut end = first.range().end;
    if first.is(Kind::Name, ROOT) || first.is(Kind::Name, LIST) {
        next += 1;
    } else if !first.is(Kind::Sign, "[") {
        return error("after `in` there must be a claim or a list, such as `claims.groups`", first.range());
    }
    while let Some(token) = tokens.get(next) {
        let closing = match token.text {
            "." => {
                let Some(name) = tokens.get(next + 1) else { break };
                end = name.range().end;
                next += 2;
                continue;
            }
            "[" => "]",
            "(" => ")",
            _ => break,
        };
        let mut depth = 0_usize;
        let mut closed = false;
        while let Some(inner) = tokens.get(next) {
            next += 1;
            end = inner.range().end;
            if inner.kind == Kind::Sign {
                match inner.text {
                    "(" | "[" => depth += 1,
                    ")" | "]" => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if depth == 0 {
                    closed = inner.text == closing;
                    break;
                }
            }
            if inner.is(Kind::Name, "in") {
                return error("one `in` inside another is not understood; write two rules", inner.range());
            }
        }
        if !closed {
            return error(format!("`{}` is not closed", token.text), token.range());
        }
    }
    if let Some(token) = tokens.get(next)
        && (token.is(Kind::Sign, "|") || token.is(Kind::Sign, "~"))
    {
        return error(
            "after `in` there must be a claim or a list alone; use `list(…)` around it",
            token.range(),
        );
    }
    Ok((first.at, end))
}
