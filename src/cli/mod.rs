//! The command line: turns arguments, environment variables and the settings file into a command with its options.
//!
//! Nothing outside this module reads arguments, environment variables or the settings file, and nothing in
//! it opens a socket, a spool or a response config.

mod command;
mod environment_file;
mod explain;
mod explain_flags;
mod flag;
mod flags;
mod help;
mod history;
mod influxdb;
mod influxdb_flags;
mod lowargs;
mod options;
mod report;
mod report_flags;
mod settings;
mod sources;
mod typed;
mod usage;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use command::Name;
use lowargs::LowArgs;
use settings::Settings;

use crate::service::explain::ExplainOptions;
use crate::service::export_totals::ExportOptions;
use crate::service::import_totals::ImportOptions;
use crate::service::new_application::NewApplicationOptions;
use crate::service::options::{StartOptions, TakeOverOptions};
use crate::service::report::ReportOptions;

pub use help::help;
pub use settings::SettingsError;
pub use usage::UsageError;

/// What the user asked for.
#[derive(Debug)]
pub enum Command {
    Help,
    Version,
    Start(Box<StartOptions>),
    Report(Box<ReportOptions>),
    CheckConfig {
        options: Box<StartOptions>,
        /// Ask InfluxDB too.
        online: bool,
        /// The response config of the environment or the settings file, if the command line names another.
        in_use: Option<PathBuf>,
        /// Print a request schema instead.
        suggest_schema: bool,
    },
    Explain(Box<ExplainOptions>),
    TakeOver(Box<TakeOverOptions>),
    ExportTotals(Box<ExportOptions>),
    ImportTotals(Box<ImportOptions>),
    NewApplication(Box<NewApplicationOptions>),
}

/// Why the command line or the settings cannot be used.
#[derive(Debug)]
pub enum CommandError {
    Usage(UsageError),
    Settings(SettingsError),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Usage(error) => error.fmt(f),
            CommandError::Settings(error) => error.fmt(f),
        }
    }
}

impl From<UsageError> for CommandError {
    fn from(error: UsageError) -> Self {
        CommandError::Usage(error)
    }
}

impl From<SettingsError> for CommandError {
    fn from(error: SettingsError) -> Self {
        CommandError::Settings(error)
    }
}

/// Parses the command line and the environment of this process.
pub fn from_process() -> Result<Command, CommandError> {
    let args = std::env::args_os().skip(1).collect();
    parse(args, &|name| std::env::var_os(name))
}

/// Parses `args` (without the program's name); `env` looks up environment variables.
fn parse(
    args: Vec<OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, CommandError> {
    let mut low = LowArgs::parse(args, env)?;
    if low.help {
        return Ok(Command::Help);
    }
    if low.version {
        return Ok(Command::Version);
    }
    let word = low.command.as_deref().ok_or(UsageError::NoCommand)?;
    if word == "help" {
        return Ok(Command::Help);
    }
    let command = Name::find(word).ok_or_else(|| UsageError::UnknownCommand(word.to_owned()))?;
    low.refuse_flags_of_others(command)?;
    let given = |name| low.get(name).map(|setting| setting.value.as_os_str());
    let mut in_use = low.overridden("--upgrade-response-config", env);
    if !matches!(command, Name::Start | Name::NewApplication)
        && let Some(settings) = Settings::find(given("--settings"), given("--application-name"))?
    {
        in_use = in_use
            .or_else(|| low.overridden("--upgrade-response-config", &|name| settings.get(name)));
        low.add(&settings);
    }
    Ok(match command {
        Name::Start => Command::Start(Box::new(options::start(&low, env)?)),
        Name::Report => Command::Report(Box::new(report::options(&low, env)?)),
        Name::CheckConfig => Command::CheckConfig {
            options: Box::new(options::start(&low, env)?),
            online: typed::switch(&low, "--online")?,
            in_use: in_use.map(PathBuf::from),
            suggest_schema: typed::switch(&low, "--suggest-schema")?,
        },
        Name::Explain => Command::Explain(Box::new(explain::options(&low)?)),
        Name::TakeOver => Command::TakeOver(Box::new(options::take_over(&low, env)?)),
        Name::ExportTotals => Command::ExportTotals(Box::new(history::export(&low, env)?)),
        Name::ImportTotals => Command::ImportTotals(Box::new(history::import(&low, env)?)),
        Name::NewApplication => Command::NewApplication(Box::new(new_application(&low)?)),
    })
}

fn new_application(low: &LowArgs) -> Result<NewApplicationOptions, UsageError> {
    let name = low
        .operands
        .first()
        .map(String::as_str)
        .ok_or(UsageError::NoName)?;
    let directory = typed::typed(low, "--directory", |text| Ok(PathBuf::from(text)))?;
    let name = values::instance_name(name).map_err(|expected| UsageError::BadValue {
        source: "NAME".to_owned(),
        found: Some(name.to_owned()),
        expected,
    })?;
    Ok(NewApplicationOptions { name, directory })
}
