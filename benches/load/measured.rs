//! The processes that are measured, with their CPU time, their memory and the server's counters.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::common::{self, Workload};
use crate::support::client::{Address, Connection};
use crate::support::influx::Influx;
use crate::support::metrics;
use crate::support::process::{Process, proc_status};
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{Running, Server};
use crate::support::wait_for;
use crate::{Result, wrk::Answers, wrk::Wrk};

/// Time for all records to be stored in InfluxDB.
const DELIVERED: Duration = Duration::from_secs(120);

/// The result of a round of check-ins.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub answers: Answers,
    /// CPU time of the process per answer in microseconds, including the delivery after the last answer.
    pub cpu: f64,
}

/// A running server with its metrics.
pub struct Measured {
    running: Running,
    metrics: Address,
    delivers: bool,
}

impl Measured {
    /// The command line of a server that is ready for this workload.
    pub fn server(scratch: &Scratch, workload: &Workload, influx: Option<&Influx>) -> Server {
        scratch.write(
            "response-config.json",
            common::response_config(workload.versions),
        );
        let mut server = Server::new(scratch);
        if let Some(schema) = &workload.schema {
            server = server.arg("--request-schema", scratch.write("schema.json", schema));
        }
        match influx {
            Some(influx) => server.arg("--influxdb-url", influx.url()),
            None => server,
        }
    }

    pub fn start(server: Server, delivers: bool) -> Measured {
        let metrics = Address::local(free_port());
        let running = server.arg("--metrics-listen", metrics.to_string()).start();
        Measured {
            running,
            metrics,
            delivers,
        }
    }

    pub fn running(&mut self) -> &mut Running {
        &mut self.running
    }

    pub fn address(&self) -> &Address {
        self.running.addr()
    }

    /// Sends check-ins and, with an InfluxDB, waits until all of them are stored.
    pub fn round(&self, wrk: &Wrk) -> Result<Round> {
        round(self.running.pid(), wrk, self.address(), || self.settle())
    }

    /// Waits until all records are delivered, if the server has an InfluxDB.
    pub fn settle(&self) {
        if self.delivers {
            wait_for(DELIVERED, "all records to be stored", || {
                self.metric("records_waiting") == 0
            });
        }
    }

    /// The value of a metric; `name` includes the labels.
    pub fn metric(&self, name: &str) -> u64 {
        metrics::value(&self.metrics, name)
    }

    /// Current and peak resident memory in KiB.
    pub fn memory(&self) -> (u64, u64) {
        let pid = self.running.pid();
        (proc_status(pid, "VmRSS"), proc_status(pid, "VmHWM"))
    }
}

/// The bare listener as a separate process.
pub struct Bare {
    process: Process,
    address: Address,
}

impl Bare {
    /// Starts a listener whose answers are as long as those of the server.
    pub fn start(scratch: &Scratch, like: &Measured) -> Result<Bare> {
        let mut connection = Connection::open(like.address())?;
        let answer = connection.post_checkin("{}", &[])?;
        let address = Address::local(free_port());
        let mut command = Command::new(std::env::current_exe()?);
        let size = answer.body.len().to_string();
        command.args(["bare-listener", &address.to_string(), &size]);
        let mut process = Process::start(scratch.path(), command);
        process.wait_until_ready(Duration::from_secs(20), |_| {
            Connection::open(&address).is_ok()
        });
        Ok(Bare { process, address })
    }

    pub fn round(&self, wrk: &Wrk) -> Result<Round> {
        round(self.process.pid(), wrk, &self.address, || {})
    }
}

fn round(pid: u32, wrk: &Wrk, address: &Address, settle: impl Fn()) -> Result<Round> {
    let before = cpu(pid)?;
    let answers = wrk.send(address)?;
    settle();
    let cpu = (cpu(pid)? - before).as_secs_f64() * 1e6 / answers.count as f64;
    Ok(Round { answers, cpu })
}

/// User and system time of a process with all its threads, including threads that have ended.
fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may contain spaces.
    let (_, fields) = stat.rsplit_once(')').ok_or("no /proc/PID/stat")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = 0.0;
    for _ in ["utime", "stime"] {
        ticks += fields
            .next()
            .ok_or("a short /proc/PID/stat")?
            .parse::<f64>()?;
    }
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Ok(Duration::from_secs_f64(ticks / per_second))
}
