//! The CPU time of a check-in in various conditions, such as the number of connections. There is no InfluxDB: the
//! records stay in the spool, so that only the server is measured.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::common::{self, Workload};
use crate::measured::Measured;
use crate::support::account;
use crate::support::scratch::Scratch;
use crate::support::wait_for;
use crate::wrk::Wrk;
use crate::{Pace, Result, median, progress};

const CONNECTIONS: usize = 32;
const SEGMENT: usize = 8 * 1024 * 1024;

/// A condition that is varied, and the CPU time of a check-in in µs at each of its values.
pub struct Axis {
    pub name: &'static str,
    pub points: Vec<(u64, f64)>,
}

pub fn run(pace: &Pace) -> Result<Vec<Axis>> {
    let axis = |name, values: &[u64], measure: &dyn Fn(u64) -> Result<f64>| -> Result<Axis> {
        let mut points = Vec::new();
        for &value in values {
            let cost = measure(value)?;
            progress(&format!("{name}: {value}: {cost:.1} µs"));
            points.push((value, cost));
        }
        Ok(Axis { name, points })
    };
    Ok(vec![
        axis("versions in the response config", &[1, 20, 200], &|n| {
            let workload = Workload {
                versions: n as usize,
                ..common::realistic()
            };
            plain(&workload, CONNECTIONS, pace)
        })?,
        axis("extra keys", &[0, 10, 20, 50, 100], &|n| {
            let half = n as usize / 2;
            let workload = common::extra_keys("extra keys", half, half);
            plain(&workload, CONNECTIONS, pace)
        })?,
        axis("connections", &[1, 8, 32, 128, 512], &|n| {
            plain(&common::realistic(), n as usize, pace)
        })?,
        axis("MiB of backlog", &[0, 1024], &|mib| backlog(mib, pace))?,
        axis("reloads before", &[0, 1, 100], &|n| reloads(n, pace))?,
    ])
}

fn plain(workload: &Workload, connections: usize, pace: &Pace) -> Result<f64> {
    let scratch = Scratch::new();
    let server = Measured::start(Measured::server(&scratch, workload, None), false);
    cost(&scratch, &server, workload, connections, pace)
}

/// The CPU time of a check-in in µs, as the median of a few rounds.
fn cost(
    scratch: &Scratch,
    server: &Measured,
    workload: &Workload,
    connections: usize,
    pace: &Pace,
) -> Result<f64> {
    let wrk = Wrk::new(scratch, workload, connections, Duration::from_secs(2));
    // The first one starts the threads and fills the allocator.
    server.round(&wrk.for_time(Duration::from_secs(1)))?;
    let rounds = (0..pace.growth_rounds).map(|_| server.round(&wrk));
    let rounds = rounds.collect::<Result<Vec<_>>>()?;
    Ok(median(rounds.iter().map(|round| round.cpu)))
}

/// The cost with a spool that already has so many MiB of segments.
fn backlog(mib: u64, pace: &Pace) -> Result<f64> {
    let scratch = Scratch::new();
    let workload = common::realistic();
    let spool = account::spool(&scratch);
    fs::create_dir_all(&spool)?;
    let line =
        "upgrade_request,app_version=v1.0.0,country_isocode=CH value=1i 1700000000000000000\n";
    let lines = SEGMENT / line.len();
    for number in 0..mib as usize * 1024 * 1024 / SEGMENT {
        fs::write(
            spool.join(format!("{number:020}-{lines}.lp")),
            line.repeat(lines),
        )?;
    }
    let server = Measured::server(&scratch, &workload, None).arg("--spool-max-size", "4GiB");
    let server = Measured::start(server, false);
    cost(&scratch, &server, &workload, CONNECTIONS, pace)
}

fn reloads(count: u64, pace: &Pace) -> Result<f64> {
    let scratch = Scratch::new();
    let workload = common::realistic();
    let server = Measured::server(&scratch, &workload, None).arg("--reload-interval", "0");
    let mut server = Measured::start(server, false);
    for done in 1..=count {
        let versions = workload.versions + (done % 2) as usize;
        scratch.write("response-config.json", common::response_config(versions));
        server.running().signal(Signal::HUP);
        wait_for(Duration::from_secs(20), "the reload", || {
            server.metric("config_reloads_total") == done
        });
    }
    cost(&scratch, &server, &workload, CONNECTIONS, pace)
}
