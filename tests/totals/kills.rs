//! Totals of a server that is killed again and again under load. If these tests fail, a crash or a loss of power counts
//! a check-in twice, or leaves out one that was stored.

use std::time::Duration;

use super::{SOON, Totals, counted, recounted};
use crate::support::account::{MEASUREMENT, spooled};
use crate::support::influx::Influx;
use crate::support::load::{Load, Running as Loading};
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Server};
use crate::support::wait_for;

/// A crash may lose the check-ins of the last 10 ms: at most so many under the load below.
const LOST_TO_A_KILL: usize = 4;

fn loads(server: &Server) -> Vec<Loading> {
    let versions = ["v1.0.0", "v1.1.0"];
    let load = |version: &&str| {
        let body = format!(r#"{{"appVersion":"{version}","extraFieldInfo":{{"nodeCount":3}}}}"#);
        let load = Load::new(&server.address()).threads(2).endless().tolerant();
        load.body(&body).pause(Duration::from_millis(10)).start()
    };
    versions.iter().map(load).collect()
}

/// Kills the server `kills` times under load, each time at another moment of a second; returns the number of
/// acknowledged check-ins.
fn kill_under_load(server: &Server, kills: u64) -> usize {
    let loads = loads(server);
    let acknowledged = || loads.iter().map(Loading::acknowledged).sum::<usize>();
    for kill in 0..kills {
        let running = server.start();
        let goal = acknowledged() + 60;
        wait_for(SOON, "answers", || acknowledged() >= goal);
        // Append, sync, commit and deletion take milliseconds each; different delays hit all of them.
        std::thread::sleep(Duration::from_millis(kill * 137 % 900));
        running.kill();
    }
    loads
        .into_iter()
        .map(|load| load.stop().acknowledged.len())
        .sum()
}

#[test]
fn totals_match_the_spool_whenever_the_server_is_killed() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).arg("--query-period", "1m");
    let acknowledged = kill_under_load(&server, 20);
    let running = server.start();
    let records = spooled(&scratch).len();
    wait_for(SOON, "the totals to match the spool", || {
        counted(&scratch) == recounted(&scratch, 60)
    });
    assert_eq!(running.terminate().code, Some(0));
    assert_eq!(counted(&scratch), recounted(&scratch, 60));
    let most = acknowledged.saturating_sub(20 * LOST_TO_A_KILL);
    assert!(
        records >= most,
        "{records} of {acknowledged} acknowledged records are in the spool"
    );
}

#[test]
fn totals_match_influxdb_whenever_the_server_is_killed() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch)
        .arg("--query-period", "1m")
        .arg("--influxdb-url", influx.url());
    kill_under_load(&server, 20);
    let running = server.start();
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    let total = |totals: &Totals| {
        let all = totals.iter().filter(|((_, value), _)| value == "all");
        all.map(|(_, total)| total).sum::<u64>()
    };
    let (all, stored) = (
        total(&counted(&scratch)),
        influx.count(DATABASE, MEASUREMENT),
    );
    assert_eq!(all, stored, "{}", running.log());
    running.terminate();
}
