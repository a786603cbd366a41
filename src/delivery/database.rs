//! The database in InfluxDB 1.x: it is created where it is missing.

use std::time::Duration;

use super::outcome::Trouble;
use super::v1::{QueryError, V1, quoted};

/// Whether the database was created, or was there, since the server started or since it was missing.
#[derive(Debug, Default)]
pub struct Database {
    ready: bool,
    /// The log has it.
    told: bool,
}

impl Database {
    /// Creates the database if it has to be. Returns whether InfluxDB was asked. A user who may not create it is
    /// fine where it exists; where it does not, the first write says so.
    pub fn create(&mut self, influx: &V1, timeout: Duration) -> Result<bool, Trouble> {
        if self.ready {
            return Ok(false);
        }
        let statement = format!("CREATE DATABASE {}", quoted(influx.database()));
        let refusal = allowed(influx.query(&statement, timeout))?.err();
        self.ready = true;
        if let Some(why) = refusal {
            log::debug!("InfluxDB: {statement}: {why}");
        }
        if !std::mem::replace(&mut self.told, true) {
            log::info!(
                "InfluxDB at {} is ready, database {:?}",
                influx.url(),
                influx.database()
            );
        }
        Ok(true)
    }

    /// A write said that the database is missing.
    pub fn is_missing(&mut self) {
        self.ready = false;
    }
}

/// Passes trouble on that a write would meet too, and gives a refusal back as its text.
pub fn allowed<T>(result: Result<T, QueryError>) -> Result<Result<T, String>, Trouble> {
    match result {
        Ok(answer) => Ok(Ok(answer)),
        Err(QueryError::Refused(text)) => Ok(Err(text)),
        Err(QueryError::Trouble(Trouble::Denied(what))) if what.contains("not authorized") => {
            Ok(Err(what))
        }
        Err(QueryError::Trouble(trouble)) => Err(trouble),
    }
}
