//! The outcome of a request to a database, the same for every protocol.

use std::fmt;
use std::time::Duration;

/// The program that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// InfluxDB, with its version where it gives one.
    InfluxDb(Option<String>),
    /// VictoriaMetrics, which answers 204 to a write even where it does not store every line.
    VictoriaMetrics,
}

/// Result of a write.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All points are stored.
    Stored,
    /// Some points were refused, and would be again; the others are stored, or can be sent again.
    PartlyRefused(String),
    /// The lines of these numbers, counted from 0, were refused, and would be again; the others are stored.
    LinesRefused(Vec<(usize, String)>),
    /// Nothing was stored, because the points contradict each other: halve and send again.
    Contradiction(String),
    /// The request is too large; the text says for which program. Halve and send again.
    TooLarge(String),
    /// The points stay in the spool, to be sent again.
    Kept(Trouble),
}

/// The cause of a failed request, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Overloaded, restarting, unreachable or too slow: retry later.
    Later {
        what: String,
        retry_after: Option<Duration>,
    },
    /// The database is gone: create it.
    DatabaseMissing,
    /// User, password, token or rights: the operator must fix this.
    Denied(String),
    /// An answer that is not valid HTTP, so the outcome is unknown.
    Unreadable(String),
    /// An unexpected answer; the program may not be InfluxDB at all.
    NotUnderstood(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Later { what, .. } => f.write_str(what),
            Trouble::Unreadable(what) => write!(
                f,
                "an answer that cannot be parsed ({what}); check --influxdb-url (https:// instead of http://?) \
                 and proxies in front of InfluxDB"
            ),
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
