//! Compares the ledger with a simple recount: over commits, after reopening, by day, and with a damaged file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::report::{Every, Part, Query, Report};
use super::{Counts, Ledger, LedgerReader};
use crate::spool::Position;
use crate::units::duration::QueryPeriod;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// The beginning of a day in 2027.
const START: i64 = 1_800_057_600;
const KEEP: Duration = Duration::from_secs(92 * 86_400);

/// A temporary folder, deleted when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ledger-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("totals.db")
    }

    fn open(&self) -> Ledger {
        let period = QueryPeriod::parse("1h").unwrap();
        Ledger::open(&self.ledger(), period, KEEP, START).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Clone, Debug)]
struct Record {
    hour: i64,
    version: u8,
    country: Option<u8>,
    city: u8,
    arch: u8,
    nodes: Option<u32>,
    backup: Option<bool>,
}

impl Record {
    /// Line of the record, with sorted tags and with characters that line protocol escapes.
    fn line(&self, stamp: i64) -> String {
        let mut line = format!("upgrade_request,app_version=v1.{}\\ rc", self.version);
        if let Some(country) = self.country {
            line += &format!(",city=Town\\,{},country=Land\\ {country}", self.city);
            line += &format!(",country_isocode=C{country}");
        }
        line += &format!(",host_arch=a\\={} value=1i", self.arch);
        if let Some(nodes) = self.nodes {
            line += &format!(",node_count={nodes}");
        }
        if let Some(backup) = self.backup {
            line += &format!(",backup={backup}");
        }
        format!("{line} {stamp}\n")
    }

    fn value(&self, dimension: &str) -> Option<String> {
        match dimension {
            "app_version" => Some(format!("v1.{} rc", self.version)),
            "country" => self.country.map(|country| format!("C{country}")),
            "city" => self
                .country
                .map(|country| format!("Town,{} C{country}", self.city)),
            "host_arch" => Some(format!("a={}", self.arch)),
            _ => self.backup.map(|backup| backup.to_string()),
        }
    }
}

fn record() -> impl Strategy<Value = Record> {
    let option = |most: u8| prop::option::of(0..most);
    let parts = (0i64..30, 0u8..6, option(3), 0u8..3, 0u8..3);
    let fields = (
        prop::option::of(0u32..1000),
        prop::option::of(any::<bool>()),
    );
    (parts, fields).prop_map(
        |((hour, version, country, city, arch), (nodes, backup))| Record {
            hour,
            version,
            country,
            city,
            arch,
            nodes,
            backup,
        },
    )
}

fn report(path: &Path, by: &str, every: Every) -> Report {
    let query = Query {
        by: by.to_owned(),
        from: START,
        to: START + 2 * DAY,
        every,
        now: START + 400 * DAY,
    };
    LedgerReader::open(path).unwrap().report(&query).unwrap()
}

fn counts(ledger: &Ledger) -> Counts {
    Counts::new(&["host_arch".to_owned()], ledger.lengths().clone())
}

/// Totals by hour and value; a city's value is followed by its country.
fn found(path: &Path, by: &str) -> BTreeMap<(i64, String), u64> {
    let mut found = BTreeMap::new();
    for row in report(path, by, Every::Period).rows {
        if let Part::Values(values) = row.part {
            for value in values {
                let country = value.country.map(|code| format!(" {code}"));
                let name = value.value + &country.unwrap_or_default();
                found.insert(((row.start - START) / HOUR, name), value.total as u64);
            }
        }
    }
    found
}

fn expected(records: &[Record], by: &str) -> BTreeMap<(i64, String), u64> {
    let mut expected = BTreeMap::new();
    for record in records {
        if let Some(value) = record.value(by) {
            *expected.entry((record.hour, value)).or_default() += 1;
        }
    }
    expected
}

