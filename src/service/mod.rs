//! The running service: start and stop in the right order, counters, logging, systemd, and the commands
//! that look after it or read what it counted.

pub mod check_config;
mod connect;
pub mod export_totals;
pub mod health;
pub mod import_totals;
mod memory;
pub mod notify;
pub mod pipeline;
pub mod reload;
pub mod report;
pub mod run;
pub mod set_query_period;
pub mod settings;
mod stuck;
pub mod summary;
