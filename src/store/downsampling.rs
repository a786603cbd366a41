//! The database and its continuous queries: set up once InfluxDB is reachable, and the totals of
//! periods recomputed that InfluxDB's own queries have missed points of.
//!
//! Names and definitions are the original's, so either server can take over from the other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::influx::{Influx, QueryError, Trouble};
use super::periods::Period;
use crate::checkin::line::MEASUREMENT;
use crate::config::duration::QueryPeriod;

/// Recomputing a period reads all its points.
const RECOMPUTE_TIMEOUT: Duration = Duration::from_secs(60);

/// One down-sampled measurement and the continuous query that fills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downsampling {
    pub query: String,
    /// The measurement with the totals.
    pub target: String,
    /// The tag that is kept.
    pub tag: Option<String>,
}

/// A continuous query as it is in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    pub name: String,
    /// What it fills and the length in seconds of its periods; `None` where it is not one that
    /// counts check-ins as this server does.
    pub defined: Option<(Downsampling, i64)>,
}

/// The original's three, and one for each extra tag, named as its README tells to name them.
pub fn wanted(extra_tags: &[String]) -> Vec<Downsampling> {
    let by = |name: &str, tag: Option<&str>| Downsampling {
        query: format!("cq_{name}_down_sampling"),
        target: format!("{name}_down_sampling"),
        tag: tag.map(str::to_owned),
    };
    let mut wanted = vec![
        by("upgrade_request", None),
        by("by_app_version", Some("app_version")),
        by("by_country_code", Some("country_isocode")),
    ];
    wanted.extend(
        extra_tags
            .iter()
            .map(|tag| by(&format!("by_{tag}"), Some(tag))),
    );
    wanted
}

impl Downsampling {
    /// The statement that creates the continuous query.
    pub fn create(&self, database: &str, period: QueryPeriod) -> String {
        format!(
            "CREATE CONTINUOUS QUERY {} ON {} BEGIN SELECT count(\"value\") AS \"total\" INTO {} \
             FROM {} GROUP BY time({}){} END",
            quoted(&self.query),
            quoted(database),
            quoted(&self.target),
            quoted(MEASUREMENT),
            period.as_influx(),
            self.group(),
        )
    }

    /// The statement that drops the continuous query.
    pub fn drop(&self, database: &str) -> String {
        format!(
            "DROP CONTINUOUS QUERY {} ON {}",
            quoted(&self.query),
            quoted(database)
        )
    }

    fn group(&self) -> String {
        self.tag
            .as_ref()
            .map(|tag| format!(", {}", quoted(tag)))
            .unwrap_or_default()
    }
}

/// The continuous queries of the database.
pub fn existing(influx: &Influx, timeout: Duration) -> Result<Vec<Existing>, QueryError> {
    let series = influx.query("SHOW CONTINUOUS QUERIES", timeout)?;
    let rows = series
        .iter()
        .filter(|series| series.name == influx.database());
    let existing = rows.flat_map(|series| &series.values).filter_map(|row| {
        let (name, text) = (row.first()?.as_str()?, row.get(1)?.as_str()?);
        Some(Existing {
            name: name.to_owned(),
            defined: understand(name, text),
        })
    });
    Ok(existing.collect())
}

/// Reads a query's text as InfluxDB prints it: names without the quotes they do not need, and the
/// period in its largest unit. A hand-made query by another tag is understood too.
fn understand(name: &str, text: &str) -> Option<(Downsampling, i64)> {
    let text = text.replace('"', "");
    let (head, rest) = text.split_once("GROUP BY time(")?;
    let (period, tail) = rest.split_once(')')?;
    let (head, select) = head.split_once(" BEGIN SELECT count(value) AS total INTO ")?;
    let (into, from) = select.trim_end().split_once(" FROM ")?;
    let (target_policy, target) = into.rsplit_once('.')?;
    // From the points to the same retention policy, at InfluxDB's own intervals: what is recreated
    // without these would be another query.
    if head.contains(" RESAMPLE ") || from != format!("{target_policy}.{MEASUREMENT}") {
        return None;
    }
    let group = tail.strip_suffix(" END")?;
    let tag = match group.strip_prefix(", ") {
        Some(tag) if !tag.contains([',', '(']) => Some(tag.to_owned()),
        None if group.is_empty() => None,
        _ => return None,
    };
    let target = target.to_owned();
    Some((
        Downsampling {
            query: name.to_owned(),
            target,
            tag,
        },
        influx_seconds(period)?,
    ))
}

