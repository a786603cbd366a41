//! Answers that cannot be parsed, and whether a line may cause them.
//!
//! InfluxDB repeats a refused line in a header, so a byte of the line can make the whole answer unreadable at every
//! retry. Such a batch must not hold up later ones. But if a database or a proxy answers everything like this, its
//! answers must not get records rejected. So lines are suspected only after a few equal failures of one batch, and
//! only while the database answers requests without lines. An answer's text is never interpreted.

use std::time::Duration;

use super::outcome::{Outcome, Trouble};
use super::protocol::Protocol;

/// Equal failures of a batch before its lines are suspected.
const FEW: u32 = 3;

/// The last failures of one batch.
#[derive(Debug, Default)]
pub struct Suspicion {
    /// Segment and offset of the batch.
    batch: (u64, u64),
    what: String,
    times: u32,
}

impl Suspicion {
    /// Notes trouble with a batch.
    pub fn failed(&mut self, batch: (u64, u64), trouble: &Trouble) {
        let Trouble::Unreadable(what) = trouble else {
            return;
        };
        if self.batch != batch || self.what != *what {
            *self = Suspicion {
                batch,
                what: what.clone(),
                times: 0,
            };
        }
        self.times += 1;
    }

    /// Whether a batch failed so often that its lines are suspected.
    pub fn is_strong(&self, batch: (u64, u64)) -> bool {
        self.batch == batch && self.times >= FEW
    }
}

/// Whether the database answers requests without lines: a ping, and an empty write, which takes the same path as
/// lines do.
pub fn answers_without_lines(influx: &Protocol, timeout: Duration) -> bool {
    let is_there = influx.ping(timeout).is_ok();
    is_there
        && !matches!(
            influx.write(b"", timeout),
            Outcome::Kept(Trouble::Unreadable(_) | Trouble::Later { .. })
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_failures_of_one_batch_in_a_row_are_suspicious() {
        let unreadable = |what: &str| Trouble::Unreadable(what.to_owned());
        let mut suspicion = Suspicion::default();
        for _ in 0..2 {
            suspicion.failed((7, 0), &unreadable("header"));
            suspicion.failed((7, 0), &Trouble::DatabaseMissing);
        }
        assert!(!suspicion.is_strong((7, 0)));
        suspicion.failed((7, 0), &unreadable("header"));
        assert!(suspicion.is_strong((7, 0)));
        assert!(!suspicion.is_strong((7, 100)), "another batch");
        suspicion.failed((7, 0), &unreadable("another"));
        assert!(!suspicion.is_strong((7, 0)));
    }
}
