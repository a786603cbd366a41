//! Outages of InfluxDB: the time to wait before a retry, and one log line when an outage begins and one when it
//! ends. There must not be a line for each attempt, nor for each of many short outages.

use std::collections::HashMap;
use std::mem::{self, Discriminant};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::outcome::Trouble;
use crate::logging::{Burst, Throttle};
use crate::metrics::Metrics;
use crate::spool::Spool;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// First wait after trouble that only the operator can fix.
const SLOW_WAIT: Duration = Duration::from_secs(10);
/// Longest wait that a `Retry-After` of the server can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// The current outage, if there is one.
#[derive(Debug, Default)]
pub struct Outage {
    since: Option<Instant>,
    /// Start of the last request. If it fails, even by a time-out, the outage began at this time.
    asked: Option<Instant>,
    /// Whether a request has succeeded since the last failure.
    answered: bool,
    /// The next wait, before limits and jitter.
    wait: Duration,
    /// Records delivered since the outage began.
    delivered: u64,
    /// The segment that was open when the sealed ones were delivered: the last one with records of the outage.
    last_waiting: Option<u64>,
    /// The state of each kind of trouble, kept for later outages too.
    kinds: HashMap<Discriminant<Trouble>, Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    /// Whether it was met in this outage.
    met: bool,
    /// Whether it was logged in this outage.
    said: bool,
    throttle: Throttle,
}

impl Outage {
    /// Notes a failed attempt. Returns the time to wait before the next one. `password` is advice for the log, on
    /// how a corrected password takes effect.
    pub fn failed(
        &mut self,
        trouble: &Trouble,
        url: &str,
        password: &str,
        spool: &Spool,
        metrics: &Metrics,
    ) -> Duration {
        let asked = self.asked.unwrap_or_else(Instant::now);
        self.since.get_or_insert(asked);
        self.answered = false;
        self.last_waiting = None;
        let kind = self.kinds.entry(mem::discriminant(trouble)).or_default();
        let more = u64::from(!mem::replace(&mut kind.met, true));
        // An outage soon after another is logged only when it has lasted for a while.
        if !kind.said
            && let Some(times) = kind.throttle.tick(more)
        {
            kind.said = true;
            let waiting = waiting(spool, metrics);
            let times = repeated(times);
            match trouble {
                Trouble::Later { .. } | Trouble::DatabaseMissing => {
                    log::warn!("InfluxDB at {url}: {trouble}; {times}{waiting}, trying again");
                }
                Trouble::Denied(_) => {
                    log::error!(
                        "InfluxDB at {url}: {trouble}; {times}{waiting}, trying again slowly; \
                         {password}"
                    );
                }
                Trouble::Unreadable(_) => {
                    log::error!(
                        "InfluxDB at {url}: {trouble}; {times}{waiting}, trying again; if a line is the \
                         cause, the server finds and rejects that line"
                    );
                }
                Trouble::NotUnderstood(_) => {
                    log::error!(
                        "InfluxDB at {url}: {trouble}; {times}{waiting}, trying again slowly"
                    );
                }
            }
        }
        let wait = self.next_wait(trouble);
        log::debug!("InfluxDB at {url}: {trouble}; next attempt in {wait:.1?}");
        wait
    }

    /// Notes the start of a request.
    pub fn asks(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// Notes that a request succeeded.
    pub fn answered(&mut self) {
        self.answered = true;
    }

    /// Notes delivered records. After the next failure, the wait starts from the shortest again.
    pub fn delivered(&mut self, records: u64) {
        self.answered = true;
        self.asks();
        self.wait = Duration::ZERO;
        if self.since.is_some() {
            self.delivered += records;
        }
    }

    /// Notes that no sealed segment waits any more. This ends an outage, with a log line, if a request has succeeded
    /// (the segments may have been removed by hand) and the segment that grew during the outage is delivered too.
    pub fn over(&mut self, spool: &Spool, metrics: &Metrics) {
        let Some(since) = self.since.filter(|_| self.answered) else {
            return;
        };
        if let Some(open) = spool.open_sequence()
            && open <= *self.last_waiting.get_or_insert(open)
        {
            // That segment is still open, and will be sealed and delivered.
            return;
        }
        let mut kinds = mem::take(&mut self.kinds);
        // The end is logged only if the beginning was.
        if kinds.values().any(|kind| kind.said) {
            log::info!(
                "InfluxDB takes records again after {:.1} s; {} records that had waited are \
                 delivered, {} waiting",
                since.elapsed().as_secs_f64(),
                self.delivered,
                metrics.records.waiting()
            );
        }
        for kind in kinds.values_mut() {
            (kind.met, kind.said) = (false, false);
        }
        *self = Outage {
            kinds,
            ..Outage::default()
        };
    }

    fn next_wait(&mut self, trouble: &Trouble) -> Duration {
        let least = match trouble {
            // The next attempt creates it.
            Trouble::DatabaseMissing if self.wait.is_zero() => {
                self.wait = FIRST_WAIT;
                return Duration::ZERO;
            }
            Trouble::Later { .. } | Trouble::Unreadable(_) | Trouble::DatabaseMissing => FIRST_WAIT,
            Trouble::Denied(_) | Trouble::NotUnderstood(_) => SLOW_WAIT,
        };
        let wait = self.wait.clamp(least, LONGEST_WAIT);
        self.wait = (wait * 2).min(LONGEST_WAIT);
        let asked = match trouble {
            Trouble::Later {
                retry_after: Some(asked),
                ..
            } => (*asked).min(LONGEST_RETRY_AFTER),
            _ => Duration::ZERO,
        };
        wait.mul_f64(jitter()).max(asked)
    }
}

/// A factor of 0.8 to 1.2, so that several servers do not retry at the same time.
fn jitter() -> f64 {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .subsec_nanos();
    0.8 + 0.4 * f64::from(nanos % 1000) / 1000.0
}

/// The number of outages since the last one that was logged, for the log; nothing for one.
fn repeated(times: Burst) -> String {
    match times.count {
        0 | 1 => String::new(),
        _ => format!("failed {}; ", times.times()),
    }
}

fn waiting(spool: &Spool, metrics: &Metrics) -> String {
    let waiting = metrics.records.waiting();
    match spool.oldest_age() {
        Some(age) => format!(
            "{waiting} records waiting, the oldest for {} s",
            age.as_secs()
        ),
        None => format!("{waiting} records waiting"),
    }
}
