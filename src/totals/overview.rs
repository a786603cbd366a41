//! Reads the data of one page from a ledger: reports over a span, the newest period, and earlier periods to compare
//! it with.
//!
//! Invariant: with a limit for rare values, this module adds them up as `other`, so the code that draws a public page
//! never has them.

use super::asked::Asked;
use super::format::figures::absent;
use super::public::{Least, OTHER};
use super::report::{Every, Part, Query, Report, Row};
use super::values::{ALL, APP_VERSION, CITIES, COUNTRIES};
use super::{LedgerError, LedgerReader};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
/// Limit of points in a chart.
const MOST_POINTS: i64 = 100;
/// Time that a point may stand for, in hours and in days; each has a form for `--every`.
const HOURS: [u32; 5] = [1, 2, 3, 6, 12];
const DAYS: [u32; 9] = [1, 2, 3, 7, 14, 28, 56, 112, 224];
/// Limit of extra tags and fields on a page.
const MOST_EXTRA: usize = 16;

/// Parameters of an overview.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub asked: Asked,
    /// In seconds since 1970.
    pub now: i64,
    /// Dimensions to read; `None` for all.
    pub dimensions: Option<&'a [String]>,
    /// Installations that a value needs; rarer values are added up as `other`. `None`: no limit.
    pub least: Option<Least>,
    /// Start of the report on the spread of versions, in seconds since 1970; `None` for no such report.
    pub spread_since: Option<i64>,
}

/// Data of one page.
#[derive(Debug)]
pub struct Overview {
    /// In seconds since 1970.
    pub now: i64,
    /// Span of the page, not before the ledger's first moment.
    pub asked: Asked,
    pub every: Every,
    /// Current length of a period, in seconds.
    pub period_seconds: u64,
    /// Whether the ledger has neither periods nor days.
    pub is_empty: bool,
    /// All check-ins over the span.
    pub all: Report,
    /// Last finished period; its total may be unknown.
    pub finished: Option<Row>,
    /// Current period, not finished yet.
    pub running: Option<Row>,
    /// Totals of the periods 7 and 30 days before the last finished one.
    pub week_before: Option<f64>,
    pub month_before: Option<f64>,
    /// Dimensions and fields, `app_version` first.
    pub dimensions: Vec<Dimension>,
    /// Names of dimensions and fields over the limit of a page.
    pub not_shown: Vec<String>,
    /// Versions day by day, from `spread_since` on.
    pub spread: Option<Report>,
    /// Seconds of the span that have passed, and how many of them are covered.
    pub seconds: u64,
    pub covered_seconds: u64,
}

/// One dimension or field.
#[derive(Debug)]
pub struct Dimension {
    pub name: String,
    /// Report over the span; without rows for places, because the page shows only their last period.
    pub over_time: Report,
    /// Row of the period that tables show: the last finished one if that is known, else the current one.
    pub current: Option<Row>,
    /// Row of the period 30 days before the last finished one.
    pub before: Option<Row>,
    /// Whether rare values are added up as `other`.
    pub is_limited: bool,
}

impl Overview {
    pub fn read(ledger: &LedgerReader, wanted: &Wanted<'_>) -> Result<Overview, LedgerError> {
        let known = ledger.span()?;
        let asked = Asked {
            from: wanted.asked.within(wanted.asked.from, known),
            to: wanted.asked.to,
        };
        let reading = Reading { ledger, wanted };
        let recent = reading.recent()?;
        let finished = recent.rows.iter().rfind(|row| row.finished).cloned();
        let known_last = finished.as_ref().filter(|row| row.total.is_some());
        let running = recent.rows.iter().rfind(|row| !row.finished).cloned();
        let period_seconds = recent.query_period_seconds;
        let every = grain(asked, period_seconds as i64);
        let all = reading.over(ALL, asked, every)?;
        let total_before = |days| -> Result<Option<f64>, LedgerError> {
            let before = reading.before(ALL, known_last, days)?;
            Ok(before.and_then(|row| row.total))
        };
        let (week_before, month_before) = (total_before(7)?, total_before(30)?);
        let (shown, not_shown) = reading.names()?;
        let current = known_last.or(running.as_ref());
        let mut dimensions = Vec::new();
        for name in shown {
            dimensions.push(reading.dimension(name, asked, every, current, known_last)?);
        }
        let spread = match wanted.spread_since {
            Some(from) if dimensions.iter().any(|one| one.name == APP_VERSION) => {
                let from = wanted.asked.within(from.max(0), known);
                let to = wanted.now + 1;
                Some(reading.over(APP_VERSION, Asked { from, to }, Every::Days(1))?)
            }
            _ => None,
        };
        let passed = all.rows.iter().map(|row| passed(row, wanted.now));
        Ok(Overview {
            now: wanted.now,
            asked,
            every,
            period_seconds,
            is_empty: known.is_none(),
            seconds: passed.sum(),
            covered_seconds: all.rows.iter().map(|row| row.covered_seconds).sum(),
            all,
            finished,
            running,
            week_before,
            month_before,
            dimensions,
            not_shown,
            spread,
        })
    }

    pub fn dimension(&self, name: &str) -> Option<&Dimension> {
        self.dimensions.iter().find(|one| one.name == name)
    }
}

impl Dimension {
    /// Figure of the row's values that `is` accepts. Without such a value it is zero if the row shows that there was
    /// none, and otherwise unknown: where rare values are limited, it may be a part of `other`.
    pub fn figure(&self, row: &Row, every: Every, is: impl Fn(&str) -> bool) -> Option<f64> {
        let found = values(row).iter().filter(|one| is(&one.value));
        let mut found = found.map(|one| one.total).peekable();
        if found.peek().is_some() {
            return Some(found.sum());
        }
        if self.is_limited && values(row).iter().any(|one| one.value == OTHER) {
            return None;
        }
        absent(row, every, self.over_time.query_period_seconds)
    }
}

