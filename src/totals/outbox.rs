//! Makes points for a time-series database from the totals of finished periods, and records which periods were sent.
//!
//! The ledger stores which periods were sent, so a restart or an outage never skips a period, and repeats at most the
//! one that was being sent. A repeated point has the same or a corrected total.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::error::LedgerError;
use super::schema;
use super::values::{APP_VERSION, COUNTRIES};
use crate::delivery::{Line, PeriodPoints, TotalsSource};
use crate::line::encode::{MEASUREMENT, escaped};

/// Longest wait for a commit of the counter.
const BUSY: Duration = Duration::from_secs(2);
const NS: i64 = 1_000_000_000;

/// Selects the totals that become points.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// Path of the ledger.
    pub path: PathBuf,
    /// The server's own name, a tag of each point.
    pub instance: String,
    /// Names of extra tags, `city` or `country` that get a measurement of their own.
    pub tags: Vec<String>,
    /// Whether numeric fields are sent too: without raw points the database cannot compute them.
    pub fields: bool,
}

/// The source of the sender's totals.
#[derive(Debug)]
pub struct Outbox {
    options: OutboxOptions,
    /// `None` before the first use and after an error, because the ledger may have been replaced.
    connection: Option<Connection>,
}

/// A period that is due to be sent.
struct Due {
    start: i64,
    seconds: i64,
    total: i64,
    covered: i64,
    revision: i64,
}

impl Outbox {
    pub fn new(options: OutboxOptions) -> Outbox {
        Outbox {
            options,
            connection: None,
        }
    }

    /// Runs `work` on the ledger. After an error, the next call opens the ledger again.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&Connection, &OutboxOptions) -> rusqlite::Result<T>,
    ) -> Result<T, String> {
        let path = &self.options.path;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(path)?,
        };
        match work(&connection, &self.options) {
            Ok(done) => {
                self.connection = Some(connection);
                Ok(done)
            }
            Err(error) => Err(LedgerError::of(path, &error).to_string()),
        }
    }
}

impl TotalsSource for Outbox {
    fn next(&mut self, before: i64) -> Result<Option<PeriodPoints>, String> {
        self.with(|connection, options| {
            let Some(due) = due(connection, before)? else {
                return Ok(None);
            };
            let lines = Points {
                connection,
                options,
                due: &due,
                lines: Vec::new(),
            };
            let covered = due.covered >= due.seconds;
            Ok(Some(PeriodPoints {
                start: due.start,
                end: due.start + due.seconds,
                revision: due.revision,
                whole_total: covered.then_some(due.total.max(0) as u64),
                lines: lines.all()?,
            }))
        })
    }

    fn sent(&mut self, points: &PeriodPoints, foreign: &[String]) -> Result<(), String> {
        self.with(|connection, _| {
            let transaction = connection.unchecked_transaction()?;
            for measurement in foreign {
                transaction.execute(
                    "INSERT INTO own VALUES (?1, ?2)
                     ON CONFLICT DO UPDATE SET since = max(since, ?2)",
                    (measurement, points.end),
                )?;
            }
            transaction.execute(
                "UPDATE period SET sent = ? WHERE start = ?",
                (points.revision, points.start),
            )?;
            transaction.commit()
        })
    }
}

/// Opens the ledger; never creates it, which is the task of the counter.
fn open(path: &Path) -> Result<Connection, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<(Connection, i64)> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        // After a power cut a period may be sent twice, which is harmless.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "cache_size", -128)?;
        let version = schema::version(&connection)?;
        Ok((connection, version))
    };
    match open() {
        Ok((connection, version)) if version == schema::VERSION => Ok(connection),
        Ok((_, version)) => Err(format!(
            "{}: the ledger has version {version}, expected {}",
            path.display(),
            schema::VERSION
        )),
        Err(error) => Err(LedgerError::of(path, &error).to_string()),
    }
}

/// The oldest finished period whose current revision was not sent. A period with an unknown total is marked as sent
/// and skipped.
fn due(connection: &Connection, before: i64) -> rusqlite::Result<Option<Due>> {
    let sql = "SELECT start, seconds, total, min(present_ms / 1000, seconds - disturbed), revision FROM period
               WHERE (sent IS NULL OR sent < revision) AND start + seconds <= ? ORDER BY start LIMIT 1";
    loop {
        let mut statement = connection.prepare_cached(sql)?;
        let found = statement.query_row([before], |row| {
            Ok(Due {
                start: row.get(0)?,
                seconds: row.get(1)?,
                total: row.get(2)?,
                covered: row.get(3)?,
                revision: row.get(4)?,
            })
        });
        let Some(due) = found.optional()? else {
            return Ok(None);
        };
        // As in the views, a total of 0 is known only if the period is wholly covered.
        if due.total > 0 || due.covered >= due.seconds {
            return Ok(Some(due));
        }
        connection.execute(
            "UPDATE period SET sent = ? WHERE start = ?",
            (due.revision, due.start),
        )?;
    }
}

