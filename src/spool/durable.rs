//! Names of files that survive a loss of power.

use std::fs::File;
use std::io;
use std::path::Path;

/// Syncs a file's directory entry, which syncing the file does not do.
pub fn sync_entry(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