/// What was found or made; the periods by which totals are recomputed.
#[derive(Debug)]
pub struct InForce {
    /// Each down-sampling with the length in seconds of its periods.
    pub periods: Vec<(Downsampling, i64)>,
    /// When that was so, in seconds since 1970.
    pub seen_at: i64,
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
    let seen_at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seen_at = i64::try_from(seen_at.as_secs()).unwrap_or(i64::MAX);
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
    Ok(InForce {
        periods,
        seen_at,
        notes,
    })
}

/// Passes on trouble that writing would meet too, and gives back a refusal as its text.
fn passed_on<T>(result: Result<T, QueryError>) -> Result<Result<T, String>, Trouble> {
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

/// Recomputes the totals of one period from its points. Doing it again changes nothing.
pub fn recompute(influx: &Influx, in_force: &InForce, period: &Period) -> Result<(), QueryError> {
    let mut periods = in_force.periods.iter();
    let Some((downsampling, now)) = periods.find(|(d, _)| d.target == period.target) else {
        // Its query was dropped meanwhile, and with it the reason to have totals.
        return Ok(());
    };
    let (start, end, seconds) = span(period, *now, in_force.seen_at);
    let statement = format!(
        "SELECT count(\"value\") AS \"total\" INTO {} FROM {} WHERE time >= {start}s AND time < \
         {end}s GROUP BY time({seconds}s){}",
        quoted(&downsampling.target),
        quoted(MEASUREMENT),
        downsampling.group(),
    );
    // A user that may write but not read is no reason to stop delivering.
    match passed_on(influx.query(&statement, RECOMPUTE_TIMEOUT)) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refusal)) => Err(QueryError::Refused(refusal)),
        Err(trouble) => Err(QueryError::Trouble(trouble)),
    }
}

/// Start and end of what is recomputed for a period, and the length of the totals in it.
///
/// A period keeps the length it had, unless the query got another one before it ended: InfluxDB's
/// query then counts the same points in a total of the new length, and a second total beside it
/// would count them twice.
fn span(period: &Period, now: i64, seen_at: i64) -> (i64, i64, i64) {
    if period.seconds == now || period.end() <= seen_at {
        return (period.start, period.end(), period.seconds);
    }
    let start = period.start - period.start.rem_euclid(now);
    let over = period.end().rem_euclid(now);
    let rest = if over == 0 { 0 } else { now - over };
    (start, period.end().saturating_add(rest), now)
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
        let by_version = wanted(&[]).remove(1);
        let name = by_version.query.clone();
        let understood = understand(&name, &text("90m", ", app_version"));
        assert_eq!(understood, Some((by_version.clone(), 5400)));
        let without_tag = understand(&name, &text("1h", "")).unwrap();
        assert_ne!(without_tag.0, by_version);
        assert_eq!(understand(&name, "nonsense"), None);
        assert_eq!(understand(&name, &text("1h", ", a, b")), None);
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
    fn a_period_that_was_open_when_its_length_changed_is_counted_once() {
        let period = |start, seconds| Period {
            start,
            seconds,
            target: String::new(),
        };
        let (hour, seen_at) = (3600, 13 * 3600 + 1800);
        // One hour, then two: 12:00 to 13:00 was over, 13:00 to 14:00 was not.
        let over = span(&period(12 * hour, hour), 2 * hour, seen_at);
        assert_eq!(over, (12 * hour, 13 * hour, hour));
        let open = span(&period(13 * hour, hour), 2 * hour, seen_at);
        assert_eq!(open, (12 * hour, 14 * hour, 2 * hour));
        // Two hours, then one.
        let open = span(&period(12 * hour, 2 * hour), hour, seen_at);
        assert_eq!(open, (12 * hour, 14 * hour, hour));
        let same = span(&period(13 * hour, hour), hour, seen_at);
        assert_eq!(same, (13 * hour, 14 * hour, hour));
    }

    #[test]
    fn names_cannot_end_their_quotes() {
        assert_eq!(quoted("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