/// Adds records, commits in between, and reopens the ledger after some commits.
fn write(folder: &Folder, records: &[Record], commits: &[(usize, bool)]) -> Ledger {
    let mut ledger = folder.open();
    let mut adding = counts(&ledger);
    let mut stops = commits.iter().cycle();
    let mut until = stops.next();
    let mut since = 0;
    for (number, record) in records.iter().enumerate() {
        let stamp = (START + record.hour * HOUR) * 1_000_000_000 + number as i64;
        assert_eq!(adding.add(record.line(stamp).as_bytes()), 1);
        since += 1;
        let Some(&(every, reopen)) = until else {
            continue;
        };
        if since >= every {
            commit(&mut ledger, &mut adding, number as u64);
            since = 0;
            until = stops.next();
            if reopen {
                drop(ledger);
                ledger = folder.open();
                assert_eq!(ledger.position().offset, number as u64);
            }
        }
    }
    commit(&mut ledger, &mut adding, records.len() as u64);
    ledger
}

fn commit(ledger: &mut Ledger, adding: &mut Counts, offset: u64) {
    let position = Position {
        segment: 1,
        offset,
        lines: offset,
    };
    ledger.commit(adding, position, 1).unwrap();
    adding.clear();
}

fn covered(ledger: &mut Ledger, hours: std::ops::Range<i64>) {
    let mut adding = counts(ledger);
    let at = |hour: i64| (START + hour * HOUR) * 1000;
    adding.present(at(hours.start), at(hours.end));
    commit(ledger, &mut adding, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_total_is_the_number_of_records(
        records in prop::collection::vec(record(), 1..300),
        commits in prop::collection::vec((1usize..80, any::<bool>()), 1..6),
    ) {
        let folder = Folder::new();
        drop(write(&folder, &records, &commits));
        for by in ["app_version", "country", "city", "host_arch", "backup"] {
            let want = expected(&records, by);
            if by == "backup" && want.is_empty() { continue; }
            prop_assert_eq!(found(&folder.ledger(), by), want, "{}", by);
        }
        for row in report(&folder.ledger(), "all", Every::Period).rows {
            let hour = (row.start - START) / HOUR;
            let number = records.iter().filter(|record| record.hour == hour).count();
            prop_assert_eq!(row.total, (number > 0).then_some(number as f64));
        }
        let nodes = |hour| records.iter().filter(move |record| record.hour == hour)
            .filter_map(|record| record.nodes).map(f64::from);
        if records.iter().all(|record| record.nodes.is_none()) { return Ok(()); }
        for row in report(&folder.ledger(), "node_count", Every::Period).rows {
            let hour = (row.start - START) / HOUR;
            let Part::Numbers(numbers) = row.part else { panic!("{row:?}") };
            let numbers = numbers.map(|n| (n.count, n.sum, n.least, n.greatest));
            let want = (nodes(hour).count() > 0).then(|| (
                nodes(hour).count() as f64, nodes(hour).sum(),
                nodes(hour).fold(f64::MAX, f64::min), nodes(hour).fold(f64::MIN, f64::max),
            ));
            prop_assert_eq!(numbers, want);
        }
    }

    /// A day's row is the mean over its covered periods, in which a value that is absent counts as 0.
    #[test]
    fn a_kept_day_says_the_mean_of_its_covered_periods(
        records in prop::collection::vec(record(), 1..300),
        covered_hours in 1i64..24,
    ) {
        let folder = Folder::new();
        let mut ledger = write(&folder, &records, &[(100, false)]);
        covered(&mut ledger, 0..covered_hours);
        let before = report(&folder.ledger(), "app_version", Every::Days(1)).rows;
        while ledger.keep_days(START + DAY + KEEP.as_secs() as i64).unwrap() {}
        let after = report(&folder.ledger(), "app_version", Every::Days(1)).rows;

        let day: Vec<_> = records.iter().filter(|r| r.hour < covered_hours).collect();
        let mean = day.len() as f64 / covered_hours as f64;
        prop_assert!((after[0].total.unwrap() - mean).abs() < 1e-9, "{:?}", after[0]);
        prop_assert_eq!(after[0].covered_seconds, (covered_hours * HOUR) as u64);
        let Part::Values(values) = &after[0].part else { panic!("{after:?}") };
        for value in values {
            let same = |r: &&&Record| r.value("app_version").as_ref() == Some(&value.value);
            let mean = day.iter().filter(same).count() as f64 / covered_hours as f64;
            prop_assert!((value.total - mean).abs() < 1e-9, "{value:?}");
        }
        // A report by day is the same before and after.
        let rounded = |row: &super::report::Row| {
            let Part::Values(values) = &row.part else { panic!("{row:?}") };
            let by_value: BTreeMap<String, i64> = values.iter()
                .map(|value| (value.value.clone(), (value.total * 1e6).round() as i64)).collect();
            (row.total.map(|total| (total * 1e6).round() as i64), by_value)
        };
        prop_assert_eq!(rounded(&before[0]), rounded(&after[0]));
    }

    /// A damaged file may cause an error or wrong figures, but no panic and no endless loop.
    #[test]
    fn a_damaged_file_is_an_error_and_never_a_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..200),
        tail in any::<bool>(),
    ) {
        let folder = Folder::new();
        let records: Vec<Record> = (0..50).map(|n| Record {
            hour: n % 7, version: n as u8, country: Some(n as u8 % 5), city: 1, arch: 2,
            nodes: Some(n as u32), backup: Some(true),
        }).collect();
        drop(write(&folder, &records, &[(20, true)]));
        let mut bytes = fs::read(folder.ledger()).unwrap();
        for (index, byte) in &damage {
            let at = index.index(bytes.len());
            bytes[at] = *byte;
        }
        if tail { bytes.truncate(bytes.len() / 2); }
        fs::write(folder.ledger(), bytes).unwrap();
        if let Ok(reader) = LedgerReader::open(&folder.ledger()) {
            for by in ["all", "app_version", "city", "node_count"] {
                let query = Query {
                    by: by.to_owned(), from: START, to: START + DAY, every: Every::Days(1),
                    now: START + DAY,
                };
                let _ = reader.report(&query);
            }
        }
        let period = QueryPeriod::parse("1h").unwrap();
        if let Ok(mut ledger) = Ledger::open(&folder.ledger(), period, KEEP, START) {
            let mut adding = counts(&ledger);
            adding.add(records[0].line(START * 1_000_000_000).as_bytes());
            let _ = ledger.commit(&mut adding, Position::default(), 1);
            let _ = ledger.keep_days(START + 200 * DAY);
        }
    }
}

