//! Starts the threads of the service in order, and stops them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;

use super::doors::{Doors, OPERATOR_TIMEOUT};
use super::error::RunError;
use super::health::{self, Watched};
use super::memory::Memory;
use super::options::StartOptions;
use super::pipeline::{Pipeline, PipelineOptions};
use super::public_page::PublicPage;
use super::{settings, summary};
use crate::config::Snapshot;
use crate::config::listed::listed;
use crate::delivery::protocol::Protocol;
use crate::http::installations::Installations;
use crate::http::listener::{self, Acceptor};
use crate::http::metrics_page::MetricsPage;
use crate::http::operator::Operator;
use crate::http::pages::Pages;
use crate::http::public::PublicPages;
use crate::http::routes::App;
use crate::http::socket::{Bound, Reach, SocketFile};
use crate::metrics::Metrics;
use crate::spool::cardinality::Listed;
use crate::state::StateDir;
use crate::totals::left_out::LeftOutTable;

/// The most connections at once to the operator's listener.
const OPERATOR_CONNECTIONS: usize = 8;
/// How long a stop waits for requests in flight.
const FINISH_REQUESTS: Duration = Duration::from_secs(5);
/// How long a stop waits for the last delivery.
const LAST_DELIVERY: Duration = Duration::from_secs(5);
/// The limit for both after a fatal error: memory use may still be growing, and undelivered records are delivered
/// after the next start.
const HURRY: Duration = Duration::from_millis(200);

/// The running service.
pub(super) struct Serving {
    pub(super) app: Arc<App>,
    pub(super) listed: Arc<ArcSwap<Listed>>,
    pub(super) metrics: Arc<Metrics>,
    pipeline: Pipeline,
    check_ins: Acceptor,
    operator: Option<Acceptor>,
    public: Option<PublicPage>,
    files: Vec<SocketFile>,
}

impl Serving {
    /// Starts all threads; `tell` gets fatal errors.
    pub(super) fn start(
        options: &StartOptions,
        snapshot: Snapshot,
        influx: Option<Protocol>,
        doors: Doors,
        tell: &Sender<String>,
    ) -> Result<Serving, RunError> {
        let metrics = Arc::new(Metrics::default());
        metrics.config.loaded_now();
        metrics.rules.show(&snapshot.rule_counters);
        let tags = &options.sources.down_sample_tags;
        let listed = listed(&snapshot.response, snapshot.schema.as_ref(), tags);
        let listed = Arc::new(ArcSwap::from_pointee(listed));
        let left_out = Arc::new(LeftOutTable::default());
        let pipeline =
            pipeline_options(options, influx, Arc::clone(&listed), Arc::clone(&left_out));
        let (pipeline, recorder) = Pipeline::start(pipeline, Arc::clone(&metrics), tell)?;
        settings::say(options);
        settings::warn_of_names_without_effect(&snapshot, None, options.public_dimensions());
        let ready = ready_line(options, &doors, &snapshot, &metrics);
        let prepared = options.public.as_ref();
        let prepared = prepared.map(|_| Arc::new(PublicPages::default()));
        let app = Arc::new(App::new(
            snapshot,
            options.trusted_proxies.clone(),
            options.client_timeout,
            recorder,
            left_out,
            Arc::clone(&metrics),
            prepared.clone(),
        ));
        let pages = pages(options, &doors, &app);
        let reaches = doors.reaches();
        let check_ins = listener::start(
            doors.check_ins,
            options.max_connections,
            Arc::clone(&app) as _,
        );
        let check_ins = check_ins.map_err(no_thread)?;
        pipeline.serves();
        let watched = watched_check_ins(reaches, options.client_timeout, &check_ins);
        health::watch(&watched, &metrics, tell).map_err(no_thread)?;
        let memory = Memory::new(options, Arc::clone(&app));
        memory.watch(tell.clone()).map_err(no_thread)?;
        let operator = doors.operator.map(|bound| {
            let metrics_page = metrics_page(&metrics, &pipeline, &check_ins);
            operator(bound, options, pages.clone(), metrics_page, tell)
        });
        let operator = operator.transpose()?;
        let public = options.public.clone().zip(prepared);
        let public = public.map(|(options, prepared)| PublicPage::start(options, pages, prepared));
        let public = public.transpose().map_err(no_thread)?;
        log::info!("{ready}");
        Ok(Serving {
            app,
            listed,
            metrics,
            pipeline,
            check_ins,
            operator,
            public,
            files: doors.files,
        })
    }

