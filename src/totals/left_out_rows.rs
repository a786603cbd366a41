//! Writes the keys that were left out to the ledger, one row a day for each key and reason, and reads them back.
//! Logs a WARN for each key that is new on a day. The number of keys is limited to what an operator can read.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Transaction;

use super::days::DAY;
use super::error::LedgerError;
use super::ledger::Ledger;
use super::left_out::{LeftOutTable, Pending};
use super::left_out_table::SINCE;
use super::reader::LedgerReader;

/// Limit of keys and reasons, and the days over which their check-ins are added up to rank them.
const MOST_KEYS: usize = 200;
const RANKED_DAYS: i64 = 30;
/// Days after which rows are deleted.
const KEPT_DAYS: i64 = 400;
/// Limit of log lines a day for single keys.
const MOST_LINES: usize = 20;

/// A key and a reason over a span of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutRow {
    pub key: String,
    /// `app_version`, `tag` or `field`.
    pub part: String,
    pub reason: String,
    pub check_ins: u64,
    /// Start of the last day with such a check-in, in seconds since 1970.
    pub last_day: i64,
    /// `appVersion` of the first known check-in.
    pub since_version: String,
    /// `string`, `float`, `boolean` or `other`.
    pub value_type: String,
    /// Bytes of the longest value.
    pub length: u64,
}

type Id = (String, String, String);

/// Moves entries from the table to the ledger, and logs new keys.
pub(super) struct Keeper {
    table: Arc<LeftOutTable>,
    day: i64,
    /// Number of keys that were new today.
    today: usize,
}

impl Keeper {
    pub(super) fn new(table: Arc<LeftOutTable>) -> Keeper {
        Keeper {
            table,
            day: 0,
            today: 0,
        }
    }

    /// Writes the pending entries; `now` is in seconds since 1970.
    pub(super) fn write(&mut self, ledger: &mut Ledger, now: i64) -> Result<(), LedgerError> {
        let pending = self.table.pending();
        if pending.is_empty() {
            return Ok(());
        }
        let day = now - now.rem_euclid(DAY);
        let written = match ledger.within(|transaction| write(transaction, &pending, day)) {
            Ok(written) => written,
            Err(error) => {
                self.table.keep();
                return Err(error);
            }
        };
        self.table.settle(written.taken.iter().copied());
        if self.day != day {
            (self.day, self.today) = (day, 0);
        }
        self.tell(written.before, &written.new_today);
        Ok(())
    }

    fn tell(&mut self, before: usize, new: &[&Pending]) {
        let before = self.today.max(before);
        self.today = before + new.len();
        let lines = MOST_LINES.saturating_sub(before).min(new.len());
        for pending in &new[..lines] {
            let Pending {
                key,
                check_ins,
                since_version,
                ..
            } = pending;
            let (part, reason) = (pending.part.as_str(), pending.reason.as_str());
            log::warn!(
                "key {key:?} ({part}) is left out: {reason}, check-ins {check_ins}, first appVersion \
                 {since_version:?}; see report --left-out and check-config --suggest-schema"
            );
        }
        // Logged once a day; keys after that are only in the report.
        if before <= MOST_LINES && self.today > MOST_LINES && new.len() > lines {
            log::warn!(
                "{} more keys are left out today; see report --left-out",
                new.len() - lines
            );
        }
    }
}

struct Written<'a> {
    taken: Vec<&'a Pending>,
    new_today: Vec<&'a Pending>,
    /// Number of rows that the day had before.
    before: usize,
}

