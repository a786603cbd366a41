//! Files that are written during a reload, or were written just before. If these tests fail, clients get half a
//! configuration, an error is logged for a normal upload, or a quick second edit is missed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{NOTICED, Swapped, Way, answer, config, lines_with, wait_for_lines};
use crate::support::client::Address;
use crate::support::geodb;
use crate::support::metrics;
use crate::support::mount::Mount;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::Server;
use crate::support::{skip, wait_for};

/// Writes small parts until `finish`, and then the rest. Returns the longest time without a write.
fn write_slowly(file: &mut fs::File, whole: &[u8], finish: &AtomicBool) -> Duration {
    let mut rest = whole.chunks(1024);
    let (mut last, mut pause) = (Instant::now(), Duration::ZERO);
    while !finish.load(Ordering::Relaxed) {
        file.write_all(rest.next().unwrap()).unwrap();
        thread::sleep(Duration::from_millis(150));
        pause = pause.max(last.elapsed());
        last = Instant::now();
    }
    file.write_all(&rest.collect::<Vec<_>>().concat()).unwrap();
    pause
}

#[test]
fn a_half_written_file_is_checked_again_and_is_no_error() {
    let scratch = Scratch::new();
    let path = scratch.write("response-config.json", config(2));
    for interval in ["1s", "0"] {
        fs::write(&path, config(2)).unwrap();
        let state = scratch.join(&format!("state-{interval}"));
        let server = Server::new(&scratch).arg("--state-dir", state);
        let mut running = server.arg("--reload-interval", interval).start();
        let mut connection = running.connect();
        let before = answer(&mut connection);
        let whole = config(3);
        let mut pause = Duration::ZERO;
        for part in 0..40 {
            let start = Instant::now();
            fs::write(&path, &whole[..whole.len() * part / 40]).unwrap();
            running.signal(Signal::HUP);
            assert_eq!(answer(&mut connection), before);
            pause = pause.max(start.elapsed());
        }
        fs::write(&path, &whole).unwrap();
        // There is no further SIGHUP.
        wait_for_lines(&running, "versions added: \"v1.2.0\"", 1);
        assert_ne!(answer(&mut connection), before);
        let log = running.terminate().stderr;
        // If the machine stalled during the upload, the error is correct.
        assert!(
            pause > Duration::from_secs(1) || !log.contains("ERROR"),
            "{log}"
        );
    }
}

#[test]
fn a_download_of_the_geo_database_does_not_delay_a_release() {
    let scratch = Scratch::new();
    let geodb = geodb::sample(&scratch);
    let path = scratch.write("response-config.json", config(2));
    let whole = geodb::variant(&geodb, 1_700_000_000, 1 << 20);
    let metrics = Address::local(free_port());
    let server = Server::new(&scratch).arg("--reload-interval", "1s");
    let server = server.arg("--metrics-listen", metrics.to_string());
    let mut running = server.start();
    let mut connection = running.connect();

    // As `curl -o` over a slow line does: the file is emptied and then grows.
    let fetched = Arc::new(AtomicBool::new(false));
    let fetching = {
        let (fetched, geodb, whole) = (fetched.clone(), geodb.clone(), whole.clone());
        thread::spawn(move || {
            let mut file = fs::File::create(&geodb).unwrap();
            write_slowly(&mut file, &whole, &fetched)
        })
    };
    let still = "--geodb ".to_string() + geodb.to_str().unwrap() + " is still being written";
    wait_for(NOTICED, "the fetch to begin", || {
        fs::metadata(&geodb).unwrap().len() < whole.len() as u64
    });
    running.signal(Signal::HUP);
    wait_for_lines(&running, &still, 1);
    // A release, first without and then with a SIGHUP.
    let mut file = Swapped::new(&path);
    file.change(Way::Rename, config(3).as_bytes());
    wait_for_lines(&running, "reloaded (files changed): versions added", 1);
    assert!(answer(&mut connection).contains("v1.2.0"));
    file.change(Way::Rename, config(4).as_bytes());
    running.signal(Signal::HUP);
    wait_for_lines(&running, "reloaded (SIGHUP): versions added", 1);
    wait_for_lines(&running, &still, 2);
    assert!(answer(&mut connection).contains("v1.3.0"));
    assert!(!running.log().contains("geo database is now"));

    let outdated = || metrics::value(&metrics, "config_outdated");
    let long = "--geodb ".to_string() + geodb.to_str().unwrap() + " has been changing for 10 s";
    wait_for_lines(&running, &long, 1);
    wait_for(NOTICED, "outdated", || outdated() == 1);
    fetched.store(true, Ordering::Relaxed);
    let pause = fetching.join().unwrap();
    let taken = "reloaded (files changed): geo database is now \"Sample-City\" of 2023-11-14";
    wait_for_lines(&running, taken, 1);
    wait_for(NOTICED, "up to date", || outdated() == 0);
    let log = running.terminate().stderr;
    // If the machine stalled during the upload, the error is correct.
    if pause < Duration::from_secs(1) {
        assert_eq!(log.matches("WARN").count(), 1, "{log}");
        assert!(!log.contains("ERROR"), "{log}");
    }
}

