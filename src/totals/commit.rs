//! Writes counts to the ledger's tables, within the transaction of one commit.
//!
//! Clients choose versions and tags, so the number of values is limited for each dimension and period. Further
//! values are added up as `other`.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Transaction};

use super::counts::{Counts, Tally};
use super::fields::Figures;
use super::values::{self, CITIES, Value};

/// Limit of values of a dimension in a period. That of cities is higher: they come from the geo database, not
/// from clients.
const MOST_VALUES: u64 = 2_000;
const MOST_CITIES: u64 = 10_000;
/// Value that the values over the limit are added to.
const OTHER: &str = "other";
/// Limit of cached entries; the cache is cleared when it is exceeded.
const MOST_REMEMBERED: usize = 20_000;

/// Cache of the ids of dimensions and values, and of the number of values.
#[derive(Debug, Default)]
pub(super) struct Ids {
    dimensions: HashMap<(String, &'static str), i64>,
    values: HashMap<(i64, Box<[u8]>), i64>,
    /// Names of countries as last written, by the value's id.
    countries: HashMap<i64, String>,
    /// Number of values of a dimension in a period.
    sizes: HashMap<(i64, i64), u64>,
}

/// Records to add to the total of a value in a period.
struct Total {
    dimension: i64,
    period: i64,
    total: i64,
    most: u64,
}

impl Ids {
    pub(super) fn write(
        &mut self,
        transaction: &Transaction<'_>,
        counts: &mut Counts,
    ) -> rusqlite::Result<()> {
        counts.expand();
        if self.values.len() + self.sizes.len() + self.countries.len() > MOST_REMEMBERED {
            *self = Ids::default();
        }
        write_presence(transaction, counts)?;
        for (&start, tally) in counts.tallies() {
            self.write_tally(transaction, counts, start, tally)?;
        }
        Ok(())
    }

    fn write_tally(
        &mut self,
        transaction: &Transaction<'_>,
        counts: &Counts,
        start: i64,
        tally: &Tally,
    ) -> rusqlite::Result<()> {
        add_to_period(transaction, counts, start, tally.records as i64, 0)?;
        let dimensions = counts.dimensions();
        for (name, numbers) in dimensions.names().iter().zip(&tally.values) {
            let dimension = self.dimension(transaction, name, "tag")?;
            let most = if name == CITIES {
                MOST_CITIES
            } else {
                MOST_VALUES
            };
            for (text, number) in numbers.iter() {
                let value = self.value(transaction, dimension, text)?;
                if name == values::COUNTRIES {
                    self.name_country(transaction, value, dimensions.country(text))?;
                }
                let total = Total {
                    dimension,
                    period: start,
                    total: number as i64,
                    most,
                };
                self.add_total(transaction, &total, value)?;
            }
        }
        for (key, figures) in counts.fields().named(&tally.figures) {
            self.write_figures(transaction, start, key, figures)?;
        }
        Ok(())
    }

    fn write_figures(
        &mut self,
        transaction: &Transaction<'_>,
        start: i64,
        key: &[u8],
        figures: &Figures,
    ) -> rusqlite::Result<()> {
        let name = crate::line::parse::unescaped(key);
        if figures.count > 0 {
            let dimension = self.dimension(transaction, &name, "number")?;
            transaction
                .prepare_cached(
                    "INSERT INTO number VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET count = count + ?3, sum = sum + ?4,
                         least = min(least, ?5), greatest = max(greatest, ?6)",
                )?
                .execute((
                    dimension,
                    start,
                    figures.count as i64,
                    figures.sum,
                    figures.least,
                    figures.greatest,
                ))?;
        }
        for (text, number) in [("true", figures.trues), ("false", figures.falses)] {
            if number == 0 {
                continue;
            }
            let dimension = self.dimension(transaction, &name, "boolean")?;
            let value = self.value(transaction, dimension, text.as_bytes())?;
            let total = Total {
                dimension,
                period: start,
                total: number as i64,
                most: MOST_VALUES,
            };
            self.add_total(transaction, &total, value)?;
        }
        Ok(())
    }

    fn add_total(
        &mut self,
        transaction: &Transaction<'_>,
        total: &Total,
        value: i64,
    ) -> rusqlite::Result<()> {
        let Total {
            dimension,
            period,
            total: number,
            most,
        } = *total;
        let sql =
            "UPDATE total SET total = total + ? WHERE dimension = ? AND period = ? AND value = ?";
        let updated = transaction
            .prepare_cached(sql)?
            .execute((number, dimension, period, value))?;
        if updated > 0 {
            return Ok(());
        }
        let size = self.size(transaction, dimension, period)?;
        let value = if size < most {
            self.sizes.insert((dimension, period), size + 1);
            value
        } else {
            self.value(transaction, dimension, OTHER.as_bytes())?
        };
        transaction
            .prepare_cached(
                "INSERT INTO total VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET total = total + ?4",
            )?
            .execute((dimension, period, value, number))
            .map(drop)
    }

