//! Keeping lines that cannot be delivered, and logging that: those that the database refused for good, and
//! damaged ones.

use std::path::Path;

use super::batch::Batch;
use super::rejected::{Rejected, RejectedDir, one_line};
use crate::logging::Throttle;

/// The rejected files, and what was logged of them.
#[derive(Debug)]
pub struct Keep {
    rejected: RejectedDir,
    refusals: Throttle,
    damaged: Throttle,
    lost: Throttle,
}

/// Lines of a batch that are not delivered.
#[derive(Debug, Default)]
pub struct Kept {
    /// In the rejected files.
    pub kept: u64,
    /// Those could not be written.
    pub lost: u64,
}

impl Kept {
    pub fn all(&self) -> u64 {
        self.kept + self.lost
    }
}

impl Keep {
    pub fn new(rejected: &Path) -> Keep {
        Keep {
            rejected: RejectedDir::new(rejected),
            refusals: Throttle::default(),
            damaged: Throttle::default(),
            lost: Throttle::default(),
        }
    }

    /// Puts the damaged lines of a batch, which begins at `offset` of its segment, into the rejected files.
    /// Whole lines are counted: a record behind damage is counted as what became of it.
    pub fn damaged(&mut self, sequence: u64, offset: u64, batch: &Batch) -> Kept {
        let mut kept = Kept::default();
        let dir = self.rejected.path().display();
        for damaged in &batch.damaged {
            let at = offset + damaged.at;
            let (added, done) = self.rejected.add(&Rejected {
                reason: format!(
                    "segment {sequence:020}, byte {at}: no record; damaged by a loss of power, the disk or a \
                     person"
                ),
                lines: vec![&damaged.bytes],
            });
            let line = u64::from(damaged.is_line);
            kept.kept += added.min(line);
            kept.lost += line - added.min(line);
            if let Err(error) = done
                && let Some(times) = self.lost.tick(1)
            {
                log::error!(
                    "{times} damaged lines of the spool could not be kept in {dir} and are lost: {error}; \
                     make room or repair the disk"
                );
            }
        }
        if let Some(first) = batch.damaged.first()
            && let Some(times) = self.damaged.tick(batch.damaged.len() as u64)
        {
            log::warn!(
                "segment {sequence:020}: {times} damaged lines put into {dir}, lately from byte {} on; look at \
                 them, then delete them; check the disk",
                offset + first.at
            );
        }
        kept
    }

    /// Puts lines that InfluxDB refused into the rejected files.
    pub fn refused(&mut self, rejected: &[Rejected<'_>]) -> Kept {
        let mut refused = Kept::default();
        for part in rejected {
            let (kept, added) = self.rejected.add(part);
            let lost = part.lines.len() as u64 - kept;
            refused.kept += kept;
            refused.lost += lost;
            let reason = one_line(&part.reason);
            let dir = self.rejected.path().display();
            if let Err(error) = added
                && let Some(times) = self.lost.tick(lost)
            {
                log::error!(
                    "InfluxDB refused {times} records for good: {reason:?}; they could not be kept in \
                     {dir} and are lost: {error}; free disk space or replace the disk"
                );
            }
            if kept > 0
                && let Some(times) = self.refusals.tick(kept)
            {
                log::warn!(
                    "InfluxDB refused {times} records for good: {reason:?}; they are in {dir}; fix \
                     them and write them by hand, or delete them"
                );
            }
        }
        refused
    }
}
