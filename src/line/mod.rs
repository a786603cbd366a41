//! Line protocol, the only format of records on disk and on the wire: the record, its encoding and parsing, and the
//! names of keys.

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
