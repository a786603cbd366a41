//! A constraint on a version, such as `>=1.2 <2 || ~3.4`: parsing, and the test whether a version meets it.
//!
//! Grammar and meaning are those of Masterminds/semver v3.2.1, because operators bring rules written for that
//! library. This module must never accept a text that the library refuses, nor give a different result for a
//! version; `tests/rules/constraints.jsonl` has the library's results for 68 constraints.
//!
//! No crate does the same. nodejs-semver differs for six of the 68 (`!=`, `=<`, commas, the empty text), and accepts
//! a pre-release only of the named version.

use std::fmt;

use semver::Version;

use super::comparator::{Comparator, Op};
use super::grammar;

/// Bytes of a constraint at most, so that parsing stays cheap.
const MAX_LEN: usize = 1000;

/// At least one group of comparators. A version must meet all comparators of one group.
#[derive(Clone, Debug)]
pub struct Constraint {
    text: Box<str>,
    groups: Vec<Vec<Comparator>>,
}

impl Constraint {
    /// Reads a constraint; `None` where the text is not one.
    pub fn parse(text: &str) -> Option<Constraint> {
        if text.len() > MAX_LEN {
            return None;
        }
        let rewritten = without_ranges(text);
        let groups: Option<Vec<_>> = rewritten.split("||").map(group).collect();
        Some(Constraint {
            text: text.trim().into(),
            groups: groups?,
        })
    }

    /// Whether `version` meets the constraint.
    pub fn is_met_by(&self, version: &Version) -> bool {
        let met = |group: &Vec<Comparator>| group.iter().all(|part| part.is_met_by(version));
        self.groups.iter().any(met)
    }

    /// The versions that the constraint names.
    pub(super) fn named(&self) -> impl Iterator<Item = &Version> {
        self.groups.iter().flatten().map(Comparator::named)
    }

    /// The constraint as the operator wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Constraint {
    fn eq(&self, other: &Constraint) -> bool {
        self.text == other.text
    }
}

/// `text` with each hyphen range replaced by two comparisons: `1.2 - 1.4` by `>= 1.2, <= 1.4`. As in the library,
/// a range includes the white space around it, which makes `1 2 - 3` an invalid constraint.
fn without_ranges(text: &str) -> String {
    let mut rewritten = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        match range(rest) {
            Some((from, to, after)) => {
                rewritten.push_str(&format!(">= {from}, <= {to} "));
                rest = after;
            }
            None => {
                rewritten.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    rewritten
}

/// The two ends of the range at the beginning of `text`, and the text after it.
fn range(text: &str) -> Option<(&str, &str, &str)> {
    let (from, rest) = grammar::version(grammar::skip_space(text))?;
    let rest = grammar::space(rest)?.strip_prefix('-')?;
    let (to, rest) = grammar::version(grammar::space(rest)?)?;
    Some((from.text, to.text, grammar::skip_space(rest)))
}

/// Reads at least one comparator; they are separated by white space or commas.
fn group(text: &str) -> Option<Vec<Comparator>> {
    let mut comparators = Vec::new();
    let mut rest = text;
    loop {
        let (op, after) = operator(grammar::skip_space(rest));
        let (version, after) = grammar::version(grammar::skip_space(after))?;
        comparators.push(Comparator::new(op, &version)?);
        let next = grammar::skip_space(after);
        if next.is_empty() {
            return Some(comparators);
        }
        rest = match next.strip_prefix(',') {
            Some(next) => next,
            None => grammar::space(after)?,
        };
    }
}

/// The operator at the beginning of `text`, and the text after it. A missing operator means `=`.
fn operator(text: &str) -> (Op, &str) {
    const OPERATORS: [(&str, Op); 11] = [
        // Operators of two characters must come first, because the others are prefixes of them.
        ("!=", Op::NotEqual),
        (">=", Op::AtLeast),
        ("=>", Op::AtLeast),
        ("<=", Op::AtMost),
        ("=<", Op::AtMost),
        ("~>", Op::Tilde),
        ("=", Op::Equal),
        (">", Op::Greater),
        ("<", Op::Less),
        ("~", Op::Tilde),
        ("^", Op::Caret),
    ];
    OPERATORS
        .iter()
        .find_map(|(sign, op)| Some((*op, text.strip_prefix(sign)?)))
        .unwrap_or((Op::Equal, text))
}

#[cfg(test)]
mod tests;
