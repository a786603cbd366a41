//! Upgrade Responder: applications ask which versions exist; the answer comes from a file the
//! operator swaps on release day, and the question is counted by version and place.
//!
//! The way of one check-in, and so the map of the modules:
//!
//! 1. [`http`] accepts the connection, limits it, and routes the request.
//! 2. [`checkin`] parses the body, finds the client's location, and makes a `Record` of it. The
//!    client's address ends there.
//! 3. [`config`] holds the `Snapshot` a request is answered from: response config, request schema
//!    and geo database, always exchanged together.
//! 4. [`store`] takes the record over a bounded channel: the writer thread stamps it and appends it
//!    to the spool, the sender thread delivers the spool to InfluxDB.
//! 5. [`service`] starts and stops all of it in the right order, and counts.
//!
//! [`cli`] turns what the user typed into what those modules need.
#![forbid(unsafe_code)]

pub mod checkin;
pub mod cli;
pub mod config;
pub mod http;
pub mod service;
pub mod store;
