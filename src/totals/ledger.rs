//! The ledger: the embedded database of totals. This module is the side that writes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::commit::Ids;
use super::counts::Counts;
use super::error::{Fault, LedgerError};
use super::file::LedgerFile;
use super::periods::{Length, Lengths};
use super::{days, schema};
use crate::spool::Position;
use crate::units::duration::QueryPeriod;

/// Longest time that SQLite waits for another process that locks the file; the caller retries later.
const BUSY: Duration = Duration::from_millis(250);
/// Bytes reserved in the write-ahead log and in free pages of the file. On a full disk, commits then still succeed,
/// and the counted segments can be deleted.
const RESERVE: i64 = 192 * 1024;
/// Pages of the write-ahead log after which SQLite copies them to the database and reuses the log.
const CHECKPOINT: i64 = 64;
/// Size of the page cache, in KiB.
const CACHE_KIB: i64 = 256;
/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    connection: Connection,
    file: LedgerFile,
    keep: Duration,
    lengths: Lengths,
    position: Position,
    oldest: u64,
    ids: Ids,
}

impl Ledger {
    /// Opens or creates the file (mode 0600). If `query_period` differs from the ledger's, the length of periods
    /// changes soon after `now`, in seconds since 1970. [`Ledger::keep_days`] uses `keep`.
    pub fn open(
        path: &Path,
        query_period: QueryPeriod,
        keep: Duration,
        now: i64,
    ) -> Result<Ledger, LedgerError> {
        let failed = |error: rusqlite::Error| LedgerError::of(path, &error);
        let file = LedgerFile::create(path)
            .map_err(|error| LedgerError::new(path, Fault::Disk(error.to_string())))?;
        let mut connection = connect(path, BUSY)?;
        let (position, oldest) = read_position(&connection).map_err(failed)?;
        let lengths = take_length(&mut connection, query_period, now).map_err(failed)?;
        let lengths = lengths.ok_or_else(|| {
            let what = "invalid period lengths".to_owned();
            LedgerError::new(path, Fault::Corrupt(what))
        })?;
        Ok(Ledger {
            path: path.to_owned(),
            connection,
            file,
            keep,
            lengths,
            position,
            oldest,
            ids: Ids::default(),
        })
    }

    /// The position in the spool up to which records are counted.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Number of the oldest segment at the last commit.
    pub fn oldest(&self) -> u64 {
        self.oldest
    }

    /// The lengths of periods over time.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// Commits counts and position in one transaction. An error leaves the ledger unchanged, and the same counts
    /// can be committed later.
    pub fn commit(
        &mut self,
        counts: &mut Counts,
        position: Position,
        oldest: u64,
    ) -> Result<(), LedgerError> {
        let ids = &mut self.ids;
        let committed = in_transaction(&mut self.connection, |transaction| {
            ids.write(transaction, counts)?;
            transaction
                .prepare_cached("UPDATE reader SET segment = ?, offset = ?, lines = ?, oldest = ?")?
                .execute((
                    position.segment as i64,
                    position.offset as i64,
                    position.lines as i64,
                    oldest as i64,
                ))
                .map(drop)
        });
        match committed {
            Ok(()) => {
                (self.position, self.oldest) = (position, oldest);
                Ok(())
            }
            Err(error) => {
                // The rollback removed rows whose ids are cached.
                self.ids = Ids::default();
                Err(LedgerError::of(&self.path, &error))
            }
        }
    }

