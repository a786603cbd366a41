//! One value that a criterion wants, and the test whether a client's value meets it.
//!
//! A wanted string that can be read as a constraint, such as `"<1.25"`, is one. It is compared as a version with a
//! string, and as a number with a number. Any other string must be equal. This module must never change a value.

use semver::Version;
use serde_json::value::RawValue;

use super::constraint::Constraint;
use super::numbers::{Comparisons, decimal};
use super::said::{Said, version};
use crate::config::json;

#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// `*`: any value.
    Any,
    /// A string, which may also be a constraint on versions or on numbers.
    Text {
        exact: String,
        versions: Option<Constraint>,
        numbers: Option<Comparisons>,
    },
    /// This string in any case: a system, an architecture or a country.
    Name(String),
    /// A constraint on a version; as in the fork, `*` leaves out pre-releases.
    Version(Constraint),
    Number(f64),
    Boolean(bool),
}

impl Wanted {
    /// Reads a value for a tag or field.
    pub(super) fn extra(value: &RawValue) -> Result<Wanted, String> {
        if let Some(text) = json::string(value) {
            return Wanted::text(text);
        }
        match serde_json::from_str(value.get()) {
            Ok(serde_json::Value::Bool(value)) => Ok(Wanted::Boolean(value)),
            Ok(serde_json::Value::Number(number)) => number
                .as_f64()
                .map(Wanted::Number)
                .ok_or_else(|| "a number".to_owned()),
            _ => Err("a string, a number, true or false, or a list of them".to_owned()),
        }
    }

    fn text(text: String) -> Result<Wanted, String> {
        if text.trim() == "*" {
            return Ok(Wanted::Any);
        }
        let versions = Constraint::parse(&text);
        let numbers = Comparisons::parse(&text);
        let like_a_constraint = text
            .trim_start()
            .starts_with(['<', '>', '=', '!', '~', '^']);
        if text.is_empty() || (like_a_constraint && versions.is_none() && numbers.is_none()) {
            return Err(
                "a string that is not empty, or a constraint such as \">=1.2 <2\"".to_owned(),
            );
        }
        Ok(Wanted::Text {
            exact: text,
            versions,
            numbers,
        })
    }

    /// Reads a constraint on a version.
    pub(super) fn version(value: &RawValue) -> Result<Wanted, String> {
        let constraint = json::string(value).and_then(|text| Constraint::parse(&text));
        constraint
            .map(Wanted::Version)
            .ok_or_else(|| "a constraint such as \"<1.2.3\", or \"*\"".to_owned())
    }

    /// Reads one of `names`, or `*`.
    pub(super) fn one_of(value: &RawValue, names: &[&str]) -> Result<Wanted, String> {
        match json::string(value).as_deref() {
            Some("*") => Ok(Wanted::Any),
            Some(text) if names.contains(&text) => Ok(Wanted::Name(text.to_owned())),
            _ => Err(format!("one of {}, or \"*\"", quoted(names))),
        }
    }

    /// Reads the ISO code of a country.
    pub(super) fn country(value: &RawValue) -> Result<Wanted, String> {
        let is_code =
            |text: &String| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        match json::string(value) {
            Some(text) if text == "*" => Ok(Wanted::Any),
            Some(text) if is_code(&text) => Ok(Wanted::Name(text)),
            _ => Err("the ISO code of a country such as \"DE\", or a list of them".to_owned()),
        }
    }

    /// Whether the client's value meets the wanted one.
    pub fn accepts(&self, said: Said<'_>) -> bool {
        self.accepts_by(said, &mut meets)
    }

    /// The same, with a function that tests a string against a constraint, so that the caller can parse it once.
    pub fn accepts_by(
        &self,
        said: Said<'_>,
        meets: &mut dyn FnMut(&Constraint, &str) -> bool,
    ) -> bool {
        match (self, said) {
            (Wanted::Any, _) => true,
            (Wanted::Name(name), Said::Text(text)) => name.eq_ignore_ascii_case(text),
            (Wanted::Number(wanted), Said::Number(number)) => *wanted == number,
            (Wanted::Number(wanted), Said::Text(text)) => decimal(text) == Some(*wanted),
            (Wanted::Boolean(wanted), Said::Boolean(value)) => *wanted == value,
            (Wanted::Boolean(wanted), Said::Text(text)) => text == wanted.to_string(),
            (Wanted::Version(constraint), Said::Text(text)) => meets(constraint, text),
            (
                Wanted::Text {
                    exact, versions, ..
                },
                Said::Text(text),
            ) => exact == text || versions.as_ref().is_some_and(|c| meets(c, text)),
            (
                Wanted::Text {
                    numbers: Some(numbers),
                    ..
                },
                Said::Number(number),
            ) => numbers.are_met_by(number),
            (
                Wanted::Text {
                    versions: Some(c), ..
                },
                Said::Number(number),
            ) => meets(c, &number.to_string()),
            (Wanted::Text { exact, .. }, Said::Boolean(value)) => *exact == value.to_string(),
            _ => false,
        }
    }

    pub fn is_met_by(&self, version: &Version) -> bool {
        match self {
            Wanted::Version(constraint) => constraint.is_met_by(version),
            _ => false,
        }
    }

    /// Whether the wanted value is `*`, for any kind of key.
    pub fn is_any(&self) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Version(constraint) => constraint.as_str() == "*",
            _ => false,
        }
    }

    /// The constraint on versions, if the wanted value is one.
    pub fn constraint(&self) -> Option<&Constraint> {
        match self {
            Wanted::Version(constraint) => Some(constraint),
            Wanted::Text { versions, .. } => versions.as_ref(),
            _ => None,
        }
    }
}

fn meets(constraint: &Constraint, text: &str) -> bool {
    version(text).is_some_and(|version| constraint.is_met_by(&version))
}

fn quoted(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}
