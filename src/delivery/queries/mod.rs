//! Totals in InfluxDB 1.x by continuous queries: they are set up, followed through changed periods, and
//! what they miss is computed again.

pub mod downsampling;
pub mod lengths;
pub mod periods;
mod recompute;
pub mod set_up;
pub mod totals;
mod uptime;
