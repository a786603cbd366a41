//! Upgrade Responder: applications ask which versions exist. The answer comes from a file that the operator replaces
//! on release day, and each check-in is counted by version, location and tag.
//!
//! # The path of one check-in
//! 1. [`http`] accepts the connection, limits it, and routes the request.
//! 2. [`checkin`] parses the body, and [`geo`] finds the client's location. Both become a [`line::Record`].
//!    The client's address is needed only for the location and for the roll-outs of step 3, and is never stored.
//! 3. [`config`] has the `Snapshot` that answers a request: response config with its rules, request schema and geo
//!    database, which are always replaced together. The first rule that matches chooses the answer.
//! 4. [`spool`] receives the record over a bounded channel. The writer thread adds the timestamp and appends the record
//!    to the log on disk. The log has two readers: [`totals`] counts records in the ledger, and [`delivery`] sends them
//!    to the time-series database.
//! 5. [`totals`] makes reports and points for the database from the ledger; [`page`] draws reports as HTML and SVG.
//!
//! [`service`] starts and stops all modules in the right order, and has the other commands. [`cli`] parses flags into
//! the options of each module.
//!
//! # Layers
//! From top to bottom: `cli`, `service`, `http`, `page`, `checkin`, `config`, `geo`, `totals`, `delivery`, `spool`,
//! `line`, and at the bottom [`metrics`], [`logging`], [`state`] and [`units`]. A module uses only modules below it;
//! `tests/floors.rs` checks this.
//!
//! # Words
//! - *check-in*: one request of an installation; *record*: the stored part of it, a *point* in line protocol.
//! - *response config*: the versions in the answer; *rule*: which versions are supported for which clients; *request
//!   schema*: which tags and fields are stored.
//! - *spool*: the log on disk, made of *segments*; *reader*: a module that reads the log and *settles* the segments
//!   that it does not need again.
//! - *period*: the time between two check-ins of an installation; *total*: the number of records of a period that have
//!   one value of a *dimension* (all, version, country, city, tag); *coverage*: the part of a period in which the
//!   server was running and lost no record.
//! - *ledger*: the database of totals; *delivery*: the sending of records and totals to a time-series database, which
//!   stores or *refuses* them. Lines that are not sent again after a refusal are *rejected*.
#![forbid(unsafe_code)]
// The documentation is for developers of this program: cargo doc --document-private-items.
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
