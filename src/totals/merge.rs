//! Merges the ledgers of several servers into one report: the sum of their totals, period by period. It never
//! writes to a ledger.
//!
//! The coverage of a period is the greatest coverage of a single server, because a load balancer sends to the servers
//! that are running. The coverage of each server is reported beside the sum.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;

use super::days::DAY;
use super::report::{Every, Numbers, Part, Query, Report, Row, ValueTotal};
use super::rows::{self, Rows};
use super::{LedgerError, LedgerReader};
use crate::units::date::rfc3339;
use crate::units::duration::short;

/// The sum of several ledgers.
#[derive(Debug)]
pub struct Merged {
    pub report: Report,
    /// In the order of the ledgers.
    pub servers: Vec<Server>,
}

/// Coverage of the report's time by one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub ledger: PathBuf,
    /// The server's own name; the caller fills it in, because the ledger does not have it.
    pub instance: Option<String>,
    /// Time of the report that has passed, in seconds.
    pub seconds: u64,
    pub covered_seconds: u64,
}

/// Why ledgers cannot be added up.
#[derive(Debug)]
pub enum MergeError {
    Ledger(LedgerError),
    /// Periods of one ledger begin or end within periods of another.
    Periods(String),
}

impl From<LedgerError> for MergeError {
    fn from(error: LedgerError) -> Self {
        MergeError::Ledger(error)
    }
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MergeError::Ledger(error) => error.fmt(f),
            MergeError::Periods(what) => f.write_str(what),
        }
    }
}

/// Adds up the ledgers. A ledger that never counted by `query.by` only adds to the totals.
pub fn merged(ledgers: &[LedgerReader], query: &Query) -> Result<Merged, MergeError> {
    let spans = ledgers.iter().map(LedgerReader::span);
    let spans = spans.collect::<Result<Vec<_>, _>>()?;
    let first = spans.iter().flatten().map(|(first, _)| *first).min();
    let asked = Query {
        from: query.from.max(first.unwrap_or(query.from)),
        ..query.clone()
    };
    let mut parts = Vec::new();
    for ledger in ledgers {
        parts.push(ledger.periods(&asked)?);
    }
    let query_period_seconds = same_length(ledgers, query.now)?;
    // Before that moment at least one ledger has only days.
    let days_end = |part: &Rows| {
        part.rows[..part.days]
            .last()
            .map_or(i64::MIN, |day| day.start + DAY)
    };
    let detail_from = parts.iter().map(days_end).max().unwrap_or(i64::MIN);
    let mut parts: Vec<Rows> = parts
        .into_iter()
        .map(|part| with_days(part, detail_from, query.now))
        .collect();
    weigh_days(&mut parts);
    let servers = ledgers.iter().zip(&parts).map(|(ledger, part)| Server {
        ledger: ledger.path().to_owned(),
        instance: None,
        seconds: part.rows.iter().map(|row| passed(row, query.now)).sum(),
        covered_seconds: part.rows.iter().map(|row| row.covered_seconds).sum(),
    });
    let servers = servers.collect();
    let sums = summed(&parts, ledgers)?;
    Ok(Merged {
        report: Report {
            query_period_seconds,
            by: query.by.clone(),
            rows: rows::grouped(sums, query.every, query.now),
        },
        servers,
    })
}

fn passed(row: &Row, now: i64) -> u64 {
    (now.saturating_sub(row.start).max(0) as u64).min(row.seconds)
}

/// Current length of a period, in seconds; an error if it is not the same in all ledgers.
fn same_length(ledgers: &[LedgerReader], now: i64) -> Result<u64, MergeError> {
    let mut length: Option<(u64, &LedgerReader)> = None;
    for ledger in ledgers {
        let its = ledger.period_seconds(now)?;
        match length {
            Some((other, first)) if other != its => {
                return Err(MergeError::Periods(format!(
                    "{} has periods of {}, but {} has periods of {}; use the same --query-period on all servers",
                    first.path().display(),
                    short(other),
                    ledger.path().display(),
                    short(its)
                )));
            }
            Some(_) => {}
            None => length = Some((its, ledger)),
        }
    }
    Ok(length.map_or(0, |(length, _)| length))
}

/// Groups the periods before a moment into days, because another ledger has only days there.
fn with_days(part: Rows, detail_from: i64, now: i64) -> Rows {
    let split = part.rows.partition_point(|row| row.start < detail_from);
    if split <= part.days {
        return part;
    }
    let mut periods: BTreeMap<i64, i64> = BTreeMap::new();
    for (at, row) in part.rows[..split].iter().enumerate() {
        let day = row.start - row.start.rem_euclid(DAY);
        let kept = part.day_periods.get(at).copied();
        *periods.entry(day).or_default() +=
            kept.unwrap_or_else(|| i64::from(rows::has_mean(row, false)));
    }
    let Rows { mut rows, days, .. } = part;
    let later = rows.split_off(split);
    let before = Rows {
        rows,
        days,
        day_periods: Vec::new(),
    };
    let mut rows = rows::grouped(before, Every::Days(1), now);
    let day_periods = rows
        .iter()
        .map(|day| periods.get(&day.start).copied().unwrap_or(0))
        .collect();
    let days = rows.len();
    rows.extend(later);
    Rows {
        rows,
        days,
        day_periods,
    }
}

