//! Line protocol, the one format of records on disk and on the wire: the record, its encoding, taking it
//! apart again, and the names that it uses.

pub mod encode;
pub mod parse;
mod record;
pub mod snake;
pub mod sound;
pub mod value;

pub use record::Record;
