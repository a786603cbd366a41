//! Names of files that outlive a loss of power.

use std::fs::File;
use std::io;
use std::path::Path;

/// Brings a file's name to the disk: syncing the file does not.
pub fn sync_entry(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
