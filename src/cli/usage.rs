//! The errors of a wrong command line.

use std::fmt;

use super::command::{For, Name};

/// A wrong command line; the program ends with exit status 2.
#[derive(Debug, PartialEq, Eq)]
pub enum UsageError {
    NoCommand,
    UnknownCommand(String),
    UnknownFlag(String),
    Stray(String),
    NoValue(String),
    /// `import-totals` without a file.
    NoFile,
    /// `new-application` without a name.
    NoName,
    /// `report --merge` without a directory.
    NoDirectories,
    /// The value is the name of a flag.
    FlagAsValue(String),
    Missing(&'static str, &'static str),
    /// A flag that one command requires.
    MissingOf(&'static str, &'static str),
    /// The flag belongs to other commands.
    WrongCommand(&'static str, For),
    /// Two flags that exclude each other.
    Both(&'static str, &'static str),
    BadValue {
        source: String,
        /// `None` if it may contain a password.
        found: Option<String>,
        expected: String,
    },
}

impl UsageError {
    /// The same error without the value that was found.
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
            UsageError::NoCommand => write!(f, "no command given, expected {}", commands()),
            UsageError::UnknownCommand(found) => {
                write!(f, "unknown command {found:?}, expected {}", commands())
            }
            UsageError::UnknownFlag(found) => {
                write!(f, "unknown flag {found:?} (see upgrade-responder --help)")
            }
            UsageError::Stray(found) => {
                write!(
                    f,
                    "unexpected argument {found:?} (see upgrade-responder --help)"
                )
            }
            UsageError::NoDirectories => f.write_str(
                "--merge: expected the state directories of the servers, or copies of them",
            ),
            UsageError::NoName => f.write_str(
                "new-application: expected the name of the application, such as harvester",
            ),
            UsageError::NoFile => f.write_str(
                "import-totals needs a file (the CSV that export-totals wrote, or - for standard input), or --influxdb-url",
            ),
            UsageError::FlagAsValue(flag) => {
                write!(
                    f,
                    "{flag}: the value is the name of a flag, expected another value"
                )
            }
            UsageError::NoValue(flag) => write!(f, "{flag} needs a value"),
            UsageError::Missing(flag, env) => {
                write!(f, "{flag} is required; give the flag or set {env}")
            }
            UsageError::MissingOf(flag, command) => {
                write!(f, "{flag} is required by '{command}'")
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
            UsageError::WrongCommand(flag, For::Only(command)) => {
                write!(f, "{flag} is a flag of the command '{}'", command.as_str())
            }
            UsageError::WrongCommand(flag, commands) => write!(f, "{flag} is a flag of {commands}"),
            UsageError::Both(flag, other) => {
                write!(
                    f,
                    "{flag} and {other} exclude each other, expected one of them"
                )
            }
        }
    }
}

/// The commands as an error lists them.
fn commands() -> String {
    let names = Name::ALL.map(|name| format!("'{}'", name.as_str()));
    format!("{} (see upgrade-responder --help)", names.join(", "))
}

impl std::error::Error for UsageError {}
