//! The running service: start and stop in the right order, counters, logging, systemd, and the two
//! commands that look after it.

pub mod check_config;
mod connect;
pub mod health;
mod memory;
pub mod notify;
pub mod pipeline;
pub mod reload;
pub mod run;
pub mod set_query_period;
pub mod settings;
mod stuck;
pub mod summary;
