//! The command line: what the user typed becomes what the program needs, in one place.
//!
//! Nothing outside this module reads arguments or environment variables, and nothing in it opens
//! a socket, a spool or a response config.

mod flags;
mod lowargs;
pub mod options;
mod usage;
pub mod values;

use std::ffi::OsString;

use flags::For;
use lowargs::LowArgs;
use options::{SetPeriodOptions, StartOptions};

pub use flags::help;
pub use usage::UsageError;

/// What the user asked for.
#[derive(Debug)]
pub enum Command {
    Help,
    Version,
    Start(Box<StartOptions>),
    CheckConfig {
        options: Box<StartOptions>,
        /// Ask InfluxDB too.
        online: bool,
    },
    SetQueryPeriod(Box<SetPeriodOptions>),
}

/// Understands the command line and the environment of this process.
pub fn from_process() -> Result<Command, UsageError> {
    let args = std::env::args_os().skip(1).collect();
    parse(args, &|name| std::env::var_os(name))
}

/// Understands `args` (without the program's name); `env` looks up environment variables.
pub fn parse(
    args: Vec<OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, UsageError> {
    let low = LowArgs::parse(args, env)?;
    if low.help {
        return Ok(Command::Help);
    }
    if low.version {
        return Ok(Command::Version);
    }
    match low.command.as_deref() {
        Some("help") => Ok(Command::Help),
        Some("start") => {
            low.refuse_flags_of_others(For::Start)?;
            Ok(Command::Start(Box::new(StartOptions::from(&low, env)?)))
        }
        Some("check-config") => {
            low.refuse_flags_of_others(For::CheckConfig)?;
            let online = options::switch(&low, "--online")?;
            let options = Box::new(StartOptions::from(&low, env)?);
            Ok(Command::CheckConfig { options, online })
        }
        Some("set-query-period") => {
            low.refuse_flags_of_others(For::SetQueryPeriod)?;
            let options = SetPeriodOptions::from(&low, env)?;
            Ok(Command::SetQueryPeriod(Box::new(options)))
        }
        Some(other) => Err(UsageError::UnknownCommand(other.to_owned())),
        None => Err(UsageError::NoCommand),
    }
}
