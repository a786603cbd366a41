//! The table of keys that were left out.

/// SQL of the table; times are in seconds since 1970, lengths in bytes.
pub(super) const TABLE: &str = "
CREATE TABLE left_out (
    day INTEGER NOT NULL, key TEXT NOT NULL, part TEXT NOT NULL, reason TEXT NOT NULL,
    check_ins INTEGER NOT NULL, since_version TEXT NOT NULL, type TEXT NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY (day, key, part, reason)
) WITHOUT ROWID;
";
/// First version of the ledger that has the table.
pub(super) const SINCE: i64 = 3;
