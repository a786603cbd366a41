//! The history of another server comes into the ledger, beside a running server or without one.
//!
//! Architecture invariant: an import fills what the ledger does not know, and never adds to a number. So a
//! repeated import counts nothing twice, and a period that this server counted stays as it is. Transactions
//! are short, and no value is deleted: a server that has the ledger open goes on counting.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::days::{self, DAY};
use super::error::{Fault, LedgerError};
use super::history::{Entry, Figure, Kind};
use super::ledger::{in_transaction, kept_lengths, set_up, write_lengths};
use super::periods::{Length, Lengths};
use super::{Opening, schema};
use crate::spool::clock::now_seconds;

/// How long the import waits for the server's commit.
const BUSY: Duration = Duration::from_secs(10);
/// Rows of one transaction, about a tenth of a second: the server waits 250 ms for its turn.
const ROWS: usize = 20_000;
/// Days of one transaction.
const DAYS: usize = 8;
/// The server's turn after each transaction.
const PAUSE: Duration = Duration::from_millis(30);

/// What an import did, in periods and days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub taken: u64,
    /// Known already: counted by this server, or imported before and since kept as days.
    pub known: u64,
    /// Periods that overlap others, or have no total.
    pub left_out: u64,
}

/// A ledger that is imported into.
#[derive(Debug)]
pub struct Importer {
    path: PathBuf,
    connection: Connection,
    keep: Duration,
    source: &'static str,
    lengths: Lengths,
    /// The first moment that this server counted itself.
    own_from: i64,
    ids: Ids,
    pending: Vec<Entry>,
    rows: usize,
    imported: Imported,
}

impl Importer {
    /// Opens or creates the ledger. `source` marks what is imported.
    pub fn open(opening: &Opening, source: &'static str) -> Result<Importer, LedgerError> {
        let path = &opening.path;
        if !path.exists() {
            opening.open(now_seconds())?;
        }
        let failed = |error: rusqlite::Error| LedgerError::of(path, &error);
        let mut connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        let version = schema::version(&connection).map_err(failed)?;
        if version > schema::VERSION {
            return Err(LedgerError::new(path, Fault::Newer(version)));
        }
        set_up(&connection).map_err(failed)?;
        schema::migrate(&mut connection).map_err(failed)?;
        let kept = kept_lengths(&connection).map_err(failed)?;
        let lengths = Lengths::from_kept(kept)
            .unwrap_or_else(|| Lengths::always(opening.query_period.seconds()));
        let own_from = own_from(&connection).map_err(failed)?;
        Ok(Importer {
            path: path.clone(),
            connection,
            keep: opening.keep,
            source,
            lengths,
            own_from,
            ids: Ids::default(),
            pending: Vec::new(),
            rows: 0,
            imported: Imported::default(),
        })
    }

    /// Takes an entry, in the order of their starts. It is written with others, at `finish` at the latest.
    pub fn add(&mut self, entry: Entry) -> Result<(), LedgerError> {
        self.rows += 1 + entry.values.len() + entry.numbers.len();
        self.pending.push(entry);
        if self.rows < ROWS {
            return Ok(());
        }
        self.write()?;
        std::thread::sleep(PAUSE);
        Ok(())
    }

    /// Writes the rest, and turns into days what is older than what is kept in full detail.
    pub fn finish(mut self) -> Result<Imported, LedgerError> {
        self.write()?;
        self.keep_days()?;
        Ok(self.imported)
    }

    fn write(&mut self) -> Result<(), LedgerError> {
        let pending = std::mem::take(&mut self.pending);
        self.rows = 0;
        let mut writing = Writing {
            source: self.source,
            lengths: self.lengths.clone(),
            own_from: self.own_from,
            imported: self.imported,
        };
        let ids = &mut self.ids;
        let written = in_transaction(&mut self.connection, |transaction| {
            ids.forget_after_others(transaction)?;
            for entry in &pending {
                writing.write(transaction, entry, ids)?;
            }
            transaction.execute("DELETE FROM length", ())?;
            write_lengths(transaction, &writing.lengths)
        });
        written.map_err(|error| LedgerError::of(&self.path, &error))?;
        (self.lengths, self.imported) = (writing.lengths, writing.imported);
        Ok(())
    }

