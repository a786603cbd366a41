//! For how much of a period the server was there. A stop, a crash, a suspended machine, records that were
//! dropped and a clock that was set leave a period partly covered; none of them may make it look whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Counts;
use crate::spool::clock::now_ns;

/// A wall clock that differs by more from the one that nobody sets was set, or the machine was suspended.
const TOLERANCE_MS: i64 = 500;
/// A process that was stopped for longer was not there.
const LONGEST_STEP: Duration = Duration::from_secs(30);
/// A clock that was set by more than a day marks the periods at both ends alone: those in between are
/// another time.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Follows the clock while the server serves.
#[derive(Debug)]
pub struct Presence {
    /// The server takes check-ins.
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
    /// `losses` counts the records that were dropped instead of written.
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
        // The step in which serving ended still counts: it ended during the step at the earliest.
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
