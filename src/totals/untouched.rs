//! Opens a ledger without writing to its directory.
//!
//! By default, SQLite creates `-wal` and `-shm` beside the file even for a reader. A copy of a state directory must not
//! change: its owner may compare it, or start a server with it later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::{Fault, LedgerError};

/// Opens the ledger of a running server, or a copy of a ledger.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    let failed = |error: rusqlite::Error| LedgerError::of(path, &error);
    let log_size = match fs::metadata(beside(path, "-wal")) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(LedgerError::new(path, Fault::Disk(error.to_string()))),
    };
    // The log is empty, so the file is complete.
    if log_size == 0 {
        return immutable(path).map_err(failed);
    }
    let index = beside(path, "-shm");
    if !index.exists() {
        let what = format!(
            "{} is missing, but the -wal file exists; copy the whole directory again",
            index.display()
        );
        return Err(LedgerError::new(path, Fault::Missing(what)));
    }
    // If no server maintains the index, SQLite builds one in memory.
    with(path, "readonly_shm=1").map_err(failed)
}

/// Opens a file that no process writes, without creating files beside it. The write-ahead log is not read.
pub(super) fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    with(path, "immutable=1")
}

fn with(path: &Path, parameter: &str) -> rusqlite::Result<Connection> {
    let path = path.display().to_string();
    let path = path
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{path}?{parameter}"), flags)
}

/// The path with more text at its end.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
