//! The settings in force, as the log tells them at start: nobody has to guess which build it is and
//! which file it read. No secrets.

use std::path::PathBuf;

use crate::config::Snapshot;
use crate::config::warnings::without_effect;
use crate::service::influx_options::{Api, InfluxOptions, Password};
use crate::service::options::StartOptions;

/// Logs the settings, and what the operator left out, so that nobody wonders later why it is not
/// there.
pub fn say(options: &StartOptions) {
    let sources = &options.sources;
    log::info!(
        "upgrade-responder {}: response config {}, request schema {}, geo database {}, looked at {}; \
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
        "InfluxDB {}; state directory {}, spool up to {} bytes; {} new values a tag, {} tag sets",
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
            "--scarf-endpoint and --scarf-timeout are accepted, but nothing is sent (yet); leave \
             them out"
        );
    }
    for warning in options.influxdb.iter().flat_map(InfluxOptions::warnings) {
        log::warn!("{warning}");
    }
}

/// Logs the keys of the files that change nothing, but for those that the snapshot before had too.
pub fn warn_of_keys_without_effect(snapshot: &Snapshot, before: Option<&Snapshot>) {
    let known = before.map(without_effect).unwrap_or_default();
    for key in without_effect(snapshot) {
        if !known.contains(&key) {
            log::warn!("{key}");
        }
    }
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
