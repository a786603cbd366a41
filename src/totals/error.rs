//! Errors of the ledger, classified by the action that fixes them.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Error that keeps the ledger from being used.
#[derive(Debug)]
pub struct LedgerError {
    pub path: PathBuf,
    pub fault: Fault,
}

/// Kind of error.
#[derive(Debug)]
pub enum Fault {
    /// The file is damaged or not a ledger, and must be replaced by a new one.
    Corrupt(String),
    /// A newer version of the program wrote the ledger.
    Newer(i64),
    /// Another process has locked the ledger.
    Busy,
    /// The disk is full, failing or read-only, or permissions are missing.
    Disk(String),
    /// The path leads to a directory.
    Directory,
    /// The ledger does not exist, or does not have what was asked for.
    Missing(String),
}

impl LedgerError {
    pub(super) fn new(path: &Path, fault: Fault) -> LedgerError {
        // The system and SQLite report a directory as a failing disk.
        let fault = match fault {
            Fault::Disk(_) if path.is_dir() => Fault::Directory,
            other => other,
        };
        LedgerError {
            path: path.to_owned(),
            fault,
        }
    }

    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> LedgerError {
        let fault = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Fault::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => {
                Fault::Corrupt(error.to_string())
            }
            // A table or column that this program created is missing.
            Some(ErrorCode::Unknown) => Fault::Corrupt(error.to_string()),
            Some(_) => Fault::Disk(error.to_string()),
        };
        LedgerError::new(path, fault)
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            Fault::Corrupt(what) => write!(f, "{path}: the ledger is damaged ({what})"),
            Fault::Newer(version) => write!(
                f,
                "{path}: the ledger has version {version}, expected at most {}: a newer \
                 upgrade-responder wrote it; install that version, or move the file away",
                super::schema::VERSION
            ),
            Fault::Busy => write!(
                f,
                "{path}: another process holds the ledger; end that process (sqlite3, a backup)"
            ),
            Fault::Disk(what) => write!(
                f,
                "{path}: {what}; free disk space, and let the server read and write the file and its \
                 directory"
            ),
            Fault::Directory => write!(
                f,
                "{path}: found a directory, expected the file of the ledger; move the directory away"
            ),
            Fault::Missing(what) => write!(f, "{path}: {what}"),
        }
    }
}

impl LedgerError {
    /// The error for a command that only reads the ledger. The server, which replaces a damaged one, logs its own
    /// advice.
    pub fn for_a_command(&self) -> String {
        match self.fault {
            Fault::Corrupt(_) => format!(
                "{self}; restore a backup while the server is stopped, or start the server: it renames the file and \
                 counts in a new ledger"
            ),
            _ => self.to_string(),
        }
    }
}

impl std::error::Error for LedgerError {}
