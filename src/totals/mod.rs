//! Reader 1 of the spool: it counts records by period, dimension and value in the ledger, an embedded
//! database, and reads totals back as a [`Report`](report::Report).
//!
//! Architecture invariants: this is the only room that sees rusqlite. Counts and the reader's position in
//! the spool are committed in one transaction, so no record is counted twice or left out, whatever ends the
//! process when. A request never waits for the ledger.

pub mod report;
