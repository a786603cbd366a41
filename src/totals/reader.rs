//! Reads the ledger for the page and for the command `report`, whether the server is running or not. Never changes
//! the file, and never makes a commit wait.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Params};

use super::error::{Fault, LedgerError};
use super::periods::Lengths;
use super::report::{Numbers, Part, Query, Report, Row, ValueTotal};
use super::rows::{self, Known, Rows};
use super::values::{ALL, APP_VERSION, CITIES, COUNTRIES};
use super::{ledger, schema, untouched};
use crate::spool::Position;

/// Longest wait for a ledger that another process opens or recovers.
const BUSY: Duration = Duration::from_secs(2);

/// A ledger, opened only for reading.
#[derive(Debug)]
pub struct LedgerReader {
    path: PathBuf,
    pub(super) connection: Connection,
}

/// Meaning of a name that a report is asked for.
enum By {
    All,
    /// Values of the dimension with this id.
    Values(i64),
    /// Figures of the field with this id.
    Numbers(i64),
}

impl LedgerReader {
    /// Opens a ledger. If SQLite cannot create its files beside it, as on a read-only disk, the ledger is read without
    /// its write-ahead log.
    pub fn open(path: &Path) -> Result<LedgerReader, LedgerError> {
        let failed = |error: rusqlite::Error| LedgerError::of(path, &error);
        exists(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        match schema::version(&connection) {
            Ok(_) => LedgerReader::of(path, connection),
            Err(error) => {
                let connection = untouched::immutable(path).map_err(|_| failed(error))?;
                LedgerReader::of(path, connection)
            }
        }
    }

    /// Opens a ledger without writing to its directory, for copies of ledgers.
    pub fn open_untouched(path: &Path) -> Result<LedgerReader, LedgerError> {
        exists(path)?;
        let connection = untouched::open(path)?;
        let waits = connection.busy_timeout(BUSY);
        waits.map_err(|error| LedgerError::of(path, &error))?;
        LedgerReader::of(path, connection)
    }

    /// Rejects a ledger that a newer program wrote.
    fn of(path: &Path, connection: Connection) -> Result<LedgerReader, LedgerError> {
        let version = schema::version(&connection);
        let version = version.map_err(|error| LedgerError::of(path, &error))?;
        if version > schema::VERSION {
            return Err(LedgerError::new(path, Fault::Newer(version)));
        }
        Ok(LedgerReader {
            path: path.to_owned(),
            connection,
        })
    }

    /// Version of the tables.
    pub(super) fn version(&self) -> Result<i64, LedgerError> {
        schema::version(&self.connection).map_err(|error| self.failed(&error))
    }

    /// Position in the spool up to which the server has counted.
    pub fn position(&self) -> Result<Position, LedgerError> {
        let position = ledger::read_position(&self.connection);
        Ok(position.map_err(|error| self.failed(&error))?.0)
    }

    /// Start of the first day or period, and end of the last, in seconds since 1970.
    pub fn span(&self) -> Result<Option<(i64, i64)>, LedgerError> {
        let sql = "SELECT min(coalesce((SELECT min(start) FROM day), 1 << 62),
                              coalesce((SELECT min(start) FROM period), 1 << 62)),
                          max(coalesce((SELECT max(start) + 86400 FROM day), 0),
                              coalesce((SELECT max(start + seconds) FROM period), 0))";
        let span = self.one(sql, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(span.filter(|(first, last): &(i64, i64)| first < last))
    }

    /// Names that a report can be asked for: the built-in dimensions, then tags and fields by name.
    pub fn dimensions(&self) -> Result<Vec<String>, LedgerError> {
        let mut names: Vec<String> = [ALL, APP_VERSION, COUNTRIES, CITIES]
            .map(str::to_owned)
            .to_vec();
        let sql = "SELECT DISTINCT name FROM dimension ORDER BY name";
        for name in self.all(sql, (), |row| row.get::<_, String>(0))? {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The totals of a span. If nothing is counted by `by`, the error lists the known names.
    pub fn report(&self, query: &Query) -> Result<Report, LedgerError> {
        let by = self.by(&query.by)?;
        let rows = self.rows(query, &by)?;
        Ok(Report {
            query_period_seconds: self.period_seconds(query.now)?,
            by: query.by.clone(),
            rows: rows::grouped(rows, query.every, query.now),
        })
    }

    /// The rows of a report before they are grouped. If nothing is counted by `by`, the rows have only totals.
    pub(super) fn periods(&self, query: &Query) -> Result<Rows, LedgerError> {
        let is_known = self.dimensions()?.contains(&query.by);
        let by = if is_known {
            self.by(&query.by)?
        } else {
            By::All
        };
        self.rows(query, &by)
    }

    /// Length of periods at a moment, in seconds.
    pub(super) fn period_seconds(&self, moment: i64) -> Result<u64, LedgerError> {
        Ok(self.lengths()?.seconds_at(moment) as u64)
    }

    /// Path of the ledger.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn rows(&self, query: &Query, by: &By) -> Result<Rows, LedgerError> {
        // The transaction gives all statements one consistent state of the ledger.
        let transaction = self.connection.unchecked_transaction();
        let _transaction = transaction.map_err(|error| self.failed(&error))?;
        let lengths = self.lengths()?;
        let Some((first, _)) = self.span()? else {
            return Ok(Rows::default());
        };
        let (from, to) = (query.from.max(first), query.to.min(query.now + 1));
        let known = self.known(from, to)?;
        let mut base = rows::base(&lengths, &known, from, to, query.now);
        self.fill(&mut base, by)?;
        Ok(base)
    }

    fn by(&self, name: &str) -> Result<By, LedgerError> {
        if name == ALL {
            return Ok(By::All);
        }
        let sql = "SELECT id, kind FROM dimension WHERE name = ?
                   ORDER BY kind = 'tag' DESC, kind = 'number' DESC LIMIT 1";
        let found = self.one(sql, [name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        match found {
            Some((id, kind)) if <String as AsRef<str>>::as_ref(&kind) == "number" => {
                Ok(By::Numbers(id))
            }
            Some((id, _)) => Ok(By::Values(id)),
            // Nothing was counted by this built-in dimension yet.
            None if [APP_VERSION, COUNTRIES, CITIES].contains(&name) => Ok(By::Values(0)),
            None => {
                let known = self.dimensions()?.join(", ");
                let what = format!("nothing is counted by {name:?}, expected one of: {known}");
                Err(LedgerError::new(&self.path, Fault::Missing(what)))
            }
        }
    }

    fn lengths(&self) -> Result<Lengths, LedgerError> {
        let kept = ledger::kept_lengths(&self.connection).map_err(|error| self.failed(&error))?;
        Lengths::from_kept(kept).ok_or_else(|| {
            let what = "invalid period lengths".to_owned();
            LedgerError::new(&self.path, Fault::Corrupt(what))
        })
    }

    fn known(&self, from: i64, to: i64) -> Result<Known, LedgerError> {
        let day = from - from.rem_euclid(super::days::DAY);
        let sql =
            "SELECT start, periods, covered_seconds, mean FROM day WHERE start >= ? AND start < ?";
        let days = self.all(sql, (day, to), |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))
        })?;
        let sql = "SELECT start, min(present_ms / 1000, seconds - disturbed), total FROM period
                   WHERE start + seconds > ? AND start < ?";
        let periods = self.all(sql, (from, to), |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
        })?;
        let sql = "SELECT max(start) + 86400 FROM day";
        let detail: Option<Option<i64>> = self.one(sql, (), |row| row.get(0))?;
        Ok(Known {
            days: days.into_iter().collect(),
            periods: periods.into_iter().collect(),
            detail_from: detail.flatten().unwrap_or(i64::MIN),
        })
    }

