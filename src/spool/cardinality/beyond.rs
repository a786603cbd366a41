//! New tag sets beyond `--max-series`. The tag with the most values has used up the limit, so it becomes `other`
//! in each of them. Known and listed values of other tags stay.
//!
//! This leaves few new sets. If there are still many, further tags become `other`, those with the most values
//! first. Each tag that is `other` opens a further share of [`MORE_SERIES`], so that sets with few tags replaced
//! cannot use up the room of sets with many.

use super::kind::Kind;
use super::limited::Filling;
use super::{APP_VERSION, Limited, Limiter, Listed, MORE_SERIES, OTHER, PLACES};
use super::{is_extra, push_tag};
use crate::line::parse as point;

type Tag<'a> = (&'a [u8], &'a [u8]);

impl Limiter {
    /// Appends the form in which an unknown tag set is stored.
    pub(super) fn admit_beyond(
        &mut self,
        series: &[u8],
        listed: &Listed,
        limited: &mut Limited,
        out: &mut Vec<u8>,
    ) {
        let mut tags: Vec<Tag<'_>> = Vec::new();
        for (key, value) in point::tags(series) {
            if self.takes_key(key, Kind::Tag, listed, limited) {
                let stays = PLACES.contains(&key) || self.is_known_value(key, value, listed);
                tags.push((key, if stays { value } else { OTHER }));
            }
        }
        if let Some(fullest) = self.known.fullest(is_extra).map(|(key, _)| key.to_owned()) {
            replace(&mut tags, &fullest);
        }
        let start = out.len();
        loop {
            out.truncate(start);
            out.extend_from_slice(point::measurement(series));
            tags.iter()
                .for_each(|(key, value)| push_tag(key, value, out));
            let set = self.hash_of_set(&out[start..]);
            if self.takes_series(set, self.room(&tags)) {
                break;
            }
            let Some(next) = self.next_to_replace(&tags) else {
                // A set without extra tags is not counted: there is one for each version.
                tags.retain(|(key, _)| !is_extra(key));
                out.truncate(start);
                out.extend_from_slice(point::measurement(series));
                tags.iter()
                    .for_each(|(key, value)| push_tag(key, value, out));
                break;
            };
            tags[next].1 = OTHER;
        }
        if out[start..] != *series {
            self.is_beyond_series(limited);
        }
    }

    /// The number of tag sets below which a new one like this is stored.
    fn room(&self, tags: &[Tag<'_>]) -> usize {
        let extra = tags.iter().filter(|(key, _)| is_extra(key)).count();
        let replaced = tags
            .iter()
            .filter(|(key, value)| is_extra(key) && *value == OTHER);
        let share = MORE_SERIES * (replaced.count() + 1) / (extra + 1);
        self.limits.series.saturating_add(share)
    }

    /// The extra tag with the most values that is not `other` yet.
    fn next_to_replace(&self, tags: &[Tag<'_>]) -> Option<usize> {
        let left = (0..tags.len()).filter(|&at| is_extra(tags[at].0) && tags[at].1 != OTHER);
        left.max_by_key(|&at| self.known.values_of(tags[at].0))
    }

    /// Whether a value is listed, or was stored before.
    fn is_known_value(&self, key: &[u8], value: &[u8], listed: &Listed) -> bool {
        let is_version = key == APP_VERSION && listed.app_versions.contains(value);
        is_version || listed.tags.contains(key) || self.known.has_value(key, value)
    }

    /// The tag with the most values, and how full the tag sets are.
    pub(super) fn filling(&self) -> Option<Filling> {
        let (key, values) = self.known.fullest(|_| true)?;
        Some(Filling {
            tag: String::from_utf8_lossy(key).into_owned(),
            values,
            sets: self.known.series.len(),
            most: self.limits.series,
        })
    }
}

fn replace(tags: &mut [Tag<'_>], key: &[u8]) {
    if let Some(tag) = tags.iter_mut().find(|(found, _)| *found == key) {
        tag.1 = OTHER;
    }
}
