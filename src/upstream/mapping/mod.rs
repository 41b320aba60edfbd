//! From a provider's claims to profile, groups and roles (pure). Claims come from outside and may be
//! anything: nothing here panics, everything is bounded, and what is not mapped gives nothing.
//!
//! Expressions are written in a small part of the Jinja language: `claims.a.b`, `claims['a:b']`, texts and
//! numbers, `== != < <= > >=`, `and or not`, `in`, `~`, `x if y else z`, the filters
//! `default lower upper trim length first last split list` and tests such as `is defined` or
//! `is startingwith('x')`. `in` looks into lists only, never into a text: a text counts as a list of one.
//! Only `true` itself counts as true: write `claims.staff`, since to Jinja `1 == true` holds.
//! A missing claim makes the whole expression worth nothing, unless `| default(…)` stands behind it.

mod expression;
mod field;
mod scan;
#[cfg(test)]
mod tests;

use crate::accounts::{Address, Profile, Target};
use crate::ids::{GroupName, RoleName};
use minijinja::Value;
use serde::{Deserialize, de};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

pub use expression::{Expression, FUEL};
pub use field::Field;
pub use scan::ExpressionError;

/// Values (of any type) that one set of claims may hold.
const MAX_VALUES: usize = 10_000;
/// How deep claims may nest.
const MAX_DEPTH: usize = 16;

/// Names of what a mapping may never assign: administration of the broker itself.
pub const RESERVED_PREFIX: &str = "countersign:";

/// A rule that assigns one local group or role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, kept as the provenance of what it assigns.
    pub rule: String,
    /// What it assigns.
    pub target: Target,
    /// When: `true` and nothing but `true` counts.
    pub when: Expression,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            rule: String,
            #[serde(default)]
            group: Option<GroupName>,
            #[serde(default)]
            role: Option<RoleName>,
            when: Expression,
        }
        let raw = Raw::deserialize(deserializer)?;
        if raw.rule.trim().is_empty() || raw.rule.len() > 128 || raw.rule.chars().any(char::is_control) {
            return Err(de::Error::custom("a rule needs a name of 1 to 128 printable characters"));
        }
        let target = match (raw.group, raw.role) {
            (Some(group), None) => Target::Group(group),
            (None, Some(role)) => Target::Role(role),
            _ => return Err(de::Error::custom("a rule assigns either one `group` or one `role`")),
        };
        if target.name().starts_with(RESERVED_PREFIX) {
            return Err(de::Error::custom(format_args!(
                "no mapping can assign `{}`: what starts with `{RESERVED_PREFIX}` is administration",
                target.name()
            )));
        }
        Ok(Self { rule: raw.rule, target, when: raw.when })
    }
}

/// Where a profile field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileSource {
    /// Nowhere: the field is not taken from this provider.
    Off,
    /// The value of an expression, if it is a text.
    From(Expression),
}

impl ProfileSource {
    /// The expression, unless it is off.
    pub fn expression(&self) -> Option<&Expression> {
        match self {
            Self::Off => None,
            Self::From(expression) => Some(expression),
        }
    }
}

impl<'de> Deserialize<'de> for ProfileSource {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Ok(Self::Off);
        }
        Expression::deserialize(de::value::StringDeserializer::new(text)).map(Self::From)
    }
}

/// All that one provider's claims are read for.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// Rules in the order of the file; the first that assigns a thing names its provenance.
    pub rules: Vec<Rule>,
    /// Fields that do not come from the claim of the same name.
    pub profile: BTreeMap<Field, ProfileSource>,
    /// Who may get a new account.
    pub filter: Option<Expression>,
    /// Where the person's domain is found.
    pub domain: Option<Expression>,
    /// Where the proof of the address is found.
    pub email_verified: Option<Expression>,
}

/// What claims were mapped to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The profile.
    pub profile: Profile,
    /// The address, as the provider wrote it.
    pub email: Option<String>,
    /// Local groups and roles, each with the rule that gave it.
    pub assignments: BTreeMap<Target, String>,
    /// Whether a new account may be made; `true` where no filter is configured.
    pub passes_filter: bool,
    /// The person's domain, where an expression says it.
    pub domain: Option<String>,
    /// Whether the address is proved, where an expression says it.
    pub email_verified: Option<bool>,
}

