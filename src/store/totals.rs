//! The totals of each period: what InfluxDB's continuous queries miss is recomputed from the points.
//!
//! They run in real time only, so they miss points that are delivered after their period has ended. And
//! a period without points gets no total from them, whether the server was away or nobody checked in. To
//! tell these apart, the server writes a total of zero for a period that it was there for and that has
//! no points.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::batch::Batch;
use super::downsampling::{self, quoted};
use super::influx::{Influx, Outcome, QueryError, Series, TIMEOUT, Trouble};
use super::periods::{Period, Periods};
use super::rejected::one_line;
use super::set_up::{InForce, passed_on, set_up};
use super::spool::Spool;
use super::uptime::Uptime;
use crate::checkin::line::MEASUREMENT;
use crate::config::duration::QueryPeriod;
use crate::service::logging::Throttle;

/// Recomputing a period reads all its points.
const RECOMPUTE_TIMEOUT: Duration = Duration::from_secs(60);

/// The sender's view of what is down-sampled.
#[derive(Debug)]
pub struct Totals {
    query_period: QueryPeriod,
    extra_tags: Vec<String>,
    /// None before InfluxDB was reached.
    in_force: Option<InForce>,
    /// What the operator was told about the set-up.
    said: Option<Vec<String>>,
    periods: Periods,
    uptime: Uptime,
    refusals: Throttle,
}

impl Totals {
    pub fn new(spool_dir: &Path, query_period: QueryPeriod, extra_tags: Vec<String>) -> Totals {
        Totals {
            query_period,
            extra_tags,
            in_force: None,
            said: None,
            periods: Periods::load(spool_dir),
            uptime: Uptime::beginning(now_seconds()),
            refusals: Throttle::default(),
        }
    }

