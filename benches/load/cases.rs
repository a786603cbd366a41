//! The cases of the table. The server, with InfluxDB, and the bare listener are measured in turn, so that both see the
//! same state of the machine.

use std::time::{Duration, Instant};

use crate::common::{self, Workload};
use crate::measured::{Bare, Measured, Round};
use crate::neighbour::Points;
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running};
use crate::wrk::Wrk;
use crate::{Pace, Result, median, progress};

const CONNECTIONS: usize = 32;
const MANY: u64 = 1_000_000;
const FIRST: u64 = 100_000;
const STARTS: usize = 5;

/// The results of one kind of check-in.
pub struct Case {
    pub name: &'static str,
    pub rounds: Vec<Pair>,
    /// Points in InfluxDB; all recorded check-ins must be there.
    pub points: u64,
    /// Check-ins that the server has recorded.
    pub recorded: u64,
    /// Peak memory of the server in KiB.
    pub peak: u64,
}

/// A round of the bare listener and one of the server.
pub struct Pair {
    pub bare: Round,
    pub server: Round,
    /// A round of the bare listener while InfluxDB stores as many points as in the server's round.
    pub beside: Option<Round>,
}

impl Case {
    pub fn median(&self, value: impl Fn(&Pair) -> f64) -> f64 {
        median(self.rounds.iter().map(value))
    }
}

/// Measures all cases.
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

/// Memory and requests to InfluxDB after a million check-ins.
pub struct Long {
    pub check_ins: u64,
    /// Peak memory after the first 100,000 check-ins, in KiB.
    pub peak_first: u64,
    /// Peak memory after all check-ins, in KiB.
    pub peak: u64,
    /// Write requests to InfluxDB.
    pub writes: u64,
    /// Limit on the write requests: one per second or one per 5000 points, whichever is more. It is the sum over the
    /// rounds, because each round ends with a partial batch.
    pub writes_allowed: f64,
}

/// Sends a million check-ins with the sample geo database, in rounds of two seconds.
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
            "{check_ins} check-ins, peak memory {} KiB",
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

/// The time from the command to the log line "ready", in milliseconds: the slowest of a few starts.
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
