//! How far a reader has come.

/// A place between two lines of the log. Readers keep theirs; a segment is deleted once every reader is
/// past it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The number of the segment; there may be none of this number, then the next one follows.
    pub segment: u64,
    /// Bytes of the segment before the place.
    pub offset: u64,
    /// Lines of the segment before the place.
    pub lines: u64,
}
