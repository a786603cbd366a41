//! Writes the periods and days of an import that the ledger does not know, within one transaction.

use rusqlite::Transaction;

use super::Imported;
use super::ids::Ids;
use crate::totals::days::DAY;
use crate::totals::history::{Entry, Figure, Kind};
use crate::totals::periods::{Length, Lengths};

/// State of one transaction of an import.
pub(super) struct Writing {
    pub source: &'static str,
    pub lengths: Lengths,
    pub own_from: i64,
    pub imported: Imported,
}

impl Writing {
    pub fn write(
        &mut self,
        transaction: &Transaction<'_>,
        entry: &Entry,
        ids: &mut Ids,
    ) -> rusqlite::Result<()> {
        let Some(all) = entry.all else {
            self.imported.left_out += 1;
            return Ok(());
        };
        if !may_take(transaction, entry)? {
            self.imported.known += 1;
            return Ok(());
        }
        if entry.kind == Kind::Period && !self.fit(entry.start, entry.seconds) {
            self.imported.left_out += 1;
            return Ok(());
        }
        delete(transaction, entry, ids)?;
        write_all(transaction, entry, all)?;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO imported VALUES (?, ?, ?, ?)")?
            .execute((entry.kind == Kind::Day, entry.start, self.source, all.total))?;
        for of in &entry.values {
            let dimension = ids.dimension(transaction, &of.dimension, of.of.as_str())?;
            let value = ids.value(transaction, dimension, &of.value, &of.country, &of.name)?;
            write_value(transaction, entry, dimension, value, of.figure)?;
        }
        for of in &entry.numbers {
            let dimension = ids.dimension(transaction, &of.field, "number")?;
            let sql = match entry.kind {
                Kind::Day => "INSERT OR REPLACE INTO number_day VALUES (?, ?, ?, ?, ?, ?)",
                Kind::Period => "INSERT OR REPLACE INTO number VALUES (?, ?, ?, ?, ?, ?)",
            };
            transaction.prepare_cached(sql)?.execute((
                dimension,
                entry.start,
                of.count,
                of.sum,
                of.least,
                of.greatest,
            ))?;
        }
        self.imported.taken += 1;
        Ok(())
    }

    /// Whether the period fits the ledger's period lengths. Before the first period that the server counted
    /// itself, the lengths are changed to fit.
    fn fit(&mut self, start: i64, seconds: i64) -> bool {
        let fits = |lengths: &Lengths| {
            let period = lengths.at(start);
            period.start == start && period.seconds() == seconds
        };
        if fits(&self.lengths) {
            return true;
        }
        if start.saturating_add(seconds) > self.own_from {
            return false;
        }
        let now = self.lengths.seconds_at(self.own_from);
        let mut changed: Vec<Length> = self.lengths.iter().filter(|l| l.since < start).collect();
        changed.push(Length {
            since: start,
            seconds,
        });
        if self.own_from < 1 << 62 {
            changed.push(Length {
                since: self.own_from,
                seconds: now,
            });
            changed.extend(self.lengths.iter().filter(|l| l.since > self.own_from));
        }
        match Lengths::from_kept(changed).filter(fits) {
            Some(lengths) => {
                self.lengths = lengths;
                true
            }
            None => false,
        }
    }
}

/// Whether an entry may be imported: the ledger does not have it, or has it only from an earlier import to which
/// no record was added since.
fn may_take(transaction: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<bool> {
    let day = entry.start - entry.start.rem_euclid(DAY);
    let sql = match entry.kind {
        Kind::Period => {
            "SELECT EXISTS (SELECT 1 FROM day WHERE start = ?1)
                 OR EXISTS (SELECT 1 FROM period p LEFT JOIN imported i ON i.start = p.start AND i.is_day = 0
                            WHERE p.start = ?2 AND p.total > 0 AND i.total IS NOT p.total)"
        }
        Kind::Day => {
            "SELECT EXISTS (SELECT 1 FROM period WHERE start >= ?2 AND start < ?2 + 86400)
                 OR EXISTS (SELECT 1 FROM day d LEFT JOIN imported i ON i.start = d.start AND i.is_day = 1
                            WHERE d.start = ?1 AND d.periods > 0 AND i.total IS NOT d.mean)"
        }
    };
    let mut statement = transaction.prepare_cached(sql)?;
    let known: bool = statement.query_row((day, entry.start), |row| row.get(0))?;
    Ok(!known)
}

/// Deletes what an earlier import wrote for the same entry.
fn delete(transaction: &Transaction<'_>, entry: &Entry, ids: &mut Ids) -> rusqlite::Result<()> {
    let (row, values, numbers) = match entry.kind {
        Kind::Day => (
            "DELETE FROM day WHERE start = ?",
            "DELETE FROM total_day WHERE dimension = ? AND day = ?",
            "DELETE FROM number_day WHERE dimension = ? AND day = ?",
        ),
        Kind::Period => (
            "DELETE FROM period WHERE start = ?",
            "DELETE FROM total WHERE dimension = ? AND period = ?",
            "DELETE FROM number WHERE dimension = ? AND period = ?",
        ),
    };
    if transaction.prepare_cached(row)?.execute([entry.start])? == 0 {
        return Ok(());
    }
    for dimension in ids.all_dimensions(transaction)? {
        for sql in [values, numbers] {
            transaction
                .prepare_cached(sql)?
                .execute((dimension, entry.start))?;
        }
    }
    Ok(())
}

fn write_all(transaction: &Transaction<'_>, entry: &Entry, all: Figure) -> rusqlite::Result<()> {
    match entry.kind {
        Kind::Day => transaction
            .prepare_cached("INSERT INTO day VALUES (?, ?, ?, ?, ?, ?)")?
            .execute((
                entry.start,
                entry.periods,
                entry.covered_seconds,
                all.total,
                all.least,
                all.greatest,
            )),
        Kind::Period => transaction
            .prepare_cached(
                "INSERT INTO period (start, seconds, total, present_ms, sent) VALUES (?, ?, ?, ?, 0)",
            )?
            .execute((
                entry.start,
                entry.seconds,
                all.greatest,
                entry.covered_seconds.saturating_mul(1000),
            )),
    }
    .map(drop)
}

fn write_value(
    transaction: &Transaction<'_>,
    entry: &Entry,
    dimension: i64,
    value: i64,
    figure: Figure,
) -> rusqlite::Result<()> {
    match entry.kind {
        Kind::Day => transaction
            .prepare_cached("INSERT OR REPLACE INTO total_day VALUES (?, ?, ?, ?, ?, ?)")?
            .execute((
                dimension,
                entry.start,
                value,
                figure.total,
                figure.least,
                figure.greatest,
            )),
        Kind::Period => transaction
            .prepare_cached("INSERT OR REPLACE INTO total VALUES (?, ?, ?, ?)")?
            .execute((dimension, entry.start, value, figure.greatest)),
    }
    .map(drop)
}
