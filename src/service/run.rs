//! `upgrade-responder start`: everything in its order, from the files to the last record.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, at, bounded, never, select, tick};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::connect::connect;
use super::error::RunError;
use super::health::{self, Watched};
use super::memory::Memory;
use super::reload::Reload;
use super::summary::{self, Summary};
use super::{notify, settings};
use crate::config::Snapshot;
use crate::config::listed::listed;
use crate::config::watch::Fingerprints;
use crate::delivery::protocol::Protocol;
use crate::http::installations::Installations;
use crate::http::listener::{self, Acceptor, Handler};
use crate::http::metrics_page::MetricsPage;
use crate::http::operator::Operator;
use crate::http::pages::Pages;
use crate::http::public::PublicPages;
use crate::http::routes::App;
use crate::http::socket::{self, Bound, Reach, SocketFile};
use crate::logging;
use crate::metrics::Metrics;
use crate::service::options::StartOptions;
use crate::service::pipeline::{Pipeline, PipelineOptions};
use crate::service::public_page::PublicPage;
use crate::spool::cardinality::Listed;
use crate::state::StateDir;
use crate::totals::left_out::LeftOutTable;

/// How often what happened is summed up in the log.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(300);
/// Connections to the metrics at once, and how long one may take.
const METRICS_CONNECTIONS: usize = 8;
const METRICS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stop waits for requests in flight.
const FINISH_REQUESTS: Duration = Duration::from_secs(5);
/// How long a stop waits for the last delivery.
const LAST_DELIVERY: Duration = Duration::from_secs(5);
/// How long for either where the process cannot go on: what took its memory goes on taking it, and what
/// is not delivered is after the next start.
const HURRY: Duration = Duration::from_millis(200);

/// Runs until SIGTERM or SIGINT; SIGHUP loads the files again.
pub fn run(options: StartOptions) -> Result<(), RunError> {
    logging::start(options.debug);
    // Before anything that takes time, so that an early signal is not lost.
    let signals = signals().map_err(|error| RunError::System(error.to_string()))?;
    let files = Fingerprints::of(&options.sources);
    let snapshot = Snapshot::load(&options.sources, &files, None)?;
    let changed_lately = files.changed_lately();
    let influx = options
        .influxdb
        .as_ref()
        .map(|influx| connect(influx, &options.database))
        .transpose()?;
    let bound = socket::open(&options.listen, options.client_timeout)?;
    let socket_files: Vec<SocketFile> = bound.iter().filter_map(Bound::file).collect();
    let metrics_listen = options.metrics_listen.as_ref();
    let metrics_bound = metrics_listen
        .map(|at| socket::bind("--metrics-listen", at, METRICS_TIMEOUT))
        .transpose()?;
    let metrics = Arc::new(Metrics::default());
    // What the process cannot go on with; the first of it counts.
    let (tell, fatal) = bounded(1);
    metrics.config.loaded_now();
    metrics.rules.show(&snapshot.rule_counters);
    let listed = listed(
        &snapshot.response,
        snapshot.schema.as_ref(),
        &options.sources.down_sample_tags,
    );
    let listed = Arc::new(ArcSwap::from_pointee(listed));
    let left_out = Arc::new(LeftOutTable::default());
    let installations = Installations {
        ledger: StateDir::new(&options.state_dir, &options.database.application).totals(),
        most_values: options.max_metric_values,
    };
    let mut pipeline_options = pipeline_options(&options, influx, Arc::clone(&listed));
    pipeline_options.left_out = Arc::clone(&left_out);
    let (pipeline, recorder) = Pipeline::start(pipeline_options, Arc::clone(&metrics), &tell)?;
    settings::say(&options);
    settings::warn_of_keys_without_effect(&snapshot, None);
    let ready = ready_line(&options, &bound, &snapshot, &metrics);
    let public_pages = options.public.as_ref();
    let public_pages = public_pages.map(|_| Arc::new(PublicPages::default()));
    let app = Arc::new(App::new(
        snapshot,
        options.trusted_proxies.clone(),
        options.client_timeout,
        recorder,
        left_out,
        Arc::clone(&metrics),
        public_pages.clone(),
    ));
    let pages = Pages {
        application: options.database.application.clone(),
        ledger: installations.ledger.clone(),
        check_in_url: check_in_url(&bound),
        served: Arc::clone(&app.served),
        metrics: Arc::clone(&metrics),
    };
    let reaches = bound.iter().map(|bound| bound.reach.clone()).collect();
    let acceptor = accept(bound, options.max_connections, Arc::clone(&app) as _)?;
    pipeline.serves();
    let watched = watched_check_ins(reaches, options.client_timeout, &acceptor);
    watch(&watched, &metrics, &tell)?;
    let memory = Memory::new(&options, Arc::clone(&app));
    memory
        .watch(tell.clone())
        .map_err(|error| no_thread(&error))?;
    let metrics_acceptor = match metrics_bound {
        None => None,
        Some(bound) => {
            log::info!("page and metrics on {}", bound.name);
            let operator = Operator {
                pages: pages.clone(),
                metrics: metrics_page(&metrics, &pipeline, &acceptor),
                installations,
            };
            let reaches = vec![bound.reach.clone()];
            let acceptor = accept(vec![bound], METRICS_CONNECTIONS, Arc::new(operator))?;
            watch(&watched_metrics(reaches, &acceptor), &metrics, &tell)?;
            Some(acceptor)
        }
    };
    let public = options.public.zip(public_pages);
    let public = public
        .map(|(options, prepared)| PublicPage::start(options, pages, prepared))
        .transpose()
        .map_err(|error| no_thread(&error))?;
    log::info!("{ready}");
    notify::ready();

    let reload = Reload::new(
        options.sources,
        options.reload_interval,
        files,
        changed_lately,
        Arc::clone(&app),
        listed,
        Arc::clone(&metrics),
    );
    let ended = serve_until_stopped(&signals, &fatal, reload, Summary::new(Arc::clone(&metrics)));
    notify::stopping();
    acceptor.stop();
    let most = if ended.is_ok() { Duration::MAX } else { HURRY };
    app.in_flight.finish(FINISH_REQUESTS.min(most));
    let waiting = pipeline.stop(LAST_DELIVERY.min(most));
    if let Some(acceptor) = metrics_acceptor {
        acceptor.stop();
    }
    if let Some(public) = public {
        public.stop();
    }
    drop(socket_files);
    log::info!("stopped: {}", summary::totals(&metrics, waiting));
    ended
}