#[test]
fn a_geo_database_overwritten_in_place_is_loaded_only_when_complete() {
    let scratch = Scratch::new();
    let geodb = geodb::sample(&scratch);
    let [old, new] = [1_700_000_000, 1_710_000_000].map(|at| geodb::variant(&geodb, at, 1 << 20));
    fs::write(&geodb, &old).unwrap();
    let mut running = Server::new(&scratch).arg("--reload-interval", "0").start();

    // As `rsync --inplace` does, from the beginning to the end: until then the file has the metadata of the old
    // database.
    let asked = Arc::new(AtomicBool::new(false));
    let writing = {
        let asked = asked.clone();
        let mut file = fs::OpenOptions::new().write(true).open(&geodb).unwrap();
        thread::spawn(move || write_slowly(&mut file, &new, &asked))
    };
    wait_for(
        NOTICED,
        "the log to say three times that the file is being written",
        || {
            running.signal(Signal::HUP);
            lines_with(&running, "sample.mmdb is still being written") >= 3
        },
    );
    asked.store(true, Ordering::Relaxed);
    let pause = writing.join().unwrap();
    let whole = "geo database is now \"Sample-City\" of 2024-03-09";
    wait_for_lines(&running, whole, 1);
    let log = running.terminate().stderr;
    let taken = log.matches("geo database is now").count();
    assert!(pause > Duration::from_millis(500) || taken == 1, "{log}");
}

#[test]
fn a_response_config_that_keeps_changing_is_logged_and_loaded_on_sighup() {
    let scratch = Scratch::new();
    let path = scratch.write("response-config.json", config(2));
    let mut running = Server::new(&scratch).arg("--reload-interval", "1s").start();
    let start = Instant::now();
    while lines_with(&running, "response-config.json has been changing for 10 s") == 0 {
        assert!(start.elapsed() < NOTICED, "{}", running.log());
        fs::write(scratch.join("new"), config(3)).unwrap();
        fs::rename(scratch.join("new"), &path).unwrap();
        thread::sleep(Duration::from_millis(200));
    }
    running.signal(Signal::HUP);
    wait_for_lines(&running, "reloaded (SIGHUP)", 1);
    assert!(answer(&mut running.connect()).contains("v1.2.0"));
    assert_eq!(lines_with(&running, "WARN"), 1, "{}", running.log());
}

#[test]
fn an_edit_with_the_same_time_and_length_is_noticed() {
    let scratch = Scratch::new();
    // The clock of ramfs ticks with the kernel's timer, every few milliseconds.
    let Some(coarse) = Mount::new(scratch.join("coarse"), "ramfs", "mode=755") else {
        return;
    };
    let path = coarse.path.join("response-config.json");
    let named = |n: usize| config(1).replace("v1.0.0", &format!("v1.{n:04}.0"));
    fs::write(&path, named(0)).unwrap();
    let server = Server::new(&scratch).arg("--upgrade-response-config", &path);
    let mut running = server.arg("--reload-interval", "0").start();
    let mut connection = running.connect();
    let looks = || {
        let file = fs::metadata(&path).unwrap();
        (file.ctime(), file.ctime_nsec(), file.len())
    };
    // Repeat until the server has loaded the first edit and the second comes within the same tick.
    for n in (1..2000).step_by(2) {
        fs::write(&path, named(n)).unwrap();
        running.signal(Signal::HUP);
        let start = Instant::now();
        let name = format!("v1.{n:04}.0");
        while !answer(&mut connection).contains(&name) {
            assert!(start.elapsed() < NOTICED, "{}", running.log());
        }
        let before = looks();
        fs::write(&path, named(n + 1)).unwrap();
        if looks() == before {
            let name = format!("v1.{:04}.0", n + 1);
            wait_for(NOTICED, &name, || answer(&mut connection).contains(&name));
            let log = running.terminate().stderr;
            assert!(!log.contains("(files changed): nothing changed"), "{log}");
            return;
        }
    }
    skip::say("the server never loads within a tick of the file system's clock");
}
