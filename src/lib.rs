//! Upgrade Responder: applications ask which versions exist; the answer comes from a file that the operator swaps on
//! release day, and each question is counted by version, place and tag.
//!
//! # The way of one check-in
//! 1. [`http`] accepts the connection, limits it, and routes the request.
//! 2. [`checkin`] parses the body, [`geo`] finds the client's location, and both make a [`line::Record`]. The client's
//!    address ends there, or in the roll-outs of step 3.
//! 3. [`config`] holds the `Snapshot` that a request is answered from: response config with its rules, request schema
//!    and geo database, always exchanged together. The first rule that fits chooses the answer.
//! 4. [`spool`] takes the record over a bounded channel: the writer thread stamps it and appends it to the log on disk.
//!    Two readers follow it: [`totals`] counts records in the ledger, and [`delivery`] sends them to the time-series
//!    database.
//! 5. [`totals`] becomes a report, points for the database, and, in [`page`], HTML and SVG.
//!
//! [`service`] starts and stops all of it in the right order, and has the other commands. [`cli`] turns what the user
//! typed into the options of each room.
//!
//! # The floors
//! From the top to the ground; a room uses only rooms below it, and `tests/floors.rs` fails otherwise: `cli`, `service`,
//! `http`, `page`, `checkin`, `config`, `geo`, `totals`, `delivery`, `spool`, `line`, and the ground of [`metrics`],
//! [`logging`], [`state`] and [`units`].
//!
//! # Words
//! - *check-in*: one request of an installation; *record*: what is kept of it, a *point* in line protocol.
//! - *response config*: the versions to answer with; *rule*: which of them are supported for whom; *request schema*: which
//!   tags and fields are kept.
//! - *spool*: the log on disk, in *segments*; *reader*: who follows it, *settles* what it is done with.
//! - *period*: the time between two check-ins of an installation; *total*: the records of a period that have one value of
//!   a *dimension* (all, version, country, city, tag); *coverage*: how much of a period the server was there for.
//! - *ledger*: the database of totals; *delivery*: records and totals on their way to a time-series database, which stores
//!   or *refuses* them; what it refuses for good is *rejected*.
#![forbid(unsafe_code)]
// Its documentation is for those who work on it: cargo doc --document-private-items.
#![allow(rustdoc::private_intra_doc_links)]

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
