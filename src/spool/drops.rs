//! Log lines about dropped records: immediately, then once a minute with their number and the time since the
//! first, and once when the drops have ended. A full disk drops a group of records every few milliseconds, often
//! with some that fit in between. The log must neither repeat each drop nor lose the number.

use std::fmt::Display;
use std::time::{Duration, Instant};

const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// Records dropped for one cause.
#[derive(Debug)]
pub struct Drops {
    /// The cause, for the log line at the end.
    cause: &'static str,
    /// The drops have ended when nothing was dropped for this long, although something was kept.
    quiet: Duration,
    spell: Option<Spell>,
}

#[derive(Clone, Copy, Debug)]
struct Spell {
    began: Instant,
    last: Instant,
    said: Instant,
    records: u64,
    /// Whether records were kept since the last drop.
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

    /// Counts dropped records. Logs `why` the first time, then once a minute.
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

    /// Notes that records were kept. Without any, the drops are not taken to have ended.
    pub fn kept(&mut self) {
        if let Some(spell) = &mut self.spell {
            spell.kept = true;
        }
    }

    /// Whether the drops have not ended yet, so that [`look`](Drops::look) has to be called regularly.
    pub fn is_going_on(&self) -> bool {
        self.spell.is_some()
    }

    /// Logs the number of drops if they have ended.
    pub fn look(&mut self) {
        let over = |spell: &mut Spell| spell.kept && spell.last.elapsed() >= self.quiet;
        if let Some(spell) = self.spell.take_if(over) {
            log::warn!(
                "{}: ended; {} records were dropped in {} s",
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
