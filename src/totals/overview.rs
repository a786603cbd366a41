//! All that one page shows, read from a ledger: reports over a span, the newest period, and what it is
//! compared with.
//!
//! Values that too few installations have can be added up as `other` here, so that whoever draws a public page
//! does not get to see them.

use super::asked::Asked;
use super::public::Least;
use super::report::{Every, Part, Query, Report, Row};
use super::values::{ALL, APP_VERSION, CITIES, COUNTRIES};
use super::{LedgerError, LedgerReader};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
/// Points of a chart at most.
const MOST_POINTS: i64 = 100;
/// Lengths of a point that can be told as `--every`, in hours and in days.
const HOURS: [u32; 5] = [1, 2, 3, 6, 12];
const DAYS: [u32; 9] = [1, 2, 3, 7, 14, 28, 56, 112, 224];
/// Extra tags and fields that a page has room for.
const MOST_EXTRA: usize = 16;

/// What an overview is asked for.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub asked: Asked,
    /// In seconds since 1970.
    pub now: i64,
    /// Only these dimensions; `None`: all.
    pub dimensions: Option<&'a [String]>,
    /// Values that fewer installations have are added up as `other`.
    pub least: Option<Least>,
    /// Since when versions are looked at for how they spread, in seconds since 1970.
    pub spread_since: Option<i64>,
}

/// What one page shows.
#[derive(Debug)]
pub struct Overview {
    /// In seconds since 1970.
    pub now: i64,
    /// The span that is shown, from the ledger's beginning at the earliest.
    pub asked: Asked,
    pub every: Every,
    /// The length of a period now, in seconds.
    pub period_seconds: u64,
    /// Whether the ledger has anything.
    pub is_empty: bool,
    /// All check-ins over the span.
    pub all: Report,
    /// The last finished period, if its total is known.
    pub finished: Option<Row>,
    /// The period that runs.
    pub running: Option<Row>,
    /// The same period so many days before the last finished one.
    pub week_before: Option<f64>,
    pub month_before: Option<f64>,
    /// One for each dimension and field, `app_version` first.
    pub dimensions: Vec<Dimension>,
    /// Names of further ones.
    pub not_shown: Vec<String>,
    /// Versions day by day since the oldest release that is looked at.
    pub spread: Option<Report>,
    /// Seconds of the span that have passed, and how many of them the server was there for.
    pub seconds: u64,
    pub covered_seconds: u64,
}

/// One dimension or field.
#[derive(Debug)]
pub struct Dimension {
    pub name: String,
    /// Over the span; without rows for places, of which only the last period is shown.
    pub over_time: Report,
    /// The period that tables show: the last finished one, or the running one where there is none.
    pub current: Option<Row>,
    /// The same period 30 days before.
    pub before: Option<Row>,
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
        let last = recent.rows.iter().rfind(|row| row.finished);
        let finished = last.filter(|row| row.total.is_some()).cloned();
        let running = recent.rows.iter().rfind(|row| !row.finished).cloned();
        let period_seconds = recent.query_period_seconds;
        let every = grain(asked, period_seconds as i64);
        let all = reading.over(ALL, asked, every)?;
        let total_before = |days| -> Result<Option<f64>, LedgerError> {
            let before = reading.before(ALL, finished.as_ref(), days)?;
            Ok(before.and_then(|row| row.total))
        };
        let (week_before, month_before) = (total_before(7)?, total_before(30)?);
        let (shown, not_shown) = reading.names()?;
        let current = finished.as_ref().or(running.as_ref());
        let mut dimensions = Vec::new();
        for name in shown {
            dimensions.push(reading.dimension(name, asked, every, current, finished.as_ref())?);
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

/// So much of a row's time has passed.
fn passed(row: &Row, now: i64) -> u64 {
    let passed = now.saturating_sub(row.start).max(0) as u64;
    passed.min(row.seconds)
}

struct Reading<'a> {
    ledger: &'a LedgerReader,
    wanted: &'a Wanted<'a>,
}

impl Reading<'_> {
    /// The last periods, the one that runs included.
    fn recent(&self) -> Result<Report, LedgerError> {
        let now = self.wanted.now;
        let mut from = now - 2 * DAY;
        let report = self.query(ALL, Asked { from, to: now + 1 }, Every::Period)?;
        // Longer periods are rare.
        from = now.saturating_sub(report.query_period_seconds as i64 * 2);
        if from >= now - 2 * DAY {
            return Ok(report);
        }
        self.query(ALL, Asked { from, to: now + 1 }, Every::Period)
    }

    /// The names that there is room for, and the others.
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
            over_time,
            name,
        })
    }

    /// The row of the period so many days before another.
    fn before(&self, by: &str, row: Option<&Row>, days: i64) -> Result<Option<Row>, LedgerError> {
        match row {
            Some(row) => self.at(by, row.start - days * DAY),
            None => Ok(None),
        }
    }

    /// The row of the period that a moment belongs to.
    fn at(&self, by: &str, moment: i64) -> Result<Option<Row>, LedgerError> {
        let asked = Asked {
            from: moment,
            to: moment + 1,
        };
        let report = self.over(by, asked, Every::Period)?;
        let row = report.rows.into_iter().next();
        // Nothing is known of the time before the ledger.
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

/// How much time a point of a chart stands for.
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
    // A century of weeks is more than anybody keeps.
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
