//! What the limits changed in a record, and how that is logged.

use super::MAX_EXTRA_KEYS;
use super::kind::Kind;

/// What was not stored as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limited {
    /// Tags whose budget is used up, said for the first time.
    pub tags: Vec<String>,
    /// The number of tag sets is used up, said for the first time.
    pub series: bool,
    /// What filled it, where that is known.
    pub filled: Option<Filling>,
    /// Half of the number of tag sets is used up, said for the first time.
    pub half: Option<Filling>,
    /// Tags that used up half of their budget, said for the first time, and their numbers of values.
    pub fast: Vec<(String, usize)>,
    /// The number of extra keys is used up, said for the first time.
    pub keys: bool,
    /// The memory for values is used up, said for the first time.
    pub memory: bool,
    /// Extra keys that came as another kind than before, said for the first time.
    pub kinds: Vec<OtherKind>,
    /// The record was changed.
    pub changed: bool,
}

/// How full the tag sets are, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filling {
    /// The tag that has the most values.
    pub tag: String,
    pub values: usize,
    /// Tag sets that are known, and how many there may be.
    pub sets: usize,
    pub most: usize,
}

/// What can be done about a tag with many values.
const LEAVE_OUT: &str = "if its values identify installations, leave it out of the request schema, or have clients send it in \
     extraFieldInfo";

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
        for (tag, values) in &self.fast {
            log::warn!(
                "tag {tag:?}: half of the new values that --max-tag-values allows in a day came already, it has \
                 {values}; further ones will be stored as \"other\"; {LEAVE_OUT}"
            );
        }
        if let Some(Filling {
            tag,
            values,
            sets,
            most,
        }) = &self.half
        {
            log::warn!(
                "tag {tag:?}: it has {values} values, the most of all, and {sets} of the {most} combinations of \
                 tags that --max-series allows are used; at the end it will be stored as \"other\"; {LEAVE_OUT}"
            );
        }
        if self.series {
            let filled = self.filled.as_ref();
            let (tag, values) = filled.map_or(("", 0), |filling| (&filling.tag, filling.values));
            log::warn!(
                "more combinations of tags than --max-series: in further ones tag {tag:?}, which has the most \
                 values ({values}), and new values of others are stored as \"other\" or left out; {LEAVE_OUT}, \
                 then stop the server and delete the file known"
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
