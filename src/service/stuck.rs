//! Connections that do not move any more: counted, and logged before they take all slots.
//!
//! A silent client is cut off when its time-out is over, so a slot that has not moved for longer is lost
//! (`HTTP/2.0` or `HTTP/3.0` in a request line blocks its thread in tiny_http for good, also when the client
//! has gone) or held by a client that drips.
//!
//! Without it: connections are lost one by one without a word, until none is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::http::slots::{Slots, Turn};
use crate::logging::Throttle;

/// A look later than this after the last one counts as so much: a pause of the whole machine is nobody's
/// silence.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Looks at the slots of one listener again and again.
#[derive(Debug)]
pub struct Stuck {
    slots: Arc<Slots>,
    /// What they are for, for the log.
    name: &'static str,
    /// So long a slot may stay as it is.
    limit: Duration,
    /// Time that has passed, by looks.
    now: Duration,
    last_look: Instant,
    /// Where each slot was, and since when.
    seen: Vec<(Turn, Duration)>,
    /// Found since the last log line.
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

    /// Counts the slots that are stuck; says so where there are new ones.
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
                "{stuck} of {} connections for {} are stuck, they have not moved for {} s; HTTP/2.0 or \
                 3.0 in the first line of a request costs one for good, and clients that send a byte now \
                 and then hold one; put a proxy in front that lets neither through; a restart frees them",
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
        // That of a proxy may be idle, and the next one is the accept loop's.
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
