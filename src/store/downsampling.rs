//! The database and its continuous queries: set up once InfluxDB is reachable, and the totals of
//! periods recomputed that InfluxDB's own queries have missed points of.
//!
//! Names and definitions are the original's, so either server can take over from the other.

use std::time::Duration;

use super::influx::{Influx, QueryError, Series, Trouble};
use super::periods::Period;
use crate::checkin::line::MEASUREMENT;
use crate::config::duration::QueryPeriod;

/// Recomputing a period reads all its points.
const RECOMPUTE_TIMEOUT: Duration = Duration::from_secs(60);

/// One down-sampled measurement and the continuous query that fills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downsampling {
    pub query: &'static str,
    /// The measurement with the totals.
    pub target: &'static str,
    /// The tag that is kept.
    pub tag: Option<&'static str>,
}

/// The original's three.
pub const DOWNSAMPLINGS: [Downsampling; 3] = [
    Downsampling {
        query: "cq_upgrade_request_down_sampling",
        target: "upgrade_request_down_sampling",
        tag: None,
    },
    Downsampling {
        query: "cq_by_app_version_down_sampling",
        target: "by_app_version_down_sampling",
        tag: Some("app_version"),
    },
    Downsampling {
        query: "cq_by_country_code_down_sampling",
        target: "by_country_code_down_sampling",
        tag: Some("country_isocode"),
    },
];

impl Downsampling {
    fn create(&self, database: &str, period: QueryPeriod) -> String {
        format!(
            "CREATE CONTINUOUS QUERY {} ON {} BEGIN SELECT count(\"value\") AS \"total\" INTO {} \
             FROM {} GROUP BY time({}){} END",
            quoted(self.query),
            quoted(database),
            quoted(self.target),
            quoted(MEASUREMENT),
            period.as_influx(),
            self.group(),
        )
    }

    fn group(&self) -> String {
        self.tag
            .map(|tag| format!(", {}", quoted(tag)))
            .unwrap_or_default()
    }

