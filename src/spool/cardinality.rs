//! Limits on the series that clients can create. InfluxDB keeps an index of all series in memory, and the
//! endpoint is open to anybody: without limits one client could fill that memory, and all records would wait.
//!
//! - New values of a tag: `--max-tag-values` after a start, and as many more in a day, spread over it. A flood
//!   uses up this budget but does not lock out real values, which appear slowly. A new value beyond the budget is
//!   stored as `other`.
//! - Tag sets: `--max-series`, because budgets per tag do not limit their combinations. In new sets beyond it,
//!   new values, also of `appVersion`, and the tag with the most values become `other` (see [`beyond`]). Each
//!   version with each choice of keys still makes a set of its own, so those are counted too: after
//!   [`MORE_SERIES`] of them extra tags are left out. In all there are at most `--max-series` and 1000 sets, and
//!   one more for each version. A warning at half of `--max-series` names the tag with the most values.
//! - Extra keys: [`MAX_EXTRA_KEYS`] where no schema lists them. Each stays what it came as first: a tag, or a
//!   field of one type (see [`kind`]).
//! - Memory for tag values: [`BYTES_PER_SERIES`] for each of `--max-series`, which is 32 MB by default, however
//!   long a flood lasts. A new value beyond it is stored as `other`. The hashes of tag sets take 3 MB more.
//!
//! Values that the operator lists (in the schema, or as versions of the response config) need no budget and
//! count as known beyond `--max-series`. Cities and countries come from the geo database and are not counted,
//! neither as values nor in a tag set. Known keys, values and tag sets are kept in the file `known` of the state
//! directory (see [`known`]), so that they stay known after a restart. To reset them, delete `known` while the
//! server is stopped.
//!
//! All of this runs on the writer thread. A record of a known tag set, which is nearly every one, costs one hash
//! of its tags.

mod beyond;
pub mod kind;
mod known;
mod limited;
mod listed;

use std::collections::HashSet;
use std::hash::Hasher;
use std::path::Path;

use siphasher::sip::SipHasher13;

use crate::line::encode::RESERVED_KEYS;
use crate::line::parse as point;
use kind::Kind;
use known::{Key, Known};
pub use limited::{Limited, OtherKind};
pub use listed::Listed;

/// Distinct extra tags and fields that are stored where no schema lists them.
pub(super) const MAX_EXTRA_KEYS: usize = 200;
/// Tag sets beyond `--max-series`, in which extra tags are `other`.
const MORE_SERIES: usize = 1000;
/// Bytes for tag values per tag set of `--max-series`: room for three values of usual length.
const BYTES_PER_SERIES: usize = 320;
/// Tag sets with their places in [`Limiter::seen`].
const MAX_SEEN: usize = 65_536;
/// Smallest limit whose half is warned of.
const LEAST_TO_WARN_OF: usize = 16;
/// Stored instead of a value beyond its budget.
const OTHER: &[u8] = b"other";
/// Tags that come from the geo database.
const PLACES: [&[u8]; 3] = [b"city", b"country", b"country_isocode"];
pub const APP_VERSION: &[u8] = b"app_version";

/// The operator's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `--max-tag-values`: new values of a tag at once, and in a day.
    pub tag_values: u64,
    /// `--max-series`: tag sets.
    pub series: usize,
}

/// Decides which parts of a point are stored as they came.
#[derive(Debug)]
pub struct Limiter {
    limits: Limits,
    known: Known,
    said_half: bool,
    said_series: bool,
    said_keys: bool,
    said_memory: bool,
    /// Hashes of tag sets, with their places, that were stored unchanged: a cache for [`Limiter::is_known`].
    seen: HashSet<u64>,
    /// Reused, to save an allocation.
    set: Vec<u8>,
}

impl Limiter {
    /// Reads the file `known` of an earlier run. Without a file everything is new.
    pub fn open(state_dir: &Path, limits: Limits) -> Limiter {
        let max_bytes = limits.series.saturating_mul(BYTES_PER_SERIES);
        Limiter {
            limits,
            known: Known::open(&state_dir.join("known"), limits.tag_values, max_bytes),
            said_half: false,
            said_series: false,
            said_keys: false,
            said_memory: false,
            seen: HashSet::new(),
            set: Vec::new(),
        }
    }

    /// Appends the point to `out`. Parts beyond a limit are replaced or left out.
    pub fn admit(&mut self, point: &[u8], listed: &Listed, out: &mut Vec<u8>) -> Limited {
        let mut limited = Limited::default();
        let series = point::series(point);
        if self.is_known(series) {
            out.extend_from_slice(series);
        } else {
            self.admit_series(series, listed, &mut limited, out);
        }
        self.admit_fields(point, series.len(), listed, &mut limited, out);
        limited
    }

    /// Appends what became known to the file.
    pub fn save(&mut self) {
        self.known.save();
    }

    /// Whether a tag set was stored unchanged before, from any place.
    fn is_known(&mut self, series: &[u8]) -> bool {
        let whole = hash(series);
        if self.seen.contains(&whole) {
            return true;
        }
        let set = self.hash_of_set(series);
        if !self.known.series.contains(&set) {
            return false;
        }
        if self.seen.len() >= MAX_SEEN {
            self.seen.clear();
        }
        self.seen.insert(whole);
        true
    }

