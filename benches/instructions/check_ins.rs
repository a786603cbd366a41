//! Check-ins within this process: the handler that connection threads call, and the pipeline without InfluxDB.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use arc_swap::ArcSwap;
use crossbeam_channel::bounded;
use tiny_http::{Header, Method, Request, TestRequest};
use upgrade_responder::config::Snapshot;
use upgrade_responder::config::listed::listed;
use upgrade_responder::config::sources::ConfigSources;
use upgrade_responder::config::watch::Fingerprints;
use upgrade_responder::http::answer::Then;
use upgrade_responder::http::client_addr::TrustedProxies;
use upgrade_responder::http::listener::Handler;
use upgrade_responder::http::{buffers::Buffers, routes::App};
use upgrade_responder::metrics::Metrics;
use upgrade_responder::service::pipeline::{Pipeline, PipelineOptions};
use upgrade_responder::spool::cardinality::{Limits, Listed};
use upgrade_responder::state::StateDir;
use upgrade_responder::units::duration::QueryPeriod;

use crate::common::{self, ADDRESSES, Workload};
use crate::{Result, sample_geodb};

/// A temporary folder, which is removed on drop.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Handles `count` check-ins and writes all their records to a spool.
pub fn run(workload: &Workload, count: u64) -> Result<()> {
    let folder = Folder(env::temp_dir().join(format!("check-ins-{}", std::process::id())));
    fs::create_dir_all(&folder.0)?;
    let snapshot = snapshot(&folder, workload)?;
    let metrics = Arc::new(Metrics::default());
    let listed = listed(&snapshot.response, snapshot.schema.as_ref(), &[]);
    let (fatal, _) = bounded(1);
    let (store, recorder) = Pipeline::start(
        pipeline_options(&folder, listed)?,
        Arc::clone(&metrics),
        &fatal,
    )
    .map_err(|error| error.to_string())?;
    let app = App::new(
        snapshot,
        TrustedProxies::default(),
        Duration::from_secs(75),
        recorder,
        Arc::default(),
        Arc::clone(&metrics),
        None,
    );
    // TestRequest takes only `&'static str`.
    let bodies: Vec<&'static str> = workload
        .bodies
        .iter()
        .map(|body| &*Box::leak(body.clone().into_boxed_str()))
        .collect();
    let mut buffers = Buffers::default();
    for n in 0..count as usize {
        let request = request(bodies[n % bodies.len()], ADDRESSES[n % ADDRESSES.len()])?;
        if app.handle(request, &mut buffers) != Then::KeepAlive {
            return Err("a check-in was refused".into());
        }
    }
    drop(app);
    store.stop(Duration::from_secs(60));
    match metrics.check_ins.recorded.get() {
        recorded if recorded == count && metrics.records.dropped() == 0 => Ok(()),
        recorded => Err(format!("{recorded} of {count} check-ins were recorded").into()),
    }
}

/// A request with the headers that nginx passes on.
fn request(body: &'static str, address: &str) -> Result<Request> {
    let header =
        |name: &str, value: &str| Header::from_str(name, value).map_err(|error| error.to_string());
    let peer: SocketAddr = ([127, 0, 0, 1], 40_000).into();
    let request = TestRequest::new()
        .with_method(Method::Post)
        .with_path("/v1/checkupgrade")
        .with_remote_addr(peer)
        .with_header(header("Host", "upgrades.example.com")?)
        .with_header(header("X-Forwarded-For", address)?)
        .with_header(header("X-Request-Id", "0123456789abcdef0123456789abcdef")?)
        .with_header(header("Content-Type", "application/json")?)
        .with_body(body);
    Ok(request.into())
}

fn snapshot(folder: &Folder, workload: &Workload) -> Result<Snapshot> {
    let path = |name: &str| folder.0.join(name);
    fs::write(path("config"), common::response_config(workload.versions))?;
    if let Some(schema) = &workload.schema {
        fs::write(path("schema"), schema)?;
    }
    sample_geodb::write(&path("geodb"))?;
    let sources = ConfigSources {
        response: path("config"),
        schema: workload.schema.as_ref().map(|_| path("schema")),
        geodb: Some(path("geodb")),
        query_period: QueryPeriod::parse("1h")?,
        down_sample_tags: Vec::new(),
    };
    let files = Fingerprints::of(&sources);
    Ok(Snapshot::load(&sources, &files, None)?)
}

fn pipeline_options(folder: &Folder, listed: Listed) -> Result<PipelineOptions> {
    Ok(PipelineOptions {
        state: StateDir::new(&folder.0, "bench"),
        spool_max_size: 1 << 30,
        query_period: QueryPeriod::parse("1h")?,
        keep_periods: Duration::from_secs(92 * 86_400),
        extra_tags: Vec::new(),
        influx: None,
        sends_raw: true,
        sync_interval: Duration::from_secs(1),
        batch_points: 5000,
        limits: Limits {
            tag_values: 1000,
            series: 100_000,
        },
        left_out: Arc::default(),
        listed: Arc::new(ArcSwap::from_pointee(listed)),
    })
}
