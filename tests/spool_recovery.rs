//! Damaged or changed spools, as a crash, a disk or an operator leaves them. If these tests fail, the server does not
//! start with such a spool, or loses complete records in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use upgrade_responder::spool::{Position, Spool, SpoolError, SpoolOptions};

use crate::support::account::state;
use crate::support::account::{
    Totals, assert_exactly_once, id_of, line, lines_with, rejected, segments, spool, spooled,
    stored_ids, wait_until_stored,
};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
/// A time in 2023, in nanoseconds.
const THEN: i64 = 1_700_000_000_000_000_000;

fn lines(ids: std::ops::Range<i64>) -> String {
    ids.map(|id| line(&format!("id{id}"), THEN + id)).collect()
}

/// Writes a file into the spool.
fn lay(scratch: &Scratch, name: &str, content: impl AsRef<[u8]>) {
    fs::create_dir_all(spool(scratch)).unwrap();
    fs::write(spool(scratch).join(name), content).unwrap();
}

/// The number of lines that recovery finds. It retries while the spool is locked: a process that another test starts at
/// this moment has a copy of the lock until its exec.
fn recovered(dir: &Path) -> u64 {
    let rejected = dir.with_extension("rejected");
    let options = SpoolOptions {
        rejected: &rejected,
        max_size: 1 << 30,
        delivering: true,
        counted: Position::default(),
        oldest: 0,
    };
    let mut lines = None;
    wait_for(SOON, "the lock", || {
        lines = match Spool::open(dir, options) {
            Err(SpoolError::Locked { .. }) => None,
            opened => Some(opened.unwrap().lines),
        };
        lines.is_some()
    });
    lines.unwrap()
}

#[test]
fn a_spool_cut_off_at_any_byte_keeps_every_whole_line() {
    let scratch = Scratch::new();
    let text = lines(0..7);
    let dir = scratch.join("cut");
    for end in 0..=text.len() {
        let cut = &text.as_bytes()[..end];
        let whole = cut.iter().filter(|&&byte| byte == b'\n').count();
        let kept = cut.iter().rposition(|&byte| byte == b'\n');
        let kept = &cut[..kept.map_or(0, |at| at + 1)];
        // Recovery overwrites the torn end with a comment of the same length.
        let mut left = kept.to_vec();
        if kept.len() < cut.len() && whole > 0 {
            left.resize(cut.len() - 1, b'#');
            left.push(b'\n');
        }
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("00000000000000000003-7.lp"), &text).unwrap();
        fs::write(dir.join("00000000000000000004.lp"), cut).unwrap();
        // Twice: the second start must accept the result of the first.
        for _ in 0..2 {
            assert_eq!(recovered(&dir), 7 + whole as u64, "cut at {end}");
        }
        let sealed = dir.join(format!("00000000000000000004-{whole}.lp"));
        assert_eq!(fs::read(sealed).unwrap_or_default(), left, "cut at {end}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn the_server_delivers_a_spool_that_was_cut_off() {
    let text = lines(100..110);
    let third = text.len() / 3;
    for (end, sealed) in [
        (0, true),
        (third, true),
        (third, false),
        (text.len() - 1, false),
    ] {
        let scratch = Scratch::new();
        let influx = Influx::start(&scratch);
        let name = if sealed {
            "00000000000000000002-10.lp"
        } else {
            "00000000000000000002.lp"
        };
        lay(&scratch, "00000000000000000001-5.lp", lines(0..5));
        lay(&scratch, name, &text[..end]);
        let whole = text[..end].lines().count() - usize::from(end > 0);
        let running = Server::new(&scratch)
            .arg("--influxdb-url", influx.url())
            .start();
        wait_until_stored(&influx, 5 + whole, SOON);
        wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
        let ended = running.terminate();
        let totals = Totals::of(&ended.stderr);
        totals.assert_add_up(&scratch);
        assert_eq!(totals.delivered, 5 + whole as u64);
        // The name of a sealed segment has its number of lines; a torn line of an open segment does not count.
        let missing = if sealed { 10 - whole as u64 } else { 0 };
        assert_eq!(totals.dropped, missing, "{}", ended.stderr);
        assert_eq!(influx.count(DATABASE, "upgrade_request"), totals.delivered);
    }
}

#[test]
fn files_other_than_segments_stop_neither_the_start_nor_the_delivery() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    lay(&scratch, "00000000000000000005.lp", lines(0..5));
    lay(&scratch, "00000000000000000004-0.lp", "");
    lay(&scratch, "00000000000000000003.lp", "");
    lay(&scratch, "00000000000000000006-2.lp", b"\0\xff\n\n");
    lay(&scratch, "18446744073709551615.lp", "from another world\n");
    lay(&scratch, "notes.txt", "do not delete");
    fs::write(
        state(&scratch).join("periods"),
        b"\xff\nnonsense\nm x 5\nm 5 -5\n",
    )
    .unwrap();
    let at = |name: &str| spool(&scratch).join(name);
    fs::create_dir(at("00000000000000000007-3.lp")).unwrap();
    fs::create_dir(at("00000000000000000008.lp")).unwrap();
    symlink("/nowhere", at("00000000000000000009.lp")).unwrap();
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let outcome = Load::new(running.addr()).each(5).run();
    wait_until_stored(&influx, 10, SOON);
    wait_for(SOON, "the refusal", || !rejected(&scratch).is_empty());
    let ended = running.terminate();
    let mut expected = outcome.ids();
    expected.extend((0..5).map(|id| format!("id{id}")));
    assert_exactly_once(&expected, &stored_ids(&influx));
    assert!(at("notes.txt").exists() && at("18446744073709551615.lp").exists());
    assert_eq!(
        lines_with(&ended.stderr, "but is not a regular file; ignored"),
        3,
        "{}",
        ended.stderr
    );
    let totals = Totals::of(&ended.stderr);
    assert_eq!((totals.found, totals.waiting), (7, 0), "{totals:?}");
}

