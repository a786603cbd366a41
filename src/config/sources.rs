//! Which files a snapshot is loaded from.

use std::path::PathBuf;

use crate::units::duration::QueryPeriod;

/// What a snapshot is made from and checked against.
#[derive(Clone, Debug)]
pub struct ConfigSources {
    pub response: PathBuf,
    pub schema: Option<PathBuf>,
    pub geodb: Option<PathBuf>,
    pub query_period: QueryPeriod,
    /// Extra tags that get a down-sampled measurement of their own, in snake case.
    pub down_sample_tags: Vec<String>,
}
