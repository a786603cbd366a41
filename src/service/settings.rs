//! Logs the settings in force at the start, so that the log shows which build ran and which files it read. It never
//! logs secrets.

use std::path::PathBuf;

use crate::config::Snapshot;
use crate::config::schema::{DataType, RequestSchema};
use crate::config::warnings::without_effect;
use crate::service::influx_options::{Api, InfluxOptions, Password};
use crate::service::options::StartOptions;
use crate::totals::asked::OF_EVERY_CHECK_IN;

/// Logs the settings, and which features are off because a flag is missing.
pub fn say(options: &StartOptions) {
    let sources = &options.sources;
    log::info!(
        "upgrade-responder {}: response config {}, request schema {}, geo database {}, checked {}; \
         query period {}, extra tags with totals: {}; {} connections, client time-out {} s, trusted \
         proxies {}",
        env!("CARGO_PKG_VERSION"),
        sources.response.display(),
        path(&sources.schema),
        path(&sources.geodb),
        match options.reload_interval {
            Some(interval) => format!("every {} s", interval.as_secs_f64()),
            None => "on SIGHUP".to_owned(),
        },
        sources.query_period,
        match sources.down_sample_tags.as_slice() {
            [] => "none".to_owned(),
            tags => tags.join(","),
        },
        options.max_connections,
        options.client_timeout.as_secs_f64(),
        options.trusted_proxies,
    );
    log::info!(
        "InfluxDB {}; state directory {}, spool up to {} bytes; at most {} new values per tag, {} tag sets",
        match &options.influxdb {
            Some(influxdb) => delivery(influxdb, options),
            None => "none".to_owned(),
        },
        options.state_dir.display(),
        options.spool_max_size,
        options.limits.tag_values,
        options.limits.series,
    );
    if sources.geodb.is_none() {
        log::info!("no --geodb: check-ins are stored without a location");
    }
    if options.influxdb.is_none() {
        log::info!(
            "no --influxdb-url: records stay in {}",
            options.state_dir.display()
        );
    }
    if options.scarf_given {
        log::warn!(
            "--scarf-endpoint and --scarf-timeout have no effect, nothing is sent to Scarf; remove \
             them"
        );
    }
    if let Some(warning) = options.without_url() {
        log::warn!("{warning}");
    }
    for warning in options.influxdb.iter().flat_map(InfluxOptions::warnings) {
        log::warn!("{warning}");
    }
}

/// Logs the keys of the files, and the names of `--public-page`, that have no effect, except those that had none with
/// the snapshot before too.
pub fn warn_of_names_without_effect(
    snapshot: &Snapshot,
    before: Option<&Snapshot>,
    public: &[String],
) {
    let all = |snapshot: &Snapshot| {
        let mut all = without_effect(snapshot);
        let schema = snapshot.schema.as_ref();
        all.extend(schema.map_or_else(Vec::new, |schema| not_counted(public, schema)));
        all
    };
    let known = before.map(all).unwrap_or_default();
    for warning in all(snapshot) {
        if !known.contains(&warning) {
            log::warn!("{warning}");
        }
    }
}

/// A warning for each name of `--public-page` for which nothing is counted: the page ignores it, so a misspelt one
/// would go unnoticed.
pub fn not_counted(dimensions: &[String], schema: &RequestSchema) -> Vec<String> {
    let tags = schema.tags().iter();
    let counted_fields = schema
        .fields()
        .iter()
        .filter(|(_, rule)| rule.data_type != DataType::String);
    let mut known = OF_EVERY_CHECK_IN.to_vec();
    known.extend(tags.chain(counted_fields).map(|(_, rule)| &*rule.point_key));
    let unknown = dimensions
        .iter()
        .filter(|name| !known.contains(&name.as_str()));
    let warning = |name: &String| {
        format!(
            "--public-page: found {name:?}, for which nothing is counted, so the page cannot show it; expected some of: \
             {}",
            known.join(", ")
        )
    };
    unknown.map(warning).collect()
}

fn path(path: &Option<PathBuf>) -> String {
    match path {
        Some(path) => path.display().to_string(),
        None => "none".to_owned(),
    }
}

fn delivery(influxdb: &InfluxOptions, options: &StartOptions) -> String {
    let login = match &influxdb.api {
        Api::V1 { user, .. } => match user {
            Some(user) => format!("user {user:?}"),
            None if influxdb.url.has_user() => "user from the URL".to_owned(),
            None => "no user".to_owned(),
        },
        Api::V2 { token, .. } => match token {
            Password::None => "no token".to_owned(),
            _ => "with a token".to_owned(),
        },
    };
    format!(
        "{}, {login}, {}, every {} s, up to {} points a request",
        influxdb.url,
        influxdb.target(&options.database.name()),
        options.sync_interval.as_secs_f64(),
        options.batch_points,
    )
}
