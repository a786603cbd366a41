//! The errors of `start`, `check-config` and `take-over`, by exit status.

use std::fmt;

use super::pipeline::StartError;
use crate::config::LoadError;
use crate::http::socket::BindError;

/// Why the command failed, by exit status.
#[derive(Debug)]
pub enum RunError {
    /// A flag, a file or the state directory cannot be used: 78.
    Configuration(String),
    /// The system or the database refused something, or the service failed while running: 1.
    System(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Configuration(text) | RunError::System(text) => f.write_str(text),
        }
    }
}

impl From<LoadError> for RunError {
    fn from(error: LoadError) -> Self {
        RunError::Configuration(error.to_string())
    }
}

impl From<BindError> for RunError {
    fn from(error: BindError) -> Self {
        RunError::Configuration(error.to_string())
    }
}

impl From<StartError> for RunError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Spool(_) => RunError::Configuration(error.to_string()),
            StartError::Thread(_) => RunError::System(error.to_string()),
        }
    }
}
