//! One check-in: from the bytes a client sent to the point that is stored.
//!
//! Architecture invariant: the client's address comes no further than [`geo`]. A [`Record`] is made
//! from a [`CheckIn`](request::CheckIn) and a [`Location`](geo::Location), neither of which has room
//! for one.

pub mod body;
pub mod geo;
pub mod line;
pub mod record;
pub mod request;

pub use record::Record;
