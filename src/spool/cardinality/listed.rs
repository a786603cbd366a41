//! Tags, values and keys that are not limited, because the operator listed them.

use std::collections::HashSet;

/// The operator's lists, in the form that lines have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Tags whose values the schema lists.
    pub tags: HashSet<Vec<u8>>,
    /// The versions of the response config.
    pub app_versions: HashSet<Vec<u8>>,
    /// Whether a schema lists the extra keys, so that they need no limit here.
    pub keys: bool,
    /// Extra tags whose values are counted: those of the schema, or without one those that the operator named,
    /// because strangers choose the others.
    pub counted: Vec<String>,
}
