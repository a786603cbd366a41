//! Parameters for opening the ledger, which the counter reopens after a fault.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::error::LedgerError;
use super::file;
use super::ledger::Ledger;
use crate::units::duration::QueryPeriod;

/// Path and settings of the ledger.
#[derive(Clone, Debug)]
pub struct Opening {
    pub path: PathBuf,
    pub query_period: QueryPeriod,
    /// How long periods are kept in full detail.
    pub keep: Duration,
}

impl Opening {
    /// Opens or creates the ledger; `now` is in seconds since 1970.
    pub fn open(&self, now: i64) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.path, self.query_period, self.keep, now)
    }

    /// Renames an unusable ledger and returns its new path; `None` if the file does not exist any more.
    pub fn set_aside(&self, now: i64) -> io::Result<Option<PathBuf>> {
        match file::set_aside(&self.path, now) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            renamed => renamed.map(Some),
        }
    }
}
