//! The installations of the last finished period, by version and by what else the ledger counts.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::totals::report::{Every, Part, Query, Row, ValueTotal};
use crate::totals::{LedgerError, LedgerReader};

/// How many past periods are searched for a covered one.
const LOOK_BACK: i64 = 48;

/// One period of the ledger.
pub struct Installations<'a> {
    ledger: &'a LedgerReader,
    /// In seconds since 1970.
    pub start: i64,
    seconds: i64,
    pub total: f64,
    /// Numbers by `appVersion`; installations without one are left out.
    pub versions: Vec<(String, f64)>,
    /// Totals by dimension, read when first needed; `None` for a dimension that the ledger does not count.
    read: RefCell<HashMap<String, Option<Vec<ValueTotal>>>>,
}

impl<'a> Installations<'a> {
    /// `None` if no finished period is known.
    pub fn read(
        ledger: &'a LedgerReader,
        now: i64,
    ) -> Result<Option<Installations<'a>>, LedgerError> {
        let query = |from| Query {
            by: "app_version".to_owned(),
            from,
            to: now,
            every: Every::Period,
            now,
        };
        let length = ledger.report(&query(now))?.query_period_seconds;
        let length = i64::try_from(length).unwrap_or(3600);
        let rows = ledger
            .report(&query(now.saturating_sub(length * LOOK_BACK)))?
            .rows;
        let is_known = |row: &Row| row.finished && row.total.is_some_and(|total| total > 0.0);
        let Some(row) = rows.into_iter().rev().find(is_known) else {
            return Ok(None);
        };
        let versions = values(row.part).into_iter();
        Ok(Some(Installations {
            ledger,
            start: row.start,
            seconds: i64::try_from(row.seconds).unwrap_or(length),
            total: row.total.unwrap_or_default(),
            versions: versions.map(|value| (value.value, value.total)).collect(),
            read: RefCell::default(),
        }))
    }

    /// How many installations have a value of the dimension that `is` accepts; `None` if the ledger does not count
    /// by it.
    pub fn with(&self, dimension: &str, is: impl Fn(&str) -> bool) -> Option<f64> {
        let mut read = self.read.borrow_mut();
        let values = read
            .entry(dimension.to_owned())
            .or_insert_with(|| self.by(dimension));
        let values = values.as_ref()?.iter();
        // `other` stands for several values, so it may be any.
        let counted = values.filter(|value| value.value == "other" || is(&value.value));
        Some(counted.map(|value| value.total).sum())
    }

    fn by(&self, dimension: &str) -> Option<Vec<ValueTotal>> {
        let query = Query {
            by: dimension.to_owned(),
            from: self.start,
            to: self.start + self.seconds,
            every: Every::Period,
            now: self.start + self.seconds,
        };
        let rows = self.ledger.report(&query).ok()?.rows;
        let row = rows.into_iter().find(|row| row.start == self.start)?;
        match row.part {
            Part::Values(values) => Some(values),
            Part::Numbers(_) => None,
        }
    }
}

fn values(part: Part) -> Vec<ValueTotal> {
    match part {
        Part::Values(values) => values,
        Part::Numbers(_) => Vec::new(),
    }
}
