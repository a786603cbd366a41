//! Segments and side files that a power loss, a bad disk or a person has damaged. If these tests failed, valid records
//! would be lost or counted twice, or delivery would stop at the damage.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::account::{
    Totals, assert_exactly_once, id_of, line, lines_with, rejected, spool, spooled, state,
    stored_ids, wait_until_stored,
};
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{Running, Server, run};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
const PAGE: usize = 4096;

/// Lines with these ids, one microsecond apart, within the last hour.
pub fn lines(ids: std::ops::Range<usize>) -> Vec<String> {
    let start = jiff::Timestamp::now().as_second() / 60 * 60 * 1_000_000_000 - 600_000_000_000;
    let stamp = |id: usize| start + id as i64 * 1000;
    ids.map(|id| line(&format!("id{id}"), stamp(id))).collect()
}

/// Writes a segment into the spool. It is sealed if a number of lines is given.
pub fn lay(scratch: &Scratch, sequence: usize, sealed: Option<&str>, content: &[u8]) {
    let ending = sealed.map(|lines| format!("-{lines}")).unwrap_or_default();
    fs::create_dir_all(spool(scratch)).unwrap();
    let name = format!("{sequence:020}{ending}.lp");
    fs::write(spool(scratch).join(name), content).unwrap();
}

/// Overwrites bytes. Returns the ids of the lines that are still complete.
fn damage(lines: &[String], bytes: &mut [u8], at: usize, with: &[u8]) -> BTreeSet<String> {
    bytes[at..at + with.len()].copy_from_slice(with);
    let (mut ids, mut start) = (BTreeSet::new(), 0);
    for line in lines {
        let end = start + line.len();
        if end <= at || at + with.len() <= start {
            ids.insert(id_of(line));
        }
        start = end;
    }
    ids
}

pub fn serve(scratch: &Scratch, url: &str) -> Running {
    let server = Server::new(scratch).arg("--influxdb-url", url);
    server.arg("--query-period", "1m").start()
}

/// Waits for an empty spool, stops the server, and checks the totals in its log and in the ledger.
pub fn settled(scratch: &Scratch, running: Running, counted: usize) -> (Totals, String) {
    wait_for(SOON, "an empty spool", || spooled(scratch).is_empty());
    let log = running.terminate().stderr;
    let totals = Totals::of(&log);
    totals.assert_add_up(scratch);
    assert_eq!(total(scratch), counted as u64, "counted; {log}");
    (totals, log)
}

/// The number of records in the ledger.
fn total(scratch: &Scratch) -> u64 {
    let folder = scratch.join("state");
    let place = ["--state-dir", folder.to_str().unwrap()];
    let words = ["report", "--settings", "/dev/null", "--format", "json"];
    let ended = run(scratch, &[&words[..], &place].concat());
    if ended.code != Some(0) {
        // The ledger does not exist yet.
        return 0;
    }
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    rows.iter().filter_map(|row| row["total"].as_u64()).sum()
}

#[test]
fn a_zeroed_page_at_64_offsets_costs_only_the_records_that_it_overwrote() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let mut sound = BTreeSet::new();
    for n in 0..64 {
        let lines = lines(n * 100..(n + 1) * 100);
        let mut bytes = lines.concat().into_bytes();
        // The zeros cover several lines, and begin at another byte of a line in each segment.
        sound.extend(damage(&lines, &mut bytes, 1000 + 3 * n, &[0; PAGE]));
        lay(&scratch, n + 1, None, &bytes);
    }
    // A file whose size was written to the disk before its content.
    let last = lines(6400..6410);
    let end = [last.concat().as_bytes(), &[0; PAGE]].concat();
    sound.extend(last.iter().map(|line| id_of(line)));
    lay(&scratch, 65, None, &end);

    let running = serve(&scratch, &influx.url());
    wait_until_stored(&influx, sound.len(), SOON);
    let (totals, log) = settled(&scratch, running, sound.len());
    assert_exactly_once(&sound, &stored_ids(&influx));
    assert_eq!(
        (totals.delivered, totals.rejected),
        (sound.len() as u64, 65),
        "{log}"
    );
    let reasons = rejected(&scratch);
    for n in 1..=65 {
        let name = format!("{n:020}.lp");
        let named = reasons
            .iter()
            .filter(|line| line.contains(&format!("{name}, byte ")));
        assert_eq!(named.count(), 1, "{name}");
        assert_eq!(lines_with(&log, &name), 1, "{log}");
    }
}

#[test]
fn random_bytes_in_open_and_sealed_segments_cost_only_the_records_that_they_overwrote() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let mut sound = BTreeSet::new();
    let mut random = 88_172_645_463_325_252_u64;
    for n in 0..20 {
        let lines = lines(n * 100..(n + 1) * 100);
        let mut bytes = lines.concat().into_bytes();
        let mut noise = Vec::new();
        for _ in 0..50 {
            // Xorshift by Marsaglia, which gives the same numbers in each run.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            noise.extend(random.to_le_bytes());
        }
        sound.extend(damage(&lines, &mut bytes, n * 350, &noise));
        let sealed = (n % 2 == 0).then_some("100");
        lay(&scratch, n + 1, sealed, &bytes);
    }
    let running = serve(&scratch, &influx.url());
    wait_until_stored(&influx, sound.len(), SOON);
    let (totals, log) = settled(&scratch, running, sound.len());
    assert_exactly_once(&sound, &stored_ids(&influx));
    assert_eq!(totals.delivered, sound.len() as u64, "{log}");
    let reasons = rejected(&scratch);
    for n in 1..=20 {
        let name = format!("{n:020}");
        assert!(reasons.iter().any(|line| line.contains(&name)), "{name}");
    }
}

