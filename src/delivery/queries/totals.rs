//! The totals of each period: what InfluxDB's continuous queries miss is recomputed from the points.
//!
//! They run in real time only, so they miss points that are delivered after their period has ended. And
//! a period without points gets no total from them, whether the server was away or nobody checked in. To
//! tell these apart, the server writes a total of zero for a period that it was there for and that has
//! no points.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::downsampling::{self, Downsampling};
use super::lengths::{Change, Lengths};
use super::periods::{Period, Periods};
use super::recompute::{Recomputed, recompute, write_zero};
use super::set_up::{InForce, grant, is_denied, look_again, set_up};
use super::uptime::Uptime;
use crate::delivery::batch::Batch;
use crate::delivery::influx::{Influx, QueryError, Trouble};
use crate::delivery::rejected::one_line;
use crate::logging::Throttle;
use crate::spool::Spool;
use crate::spool::clock::now_seconds;
use crate::units::duration::QueryPeriod;

/// The sender's view of what is down-sampled.
#[derive(Debug)]
pub struct Totals {
    query_period: QueryPeriod,
    extra_tags: Vec<String>,
    /// None before InfluxDB was reached.
    in_force: Option<InForce>,
    /// What the operator was told about the set-up.
    said: Option<Vec<String>>,
    lengths: Lengths,
    periods: Periods,
    uptime: Uptime,
    refusals: Throttle,
    /// Set while queries fail.
    pause: Option<Pause>,
    troubles: Throttle,
}

/// No period is recomputed before that time.
#[derive(Debug)]
struct Pause {
    until: Instant,
    wait: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A query that takes too long keeps records waiting for a minute, so not more often than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

impl Totals {
    pub fn new(spool_dir: &Path, query_period: QueryPeriod, extra_tags: Vec<String>) -> Totals {
        let now = now_seconds();
        let mut periods = Periods::load(spool_dir);
        periods.forget_silent_after(now);
        Totals {
            query_period,
            extra_tags,
            in_force: None,
            said: None,
            lengths: Lengths::load(spool_dir),
            periods,
            uptime: Uptime::beginning(now),
            refusals: Throttle::default(),
            pause: None,
            troubles: Throttle::default(),
        }
    }

    /// Sees to it that the database is set up, and that somebody else's change of it is noticed
    /// before the next period is recomputed. Returns whether InfluxDB was asked for anything.
    pub fn set_up(&mut self, influx: &Influx, timeout: Duration) -> Result<bool, Trouble> {
        let now = now_seconds();
        if let Some(in_force) = &mut self.in_force {
            if !self.lengths.are_old(&in_force.periods, now) {
                return Ok(false);
            }
            look_again(influx, &mut in_force.periods, timeout)?;
            let changes = self.lengths.saw(&in_force.periods, now);
            self.say_changes(&changes);
            return Ok(true);
        }
        let in_force = set_up(influx, self.query_period, &self.extra_tags, timeout)?;
        // A database that is missing for long is looked for again and again.
        if self.said.as_ref() != Some(&in_force.notes) {
            log::info!(
                "InfluxDB at {} is ready, database {:?}",
                influx.url(),
                influx.database()
            );
            for note in &in_force.notes {
                log::warn!("InfluxDB: {note}");
            }
            self.said = Some(in_force.notes.clone());
        }
        let changes = self.lengths.saw(&in_force.periods, now);
        self.say_changes(&changes);
        self.in_force = Some(in_force);
        Ok(true)
    }

    fn say_changes(&self, changes: &[Change]) {
        let change = |change: &Change| {
            let Change {
                query,
                before,
                seconds,
                since,
            } = change;
            let since = jiff::Timestamp::from_second(*since).unwrap_or_default();
            format!("{query} from {before}s to {seconds}s, for totals from {since} on")
        };
        if changes.is_empty() {
            return;
        }
        let said: Vec<String> = changes.iter().map(change).collect();
        let said = format!(
            "InfluxDB: continuous queries were changed: {}",
            said.join("; ")
        );
        let ours = self.query_period;
        if changes
            .iter()
            .all(|change| change.seconds == ours.seconds() as i64)
        {
            log::info!("{said}");
        } else {
            log::warn!(
                "{said}; clients are still told that the period is {ours}: restart with \
                 --query-period set to the new one"
            );
        }
    }

    /// The database is missing: it is set up again before anything else.
    pub fn forget_set_up(&mut self) {
        self.in_force = None;
    }

    /// Notes the periods that a delivered batch has points of.
    pub fn delivered(&mut self, batch: &Batch) {
        let Some(in_force) = &self.in_force else {
            return;
        };
        for (Downsampling { target, .. }, _) in &in_force.periods {
            let mut last = None;
            for &moment in &batch.moments {
                let second = moment.div_euclid(1_000_000_000);
                let Some(seconds) = self.lengths.at(target, second) else {
                    continue;
                };
                let period = Period::holding(moment, seconds, target);
                if last.as_ref() != Some(&period) {
                    last = Some(period.clone());
                    self.periods.note(period);
                }
            }
        }
    }

