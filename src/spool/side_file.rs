//! Reading the small files beside the segments. A damaged file must never prevent the start: it counts as missing,
//! and one warning names the effect.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The content of a file, parsed by `parse`; `None` where the file is missing or damaged. `lost` is the effect of
/// that, for the log.
pub fn read<T>(path: &Path, parse: impl Fn(&str) -> Option<T>, lost: &str) -> Option<T> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            log::warn!("{}: cannot be read: {error}; {lost}", path.display());
            return None;
        }
    };
    let parsed = std::str::from_utf8(&bytes).ok().and_then(parse);
    if parsed.is_none() {
        log::warn!("{}: damaged, {lost}; check the disk", path.display());
    }
    parsed
}