    /// The hash of a tag set without its place. Places are not limited: the geo database bounds their number.
    fn hash_of_set(&mut self, series: &[u8]) -> u64 {
        self.set.clear();
        for (key, value) in point::tags(series).filter(|(key, _)| !PLACES.contains(key)) {
            self.set.extend_from_slice(key);
            self.set.push(b'=');
            self.set.extend_from_slice(value);
            self.set.push(b',');
        }
        hash(&self.set)
    }

    /// Appends a tag set that is not known. Each new value takes one of its tag's budget.
    fn admit_series(
        &mut self,
        series: &[u8],
        listed: &Listed,
        limited: &mut Limited,
        out: &mut Vec<u8>,
    ) {
        if self.known.series.len() >= self.limits.series {
            return self.admit_beyond(series, listed, limited, out);
        }
        let start = out.len();
        out.extend_from_slice(point::measurement(series));
        for (key, value) in point::tags(series) {
            if !self.takes_key(key, Kind::Tag, listed, limited) {
                continue;
            }
            let value = match self.takes_value(key, value, listed, limited) {
                true => value,
                false => OTHER,
            };
            push_tag(key, value, out);
        }
        let stored = self.hash_of_set(&out[start..]);
        self.known.add_series(stored);
        let half = self.known.series.len() >= self.limits.series / 2;
        if half && self.limits.series >= LEAST_TO_WARN_OF && !self.said_half {
            self.said_half = true;
            limited.half = self.filling();
        }
    }

    fn admit_fields(
        &mut self,
        point: &[u8],
        series: usize,
        listed: &Listed,
        limited: &mut Limited,
        out: &mut Vec<u8>,
    ) {
        if listed.keys {
            return out.extend_from_slice(&point[series..]);
        }
        let mut separator = b' ';
        for (key, value) in point::fields(point) {
            let own = RESERVED_KEYS
                .iter()
                .any(|reserved| reserved.as_bytes() == key);
            if own || self.takes_key(key, Kind::of_field(value), listed, limited) {
                out.push(separator);
                out.extend_from_slice(key);
                out.push(b'=');
                out.extend_from_slice(value);
                separator = b',';
            }
        }
    }

    /// Whether an extra key may be stored as a tag, or as a field of that type.
    fn takes_key(
        &mut self,
        key: &[u8],
        kind: Kind,
        listed: &Listed,
        limited: &mut Limited,
    ) -> bool {
        if listed.keys || !is_extra(key) {
            return true;
        }
        let full = self.known.keys.len() >= MAX_EXTRA_KEYS;
        match self.known.keys.get_mut(key) {
            Some(Key {
                kind: Some(before),
                said,
            }) => {
                if *before != kind {
                    limited.changed = true;
                    if !std::mem::replace(said, true) {
                        limited.kinds.push(OtherKind {
                            key: String::from_utf8_lossy(key).into_owned(),
                            before: *before,
                            now: kind,
                        });
                    }
                    return false;
                }
            }
            None if full => {
                limited.changed = true;
                limited.keys |= !std::mem::replace(&mut self.said_keys, true);
                return false;
            }
            None | Some(Key { kind: None, .. }) => self.known.add_key(key, kind),
        }
        true
    }

    /// Whether a tag set may be stored: it is known, or there are fewer than `most`.
    fn takes_series(&mut self, set: u64, most: usize) -> bool {
        if !self.known.series.contains(&set) && self.known.series.len() >= most {
            return false;
        }
        self.known.add_series(set);
        true
    }

    fn is_beyond_series(&mut self, limited: &mut Limited) {
        limited.changed = true;
        if !std::mem::replace(&mut self.said_series, true) {
            limited.series = true;
            limited.filled = self.filling();
        }
    }

    /// Whether a value may be stored as it is.
    fn takes_value(
        &mut self,
        key: &[u8],
        value: &[u8],
        listed: &Listed,
        limited: &mut Limited,
    ) -> bool {
        if PLACES.contains(&key) || value == OTHER {
            return true;
        }
        let own = key == APP_VERSION;
        let is_listed = own && listed.app_versions.contains(value) || listed.tags.contains(key);
        if is_listed {
            return true;
        }
        let room = self.known.has_room(key, value);
        let tag = self.known.tag(key);
        if tag.values.contains(value) {
            return true;
        }
        if !room {
            limited.changed = true;
            limited.memory |= !std::mem::replace(&mut self.said_memory, true);
            return false;
        }
        if !tag.budget.take() {
            limited.changed = true;
            if !std::mem::replace(&mut tag.said, true) {
                limited.tags.push(String::from_utf8_lossy(key).into_owned());
            }
            return false;
        }
        let half = tag.budget.is_half_used(LEAST_TO_WARN_OF) && !tag.said_half;
        tag.said_half |= half;
        self.known.add_value(key, value);
        if half {
            let key_text = String::from_utf8_lossy(key).into_owned();
            limited.fast.push((key_text, self.known.values_of(key)));
        }
        true
    }
}

/// Whether a tag is neither the version nor a place.
fn is_extra(key: &[u8]) -> bool {
    key != APP_VERSION && !PLACES.contains(&key)
}

fn push_tag(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(b',');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
}

/// The hash of a tag set. Collisions let one set in 10^14 pass uncounted.
fn hash(series: &[u8]) -> u64 {
    // Not the standard library's hasher: its hashes may change from release to release, and these are kept in a file.
    let mut hasher = SipHasher13::new();
    hasher.write(series);
    hasher.finish()
}

#[cfg(test)]
mod tests;
