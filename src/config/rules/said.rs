//! One value that a client sent, in the form in which rules compare it. It must borrow, never copy the value.

use std::fmt;

use semver::Version;

use super::comparator;
use crate::units::version::parse_version;

/// One value that a client sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said<'a> {
    Text(&'a str),
    Number(f64),
    Boolean(bool),
}

/// Reads a version as Masterminds/semver v3 does: a pre-release number with a leading zero is refused.
pub fn version(text: &str) -> Option<Version> {
    // Most versions have no pre-release, so the second check is rare.
    let version = parse_version(text)?;
    let sound = version.pre.is_empty() || comparator::is_sound_pre(text);
    sound.then_some(version)
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Text(text) => write!(f, "{text:?}"),
            Said::Number(number) => number.fmt(f),
            Said::Boolean(value) => value.fmt(f),
        }
    }
}
