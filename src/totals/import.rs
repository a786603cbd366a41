//! The history of another server comes into the ledger, beside a running server or without one.
//!
//! Architecture invariant: an import fills what the ledger does not know, and never adds to a number. So a
//! repeated import counts nothing twice, and a period that this server counted stays as it is. Transactions
//! are short, and no value is deleted: a server that has the ledger open goes on counting.

mod ids;
mod writing;

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use super::Opening;
use super::days;
use super::error::LedgerError;
use super::history::Entry;
use super::ledger::{connect, in_transaction, kept_lengths, write_lengths};
use super::periods::Lengths;
use crate::spool::clock::now_seconds;
use ids::Ids;
use writing::Writing;

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
        let connection = connect(path, BUSY)?;
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
