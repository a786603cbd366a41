//! The running service: start and stop in the right order, counters, logging.

pub mod logging;
pub mod metrics;
pub mod run;
