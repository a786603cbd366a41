//! Parses the options of `export-totals` and `import-totals` from the flags' texts.

use super::lowargs::LowArgs;
use super::report::application;
use super::typed::{Env, database, state_dir, typed};
use super::usage::UsageError;
use super::values;
use crate::service::export_totals::{ExportOptions, Format};
use crate::service::import_totals::{From, ImportOptions, InfluxSource};
use crate::state::StateDir;
use crate::totals::Opening;
use crate::units::duration::QueryPeriod;

pub(super) fn export(low: &LowArgs, env: Env<'_>) -> Result<ExportOptions, UsageError> {
    let (state_dir, from) = state_dir(low, env);
    let format = match low.get("--format") {
        Some(_) => typed(low, "--format", format)?,
        None => Format::Csv,
    };
    Ok(ExportOptions {
        application: application(low, from)?,
        state_dir,
        format,
    })
}

pub(super) fn import(low: &LowArgs, env: Env<'_>) -> Result<ImportOptions, UsageError> {
    let (dir, _) = state_dir(low, env);
    let state = StateDir::new(&dir, &database(low)?.application);
    let from = match low.operands.first().map(String::as_str) {
        Some(file) => From::File(file.into()),
        None => From::Influx(Box::new(InfluxSource {
            database: database(low)?,
            influxdb: super::influxdb::influxdb(low, env)?.ok_or(UsageError::NoFile)?,
            tags: typed(low, "--down-sample-tags", values::tags)?,
        })),
    };
    Ok(ImportOptions {
        opening: Opening {
            path: state.totals(),
            query_period: typed(low, "--query-period", QueryPeriod::parse)?,
            keep: typed(low, "--keep-periods", values::keep_periods)?,
        },
        state,
        from,
    })
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "csv" => Ok(Format::Csv),
        "line-protocol" => Ok(Format::LineProtocol),
        _ => Err("csv or line-protocol".to_owned()),
    }
}
