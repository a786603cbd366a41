//! The files and settings that a snapshot is loaded from.

use std::path::PathBuf;

use crate::units::duration::QueryPeriod;

/// The paths of the files, and the settings that they are rendered with and checked against.
#[derive(Clone, Debug)]
pub struct ConfigSources {
    pub response: PathBuf,
    pub schema: Option<PathBuf>,
    pub geodb: Option<PathBuf>,
    pub query_period: QueryPeriod,
    /// Extra tags that get a down-sampled measurement of their own, in snake case.
    pub down_sample_tags: Vec<String>,
}
