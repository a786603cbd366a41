//! Parses the arguments, runs the command and returns the exit status; nothing else.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use upgrade_responder::cli::{self, Command, CommandError};
use upgrade_responder::logging;
use upgrade_responder::service::error::RunError;
use upgrade_responder::service::explain::{self, ExplainError, ExplainOptions};
use upgrade_responder::service::options::StartOptions;
use upgrade_responder::service::report::{self, ReportError};
use upgrade_responder::service::run;
use upgrade_responder::service::{
    check_config, export_totals, import_totals, new_application, suggest_schema, take_over,
};

/// Exit statuses; `CONFIGURATION` is `EX_CONFIG` of sysexits.h.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let command = match cli::from_process() {
        Ok(command) => command,
        Err(error @ CommandError::Usage(_)) => return fail(&error, USAGE),
        Err(error @ CommandError::Settings(_)) => return fail(&error, CONFIGURATION),
    };
    let ended = match command {
        Command::Help => return say(&cli::help()),
        Command::Version => {
            return say(&format!(
                "upgrade-responder {}\n",
                env!("CARGO_PKG_VERSION")
            ));
        }
        Command::Report(options) => return ended(report::run(&options)),
        Command::ExportTotals(options) => return ended(export_totals::run(&options)),
        Command::ImportTotals(options) => return ended(import_totals::run(&options)),
        Command::CheckConfig {
            options,
            suggest_schema: true,
            ..
        } => return suggest(&options),
        Command::CheckConfig {
            options,
            online,
            in_use,
            ..
        } => return check(&options, online, in_use.as_deref()),
        Command::Explain(options) => return explain(&options),
        Command::NewApplication(options) => {
            return match new_application::run(&options, &mut std::io::stdout()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error, CONFIGURATION),
            };
        }
        Command::Start(options) => run::run(*options),
        Command::TakeOver(options) => take_over::run(&options, &mut std::io::stdout()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ RunError::Configuration(_)) => fail(&error, CONFIGURATION),
        Err(error @ RunError::System(_)) => fail(&error, FAILED),
    }
}

fn ended(result: Result<(), ReportError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ ReportError::Usage(_)) => fail(&error, USAGE),
        Err(error @ ReportError::Configuration(_)) => fail(&error, CONFIGURATION),
        Err(error @ ReportError::Ledger(_)) => fail(&error, FAILED),
    }
}

fn explain(options: &ExplainOptions) -> ExitCode {
    match explain::run(options, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ ExplainError::Configuration(_)) => fail(&error, CONFIGURATION),
        Err(error @ ExplainError::Request(_)) => fail(&error, FAILED),
    }
}

fn check(options: &StartOptions, online: bool, in_use: Option<&Path>) -> ExitCode {
    let report = check_config::run(options, online, in_use);
    let said = say(&report.text);
    if report.errors.is_empty() {
        return said;
    }
    for error in &report.errors {
        logging::say_error("error", error);
    }
    ExitCode::from(CONFIGURATION)
}

fn suggest(options: &StartOptions) -> ExitCode {
    match suggest_schema::run(options) {
        Ok(suggestion) => {
            for note in &suggestion.notes {
                logging::say_error("upgrade-responder", note);
            }
            say(&suggestion.schema)
        }
        Err(error) => fail(&error, CONFIGURATION),
    }
}

fn say(text: &str) -> ExitCode {
    // An error means that the reader closed the pipe and needs no more.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(error: &dyn std::fmt::Display, status: u8) -> ExitCode {
    logging::say_error("upgrade-responder", error);
    ExitCode::from(status)
}
