//! The running service: start and stop in the right order, counters, logging, systemd, and the commands
//! that check the configuration or read the totals.

pub mod check_config;
mod connect;
mod doors;
pub mod error;
pub mod explain;
pub mod export_totals;
mod field_types;
mod health;
mod import_influx;
pub mod import_totals;
pub mod influx_options;
mod memory;
pub mod new_application;
mod notify;
mod offers;
pub mod options;
pub mod pipeline;
mod public_page;
mod reload;
pub mod report;
pub mod run;
mod serving;
mod settings;
mod stuck;
pub mod suggest_schema;
mod summary;
pub mod take_over;