    /// Sees to it that the database is set up. Returns whether InfluxDB was asked for anything.
    pub fn set_up(&mut self, influx: &Influx, timeout: Duration) -> Result<bool, Trouble> {
        if self.in_force.is_some() {
            return Ok(false);
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
        self.in_force = Some(in_force);
        Ok(true)
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
        for (downsampling, seconds) in &in_force.periods {
            let mut last = None;
            for &moment in &batch.moments {
                let start = moment.div_euclid(seconds.saturating_mul(1_000_000_000));
                if last.replace(start) != Some(start) {
                    self.periods
                        .note(Period::holding(moment, *seconds, &downsampling.target));
                }
            }
        }
    }

    /// Notes the periods that have ended without a record while the server was there. To be called
    /// every second; `accepted` is the number of records accepted until now.
    pub fn note_silent(&mut self, accepted: u64) -> io::Result<()> {
        let in_force = self.in_force.iter().flat_map(|found| &found.periods);
        let mut of_all = in_force.filter(|(downsampling, _)| downsampling.is_of_all());
        let seconds = of_all.next().map_or_else(
            || i64::try_from(self.query_period.seconds()).unwrap_or(i64::MAX),
            |(_, seconds)| *seconds,
        );
        let mut new = false;
        for start in self.uptime.silent(now_seconds(), accepted, seconds) {
            let target = downsampling::of_all().target;
            new |= self.periods.note_silent(Period {
                start,
                seconds,
                target,
            });
        }
        if new { self.periods.save_new() } else { Ok(()) }
    }

    /// Recomputes the oldest period for which nothing more is expected. Returns whether there was one.
    pub fn recompute_next(&mut self, influx: &Influx, spool: &Spool) -> Result<bool, Trouble> {
        let (Some(in_force), Some(period)) = (&self.in_force, self.periods.next(now_seconds()))
        else {
            return Ok(false);
        };
        let recomputed = match recompute(influx, in_force, &period) {
            Ok(Recomputed::Nothing) if waits_from_before(spool, period.end()) => {
                // A point of its last second may be among what waits.
                self.periods.note(period);
                return Ok(true);
            }
            Ok(Recomputed::Nothing) => write_zero(influx, &period),
            Ok(Recomputed::Done) => Ok(()),
            Err(why) => Err(why),
        };
        match recomputed {
            Ok(()) => log::debug!("recomputed {} from {}s", period.target, period.start),
            Err(QueryError::Trouble(trouble)) => {
                // A query that takes too long must not keep records from being delivered.
                self.periods.postpone(&period);
                return Err(trouble);
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
        self.periods.done(&period);
        Ok(true)
    }

    /// Brings periods that are new since the last time to the disk.
    pub fn save_new(&mut self) -> io::Result<()> {
        self.periods.save_new()
    }

    /// Brings everything that is still to be recomputed to the disk.
    pub fn save(&mut self) -> io::Result<()> {
        self.periods.save()
    }
}

/// What came of it.
enum Recomputed {
    Done,
    /// It is a period of all check-ins, and has none.
    Nothing,
}

/// Recomputes the totals of one period from its points. Doing it again changes nothing.
fn recompute(
    influx: &Influx,
    in_force: &InForce,
    period: &Period,
) -> Result<Recomputed, QueryError> {
    let mut periods = in_force.periods.iter();
    let Some((downsampling, now)) = periods.find(|(d, _)| d.target == period.target) else {
        // Its query was dropped meanwhile, and with it the reason to have totals.
        return Ok(Recomputed::Done);
    };
    let (start, end, seconds) = span(period, *now, in_force.seen_at);
    let statement = format!(
        "SELECT count(\"value\") AS \"total\" INTO {} FROM {} WHERE time >= {start}s AND time < \
         {end}s GROUP BY time({seconds}s){}",
        quoted(&downsampling.target),
        quoted(MEASUREMENT),
        downsampling.group(),
    );
    // A user that may write but not read is no reason to stop delivering.
    match passed_on(influx.query(&statement, RECOMPUTE_TIMEOUT)) {
        // Beside totals of another length a zero says nothing true.
        Ok(Ok(answer)) if written(&answer) == Some(0) && period.seconds == *now => {
            Ok(match downsampling.is_of_all() {
                true => Recomputed::Nothing,
                false => Recomputed::Done,
            })
        }
        Ok(Ok(_)) => Ok(Recomputed::Done),
        Ok(Err(refusal)) => Err(QueryError::Refused(refusal)),
        Err(trouble) => Err(QueryError::Trouble(trouble)),
    }
}

/// How many totals a `SELECT … INTO` has written, by its answer.
fn written(answer: &[Series]) -> Option<u64> {
    let series = answer.first()?;
    let column = series.columns.iter().position(|name| name == "written")?;
    series.values.first()?.get(column)?.as_u64()
}

/// Records from before that time, in seconds since 1970, are not delivered yet.
fn waits_from_before(spool: &Spool, time: i64) -> bool {
    let since = Duration::from_secs(u64::try_from(now_seconds() - time).unwrap_or_default());
    spool.oldest_age().is_some_and(|age| age >= since)
}

/// Writes that a period has no check-ins. Points that are delivered later replace it.
fn write_zero(influx: &Influx, period: &Period) -> Result<(), QueryError> {
    let timestamp = period.start.saturating_mul(1_000_000_000);
    let line = format!("{} total=0i {timestamp}\n", period.target);
    match influx.write(line.as_bytes(), TIMEOUT) {
        Outcome::Stored => Ok(()),
        Outcome::Kept(trouble) => Err(QueryError::Trouble(trouble)),
        Outcome::PartlyRefused(why) | Outcome::Contradiction(why) => Err(QueryError::Refused(why)),
        Outcome::TooLarge => Err(QueryError::Refused("a line is too large".to_owned())),
    }
}

/// Start and end of what is recomputed for a period, and the length of the totals in it.
///
/// A period keeps the length it had, unless the query got another one before it ended: InfluxDB's
/// query then counts the same points in a total of the new length, and a second total beside it
/// would count them twice.
fn span(period: &Period, now: i64, seen_at: i64) -> (i64, i64, i64) {
    if period.seconds == now || period.end() <= seen_at {
        return (period.start, period.end(), period.seconds);
    }
    let start = period.start - period.start.rem_euclid(now);
    let over = period.end().rem_euclid(now);
    let rest = if over == 0 { 0 } else { now - over };
    (start, period.end().saturating_add(rest), now)
}

fn now_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_that_was_open_when_its_length_changed_is_counted_once() {
        let period = |start, seconds| Period {
            start,
            seconds,
            target: String::new(),
        };
        let (hour, seen_at) = (3600, 13 * 3600 + 1800);
        // One hour, then two: 12:00 to 13:00 was over, 13:00 to 14:00 was not.
        let over = span(&period(12 * hour, hour), 2 * hour, seen_at);
        assert_eq!(over, (12 * hour, 13 * hour, hour));
        let open = span(&period(13 * hour, hour), 2 * hour, seen_at);
        assert_eq!(open, (12 * hour, 14 * hour, 2 * hour));
        // Two hours, then one.
        let open = span(&period(12 * hour, 2 * hour), hour, seen_at);
        assert_eq!(open, (12 * hour, 14 * hour, hour));
        let same = span(&period(13 * hour, hour), hour, seen_at);
        assert_eq!(same, (13 * hour, 14 * hour, hour));
    }
}
