//! What a crash may cost: records that were acknowledged in the last 10 ms before it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::load::Acknowledged;
use super::scratch::Scratch;

/// What a crash may cost.
const UNWRITTEN: Duration = Duration::from_millis(10);
/// No server is ready again that soon after its crash, so what was acknowledged until then was
/// acknowledged before it.
const NOT_YET_BACK: Duration = Duration::from_millis(20);

/// Watches how long the machine lets a thread wait that wants to run, or to append to a file: on a busy
/// one the server's writer waits as long, and its 10 ms with it.
pub struct Stalls {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Stall>>>,
    thread: JoinHandle<()>,
}

/// The thread had to wait.
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

/// Fails if something is lost that was acknowledged more than 10 ms before one of the kills.
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

/// How long a thread had to wait in the 100 ms before a moment. A group of records waits three times:
/// for the first one to be noticed, for the nap that lets others come, and for the write.
fn stalled(stalls: &[Stall], moment: Instant) -> Duration {
    let near = |stall: &&Stall| {
        stall.until + Duration::from_millis(100) > moment && stall.until - stall.late < moment
    };
    let longest = stalls.iter().filter(near).map(|stall| stall.late).max();
    longest.unwrap_or_default() * 3
}
