//! The changes that the limits made to a record, and their log lines.

use super::MAX_EXTRA_KEYS;
use super::kind::Kind;

/// The limits that a record met. All but `changed` are set only the first time, so that each is logged once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limited {
    /// Tags whose budget is used up.
    pub tags: Vec<String>,
    /// `--max-series` is reached.
    pub series: bool,
    /// The tag that used up `--max-series`, where there is one.
    pub filled: Option<Filling>,
    /// Half of `--max-series` is used up.
    pub half: Option<Filling>,
    /// Tags that used up half of their budget, and their numbers of values.
    pub fast: Vec<(String, usize)>,
    /// The number of extra keys is used up.
    pub keys: bool,
    /// The memory for tag values is used up.
    pub memory: bool,
    /// Extra keys that came as another kind than before.
    pub kinds: Vec<OtherKind>,
    /// The record is not stored as it came.
    pub changed: bool,
}

/// The number of tag sets, and the tag that takes most of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filling {
    /// The tag that has the most values.
    pub tag: String,
    pub values: usize,
    /// Number of known tag sets.
    pub sets: usize,
    /// `--max-series`.
    pub most: usize,
}

/// The remedy for a tag with many values.
const LEAVE_OUT: &str = "if its values identify installations, remove it from the request schema, or have clients send it in \
     extraFieldInfo";

/// An extra key that was left out because it came as another kind than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherKind {
    pub key: String,
    pub before: Kind,
    pub now: Kind,
}

impl Limited {
    /// Logs the limits that were met for the first time. Each is logged once, and there are few keys, so that no
    /// flood can fill the log.
    pub fn say(&self) {
        for tag in &self.tags {
            log::warn!(
                "tag {tag:?}: --max-tag-values is reached; further new values are stored as \"other\"; \
                 list its values or a pattern in the request schema"
            );
        }
        for OtherKind { key, before, now } in &self.kinds {
            log::warn!(
                "extra key {key:?} came as {before} before and now as {now}; it is stored only as {before}, \
                 and left out otherwise; set its type in a --request-schema"
            );
        }
        for (tag, values) in &self.fast {
            log::warn!(
                "tag {tag:?}: half of the new values that --max-tag-values allows in a day are used, the tag has \
                 {values} values; new values beyond the limit will be stored as \"other\"; {LEAVE_OUT}"
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
                "tag {tag:?}: {sets} of the {most} tag sets that --max-series allows are used, and this tag has \
                 the most values ({values}); when the limit is reached, it will be stored as \"other\" in new tag \
                 sets; {LEAVE_OUT}"
            );
        }
        if self.series {
            let filled = self.filled.as_ref();
            let (tag, values) = filled.map_or(("", 0), |filling| (&filling.tag, filling.values));
            log::warn!(
                "--max-series is reached; in new tag sets, tag {tag:?}, which has the most values ({values}), and \
                 new values of other tags are stored as \"other\" or left out; {LEAVE_OUT}, then stop the server \
                 and delete the file known"
            );
        }
        if self.memory {
            log::warn!(
                "the memory that --max-series allows for tag values is used up; new values are stored as \
                 \"other\"; list fewer tags or their values in the request schema, or raise --max-series"
            );
        }
        if self.keys {
            log::warn!(
                "more than {MAX_EXTRA_KEYS} extra keys; new keys are left out; list the keys in a --request-schema"
            );
        }
    }
}
