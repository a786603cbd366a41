//! `report --merge`: adds up the ledgers of several servers in one report. It never writes to them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, IsTerminal, Write};

use jiff::Timestamp;

use super::state::Application;
use super::text::Text;
use super::{Format, ReportError, ReportOptions, check_dimension, flushed, fresh, state};
use crate::logging;
use crate::totals::LedgerReader;
use crate::totals::asked::Asked;
use crate::totals::format::{csv, json};
use crate::totals::merge::{MergeError, Merged, Server, merged};
use crate::totals::report::Query;
use crate::units::duration::short;

pub(super) fn run(options: &ReportOptions) -> Result<(), ReportError> {
    if options.left_out {
        let what = "--left-out and --merge exclude each other";
        return Err(ReportError::Usage(what.to_owned()));
    }
    let copies = copies(options)?;
    let mut ledgers = Vec::new();
    for copy in &copies {
        ledgers.push(LedgerReader::open_untouched(&copy.ledger())?);
    }
    say_uncounted(&copies, &ledgers)?;
    let mut counted = BTreeSet::new();
    for ledger in &ledgers {
        counted.extend(ledger.dimensions()?);
    }
    check_dimension(&options.by, &counted.into_iter().collect::<Vec<_>>())?;
    let now = Timestamp::now().as_second();
    let asked = Asked::new(options.span, now);
    let is_text = options.format == Format::Text;
    // The table compares the span with the same span before it.
    let before = if is_text {
        asked.to.saturating_sub(asked.from)
    } else {
        0
    };
    let sum = merged(
        &ledgers,
        &Query {
            by: options.by.clone(),
            from: asked.from.saturating_sub(before),
            to: asked.to,
            every: options.every,
            now,
        },
    );
    let mut sum = sum.map_err(|error| match error {
        MergeError::Ledger(error) => error.into(),
        MergeError::Periods(what) => ReportError::Usage(what),
    })?;
    for (server, copy) in sum.servers.iter_mut().zip(&copies) {
        server.instance = copy.instance();
    }
    write(options, &ledgers, &sum, asked, now)
}

/// The directories to add up. Refuses two directories of one server, which would be counted twice.
fn copies(options: &ReportOptions) -> Result<Vec<Application>, ReportError> {
    let mut copies = Vec::new();
    let (mut ledgers, mut instances) = (BTreeSet::new(), BTreeMap::new());
    for dir in &options.merge {
        let copy = state::find_copied(dir, options.application.as_deref())?;
        let ledger = copy.ledger();
        if !ledgers.insert(ledger.canonicalize().unwrap_or(ledger)) {
            let what = format!("--merge: {} is named twice", dir.display());
            return Err(ReportError::Usage(what));
        }
        if let Some(instance) = copy.instance()
            && let Some(other) = instances.insert(instance.clone(), dir)
        {
            return Err(ReportError::Usage(format!(
                "--merge: {} and {} are both of the server {instance:?} (file instance), expected one directory of \
                 each server; leave one out",
                other.display(),
                dir.display()
            )));
        }
        copies.push(copy);
    }
    Ok(copies)
}

/// Warns of servers whose spool has records that are not counted. In a copy of a directory no server counts them.
fn say_uncounted(copies: &[Application], ledgers: &[LedgerReader]) -> Result<(), ReportError> {
    for (copy, ledger) in copies.iter().zip(ledgers) {
        if fresh::wait(&copy.spool(), || ledger.position())? {
            continue;
        }
        let what = format!(
            "{}: its spool has check-ins that are not counted yet, so they are not in the sum; start that server \
             again, or copy its directory again",
            copy.ledger().display()
        );
        logging::say_error("upgrade-responder", &what);
    }
    Ok(())
}

fn write(
    options: &ReportOptions,
    ledgers: &[LedgerReader],
    sum: &Merged,
    asked: Asked,
    now: i64,
) -> Result<(), ReportError> {
    let application = options.application.as_deref().unwrap_or("all servers");
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match options.format {
        Format::Json => json::write_merged(application, sum, &mut out),
        Format::Csv => csv::write(&sum.report, &mut out),
        Format::Text => {
            let mut known = None;
            for ledger in ledgers {
                if let Some((first, last)) = ledger.span()? {
                    let (from, to) = known.unwrap_or((first, last));
                    known = Some((first.min(from), last.max(to)));
                }
            }
            let text = Text {
                application,
                report: &sum.report,
                from: asked.from,
                to: asked.to,
                every: options.every,
                now,
                known,
                colour: options.colour && io::stdout().is_terminal(),
            };
            let text = format!("{text}{}", coverage(sum));
            out.write_all(text.as_bytes())
        }
    };
    // The CSV has no columns for the coverage.
    if options.format == Format::Csv {
        for line in coverage(sum).lines() {
            logging::say_error("upgrade-responder", &line);
        }
    }
    flushed(written, &mut out)
}

/// A line with the coverage of each server.
fn coverage(sum: &Merged) -> String {
    let line = |server: &Server| {
        let covered = server.covered_seconds * 1000 / server.seconds.max(1);
        let instance = server.instance.as_deref();
        let instance = instance.map_or_else(String::new, |name| format!(" ({name})"));
        format!(
            "{}{instance}: covered {}.{}% of {}\n",
            server.ledger.display(),
            covered / 10,
            covered % 10,
            short(server.seconds)
        )
    };
    sum.servers.iter().map(line).collect()
}
