//! What is kept of a check-in once it has been answered.

use super::encode as line;
use super::parts::Parts;

/// A point that lacks only its timestamp, which the writer thread gives it.
///
/// Architecture invariant: it is built from these parts and nothing else, so no
/// client address can be in it. It is encoded at once, on the connection's thread, because that
/// leaves one allocation of the exact size: the channel holds up to 65,536 records, and a struct of
/// strings would cost it several MiB of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    point: Box<[u8]>,
}

impl Record {
    /// Makes the record of a check-in. `scratch` is overwritten; it saves a growing buffer per
    /// check-in.
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
