//! Delivery of totals: the ledger's totals of a period are sent to the time-series database when the period has
//! ended, and again when late records have corrected them.
//!
//! Architecture invariant: delivery does not know the ledger. It gets lines from a [`TotalsSource`] and tells it
//! which ones were sent.

use std::time::{Duration, Instant};

use super::foreign::Foreign;
use super::keep::Keep;
use super::outcome::{Outcome, Trouble};
use super::points::{Line, TotalsSource};
use super::protocol::Protocol;
use super::refused;
use super::segments::timeout;
use crate::logging::Throttle;
use crate::metrics::Metrics;
use crate::spool::clock::now_seconds;

/// Time between questions to the source while it has nothing.
const LOOK: Duration = Duration::from_secs(1);
/// Longest wait after trouble.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Most points in one request.
const BATCH_POINTS: usize = 5000;

/// Sends totals, a period at a time.
#[derive(Debug)]
pub struct Totals {
    source: Box<dyn TotalsSource>,
    /// Time from a period's end until its totals are due, so that its last raw records are sent first.
    settle: Duration,
    next_look: Instant,
    /// The wait after the last trouble.
    wait: Duration,
    foreign: Foreign,
    trouble: Throttle,
}

impl Totals {
    /// `settle` is the time within which raw records are counted and, where they are sent, delivered.
    pub fn new(source: Box<dyn TotalsSource>, settle: Duration, sends_raw: bool) -> Totals {
        Totals {
            source,
            settle,
            next_look: Instant::now(),
            wait: Duration::ZERO,
            foreign: Foreign::new(sends_raw),
            trouble: Throttle::default(),
        }
    }

    /// Sends the totals of the oldest period that is due. Returns whether there was one.
    pub fn send_next(
        &mut self,
        influx: &Protocol,
        keep: &mut Keep,
        metrics: &Metrics,
        deadline: Option<Instant>,
    ) -> Result<bool, Trouble> {
        if deadline.is_some() || Instant::now() < self.next_look {
            return Ok(false);
        }
        let settle = i64::try_from(self.settle.as_secs()).unwrap_or(i64::MAX);
        let due = self.source.next(now_seconds().saturating_sub(settle));
        let points = match due {
            Ok(Some(points)) => points,
            Ok(None) => {
                self.next_look = Instant::now() + LOOK;
                return Ok(false);
            }
            Err(why) => {
                self.hindered(&why);
                return Ok(false);
            }
        };
        let mut wanted: Vec<&str> = points
            .lines
            .iter()
            .map(|l| l.measurement.as_str())
            .collect();
        wanted.dedup();
        // Continuous queries exist in InfluxDB 1.x alone.
        let foreign = match influx.v1() {
            Some(v1) => self.foreign.look(v1, &wanted, timeout(deadline))?,
            None => Vec::new(),
        };
        let own = |line: &&Line| !foreign.contains(&line.measurement);
        let lines: Vec<&str> = points
            .lines
            .iter()
            .filter(own)
            .map(|line| line.text.as_str())
            .collect();
        for part in lines.chunks(BATCH_POINTS) {
            send(part, influx, keep, metrics)?;
        }
        log::debug!(
            "totals of the period from {}: {} points sent, {} measurements are filled by continuous queries",
            points.start,
            lines.len(),
            foreign.len()
        );
        if let Err(why) = self.source.sent(&points, &foreign) {
            self.hindered(&why);
            return Ok(false);
        }
        if let Some(v1) = influx.v1().filter(|_| !foreign.is_empty()) {
            self.foreign.compare(v1, &points, timeout(deadline))?;
        }
        self.wait = Duration::ZERO;
        Ok(true)
    }

    /// Sets the wait after the database did not take a period's totals, or did not answer a question about them. The
    /// wait doubles each time: a slow answer must not delay records every second.
    pub fn wait_for(&mut self, trouble: &Trouble) {
        self.wait = (self.wait * 2).clamp(LOOK, LONGEST_WAIT);
        self.next_look = Instant::now() + self.wait;
        if let Some(times) = self.trouble.tick(1) {
            let times = times.times();
            log::warn!(
                "InfluxDB: totals are not sent: {trouble}; failed {times}, trying again; records are \
                 still delivered"
            );
        }
    }

    /// Logs that the ledger cannot be read or written. It is a warning, because the counter logs it as an error.
    fn hindered(&mut self, why: &str) {
        self.next_look = Instant::now() + LOOK;
        if let Some(times) = self.trouble.tick(1) {
            let times = times.times();
            log::warn!("totals are not sent: {why}; failed {times}, trying again");
        }
    }
}

fn send(
    lines: &[&str],
    influx: &Protocol,
    keep: &mut Keep,
    metrics: &Metrics,
) -> Result<(), Trouble> {
    let mut bytes = lines.join("\n").into_bytes();
    bytes.push(b'\n');
    let counts = &metrics.influx;
    let mut write = |lines: &[u8]| {
        let outcome = influx.write(lines, timeout(None));
        match &outcome {
            Outcome::Stored => counts.stored.add(1),
            Outcome::Kept(_) => counts.retried.add(1),
            _ => counts.refused.add(1),
        }
        outcome
    };
    let rejected = refused::settle(&bytes, &mut write, &|| false)?;
    let refused = keep.refused(&rejected);
    let all = lines.len() as u64;
    metrics.totals.points_stored.add(all - refused.all());
    metrics.totals.points_rejected.add(refused.all());
    Ok(())
}
