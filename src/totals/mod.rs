//! Reader 1 of the spool: it counts records by period, dimension and value in the ledger, an embedded
//! database, and reads totals back as a [`Report`](report::Report).
//!
//! Architecture invariants: only this module uses rusqlite. Counts and the reader's position in the spool are
//! committed in one transaction, so no record is counted twice or missed, whenever and however the process
//! ends. A request never waits for the ledger.

pub mod asked;
mod commit;
pub mod counter;
mod counts;
mod days;
mod error;
mod export;
mod fields;
mod file;
pub mod format;
pub mod history;
mod import;
mod ledger;
pub mod left_out;
mod left_out_rows;
mod left_out_table;
pub mod merge;
mod opening;
mod outbox;
pub mod overview;
mod periods;
pub mod presence;
pub mod public;
mod reader;
pub mod report;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod untouched;
mod values;

pub use counts::Counts;
pub use error::{Fault, LedgerError};
pub use import::{Imported, Importer};
pub use ledger::Ledger;
pub use left_out_rows::LeftOutRow;
pub use opening::Opening;
pub use outbox::{Outbox, OutboxOptions};
pub use periods::Lengths;
pub use reader::LedgerReader;
