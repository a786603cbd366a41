//! The file of the ledger: created with its mode, checked while the server runs, and renamed if it is damaged.
//!
//! The process must never open `totals.db` without SQLite while a connection is open: closing that descriptor would
//! drop SQLite's locks on the file (POSIX locks belong to the process). Another program that ends would then delete
//! the write-ahead log under this one, and a crash would lose the totals in it.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::error::{Fault, LedgerError};
use super::untouched::{beside, immutable};

/// The file of an open ledger.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl LedgerFile {
    /// Creates the file before SQLite does, for its mode (0600): SQLite gives `-wal` and `-shm` the same permissions.
    /// An existing file is not opened.
    pub(super) fn create(path: &Path) -> io::Result<LedgerFile> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut options = OpenOptions::new();
        let created = options.write(true).create_new(true).mode(0o600).open(path);
        match created {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let found = fs::metadata(path)?;
        if !found.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        Ok(LedgerFile {
            path: path.to_owned(),
            identity: identity(&found),
        })
    }

    /// Whether the path still leads to the opened file, and the file begins like a database.
    pub fn is_intact(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(found) => {
                identity(&found) == self.identity && found.len() > 0 && is_database(&self.path)
            }
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// Fails if the write-ahead log was deleted. SQLite would write on into the deleted file, so a crash would lose
    /// every commit. At the end of the process the commits so far are still copied to the database.
    pub fn expect_log(&self) -> Result<(), LedgerError> {
        let log = beside(&self.path, "-wal");
        if log.exists() {
            return Ok(());
        }
        let what = format!("{} was deleted; restart the server", log.display());
        Err(LedgerError::new(&self.path, Fault::Missing(what)))
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// Whether the file begins like a database. Any other fault is left to the queries: read without locks, a checkpoint
/// in progress looks like damage.
fn is_database(path: &Path) -> bool {
    let read = |connection: Connection| {
        connection.query_row("PRAGMA schema_version", (), |row| row.get::<_, i64>(0))
    };
    let read = immutable(path).and_then(read);
    !read.is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::NotADatabase))
}

/// Renames an unusable ledger and its `-wal` and `-shm` files. The new name has the time in it.
pub(super) fn set_aside(path: &Path, now: i64) -> io::Result<PathBuf> {
    let time = jiff::Timestamp::from_second(now).unwrap_or_default();
    let time = time.strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
    let named = |number: u32| beside(path, &format!(".corrupt-{time}{}", ending(number)));
    // A second rename in the same second must not overwrite the first.
    let aside = (0..=u32::MAX)
        .map(named)
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| named(0));
    for ending in ["-wal", "-shm"] {
        // These files may not exist.
        let _ = fs::rename(beside(path, ending), beside(&aside, ending));
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
