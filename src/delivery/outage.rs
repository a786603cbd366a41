//! The times when InfluxDB does not take records: how long to wait, and one line in the log when
//! they begin and one when they end, not one per attempt, and not for each of many short ones.

use std::collections::HashMap;
use std::mem::{self, Discriminant};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::outcome::Trouble;
use crate::logging::{Burst, Throttle};
use crate::metrics::Metrics;
use crate::spool::Spool;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Trouble that only the operator can fix is not tried every second.
const SLOW_WAIT: Duration = Duration::from_secs(10);
/// A server that asks for more patience than this is asked all the same.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// The current outage, if there is one.
#[derive(Debug, Default)]
pub struct Outage {
    since: Option<Instant>,
    /// When the last request was begun: one that is not answered in time began to fail then.
    asked: Option<Instant>,
    /// InfluxDB did what it was asked for since the last failure.
    answered: bool,
    wait: Duration,
    delivered: u64,
    /// The segment that was open when the sealed ones were delivered: it is the last that waited.
    last_waiting: Option<u64>,
    /// What was logged of each kind of trouble, also in earlier outages.
    kinds: HashMap<Discriminant<Trouble>, Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    /// Met in this outage.
    met: bool,
    /// Logged in this outage.
    said: bool,
    throttle: Throttle,
}

impl Outage {
    /// An attempt failed: returns how long to wait for the next one. `password` says where a corrected one
    /// comes from.
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
        // An outage that begins soon after another is logged later, if it lasts.
        if !kind.said
            && let Some(times) = kind.throttle.tick(more)
        {
            kind.said = true;
            let waiting = waiting(spool, metrics);
            let times = repeated(times);
            match trouble {
                Trouble::Later { .. } | Trouble::DatabaseMissing => {
                    log::warn!(
                        "InfluxDB at {url}: {trouble}{times}; {waiting}, trying again; see to it \
                         that it runs"
                    );
                }
                Trouble::Denied(_) => {
                    log::error!(
                        "InfluxDB at {url}: {trouble}{times}; {waiting}, trying again slowly; \
                         {password}"
                    );
                }
                Trouble::Unreadable(_) => {
                    log::error!(
                        "InfluxDB at {url}: {trouble}{times}; {waiting}, trying again; if a line is the \
                         cause, it is searched for and rejected; check what is between here and InfluxDB"
                    );
                }
                Trouble::NotUnderstood(_) => {
                    log::error!(
                        "InfluxDB at {url}: {trouble}{times}; {waiting}, trying again slowly"
                    );
                }
            }
        }
        let wait = self.next_wait(trouble);
        log::debug!("InfluxDB at {url}: {trouble}; next attempt in {wait:.1?}");
        wait
    }

    /// InfluxDB is about to be asked for something.
    pub fn asks(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// InfluxDB did what it was asked for.
    pub fn answered(&mut self) {
        self.answered = true;
    }

    /// Records were delivered: whatever comes next is tried soon, and is a request of its own.
    pub fn delivered(&mut self, records: u64) {
        self.answered = true;
        self.asks();
        self.wait = Duration::ZERO;
        if self.since.is_some() {
            self.delivered += records;
        }
    }

    /// No sealed segment waits any more. Says so if that is the end of an outage: InfluxDB did what it
    /// was asked for (somebody may have removed what waited), and the segment that grew during the
    /// outage is delivered too.
    pub fn over(&mut self, spool: &Spool, metrics: &Metrics) {
        let Some(since) = self.since.filter(|_| self.answered) else {
            return;
        };
        if let Some(open) = spool.open_sequence()
            && open <= *self.last_waiting.get_or_insert(open)
        {
            // It is sealed in a moment.
            return;
        }
        let mut kinds = mem::take(&mut self.kinds);
        // Of one that was not said to have begun, nobody needs to hear that it is over.
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

/// 0.8 to 1.2, so that several servers do not come back all at once.
fn jitter() -> f64 {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .subsec_nanos();
    0.8 + 0.4 * f64::from(nanos % 1000) / 1000.0
}

/// How many outages there were since the last one that was logged, where there were more than one.
fn repeated(times: Burst) -> String {
    match times.count {
        0 | 1 => String::new(),
        _ => format!(", {times} times"),
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