#[test]
fn a_line_of_megabytes_is_rejected_and_the_lines_after_it_are_delivered() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let long = format!(
        "upgrade_request value=1i,x_request_id=\"{}\" 1\n",
        "x".repeat(5 << 20)
    );
    let nuls = [&[0; 3 << 20][..], b"\n"].concat();
    let mut sound = BTreeSet::new();
    for (n, (middle, sealed)) in [
        (long.as_bytes(), None),
        (long.as_bytes(), Some("11")),
        (&nuls, None),
        (&nuls, Some("11")),
    ]
    .into_iter()
    .enumerate()
    {
        let lines = lines(n * 10..n * 10 + 10);
        sound.extend(lines.iter().map(|line| id_of(line)));
        let (first, second) = (lines[..5].concat(), lines[5..].concat());
        let content = [first.as_bytes(), middle, second.as_bytes()].concat();
        lay(&scratch, n + 1, sealed, &content);
    }
    let running = serve(&scratch, &influx.url());
    wait_until_stored(&influx, 40, SOON);
    let (totals, log) = settled(&scratch, running, 40);
    assert_exactly_once(&sound, &stored_ids(&influx));
    assert_eq!(
        (totals.delivered, totals.rejected, totals.dropped),
        (40, 4, 0),
        "{log}"
    );
}

#[test]
fn a_wrong_number_of_lines_in_a_name_loses_no_record() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let counts = ["0", "3", "10", "4294967296", "18446744073709551615"];
    for (n, count) in counts.iter().enumerate() {
        let text = lines(n * 10..n * 10 + 10).concat();
        lay(&scratch, n + 1, Some(count), text.as_bytes());
    }
    let sound: BTreeSet<String> = (0..50).map(|id| format!("id{id}")).collect();
    let running = serve(&scratch, &influx.url());
    wait_until_stored(&influx, 50, SOON);
    let (totals, log) = settled(&scratch, running, 50);
    assert_exactly_once(&sound, &stored_ids(&influx));
    assert_eq!(
        (totals.delivered, totals.rejected, totals.dropped),
        (50, 0, 0),
        "{log}"
    );
    assert_eq!(
        lines_with(&log, "the number of lines in the name is too large"),
        2,
        "{log}"
    );
}

#[test]
fn a_control_byte_in_a_sealed_segment_is_rejected_with_its_position() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let good = lines(0..2);
    let text = format!("{}x\u{1}\n{}", good[0], good[1]);
    lay(&scratch, 1, Some("3"), text.as_bytes());
    let running = serve(&scratch, &influx.url());
    wait_until_stored(&influx, 2, SOON);
    let (totals, log) = settled(&scratch, running, 2);
    assert_eq!((totals.delivered, totals.rejected), (2, 1), "{log}");
    let kept = rejected(&scratch);
    let place = format!("segment {:020}, byte {}", 1, good[0].len());
    assert!(kept[0].contains(&place), "{kept:?}");
    assert_eq!(kept[1], "x\u{1}");
}

#[test]
fn without_a_database_damaged_lines_are_rejected_once_and_the_others_counted() {
    let scratch = Scratch::new();
    let lines = lines(0..20);
    let mut bytes = lines.concat().into_bytes();
    let sound = damage(&lines, &mut bytes, 300, &[0; 500]);
    lay(&scratch, 1, None, &bytes);
    for _ in 0..2 {
        let running = Server::new(&scratch).arg("--query-period", "1m").start();
        wait_for(SOON, "the totals", || total(&scratch) == sound.len() as u64);
        let log = running.terminate().stderr;
        assert_eq!(Totals::of(&log).waiting, sound.len() as u64, "{log}");
    }
    assert_eq!(
        rejected(&scratch)
            .iter()
            .filter(|line| line.starts_with("# "))
            .count(),
        1
    );
}

#[test]
fn damaged_side_files_are_logged_with_the_consequence() {
    let noise: Vec<u8> = (0..2000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let losses = [
        ("known", "count as new"),
        ("instance", "created a new name"),
        ("spool/stamp", "the time of the last record"),
        ("spool/delivered", "sent again"),
    ];
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    for (file, _) in losses {
        let path = state(&scratch).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &noise).unwrap();
    }
    lay(&scratch, 1, Some("2"), lines(0..2).concat().as_bytes());
    let log = server.start().terminate().stderr;
    for (file, lost) in losses {
        let path = state(&scratch).join(file).display().to_string();
        let damaged = log
            .lines()
            .filter(|line| line.contains(&format!("{path}: damaged")));
        let warned: Vec<_> = damaged.filter(|line| line.contains("WARN")).collect();
        assert!(
            warned.len() == 1 && warned[0].contains(lost),
            "{file}: {log}"
        );
    }
    assert_eq!(Totals::of(&log).waiting, 2, "{log}");
    // `known` and `instance` were recreated. The spool is not empty, so its two files are still damaged.
    let log = server.start().terminate().stderr;
    assert_eq!(lines_with(&log, ": damaged"), 2, "{log}");
}
