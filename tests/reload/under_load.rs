//! Reloads under load. If these tests fail, a reload fails requests, mixes old and new answers, loses locations or
//! leaks memory, or many SIGHUPs stop the server.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;

use super::{CHECK_IN, NOTICED, Swapped, Way, answer, config, wait_for_lines};
use crate::support::account;
use crate::support::client::{Address, Connection};
use crate::support::geodb;
use crate::support::load::Load;
use crate::support::process::proc_status;
use crate::support::scratch::Scratch;
use crate::support::server::{Running, Server};
use crate::support::wait_for;

/// Clients that send check-ins without pauses and keep each distinct answer. Any status but 200 fails the test.
struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<(usize, BTreeSet<String>)>>,
}

impl Clients {
    fn start(address: &Address, threads: usize) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (address, stop) = (address.clone(), stop.clone());
            thread::spawn(move || {
                let mut connection = Connection::open(&address).unwrap();
                // A machine that also builds has stalled for 10 s.
                connection.set_limit(Duration::from_secs(60)).unwrap();
                let (mut count, mut answers) = (0, BTreeSet::new());
                while !stop.load(Ordering::Relaxed) {
                    let from = [("X-Forwarded-For", "203.0.113.7")];
                    let answer = connection.post_checkin(CHECK_IN, &from).unwrap();
                    assert_eq!(answer.status, 200);
                    answers.insert(answer.text());
                    count += 1;
                }
                (count, answers)
            })
        };
        let threads = (0..threads).map(client).collect();
        Clients { stop, threads }
    }

    /// Stops the clients; returns the number of answers and the distinct ones.
    fn stop(self) -> (usize, BTreeSet<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut whole = (0, BTreeSet::new());
        for thread in self.threads {
            let (count, answers) = thread.join().unwrap();
            whole.0 += count;
            whole.1.extend(answers);
        }
        whole
    }
}

/// Waits until the server answers with `expected`.
fn wait_for_answer(connection: &mut Connection, expected: &str, why: &str) {
    wait_for(NOTICED, why, || answer(connection) == expected);
}

#[test]
fn two_hundred_reloads_under_load_fail_no_request_and_mix_no_answers() {
    let scratch = Scratch::new();
    let (few, many) = (config(2), config(60));
    let path = scratch.write("response-config.json", &few);
    let server = Server::new(&scratch).arg("--reload-interval", "1s");
    let mut running = server.start();
    let mut connection = running.connect();
    let answers = [&few, &many].map(|config| {
        let config = config.strip_suffix('}').unwrap();
        format!(r#"{config},"requestIntervalInMinutes":60}}"#)
    });
    let clients = Clients::start(running.addr(), 4);
    let mut file = Swapped::new(&path);
    // Plain files first: a plain file that replaces a link would be yet another way.
    for (way, times) in [(Way::InPlace, 67), (Way::Rename, 67), (Way::Symlink, 67)] {
        for n in 0..times {
            let (content, expected) = if n % 2 == 0 {
                (&many, &answers[1])
            } else {
                (&few, &answers[0])
            };
            file.change(way, content.as_bytes());
            // The server must notice the last change of each way without a SIGHUP.
            if n + 1 < times {
                running.signal(Signal::HUP);
            }
            wait_for_answer(&mut connection, expected, &format!("{way:?}, change {n}"));
        }
        if let Way::InPlace | Way::Rename = way {
            file.change(way, few.as_bytes());
            running.signal(Signal::HUP);
            wait_for_answer(&mut connection, &answers[0], "the change back");
        }
    }
    let (count, seen) = clients.stop();
    assert_eq!(seen, BTreeSet::from(answers), "of {count} answers");
    let log = running.terminate().stderr;
    // A slow disk may delay the write after the truncation for seconds; until then the file is empty.
    let errors = log
        .lines()
        .filter(|l| l.contains("ERROR") || l.contains("WARN"));
    for error in errors {
        assert!(
            error.contains("found nothing, expected a JSON object"),
            "{error}"
        );
    }
    let reloads = log.matches("configuration reloaded").count();
    assert!(reloads >= 200, "{reloads} reloads");
    println!("{count} answers during {reloads} reloads");
}

#[test]
fn a_geo_database_overwritten_in_place_under_load_loses_no_location() {
    let scratch = Scratch::new();
    let geodb = geodb::sample(&scratch);
    let databases = [1_700_000_000, 1_710_000_000].map(|at| geodb::variant(&geodb, at, 20 << 20));
    let server = Server::new(&scratch).arg("--reload-interval", "1s");
    let mut running = server.start();
    let clients = Clients::start(running.addr(), 3);
    let mut connection = running.connect();
    for n in 0..10 {
        fs::write(&geodb, &databases[n % 2]).unwrap();
        running.signal(Signal::HUP);
        // Truncated for a while: a memory-mapped file would crash the server.
        let file = fs::OpenOptions::new().write(true).open(&geodb).unwrap();
        file.set_len(4096).unwrap();
        for _ in 0..50 {
            answer(&mut connection);
        }
    }
    fs::write(&geodb, &databases[1]).unwrap();
    let last = "geo database is now \"Sample-City\" of 2024-03-09";
    wait_for_lines(&running, last, 1);
    let (count, _) = clients.stop();
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let spool = fs::read_dir(account::spool(&scratch)).unwrap();
    let paths = spool.map(|entry| entry.unwrap().path());
    let segments = paths.filter(|path| path.extension().is_some_and(|e| e == "lp"));
    let located = |path: PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .filter(|line| line.contains("city=Zürich"))
            .count()
    };
    assert_eq!(segments.map(located).sum::<usize>(), count);
}

#[test]
fn a_hundred_geo_databases_leave_no_memory_behind() {
    let scratch = Scratch::new();
    let geodb = geodb::sample(&scratch);
    const SIZE: usize = 20 << 20;
    let databases = [1_700_000_000, 1_710_000_000].map(|at| {
        let content = geodb::variant(&geodb, at, SIZE);
        scratch.write(&format!("{at}.mmdb"), content)
    });
    let put = |n: usize| {
        let new = scratch.join("new.mmdb");
        fs::hard_link(&databases[n % 2], &new).unwrap();
        fs::rename(&new, &geodb).unwrap();
    };
    put(0);
    let mut running = Server::new(&scratch).start();
    let load = Load::new(running.addr()).threads(2).endless();
    let load = load.pause(Duration::from_millis(1)).start();
    let resident = |running: &Running| proc_status(running.pid(), "VmRSS:") as usize * 1024;
    let at_start = resident(&running);
    for n in 1..=100 {
        put(n);
        running.signal(Signal::HUP);
        wait_for_lines(&running, "geo database is now", n);
    }
    load.stop();
    let mib = |bytes: usize| bytes >> 20;
    let most = at_start + SIZE / 2;
    // The last old database is freed shortly after the log line.
    let what = format!("less than {} MiB", mib(most));
    wait_for(NOTICED, &what, || resident(&running) < most);
    let at_end = mib(resident(&running));
    println!("{} MiB at start, {at_end} MiB after 100", mib(at_start));
    assert_eq!(running.terminate().code, Some(0));
}

#[test]
fn a_storm_of_sighups_is_survived_and_does_not_delay_the_stop() {
    let scratch = Scratch::new();
    let mut running = Server::new(&scratch).start();
    let load = Load::new(running.addr()).threads(2).each(200).start();
    for _ in 0..2000 {
        running.signal(Signal::HUP);
    }
    assert_eq!(load.finish().errors, 0);
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing changed"), "{}", ended.stderr);
}
