//! Turns old periods into one row a day for each value; day rows are never deleted.
//!
//! The figure of a day is the mean over its covered periods, never the sum: a sum of hourly totals is not a
//! number of installations. A value that is missing from a covered period counts as 0 there.

use rusqlite::{OptionalExtension, Transaction};

use super::commit::Ids;
use super::report::counts_as_covered;
use super::values::CITIES;

pub(super) const DAY: i64 = 86_400;
/// Limit of values of a dimension in a day. The greatest are kept, the others are added up as `other`.
const MOST_VALUES: i64 = 1_000;
const MOST_CITIES: i64 = 5_000;

/// A day, and the number of its periods that count as covered.
struct Day {
    start: i64,
    covered: i64,
}

/// Turns the oldest day that ends before a moment into day rows; false if there was none. Also deletes unused
/// values, which only the server may do, because it caches their ids.
pub(super) fn keep_one(
    transaction: &Transaction<'_>,
    before: i64,
    ids: &mut Ids,
) -> rusqlite::Result<bool> {
    let kept = keep_one_of(transaction, before, ids)?;
    if kept {
        forget_values(transaction, ids)?;
    }
    Ok(kept)
}

/// The same for another process that has the ledger open beside the server: deletes no values.
pub(super) fn keep_one_of(
    transaction: &Transaction<'_>,
    before: i64,
    ids: &mut Ids,
) -> rusqlite::Result<bool> {
    let sql = "SELECT min(start) FROM period WHERE start < ?";
    let mut statement = transaction.prepare_cached(sql)?;
    let oldest: Option<i64> = statement.query_row([before], |row| row.get(0))?;
    let Some(oldest) = oldest else {
        return Ok(false);
    };
    let start = oldest - oldest.rem_euclid(DAY);
    if start + DAY > before {
        return Ok(false);
    }
    let day = keep_periods(transaction, start)?;
    keep_mark(transaction, start)?;
    if day.covered > 0 {
        keep_totals(transaction, &day, ids)?;
        keep_numbers(transaction, &day)?;
    }
    for sql in [
        "DELETE FROM total WHERE period >= ?1 AND period < ?2 AND dimension = ?3",
        "DELETE FROM number WHERE period >= ?1 AND period < ?2 AND dimension = ?3",
    ] {
        // One dimension at a time, since the tables are sorted by dimension.
        for dimension in dimensions(transaction)? {
            transaction
                .prepare_cached(sql)?
                .execute((start, start + DAY, dimension.id))?;
        }
    }
    transaction.execute(
        "DELETE FROM period WHERE start >= ? AND start < ?",
        (start, start + DAY),
    )?;
    Ok(true)
}

/// Marks the day as imported if all its periods were imported.
fn keep_mark(transaction: &Transaction<'_>, start: i64) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR IGNORE INTO imported SELECT 1, ?1, max(i.source), d.mean
         FROM day d JOIN period p ON p.start >= ?1 AND p.start < ?2
             LEFT JOIN imported i ON i.start = p.start AND i.is_day = 0 AND i.total = p.total
         WHERE d.start = ?1 AND d.mean IS NOT NULL
         GROUP BY d.start HAVING count(*) = count(i.start)",
        (start, start + DAY),
    )?;
    transaction.execute(
        "DELETE FROM imported WHERE is_day = 0 AND start >= ? AND start < ?",
        (start, start + DAY),
    )?;
    Ok(())
}

struct Dimension {
    id: i64,
    name: String,
}

