//! `upgrade-responder start`: runs the service, from loading the files to the last record.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, at, bounded, never, select, tick};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::connect::connect;
use super::doors::Doors;
use super::error::RunError;
use super::notify;
use super::options::StartOptions;
use super::reload::Reload;
use super::serving::Serving;
use super::summary::Summary;
use crate::config::Snapshot;
use crate::config::watch::Fingerprints;
use crate::logging;

/// How often the log gets a summary.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(300);

/// Runs until SIGTERM or SIGINT; SIGHUP reloads the files.
pub fn run(options: StartOptions) -> Result<(), RunError> {
    logging::start(options.debug);
    // Before anything that takes time, so that an early signal is not lost.
    let signals = signals().map_err(|error| RunError::System(error.to_string()))?;
    let files = Fingerprints::of(&options.sources);
    let snapshot = Snapshot::load(&options.sources, &files, None)?;
    let changed_lately = files.changed_lately();
    let influx = options.influxdb.as_ref();
    let influx = influx.map(|influx| connect(influx, &options.database));
    let influx = influx.transpose()?;
    let doors = Doors::open(&options)?;
    // Fatal errors; only the first is needed.
    let (tell, fatal) = bounded(1);
    let serving = Serving::start(&options, snapshot, influx, doors, &tell)?;
    notify::ready();

    let public = options.public_dimensions().to_vec();
    let reload = Reload::new(
        options.sources,
        options.reload_interval,
        public,
        files,
        changed_lately,
        &serving,
    );
    let summary = Summary::new(Arc::clone(&serving.metrics));
    let ended = serve_until_stopped(&signals, &fatal, reload, summary);
    notify::stopping();
    serving.stop(ended.is_err());
    ended
}

/// Signals as messages, so that one can be waited for with a limit.
fn signals() -> std::io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    // Without a buffer: of many SIGHUPs during a reload only one remains, and a SIGTERM waits for at most
    // one more reload.
    let (sender, receiver) = bounded(0);
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

fn serve_until_stopped(
    signals: &Receiver<i32>,
    fatal: &Receiver<String>,
    mut reload: Reload,
    mut summary: Summary,
) -> Result<(), RunError> {
    let summary_due = tick(SUMMARY_INTERVAL);
    loop {
        let look = reload.next_look().map_or_else(never, at);
        select! {
            recv(signals) -> signal => match signal {
                Ok(SIGHUP) => {
                    notify::reloading();
                    reload.asked();
                    notify::ready();
                }
                signal => {
                    let name = if signal == Ok(SIGINT) { "SIGINT" } else { "SIGTERM" };
                    log::info!("stopping on {name}");
                    return Ok(());
                }
            },
            recv(look) -> _ => reload.look(),
            recv(summary_due) -> _ => {
                if let Some(line) = summary.since_last() {
                    log::info!("{line}");
                }
            }
            recv(fatal) -> why => {
                let why = why.unwrap_or_else(|_| "a thread has ended".to_owned());
                // Logged before the stop, which takes a while.
                log::error!("{why}");
                let ended = "stopped after a fatal error (see the log line before); restart it";
                return Err(RunError::System(ended.to_owned()));
            }
        }
    }
}
