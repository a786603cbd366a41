//! One check-in: from the bytes a client sent to the point that is stored.
//!
//! Architecture invariant: the client's address comes no further than [`geo`](crate::geo) and the roll-outs of
//! [`config::rules`](crate::config::rules), which keep nothing. A
//! [`Record`](crate::line::Record) is made from a [`CheckIn`](request::CheckIn) and a
//! [`Location`](crate::geo::Location), neither of which has room for one.

pub mod body;
pub mod left_out;
pub mod repair;
pub mod request;
mod told;
