//! `/metrics/installations`: the totals of the last finished period as gauges, for Prometheus.
//!
//! It is separate from `/metrics`, because clients choose the values of these labels. The number of values per
//! dimension must be limited. The samples have no time of their own: Prometheus shows none that is older than five
//! minutes.

use std::path::PathBuf;

use super::prometheus::{Page, Sample};
use crate::totals::report::{Every, Part, Query, Report, Row, ValueTotal};
use crate::totals::{LedgerError, LedgerReader};

const NAME: &str = "installations";
/// A dimension that is left out, because it has too many values for a label.
const CITIES: &str = "city";
const OTHER: &str = "other";
const DAY: i64 = 86_400;

/// The source and the limit of the page.
#[derive(Debug)]
pub struct Installations {
    /// The ledger's file.
    pub ledger: PathBuf,
    /// Most values of a dimension; the others are added up as `other`.
    pub most_values: usize,
}

impl Installations {
    /// The page; without samples where the last period is unknown. `now` is in seconds since 1970.
    pub fn page(&self, now: i64) -> Result<String, LedgerError> {
        let reader = LedgerReader::open(&self.ledger)?;
        let mut samples = Vec::new();
        let (mut end, mut coverage) = (0, 0.0);
        if let Some(last) = last_finished(&reader, now)? {
            let period = (last.start, last.start + last.seconds as i64);
            end = period.1;
            coverage = (last.covered_seconds as f64 / last.seconds.max(1) as f64).min(1.0);
            if let Some(total) = last.total {
                samples.push(Sample {
                    label: None,
                    value: total,
                });
                self.by_dimension(&reader, period, now, &mut samples)?;
            }
        }
        let mut page = Page::new();
        page.gauge(
            "installations_period_end_seconds",
            "Time at which the last finished period ended, in seconds since 1970; 0 before the first one.",
            end,
        );
        page.gauge(
            "installations_period_coverage",
            "Part of the last finished period that the server covered, from 0 to 1; 0 before the first one.",
            coverage,
        );
        page.samples(
            NAME,
            "Check-ins of the last finished period: the active installations, all of them and by one label each.",
            &samples,
        );
        Ok(page.into_text())
    }

    fn by_dimension(
        &self,
        reader: &LedgerReader,
        period: (i64, i64),
        now: i64,
        samples: &mut Vec<Sample>,
    ) -> Result<(), LedgerError> {
        for dimension in reader.dimensions()? {
            if ["all", CITIES].contains(&dimension.as_str()) {
                continue;
            }
            let report = report(reader, &dimension, period, now)?;
            let Some(Part::Values(values)) = report.rows.into_iter().next().map(|row| row.part)
            else {
                continue;
            };
            for value in bounded(values, self.most_values) {
                samples.push(Sample {
                    label: Some((dimension.clone(), value.value)),
                    value: value.total,
                });
            }
        }
        Ok(())
    }
}

/// The last finished period.
fn last_finished(reader: &LedgerReader, now: i64) -> Result<Option<Row>, LedgerError> {
    // Periods are usually a day at most, so 40 days hold a finished one.
    let rows = report(reader, "all", (now - 40 * DAY, now), now)?.rows;
    Ok(rows.into_iter().rfind(|row| row.finished))
}

fn report(
    reader: &LedgerReader,
    by: &str,
    (from, to): (i64, i64),
    now: i64,
) -> Result<Report, LedgerError> {
    reader.report(&Query {
        by: by.to_owned(),
        from,
        to,
        every: Every::Period,
        now,
    })
}

/// The values with the greatest totals, which come first, and the sum of the others.
fn bounded(mut values: Vec<ValueTotal>, most: usize) -> Vec<ValueTotal> {
    if values.len() <= most {
        return values;
    }
    // One value is kept free for `other`, which may be among the values already.
    let rest: f64 = values
        .split_off(most.saturating_sub(1))
        .iter()
        .map(|value| value.total)
        .sum();
    match values.iter_mut().find(|value| value.value == OTHER) {
        Some(other) => other.total += rest,
        None => values.push(ValueTotal {
            value: OTHER.to_owned(),
            name: None,
            country: None,
            total: rest,
        }),
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(of: &[(&str, f64)]) -> Vec<ValueTotal> {
        let value = |&(value, total): &(&str, f64)| ValueTotal {
            value: value.to_owned(),
            name: None,
            country: None,
            total,
        };
        of.iter().map(value).collect()
    }

    #[test]
    fn what_is_beyond_the_most_values_is_added_up_as_other() {
        let all = [("a", 9.0), ("b", 5.0), ("c", 2.0), ("d", 1.0)];
        assert_eq!(bounded(values(&all), 4), values(&all));
        let three = [("a", 9.0), ("b", 5.0), ("other", 3.0)];
        assert_eq!(bounded(values(&all), 3), values(&three));
        let known = [("a", 9.0), ("other", 5.0), ("c", 2.0), ("d", 1.0)];
        assert_eq!(
            bounded(values(&known), 3),
            values(&[("a", 9.0), ("other", 8.0)])
        );
        assert_eq!(bounded(values(&all), 1), values(&[("other", 17.0)]));
    }
}