    /// What a continuous query's text in `SHOW CONTINUOUS QUERIES` says.
    fn compare(&self, text: &str) -> Existing {
        let text = text.replace('"', "");
        let same = || {
            let (head, rest) = text.split_once("GROUP BY time(")?;
            let (period, tail) = rest.split_once(')')?;
            let expected_tail = self.tag.map(|tag| format!(", {tag}")).unwrap_or_default();
            let sound = head.contains("BEGIN SELECT count(value) AS total INTO ")
                && head.contains(&format!(".{} FROM ", self.target))
                && head.ends_with(&format!(".{MEASUREMENT} "))
                && tail.strip_suffix(" END") == Some(&expected_tail);
            if sound { influx_seconds(period) } else { None }
        };
        same().map_or(Existing::Other, Existing::Period)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Existing {
    /// Ours, with this period in seconds.
    Period(i64),
    /// Another definition under our name.
    Other,
}

/// What was found or made; the periods by which totals are recomputed.
#[derive(Debug)]
pub struct InForce {
    /// Each down-sampling with the length in seconds of its periods.
    pub periods: Vec<(Downsampling, i64)>,
    /// What the operator should know, one line each.
    pub notes: Vec<String>,
}

/// Creates the database and the continuous queries that are missing. What cannot be created, for
/// lack of rights, is a note: writing may work all the same. Existing queries are never changed.
pub fn set_up(influx: &Influx, period: QueryPeriod, timeout: Duration) -> Result<InForce, Trouble> {
    let database = influx.database();
    let mut in_force = InForce {
        periods: Vec::new(),
        notes: Vec::new(),
    };
    let creation = influx.query(&format!("CREATE DATABASE {}", quoted(database)), timeout);
    let mut denied = passed_on(creation)?.err();
    let existing = match passed_on(influx.query("SHOW CONTINUOUS QUERIES", timeout))? {
        Ok(series) => queries_of(&series, database),
        Err(why) => {
            denied.get_or_insert(why);
            Vec::new()
        }
    };
    for downsampling in DOWNSAMPLINGS {
        let ours = period.seconds() as i64;
        let text = existing.iter().find(|(name, _)| name == downsampling.query);
        let seconds = match text.map(|(_, text)| downsampling.compare(text)) {
            Some(Existing::Period(seconds)) => {
                if seconds != ours {
                    in_force
                        .notes
                        .push(other_period(&downsampling, database, seconds, period));
                }
                seconds
            }
            Some(Existing::Other) => {
                in_force.notes.push(format!(
                    "continuous query {} in {database} is not what this server would create; its \
                     totals may differ",
                    downsampling.query
                ));
                ours
            }
            None => {
                let creation = influx.query(&downsampling.create(database, period), timeout);
                if let Err(why) = passed_on(creation)? {
                    denied.get_or_insert(why);
                }
                ours
            }
        };
        in_force.periods.push((downsampling, seconds));
    }
    // The server recomputes every period anyway, so only InfluxDB's own run is missing.
    if let Some(why) = denied {
        in_force.notes.push(format!(
            "cannot create or see database {database} or its continuous queries: {why}; if the \
             database exists, all works without"
        ));
    }
    Ok(in_force)
}

/// Passes on trouble that writing would meet too, and gives back a refusal as its text.
fn passed_on(
    result: Result<Vec<Series>, QueryError>,
) -> Result<Result<Vec<Series>, String>, Trouble> {
    match result {
        Ok(series) => Ok(Ok(series)),
        Err(QueryError::Refused(text)) => Ok(Err(text)),
        Err(QueryError::Trouble(Trouble::Denied(what))) if what.contains("not authorized") => {
            Ok(Err(what))
        }
        Err(QueryError::Trouble(trouble)) => Err(trouble),
    }
}

fn other_period(
    downsampling: &Downsampling,
    database: &str,
    seconds: i64,
    period: QueryPeriod,
) -> String {
    format!(
        "continuous query {name} in {database} has a period of {seconds}s, --query-period is \
         {period} ({}s); totals go on by {seconds}s. To change it: DROP CONTINUOUS QUERY {} ON {} \
         and restart this server",
        period.seconds(),
        quoted(downsampling.query),
        quoted(database),
        name = downsampling.query,
    )
}

/// Name and text of the continuous queries of a database.
fn queries_of(series: &[Series], database: &str) -> Vec<(String, String)> {
    let of_database = series.iter().filter(|series| series.name == database);
    of_database
        .flat_map(|series| &series.values)
        .filter_map(|row| Some((row.first()?.as_str()?.into(), row.get(1)?.as_str()?.into())))
        .collect()
}

/// Recomputes the totals of one period from its points. Doing it again changes nothing.
pub fn recompute(influx: &Influx, period: &Period) -> Result<(), QueryError> {
    let Some(downsampling) = DOWNSAMPLINGS.iter().find(|d| d.target == period.target) else {
        // Left by a version that knew other targets; there is nothing to compute it by.
        return Ok(());
    };
    let statement = format!(
        "SELECT count(\"value\") AS \"total\" INTO {} FROM {} WHERE time >= {}s AND time < {}s \
         GROUP BY time({}s){}",
        quoted(downsampling.target),
        quoted(MEASUREMENT),
        period.start,
        period.end(),
        period.seconds,
        downsampling.group(),
    );
    influx.query(&statement, RECOMPUTE_TIMEOUT).map(drop)
}

/// An InfluxQL identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// An InfluxQL duration of whole seconds, such as `90m`, `1h30m` or `1w`.
fn influx_seconds(text: &str) -> Option<i64> {
    let mut seconds = 0_i64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return None,
        };
        rest = &rest[letters..];
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
    }
    (seconds > 0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_recognised_as_influxdb_prints_it() {
        let text = |period: &str, tag: &str| {
            format!(
                "CREATE CONTINUOUS QUERY cq_by_app_version_down_sampling ON \"my-app_ur\" BEGIN \
                 SELECT count(value) AS total INTO \"my-app_ur\".autogen.\
                 by_app_version_down_sampling FROM \"my-app_ur\".autogen.upgrade_request GROUP BY \
                 time({period}){tag} END"
            )
        };
        let by_version = DOWNSAMPLINGS[1];
        assert_eq!(
            by_version.compare(&text("90m", ", app_version")),
            Existing::Period(5400)
        );
        assert_eq!(by_version.compare(&text("1h", "")), Existing::Other);
        assert_eq!(by_version.compare("nonsense"), Existing::Other);
    }

    #[test]
    fn durations_are_read_as_influxdb_writes_them() {
        assert_eq!(influx_seconds("1h30m"), Some(5400));
        assert_eq!(influx_seconds("1w"), Some(604_800));
        for bad in ["", "h", "1", "1.5h", "1y", "99999999999999999w"] {
            assert_eq!(influx_seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_cannot_end_their_quotes() {
        assert_eq!(quoted("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
