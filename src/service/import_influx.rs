//! Imports the history that the Go original, or an earlier server, left in InfluxDB 1.x: the down-sampled
//! measurements become periods of the ledger. It never writes to InfluxDB.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::report::ReportError;
use crate::delivery::v1::{QueryError, Series, V1, quoted};
use crate::totals::Importer;
use crate::totals::history::{Entry, Figure, Kind, OfValue, Type};
use crate::units::date::{parse_moment, rfc3339};

/// A query may read months of totals.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The span of one query, in seconds.
const SPAN: i64 = 14 * 86_400;
/// The measurement of all check-ins.
const ALL: &str = "upgrade_request_down_sampling";

/// The database to read, and which totals.
#[derive(Debug)]
pub struct Source<'a> {
    pub influx: &'a V1,
    /// Extra tags with a measurement of their own.
    pub tags: &'a [String],
    /// The name of this server, whose own totals are in the ledger.
    pub instance: &'a str,
    /// The length of a period where the measurement does not show it, in seconds.
    pub seconds: i64,
}

/// The totals of a period, by dimension and value.
#[derive(Debug, Default)]
struct Period {
    all: i64,
    values: BTreeMap<(String, String), i64>,
}

/// Imports the periods from the first to the last, with a progress line on standard error for each span.
pub fn run(
    source: &Source<'_>,
    (first, last): (i64, i64),
    importer: &mut Importer,
) -> Result<(), ReportError> {
    let mut before = None;
    let mut number = 0_u64;
    let mut from = first;
    while from <= last {
        let to = from + SPAN;
        let periods = source.periods(from, to)?;
        let starts: Vec<i64> = periods.keys().copied().collect();
        for (start, period) in periods {
            let seconds = length(&starts, start).or(before).unwrap_or(source.seconds);
            before = Some(seconds);
            importer
                .add(entry(start, seconds, period))
                .map_err(|error| ReportError::Ledger(error.to_string()))?;
            number += 1;
        }
        eprintln!("periods read: {number}, up to {}", rfc3339(to.min(last)));
        from = to;
    }
    Ok(())
}

/// The least distance between neighbours: a period without check-ins has no point, so a greater one is a gap.
fn length(starts: &[i64], start: i64) -> Option<i64> {
    let at = starts.binary_search(&start).ok()?;
    let near = starts.get(at.saturating_sub(3)..(at + 4).min(starts.len()))?;
    let least = near.windows(2).map(|pair| pair[1] - pair[0]).min()?;
    (start % least == 0).then_some(least)
}

fn entry(start: i64, seconds: i64, period: Period) -> Entry {
    let value = |((dimension, value), total): ((String, String), i64)| OfValue {
        dimension,
        of: Type::Tag,
        value,
        name: None,
        country: String::new(),
        figure: Figure::exact(total),
    };
    Entry {
        kind: Kind::Period,
        start,
        seconds,
        // A total is written after the end of its period, so all of the period is covered.
        covered_seconds: seconds,
        periods: 1,
        all: Some(Figure::exact(period.all)),
        values: period.values.into_iter().map(value).collect(),
        numbers: Vec::new(),
    }
}

impl Source<'_> {
    /// The first and the last period that InfluxDB has, in seconds since 1970.
    pub fn bounds(&self) -> Result<Option<(i64, i64)>, ReportError> {
        let end = |function: &str| -> Result<Option<i64>, ReportError> {
            let statement = format!("SELECT {function}(\"total\") FROM {}", quoted(ALL));
            let series = self.query(&statement)?;
            let row = series.first().and_then(|series| series.values.first());
            Ok(row.and_then(|row| moment(row.first()?)))
        };
        Ok(end("first")?.zip(end("last")?))
    }

    /// The periods of a span by their starts; periods without a total of all check-ins are left out.
    fn periods(&self, from: i64, to: i64) -> Result<BTreeMap<i64, Period>, ReportError> {
        let mut periods: BTreeMap<i64, Period> = BTreeMap::new();
        for (start, _, total) in self.totals(ALL, None, from, to)? {
            periods.entry(start).or_default().all += total;
        }
        let by_country = ("country_isocode", "country", "by_country_code");
        let mut dimensions = vec![
            ("app_version", "app_version", "by_app_version".to_owned()),
            (by_country.0, by_country.1, by_country.2.to_owned()),
        ];
        // Not `city`, whose points have the country's code too, nor `country`, which is a code in the ledger.
        let tags = self
            .tags
            .iter()
            .filter(|tag| !["city", "country"].contains(&tag.as_str()));
        dimensions.extend(tags.map(|tag| (tag.as_str(), tag.as_str(), format!("by_{tag}"))));
        for (tag, dimension, name) in dimensions {
            let measurement = format!("{name}_down_sampling");
            for (start, value, total) in self.totals(&measurement, Some(tag), from, to)? {
                if let Some(period) = periods.get_mut(&start).filter(|_| !value.is_empty()) {
                    *period
                        .values
                        .entry((dimension.to_owned(), value))
                        .or_default() += total;
                }
            }
        }
        Ok(periods)
    }

    /// Start, the tag's value and total of each point that is not this server's own.
    fn totals(
        &self,
        measurement: &str,
        tag: Option<&str>,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, String, i64)>, ReportError> {
        let statement = format!(
            "SELECT * FROM {} WHERE time >= {from}s AND time < {to}s",
            quoted(measurement)
        );
        let mut totals = Vec::new();
        for series in self.query(&statement)? {
            let at = |name: &str| series.columns.iter().position(|column| column == name);
            let (Some(time), Some(total)) = (at("time"), at("total")) else {
                continue;
            };
            let (tag, instance) = (tag.and_then(at), at("instance"));
            for row in &series.values {
                let text = |at: Option<usize>| at.and_then(|at| row.get(at)?.as_str());
                if text(instance) == Some(self.instance) {
                    continue;
                }
                let number = row
                    .get(total)
                    .and_then(Value::as_i64)
                    .filter(|total| *total >= 0);
                if let (Some(start), Some(total)) = (row.get(time).and_then(moment), number) {
                    totals.push((start, text(tag).unwrap_or_default().to_owned(), total));
                }
            }
        }
        Ok(totals)
    }

    fn query(&self, statement: &str) -> Result<Vec<Series>, ReportError> {
        self.influx.query(statement, TIMEOUT).map_err(|error| {
            let why = match error {
                QueryError::Refused(why) => why,
                QueryError::Trouble(trouble) => trouble.to_string(),
            };
            ReportError::Ledger(format!("InfluxDB at {}: {why}", self.influx.url()))
        })
    }
}

/// A point's time, in seconds since 1970.
fn moment(value: &Value) -> Option<i64> {
    value.as_str().and_then(parse_moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_periods_length_is_the_least_distance_to_its_neighbours() {
        let hourly = [0, 3600, 7200, 18_000];
        assert_eq!(length(&hourly, 18_000), Some(3600));
        assert_eq!(length(&hourly, 0), Some(3600));
        // A single start shows no length, and these starts are not multiples of the distance.
        assert_eq!(length(&[3600], 3600), None);
        assert_eq!(length(&[1800, 5400], 1800), None);
        let changed = [0, 3600, 7200, 14_400, 21_600, 28_800, 36_000, 43_200];
        assert_eq!(length(&changed, 36_000), Some(7200));
    }
}
