//! Random faults for minutes: run `make soak` after a change of spool, delivery or totals. If it fails, a combination
//! of crashes and outages loses or duplicates records. SOAK_SEED repeats the printed faults; SOAK_SECONDS sets the
//! time.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::account::{Totals, compare, spooled, stored_ids};
use crate::support::crashes::{Stalls, assert_lost_only_to};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::wait_for;

/// The time limit for delivery: the sender may wait a minute before an attempt, and then has many records to deliver.
const SETTLED: Duration = Duration::from_secs(300);

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    match text.is_empty() {
        true => default,
        false => text
            .parse()
            .unwrap_or_else(|e| panic!("{name}={text:?}: {e}")),
    }
}

/// Marsaglia's xorshift64, which gives the same numbers for a seed on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Up,
    Paused,
    Down,
}

#[test]
#[ignore = "takes 10 minutes: make soak"]
fn random_faults_lose_and_double_nothing() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = setting("SOAK_SEED", clock.as_secs()).max(1);
    let time = Duration::from_secs(setting("SOAK_SECONDS", 600));
    println!("SOAK_SEED={seed} SOAK_SECONDS={}", time.as_secs());
    let mut random = Random(seed);

    let scratch = Scratch::new();
    let mut influx = Influx::start(&scratch);
    let mut state = State::Up;
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let mut running = server.start();
    let load = Load::new(running.addr()).threads(4).endless().tolerant();
    let load = load.pause(Duration::from_millis(10)).start();
    let stalls = Stalls::watch(&scratch);
    let mut kills = Vec::new();
    let (mut stops, mut outages, mut hangs) = (0, 0, 0);

    let start = Instant::now();
    while start.elapsed() < time {
        thread::sleep(Duration::from_millis(50 + random.below(3000)));
        match random.below(8) {
            0 | 1 => {
                kills.push(Instant::now());
                running.kill();
                running = server.start();
            }
            2 => {
                let ended = running.terminate();
                assert_eq!(ended.code, Some(0), "{}", ended.stderr);
                Totals::of(&ended.stderr).assert_add_up(&scratch);
                stops += 1;
                running = server.start();
            }
            3 if state == State::Up => {
                influx.pause();
                hangs += 1;
                state = State::Paused;
            }
            4 if state != State::Down => {
                influx.kill();
                outages += 1;
                state = State::Down;
            }
            _ if state == State::Paused => {
                influx.resume();
                state = State::Up;
            }
            _ if state == State::Down => {
                influx.restart();
                state = State::Up;
            }
            _ => {}
        }
    }
    let outcome = load.stop();
    let stalls = stalls.finish();
    match state {
        State::Up => {}
        State::Paused => influx.resume(),
        State::Down => influx.restart(),
    }
    wait_for(SETTLED, "an empty spool", || spooled(&scratch).is_empty());
    let ended = running.terminate();
    Totals::of(&ended.stderr).assert_add_up(&scratch);

    println!(
        "{} SIGKILLs, {stops} SIGTERMs, InfluxDB {outages} times killed and {hangs} times stopped",
        kills.len()
    );
    println!("answers: p99 {:?}, max {:?}", outcome.p99(), outcome.max());
    let difference = compare(&outcome.ids(), &stored_ids(&influx));
    assert_eq!(difference.duplicated, 0);
    assert_lost_only_to(&kills, &stalls, &outcome.acknowledged, &difference.lost);
}
