//! `upgrade-responder set-query-period`: gives the continuous queries another period, which InfluxDB
//! can only do by dropping and creating them.
//!
//! Totals that are there stay as they are; those of later periods have the new length.

use std::io::Write;

use super::connect::connect;
use super::run::RunError;
use crate::cli::options::SetPeriodOptions;
use crate::delivery::influx::{Influx, QueryError, TIMEOUT};
use crate::delivery::queries::downsampling::{self, Existing};

/// Changes the period, or says what would be done.
pub fn run(options: &SetPeriodOptions, out: &mut dyn Write) -> Result<(), RunError> {
    let influx = connect(&options.influxdb, &options.database.name())?;
    let nothing = |error: QueryError| failed(&influx, &error, "nothing was changed");
    if !exists(&influx).map_err(nothing)? {
        return Err(RunError::System(format!(
            "InfluxDB at {}: there is no database {:?}, nothing was changed; check --application-name, \
             or let start create it",
            influx.url(),
            influx.database()
        )));
    }
    let existing = downsampling::existing(&influx, TIMEOUT).map_err(nothing)?;
    let period = options.query_period;
    let wanted = downsampling::wanted(&options.down_sample_tags);
    for query in &existing {
        let ours = wanted.iter().find(|wanted| wanted.query == query.name);
        match &query.defined {
            Some((defined, _)) if ours.is_some_and(|ours| ours != defined) => {
                say(out, &left_alone(query, "has another definition"));
            }
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
                let database = influx.database();
                let drop = downsampling.drop(database);
                let create = downsampling.create(database, period);
                carry_out(&influx, &[drop, create], options, out)?;
            }
            None if ours.is_some() => say(out, &left_alone(query, "has another definition")),
            None => say(out, &left_alone(query, "is not one of ours")),
        }
    }
    for missing in wanted {
        if existing.iter().any(|query| query.name == missing.query) {
            continue;
        }
        say(
            out,
            &format!("{}: did not exist, {}s", missing.query, period.seconds()),
        );
        let create = missing.create(influx.database(), period);
        carry_out(&influx, &[create], options, out)?;
    }
    if options.dry_run {
        say(out, "dry run: nothing was changed");
        return Ok(());
    }
    say(
        out,
        &format!(
            "now restart the server with --query-period {period}, and set the dashboard's \
             variable query_period to {period}"
        ),
    );
    Ok(())
}

/// Whether the database is there; otherwise a dry run would promise what cannot be done.
fn exists(influx: &Influx) -> Result<bool, QueryError> {
    let series = influx.query("SHOW DATABASES", TIMEOUT)?;
    let mut names = series.iter().flat_map(|series| &series.values).flatten();
    Ok(names.any(|name| name.as_str() == Some(influx.database())))
}

fn left_alone(query: &Existing, why: &str) -> String {
    format!("{} {why} and is left alone", query.name)
}

/// Shows the statements and runs them in one request: what drops a query and what creates it again
/// are not parted by an end of this program or of the connection.
fn carry_out(
    influx: &Influx,
    statements: &[String],
    options: &SetPeriodOptions,
    out: &mut dyn Write,
) -> Result<(), RunError> {
    for statement in statements {
        say(out, &format!("  {statement}"));
    }
    if options.dry_run {
        return Ok(());
    }
    let ran = influx.query(&statements.join("; "), TIMEOUT);
    ran.map(drop).map_err(|error| {
        let done = "what is shown above the last statements is done. When this is mended, run it again; \
                    if SHOW CONTINUOUS QUERIES lacks a query of the last statements that was made by \
                    hand, run its CREATE by hand too";
        failed(influx, &error, done)
    })
}

fn failed(influx: &Influx, error: &QueryError, done: &str) -> RunError {
    RunError::System(format!("InfluxDB at {}: {error}; {done}", influx.url()))
}

fn say(out: &mut dyn Write, line: &str) {
    // A reader that has closed the pipe does not stop the change half way.
    let _ = writeln!(out, "{line}");
}