    /// Adds values or figures to the rows, of which the first `days` are kept days.
    fn fill(&self, rows: &mut Rows, by: &By) -> Result<(), LedgerError> {
        let (days, periods) = rows.rows.split_at_mut(rows.days);
        match *by {
            By::All => Ok(()),
            By::Values(dimension) => {
                let values = self.values(dimension)?;
                let sql = "SELECT day, value, mean FROM total_day WHERE dimension = ? AND day BETWEEN ? AND ?";
                self.fill_values(days, sql, dimension, &values)?;
                let sql = "SELECT period, value, total FROM total
                           WHERE dimension = ? AND period BETWEEN ? AND ?";
                self.fill_values(periods, sql, dimension, &values)
            }
            By::Numbers(field) => {
                let sql = "SELECT day, count, sum, least, greatest FROM number_day
                           WHERE dimension = ? AND day BETWEEN ? AND ?";
                self.fill_numbers(days, sql, field)?;
                let sql = "SELECT period, count, sum, least, greatest FROM number
                           WHERE dimension = ? AND period BETWEEN ? AND ?";
                self.fill_numbers(periods, sql, field)
            }
        }
    }

    fn fill_values(
        &self,
        rows: &mut [Row],
        sql: &str,
        dimension: i64,
        values: &HashMap<i64, ValueTotal>,
    ) -> Result<(), LedgerError> {
        let Some((first, last)) = ends(rows) else {
            return Ok(());
        };
        let totals = self.all(sql, (dimension, first, last), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
        })?;
        for (start, value, total) in totals {
            if let (Some(row), Some(value)) = (row_at(rows, start), values.get(&value))
                && let Part::Values(values) = &mut row.part
            {
                values.push(ValueTotal {
                    total,
                    ..value.clone()
                });
            }
        }
        for row in rows {
            if let Part::Values(values) = &mut row.part {
                rows::sort(values);
            }
        }
        Ok(())
    }

    fn fill_numbers(&self, rows: &mut [Row], sql: &str, field: i64) -> Result<(), LedgerError> {
        for row in rows.iter_mut() {
            row.part = Part::Numbers(None);
        }
        let Some((first, last)) = ends(rows) else {
            return Ok(());
        };
        let figures = self.all(sql, (field, first, last), |row| {
            let numbers = Numbers {
                count: row.get(1)?,
                sum: row.get(2)?,
                least: row.get(3)?,
                greatest: row.get(4)?,
            };
            Ok((row.get(0)?, numbers))
        })?;
        for (start, numbers) in figures {
            if let Some(row) = row_at(rows, start) {
                row.part = Part::Numbers(Some(numbers));
            }
        }
        Ok(())
    }

    fn values(&self, dimension: i64) -> Result<HashMap<i64, ValueTotal>, LedgerError> {
        let sql = "SELECT id, value, name, nullif(country, '') FROM value WHERE dimension = ?";
        let values = self.all(sql, [dimension], |row| {
            let value = ValueTotal {
                value: row.get(1)?,
                name: row.get(2)?,
                country: row.get(3)?,
                total: 0.0,
            };
            Ok((row.get(0)?, value))
        })?;
        Ok(values.into_iter().collect())
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, LedgerError> {
        let found = self.connection.query_row(sql, params, read).optional();
        found.map_err(|error| self.failed(&error))
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LedgerError> {
        let rows = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(params, read)?.collect()
        };
        rows().map_err(|error| self.failed(&error))
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> LedgerError {
        LedgerError::of(&self.path, error)
    }
}

fn exists(path: &Path) -> Result<(), LedgerError> {
    if path.exists() {
        return Ok(());
    }
    let what = "the ledger does not exist; the server creates it at its first start".to_owned();
    Err(LedgerError::new(path, Fault::Missing(what)))
}

fn ends(rows: &[Row]) -> Option<(i64, i64)> {
    Some((rows.first()?.start, rows.last()?.start))
}

fn row_at(rows: &mut [Row], start: i64) -> Option<&mut Row> {
    let at = rows.binary_search_by_key(&start, |row| row.start).ok()?;
    rows.get_mut(at)
}
