//! `upgrade-responder take-over`: drops the continuous queries that fill the measurements of totals, once all other
//! servers are replaced by this one. From the next period on this server writes its own totals there.

use std::io::Write;

use super::connect::connect;
use super::error::RunError;
use crate::delivery::foreign::{ContinuousQuery, continuous_queries};
use crate::delivery::http::TIMEOUT;
use crate::delivery::v1::{QueryError, V1};
use crate::service::options::TakeOverOptions;

/// Drops the queries, or prints what would be done.
pub fn run(options: &TakeOverOptions, out: &mut dyn Write) -> Result<(), RunError> {
    let client = connect(&options.influxdb, &options.database)?;
    let Some(influx) = client.v1() else {
        return Err(RunError::Configuration(
            "take-over drops continuous queries, which only InfluxDB 1.x has; expected --influxdb-api v1"
                .to_owned(),
        ));
    };
    let found = match continuous_queries(influx, TIMEOUT) {
        Ok(Ok(found)) => found,
        Ok(Err(why)) => return Err(failed(influx, &why)),
        Err(trouble) => return Err(failed(influx, &trouble.to_string())),
    };
    let targets = targets(&options.down_sample_tags);
    let (ours, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|query| targets.contains(&query.target));
    for query in &others {
        say(out, &format!("kept: {} fills {}", query.name, query.target));
    }
    for query in &ours {
        drop_query(influx, query, options.dry_run, out)?;
    }
    let what = match (ours.len(), options.dry_run) {
        (0, _) => "no continuous query fills a measurement of totals; nothing to do".to_owned(),
        (number, true) => {
            format!("{number} continuous queries would be dropped; nothing was changed")
        }
        (number, false) => format!(
            "{number} continuous queries were dropped; from the next period on the server writes its own totals there"
        ),
    };
    say(out, &what);
    Ok(())
}

/// The measurements of totals.
pub fn targets(tags: &[String]) -> Vec<String> {
    let fixed = ["upgrade_request", "by_app_version", "by_country_code"];
    let fixed = fixed.into_iter().map(str::to_owned);
    let names = fixed.chain(tags.iter().map(|tag| format!("by_{tag}")));
    names.map(|name| format!("{name}_down_sampling")).collect()
}

fn drop_query(
    influx: &V1,
    query: &ContinuousQuery,
    dry_run: bool,
    out: &mut dyn Write,
) -> Result<(), RunError> {
    let statement = query.drop_statement(influx.database());
    say(out, &statement);
    if dry_run {
        return Ok(());
    }
    match influx.query(&statement, TIMEOUT) {
        Ok(_) => Ok(()),
        Err(QueryError::Refused(why)) => Err(failed(
            influx,
            &format!("{why}; an administrator can drop it"),
        )),
        Err(QueryError::Trouble(trouble)) => Err(failed(influx, &trouble.to_string())),
    }
}

fn failed(influx: &V1, why: &str) -> RunError {
    RunError::System(format!("InfluxDB at {}: {why}", influx.url()))
}

fn say(out: &mut dyn Write, text: &str) {
    // A closed pipe is no error: the reader has seen enough.
    let _ = writeln!(out, "{text}");
}
