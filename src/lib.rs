//! Upgrade Responder: applications ask which versions exist; the answer comes from a file the
//! operator swaps on release day, and the question is counted by version and place.
//!
//! The way of one check-in, and so the map of the modules:
//!
//! 1. [`http`] accepts the connection, limits it, and routes the request.
//! 2. [`checkin`] parses the body, [`geo`] finds the client's location, and both make a [`line::Record`].
//!    The client's address ends there, or in the roll-outs of step 3.
//! 3. [`config`] holds the `Snapshot` a request is answered from: response config with its rules, request
//!    schema and geo database, always exchanged together. The first rule that fits chooses the answer.
//! 4. [`spool`] takes the record over a bounded channel: the writer thread stamps it and appends it to
//!    the log on disk. Two readers follow it: [`totals`] counts records in the ledger, and [`delivery`] sends
//!    them to InfluxDB.
//! 5. [`service`] starts and stops all of it in the right order.
//!
//! [`cli`] turns what the user typed into what those modules need; [`metrics`], [`logging`], [`line`] and
//! [`units`] are the ground that all of them stand on.
#![forbid(unsafe_code)]

pub mod checkin;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod geo;
pub mod http;
pub mod line;
pub mod logging;
pub mod metrics;
pub mod page;
pub mod service;
pub mod spool;
pub mod state;
pub mod totals;
pub mod units;
