//! Parses the options of `start` and `take-over` from the flags' texts.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::influxdb::{idle, influxdb};
use super::lowargs::LowArgs;
use super::sources::sources;
use super::typed::{Env, database, source, state_dir, switch, typed};
use super::usage::UsageError;
use super::values;
use crate::http::client_addr::TrustedProxies;
use crate::http::pages::PublicOptions;
use crate::http::socket::Listen;
use crate::service::options::{StartOptions, TakeOverOptions};
use crate::spool::cardinality::Limits;

pub(super) fn start(low: &LowArgs, env: Env<'_>) -> Result<StartOptions, UsageError> {
    let sources = sources(low)?;
    let sync_interval = typed(low, "--cache-sync-interval", |text| {
        values::number(text, 1, 3600, "a number of seconds")
    })?;
    Ok(StartOptions {
        debug: switch(low, "--debug")?,
        sources,
        reload_interval: typed(low, "--reload-interval", values::reload_interval)?,
        listen: listen(low)?,
        trusted_proxies: match low.get("--trusted-proxies") {
            Some(_) => typed(low, "--trusted-proxies", TrustedProxies::parse)?,
            None => TrustedProxies::default(),
        },
        max_connections: typed(low, "--max-connections", |text| {
            values::number(text, 1, 100_000, "a number of connections")
        })?,
        client_timeout: typed(low, "--client-timeout", values::client_timeout)?,
        database: database(low)?,
        influxdb: influxdb(low, env)?,
        sync_interval: Duration::from_secs(sync_interval),
        batch_points: typed(low, "--cache-size", |text| {
            values::number(text, 1, 100_000, "a number of points")
        })?,
        state_dir: state_dir(low, env).0,
        keep_periods: typed(low, "--keep-periods", values::keep_periods)?,
        spool_max_size: typed(low, "--spool-max-size", values::size)?,
        limits: Limits {
            tag_values: typed(low, "--max-tag-values", |text| {
                values::number(text, 1, 1_000_000, "a number of values")
            })?,
            series: typed(low, "--max-series", |text| {
                values::number(text, 1, 10_000_000, "a number of tag sets")
            })?,
        },
        max_metric_values: typed(low, "--max-metric-values", |text| {
            values::number(text, 1, 10_000, "a number of values")
        })?,
        metrics_listen: match low.get("--metrics-listen") {
            Some(_) => Some(typed(low, "--metrics-listen", values::listen)?),
            None => None,
        },
        public: public(low)?,
        idle_influxdb: idle(low),
        scarf_given: low.get("--scarf-endpoint").is_some() || low.get("--scarf-timeout").is_some(),
    })
}

fn public(low: &LowArgs) -> Result<Option<PublicOptions>, UsageError> {
    let at_least = typed(low, "--public-at-least", |text| {
        values::number(text, 1, 1_000_000, "a number of installations")
    })?;
    if low.get("--public-page").is_none() {
        return Ok(None);
    }
    let dimensions = typed(low, "--public-page", values::dimensions)?;
    Ok(Some(PublicOptions {
        dimensions,
        at_least,
    }))
}

pub(super) fn take_over(low: &LowArgs, env: Env<'_>) -> Result<TakeOverOptions, UsageError> {
    let influxdb = influxdb(low, env)?;
    Ok(TakeOverOptions {
        database: database(low)?,
        influxdb: influxdb.ok_or(UsageError::Missing("--influxdb-url", "INFLUXDB_URL"))?,
        down_sample_tags: typed(low, "--down-sample-tags", values::tags)?,
        dry_run: switch(low, "--dry-run")?,
    })
}

/// `--listen` wins over `--port`, unless the port is from a source that wins.
fn listen(low: &LowArgs) -> Result<Listen, UsageError> {
    let port = typed(low, "--port", |text| {
        values::number(text, 1, u16::MAX, "a port number")
    })?;
    match low.get("--listen") {
        Some(_) if source(low, "--listen") >= source(low, "--port") => {
            typed(low, "--listen", values::listen)
        }
        _ => Ok(Listen::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))),
    }
}