    /// Before the newest day only days are shown, so periods before it become days too.
    fn keep_days(&mut self) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let failed = |error: rusqlite::Error| LedgerError::of(&path, &error);
        let keep = i64::try_from(self.keep.as_secs()).unwrap_or(i64::MAX);
        loop {
            let mut ids = super::commit::Ids::default();
            let more = in_transaction(&mut self.connection, |transaction| {
                let sql = "SELECT coalesce(max(start) + 86400, 0) FROM day";
                let newest: i64 = transaction.query_row(sql, (), |row| row.get(0))?;
                let before = now_seconds().saturating_sub(keep).max(newest);
                for _ in 0..DAYS {
                    if !days::keep_one_of(transaction, before, &mut ids)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            });
            if !more.map_err(failed)? {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Since when the ledger has what was not imported.
fn own_from(connection: &Connection) -> rusqlite::Result<i64> {
    let sql =
        "SELECT min(coalesce((SELECT min(start) FROM period WHERE (total > 0 OR present_ms > 0)
                   AND start NOT IN (SELECT start FROM imported WHERE is_day = 0)), 1 << 62),
               coalesce((SELECT min(start) FROM day
                   WHERE start NOT IN (SELECT start FROM imported WHERE is_day = 1)), 1 << 62))";
    connection.query_row(sql, (), |row| row.get(0))
}

/// One transaction.
struct Writing {
    source: &'static str,
    lengths: Lengths,
    own_from: i64,
    imported: Imported,
}

impl Writing {
    fn write(
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

    /// Whether the ledger has periods like this one, or may have them: before it counted itself, lengths are
    /// those of the import.
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

/// Whether the ledger does not know it, or only from an import that nothing was added to since.
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

/// An earlier import of the same makes room for this one.
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
                "INSERT INTO period (start, seconds, total, present_ms) VALUES (?, ?, ?, ?)",
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

/// The ids of dimensions and values, while nobody else changes the ledger.
#[derive(Debug, Default)]
struct Ids {
    version: i64,
    dimensions: HashMap<(String, &'static str), i64>,
    values: HashMap<(i64, String, String), i64>,
}

impl Ids {
    /// The server deletes values that no total has any more.
    fn forget_after_others(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let version = transaction.query_row("PRAGMA data_version", (), |row| row.get(0))?;
        if version != self.version {
            *self = Ids {
                version,
                ..Ids::default()
            };
        }
        Ok(())
    }

    fn all_dimensions(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Vec<i64>> {
        let mut statement = transaction.prepare_cached("SELECT id FROM dimension")?;
        statement.query_map((), |row| row.get(0))?.collect()
    }

    fn dimension(
        &mut self,
        transaction: &Transaction<'_>,
        name: &str,
        kind: &'static str,
    ) -> rusqlite::Result<i64> {
        let key = (name.to_owned(), kind);
        if let Some(&id) = self.dimensions.get(&key) {
            return Ok(id);
        }
        let found = transaction
            .prepare_cached("SELECT id FROM dimension WHERE name = ? AND kind = ?")?
            .query_row((name, kind), |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => transaction
                .prepare_cached("INSERT INTO dimension (name, kind) VALUES (?, ?)")?
                .insert((name, kind))?,
        };
        self.dimensions.insert(key, id);
        Ok(id)
    }

    fn value(
        &mut self,
        transaction: &Transaction<'_>,
        dimension: i64,
        text: &str,
        country: &str,
        name: &Option<String>,
    ) -> rusqlite::Result<i64> {
        let key = (dimension, text.to_owned(), country.to_owned());
        if let Some(&id) = self.values.get(&key) {
            return Ok(id);
        }
        // A name that is there already is the newer one.
        let sql = "INSERT INTO value (dimension, value, country, name) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET name = coalesce(name, ?4) RETURNING id";
        let id = transaction
            .prepare_cached(sql)?
            .query_row((dimension, text, country, name), |row| row.get(0))?;
        self.values.insert(key, id);
        Ok(id)
    }
}