    /// Notes the periods that have ended without a check-in while the server was there. To be called
    /// every second; `heard` is the number of check-ins until now, of which some are not recorded.
    pub fn note_silent(&mut self, heard: u64) -> io::Result<()> {
        let in_force = self.in_force.iter().flat_map(|found| &found.periods);
        let mut of_all = in_force.filter(|(downsampling, _)| downsampling.is_of_all());
        let seconds = of_all.next().map_or_else(
            || i64::try_from(self.query_period.seconds()).unwrap_or(i64::MAX),
            |(_, seconds)| *seconds,
        );
        let now = now_seconds();
        if self.uptime.is_before_last_look(now) {
            self.periods.forget_silent_after(now);
        }
        for start in self.uptime.silent(now, heard, seconds) {
            self.periods.note_silent(Period {
                start,
                seconds,
                target: downsampling::of_all().target,
            });
        }
        self.periods.save_new()
    }

    /// Recomputes the oldest period for which nothing more is expected. Returns whether that was done.
    ///
    /// Trouble with a query, which may be heavy, is no outage: records are delivered meanwhile.
    pub fn recompute_next(&mut self, influx: &Influx, spool: &Spool) -> bool {
        if let Some(pause) = &self.pause
            && (Instant::now() < pause.until || spool.waiting() > 0)
        {
            return false;
        }
        let (Some(in_force), Some(period)) = (&mut self.in_force, self.periods.next(now_seconds()))
        else {
            return false;
        };
        let recomputed = match recompute(influx, in_force, &self.lengths, &period) {
            Ok(Recomputed::Done) => Ok(()),
            // All its records were refused, or its points were deleted since.
            Ok(Recomputed::Nothing) if !self.periods.is_silent(&period) => Ok(()),
            Ok(Recomputed::Nothing) if waits_from_before(spool, period.end()) => {
                // A point of its last second may be among what waits.
                self.periods.wait_on(&period);
                return true;
            }
            Ok(Recomputed::Nothing) => write_zero(influx, &period),
            Err(why) => Err(why),
        };
        match recomputed {
            Ok(()) => {
                in_force.readable = true;
                log::debug!("recomputed {} from {}s", period.target, period.start);
            }
            Err(QueryError::Trouble(trouble)) => {
                self.periods.postpone(&period);
                self.pause_for(&trouble);
                return false;
            }
            // Said at the set-up, or once here: each period of each measurement would say it again.
            Err(QueryError::Refused(why)) if is_denied(&why) => {
                log::debug!("{} from {}s: {why}", period.target, period.start);
                if std::mem::replace(&mut in_force.readable, false) {
                    log::warn!(
                        "InfluxDB: totals are not computed any more: {why}; as an administrator: {}",
                        grant(influx)
                    );
                }
            }
            // It will not be different next time.
            Err(QueryError::Refused(why)) => {
                if let Some(times) = self.refusals.tick(1) {
                    log::warn!(
                        "InfluxDB: {} cannot be recomputed for the period at {}s: {}; refused \
                         {times} times, the totals stay as they are; mend what it says",
                        period.target,
                        period.start,
                        one_line(&why)
                    );
                }
            }
        }
        self.pause = None;
        self.periods.done(&period);
        true
    }

    /// Waits with all periods, each time longer.
    fn pause_for(&mut self, trouble: &Trouble) {
        if *trouble == Trouble::DatabaseMissing {
            self.forget_set_up();
        }
        if let Some(times) = self.troubles.tick(1) {
            log::warn!(
                "InfluxDB: totals cannot be recomputed: {trouble}; failed {times} times, {} periods \
                 are due, trying again; records are delivered all the same",
                self.periods.count()
            );
        }
        let before = self.pause.as_ref().map(|pause| pause.wait * 2);
        let wait = before.unwrap_or(FIRST_PAUSE).min(LONGEST_PAUSE);
        let until = Instant::now() + wait;
        self.pause = Some(Pause { until, wait });
    }

    /// Brings what is new since the last time to the disk.
    pub fn save_new(&mut self) -> io::Result<()> {
        self.lengths.save_new()?;
        self.periods.save_new()
    }

    /// Brings everything that the next run has to know to the disk.
    pub fn save(&mut self) -> io::Result<()> {
        self.lengths.save()?;
        self.periods.save()
    }
}

/// Records from before that time, in seconds since 1970, are not delivered yet.
fn waits_from_before(spool: &Spool, time: i64) -> bool {
    let since = Duration::from_secs(u64::try_from(now_seconds() - time).unwrap_or_default());
    spool.oldest_age().is_some_and(|age| age >= since)
}
