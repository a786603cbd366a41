//! Counts connections that make no progress, and logs them before they take all slots.
//!
//! A silent client is cut off after its time-out, so a slot that has not moved for longer is stuck. Either it is lost:
//! `HTTP/2.0` or `HTTP/3.0` in a request line blocks its thread in tiny_http indefinitely, even if the client has
//! gone. Or a client holds it by sending single bytes.
//!
//! Without this module, connections would be lost one by one without a log line, until none is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::http::slots::{Slots, Turn};
use crate::logging::Throttle;

/// The most time that counts between two checks: a pause of the whole machine must not count as silence of
/// the clients.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Watches the slots of one listener.
#[derive(Debug)]
pub struct Stuck {
    slots: Arc<Slots>,
    /// The purpose of the connections, for the log.
    name: &'static str,
    /// How long a slot may stay unchanged.
    limit: Duration,
    /// The time that has passed, added up by the checks.
    now: Duration,
    last_look: Instant,
    /// The state of each slot, and since when.
    seen: Vec<(Turn, Duration)>,
    /// Stuck slots found since the last log line.
    unsaid: usize,
    said: Throttle,
}

impl Stuck {
    pub fn new(slots: Arc<Slots>, name: &'static str, limit: Duration) -> Stuck {
        Stuck {
            name,
            limit,
            now: Duration::ZERO,
            last_look: Instant::now(),
            seen: slots.turns().map(|turn| (turn, Duration::ZERO)).collect(),
            unsaid: 0,
            said: Throttle::default(),
            slots,
        }
    }

    /// Counts the slots that are stuck; logs a warning if there are new ones.
    pub fn look(&mut self) {
        self.now += self.last_look.elapsed().min(LONGEST_LOOK);
        self.last_look = Instant::now();
        let mut stuck = 0_usize;
        for (turn, (seen, since)) in self.slots.turns().zip(&mut self.seen) {
            if turn != *seen {
                (*seen, *since) = (turn, self.now);
            } else if turn.must_move() && self.now - *since >= self.limit {
                stuck += 1;
            }
        }
        self.unsaid += stuck.saturating_sub(self.slots.stuck());
        self.slots.set_stuck(stuck);
        if self.unsaid > 0 && self.said.tick(0).is_some() {
            self.unsaid = 0;
            log::warn!(
                "{stuck} of {} connections for {} are stuck, without progress for {} s; a request with \
                 HTTP/2.0 or 3.0 in its first line blocks one until the restart, and a client that sends \
                 single bytes holds one; put a proxy in front that refuses both; a restart frees them",
                self.slots.most(),
                self.name,
                self.limit.as_secs(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::slots::Step;

    #[test]
    fn only_what_must_move_and_does_not_is_stuck() {
        let slots = Slots::new(5);
        let mut stuck = Stuck::new(Arc::clone(&slots), "test", Duration::ZERO);
        let taken: Vec<_> = (0..4).filter_map(|_| slots.take()).collect();
        for (slot, step) in taken.iter().zip([Step::Accepted, Step::Asked]) {
            slot.step(step);
        }
        // A proxy's connection may be idle, and the last one still belongs to the accept loop.
        taken[2].step(Step::AskedByProxy);
        stuck.look();
        assert_eq!(slots.stuck(), 0, "all have just moved");
        stuck.look();
        assert_eq!(slots.stuck(), 2);
        taken[0].step(Step::Asked);
        drop(taken);
        stuck.look();
        assert_eq!(slots.stuck(), 0);
        stuck.look();
        assert_eq!(slots.stuck(), 0, "nobody is there");
    }
}
