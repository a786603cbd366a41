//! The set-up of InfluxDB: the database and its continuous queries, created once InfluxDB is
//! reachable, where they are missing.

use std::time::Duration;

use super::downsampling::{Downsampling, existing, quoted, wanted};
use super::influx::{Influx, QueryError, Trouble};
use crate::config::duration::QueryPeriod;

/// What was found or made; the periods by which totals are recomputed.
#[derive(Debug)]
pub struct InForce {
    /// Each down-sampling with the length in seconds of its periods.
    pub periods: Vec<(Downsampling, i64)>,
    /// What the operator should know, one line each.
    pub notes: Vec<String>,
}

/// Creates the database and the continuous queries that are missing. What cannot be created, for
/// lack of rights, is a note: writing may work all the same. Existing queries are never changed, and
/// those that somebody made by hand in the same way are kept in repair too.
pub fn set_up(
    influx: &Influx,
    period: QueryPeriod,
    extra_tags: &[String],
    timeout: Duration,
) -> Result<InForce, Trouble> {
    let database = influx.database();
    let mut notes = Vec::new();
    let creation = influx.query(&format!("CREATE DATABASE {}", quoted(database)), timeout);
    // A user without that right is fine where the database exists, which the rest shows.
    let no_database = passed_on(creation)?.err();
    let mut denied = None;
    let existing = passed_on(existing(influx, timeout))?.unwrap_or_else(|why| {
        denied.get_or_insert(why);
        Vec::new()
    });
    let mut periods: Vec<(Downsampling, i64)> = existing
        .iter()
        .filter_map(|existing| existing.defined.clone())
        .collect();
    for wanted in wanted(extra_tags) {
        let ours = period.seconds() as i64;
        let there = existing
            .iter()
            .find(|existing| existing.name == wanted.query);
        match there.map(|existing| &existing.defined) {
            Some(Some((same, seconds))) if *same == wanted => {
                if *seconds != ours {
                    notes.push(other_period(&wanted, database, *seconds, period));
                }
                continue;
            }
            Some(_) => notes.push(format!(
                "continuous query {} in {database} is not what this server would create; its \
                 totals may differ; drop it to have it made anew at the next start",
                wanted.query
            )),
            None => {
                let creation = influx.query(&wanted.create(database, period), timeout);
                if let Err(why) = passed_on(creation)? {
                    denied.get_or_insert(why);
                }
            }
        }
        periods.push((wanted, ours));
    }
    // The server recomputes every period anyway, so only InfluxDB's own run is missing.
    if let Some(why) = denied {
        let why = no_database.unwrap_or(why);
        notes.push(format!(
            "cannot create or see database {database} or its continuous queries: {why}; if the \
             database exists, all works without; else create it, or let the user do so"
        ));
    }
    Ok(InForce { periods, notes })
}

/// Looks whether somebody changed a query or made one. Nothing is created here, and one that is missing
/// stays known: `set-query-period` may have dropped it in order to create it at this moment. Without
/// the right to see queries all stays as it was.
pub fn look_again(
    influx: &Influx,
    periods: &mut Vec<(Downsampling, i64)>,
    timeout: Duration,
) -> Result<(), Trouble> {
    let existing = passed_on(existing(influx, timeout))?.unwrap_or_default();
    for (found, seconds) in existing.into_iter().filter_map(|query| query.defined) {
        match periods.iter_mut().find(|(known, _)| *known == found) {
            Some((_, known)) => *known = seconds,
            None => periods.push((found, seconds)),
        }
    }
    Ok(())
}

/// Passes on trouble that writing would meet too, and gives back a refusal as its text.
pub(super) fn passed_on<T>(result: Result<T, QueryError>) -> Result<Result<T, String>, Trouble> {
    match result {
        Ok(answer) => Ok(Ok(answer)),
        Err(QueryError::Refused(text)) => Ok(Err(text)),
        Err(QueryError::Trouble(Trouble::Denied(what))) if what.contains("not authorized") => {
            Ok(Err(what))
        }
        Err(QueryError::Trouble(trouble)) => Err(trouble),
    }
}

fn other_period(
    wanted: &Downsampling,
    database: &str,
    seconds: i64,
    period: QueryPeriod,
) -> String {
    format!(
        "continuous query {} in {database} has a period of {seconds}s, --query-period is {period} \
         ({}s); totals go on by {seconds}s. To change it: upgrade-responder set-query-period",
        wanted.query,
        period.seconds(),
    )
}