    /// Accepts no new connections, answers requests in flight, writes records to the spool, and delivers once more.
    pub(super) fn stop(self, in_a_hurry: bool) {
        self.check_ins.stop();
        let most = if in_a_hurry { HURRY } else { Duration::MAX };
        self.app.in_flight.finish(FINISH_REQUESTS.min(most));
        let waiting = self.pipeline.stop(LAST_DELIVERY.min(most));
        if let Some(operator) = self.operator {
            operator.stop();
        }
        if let Some(public) = self.public {
            public.stop();
        }
        drop(self.files);
        log::info!("stopped: {}", summary::totals(&self.metrics, waiting));
    }
}

/// The operator's listener. It can hang too, so it is checked as well.
fn operator(
    bound: Bound,
    options: &StartOptions,
    pages: Pages,
    metrics: MetricsPage,
    tell: &Sender<String>,
) -> Result<Acceptor, RunError> {
    log::info!("page and metrics on {}", bound.name);
    let counters = Arc::clone(&metrics.metrics);
    let handler = Operator {
        installations: Installations {
            ledger: pages.ledger.clone(),
            most_values: options.max_metric_values,
        },
        pages,
        metrics,
    };
    let reaches = vec![bound.reach.clone()];
    let acceptor = listener::start(vec![bound], OPERATOR_CONNECTIONS, Arc::new(handler));
    let acceptor = acceptor.map_err(no_thread)?;
    let watched = Watched {
        name: "metrics",
        reaches,
        path: "/healthz",
        client_timeout: OPERATOR_TIMEOUT,
        slots: Arc::clone(&acceptor.slots),
        speaks: false,
    };
    health::watch(&watched, &counters, tell).map_err(no_thread)?;
    Ok(acceptor)
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

fn pages(options: &StartOptions, doors: &Doors, app: &App) -> Pages {
    Pages {
        application: options.database.application.clone(),
        ledger: state(options).totals(),
        check_in_url: doors.check_in_url(),
        served: Arc::clone(&app.served),
        metrics: Arc::clone(&app.metrics),
    }
}

fn metrics_page(metrics: &Arc<Metrics>, pipeline: &Pipeline, acceptor: &Acceptor) -> MetricsPage {
    MetricsPage {
        metrics: Arc::clone(metrics),
        spool: pipeline.spool(),
        slots: Arc::clone(&acceptor.slots),
        started: Instant::now(),
    }
}

fn pipeline_options(
    options: &StartOptions,
    influx: Option<Protocol>,
    listed: Arc<ArcSwap<Listed>>,
    left_out: Arc<LeftOutTable>,
) -> PipelineOptions {
    let influxdb = options.influxdb.as_ref();
    PipelineOptions {
        state: state(options),
        spool_max_size: options.spool_max_size,
        query_period: options.sources.query_period,
        keep_periods: options.keep_periods,
        extra_tags: options.sources.down_sample_tags.clone(),
        influx,
        sends_raw: influxdb.is_none_or(|influxdb| influxdb.sends_raw),
        sync_interval: options.sync_interval,
        batch_points: options.batch_points,
        limits: options.limits,
        listed,
        left_out,
    }
}

fn state(options: &StartOptions) -> StateDir {
    StateDir::new(&options.state_dir, &options.database.application)
}

fn ready_line(
    options: &StartOptions,
    doors: &Doors,
    snapshot: &Snapshot,
    metrics: &Metrics,
) -> String {
    format!(
        "ready on {}: application {:?}, database {:?}, {} versions, latest {:?}, {} records found in the spool",
        doors.names(),
        options.database.application,
        options.database.name(),
        snapshot.response.versions().len(),
        snapshot.response.latest().name,
        metrics.records.found.get(),
    )
}

fn no_thread(error: io::Error) -> RunError {
    RunError::System(format!("cannot start a thread: {error}"))
}
