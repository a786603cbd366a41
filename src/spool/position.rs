//! The position of a reader in the log.

/// A place between two lines of the log. Readers keep theirs; a segment is deleted once every reader is
/// past it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The number of the segment. If there is no segment of this number, the position is the start of the next one.
    pub segment: u64,
    /// Bytes of the segment before the position.
    pub offset: u64,
    /// Lines of the segment before the position.
    pub lines: u64,
}
