//! Stops, crashes and restarts. If these tests failed, a stop would lose check-ins, a crash more than those of the last
//! 10 ms, or check-ins would be counted twice.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::bounded;
use rustix::process::Signal;
use upgrade_responder::checkin::request;
use upgrade_responder::geo::Location;
use upgrade_responder::line::Record;
use upgrade_responder::metrics::Metrics;
use upgrade_responder::service::pipeline::{Pipeline, PipelineOptions};
use upgrade_responder::spool::cardinality::{Limits, Listed};
use upgrade_responder::state::StateDir;
use upgrade_responder::units::duration::QueryPeriod;

use crate::support::account::{
    MEASUREMENT, Totals, assert_exactly_once, compare, spooled, stored_ids, wait_until_stored,
};
use crate::support::crashes::{Stalls, assert_lost_only_to};
use crate::support::influx::Influx;
use crate::support::load::{Load, Running};
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);

fn wait_for_more(load: &Running, more: usize) {
    let goal = load.acknowledged() + more;
    wait_for(SOON, "answers", || load.acknowledged() >= goal);
}

#[test]
fn a_record_that_arrives_during_a_stop_is_written_or_refused() {
    let scratch = Scratch::new();
    for round in 0..20 {
        let state = StateDir::new(scratch.path(), &format!("round-{round}"));
        let metrics = Arc::new(Metrics::default());
        let (fatal, _) = bounded(1);
        let options = pipeline_options(state.clone());
        let (pipeline, recorder) = Pipeline::start(options, Arc::clone(&metrics), &fatal).unwrap();
        let written = || metrics.records.accepted.get();
        let (recorded, waiting) = thread::scope(|scope| {
            let record_until_stopped = || {
                let check_in = request::parse(b"{}", None).unwrap();
                let record =
                    || Record::new(&check_in.parts(Location::default(), None), &mut Vec::new());
                (0..)
                    .take_while(|_| recorder.record(record()).is_ok())
                    .count()
            };
            let threads = [(); 3].map(|()| scope.spawn(record_until_stopped));
            wait_for(SOON, "records", || written() > 1000);
            let waiting = pipeline.stop(SOON);
            (threads.map(|thread| thread.join().unwrap()), waiting)
        });
        let recorded: usize = recorded.iter().sum();
        let records = &metrics.records;
        assert_eq!(records.accepted.get(), recorded as u64);
        assert_eq!(records.accepted.get(), waiting + records.dropped());
        let lines: usize = fs::read_dir(state.spool())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "lp"))
            .map(|path| fs::read_to_string(path).unwrap().lines().count())
            .sum();
        assert_eq!(lines as u64, waiting);
    }
}

fn pipeline_options(state: StateDir) -> PipelineOptions {
    PipelineOptions {
        state,
        spool_max_size: 1 << 30,
        query_period: QueryPeriod::parse("1h").unwrap(),
        keep_periods: Duration::from_secs(92 * 86_400),
        extra_tags: Vec::new(),
        sends_raw: true,
        influx: None,
        sync_interval: Duration::from_secs(1),
        batch_points: 5000,
        limits: Limits {
            tag_values: 1000,
            series: 100_000,
        },
        listed: Arc::new(ArcSwap::from_pointee(Listed::default())),
        left_out: Arc::default(),
    }
}

#[test]
fn a_stop_under_load_loses_nothing() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let load = Load::new(&server.address()).threads(8).endless().tolerant();
    let load = load.pause(Duration::from_millis(2)).start();
    for signal in [
        Signal::TERM,
        Signal::INT,
        Signal::TERM,
        Signal::INT,
        Signal::TERM,
    ] {
        let mut running = server.start();
        wait_for_more(&load, 300);
        running.signal(signal);
        let ended = running.wait(Duration::from_secs(20));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let none_lost = "rejected 0 + dropped 0";
        assert!(ended.stderr.contains(none_lost), "{}", ended.stderr);
        Totals::of(&ended.stderr).assert_add_up(&scratch);
    }
    let outcome = load.stop();
    // This start delivers the records that the last stop could not deliver.
    let running = server.start();
    wait_until_stored(&influx, outcome.acknowledged.len(), SOON);
    running.terminate();
    assert_exactly_once(&outcome.ids(), &stored_ids(&influx));
}

#[test]
fn twenty_crashes_under_load_cost_at_most_the_last_ten_milliseconds_each() {
    let scratch = Scratch::alone();
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let load = Load::new(&server.address()).threads(4).endless().tolerant();
    let load = load.pause(Duration::from_millis(5)).start();
    let stalls = Stalls::watch(&scratch);
    let mut kills = Vec::new();
    for _ in 0..20 {
        let running = server.start();
        wait_for_more(&load, 100);
        kills.push(Instant::now());
        running.kill();
    }
    let outcome = load.stop();
    let stalls = stalls.finish();
    let running = server.start();
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    running.terminate();

    let difference = compare(&outcome.ids(), &stored_ids(&influx));
    assert_eq!(difference.duplicated, 0, "{difference:?}");
    assert_lost_only_to(&kills, &stalls, &outcome.acknowledged, &difference.lost);
}

#[test]
fn crashes_during_the_start_lose_and_double_nothing() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let offline = Server::new(&scratch);
    let mut acknowledged = std::collections::BTreeSet::new();
    for round in 0..3 {
        let running = offline.start();
        acknowledged.extend(Load::new(running.addr()).threads(4).each(50).run().ids());
        wait_for(SOON, "the spool", || {
            spooled(&scratch).len() == 200 * (round + 1)
        });
        running.kill();
        // Kills at different moments of a start.
        for after in 0..8 {
            let mut process = offline.spawn();
            thread::sleep(Duration::from_millis(after * 4));
            process.kill();
        }
    }
    let server = offline.arg("--influxdb-url", influx.url());
    for after in 0..10 {
        let mut process = server.spawn();
        thread::sleep(Duration::from_millis(after * 20));
        process.kill();
    }
    let running = server.start();
    wait_until_stored(&influx, 600, SOON);
    let ended = running.terminate();
    assert_exactly_once(&acknowledged, &stored_ids(&influx));
    Totals::of(&ended.stderr).assert_add_up(&scratch);
}

#[test]
fn ten_thousand_equal_check_ins_are_ten_thousand_points_across_a_restart_too() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    for _ in 0..2 {
        let running = server.start();
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let mut connection = running.connect();
                    for _ in 0..250 {
                        let answer = connection.post_checkin(r#"{"appVersion":"v1.0.0"}"#, &[]);
                        assert_eq!(answer.unwrap().status, 200);
                    }
                });
            }
        });
        running.terminate();
    }
    let running = server.start();
    wait_until_stored(&influx, 10_000, SOON);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    running.terminate();
    assert_eq!(influx.count(DATABASE, MEASUREMENT), 10_000);
}
