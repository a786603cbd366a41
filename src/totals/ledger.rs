//! The ledger: the embedded database of totals, as the server writes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::commit::Ids;
use super::counts::Counts;
use super::error::{Fault, LedgerError};
use super::periods::{Length, Lengths};
use super::{days, schema};
use crate::spool::Position;
use crate::units::duration::QueryPeriod;

/// How long SQLite waits for somebody who holds the file; the caller tries again later.
const BUSY: Duration = Duration::from_millis(250);
/// Bytes that the write-ahead log and the free pages of the file keep for a full disk: commits go on, and the
/// segments that they are for can be deleted.
const RESERVE: i64 = 192 * 1024;
/// Pages of the write-ahead log after which it is written back and begun again.
const CHECKPOINT: i64 = 64;
/// Kibibytes of the database that are held in memory.
const CACHE_KIB: i64 = 256;
/// What every SQLite database begins with (its file format, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    connection: Connection,
    /// Device and inode of the file that was opened.
    file: (u64, u64),
    keep: Duration,
    lengths: Lengths,
    position: Position,
    oldest: u64,
    ids: Ids,
}

impl Ledger {
    /// Opens or creates the file (mode 0600). From `now` on, in seconds since 1970, the query period is
    /// that; days older than `keep` are kept as days.
    pub fn open(
        path: &Path,
        query_period: QueryPeriod,
        keep: Duration,
        now: i64,
    ) -> Result<Ledger, LedgerError> {
        let failed = |error: rusqlite::Error| LedgerError::of(path, &error);
        let file =
            create(path).map_err(|error| LedgerError::new(path, Fault::Disk(error.to_string())))?;
        let mut connection = connect(path, BUSY)?;
        let (position, oldest) = read_position(&connection).map_err(failed)?;
        let lengths = take_length(&mut connection, query_period, now).map_err(failed)?;
        let lengths = lengths.ok_or_else(|| {
            let what = "lengths of periods that make no sense".to_owned();
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

    /// Everything before it is counted.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The oldest segment that there was at the last commit.
    pub fn oldest(&self) -> u64 {
        self.oldest
    }

    /// The lengths of periods over time.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// Counts and position in one transaction. On an error nothing is changed, and the same counts can be
    /// committed later.
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
                // What it made was rolled back.
                self.ids = Ids::default();
                Err(LedgerError::of(&self.path, &error))
            }
        }
    }

    /// One transaction of its own.
    pub(super) fn within<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let written = in_transaction(&mut self.connection, write);
        written.map_err(|error| LedgerError::of(&self.path, &error))
    }

    /// Turns one day that is older than what is kept in full detail into day rows; whether there was one.
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

    /// Leaves the periods that began before a moment, in seconds since 1970, to the ledger that was here before:
    /// this one knows a part of them only, and what that one sent is not to be replaced.
    pub fn leave_before(&mut self, moment: i64) -> Result<(), LedgerError> {
        let since = self.lengths.at(moment).end;
        let sql = "INSERT OR REPLACE INTO own VALUES ('', ?)";
        let left = self.connection.execute(sql, [since]).map(drop);
        left.map_err(|error| LedgerError::of(&self.path, &error))
    }

    /// Takes disk space in advance, so that a full disk does not end the counting. Free pages are used before
    /// the file grows, and the write-ahead log is written again from its beginning.
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
            // The transaction is still open; it is the only thing to roll back.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        reserved.map_err(|error| LedgerError::of(&self.path, &error))
    }

    /// Whether the file is still the one that was opened, and begins as a database does.
    pub fn is_intact(&self) -> bool {
        let Ok(mut file) = File::open(&self.path) else {
            // Want of file descriptors passes; a file that is gone does not come back.
            return self.path.exists();
        };
        let mut magic = [0; MAGIC.len()];
        identity(&file).is_ok_and(|found| found == self.file)
            && file.read_exact(&mut magic).is_ok()
            && magic == *MAGIC
    }
}

/// Renames a ledger that cannot be used, with the time in its new name, and what belongs to it.
pub fn set_aside(path: &Path, now: i64) -> io::Result<PathBuf> {
    let time = jiff::Timestamp::from_second(now).unwrap_or_default();
    let time = time.strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
    let named = |number: u32| with_ending(path, &format!(".corrupt-{time}{}", ending(number)));
    // Two in one second are two files.
    let aside = (0..=u32::MAX)
        .map(named)
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| named(0));
    for ending in ["-wal", "-shm"] {
        // Of these there need not be any.
        let _ = fs::rename(with_ending(path, ending), with_ending(&aside, ending));
    }
    fs::rename(path, &aside)?;
    Ok(aside)
}

fn ending(number: u32) -> String {
    match number {
        0 => String::new(),
        number => format!("-{number}"),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A connection that may write, to a ledger with today's tables. `busy`: how long it waits for another writer.
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

/// SQLite gives its other files the rights of this one.
fn create(path: &Path) -> io::Result<(u64, u64)> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    identity(&file)
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// With a write-ahead log, readers never wait for a commit nor it for them; `FULL`: a commit survives a loss of
/// power, so that a segment can be deleted after it.
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

/// The lengths with the query period in them; `None` where those that were kept make no sense.
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

/// The write lock is taken at the beginning, where waiting for it does no harm.
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