#[test]
fn a_segment_that_cannot_be_read_is_kept_aside_and_the_others_are_delivered() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    lay(&scratch, "00000000000000000001-5.lp", lines(0..5));
    lay(&scratch, "00000000000000000002-5.lp", lines(5..10));
    let running = server.start();
    // A bad sector cannot be simulated here; reading a directory fails too.
    let first = spool(&scratch).join("00000000000000000001-5.lp");
    fs::remove_file(&first).unwrap();
    fs::create_dir(&first).unwrap();
    influx.restart();
    wait_until_stored(&influx, 5, SOON);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    let ended = running.terminate();
    let totals = Totals::of(&ended.stderr);
    totals.assert_add_up(&scratch);
    assert_eq!((totals.delivered, totals.dropped), (5, 5));
    assert!(first.with_extension("lp.unreadable").exists());
    assert!(
        ended.stderr.contains("cannot be read to its end"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_segment_that_cannot_be_opened_is_named_and_delivered_once_it_can() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let (name, text) = ("00000000000000000001-5.lp", lines(0..5));
    lay(&scratch, name, &text);
    lay(&scratch, "00000000000000000002-5.lp", lines(5..10));
    let running = server.start();
    // File permissions do not stop root; a socket cannot be opened by anyone.
    let first = spool(&scratch).join(name);
    fs::remove_file(&first).unwrap();
    let socket = UnixListener::bind(&first).unwrap();
    influx.restart();
    let said = format!("{name} cannot be opened, later segments wait: ");
    wait_for(SOON, "the name", || running.log().contains(&said));
    drop(socket);
    lay(&scratch, "new", &text);
    fs::rename(spool(&scratch).join("new"), &first).unwrap();
    wait_until_stored(&influx, 10, SOON);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    let log = running.terminate().stderr;
    let totals = Totals::of(&log);
    totals.assert_add_up(&scratch);
    assert_eq!((totals.delivered, totals.dropped), (10, 0), "{log}");
    assert_eq!(lines_with(&log, &said), 1, "{log}");
}

#[test]
fn lines_added_to_a_sealed_segment_are_delivered_and_counted() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    lay(&scratch, "00000000000000000001-2.lp", lines(0..5));
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    wait_until_stored(&influx, 5, SOON);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    let totals = Totals::of(&running.terminate().stderr);
    totals.assert_add_up(&scratch);
    assert_eq!((totals.found, totals.delivered), (5, 5));
}

#[test]
fn two_spools_copied_into_one_are_delivered_completely() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    lay(&scratch, "00000000000000000001-2.lp", lines(0..2));
    lay(&scratch, "00000000000000000001-3.lp", lines(2..5));
    lay(&scratch, "00000000000000000002-1.lp", lines(5..6));
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    wait_until_stored(&influx, 6, SOON);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    let totals = Totals::of(&running.terminate().stderr);
    totals.assert_add_up(&scratch);
    assert_eq!((totals.found, totals.delivered), (6, 6));
}

#[test]
fn deleted_segments_are_counted_as_lost_at_the_stop() {
    let scratch = Scratch::new();
    // Without delivery the missing files are noticed only at the stop. The segments have 8 KiB.
    let server = Server::new(&scratch).arg("--spool-max-size", "64KiB");
    lay(&scratch, "00000000000000000001-5.lp", lines(0..5));
    let running = server.start();
    Load::new(running.addr()).each(150).run();
    wait_for(SOON, "the spool", || spooled(&scratch).len() == 155);
    for name in segments(&scratch).iter().take(2) {
        fs::remove_file(spool(&scratch).join(name)).unwrap();
    }
    let left = spooled(&scratch).len() as u64;
    assert!((1..150).contains(&left), "{left} lines left");
    let log = running.terminate().stderr;
    let totals = Totals::of(&log);
    totals.assert_add_up(&scratch);
    assert_eq!((totals.waiting, totals.dropped), (left, 155 - left));
    let said = format!("spool files were deleted; {} records lost", 155 - left);
    assert_eq!(lines_with(&log, &said), 1, "{log}");
}

#[test]
fn a_deleted_spool_directory_is_created_again() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch);
    // Segments of 8 KiB, so that there are sealed segments too.
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--spool-max-size", "64KiB");
    let running = server.start();
    let send = |each| Load::new(running.addr()).each(each).run().ids();
    let first = send(150);
    wait_for(SOON, "the spool", || spooled(&scratch).len() == 150);
    fs::remove_dir_all(scratch.join("state")).unwrap();
    let second = send(50);
    wait_for(SOON, "the new spool", || spooled(&scratch).len() == 50);
    let waiting: std::collections::BTreeSet<String> =
        spooled(&scratch).iter().map(|line| id_of(line)).collect();
    assert_eq!(waiting, second);
    // The same with a directory that is moved away.
    fs::rename(spool(&scratch), scratch.join("moved")).unwrap();
    let third = send(50);
    wait_for(SOON, "the new spool", || spooled(&scratch).len() == 50);

    influx.restart();
    wait_until_stored(&influx, 50, SOON);
    let ended = running.terminate();
    let totals = Totals::of(&ended.stderr);
    totals.assert_add_up(&scratch);
    assert_eq!(
        totals.dropped,
        (first.len() + second.len()) as u64,
        "{}",
        ended.stderr
    );
    assert_exactly_once(&third, &stored_ids(&influx));
}
