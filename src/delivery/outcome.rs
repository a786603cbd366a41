//! What became of a request to a database, whatever its protocol.

use std::fmt;
use std::time::Duration;

/// The program that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// With its version, where it gives one.
    InfluxDb(Option<String>),
    /// It stores what it understands of a write and answers 204 to all of it.
    VictoriaMetrics,
}

/// Result of a write.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All points are stored.
    Stored,
    /// Some points were refused for good; the others are stored, or can be sent again.
    PartlyRefused(String),
    /// The lines of these numbers, counted from 0, were refused for good; the others are stored.
    LinesRefused(Vec<(usize, String)>),
    /// Nothing was stored, because the points contradict each other: halve and send again.
    Contradiction(String),
    /// The request is too large, and for whom: halve and send again.
    TooLarge(String),
    /// The points are kept.
    Kept(Trouble),
}

/// Why the database does not do what it is asked for, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Overloaded, restarting, unreachable or too slow: it passes.
    Later {
        what: String,
        retry_after: Option<Duration>,
    },
    /// The database is gone: create it.
    DatabaseMissing,
    /// User, password, token or rights: the operator must fix this.
    Denied(String),
    /// An answer that is no HTTP: what became of the request is not known.
    Unreadable(String),
    /// An answer nobody foresaw; it may not be InfluxDB at all.
    NotUnderstood(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Later { what, .. } => f.write_str(what),
            Trouble::Unreadable(what) => write!(f, "an answer that cannot be parsed ({what})"),
            Trouble::DatabaseMissing => f.write_str("the database does not exist"),
            Trouble::Denied(what) => {
                write!(
                    f,
                    "access denied ({what}); check user, password or token, and rights"
                )
            }
            Trouble::NotUnderstood(what) => {
                write!(f, "unexpected answer: {what}; check --influxdb-url")
            }
        }
    }
}
