//! What the user got wrong on the command line.

use std::fmt;

/// The user's mistake; the program ends with exit status 2.
#[derive(Debug, PartialEq, Eq)]
pub enum UsageError {
    NoCommand,
    UnknownCommand(String),
    UnknownFlag(String),
    Stray(String),
    NoValue(String),
    /// The value is spelt like a flag.
    FlagAsValue(String),
    Missing(&'static str, &'static str),
    /// The flag belongs to another command.
    WrongCommand(String, &'static str),
    BadValue {
        source: String,
        /// `None` where a password may stand in it.
        found: Option<String>,
        expected: String,
    },
}

impl UsageError {
    /// The same without repeating what was found.
    pub fn without_value(self) -> UsageError {
        match self {
            UsageError::BadValue {
                source, expected, ..
            } => UsageError::BadValue {
                source,
                found: None,
                expected,
            },
            other => other,
        }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::NoCommand => {
                f.write_str("no command given, expected 'start', 'check-config' or 'set-query-period' (see upgrade-responder --help)")
            }
            UsageError::UnknownCommand(found) => write!(
                f,
                "unknown command {found:?}, expected 'start', 'check-config' or 'set-query-period' \
                 (see upgrade-responder --help)"
            ),
            UsageError::UnknownFlag(found) => {
                write!(f, "unknown flag {found:?} (see upgrade-responder --help)")
            }
            UsageError::Stray(found) => {
                write!(
                    f,
                    "unexpected argument {found:?} (see upgrade-responder --help)"
                )
            }
            UsageError::FlagAsValue(flag) => {
                write!(f, "{flag}: the value is spelt like a flag, expected another one")
            }
            UsageError::NoValue(flag) => write!(f, "{flag} needs a value"),
            UsageError::Missing(flag, env) => {
                write!(f, "{flag} is required; give the flag or set {env}")
            }
            UsageError::BadValue {
                source,
                found: Some(found),
                expected,
            } => {
                write!(f, "{source}: found {found:?}, expected {expected}")
            }
            UsageError::BadValue {
                source,
                found: None,
                expected,
            } => {
                write!(f, "{source}: the value is not usable, expected {expected}")
            }
            UsageError::WrongCommand(flag, command) => {
                write!(f, "{flag} is a flag of the command '{command}'")
            }
        }
    }
}

impl std::error::Error for UsageError {}
