//! `upgrade-responder set-query-period`: gives the continuous queries another period, which InfluxDB
//! can only do by dropping and creating them.
//!
//! Totals that are there stay as they are; those of later periods have the new length.

use std::io::Write;

use super::run::{RunError, connect};
use crate::cli::options::SetPeriodOptions;
use crate::store::downsampling::{self, Downsampling};
use crate::store::influx::{Influx, QueryError, TIMEOUT};

/// Changes the period, or says what would be done.
pub fn run(options: &SetPeriodOptions, out: &mut dyn Write) -> Result<(), RunError> {
    let influx = connect(&options.influxdb, &options.database.name())?;
    let existing = downsampling::existing(&influx, TIMEOUT).map_err(|e| failed(&influx, &e))?;
    let period = options.query_period;
    for query in &existing {
        match &query.defined {
            Some((_, seconds)) if *seconds == period.seconds() as i64 => {
                say(
                    out,
                    &format!("{} has a period of {seconds}s already", query.name),
                );
            }
            Some((downsampling, seconds)) => {
                say(
                    out,
                    &format!("{}: from {seconds}s to {}s", query.name, period.seconds()),
                );
                replace(&influx, downsampling, options, true, out)?;
            }
            None => say(
                out,
                &format!("{} is not one of ours and is left alone", query.name),
            ),
        }
    }
    for missing in downsampling::wanted(&options.down_sample_tags) {
        if existing.iter().any(|query| query.name == missing.query) {
            continue;
        }
        say(
            out,
            &format!("{}: did not exist, {}s", missing.query, period.seconds()),
        );
        replace(&influx, &missing, options, false, out)?;
    }
    if options.dry_run {
        say(out, "dry run: nothing was changed");
        return Ok(());
    }
    say(
        out,
        &format!("Now start the server with --query-period {period}, and set the dashboard's"),
    );
    say(out, &format!("variable query_period to {period}."));
    Ok(())
}

fn replace(
    influx: &Influx,
    downsampling: &Downsampling,
    options: &SetPeriodOptions,
    exists: bool,
    out: &mut dyn Write,
) -> Result<(), RunError> {
    let drop = exists.then(|| downsampling.drop(influx.database()));
    let create = downsampling.create(influx.database(), options.query_period);
    for statement in drop.iter().chain([&create]) {
        say(out, &format!("  {statement}"));
        if !options.dry_run {
            influx
                .query(statement, TIMEOUT)
                .map_err(|error| failed(influx, &error))?;
        }
    }
    Ok(())
}

fn failed(influx: &Influx, error: &QueryError) -> RunError {
    RunError::System(format!(
        "InfluxDB at {}: {error}; run it again when that is mended, what is done stays done",
        influx.url()
    ))
}

fn say(out: &mut dyn Write, line: &str) {
    // A reader that has closed the pipe does not stop the change half way.
    let _ = writeln!(out, "{line}");
}
