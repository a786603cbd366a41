//! Small files that outlive a loss of power.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Replaces a file's content: after a crash it is the old one or the new one, and once this has
/// returned it is the new one, whatever happens.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&new, path)?;
    sync_entry(path)
}

/// Brings a file's name to the disk: syncing the file does not.
pub fn sync_entry(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
