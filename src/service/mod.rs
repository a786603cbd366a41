//! The running service: start and stop in the right order, counters, logging.

pub mod check_config;
pub mod logging;
pub mod metrics;
pub mod reload;
pub mod run;
pub mod set_query_period;
