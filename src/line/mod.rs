//! Line protocol, the one format of records on disk and on the wire: the record, its encoding, taking it
//! apart again, and the names that it uses.

pub mod encode;
mod location;
pub mod parse;
mod parts;
mod record;
pub mod snake;
pub mod sound;
pub mod value;

pub use location::Location;
pub use parts::{FieldValue, Parts};
pub use record::Record;