/// Where somebody on this machine sends a check-in.
fn check_in_url(bound: &[Bound]) -> String {
    let reach = bound.first().map(|bound| &bound.reach);
    match reach {
        Some(Reach::Tcp(addr)) => format!("http://{addr}"),
        Some(Reach::Unix(path)) => {
            format!("--unix-socket {} http://localhost", path.display())
        }
        None => "http://localhost".to_owned(),
    }
}

fn accept(
    bound: Vec<Bound>,
    max_connections: usize,
    handler: Arc<dyn Handler>,
) -> Result<Acceptor, RunError> {
    listener::start(bound, max_connections, handler).map_err(|error| no_thread(&error))
}

fn watch(watched: &Watched, metrics: &Arc<Metrics>, tell: &Sender<String>) -> Result<(), RunError> {
    health::watch(watched, metrics, tell).map_err(|error| no_thread(&error))
}

fn watched_check_ins(
    reaches: Vec<Reach>,
    client_timeout: Duration,
    acceptor: &Acceptor,
) -> Watched {
    Watched {
        name: "check-ins",
        reaches,
        path: "/v1/healthcheck",
        client_timeout,
        slots: Arc::clone(&acceptor.slots),
        speaks: true,
    }
}

/// The metrics are as easily made deaf as the rest, and an operator who sees nothing must not have to
/// find out why.
fn watched_metrics(reaches: Vec<Reach>, acceptor: &Acceptor) -> Watched {
    Watched {
        name: "metrics",
        reaches,
        path: "/healthz",
        client_timeout: METRICS_TIMEOUT,
        slots: Arc::clone(&acceptor.slots),
        speaks: false,
    }
}

fn no_thread(error: &std::io::Error) -> RunError {
    RunError::System(format!("cannot start a thread: {error}"))
}

fn metrics_page(metrics: &Arc<Metrics>, pipeline: &Pipeline, acceptor: &Acceptor) -> MetricsPage {
    MetricsPage {
        metrics: Arc::clone(metrics),
        spool: pipeline.spool(),
        slots: Arc::clone(&acceptor.slots),
        started: Instant::now(),
    }
}

/// Signals as messages, so that one can be waited for with a limit.
fn signals() -> std::io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    // Holds none: of many SIGHUPs that come during a load, one is left, and a SIGTERM waits for that
    // one at most.
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
                let why = why.unwrap_or_else(|_| "a thread is gone".to_owned());
                // At once: what is under way is still finished, and that takes a while.
                log::error!("{why}");
                let ended = "ended by itself, for the reason above; to be started again";
                return Err(RunError::System(ended.to_owned()));
            }
        }
    }
}

fn pipeline_options(
    options: &StartOptions,
    influx: Option<Protocol>,
    listed: Arc<ArcSwap<Listed>>,
) -> PipelineOptions {
    PipelineOptions {
        state: StateDir::new(&options.state_dir, &options.database.application),
        spool_max_size: options.spool_max_size,
        query_period: options.sources.query_period,
        keep_periods: options.keep_periods,
        extra_tags: options.sources.down_sample_tags.clone(),
        influx,
        sends_raw: options
            .influxdb
            .as_ref()
            .is_none_or(|influxdb| influxdb.sends_raw),
        sync_interval: options.sync_interval,
        batch_points: options.batch_points,
        limits: options.limits,
        listed,
        left_out: Arc::default(),
    }
}

fn ready_line(
    options: &StartOptions,
    bound: &[Bound],
    snapshot: &Snapshot,
    metrics: &Metrics,
) -> String {
    let names: Vec<&str> = bound.iter().map(|bound| bound.name.as_str()).collect();
    format!(
        "ready on {}: application {:?}, database {:?}, {} versions, latest {:?}, {} records found in the spool",
        names.join(" and "),
        options.database.application,
        options.database.name(),
        snapshot.response.versions().len(),
        snapshot.response.latest().name,
        metrics.records.found.get(),
    )
}
