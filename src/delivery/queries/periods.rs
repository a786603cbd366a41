//! The down-sampled periods that got points and are still to be recomputed, and those of all check-ins
//! that got none while the server was there.
//!
//! InfluxDB's continuous queries compute a period once, when it ends, and never see points that
//! arrive later. So each period that got points is recomputed by the server when nothing more is
//! expected for it. What is due is kept in the file `periods` beside the segments, written before
//! the segment with the points is deleted, so a restart forgets none; recomputing one twice changes
//! nothing.
//!
//! The file has a line for each: target measurement, start in seconds since 1970, length in
//! seconds, separated by spaces; and behind it ` silent` where the server was there and got no record.
//! Only such a period may get a total of zero: of the others, lines of which an earlier run may have
//! left, nobody knows why they have no points.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::logging::Throttle;
use crate::spool::durable;

/// A period is recomputed this long after its end and after its last delivery: InfluxDB's own
/// continuous query has run by then, and stragglers of the same second are stored.
const SETTLE: Duration = Duration::from_secs(10);

/// Stands behind a period in which the server was there and got no record.
const SILENT: &str = " silent";

/// Periods without points are not noted beyond this number: a year of hours. Without InfluxDB
/// there would be more and more of them.
const MOST: usize = 10_000;

/// Of more than this many the oldest are given up, should InfluxDB not recompute any for weeks.
const MOST_OF_ALL: usize = 100_000;

/// The longest pause before a period that could not be recomputed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// One period of one down-sampled measurement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// Seconds since 1970.
    pub start: i64,
    /// Length in seconds: the query period that was in force in it (see [`super::lengths`]).
    pub seconds: i64,
    /// The measurement its totals are in.
    pub target: String,
}

impl Period {
    /// The period of that length which holds a timestamp; periods are aligned to 1970, as InfluxDB
    /// aligns `GROUP BY time()`.
    pub fn holding(timestamp_ns: i64, seconds: i64, target: &str) -> Period {
        let second = timestamp_ns.div_euclid(1_000_000_000);
        Period {
            start: second - second.rem_euclid(seconds),
            seconds,
            target: target.to_owned(),
        }
    }

    /// Seconds since 1970 of the first moment after it.
    pub fn end(&self) -> i64 {
        self.start.saturating_add(self.seconds)
    }
}

/// What is still to be recomputed.
#[derive(Debug)]
pub struct Periods {
    path: PathBuf,
    due: BTreeMap<Period, Due>,
    /// The file lacks some of it.
    unsaved: bool,
    given_up: Throttle,
}

/// When a period may be recomputed.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// The last delivery into it, or the last attempt to recompute it.
    since: Instant,
    pause: Duration,
    /// The server was there for all of it, and got no record.
    silent: bool,
}

impl Due {
    fn now(silent: bool) -> Due {
        Due {
            since: Instant::now(),
            pause: SETTLE,
            silent,
        }
    }
}

