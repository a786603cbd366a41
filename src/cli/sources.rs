//! Parses the files of a snapshot from the flags' texts, for every command that reads them.

use super::lowargs::LowArgs;
use super::typed::{path, typed};
use super::usage::UsageError;
use super::values;
use crate::config::sources::ConfigSources;
use crate::units::duration::QueryPeriod;

/// The files of a snapshot.
pub(super) fn sources(low: &LowArgs) -> Result<ConfigSources, UsageError> {
    let response = path(low, "--upgrade-response-config").ok_or(UsageError::Missing(
        "--upgrade-response-config",
        "UPGRADE_RESPONSE_CONFIG",
    ))?;
    Ok(ConfigSources {
        response,
        schema: path(low, "--request-schema"),
        geodb: path(low, "--geodb"),
        query_period: typed(low, "--query-period", QueryPeriod::parse)?,
        down_sample_tags: typed(low, "--down-sample-tags", values::tags)?,
    })
}