/// Seconds of a row that have passed.
fn passed(row: &Row, now: i64) -> u64 {
    let passed = now.saturating_sub(row.start).max(0) as u64;
    passed.min(row.seconds)
}

struct Reading<'a> {
    ledger: &'a LedgerReader,
    wanted: &'a Wanted<'a>,
}

impl Reading<'_> {
    /// Report of the last periods, including the current one.
    fn recent(&self) -> Result<Report, LedgerError> {
        let now = self.wanted.now;
        let mut from = now - 2 * DAY;
        let report = self.query(ALL, Asked { from, to: now + 1 }, Every::Period)?;
        // Periods of more than a day are rare; only they need a second query.
        from = now.saturating_sub(report.query_period_seconds as i64 * 2);
        if from >= now - 2 * DAY {
            return Ok(report);
        }
        self.query(ALL, Asked { from, to: now + 1 }, Every::Period)
    }

    /// Names of the dimensions and fields within the limit of a page, and the names over it.
    fn names(&self) -> Result<(Vec<String>, Vec<String>), LedgerError> {
        let mut names = self.ledger.dimensions()?;
        names.retain(|name| name != ALL);
        if let Some(wanted) = self.wanted.dimensions {
            names.retain(|name| wanted.contains(name));
        }
        let built_in = [APP_VERSION, COUNTRIES, CITIES];
        let built_in = names
            .iter()
            .filter(|name| built_in.contains(&name.as_str()));
        let room = MOST_EXTRA + built_in.count();
        let others = names.split_off(room.min(names.len()));
        Ok((names, others))
    }

    fn dimension(
        &self,
        name: String,
        asked: Asked,
        every: Every,
        current: Option<&Row>,
        finished: Option<&Row>,
    ) -> Result<Dimension, LedgerError> {
        let over_time = if [COUNTRIES, CITIES].contains(&name.as_str()) {
            let nothing = Asked {
                from: asked.to,
                to: asked.to,
            };
            self.over(&name, nothing, every)?
        } else {
            self.over(&name, asked, every)?
        };
        Ok(Dimension {
            current: current
                .map(|row| self.at(&name, row.start))
                .transpose()?
                .flatten(),
            before: self.before(&name, finished, 30)?,
            is_limited: self.wanted.least.is_some(),
            over_time,
            name,
        })
    }

    /// Row of the period that is `days` before another.
    fn before(&self, by: &str, row: Option<&Row>, days: i64) -> Result<Option<Row>, LedgerError> {
        match row {
            Some(row) => self.at(by, row.start - days * DAY),
            None => Ok(None),
        }
    }

    /// Row of the period that a moment belongs to; `None` if its total is unknown.
    fn at(&self, by: &str, moment: i64) -> Result<Option<Row>, LedgerError> {
        let asked = Asked {
            from: moment,
            to: moment + 1,
        };
        let report = self.over(by, asked, Every::Period)?;
        let row = report.rows.into_iter().next();
        // Before the ledger's first moment, the report begins with a later row.
        Ok(row.filter(|row| row.start <= moment && row.total.is_some()))
    }

    fn over(&self, by: &str, asked: Asked, every: Every) -> Result<Report, LedgerError> {
        let report = self.query(by, asked, every)?;
        Ok(match self.wanted.least {
            Some(least) if by != ALL => least.applied(report),
            _ => report,
        })
    }

    fn query(&self, by: &str, asked: Asked, every: Every) -> Result<Report, LedgerError> {
        self.ledger.report(&Query {
            by: by.to_owned(),
            from: asked.from,
            to: asked.to,
            every,
            now: self.wanted.now,
        })
    }
}

/// Time that a point of a chart stands for: the shortest that keeps a chart within [`MOST_POINTS`].
fn grain(asked: Asked, period: i64) -> Every {
    let span = asked.to.saturating_sub(asked.from);
    let fits = |length: i64| span / length.max(1) <= MOST_POINTS;
    if fits(period) {
        return Every::Period;
    }
    let hours = HOURS.iter().find(|&&hours| {
        let length = i64::from(hours) * HOUR;
        fits(length) && length > period && length % period.max(1) == 0
    });
    if let Some(hours) = hours {
        return Every::Hours(*hours);
    }
    let days = DAYS.iter().find(|&&days| fits(i64::from(days) * DAY));
    // Longer spans than that get more points; 100 points of 224 days are 61 years.
    Every::Days(*days.unwrap_or(&DAYS[DAYS.len() - 1]))
}

/// The values of a row.
pub fn values(row: &Row) -> &[super::report::ValueTotal] {
    match &row.part {
        Part::Values(values) => values,
        Part::Numbers(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_stands_for_as_much_time_as_a_hundred_of_them_need() {
        let grain = |span, period| grain(Asked { from: 0, to: span }, period);
        assert_eq!(grain(DAY, HOUR), Every::Period);
        assert_eq!(grain(7 * DAY, HOUR), Every::Hours(2));
        assert_eq!(grain(30 * DAY, HOUR), Every::Hours(12));
        assert_eq!(grain(90 * DAY, HOUR), Every::Days(1));
        assert_eq!(grain(365 * DAY, HOUR), Every::Days(7));
        assert_eq!(grain(365 * DAY, DAY), Every::Days(7));
        assert_eq!(grain(30 * DAY, DAY), Every::Period);
        assert_eq!(grain(DAY, 60), Every::Hours(1));
        // Five-hour periods do not fit into twelve hours.
        assert_eq!(grain(45 * DAY, 5 * HOUR), Every::Days(1));
        assert_eq!(grain(i64::MAX, 60), Every::Days(224));
    }
}
