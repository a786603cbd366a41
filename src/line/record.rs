//! The record: the part of a check-in that is stored.

use super::encode as line;
use super::parts::Parts;

/// A point without its timestamp, which the writer thread adds.
///
/// Architecture invariant: a record is built only from [`Parts`], which has no client address. It is encoded
/// immediately, on the connection's thread, which leaves one allocation of the exact size: the channel holds up to
/// 65,536 records, and a struct of strings would take several MiB of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    point: Box<[u8]>,
}

impl Record {
    /// Makes the record of a check-in. `scratch` is a reused buffer, which is overwritten.
    pub fn new(parts: &Parts<'_>, scratch: &mut Vec<u8>) -> Record {
        scratch.clear();
        line::encode(parts, scratch);
        Record {
            point: scratch.as_slice().into(),
        }
    }

    /// Measurement, tags and fields in line protocol, without timestamp and newline.
    pub fn point(&self) -> &[u8] {
        &self.point
    }
}
