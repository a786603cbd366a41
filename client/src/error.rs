//! Errors of the settings and of a check.

use std::fmt;
use std::time::Duration;

/// The error of a check without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckError {
    /// `DO_NOT_TRACK` is set in the environment, or the application switched checks off. Nothing was sent.
    SwitchedOff,
    /// The last request was sent less than an interval ago, and there is no earlier answer. Nothing was sent.
    TooSoon {
        /// The time until a request may be sent.
        wait: Duration,
    },
    /// The server could not be asked, or did not answer in time.
    Unreachable(String),
    /// The server answered with a status other than 200.
    Status {
        /// The status.
        status: u16,
        /// The first line of the answer, at most 200 characters.
        message: String,
    },
    /// The answer is not that of an Upgrade Responder.
    NotUnderstood(String),
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckError::SwitchedOff => f.write_str("upgrade checks are switched off"),
            CheckError::TooSoon { wait } => {
                let seconds = wait.as_secs_f64().ceil();
                write!(
                    f,
                    "too soon after the last request, the next can be sent in {seconds} s"
                )
            }
            CheckError::Unreachable(what) => write!(f, "the server cannot be reached: {what}"),
            CheckError::Status { status, message } => {
                write!(f, "the server answered {status} {message:?}, expected 200")
            }
            CheckError::NotUnderstood(what) => write!(f, "unexpected answer: {what}"),
        }
    }
}

impl std::error::Error for CheckError {}

/// The error of a setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The server's address is not a URL that can be asked.
    Address {
        /// The address that was given.
        found: String,
    },
    /// The certification authorities are not PEM text with certificates.
    Authorities(String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Address { found } => write!(
                f,
                "address {found:?}, expected http:// or https://, a host, and neither '?' nor '#'"
            ),
            BuildError::Authorities(what) => {
                write!(f, "certification authorities: {what}, expected PEM text")
            }
        }
    }
}

impl std::error::Error for BuildError {}
