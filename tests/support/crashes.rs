//! The limit of what a crash may lose: records acknowledged in the last 10 ms before it. It must not excuse any other
//! loss.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::load::Acknowledged;
use super::scratch::Scratch;

/// The time before a crash whose records may be lost.
const UNWRITTEN: Duration = Duration::from_millis(10);
/// No server is ready again so soon after a crash, so a record acknowledged until then was acknowledged before the
/// crash.
const NOT_YET_BACK: Duration = Duration::from_millis(20);

/// Measures how long a thread has to wait for the processor or the disk. On a busy machine the server's writer waits as
/// long, which adds to the 10 ms.
pub struct Stalls {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Stall>>>,
    thread: JoinHandle<()>,
}

/// One time that the thread had to wait, and how long.
pub struct Stall {
    until: Instant,
    late: Duration,
}

impl Stalls {
    pub fn watch(scratch: &Scratch) -> Stalls {
        let path = scratch.join("stalls");
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stopped, seeing) = (stop.clone(), seen.clone());
        let thread = thread::spawn(move || {
            let nap = Duration::from_millis(1);
            while !stopped.load(Ordering::Relaxed) {
                let start = Instant::now();
                thread::sleep(nap);
                let mut file = File::options().create(true).append(true).open(&path);
                file.as_mut().unwrap().write_all(b"late\n").unwrap();
                let until = Instant::now();
                let late = (until - start).saturating_sub(nap);
                if late > nap {
                    seeing.lock().unwrap().push(Stall { until, late });
                }
            }
        });
        Stalls { stop, seen, thread }
    }

    pub fn finish(self) -> Vec<Stall> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Fails if a lost record was acknowledged more than 10 ms (plus the stalls of the machine) before a kill.
#[track_caller]
pub fn assert_lost_only_to(
    kills: &[Instant],
    stalls: &[Stall],
    acknowledged: &[Acknowledged],
    lost: &BTreeSet<String>,
) {
    for lost in acknowledged.iter().filter(|a| lost.contains(&a.id)) {
        let kill = kills.iter().find(|kill| **kill + NOT_YET_BACK >= lost.at);
        let kill = *kill.expect("lost although no crash followed");
        let age = kill.saturating_duration_since(lost.at);
        let stalled = stalled(stalls, kill);
        println!("lost: acknowledged {age:?} before a crash; the machine stalled for {stalled:?}");
        assert!(
            age <= UNWRITTEN + stalled,
            "acknowledged {age:?} before a crash and lost"
        );
    }
}

/// Three times the longest stall in the 100 ms before a moment. A group of records waits three times: until the writer
/// wakes up, while it pauses to collect more records, and for the write.
fn stalled(stalls: &[Stall], moment: Instant) -> Duration {
    let near = |stall: &&Stall| {
        stall.until + Duration::from_millis(100) > moment && stall.until - stall.late < moment
    };
    let longest = stalls.iter().filter(near).map(|stall| stall.late).max();
    longest.unwrap_or_default() * 3
}