fn write<'a>(
    transaction: &Transaction<'_>,
    pending: &'a [Pending],
    day: i64,
) -> rusqlite::Result<Written<'a>> {
    let kept_from = day - KEPT_DAYS * DAY;
    transaction.execute("DELETE FROM left_out WHERE day < ?", [kept_from])?;
    let mut known = known(transaction, day)?;
    let sql = "SELECT count(*) FROM left_out WHERE day = ?";
    let before: i64 = transaction.query_row(sql, [day], |row| row.get(0))?;
    let mut written = Written {
        taken: Vec::new(),
        new_today: Vec::new(),
        before: usize::try_from(before).unwrap_or_default(),
    };
    for pending in pending {
        let id = (
            pending.key.clone(),
            pending.part.as_str().to_owned(),
            pending.reason.as_str().to_owned(),
        );
        if !known.contains_key(&id) && known.len() >= MOST_KEYS {
            let least = known.iter().min_by_key(|(_, check_ins)| **check_ins);
            let Some((least, _)) = least.filter(|(_, least)| **least < pending.check_ins) else {
                continue;
            };
            let least = least.clone();
            transaction.execute(
                "DELETE FROM left_out WHERE key = ? AND part = ? AND reason = ?",
                (&least.0, &least.1, &least.2),
            )?;
            known.remove(&least);
        }
        if add(transaction, day, &id, pending)? {
            written.new_today.push(pending);
        }
        *known.entry(id).or_default() += pending.check_ins;
        written.taken.push(pending);
    }
    Ok(written)
}

/// Keys and reasons in the ledger, with their check-ins of the last [`RANKED_DAYS`] days.
fn known(transaction: &Transaction<'_>, day: i64) -> rusqlite::Result<HashMap<Id, u64>> {
    let sql = "SELECT key, part, reason, sum(CASE WHEN day > ? THEN check_ins ELSE 0 END)
               FROM left_out GROUP BY key, part, reason";
    let mut statement = transaction.prepare_cached(sql)?;
    let rows = statement.query_map([day - RANKED_DAYS * DAY], |row| {
        let id = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((id, row.get::<_, i64>(3)?.max(0) as u64))
    })?;
    rows.collect()
}

/// Adds to the row of a day; true if the row is new.
fn add(
    transaction: &Transaction<'_>,
    day: i64,
    id: &Id,
    pending: &Pending,
) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM left_out WHERE day = ? AND key = ? AND part = ? AND reason = ?";
    let there: i64 = transaction
        .prepare_cached(sql)?
        .query_row((day, &id.0, &id.1, &id.2), |row| row.get(0))?;
    transaction
        .prepare_cached(
            "INSERT INTO left_out VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET check_ins = check_ins + ?5, length = max(length, ?8),
                 type = CASE WHEN ?7 = 'other' THEN type ELSE ?7 END",
        )?
        .execute((
            day,
            &id.0,
            &id.1,
            &id.2,
            pending.check_ins as i64,
            &pending.since_version,
            pending.value_type.as_str(),
            pending.length as i64,
        ))?;
    Ok(there == 0)
}

impl LedgerReader {
    /// Keys that were left out on the days that a span touches, most check-ins first.
    pub fn left_out(&self, from: i64, to: i64) -> Result<Vec<LeftOutRow>, LedgerError> {
        if self.version()? < SINCE {
            return Ok(Vec::new());
        }
        let sql = "SELECT key, part, reason, sum(check_ins), max(day), max(length),
                (SELECT f.since_version FROM left_out f WHERE f.key = l.key AND f.part = l.part
                    AND f.reason = l.reason ORDER BY f.day LIMIT 1),
                (SELECT t.type FROM left_out t WHERE t.key = l.key AND t.part = l.part
                    AND t.reason = l.reason ORDER BY t.type = 'other', t.day DESC LIMIT 1)
            FROM left_out l WHERE day > ?1 - 86400 AND day < ?2
            GROUP BY key, part, reason ORDER BY sum(check_ins) DESC, key, part, reason";
        self.all(sql, (from, to), |row| {
            Ok(LeftOutRow {
                key: row.get(0)?,
                part: row.get(1)?,
                reason: row.get(2)?,
                check_ins: row.get::<_, i64>(3)?.max(0) as u64,
                last_day: row.get(4)?,
                length: row.get::<_, i64>(5)?.max(0) as u64,
                since_version: row.get(6)?,
                value_type: row.get(7)?,
            })
        })
    }
}
