//! Imports the history of another server into the ledger, whether the server is running or not.
//!
//! Architecture invariant: an import fills periods and days that the ledger does not know, and never adds to a
//! number. So a repeated import counts nothing twice, and a period that this server counted is not changed.
//! Transactions are short and no value is deleted, so that a running server can continue to count.

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

/// Longest time that the import waits for a commit of the server.
const BUSY: Duration = Duration::from_secs(10);
/// Rows of one transaction, which takes about 100 ms; the server waits at most 250 ms for the lock.
const ROWS: usize = 20_000;
/// Days that one transaction turns into day rows.
const DAYS: usize = 8;
/// Pause after each transaction, in which the server can commit.
const PAUSE: Duration = Duration::from_millis(30);

/// Result of an import, in numbers of periods and days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub taken: u64,
    /// Skipped, as the ledger has them: counted by this server, or imported earlier and kept as days since.
    pub known: u64,
    /// Skipped, as they overlap other periods or have no total.
    pub left_out: u64,
}

/// Ledger that entries are imported into.
#[derive(Debug)]
pub struct Importer {
    path: PathBuf,
    connection: Connection,
    keep: Duration,
    source: &'static str,
    lengths: Lengths,
    /// Start of the first period or day that this server counted itself.
    own_from: i64,
    ids: Ids,
    pending: Vec<Entry>,
    rows: usize,
    imported: Imported,
}

impl Importer {
    /// Opens or creates the ledger. `source` is stored with each imported period and day.
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

    /// Adds an entry; entries must come in the order of their starts. Writes them in batches, the rest in `finish`.
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

    /// Writes the remaining entries, and turns periods older than `keep` into days.
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

    /// Turns old periods into days, also all those before the newest day: reports show only days there.
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

/// Start of the first period or day that was not imported.
fn own_from(connection: &Connection) -> rusqlite::Result<i64> {
    let sql =
        "SELECT min(coalesce((SELECT min(start) FROM period WHERE (total > 0 OR present_ms > 0)
                   AND start NOT IN (SELECT start FROM imported WHERE is_day = 0)), 1 << 62),
               coalesce((SELECT min(start) FROM day
                   WHERE start NOT IN (SELECT start FROM imported WHERE is_day = 1)), 1 << 62))";
    connection.query_row(sql, (), |row| row.get(0))
}
