//! The sample geo database, created with the code of `make run`, so that tests and the demonstration have the same
//! places.

// The file is an example too: its `main` is not called here.
#[allow(dead_code)]
#[path = "../../examples/sample-geodb.rs"]
mod generator;

use std::fs;
use std::path::{Path, PathBuf};

use super::scratch::Scratch;

/// The path of the sample geo database in the scratch folder; created if missing.
#[track_caller]
pub fn sample(scratch: &Scratch) -> PathBuf {
    let path = scratch.join("sample.mmdb");
    if !path.exists() {
        generator::write(&path).unwrap();
    }
    path
}

/// The bytes before the metadata at the end of a database.
const DESCRIPTION: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// The sample database with another build time (seconds since 1970), and `padding` bytes that no record points to.
#[track_caller]
pub fn variant(sample: &Path, built: u32, padding: usize) -> Vec<u8> {
    let mut bytes = fs::read(sample).unwrap();
    let description = find(&bytes, DESCRIPTION);
    let key = b"build_epoch";
    // The build time is an unsigned 64-bit number of four bytes: length, type, and then the number.
    let number = description + find(&bytes[description..], key) + key.len();
    assert_eq!(
        bytes[number..number + 2],
        [4, 2],
        "the build time has another length"
    );
    bytes[number + 2..number + 6].copy_from_slice(&built.to_be_bytes());
    bytes.splice(description..description, vec![0; padding]);
    bytes
}

/// A database as an interrupted copy leaves it if the disk space was allocated first: the full length and the metadata,
/// but zeros instead of some records.
pub fn hollow(sample: &[u8]) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    let description = find(&bytes, DESCRIPTION);
    bytes[description - 512..description].fill(0);
    bytes
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    let mut windows = bytes.windows(what.len());
    windows.position(|window| window == what).unwrap()
}
