//! Opens a ledger without writing to its directory: not even the files that SQLite makes beside it.
//!
//! A reader of a write-ahead log makes `-wal` and `-shm` where there are none. A copy of a state directory stays as
//! it is: its owner may compare it, or start a server with it later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::{Fault, LedgerError};

/// Opens a ledger, of a running server or a copy.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    let failed = |error: rusqlite::Error| LedgerError::of(path, &error);
    let log_size = match fs::metadata(beside(path, "-wal")) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(LedgerError::new(path, Fault::Disk(error.to_string()))),
    };
    // Nothing is in the log, so all is in the file.
    if log_size == 0 {
        return immutable(path).map_err(failed);
    }
    let index = beside(path, "-shm");
    if !index.exists() {
        let what = format!(
            "{} is missing, but the file with -wal is there; copy the whole directory again",
            index.display()
        );
        return Err(LedgerError::new(path, Fault::Missing(what)));
    }
    // Where no server keeps the index right, SQLite makes one in memory.
    with(path, "readonly_shm=1").map_err(failed)
}

/// Opens a file that nobody writes, where SQLite may create no file beside it. The log is not read.
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

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
