//! Keeping and logging lines that cannot be delivered: lines that the database refuses at every retry, and damaged
//! ones.

use std::path::Path;

use super::batch::Batch;
use super::rejected::{Rejected, RejectedDir, one_line};
use crate::logging::Throttle;
use crate::state::disk_advice;

/// The rejected files, and the limits on log lines about them.
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
    /// Lines in the rejected files.
    pub kept: u64,
    /// Lines that could not be written to them.
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
    /// Returns the number of whole lines: damage before a record in its line is not counted, the record is.
    pub fn damaged(&mut self, sequence: u64, offset: u64, batch: &Batch) -> Kept {
        let mut kept = Kept::default();
        let dir = self.rejected.path().display();
        for damaged in &batch.damaged {
            let at = offset + damaged.at;
            let (added, done) = self.rejected.add(&Rejected {
                reason: format!(
                    "segment {sequence:020}, byte {at}: not a record; damaged by a loss of power, the disk or a \
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
                    "{times} damaged lines of the spool could not be kept in {dir} and are lost: {error}; {}",
                    disk_advice(&error)
                );
            }
        }
        if let Some(first) = batch.damaged.first()
            && let Some(times) = self.damaged.tick(batch.damaged.len() as u64)
        {
            log::warn!(
                "segment {sequence:020}: {times} damaged lines put into {dir}, the last ones from byte {} on; \
                 check these lines, then delete them; check the disk",
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
                    "InfluxDB refused {times} records: {reason:?}; they could not be kept in {dir} and \
                     are lost: {error}; {}",
                    disk_advice(&error)
                );
            }
            if kept > 0
                && let Some(times) = self.refusals.tick(kept)
            {
                log::warn!(
                    "InfluxDB refused {times} records: {reason:?}; they are in {dir} and are not sent \
                     again; fix them and write them by hand, or delete them"
                );
            }
        }
        refused
    }
}
