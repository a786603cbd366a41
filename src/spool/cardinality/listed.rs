//! What needs no limit.

use std::collections::HashSet;

/// What the operator listed: always allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Tags of which the schema lists the values, as they stand in a line.
    pub tags: HashSet<Vec<u8>>,
    /// The versions of the response config, as they stand in a line.
    pub app_versions: HashSet<Vec<u8>>,
    /// A schema lists the extra keys, so that they need no limit here.
    pub keys: bool,
    /// Extra tags whose values are counted, as they are stored: those of the schema, or without one those that
    /// the operator named, since strangers choose the others.
    pub counted: Vec<String>,
}
