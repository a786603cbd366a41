//! The sample geo database, from the very code that `make run` makes it with.

// Run as an example it has a `main`, which nobody calls here.
#[allow(dead_code)]
#[path = "../../examples/sample-geodb.rs"]
mod generator;

use std::fs;
use std::path::{Path, PathBuf};

use super::scratch::Scratch;

/// The path of the sample geo database in the scratch folder; made if it is not there yet.
#[track_caller]
pub fn sample(scratch: &Scratch) -> PathBuf {
    let path = scratch.join("sample.mmdb");
    if !path.exists() {
        generator::write(&path).unwrap();
    }
    path
}

/// What stands before the description at a database's end.
const DESCRIPTION: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// The sample database, as if it were built at `built` (seconds since 1970) and larger by `padding`
/// bytes that no record points to.
#[track_caller]
pub fn variant(sample: &Path, built: u32, padding: usize) -> Vec<u8> {
    let mut bytes = fs::read(sample).unwrap();
    let description = find(&bytes, DESCRIPTION);
    let key = b"build_epoch";
    // An unsigned 64-bit number of four bytes: its length, its type, and then the number.
    let number = description + find(&bytes[description..], key) + key.len();
    assert_eq!(bytes[number..number + 2], [4, 2], "of another length");
    bytes[number + 2..number + 6].copy_from_slice(&built.to_be_bytes());
    bytes.splice(description..description, vec![0; padding]);
    bytes
}

/// A database as a copy leaves it that was cut off after its disk space was taken: with its length and its
/// description, and zeros in the place of some records.
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
