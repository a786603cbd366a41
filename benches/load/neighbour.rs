//! The load of a busy InfluxDB on a bare listener, to separate InfluxDB's effect on latencies from the server's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use upgrade_responder::checkin::request;
use upgrade_responder::geo::{GeoDb, Location, Lookup};
use upgrade_responder::line::{Record, encode as line};
use upgrade_responder::spool::clock::now_ns;

use crate::Result;
use crate::common::{ADDRESSES, Workload};
use crate::support::geodb;
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;

const DATABASE: &str = "neighbour";
/// Points in a request, as many as the server sends by default.
const BATCH: usize = 5000;

/// The points of a workload, as the server stores them.
pub struct Points(Vec<Record>);

impl Points {
    pub fn of(workload: &Workload, scratch: &Scratch) -> Result<Points> {
        let geodb = GeoDb::open(&geodb::sample(scratch)).map_err(|error| error.to_string())?;
        let record = |(n, body): (usize, &String)| {
            let check_in = request::parse(body.as_bytes(), None).map_err(|e| e.to_string())?;
            let location = match geodb.locate(ADDRESSES[n % ADDRESSES.len()].parse()?) {
                Lookup::Found(location) => location,
                _ => Location::default(),
            };
            let id = format!("{n:032x}");
            Ok(Record::new(
                &check_in.parts(location, Some(&id)),
                &mut Vec::new(),
            ))
        };
        let bodies = workload.bodies.iter().enumerate();
        bodies.map(record).collect::<Result<_>>().map(Points)
    }

    /// Calls `doing` while InfluxDB stores `per_second` points per second.
    pub fn stored_beside<T>(
        &self,
        influx: &Influx,
        per_second: f64,
        doing: impl FnOnce() -> T,
    ) -> T {
        influx.query("", &format!("CREATE DATABASE {DATABASE}"));
        let done = AtomicBool::new(false);
        let pace = Duration::from_secs_f64(BATCH as f64 / per_second);
        thread::scope(|scope| {
            scope.spawn(|| self.store(influx, pace, &done));
            let result = doing();
            done.store(true, Ordering::Relaxed);
            result
        })
    }

    fn store(&self, influx: &Influx, pace: Duration, done: &AtomicBool) {
        let (mut lines, mut time) = (Vec::new(), now_ns());
        let start = Instant::now();
        for batch in 1.. {
            if done.load(Ordering::Relaxed) {
                return;
            }
            lines.clear();
            for record in self.0.iter().cycle().take(BATCH) {
                lines.extend_from_slice(record.point());
                time += 1;
                line::finish(time, &mut lines);
            }
            let stored = influx.write(DATABASE, &String::from_utf8_lossy(&lines));
            assert_eq!(stored.0, 204, "{}", stored.1);
            thread::sleep((pace * batch).saturating_sub(start.elapsed()));
        }
    }
}