/// The claims are larger or deeper than any provider's honest answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the claims hold more than {MAX_VALUES} values or nest deeper than {MAX_DEPTH}")]
pub struct ClaimsTooLarge;

impl Mapping {
    /// Maps claims. Equal claims give equal outcomes.
    ///
    /// # Errors
    /// [`ClaimsTooLarge`], before anything is evaluated.
    pub fn apply(&self, claims: &Map<String, Json>) -> Result<Mapped, ClaimsTooLarge> {
        let mut left = MAX_VALUES;
        for value in claims.values() {
            measure(value, 1, &mut left)?;
        }
        let values =
            Value::from_pairs(claims.iter().map(|(name, value)| (name.as_str(), language_value(value))));
        let mut mapped = Mapped {
            passes_filter: self.filter.as_ref().is_none_or(|filter| filter.holds(&values)),
            domain: self.domain.as_ref().and_then(|domain| domain.text(&values)),
            email_verified: self.email_verified.as_ref().map(|proof| proof.holds(&values)),
            ..Mapped::default()
        };
        let mut address = Address::default();
        for (field, claim) in Field::ALL {
            let text = match self.profile.get(&field) {
                Some(ProfileSource::Off) => None,
                Some(ProfileSource::From(expression)) => expression.text(&values),
                None => Field::usual(claim, claims),
            };
            if let Some(text) = text.and_then(|text| field.accept(&text)) {
                *field.place(&mut mapped.profile, &mut address, &mut mapped.email) = Some(text);
            }
        }
        mapped.profile.address = (address != Address::default()).then_some(address);
        for rule in &self.rules {
            if !mapped.assignments.contains_key(&rule.target) && rule.when.holds(&values) {
                mapped.assignments.insert(rule.target.clone(), rule.rule.clone());
            }
        }
        Ok(mapped)
    }

    /// The claims that its expressions read, by their outermost name: what the provider must be asked for.
    pub fn reads(&self) -> BTreeSet<&str> {
        let sources = self.profile.values().filter_map(ProfileSource::expression);
        let others = [&self.filter, &self.domain, &self.email_verified].into_iter().flatten();
        let rules = self.rules.iter().map(|rule| &rule.when);
        rules.chain(sources).chain(others).flat_map(|e| e.reads().iter().map(String::as_str)).collect()
    }
}

impl Expression {
    /// Whether it is true of an answer as a whole. One that is larger than any honest one makes nothing true.
    pub fn holds_of(&self, claims: &Map<String, Json>) -> bool {
        let mut left = MAX_VALUES;
        if claims.values().any(|value| measure(value, 1, &mut left).is_err()) {
            return false;
        }
        let values = claims.iter().map(|(name, value)| (name.as_str(), language_value(value)));
        self.holds(&Value::from_pairs(values))
    }
}

fn measure(value: &Json, depth: usize, left: &mut usize) -> Result<(), ClaimsTooLarge> {
    *left = left.checked_sub(1).ok_or(ClaimsTooLarge)?;
    if depth > MAX_DEPTH {
        return Err(ClaimsTooLarge);
    }
    match value {
        Json::Array(values) => values.iter().try_for_each(|value| measure(value, depth + 1, left)),
        Json::Object(values) => values.values().try_for_each(|value| measure(value, depth + 1, left)),
        _ => Ok(()),
    }
}

/// A claim in the language's own terms. Its depth was measured before.
fn language_value(value: &Json) -> Value {
    match value {
        Json::Null => Value::from(()),
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => Value::from(number),
            (_, Some(number), _) => Value::from(number),
            (_, _, number) => number.map_or(Value::UNDEFINED, Value::from),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(values) => Value::from(values.iter().map(language_value).collect::<Vec<_>>()),
        Json::Object(values) => {
            Value::from_pairs(values.iter().map(|(name, value)| (name.as_str(), language_value(value))))
        }
    }
}
