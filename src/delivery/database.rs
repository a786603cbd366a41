//! Creation of the database in InfluxDB 1.x, where it is missing.

use std::time::Duration;

use super::outcome::Trouble;
use super::v1::{QueryError, V1, quoted};

/// The state of the database, as far as it is known.
#[derive(Debug, Default)]
pub struct Database {
    /// Whether it was created since the server started, or since a write found it missing.
    ready: bool,
    /// Whether this was logged.
    told: bool,
}

impl Database {
    /// Creates the database unless that was done. Returns whether InfluxDB was asked. A refusal is ignored: the user
    /// may lack the right to create a database that exists, and if it is missing, the first write fails.
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

    /// Notes that a write found the database missing.
    pub fn is_missing(&mut self) {
        self.ready = false;
    }
}

/// Returns a refusal of the statement as its text. Other trouble, which a write would meet too, is an error.
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
