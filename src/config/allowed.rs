//! The values that the operator allows for a key: a list, or a pattern.
//!
//! The original's schema has neither. A key with such a rule is not counted against
//! `--max-tag-values`, because clients cannot flood it with invented values.

use regex::Regex;
use serde_json::value::RawValue;

use super::json;

/// Bytes of a compiled pattern at most, because each is held in memory and run for every value.
const PATTERN_SIZE: usize = 256 * 1024;

/// Which strings are allowed.
#[derive(Clone, Debug)]
pub enum Allowed {
    /// Only these strings; sorted.
    Values(Vec<String>),
    /// Strings that match as a whole.
    Pattern { text: String, regex: Regex },
}

impl Allowed {
    pub fn allows(&self, value: &str) -> bool {
        match self {
            Allowed::Values(values) => values.binary_search_by(|v| v.as_str().cmp(value)).is_ok(),
            Allowed::Pattern { regex, .. } => regex.is_match(value),
        }
    }

    /// Reads `"values": ["a", "b"]`.
    pub(super) fn values(value: &RawValue) -> Result<Allowed, String> {
        let expected = || {
            format!(
                "found {}, expected an array of at least one string",
                json::found(Some(value))
            )
        };
        let mut values: Vec<String> = serde_json::from_str(value.get()).map_err(|_| expected())?;
        if values.is_empty() {
            return Err(expected());
        }
        values.sort();
        Ok(Allowed::Values(values))
    }

    /// Reads `"pattern": "v[0-9]+"`, a regular expression for the whole value.
    pub(super) fn pattern(value: &RawValue) -> Result<Allowed, String> {
        let found = || json::found(Some(value));
        let text = json::string(value)
            .ok_or_else(|| format!("found {}, expected a regular expression", found()))?;
        let regex = regex::RegexBuilder::new(&format!("^(?:{text})$"))
            .size_limit(PATTERN_SIZE)
            .build()
            .map_err(|error| {
                let last = error.to_string();
                let why = last.lines().last().unwrap_or_default().trim().to_owned();
                format!("found {}, expected a regular expression ({why})", found())
            })?;
        Ok(Allowed::Pattern { text, regex })
    }
}

impl PartialEq for Allowed {
    fn eq(&self, other: &Allowed) -> bool {
        match (self, other) {
            (Allowed::Values(a), Allowed::Values(b)) => a == b,
            (Allowed::Pattern { text: a, .. }, Allowed::Pattern { text: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Eq for Allowed {}
