//! Memory and disk space that known tag values take. If it were not limited, clients that invent values could make the
//! server reach its memory limit and stop.

use std::fs;
use std::thread;

use super::{DELIVERED, FAMILY, send, warnings, with_tags};
use crate::support::account::state;
use crate::support::process::proc_status;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::tried::tried;
use crate::support::{spool, wait_for};

#[test]
fn million_distinct_values_take_little_memory() {
    const THREADS: usize = 4;
    const TAGS: usize = 64;
    const EACH: usize = 1_000_000 / TAGS / THREADS;
    let scratch = Scratch::new();
    let running = Server::new(&scratch).without("--geodb").start();
    send(&running, ["{}".to_string()]);
    let before = proc_status(running.pid(), "VmRSS");
    let clients = (0..THREADS).map(|thread| {
        let mut connection = running.connect();
        thread::spawn(move || {
            for n in 0..EACH {
                let pairs: Vec<String> = (0..TAGS)
                    .map(|tag| format!(r#""tag{tag}":"{thread}-{n}-{tag}""#))
                    .collect();
                let body = format!(
                    r#"{{"appVersion":"{thread}-{n}","extraTagInfo":{{{}}}}}"#,
                    pairs.join(",")
                );
                assert_eq!(connection.post_checkin(&body, &[]).unwrap().status, 200);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.join().unwrap();
    }
    let peak = proc_status(running.pid(), "VmHWM");
    running.terminate();
    let known = fs::metadata(state(&scratch).join("known")).unwrap().len();
    // The defaults allow 1000 values of each of 65 tags, and 100,000 tag sets.
    assert!(
        peak < before + 96 * 1024,
        "{before} KiB before, {peak} KiB at most"
    );
    assert!(known < 8 << 20, "{known} bytes of known values");
    tried(
        FAMILY,
        "1,000,000 distinct values of 64 tags",
        format!(
            "memory {} MiB before, {} MiB at most; {} KiB of known values on disk",
            before / 1024,
            peak / 1024,
            known / 1024
        ),
    );
}

#[test]
fn long_values_of_commas_take_little_memory() {
    const TAGS: usize = 50;
    const PART: usize = 400;
    let scratch = Scratch::new();
    let server = Server::new(&scratch).without("--geodb");
    let running = server.start();
    send(&running, ["{}".to_string()]);
    let before = proc_status(running.pid(), "VmRSS");
    // 1000 values of 200 bytes for each of 200 keys. A comma takes two bytes in line protocol.
    let commas = ",".repeat(190);
    let body = |n: usize| {
        let (value, group) = (n / 4, n % 4);
        let pairs: Vec<String> = (0..TAGS)
            .map(|tag| format!(r#""tag{group}x{tag}":"{value}-{tag}{commas}""#))
            .collect();
        with_tags(&pairs.join(","))
    };
    // In parts, so that the records that wait for the writer take little memory.
    for start in (0..4000).step_by(PART) {
        send(&running, (start..start + PART).map(body));
        wait_for(DELIVERED, "the records to be in the spool", || {
            spool::lines(&scratch).len() == 1 + start + PART
        });
    }
    let peak = proc_status(running.pid(), "VmHWM");
    let log = running.terminate().stderr;
    assert_eq!(
        warnings(&log, "the memory that --max-series allows"),
        1,
        "{log}"
    );
    let known = fs::metadata(state(&scratch).join("known")).unwrap().len();
    let running = server.start();
    let after_restart = proc_status(running.pid(), "VmHWM");
    running.terminate();
    tried(
        FAMILY,
        "1000 values of 200 commas for each of 200 tags",
        format!(
            "memory {} MiB before, {} MiB at most, {} MiB after a restart; {} KiB of known values on disk",
            before / 1024,
            peak / 1024,
            after_restart / 1024,
            known / 1024
        ),
    );
    // 32 MB of values, and the buffers for the records.
    assert!(
        peak < before + 64 * 1024,
        "{before} KiB before, {peak} KiB at most"
    );
    assert!(
        after_restart < before + 48 * 1024,
        "{after_restart} KiB after a restart"
    );
    assert!(
        known < 32_000_000 + (4 << 20),
        "{known} bytes of known values"
    );
}