#[test]
fn values_beyond_the_cap_of_a_period_are_added_up_as_other() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    let mut adding = counts(&ledger);
    for number in 0..2_100 {
        let line = format!(
            "upgrade_request,app_version=v{number} value=1i {}\n",
            START * 1_000_000_000 + number
        );
        adding.add(line.as_bytes());
        if number == 1_000 {
            commit(&mut ledger, &mut adding, 1);
        }
    }
    commit(&mut ledger, &mut adding, 2);
    let found = found(&folder.ledger(), "app_version");
    assert_eq!(found.len(), 2_001);
    assert_eq!(found[&(0, "other".to_owned())], 100);
    assert_eq!(found.values().sum::<u64>(), 2_100);

    covered(&mut ledger, 0..24);
    assert!(
        ledger
            .keep_days(START + DAY + KEEP.as_secs() as i64)
            .unwrap()
    );
    let day = report(&folder.ledger(), "app_version", Every::Days(1));
    let Part::Values(values) = &day.rows[0].part else {
        panic!("{day:?}")
    };
    // 1,000 values and `other`.
    assert_eq!(values.len(), 1_001);
    let sum: f64 = values.iter().map(|value| value.total).sum();
    assert!((sum - 2_100.0 / 24.0).abs() < 1e-6, "{sum}");
}

#[test]
fn lines_that_are_no_records_are_counted_apart() {
    let folder = Folder::new();
    let ledger = folder.open();
    let mut adding = counts(&ledger);
    let lines = "upgrade_requests,app_version=a value=1i 1\nx\u{1}\n\nupgrade_request value=1i\n\
        upgrade_request,app_version=a value=1i 1800057600000000000\n";
    assert_eq!(adding.add(lines.as_bytes()), 5);
    assert_eq!((adding.records(), adding.unreadable()), (1, 4));
}
