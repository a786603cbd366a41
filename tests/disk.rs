//! A spool at its maximum size, and a full disk. If these tests failed, clients would get no answers, records would be
//! lost without a log line, or recording would not resume.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::account::{Totals, compare, id_of, lines_with, spool, spooled, stored_ids};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::mount::Mount;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);

fn size_of(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).unwrap();
    let sizes = files.map(|file| file.unwrap().metadata().map_or(0, |m| m.len()));
    sizes.sum()
}

#[test]
fn over_the_maximum_size_the_oldest_records_are_deleted() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch);
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--spool-max-size", "256KiB");
    let running = server.start();
    let mut acknowledged = Vec::new();
    for _ in 0..10 {
        acknowledged.extend(Load::new(running.addr()).each(500).run().acknowledged);
        let size = size_of(&spool(&scratch));
        assert!(size <= 256 * 1024 + 4096, "{size} bytes");
    }
    influx.restart();
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    let ended = running.terminate();
    let totals = Totals::of(&ended.stderr);
    totals.assert_add_up(&scratch);
    assert!(totals.dropped > 1000, "{totals:?}");
    assert!(totals.delivered > 1000, "{totals:?}");
    let stored = stored_ids(&influx);
    assert_eq!(stored.len() as u64, totals.delivered);
    // The newest records are kept. Some older ones may be kept instead: the segments that the two readers are at, each
    // an eighth of the spool, are not deleted.
    let newest = acknowledged.iter().rev().take(stored.len() / 2);
    let newest = newest.map(|acknowledged| acknowledged.id.clone()).collect();
    assert!(compare(&newest, &stored).lost.is_empty());
    assert_eq!(
        lines_with(&ended.stderr, "restore InfluxDB or raise --spool-max-size"),
        1,
        "{}",
        ended.stderr
    );
}

#[test]
fn on_a_full_disk_records_wait_in_memory_and_none_is_lost() {
    let scratch = Scratch::new();
    let Some(disk) = Mount::new(scratch.join("disk"), "tmpfs", "size=1m") else {
        return;
    };
    let mut influx = Influx::stopped(&scratch);
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--state-dir", &disk.path);
    let running = server.start();
    let full = "cannot write";
    let mut acknowledged = std::collections::BTreeSet::new();
    while !running.log().contains(full) {
        acknowledged.extend(Load::new(running.addr()).threads(2).each(500).run().ids());
        assert!(acknowledged.len() < 100_000, "1 MiB is not full");
    }
    // These come while the disk is full.
    acknowledged.extend(Load::new(running.addr()).threads(2).each(500).run().ids());

    influx.restart();
    // The disk has room again once its records are delivered.
    wait_for(SOON, "the end of the outage", || {
        running.log().contains("takes records again")
    });
    let later = Load::new(running.addr()).each(100).run().ids();
    wait_for(SOON, "recording to resume", || {
        running.log().contains("writing works again after")
    });
    acknowledged.extend(later.clone());
    let stored = || stored_ids(&influx);
    wait_for(SOON, "the later records", || {
        let stored = stored();
        later.iter().all(|id| stored.contains(id))
    });
    let ended = running.terminate();
    let totals = Totals::of(&ended.stderr);
    assert_eq!(totals.waiting, 0, "{totals:?}");
    assert_eq!(totals.dropped, 0, "{totals:?}");
    assert_eq!(totals.accepted, totals.delivered);
    let difference = compare(&acknowledged, &stored());
    assert_eq!(difference.duplicated, 0);
    assert!(difference.lost.is_empty(), "{}", ended.stderr);
    assert_eq!(lines_with(&ended.stderr, full), 1, "{}", ended.stderr);
}

#[test]
fn recording_resumes_by_itself_when_a_full_disk_has_room_again() {
    let scratch = Scratch::new();
    let Some(disk) = Mount::new(scratch.join("disk"), "tmpfs", "size=1m") else {
        return;
    };
    let running = Server::new(&scratch).arg("--state-dir", &disk.path).start();
    let send = || Load::new(running.addr()).each(50).run().ids();
    let on_disk = || {
        let mut files: Vec<PathBuf> = fs::read_dir(disk.path.join("myapp/spool"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "lp"))
            .collect();
        files.sort();
        let text = files.iter().map(|file| fs::read_to_string(file).unwrap());
        text.collect::<String>()
            .lines()
            .map(id_of)
            .collect::<Vec<_>>()
    };
    send();
    // The first records are on the disk before the ballast fills the rest.
    wait_for(SOON, "the first records", || !on_disk().is_empty());
    // The ballast is larger than the disk, so it takes all the room that is left.
    let ballast = disk.path.join("ballast");
    fs::write(&ballast, vec![0; 2 << 20]).unwrap_err();
    while !running.log().contains("cannot write") {
        send();
    }
    fs::remove_file(&ballast).unwrap();
    let later = send();
    wait_for(SOON, "the later records", || {
        let ids = on_disk();
        later.iter().all(|id| ids.contains(id))
    });
    let totals = Totals::of(&running.terminate().stderr);
    assert_eq!(totals.dropped, 0, "{totals:?}");
    assert_eq!(totals.accepted, totals.waiting);
    assert_eq!(on_disk().len() as u64, totals.waiting);
}
