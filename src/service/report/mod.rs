//! `upgrade-responder report`: shows how many installations there are, from the ledger, whether the server runs
//! or not.
//!
//! It never locks or writes the ledger, so it does not disturb the server.

mod fresh;
mod left_out;
mod merge;
pub(super) mod state;
pub mod text;

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::logging;
use crate::totals::asked::{Asked, Span};
use crate::totals::format::{csv, json};
use crate::totals::report::{Every, Query, Report};
use crate::totals::{LedgerError, LedgerReader};
use text::Text;

/// The options of `report`.
#[derive(Debug)]
pub struct ReportOptions {
    pub state_dir: PathBuf,
    /// `None`: the only application of the state directory.
    pub application: Option<String>,
    pub by: String,
    pub span: Span,
    pub every: Every,
    pub format: Format,
    /// The state directories whose ledgers are added up; if empty, only the ledger in `state_dir`.
    pub merge: Vec<PathBuf>,
    /// Whether to show the keys that were left out of check-ins, not totals.
    pub left_out: bool,
    /// Whether to use colours on a terminal.
    pub colour: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Csv,
    Json,
}

/// Why there is no report, by exit status.
#[derive(Debug)]
pub enum ReportError {
    /// What was asked for does not exist: 2.
    Usage(String),
    /// The state directory cannot be used: 78.
    Configuration(String),
    /// The ledger cannot be read: 1.
    Ledger(String),
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportError::Usage(text)
            | ReportError::Configuration(text)
            | ReportError::Ledger(text) => f.write_str(text),
        }
    }
}

impl From<LedgerError> for ReportError {
    fn from(error: LedgerError) -> Self {
        ReportError::Ledger(error.for_a_command())
    }
}

/// Reads the ledger once the newest check-ins are counted, and writes the report to standard output.
pub fn run(options: &ReportOptions) -> Result<(), ReportError> {
    if !options.merge.is_empty() {
        return merge::run(options);
    }
    let application = state::find(&options.state_dir, options.application.as_deref())?;
    let ledger = LedgerReader::open(&application.ledger())?;
    let counted = fresh::wait(&application.spool(), || ledger.position())?;
    let now = Timestamp::now().as_second();
    let asked = Asked::new(options.span, now);
    if options.left_out {
        let rows = ledger.left_out(asked.from, asked.to)?;
        let mut out = BufWriter::new(io::stdout().lock());
        let written = left_out::write(&application.name, &rows, options.format, &mut out);
        return flushed(written, &mut out);
    }
    let known = ledger.span()?;
    check_dimension(&options.by, &ledger.dimensions()?)?;
    let read = |from: i64, to: i64| {
        ledger.report(&Query {
            by: options.by.clone(),
            from,
            to,
            every: options.every,
            now,
        })
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match options.format {
        Format::Text => {
            if !counted {
                let what = "the newest check-ins are not counted yet, so they are not shown; the running \
                            server counts them within seconds";
                logging::say_error("upgrade-responder", &what);
            }
            // The table compares the span with the same span before it.
            let from = asked
                .from
                .saturating_sub(asked.to.saturating_sub(asked.from));
            let report = read(asked.within(from, known), asked.to)?;
            let text = Text {
                application: &application.name,
                report: &report,
                from: asked.from,
                to: asked.to,
                every: options.every,
                now,
                known,
                colour: options.colour && io::stdout().is_terminal(),
            };
            out.write_all(text.to_string().as_bytes())
        }
        Format::Csv | Format::Json => {
            let from = asked.within(asked.from, known);
            let report: Report = read(from, asked.to)?;
            match options.format {
                Format::Json => json::write(&application.name, &report, &mut out),
                _ => csv::write(&report, &mut out),
            }
        }
    };
    flushed(written, &mut out)
}

fn flushed(written: io::Result<()>, out: &mut impl Write) -> Result<(), ReportError> {
    match written.and_then(|()| out.flush()) {
        // A closed pipe is no error: the reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(ReportError::Ledger(format!("standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Refuses a dimension that the ledger does not count.
fn check_dimension(by: &str, counted: &[String]) -> Result<(), ReportError> {
    const ALWAYS: [&str; 4] = ["all", "app_version", "country", "city"];
    if ALWAYS.contains(&by) || counted.iter().any(|dimension| dimension == by) {
        return Ok(());
    }
    let more = counted.iter().map(String::as_str);
    let more = more.filter(|dimension| !ALWAYS.contains(dimension));
    let all: Vec<&str> = ALWAYS.into_iter().chain(more).collect();
    Err(ReportError::Usage(format!(
        "--by: found {by:?}, expected one of {}",
        all.join(", ")
    )))
}
