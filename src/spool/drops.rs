//! Says that records are lost: at once, then once a minute with how many and since when, and how many
//! it were when it is over. A full disk loses a group of records every few milliseconds, often with
//! some that fit in between; the log must neither repeat that nor swallow the number.

use std::fmt::Display;
use std::time::{Duration, Instant};

const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// Records lost for one cause.
#[derive(Debug)]
pub struct Drops {
    /// The cause, for the line at the end.
    cause: &'static str,
    /// It is over when nothing was lost for this long, although there was something to lose.
    quiet: Duration,
    spell: Option<Spell>,
}

#[derive(Clone, Copy, Debug)]
struct Spell {
    began: Instant,
    last: Instant,
    said: Instant,
    records: u64,
    /// Something went well since the last loss.
    kept: bool,
}

impl Drops {
    pub fn new(cause: &'static str, quiet: Duration) -> Drops {
        Drops {
            cause,
            quiet,
            spell: None,
        }
    }

    /// Counts lost records; says `why` if it is time to.
    pub fn add(&mut self, records: u64, why: impl Display) {
        let now = Instant::now();
        let Some(spell) = &mut self.spell else {
            log::error!("{why}; {records} records dropped");
            self.spell = Some(Spell {
                began: now,
                last: now,
                said: now,
                records,
                kept: false,
            });
            return;
        };
        spell.last = now;
        spell.kept = false;
        spell.records += records;
        if spell.said.elapsed() >= REPEAT_AFTER {
            spell.said = now;
            log::error!(
                "{why}; {} records dropped in {} s",
                spell.records,
                spell.began.elapsed().as_secs()
            );
        }
    }

    /// Something went well that might have been lost. When there is nothing to lose, no end is seen.
    pub fn kept(&mut self) {
        if let Some(spell) = &mut self.spell {
            spell.kept = true;
        }
    }

    /// Something is being lost, so [`look`](Drops::look) has to be called in time.
    pub fn is_going_on(&self) -> bool {
        self.spell.is_some()
    }

    /// Says how it ended, if it has.
    pub fn look(&mut self) {
        let over = |spell: &mut Spell| spell.kept && spell.last.elapsed() >= self.quiet;
        if let Some(spell) = self.spell.take_if(over) {
            log::warn!(
                "{}: over; {} records were dropped in {} s",
                self.cause,
                spell.records,
                (spell.last - spell.began).as_secs()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_ends_when_it_was_quiet_and_not_before() {
        let mut drops = Drops::new("a test", Duration::from_millis(20));
        drops.add(1, "because");
        drops.add(2, "because");
        assert_eq!(drops.spell.unwrap().records, 3);
        drops.look();
        assert!(drops.is_going_on());
        std::thread::sleep(Duration::from_millis(25));
        drops.look();
        assert!(drops.is_going_on(), "nothing was kept yet");
        drops.kept();
        drops.look();
        assert!(!drops.is_going_on());
    }
}
