//! Tables and views of the ledger, and the migration of older ledgers.
//!
//! The views are an interface (docs/totals.md): their columns must stay.

use rusqlite::{Connection, TransactionBehavior};

use super::left_out_table;

/// Version of the tables, in `PRAGMA user_version`. A ledger with a higher one was written by a newer program.
pub(super) const VERSION: i64 = 4;

/// Version 1. Times are in seconds since 1970; `present_ms` is the covered time in milliseconds.
const TABLES: &str = "
CREATE TABLE length (since INTEGER PRIMARY KEY, seconds INTEGER NOT NULL);
CREATE TABLE reader (
    id INTEGER PRIMARY KEY CHECK (id = 1), segment INTEGER NOT NULL, offset INTEGER NOT NULL,
    lines INTEGER NOT NULL, oldest INTEGER NOT NULL
);
INSERT INTO reader VALUES (1, 0, 0, 0, 0);
CREATE TABLE dimension (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, UNIQUE (name, kind)
);
CREATE TABLE value (
    id INTEGER PRIMARY KEY, dimension INTEGER NOT NULL, value TEXT NOT NULL, country TEXT NOT NULL,
    name TEXT, UNIQUE (dimension, value, country)
);
CREATE TABLE period (
    start INTEGER PRIMARY KEY, seconds INTEGER NOT NULL, total INTEGER NOT NULL DEFAULT 0,
    present_ms INTEGER NOT NULL DEFAULT 0, disturbed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE total (
    dimension INTEGER NOT NULL, period INTEGER NOT NULL, value INTEGER NOT NULL, total INTEGER NOT NULL,
    PRIMARY KEY (dimension, period, value)
) WITHOUT ROWID;
CREATE TABLE number (
    dimension INTEGER NOT NULL, period INTEGER NOT NULL, count INTEGER NOT NULL, sum REAL NOT NULL,
    least REAL NOT NULL, greatest REAL NOT NULL, PRIMARY KEY (dimension, period)
) WITHOUT ROWID;
CREATE TABLE day (
    start INTEGER PRIMARY KEY, periods INTEGER NOT NULL, covered_seconds INTEGER NOT NULL,
    mean REAL, least INTEGER, greatest INTEGER
);
CREATE TABLE total_day (
    dimension INTEGER NOT NULL, day INTEGER NOT NULL, value INTEGER NOT NULL, mean REAL NOT NULL,
    least INTEGER NOT NULL, greatest INTEGER NOT NULL, PRIMARY KEY (dimension, day, value)
) WITHOUT ROWID;
CREATE TABLE number_day (
    dimension INTEGER NOT NULL, day INTEGER NOT NULL, count REAL NOT NULL, sum REAL NOT NULL,
    least REAL NOT NULL, greatest REAL NOT NULL, PRIMARY KEY (dimension, day)
) WITHOUT ROWID;
CREATE VIEW periods AS SELECT
    start, seconds, min(present_ms / 1000, seconds - disturbed) AS covered_seconds,
    CASE WHEN total > 0 OR min(present_ms / 1000, seconds - disturbed) = seconds THEN total END AS total
    FROM period;
CREATE VIEW totals AS
    SELECT start, seconds, covered_seconds, 'all' AS dimension, '' AS value, NULL AS name,
        NULL AS country, total FROM periods
    UNION ALL
    SELECT p.start, p.seconds, p.covered_seconds, d.name, v.value, v.name, nullif(v.country, ''), t.total
    FROM dimension d JOIN total t ON t.dimension = d.id JOIN periods p ON p.start = t.period
        JOIN value v ON v.id = t.value;
CREATE VIEW fields AS
    SELECT p.start, p.seconds, p.covered_seconds, d.name AS field, n.count, n.sum, n.least, n.greatest
    FROM dimension d JOIN number n ON n.dimension = d.id JOIN periods p ON p.start = n.period;
CREATE VIEW daily AS
    SELECT start AS day, periods, 'all' AS dimension, '' AS value, NULL AS name, NULL AS country,
        mean, least, greatest FROM day
    UNION ALL
    SELECT t.day, y.periods, d.name, v.value, v.name, nullif(v.country, ''), t.mean, t.least, t.greatest
    FROM dimension d JOIN total_day t ON t.dimension = d.id JOIN day y ON y.start = t.day
        JOIN value v ON v.id = t.value;
";

/// Version 2: the state of sending to a time-series database. `revision` counts the commits that added records to a
/// period, and `sent` is the revision that was sent. `own` has the start of the first period that this server sends
/// to a measurement; the empty name stands for all measurements. Continuous queries, or a ledger that was replaced,
/// filled the periods before it. Continuous queries sent the periods from before version 2.
const SENDING: &str = "
ALTER TABLE period ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE period ADD COLUMN sent INTEGER;
UPDATE period SET sent = revision;
CREATE INDEX unsent ON period (start) WHERE sent IS NULL OR sent < revision;
CREATE TABLE own (measurement TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
";

/// Version 4: imported periods and days, with their imported total. If the total is higher now, this server has added
/// records, and an import does not replace it.
const IMPORTED: &str = "
CREATE TABLE imported (
    is_day INTEGER NOT NULL, start INTEGER NOT NULL, source TEXT NOT NULL, total REAL NOT NULL,
    PRIMARY KEY (is_day, start)
) WITHOUT ROWID;
";

/// Version of a ledger; 0 for an empty file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", (), |row| row.get(0))
}

/// Migrates an older ledger or an empty file to the current tables.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    if version(connection)? == VERSION {
        return Ok(());
    }
    // Takes the write lock at the beginning: SQLite rejects a transaction that reads first if another process has
    // written before its first write.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = version(&transaction)?;
    for (version, sql) in [
        (1, TABLES),
        (2, SENDING),
        (left_out_table::SINCE, left_out_table::TABLE),
        (4, IMPORTED),
    ] {
        if before < version {
            transaction.execute_batch(sql)?;
        }
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
