//! How long the periods of each down-sampled measurement are, and since when.
//!
//! `set-query-period`, or a person, gives a continuous query another period while the server runs or
//! is away. Each point is counted by the length that was in force at its own time: two totals of
//! different lengths that hold the same point would count it twice. InfluxDB does not say when a
//! query was changed, so it is worked out from when the queries were looked at.
//!
//! What is known is kept in the file `lengths` beside the segments: records that wait there may be of
//! a time before the last change. The file has a line `looked at TIME`, and for each length one with
//! the target measurement, since when, and the length, in that order, in seconds (since 1970).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::downsampling::Downsampling;
use super::periods::Period;
use crate::spool::durable;

const LOOKED_AT: &str = "looked at ";

/// One length of the periods of one measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Length {
    target: String,
    /// The first moment it is for, in seconds since 1970: the beginning of one of its periods.
    since: i64,
    seconds: i64,
}

/// A continuous query that has got another period.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub query: String,
    pub before: i64,
    pub seconds: i64,
    /// Totals from there on have the new length.
    pub since: i64,
}

/// A part of a period, or a few whole ones of another length, whose totals have one length.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub start: i64,
    pub end: i64,
    pub seconds: i64,
}

impl Piece {
    /// It is just this period.
    pub fn is(&self, period: &Period) -> bool {
        (self.start, self.end, self.seconds) == (period.start, period.end(), period.seconds)
    }
}

/// All lengths that are known, of one measurement oldest first.
#[derive(Debug)]
pub struct Lengths {
    path: PathBuf,
    known: Vec<Length>,
    /// When the queries were last looked at, in seconds since 1970; `None` before the first time.
    seen_at: Option<i64>,
    /// They were looked at by this process, which does so once a period.
    watching: bool,
    /// The file lacks some of it.
    unsaved: bool,
}

impl Lengths {
    /// Reads what an earlier run left. Lines that make no sense are skipped.
    pub fn load(spool_dir: &Path) -> Lengths {
        let path = spool_dir.join("lengths");
        let text = fs::read(&path).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                log::error!(
                    "{}: {error}; what waits is counted by the periods of today; check the disk and \
                     whose the file is",
                    path.display()
                );
            }
            Vec::new()
        });
        let text = String::from_utf8_lossy(&text);
        let seen_at = text.lines().find_map(|line| line.strip_prefix(LOOKED_AT));
        let mut known: Vec<Length> = text.lines().filter_map(parse).collect();
        known.sort_by_key(|length| length.since);
        Lengths {
            path,
            known,
            seen_at: seen_at.and_then(|time| time.parse().ok()),
            watching: false,
            unsaved: false,
        }
    }

    /// Brings what is new to the disk.
    pub fn save_new(&mut self) -> io::Result<()> {
        if self.unsaved { self.save() } else { Ok(()) }
    }

    /// Brings all of it to the disk.
    pub fn save(&mut self) -> io::Result<()> {
        let Some(seen_at) = self.seen_at else {
            return Ok(());
        };
        let mut text = format!("{LOOKED_AT}{seen_at}\n");
        for Length {
            target,
            since,
            seconds,
        } in &self.known
        {
            text.push_str(&format!("{target} {since} {seconds}\n"));
        }
        durable::replace(&self.path, text.as_bytes())?;
        self.unsaved = false;
        Ok(())
    }

    /// Takes note of the queries as they are in InfluxDB at `now`.
    pub fn saw(&mut self, found: &[(Downsampling, i64)], now: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        for (index, (downsampling, seconds)) in found.iter().enumerate() {
            let target = &downsampling.target;
            // Of two queries into one measurement, which is a mistake that the operator is told of,
            // the first one counts.
            if found[..index]
                .iter()
                .any(|(other, _)| other.target == *target)
            {
                continue;
            }
            let last = self.known.iter().rfind(|known| known.target == *target);
            let since = match last.map(|last| last.seconds) {
                Some(before) if before == *seconds => continue,
                Some(before) => {
                    let since = self.changed_at(before, now);
                    let since = since - since.rem_euclid(*seconds);
                    changes.push(Change {
                        query: downsampling.query.clone(),
                        before,
                        seconds: *seconds,
                        since,
                    });
                    since
                }
                None => i64::MIN,
            };
            let gone = |known: &Length| known.target == *target && known.since >= since;
            self.known.retain(|known| !gone(known));
            self.unsaved = true;
            self.known.push(Length {
                target: target.clone(),
                since,
                seconds: *seconds,
            });
        }
        self.seen_at = Some(now);
        self.watching = true;
        changes
    }

    /// About when a query was changed: when the old one was last seen, if no period can have got its
    /// total of the old length since. That is so if none has ended, and under the eyes of this
    /// process, which looks at each end, if one has. Else the server or InfluxDB was away, and
    /// whoever changed the query did it as the last thing.
    fn changed_at(&self, before: i64, now: i64) -> i64 {
        let period = |time: i64| time.div_euclid(before);
        let seen_at = self.seen_at.map_or(now, |seen_at| seen_at.min(now));
        if period(now) - period(seen_at) <= i64::from(self.watching) {
            seen_at
        } else {
            now
        }
    }

    /// Whether one of these periods has ended since the queries were last looked at, so that they are
    /// to be looked at again before anything of it is recomputed.
    pub fn are_old(&self, found: &[(Downsampling, i64)], now: i64) -> bool {
        self.seen_at.is_none_or(|seen_at| {
            let ended = |seconds: i64| now.div_euclid(seconds) != seen_at.div_euclid(seconds);
            found.iter().any(|(_, seconds)| ended(*seconds))
        })
    }

    /// The length in force at a moment in seconds since 1970.
    pub fn at(&self, target: &str, second: i64) -> Option<i64> {
        let mut of_target = self.known.iter().filter(|known| known.target == target);
        let known = of_target.rfind(|known| known.since <= second)?;
        Some(known.seconds)
    }

    /// What is to be recomputed for a period: itself, unless its length is not the one that was in
    /// force for all of it.
    pub fn pieces(&self, period: &Period) -> Vec<Piece> {
        let of_target = self.known.iter().filter(|l| l.target == period.target);
        let ends = of_target.clone().skip(1).map(|length| length.since);
        let pieces = of_target.zip(ends.chain([i64::MAX]));
        let pieces = pieces.filter_map(|(length, until)| {
            let start = period.start.max(length.since);
            let end = period.end().min(until);
            let to_full = |time: i64| (-time).rem_euclid(length.seconds);
            (start < end).then(|| Piece {
                start: start - start.rem_euclid(length.seconds),
                end: end.saturating_add(to_full(end)).min(until),
                seconds: length.seconds,
            })
        });
        pieces.collect()
    }
}

fn parse(line: &str) -> Option<Length> {
    let mut words = line.rsplitn(3, ' ');
    let seconds = words.next()?.parse().ok().filter(|seconds| *seconds > 0)?;
    let since = words.next()?.parse().ok()?;
    Some(Length {
        target: words.next()?.to_owned(),
        since,
        seconds,
    })
}

#[cfg(test)]
mod tests;
