//! Arguments to command to exit status; nothing else.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use upgrade_responder::cli::{self, Command};
use upgrade_responder::service::run::{self, RunError};

/// Exit statuses after sysexits.h, where they have one.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let command = match cli::from_process() {
        Ok(command) => command,
        Err(error) => return fail(&error, USAGE),
    };
    match command {
        Command::Help => say(&cli::help()),
        Command::Version => say(concat!(
            "upgrade-responder ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        )),
        Command::Start(options) => match run::run(*options) {
            Ok(()) => {}
            Err(error @ RunError::Configuration(_)) => return fail(&error, CONFIGURATION),
            Err(error @ RunError::System(_)) => return fail(&error, FAILED),
        },
    }
    ExitCode::SUCCESS
}

fn say(text: &str) {
    // A reader that has closed the pipe has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn fail(error: &dyn std::fmt::Display, status: u8) -> ExitCode {
    eprintln!("upgrade-responder: {error}");
    ExitCode::from(status)
}
