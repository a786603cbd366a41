//! Processing of one check-in: from the bytes that a client sent to a [`CheckIn`](request::CheckIn).
//!
//! Architecture invariant: only [`geo`](crate::geo) and the roll-outs of [`config::rules`](crate::config::rules) may
//! read the client's address, and neither stores it. A [`Record`](crate::line::Record) is built from a
//! [`CheckIn`](request::CheckIn) and a [`Location`](crate::geo::Location), which have no field for an address.

pub mod body;
pub mod left_out;
pub mod repair;
pub mod request;
mod told;
