//! Estimates from the last finished period of the ledger to how many installations each version would be offered.
//!
//! The ledger counts by one dimension at a time. So the number is exact only if it depends on the version alone; with
//! other criteria in a rule there is a least and a greatest number. This module only reads, and an unreadable ledger
//! is no error of a check.

mod estimate;
mod installations;

use std::fmt;
use std::path::Path;

use jiff::Timestamp;

use crate::config::response::ResponseConfig;
use crate::totals::{LedgerError, LedgerReader};
use crate::units::date::rfc3339;
pub use estimate::Range;
use installations::Installations;

/// The versions that are offered to the installations of one period.
#[derive(Debug)]
pub struct Offers {
    /// The beginning of the period, in seconds since 1970.
    pub start: i64,
    pub installations: f64,
    /// By version, in the order of the config.
    pub versions: Vec<Offered>,
}

/// The numbers of installations that one version is offered to.
#[derive(Debug)]
pub struct Offered {
    pub name: String,
    pub with_this: Range,
    /// With the config in use, if that is another one and has the version.
    pub now: Option<Range>,
}

/// Reads the ledger; `None` if it has no finished period that was covered.
pub fn of(
    ledger: &Path,
    config: &ResponseConfig,
    in_use: Option<&ResponseConfig>,
    now: Timestamp,
) -> Result<Option<Offers>, LedgerError> {
    let ledger = LedgerReader::open(ledger)?;
    let Some(installations) = Installations::read(&ledger, now.as_second())? else {
        return Ok(None);
    };
    let ranges = estimate::ranges(config, &installations, now);
    let before = in_use.map(|config| estimate::ranges(config, &installations, now));
    let versions = config.versions().iter().zip(ranges);
    let versions = versions.map(|(version, with_this)| {
        let place = in_use.and_then(|config| {
            let mut versions = config.versions().iter();
            versions.position(|other| other.name == version.name)
        });
        let now = before.as_ref().zip(place);
        Offered {
            name: version.name.clone(),
            with_this,
            now: now.and_then(|(before, place)| before.get(place).copied()),
        }
    });
    Ok(Some(Offers {
        start: installations.start,
        installations: installations.total,
        versions: versions.collect(),
    }))
}

impl fmt::Display for Offers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, start) = (self.installations.round(), rfc3339(self.start));
        write!(f, "{count} in the period of {start}, the last finished one")
    }
}

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} to {}", self.name, self.with_this)?;
        match &self.now {
            Some(now) => write!(f, " of them, now to {now}"),
            None => f.write_str(" of them"),
        }
    }
}
