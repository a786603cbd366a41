//! The cases of the table: the server with everything included, InfluxDB too, against the bare
//! listener in turn, so that both meet the same machine.

use std::time::{Duration, Instant};

use crate::common::{self, Workload};
use crate::measured::{Bare, Measured, Round};
use crate::neighbour::Points;
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running};
use crate::wrk::Wrk;
use crate::{Pace, Result, median, progress};

/// As many as the issue of all this was measured with.
const CONNECTIONS: usize = 32;
const MANY: u64 = 1_000_000;
const FIRST: u64 = 100_000;
const STARTS: usize = 5;

/// One kind of check-in, round by round.
pub struct Case {
    pub name: &'static str,
    pub rounds: Vec<Pair>,
    /// Points in InfluxDB, and check-ins that the server has recorded.
    pub points: u64,
    pub recorded: u64,
    /// KiB at most.
    pub peak: u64,
}

/// A round of each.
pub struct Pair {
    pub bare: Round,
    pub server: Round,
    /// The bare listener while InfluxDB stores as many points as it did beside the server.
    pub beside: Option<Round>,
}

impl Case {
    pub fn median(&self, value: impl Fn(&Pair) -> f64) -> f64 {
        median(self.rounds.iter().map(value))
    }
}

/// All cases.
pub fn run(pace: &Pace) -> Result<Vec<Case>> {
    let workloads = [
        common::realistic(),
        common::sixty_versions(),
        common::longhorn(),
    ];
    workloads
        .iter()
        .map(|workload| case(workload, pace))
        .collect()
}

fn case(workload: &Workload, pace: &Pace) -> Result<Case> {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = Measured::server(&scratch, workload, Some(&influx));
    let server = Measured::start(server, true);
    let bare = Bare::start(&scratch, &server)?;
    let wrk = Wrk::new(&scratch, workload, CONNECTIONS, pace.round);
    let points = match workload.name == common::realistic().name {
        true => Some(Points::of(workload, &scratch)?),
        false => None,
    };
    let mut rounds = Vec::new();
    for number in 1..=pace.rounds {
        let (alone, round) = (bare.round(&wrk)?, server.round(&wrk)?);
        let beside = match &points {
            Some(points) => {
                let rate = round.answers.count as f64 / round.answers.seconds;
                Some(points.stored_beside(&influx, rate, || bare.round(&wrk))?)
            }
            None => None,
        };
        progress(&format!(
            "{}, round {number} of {}: {:.1} µs, bare {:.1} µs{}",
            workload.name,
            pace.rounds,
            round.cpu,
            alone.cpu,
            beside.map_or(String::new(), |round| format!(", {:.1} µs", round.cpu))
        ));
        rounds.push(Pair {
            bare: alone,
            server: round,
            beside,
        });
    }
    server.settle();
    Ok(Case {
        name: workload.name,
        rounds,
        points: influx.count(DATABASE, "upgrade_request"),
        recorded: server.metric("check_ins_total{outcome=\"recorded\"}"),
        peak: server.memory().1,
    })
}

/// What a million check-ins leave behind.
pub struct Long {
    pub check_ins: u64,
    /// KiB at most, after the first 100,000 and in the end.
    pub peak_first: u64,
    pub peak: u64,
    /// Write requests that InfluxDB has got, and how many it may get: one a second or for 5000 points,
    /// whichever is more, round by round, since each round ends with what is left.
    pub writes: u64,
    pub writes_allowed: f64,
}

/// A million check-ins with the sample geo database, in parts of the length of a round.
pub fn long(pace: &Pace) -> Result<Long> {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let workload = common::realistic();
    let server = Measured::server(&scratch, &workload, Some(&influx));
    let server = Measured::start(server, true);
    let wrk = Wrk::new(&scratch, &workload, CONNECTIONS, Duration::from_secs(2));
    let many = if pace.is_short() { FIRST + 1 } else { MANY };
    let (mut check_ins, mut peak_first, mut writes_allowed) = (0, 0, 0.0);
    while check_ins < many {
        let start = Instant::now();
        let count = server.round(&wrk)?.answers.count;
        check_ins += count;
        let batches = (count as f64 / 5000.0).ceil();
        writes_allowed += start.elapsed().as_secs_f64().max(batches);
        if check_ins >= FIRST && peak_first == 0 {
            peak_first = server.memory().1;
        }
        progress(&format!(
            "{check_ins} check-ins, {} KiB at most",
            server.memory().1
        ));
    }
    Ok(Long {
        check_ins,
        peak_first,
        peak: server.memory().1,
        writes_allowed,
        writes: server.metric("influxdb_writes_total{outcome=\"stored\"}"),
    })
}

/// The slowest of a few starts, from the command to the log line that says ready, in milliseconds.
pub fn start_to_ready() -> f64 {
    let scratch = Scratch::new();
    let workload = common::sixty_versions();
    let server = Measured::server(&scratch, &workload, None);
    let starts = (0..STARTS).map(|_| {
        let start = Instant::now();
        let running: Running = server.start();
        let took = start.elapsed();
        running.terminate();
        took.as_secs_f64() * 1e3
    });
    starts.fold(0.0, f64::max)
}
