//! Measures how much of each period the server covered. A stop, a crash, a suspended machine, dropped records and a
//! clock change leave a period partly covered, and must never let it count as wholly covered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Counts;
use crate::spool::clock::now_ns;

/// Greatest difference between the wall clock and the monotonic clock over one step. A greater one means that the
/// clock was set or the machine was suspended.
const TOLERANCE_MS: i64 = 500;
/// Longest step that counts as covered; after a longer one, the process was stopped.
const LONGEST_STEP: Duration = Duration::from_secs(30);
/// Limit of a clock change, in ms, that marks all periods between the two times. A greater change marks only the
/// periods at both ends.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Adds the covered time to the counts while the server accepts check-ins.
#[derive(Debug)]
pub struct Presence {
    /// The server accepts check-ins.
    serving: Arc<AtomicBool>,
    losses: Arc<AtomicU64>,
    last: Option<Moment>,
}

#[derive(Clone, Copy, Debug)]
struct Moment {
    /// Wall time, in ms since 1970.
    wall: i64,
    at: Instant,
    losses: u64,
}

impl Presence {
    /// `losses` is the number of records that were dropped instead of written.
    pub fn new(serving: Arc<AtomicBool>, losses: Arc<AtomicU64>) -> Presence {
        Presence {
            serving,
            losses,
            last: None,
        }
    }

    /// Adds the time since the last call.
    pub fn note(&mut self, counts: &mut Counts) {
        let now = Moment {
            wall: now_ns() / 1_000_000,
            at: Instant::now(),
            losses: self.losses.load(Ordering::Relaxed),
        };
        let serving = self.serving.load(Ordering::Relaxed);
        let last = std::mem::replace(&mut self.last, serving.then_some(now));
        // The step in which serving ended still counts: serving ended within it.
        if let Some(last) = last {
            add_step(last, now, counts);
        }
    }
}

fn add_step(last: Moment, now: Moment, counts: &mut Counts) {
    let lived = now.at.duration_since(last.at);
    let lived_ms = i64::try_from(lived.as_millis()).unwrap_or(i64::MAX);
    if ((now.wall - last.wall) - lived_ms).abs() > TOLERANCE_MS {
        let (from, to) = (now.wall.min(last.wall), now.wall.max(last.wall));
        if to - from <= DAY_MS {
            counts.disturbed(from, to);
        } else {
            counts.disturbed(from, from);
            counts.disturbed(to, to);
        }
    } else if lived <= LONGEST_STEP && now.losses == last.losses && now.wall > last.wall {
        counts.present(last.wall, now.wall);
    }
}
