//! Continuous queries that fill the measurements of totals. The Go original, or an earlier version of this server,
//! created them in InfluxDB 1.x.
//!
//! This server never writes totals to a measurement that they fill, so that no total is there twice. They are
//! dropped once no other server writes records: two whole periods must hold this server's raw points only.

use std::time::Duration;

use super::database::allowed;
use super::outcome::Trouble;
use super::points::PeriodPoints;
use super::v1::{Series, V1, quoted};
use crate::line::encode::MEASUREMENT;
use crate::units::date::rfc3339;

/// Number of whole periods in a row without another writer, after which the queries are dropped.
const ALONE: u32 = 2;

/// A continuous query that fills a measurement of totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContinuousQuery {
    pub name: String,
    /// The measurement that it fills.
    pub target: String,
}

impl ContinuousQuery {
    /// The statement that drops it.
    pub fn drop_statement(&self, database: &str) -> String {
        format!(
            "DROP CONTINUOUS QUERY {} ON {}",
            quoted(&self.name),
            quoted(database)
        )
    }
}

/// The continuous queries of the database.
pub fn continuous_queries(
    influx: &V1,
    timeout: Duration,
) -> Result<Result<Vec<ContinuousQuery>, String>, Trouble> {
    let series = allowed(influx.query("SHOW CONTINUOUS QUERIES", timeout))?;
    Ok(series.map(|series| {
        let ours = series
            .iter()
            .filter(|series| series.name == influx.database());
        ours.flat_map(|series| &series.values)
            .filter_map(|row| understand(row.first()?.as_str()?, row.get(1)?.as_str()?))
            .collect()
    }))
}

/// Reads the target from a query's text as InfluxDB prints it: `… INTO database.policy.measurement FROM …`, with
/// quotes only where a name needs them.
fn understand(name: &str, text: &str) -> Option<ContinuousQuery> {
    let (_, rest) = text.split_once(" INTO ")?;
    let (into, _) = rest.split_once(" FROM ")?;
    let target = into.rsplit('.').next()?.trim_matches('"');
    Some(ContinuousQuery {
        name: name.to_owned(),
        target: target.to_owned(),
    })
}

/// The number of raw points, of all writers, between two times in seconds since 1970.
pub fn raw_points(
    influx: &V1,
    (start, end): (i64, i64),
    timeout: Duration,
) -> Result<Result<u64, String>, Trouble> {
    let statement = format!(
        "SELECT count(\"value\") FROM {} WHERE time >= {start}s AND time < {end}s",
        quoted(MEASUREMENT)
    );
    let series = allowed(influx.query(&statement, timeout))?;
    Ok(series.map(|series| count(&series).unwrap_or(0)))
}

fn count(series: &[Series]) -> Option<u64> {
    let series = series.first()?;
    let column = series.columns.iter().position(|name| name == "count")?;
    series.values.first()?.get(column)?.as_u64()
}

/// The continuous queries of other servers, and whether those servers still write records.
#[derive(Debug)]
pub struct Foreign {
    /// Whether this server sends its raw records.
    sends_raw: bool,
    queries: Vec<ContinuousQuery>,
    /// Number of whole periods in a row that hold this server's points only, and the end of the last one.
    alone: (u32, i64),
    /// The targets that were logged, or the logged reason why they cannot be listed.
    told: Option<Vec<String>>,
}

impl Foreign {
    pub fn new(sends_raw: bool) -> Foreign {
        Foreign {
            sends_raw,
            queries: Vec::new(),
            alone: (0, 0),
            told: None,
        }
    }

    /// The measurements among `wanted` that continuous queries fill now.
    pub fn look(
        &mut self,
        influx: &V1,
        wanted: &[&str],
        timeout: Duration,
    ) -> Result<Vec<String>, Trouble> {
        let found = match continuous_queries(influx, timeout)? {
            Ok(found) => found,
            Err(why) => {
                self.cannot_see(&why);
                Vec::new()
            }
        };
        self.queries = found
            .into_iter()
            .filter(|query| wanted.contains(&query.target.as_str()))
            .collect();
        let mut targets: Vec<String> = self.queries.iter().map(|q| q.target.clone()).collect();
        targets.sort_unstable();
        targets.dedup();
        if !targets.is_empty() && self.told.as_ref() != Some(&targets) {
            log::warn!(
                "InfluxDB: continuous queries of another server fill {}; this server writes no totals there, and \
                 theirs miss late records; the queries are dropped after {ALONE} whole periods in which only this \
                 server wrote records; when all other servers are replaced, 'upgrade-responder take-over' drops \
                 them immediately",
                targets.join(", ")
            );
            self.told = Some(targets.clone());
        }
        Ok(targets)
    }

    fn cannot_see(&mut self, why: &str) {
        if self.told.replace(vec![why.to_owned()]).as_deref() != Some(&[why.to_owned()]) {
            log::warn!(
                "InfluxDB: cannot see whether continuous queries fill the measurements of totals: {why}; if \
                 another server made some, totals are there twice; grant READ to this user, or drop the queries"
            );
        }
    }

    /// Compares the number of raw points of a period with this server's own, and drops the continuous queries once
    /// no other server has written for [`ALONE`] periods.
    pub fn compare(
        &mut self,
        influx: &V1,
        points: &PeriodPoints,
        timeout: Duration,
    ) -> Result<(), Trouble> {
        let Some(total) = points.whole_total else {
            self.alone = (0, points.end);
            return Ok(());
        };
        let expected = if self.sends_raw { total } else { 0 };
        let found = match raw_points(influx, (points.start, points.end), timeout)? {
            Ok(found) => found,
            Err(why) => {
                log::debug!("InfluxDB: raw points cannot be counted: {why}");
                return Ok(());
            }
        };
        let before = match self.alone {
            (before, end) if end == points.start => before,
            _ => 0,
        };
        let alone = if found == expected { before + 1 } else { 0 };
        self.alone = (alone, points.end);
        log::debug!(
            "period from {}: {found} raw points in InfluxDB, {expected} of them this server's",
            rfc3339(points.start)
        );
        if alone >= ALONE {
            self.drop_all(influx, timeout)?;
        }
        Ok(())
    }

    fn drop_all(&mut self, influx: &V1, timeout: Duration) -> Result<(), Trouble> {
        for query in std::mem::take(&mut self.queries) {
            let statement = query.drop_statement(influx.database());
            match allowed(influx.query(&statement, timeout))? {
                Ok(_) => log::info!(
                    "InfluxDB: {statement}: only this server wrote records in {ALONE} whole periods; from the \
                     next period on it writes its totals to {}",
                    query.target
                ),
                Err(why) => log::warn!("InfluxDB: {statement}: {why}; run it as an administrator"),
            }
        }
        self.alone = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_found_in_a_query_as_influxdb_prints_it() {
        let cases = [
            (
                "CREATE CONTINUOUS QUERY cq_by_app_version_down_sampling ON \"my-app_ur\" BEGIN SELECT \
                 count(value) AS total INTO \"my-app_ur\".autogen.by_app_version_down_sampling FROM \
                 \"my-app_ur\".autogen.upgrade_request GROUP BY time(1h), app_version END",
                Some("by_app_version_down_sampling"),
            ),
            (
                "CREATE CONTINUOUS QUERY a ON d RESAMPLE EVERY 1m BEGIN SELECT sum(x) INTO d.p.\"by-x\" FROM y END",
                Some("by-x"),
            ),
            ("nonsense", None),
        ];
        for (text, target) in cases {
            let understood = understand("a", text).map(|query| query.target);
            assert_eq!(understood.as_deref(), target);
        }
    }
}