    /// Runs `write` in a transaction and commits it.
    pub(super) fn within<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let written = in_transaction(&mut self.connection, write);
        written.map_err(|error| LedgerError::of(&self.path, &error))
    }

    /// Turns the periods of one day older than `keep` into day rows; false if there was no such day.
    pub fn keep_days(&mut self, now: i64) -> Result<bool, LedgerError> {
        let keep = i64::try_from(self.keep.as_secs()).unwrap_or(i64::MAX);
        let before = now.saturating_sub(keep);
        let ids = &mut self.ids;
        let kept = in_transaction(&mut self.connection, |transaction| {
            days::keep_one(transaction, before, ids)
        });
        if kept.is_err() {
            self.ids = Ids::default();
        }
        kept.map_err(|error| LedgerError::of(&self.path, &error))
    }

    /// Excludes periods that began up to a moment, in seconds since 1970, from sending. This ledger replaces a
    /// damaged one and may know only a part of those periods; totals that the old one sent must stay.
    pub fn leave_before(&mut self, moment: i64) -> Result<(), LedgerError> {
        let since = self.lengths.at(moment).end;
        let sql = "INSERT OR REPLACE INTO own VALUES ('', ?)";
        let left = self.connection.execute(sql, [since]).map(drop);
        left.map_err(|error| LedgerError::of(&self.path, &error))
    }

    /// Reserves disk space, so that counting continues on a full disk. SQLite uses free pages before the file
    /// grows, and reuses the space of the write-ahead log.
    pub fn reserve(&mut self) -> Result<(), LedgerError> {
        let free = "SELECT (SELECT freelist_count FROM pragma_freelist_count)
                        * (SELECT page_size FROM pragma_page_size)";
        let reserve = |connection: &Connection| -> rusqlite::Result<()> {
            let free: i64 = connection.query_row(free, (), |row| row.get(0))?;
            let missing = RESERVE.saturating_sub(free).max(RESERVE / 2);
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; CREATE TABLE reserve (data BLOB);
                 INSERT INTO reserve VALUES (zeroblob({missing})); DROP TABLE reserve; COMMIT;
                 PRAGMA wal_checkpoint(PASSIVE);"
            ))
        };
        let reserved = reserve(&self.connection);
        if reserved.is_err() {
            // The failed batch left its transaction open.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        reserved.map_err(|error| LedgerError::of(&self.path, &error))
    }

    /// The file of the ledger.
    pub fn file(&self) -> &LedgerFile {
        &self.file
    }
}

/// Opens a writable connection and migrates the tables to the current version. `busy` is the longest wait for
/// another writer.
pub(super) fn connect(path: &Path, busy: Duration) -> Result<Connection, LedgerError> {
    let failed = |error: rusqlite::Error| LedgerError::of(path, &error);
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(busy).map_err(failed)?;
    let version = schema::version(&connection).map_err(failed)?;
    if version > schema::VERSION {
        return Err(LedgerError::new(path, Fault::Newer(version)));
    }
    set_up(&connection).map_err(failed)?;
    schema::migrate(&mut connection).map_err(failed)?;
    Ok(connection)
}

/// Sets up the connection. With a write-ahead log, readers and commits do not wait for each other. `FULL` makes a
/// commit survive a power cut, so that counted segments can be deleted after it.
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

pub(super) fn read_position(connection: &Connection) -> rusqlite::Result<(Position, u64)> {
    let sql = "SELECT segment, offset, lines, oldest FROM reader";
    connection.query_row(sql, (), |row| {
        let number = |at| row.get(at).map(|number: i64| number.max(0) as u64);
        let position = Position {
            segment: number(0)?,
            offset: number(1)?,
            lines: number(2)?,
        };
        Ok((position, number(3)?))
    })
}

/// Reads the lengths of periods and adds the query period; `None` if the stored lengths are invalid.
fn take_length(
    connection: &mut Connection,
    query_period: QueryPeriod,
    now: i64,
) -> rusqlite::Result<Option<Lengths>> {
    in_transaction(connection, |transaction| {
        let kept = kept_lengths(transaction)?;
        if kept.is_empty() {
            let lengths = Lengths::always(query_period.seconds());
            write_lengths(transaction, &lengths)?;
            return Ok(Some(lengths));
        }
        let Some(mut lengths) = Lengths::from_kept(kept) else {
            return Ok(None);
        };
        let sql = "SELECT max(start) FROM period WHERE start <= ?";
        let newest: Option<Option<i64>> = transaction
            .query_row(sql, [now], |row| row.get(0))
            .optional()?;
        let before = lengths.clone();
        lengths.change(query_period.seconds(), now, newest.flatten().unwrap_or(0));
        if lengths != before {
            transaction.execute("DELETE FROM length", ())?;
            write_lengths(transaction, &lengths)?;
        }
        Ok(Some(lengths))
    })
}

pub(super) fn kept_lengths(connection: &Connection) -> rusqlite::Result<Vec<Length>> {
    let mut statement = connection.prepare("SELECT since, seconds FROM length ORDER BY since")?;
    let rows = statement.query_map((), |row| {
        Ok(Length {
            since: row.get(0)?,
            seconds: row.get(1)?,
        })
    })?;
    rows.collect()
}

pub(super) fn write_lengths(
    transaction: &Transaction<'_>,
    lengths: &Lengths,
) -> rusqlite::Result<()> {
    for length in lengths.iter() {
        transaction.execute(
            "INSERT INTO length VALUES (?, ?)",
            (length.since, length.seconds),
        )?;
    }
    Ok(())
}

/// Runs `write` in a transaction that takes the write lock at its beginning, where waiting for it is safe.
pub(super) fn in_transaction<T>(
    connection: &mut Connection,
    write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let behavior = rusqlite::TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(behavior)?;
    let written = write(&transaction)?;
    transaction.commit()?;
    Ok(written)
}
