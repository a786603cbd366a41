//! What is kept of a check-in once it has been answered.

use super::encode as line;
use crate::checkin::request::CheckIn;
use crate::geo::Location;

/// A point that lacks only its timestamp, which the writer thread gives it.
///
/// Architecture invariant: it is built from a check-in and a location and nothing else, so no
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
    pub fn new(
        check_in: &CheckIn<'_>,
        location: &Location<'_>,
        request_id: Option<&str>,
        scratch: &mut Vec<u8>,
    ) -> Record {
        scratch.clear();
        line::encode(check_in, location, request_id, scratch);
        Record {
            point: scratch.as_slice().into(),
        }
    }

    /// Measurement, tags and fields in line protocol, without timestamp and newline.
    pub fn point(&self) -> &[u8] {
        &self.point
    }
}
