//! The set-up of InfluxDB: the database and its continuous queries, created once InfluxDB is
//! reachable, where they are missing.

use std::time::Duration;

use super::downsampling::{Downsampling, existing, wanted};
use crate::delivery::influx::{Influx, QueryError, Trouble, quoted};
use crate::line::encode::MEASUREMENT;
use crate::units::duration::QueryPeriod;

/// What was found or made; the periods by which totals are recomputed.
#[derive(Debug)]
pub struct InForce {
    /// Each down-sampling with the length in seconds of its periods.
    pub periods: Vec<(Downsampling, i64)>,
    /// Without the right to read no totals can be computed.
    pub readable: bool,
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
    let mut readable = true;
    if let Some(why) = denied {
        let unreadable = may_not_read(influx, timeout)?;
        readable = unreadable.is_none();
        // The server recomputes every period anyway, so with READ only InfluxDB's own run is missing.
        notes.push(unreadable.unwrap_or_else(|| {
            let why = no_database.unwrap_or(why);
            format!(
                "cannot create or see database {database} or its continuous queries: {why}; if the \
                 database is missing, create it, or let the user do so; if it is there, the server \
                 computes the totals without them"
            )
        }));
    }
    Ok(InForce {
        periods,
        readable,
        notes,
    })
}

/// Tries whether the user may read, as totals are computed by a `SELECT … INTO`. Returns what there is
/// to be said if not.
pub fn may_not_read(influx: &Influx, timeout: Duration) -> Result<Option<String>, Trouble> {
    // A minute that InfluxDB has at hand, and one point of it.
    let least = format!(
        "SELECT \"value\" FROM {} WHERE time > now() - 1m LIMIT 1",
        quoted(MEASUREMENT)
    );
    let refusal = passed_on(influx.query(&least, timeout))?.err();
    Ok(refusal.filter(|why| is_denied(why)).map(|why| {
        format!(
            "this user may not read: {why}; records are stored, but totals need READ too; as an \
             administrator: {}",
            grant(influx)
        )
    }))
}

/// The statement by which an administrator gives the user all rights on the database.
pub fn grant(influx: &Influx) -> String {
    let user = influx.user().unwrap_or_default();
    format!(
        "GRANT ALL ON {} TO {}",
        quoted(influx.database()),
        quoted(user)
    )
}

/// It is the user's rights that are missing, by InfluxDB's text.
pub fn is_denied(refusal: &str) -> bool {
    refusal.contains("not authorized")
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
        Err(QueryError::Trouble(Trouble::Denied(what))) if is_denied(&what) => Ok(Err(what)),
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
