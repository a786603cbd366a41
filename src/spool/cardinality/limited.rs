//! What the limits did to a record, and what is said of it.

use super::MAX_EXTRA_KEYS;
use super::kind::Kind;

/// What was not stored as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limited {
    /// Tags whose budget is used up, said for the first time.
    pub tags: Vec<String>,
    /// The number of tag sets is used up, said for the first time.
    pub series: bool,
    /// The number of extra keys is used up, said for the first time.
    pub keys: bool,
    /// The memory for values is used up, said for the first time.
    pub memory: bool,
    /// Extra keys that came as another kind than before, said for the first time.
    pub kinds: Vec<OtherKind>,
    /// The record was changed.
    pub changed: bool,
}

/// An extra key that was left out because it came as another kind than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherKind {
    pub key: String,
    pub before: Kind,
    pub now: Kind,
}

impl Limited {
    /// Says what is new. Each of it comes once, and there are few keys, so that no flood can fill the
    /// log.
    pub fn say(&self) {
        for tag in &self.tags {
            log::warn!(
                "tag {tag:?}: more new values than --max-tag-values, further ones are stored as \
                 \"other\"; list its values or a pattern in the request schema"
            );
        }
        for OtherKind { key, before, now } in &self.kinds {
            log::warn!(
                "extra key {key:?} came as {before} before and now as {now}, which is left out from \
                 now on; say in a --request-schema what it is"
            );
        }
        if self.series {
            log::warn!(
                "more combinations of tags than --max-series, the extra tags of further ones are \
                 stored as \"other\" or left out; list fewer tags in the request schema"
            );
        }
        if self.memory {
            log::warn!(
                "the values of all tags take the memory that --max-series allows, further ones are \
                 stored as \"other\"; list fewer tags or their values in the request schema, or raise \
                 --max-series"
            );
        }
        if self.keys {
            log::warn!(
                "more than {MAX_EXTRA_KEYS} different extra keys, further ones are left out; give a \
                 --request-schema"
            );
        }
    }
}
