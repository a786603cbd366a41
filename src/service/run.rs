//! `upgrade-responder start`: everything in its order, from the files to the last record.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, after, never, select, unbounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::logging;
use super::metrics::Metrics;
use super::reload::Reload;
use crate::cli::options::{InfluxOptions, Listen, Password, StartOptions};
use crate::config::watch::Fingerprints;
use crate::config::{LoadError, Snapshot};
use crate::http::listener;
use crate::http::routes::App;
use crate::http::socket::{self, BindError};
use crate::store::influx::{Influx, Tls};
use crate::store::{StartError, Store, StoreOptions};

/// How long a stop waits for requests in flight.
const FINISH_REQUESTS: Duration = Duration::from_secs(5);
/// How long a stop waits for the last delivery.
const LAST_DELIVERY: Duration = Duration::from_secs(5);

/// Why the service does not run, by exit status.
#[derive(Debug)]
pub enum RunError {
    /// What the operator gave cannot be used: 78.
    Configuration(String),
    /// The system does not give what is needed: 1.
    System(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Configuration(text) | RunError::System(text) => f.write_str(text),
        }
    }
}

impl From<LoadError> for RunError {
    fn from(error: LoadError) -> Self {
        RunError::Configuration(error.to_string())
    }
}

impl From<BindError> for RunError {
    fn from(error: BindError) -> Self {
        RunError::Configuration(error.to_string())
    }
}

impl From<StartError> for RunError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Spool(_) => RunError::Configuration(error.to_string()),
            StartError::Thread(_) => RunError::System(error.to_string()),
        }
    }
}

/// Runs until SIGTERM or SIGINT; SIGHUP loads the files again.
pub fn run(options: StartOptions) -> Result<(), RunError> {
    logging::start(options.debug);
    // Before anything that takes time, so that an early signal is not lost.
    let signals = signals().map_err(|error| RunError::System(error.to_string()))?;
    let files = Fingerprints::of(&options.sources);
    let snapshot = Snapshot::load(&options.sources, &files, None)?;
    let database = options.database.name();
    let influx = options
        .influxdb
        .as_ref()
        .map(|influx| connect(influx, &database))
        .transpose()?;
    let listener = socket::bind(&options.listen, options.client_timeout)?;
    let metrics = Arc::new(Metrics::default());
    let (store, recorder) = Store::start(
        store_options(&options, database, influx),
        Arc::clone(&metrics),
    )?;
    say_what_is_missing(&options);
    let ready = ready_line(&options, &snapshot, &metrics);
    let app = Arc::new(App::new(
        snapshot,
        options.trusted_proxies,
        options.client_timeout,
        recorder,
        Arc::clone(&metrics),
    ));
    let acceptor = listener::start(listener, options.max_connections, Arc::clone(&app))
        .map_err(|error| RunError::System(format!("cannot start a thread: {error}")))?;
    log::info!("{ready}");

    let reload = Reload::new(
        options.sources,
        options.reload_interval,
        files,
        Arc::clone(&app),
        Arc::clone(&metrics),
    );
    serve_until_stopped(&signals, reload);
    acceptor.stop();
    app.in_flight.finish(FINISH_REQUESTS);
    store.stop(LAST_DELIVERY);
    if let Listen::Unix(path) = &options.listen {
        // The next start would replace it too.
        let _ = std::fs::remove_file(path);
    }
    log::info!("stopped: {}", totals(&metrics));
    Ok(())
}

/// Signals as messages, so that one can be waited for with a limit.
fn signals() -> std::io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (sender, receiver) = unbounded();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if sender.send(signal).is_err() {
                    return;
                }
            }
        })?;
    Ok(receiver)
}

fn serve_until_stopped(signals: &Receiver<i32>, mut reload: Reload) {
    loop {
        let look = reload.next_look().map_or_else(never, after);
        select! {
            recv(signals) -> signal => match signal {
                Ok(SIGHUP) => reload.load("SIGHUP"),
                Ok(SIGINT) => return log::info!("stopping on SIGINT"),
                _ => return log::info!("stopping on SIGTERM"),
            },
            recv(look) -> _ => reload.look(),
        }
    }
}

fn store_options(options: &StartOptions, database: String, influx: Option<Influx>) -> StoreOptions {
    StoreOptions {
        spool_dir: options.spool_dir.clone(),
        spool_max_size: options.spool_max_size,
        database,
        query_period: options.sources.query_period,
        extra_tags: options.sources.down_sample_tags.clone(),
        influx,
        sync_interval: options.sync_interval,
        batch_points: options.batch_points,
    }
}

/// A client for what the flags say of InfluxDB.
pub fn connect(options: &InfluxOptions, database: &str) -> Result<Influx, RunError> {
    let password = match &options.password {
        Password::None => String::new(),
        Password::Text(text) => text.clone(),
        Password::File(path) => std::fs::read_to_string(path)
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|error| {
                RunError::Configuration(format!(
                    "--influxdb-pass-file {}: {error}; expected a file with the password",
                    path.display()
                ))
            })?,
    };
    let user = options.user.clone().map(|user| (user, password));
    let tls = match &options.ca_file {
        _ if options.insecure_tls => Tls::Unverified,
        Some(path) => Tls::VerifiedBy(path),
        None => Tls::Verified,
    };
    Influx::new(options.url.clone(), user, &tls, database.to_owned())
        .map_err(|error| RunError::Configuration(error.to_string()))
}

/// What the operator left out, so that nobody wonders later why it is not there.
fn say_what_is_missing(options: &StartOptions) {
    if options.sources.geodb.is_none() {
        log::info!("no --geodb: check-ins are stored without a location");
    }
    if options.influxdb.is_none() {
        log::info!(
            "no --influxdb-url: records stay in {}",
            options.spool_dir.display()
        );
    }
    if options.scarf_given {
        log::warn!("--scarf-endpoint and --scarf-timeout are accepted, but nothing is sent (yet)");
    }
    if options
        .influxdb
        .as_ref()
        .is_some_and(|influx| influx.insecure_tls)
    {
        log::warn!("--influxdb-insecure-tls: InfluxDB's certificate is not verified");
    }
}

fn ready_line(options: &StartOptions, snapshot: &Snapshot, metrics: &Metrics) -> String {
    format!(
        "ready on {}: application {:?}, database {:?}, {} versions, latest {:?}, {} records found in the spool",
        options.listen,
        options.database.application,
        options.database.name(),
        snapshot.response.versions().len(),
        snapshot.response.latest().name,
        metrics.records.found.get(),
    )
}

/// The equation of [`RecordMetrics`](super::metrics::RecordMetrics).
fn totals(metrics: &Metrics) -> String {
    let records = &metrics.records;
    format!(
        "records found {} + accepted {} = delivered {} + waiting {} + rejected {} + dropped {}",
        records.found.get(),
        records.accepted.get(),
        records.delivered.get(),
        records.waiting(),
        records.rejected.get(),
        records.dropped(),
    )
}
