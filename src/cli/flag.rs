//! The type of a flag, for the tables of flags.

use super::command::For;

/// What follows a flag on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: the flag is on or off.
    Switch,
    /// A value; the text is its name in the help page.
    Value(&'static str),
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    pub commands: For,
    /// The name with both dashes.
    pub name: &'static str,
    /// The environment variable that is read when the flag is absent.
    pub env: &'static str,
    pub takes: Takes,
    /// The default as the operator would write it; empty if there is none.
    pub default: &'static str,
    /// One or more lines of help.
    pub help: &'static str,
}

pub(super) const fn value(
    name: &'static str,
    env: &'static str,
    metavar: &'static str,
    default: &'static str,
    help: &'static str,
) -> Flag {
    Flag {
        commands: For::All,
        name,
        env,
        takes: Takes::Value(metavar),
        default,
        help,
    }
}

pub(super) const fn switch(name: &'static str, env: &'static str, help: &'static str) -> Flag {
    Flag {
        commands: For::All,
        name,
        env,
        takes: Takes::Switch,
        default: "",
        help,
    }
}

pub(super) const fn of(commands: For, flag: Flag) -> Flag {
    Flag { commands, ..flag }
}
