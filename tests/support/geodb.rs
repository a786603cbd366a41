//! The sample geo database, from the very code that `make run` makes it with.

// Run as an example it has a `main`, which nobody calls here.
#[allow(dead_code)]
#[path = "../../examples/sample-geodb.rs"]
mod generator;

use std::path::PathBuf;

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
