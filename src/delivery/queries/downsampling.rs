//! What is down-sampled, and the continuous queries that do it: their text as it is sent to InfluxDB,
//! and as InfluxDB prints it.
//!
//! Names and definitions are the original's, so either server can take over from the other.

use std::time::Duration;

use crate::delivery::influx::{Influx, QueryError, quoted};
use crate::line::encode::MEASUREMENT;
use crate::units::duration::QueryPeriod;

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
    let mut wanted = vec![
        of_all(),
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

/// The totals of all check-ins.
pub fn of_all() -> Downsampling {
    by(MEASUREMENT, None)
}

fn by(name: &str, tag: Option<&str>) -> Downsampling {
    Downsampling {
        query: format!("cq_{name}_down_sampling"),
        target: format!("{name}_down_sampling"),
        tag: tag.map(str::to_owned),
    }
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

    /// Its totals are those of all check-ins.
    pub fn is_of_all(&self) -> bool {
        *self == of_all()
    }

    /// The end of a `GROUP BY`.
    pub(super) fn group(&self) -> String {
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
    fn names_cannot_end_their_quotes() {
        assert_eq!(quoted("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