    fn size(
        &mut self,
        transaction: &Transaction<'_>,
        dimension: i64,
        period: i64,
    ) -> rusqlite::Result<u64> {
        if let Some(&size) = self.sizes.get(&(dimension, period)) {
            return Ok(size);
        }
        let sql = "SELECT count(*) FROM total WHERE dimension = ? AND period = ?";
        let mut statement = transaction.prepare_cached(sql)?;
        let size: i64 = statement.query_row((dimension, period), |row| row.get(0))?;
        Ok(size as u64)
    }

    fn dimension(
        &mut self,
        transaction: &Transaction<'_>,
        name: &str,
        kind: &'static str,
    ) -> rusqlite::Result<i64> {
        let key = (name.to_owned(), kind);
        if let Some(&id) = self.dimensions.get(&key) {
            return Ok(id);
        }
        let id = dimension_id(transaction, name, kind)?;
        self.dimensions.insert(key, id);
        Ok(id)
    }

    /// Id of a value, given in the form in which it was counted.
    pub(super) fn value(
        &mut self,
        transaction: &Transaction<'_>,
        dimension: i64,
        counted: &[u8],
    ) -> rusqlite::Result<i64> {
        let key = (dimension, Box::from(counted));
        if let Some(&id) = self.values.get(&key) {
            return Ok(id);
        }
        let Value { text, country } = values::value(counted);
        let sql = "SELECT id FROM value WHERE dimension = ? AND value = ? AND country = ?";
        let found = transaction
            .prepare_cached(sql)?
            .query_row((dimension, &text, &country), |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => transaction
                .prepare_cached("INSERT INTO value (dimension, value, country) VALUES (?, ?, ?)")?
                .insert((dimension, &text, &country))?,
        };
        self.values.insert(key, id);
        Ok(id)
    }

    /// Updates the name of a country: a newer geo database may have renamed it.
    fn name_country(
        &mut self,
        transaction: &Transaction<'_>,
        value: i64,
        name: Option<String>,
    ) -> rusqlite::Result<()> {
        let Some(name) = name.filter(|name| self.countries.get(&value) != Some(name)) else {
            return Ok(());
        };
        transaction
            .prepare_cached("UPDATE value SET name = ? WHERE id = ? AND name IS NOT ?1")?
            .execute((&name, value))?;
        self.countries.insert(value, name);
        Ok(())
    }

    /// Clears the cache after values were deleted.
    pub(super) fn forget_values(&mut self) {
        *self = Ids::default();
    }
}

/// Id of a dimension, which is inserted if it is missing.
pub(super) fn dimension_id(
    transaction: &Transaction<'_>,
    name: &str,
    kind: &str,
) -> rusqlite::Result<i64> {
    let found = transaction
        .prepare_cached("SELECT id FROM dimension WHERE name = ? AND kind = ?")?
        .query_row((name, kind), |row| row.get(0))
        .optional()?;
    match found {
        Some(id) => Ok(id),
        None => transaction
            .prepare_cached("INSERT INTO dimension (name, kind) VALUES (?, ?)")?
            .insert((name, kind)),
    }
}

/// Adds records and covered time to the row of a period.
fn add_to_period(
    transaction: &Transaction<'_>,
    counts: &Counts,
    start: i64,
    records: i64,
    present_ms: i64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO period (start, seconds, total, present_ms, revision)
             VALUES (?1, ?2, ?3, ?4, ?3 > 0)
             ON CONFLICT DO UPDATE SET total = total + ?3, present_ms = present_ms + ?4,
                 revision = revision + (?3 > 0)",
        )?
        .execute((
            start,
            counts.lengths().at(start).seconds(),
            records,
            present_ms,
        ))
        .map(drop)
}

fn write_presence(transaction: &Transaction<'_>, counts: &Counts) -> rusqlite::Result<()> {
    for (&start, &ms) in counts.presence() {
        add_to_period(transaction, counts, start, 0, ms)?;
    }
    for &(from, to) in counts.disturbances() {
        for moment in [from, to] {
            add_to_period(transaction, counts, counts.lengths().at(moment).start, 0, 0)?;
        }
        transaction
            .prepare_cached(
                "UPDATE period SET disturbed = 1 WHERE start + seconds > ? AND start <= ?",
            )?
            .execute((from, to))?;
    }
    Ok(())
}