fn dimensions(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<Dimension>> {
    let mut statement = transaction.prepare_cached("SELECT id, name FROM dimension")?;
    let rows = statement.query_map((), |row| {
        Ok(Dimension {
            id: row.get(0)?,
            name: row.get(1)?,
        })
    })?;
    rows.collect()
}

/// Writes the row of the day itself, and lists its covered periods in a temporary table.
fn keep_periods(transaction: &Transaction<'_>, start: i64) -> rusqlite::Result<Day> {
    transaction.execute_batch(
        "CREATE TEMP TABLE IF NOT EXISTS covered (period INTEGER PRIMARY KEY);
         DELETE FROM covered;",
    )?;
    let (mut totals, mut covered_seconds) = (Vec::new(), 0);
    let sql =
        "SELECT start, seconds, min(present_ms / 1000, seconds - disturbed), total FROM period
               WHERE start >= ? AND start < ?";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query((start, start + DAY))?;
    while let Some(row) = rows.next()? {
        let (seconds, covered): (i64, i64) = (row.get(1)?, row.get(2)?);
        covered_seconds += covered;
        if counts_as_covered(seconds as u64, covered.max(0) as u64) {
            let period: i64 = row.get(0)?;
            transaction
                .prepare_cached("INSERT INTO covered VALUES (?)")?
                .execute([period])?;
            totals.push(row.get::<_, i64>(3)?);
        }
    }
    let covered = totals.len() as i64;
    let mean = (covered > 0).then(|| totals.iter().sum::<i64>() as f64 / covered as f64);
    transaction.execute(
        "INSERT INTO day VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET periods = periods + ?2, covered_seconds = covered_seconds + ?3,
             mean = coalesce((coalesce(mean, 0) * periods + ?4 * ?2) / (periods + ?2), mean),
             least = min(coalesce(least, ?5), coalesce(?5, least)),
             greatest = max(coalesce(greatest, ?6), coalesce(?6, greatest))",
        (
            start,
            covered,
            covered_seconds,
            mean,
            totals.iter().min(),
            totals.iter().max(),
        ),
    )?;
    Ok(Day { start, covered })
}

fn keep_totals(transaction: &Transaction<'_>, day: &Day, ids: &mut Ids) -> rusqlite::Result<()> {
    for Dimension { id, name } in dimensions(transaction)? {
        let most = if name == CITIES {
            MOST_CITIES
        } else {
            MOST_VALUES
        };
        let sql = "SELECT count(DISTINCT value) FROM total
                   WHERE dimension = ? AND period >= ? AND period < ?";
        let values: i64 = transaction
            .prepare_cached(sql)?
            .query_row((id, day.start, day.start + DAY), |row| row.get(0))?;
        if values == 0 {
            continue;
        }
        if values > most {
            let other = ids.value(transaction, id, b"other")?;
            merge_rare(transaction, day, id, other, most)?;
        }
        transaction
            .prepare_cached(
                "INSERT INTO total_day
                 SELECT ?1, ?2, value, sum(total) * 1.0 / ?4,
                     CASE WHEN count(*) < ?4 THEN 0 ELSE min(total) END, max(total)
                 FROM total JOIN covered USING (period)
                 WHERE dimension = ?1 AND period >= ?2 AND period < ?3 GROUP BY value
                 ON CONFLICT DO UPDATE SET mean = max(mean, excluded.mean),
                     least = min(least, excluded.least), greatest = max(greatest, excluded.greatest)",
            )?
            .execute((id, day.start, day.start + DAY, day.covered))?;
    }
    Ok(())
}

/// Adds up the rarest values of a day as `other`, period by period.
fn merge_rare(
    transaction: &Transaction<'_>,
    day: &Day,
    dimension: i64,
    other: i64,
    most: i64,
) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TEMP TABLE IF NOT EXISTS rare (value INTEGER PRIMARY KEY); DELETE FROM rare;",
    )?;
    let span = (dimension, day.start, day.start + DAY);
    transaction.execute(
        "INSERT OR IGNORE INTO rare SELECT value FROM total
         WHERE dimension = ?1 AND period >= ?2 AND period < ?3 AND value <> ?4
         GROUP BY value ORDER BY sum(total) DESC LIMIT -1 OFFSET ?5",
        (span.0, span.1, span.2, other, most),
    )?;
    transaction.execute(
        "INSERT INTO total SELECT dimension, period, ?4, sum(total) FROM total
         WHERE dimension = ?1 AND period >= ?2 AND period < ?3 AND value IN (SELECT value FROM rare)
         GROUP BY period ON CONFLICT DO UPDATE SET total = total + excluded.total",
        (span.0, span.1, span.2, other),
    )?;
    transaction.execute(
        "DELETE FROM total WHERE dimension = ?1 AND period >= ?2 AND period < ?3
         AND value IN (SELECT value FROM rare)",
        span,
    )?;
    Ok(())
}

fn keep_numbers(transaction: &Transaction<'_>, day: &Day) -> rusqlite::Result<()> {
    for Dimension { id, .. } in dimensions(transaction)? {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO number_day
                 SELECT ?1, ?2, sum(count) * 1.0 / ?4, sum(sum) / ?4, min(least), max(greatest)
                 FROM number JOIN covered USING (period)
                 WHERE dimension = ?1 AND period >= ?2 AND period < ?3 HAVING count(*) > 0",
            )?
            .execute((id, day.start, day.start + DAY, day.covered))?;
    }
    Ok(())
}

/// Deletes values that no row refers to any more, once every seven days: clients can send any number of made-up
/// values.
fn forget_values(transaction: &Transaction<'_>, ids: &mut Ids) -> rusqlite::Result<()> {
    let days: Option<i64> = transaction
        .query_row("SELECT count(*) FROM day", (), |row| row.get(0))
        .optional()?;
    if days.unwrap_or(0) % 7 != 0 {
        return Ok(());
    }
    let removed = transaction.execute(
        "DELETE FROM value WHERE id NOT IN (SELECT value FROM total UNION SELECT value FROM total_day)",
        (),
    )?;
    if removed > 0 {
        ids.forget_values();
    }
    Ok(())
}