impl Periods {
    /// Reads what an earlier run left. Lines that make no sense are skipped.
    pub fn load(spool_dir: &Path) -> Periods {
        let path = spool_dir.join("periods");
        let bytes = fs::read(&path).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                log::error!(
                    "{}: {error}; periods it names are not recomputed; check the disk and whose the \
                     file is",
                    path.display()
                );
            }
            Vec::new()
        });
        let text = String::from_utf8_lossy(&bytes);
        let due = text.lines().filter_map(parse);
        let due = due.map(|(period, silent)| (period, Due::now(silent)));
        Periods {
            path,
            due: due.collect(),
            unsaved: false,
            given_up: Throttle::default(),
        }
    }

    /// Notes that records of a period were delivered, if only to be refused: it is not silent.
    pub fn note(&mut self, period: Period) {
        let before = self.due.insert(period, Due::now(false));
        self.unsaved |= before.is_none_or(|before| before.silent);
        if self.due.len() > MOST_OF_ALL
            && let Some((oldest, _)) = self.due.pop_first()
            && let Some(times) = self.given_up.tick(1)
        {
            log::error!(
                "{}: {MOST_OF_ALL} periods are to be recomputed; {times} are given up, lastly {} at \
                 {}s; see why InfluxDB does not recompute any",
                self.path.display(),
                oldest.target,
                oldest.start
            );
        }
    }

    /// Notes a period in which the server was there and got no record.
    pub fn note_silent(&mut self, period: Period) {
        if self.due.len() < MOST && !self.due.contains_key(&period) {
            self.due.insert(period, Due::now(true));
            self.unsaved = true;
        }
    }

    /// Forgets the silent periods that have not ended by now: they were noted by a clock that was ahead,
    /// and nobody knows whether the server will be there for them.
    pub fn forget_silent_after(&mut self, now: i64) {
        let before = self.due.len();
        self.due
            .retain(|period, due| !due.silent || period.end() <= now);
        self.unsaved |= self.due.len() < before;
    }

    /// Whether the server was there for all of a period, and got no record.
    pub fn is_silent(&self, period: &Period) -> bool {
        self.due.get(period).is_some_and(|due| due.silent)
    }

    /// More may be expected for a period after all.
    pub fn wait_on(&mut self, period: &Period) {
        if let Some(due) = self.due.get_mut(period) {
            *due = Due::now(due.silent);
        }
    }

    /// The oldest period for which nothing more is expected. `now` is in seconds since 1970.
    pub fn next(&self, now: i64) -> Option<Period> {
        let settle = SETTLE.as_secs() as i64;
        let ready = |period: &Period, due: &Due| {
            period.end().saturating_add(settle) <= now && due.since.elapsed() >= due.pause
        };
        self.due
            .iter()
            .find(|(period, due)| ready(period, due))
            .map(|(period, _)| period.clone())
    }

    /// A period could not be recomputed: the others go first, and each attempt waits longer.
    pub fn postpone(&mut self, period: &Period) {
        if let Some(due) = self.due.get_mut(period) {
            due.since = Instant::now();
            due.pause = (due.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A period was recomputed. The file is not written for that: doing it again changes nothing.
    pub fn done(&mut self, period: &Period) {
        self.due.remove(period);
    }

    /// How many are due, now or later.
    pub fn count(&self) -> usize {
        self.due.len()
    }

    /// Brings periods that are new since the last time to the disk, or all if the file is gone.
    pub fn save_new(&mut self) -> io::Result<()> {
        let missing = || !self.due.is_empty() && !self.path.exists();
        if self.unsaved || missing() {
            self.save()
        } else {
            Ok(())
        }
    }

    /// Brings the whole list to the disk.
    pub fn save(&mut self) -> io::Result<()> {
        let mut text = String::new();
        for (period, due) in &self.due {
            let Period {
                start,
                seconds,
                target,
            } = period;
            let mark = if due.silent { SILENT } else { "" };
            text.push_str(&format!("{target} {start} {seconds}{mark}\n"));
        }
        durable::replace(&self.path, text.as_bytes())?;
        self.unsaved = false;
        Ok(())
    }
}

fn parse(line: &str) -> Option<(Period, bool)> {
    let unmarked = line.strip_suffix(SILENT);
    let mut words = unmarked.unwrap_or(line).rsplitn(3, ' ');
    let seconds = words.next()?.parse().ok().filter(|seconds| *seconds > 0)?;
    let start = words.next()?.parse().ok()?;
    let period = Period {
        start,
        seconds,
        target: words.next()?.to_owned(),
    };
    Some((period, unmarked.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_aligned_to_1970() {
        let period = Period::holding(3_601_500_000_000, 3600, "m");
        assert_eq!((period.start, period.end()), (3600, 7200));
        assert_eq!(Period::holding(-1, 3600, "m").start, -3600);
    }

    #[test]
    fn a_restart_forgets_none() {
        let dir = std::env::temp_dir().join(format!("periods-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut periods = Periods::load(&dir);
        let [full, silent] =
            [0, 3600].map(|start| Period::holding(start * 1_000_000_000, 3600, "by country"));
        periods.note(full.clone());
        periods.note_silent(silent.clone());
        periods.save_new().unwrap();
        let mut again = Periods::load(&dir);
        assert_eq!(again.due.keys().collect::<Vec<_>>(), [&full, &silent]);
        assert!(!again.is_silent(&full) && again.is_silent(&silent));

        // It waits for more, which keeps the mark; and then there is more.
        again.wait_on(&silent);
        assert!(again.is_silent(&silent));
        again.note(silent.clone());
        again.note_silent(silent.clone());
        assert!(!again.is_silent(&silent), "it has records");
        again.save_new().unwrap();
        let at_last = Periods::load(&dir);
        fs::remove_dir_all(&dir).unwrap();
        assert!(!at_last.is_silent(&silent));
    }

    #[test]
    fn silence_in_the_future_is_forgotten() {
        let mut periods = Periods::load(Path::new("/nonexistent"));
        let [past, open, full] =
            [0, 60, 120].map(|start| Period::holding(start * 1_000_000_000, 60, "m"));
        periods.note_silent(past.clone());
        periods.note_silent(open.clone());
        periods.note(full.clone());
        periods.forget_silent_after(60);
        assert_eq!(periods.due.keys().collect::<Vec<_>>(), [&past, &full]);
    }

    #[test]
    fn nothing_is_due_before_it_has_settled() {
        let dir = Path::new("/nonexistent");
        let mut periods = Periods::load(dir);
        let period = Period::holding(0, 60, "m");
        let long_ago = Instant::now().checked_sub(SETTLE).unwrap();
        let due = Due {
            since: long_ago,
            pause: SETTLE,
            silent: false,
        };
        periods.due.insert(period.clone(), due);
        assert_eq!(periods.next(69), None, "the period ended 9 s ago");
        assert_eq!(periods.next(70), Some(period.clone()));
        periods.postpone(&period);
        assert_eq!(periods.next(70), None, "it failed just now");
        periods.due.insert(period.clone(), due);
        assert_eq!(periods.next(70), Some(period.clone()));
        periods.note(period);
        assert_eq!(periods.next(70), None, "points were delivered just now");
    }
}