/// Builder of the points of one period.
struct Points<'a> {
    connection: &'a Connection,
    options: &'a OutboxOptions,
    due: &'a Due,
    lines: Vec<Line>,
}

impl Points<'_> {
    fn all(mut self) -> rusqlite::Result<Vec<Line>> {
        self.total(MEASUREMENT, None, self.due.total);
        self.by("by_app_version", APP_VERSION, APP_VERSION)?;
        self.by("by_country_code", "country_isocode", COUNTRIES)?;
        for tag in self.options.tags.clone() {
            let dimension = if tag == "country" { COUNTRIES } else { &tag };
            self.by(&format!("by_{tag}"), &tag, dimension)?;
        }
        if self.options.fields {
            self.fields()?;
        }
        let mut own = self
            .connection
            .prepare_cached("SELECT max(since) FROM own WHERE measurement IN (?, '')")?;
        let mut kept = Vec::new();
        for line in std::mem::take(&mut self.lines) {
            let since: Option<i64> = own.query_row([&line.measurement], |row| row.get(0))?;
            if since.is_none_or(|since| since <= self.due.start) {
                kept.push(line);
            }
        }
        Ok(kept)
    }

    /// Adds the totals of a dimension. Records without a value become a point without the tag, as with the original's
    /// continuous queries.
    fn by(&mut self, name: &str, tag: &str, dimension: &str) -> rusqlite::Result<()> {
        // The ledger stores a country's code as the value, and its name beside it.
        let text = if tag == "country" {
            "coalesce(v.name, v.value)"
        } else {
            "v.value"
        };
        let sql = format!(
            "SELECT {text}, sum(t.total) FROM dimension d
                 JOIN total t ON t.dimension = d.id AND t.period = ?2
                 JOIN value v ON v.id = t.value
             WHERE d.name = ?1 AND d.kind = 'tag' GROUP BY 1 ORDER BY 1"
        );
        let connection = self.connection;
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query((dimension, self.due.start))?;
        let mut rest = self.due.total;
        while let Some(row) = rows.next()? {
            let (value, total): (String, i64) = (row.get(0)?, row.get(1)?);
            rest -= total;
            self.total(name, Some((tag, &value)), total);
        }
        if rest > 0 {
            self.total(name, None, rest);
        }
        Ok(())
    }

    fn total(&mut self, name: &str, value: Option<(&str, &str)>, total: i64) {
        self.push(
            &format!("{name}_down_sampling"),
            value,
            &format!("total={total}i"),
        );
    }

    /// Adds the counts and sums of numeric fields.
    fn fields(&mut self) -> rusqlite::Result<()> {
        let connection = self.connection;
        let mut statement = connection.prepare_cached(
            "SELECT d.name, n.count, n.sum FROM number n JOIN dimension d ON d.id = n.dimension
             WHERE n.period = ? ORDER BY d.name",
        )?;
        let mut rows = statement.query([self.due.start])?;
        while let Some(row) = rows.next()? {
            let (field, count, sum): (String, i64, f64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let values = format!("count={count}i,sum={sum}");
            self.push("fields_down_sampling", Some(("field", &field)), &values);
        }
        Ok(())
    }

    fn push(&mut self, measurement: &str, value: Option<(&str, &str)>, fields: &str) {
        let instance = ("instance", self.options.instance.as_str());
        let mut tags: Vec<(&str, &str)> = value.into_iter().chain([instance]).collect();
        tags.sort_unstable();
        let mut text = measurement.to_owned();
        for (key, value) in tags.into_iter().filter(|(_, value)| !value.is_empty()) {
            // Writing to a String cannot fail.
            let _ = write!(text, ",{}={}", escaped(key), escaped(value));
        }
        let _ = write!(text, " {fields} {}", self.due.start.saturating_mul(NS));
        self.lines.push(Line {
            measurement: measurement.to_owned(),
            text,
        });
    }
}