/// Scales the means of kept days to the same number of periods: that of the server that covered the most. Otherwise a
/// server that was down for half a day would add its mean for the whole day, although the other servers counted
/// check-ins in its place.
fn weigh_days(parts: &mut [Rows]) {
    let mut most: HashMap<i64, i64> = HashMap::new();
    for part in parts.iter() {
        for (row, periods) in part.rows.iter().zip(&part.day_periods) {
            let most = most.entry(row.start).or_default();
            *most = (*most).max(*periods);
        }
    }
    for part in parts {
        for (row, periods) in part.rows.iter_mut().zip(&part.day_periods) {
            let most = most.get(&row.start).copied().unwrap_or(0);
            if *periods < most {
                scale(row, *periods as f64 / most as f64);
            }
        }
    }
}

fn scale(row: &mut Row, by: f64) {
    row.total = row.total.map(|total| total * by);
    match &mut row.part {
        Part::Values(values) => values.iter_mut().for_each(|value| value.total *= by),
        Part::Numbers(Some(numbers)) => {
            numbers.count *= by;
            numbers.sum *= by;
        }
        Part::Numbers(None) => {}
    }
}

/// Adds the rows of all ledgers up, one row for each start.
fn summed(parts: &[Rows], ledgers: &[LedgerReader]) -> Result<Rows, MergeError> {
    let mut sums: BTreeMap<i64, Row> = BTreeMap::new();
    let mut days = 0;
    for (part, ledger) in parts.iter().zip(ledgers) {
        days = days.max(part.days);
        for row in &part.rows {
            match sums.get_mut(&row.start) {
                None => drop(sums.insert(row.start, row.clone())),
                Some(sum) if sum.seconds == row.seconds => add(sum, row),
                Some(sum) => return Err(unaligned(sum, row, ledger)),
            }
        }
    }
    let mut rows: Vec<Row> = sums.into_values().collect();
    for two in rows.windows(2) {
        if two[0].start + two[0].seconds as i64 > two[1].start {
            let ledger = ledgers.last().unwrap_or(&ledgers[0]);
            return Err(unaligned(&two[0], &two[1], ledger));
        }
    }
    let days = rows
        .partition_point(|row| row.seconds == DAY as u64)
        .min(days);
    for row in &mut rows {
        if let Part::Values(values) = &mut row.part {
            rows::sort(values);
        }
    }
    Ok(Rows {
        rows,
        days,
        day_periods: Vec::new(),
    })
}

fn unaligned(one: &Row, other: &Row, ledger: &LedgerReader) -> MergeError {
    MergeError::Periods(format!(
        "{}: a period of {} begins at {}, but another ledger has a period of {} that begins at {}; all servers need \
         the same periods; set --from to a time after the last change of --query-period",
        ledger.path().display(),
        short(other.seconds),
        rfc3339(other.start),
        short(one.seconds),
        rfc3339(one.start)
    ))
}

fn add(sum: &mut Row, row: &Row) {
    sum.covered_seconds = sum.covered_seconds.max(row.covered_seconds);
    sum.total = match (sum.total, row.total) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    };
    let part = std::mem::replace(&mut sum.part, Part::Numbers(None));
    sum.part = match (part, &row.part) {
        (Part::Numbers(one), Part::Numbers(other)) => Part::Numbers(both(one, *other)),
        // A ledger without the field has no values.
        (Part::Values(_), Part::Numbers(numbers)) => Part::Numbers(*numbers),
        (Part::Numbers(numbers), Part::Values(_)) => Part::Numbers(numbers),
        (Part::Values(one), Part::Values(other)) => Part::Values(values(one, other)),
    };
}

fn both(one: Option<Numbers>, other: Option<Numbers>) -> Option<Numbers> {
    let (Some(a), Some(b)) = (one, other) else {
        return one.or(other);
    };
    Some(Numbers {
        count: a.count + b.count,
        sum: a.sum + b.sum,
        least: a.least.min(b.least),
        greatest: a.greatest.max(b.greatest),
    })
}

fn values(mut sums: Vec<ValueTotal>, more: &[ValueTotal]) -> Vec<ValueTotal> {
    let key = |value: &ValueTotal| (value.value.clone(), value.country.clone());
    let places: HashMap<_, usize> = sums
        .iter()
        .enumerate()
        .map(|(at, value)| (key(value), at))
        .collect();
    for value in more {
        match places.get(&key(value)) {
            Some(&at) => sums[at].total += value.total,
            None => sums.push(value.clone()),
        }
    }
    sums
}
