//! Benchmarks of the separate parts of a check-in, in the order of processing: `cargo bench --bench micro`.
//!
//! Times depend on the machine and its load. To see the cost of a change, count instructions (`make bench-check`).

mod common;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use divan::{Bencher, black_box};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use mmdb_writer::{Value, Writer};
use upgrade_responder::checkin::{body, request};
use upgrade_responder::config::response;
use upgrade_responder::config::rules::client::{Client, Place};
use upgrade_responder::config::schema::RequestSchema;
use upgrade_responder::geo::{GeoDb, Location};
use upgrade_responder::http::client_addr::{TrustedProxies, client_addr};
use upgrade_responder::line::{Record, encode as line};
use upgrade_responder::spool::cardinality::{Limiter, Limits, Listed};
use upgrade_responder::spool::segment::OpenSegment;

// The `main` of the example is not used here.
#[allow(dead_code)]
#[path = "../examples/sample-geodb.rs"]
mod sample_geodb;

/// Networks in the large database, about as many as in GeoLite2-City.
const NETWORKS: u32 = 3_000_000;
const CITIES: u32 = 50_000;
/// Records in one append, as at 20,000 check-ins per second.
const GROUP: u64 = 100;

fn main() {
    divan::main();
}

#[divan::bench(args = ["realistic", "longhorn"])]
fn body_to_check_in(bencher: Bencher, name: &str) {
    let workload = workload(name);
    let schema = workload
        .schema
        .map(|schema| RequestSchema::parse(&schema).unwrap());
    let body = workload.bodies[7].as_bytes();
    bencher.bench(|| request::parse(black_box(body), schema.as_ref()).unwrap());
}

#[divan::bench(args = ["203.0.113.7", "203.0.113.7, 10.0.0.1, 127.0.0.1", "[2001:db8::1]:4711"])]
fn client_address(bencher: Bencher, forwarded_for: &str) {
    let trusted = TrustedProxies::default();
    let peer: Option<IpAddr> = Some([127, 0, 0, 1].into());
    bencher.bench(|| {
        client_addr(
            black_box(peer),
            [black_box(forwarded_for)].into_iter(),
            &trusted,
        )
    });
}

#[divan::bench]
fn look_up_in_the_sample(bencher: Bencher) {
    let path = file("sample.mmdb");
    sample_geodb::write(&path).unwrap();
    look_up(bencher, &path, |n| {
        common::ADDRESSES[n as usize % common::ADDRESSES.len()]
            .parse()
            .unwrap()
    });
}

#[divan::bench]
fn look_up_among_3_million(bencher: Bencher) {
    static LARGE: LazyLock<PathBuf> = LazyLock::new(large_geodb);
    // Spread over the whole database, as clients are.
    look_up(bencher, &LARGE, |n| {
        network(n.wrapping_mul(2_654_435_761) % NETWORKS)
            .addr()
            .into()
    });
}

#[divan::bench(args = ["realistic", "longhorn"])]
fn record_to_line(bencher: Bencher, name: &str) {
    let workload = workload(name);
    let schema = workload
        .schema
        .map(|schema| RequestSchema::parse(&schema).unwrap());
    let check_in = request::parse(workload.bodies[7].as_bytes(), schema.as_ref()).unwrap();
    let location = Location {
        city: Some("Zürich"),
        country: Some("Switzerland"),
        country_isocode: Some("CH"),
    };
    let mut scratch = Vec::new();
    let id = Some("0123456789abcdef0123456789abcdef");
    bencher.bench_local(|| Record::new(&black_box(&check_in).parts(location, id), &mut scratch));
}

/// The cost of rules for a check-in that none of them fits, which is the most expensive case.
#[divan::bench(args = [0, 10, 100])]
fn rules_for_a_check_in(bencher: Bencher, count: usize) {
    let config = response::parse(&common::with_rules(count)).unwrap();
    let workload = common::realistic();
    let raw = body::read(workload.bodies[7].as_bytes()).unwrap();
    let rules = config.rules();
    bencher.bench_local(|| {
        if rules.is_empty() {
            return None;
        }
        let client = Client::new(&raw, rules.needs(), Place::default(), Timestamp::now());
        rules.decide(black_box(&client), |_| {})
    });
}

/// The work of the writer thread for a group of records: limits, timestamps, one write.
#[divan::bench]
fn writer_appends_100(bencher: Bencher) {
    let dir = file("spool");
    fs::create_dir_all(&dir).unwrap();
    let bodies = common::realistic().bodies;
    let records: Vec<Record> = bodies
        .iter()
        .map(|body| {
            let check_in = request::parse(body.as_bytes(), None).unwrap();
            Record::new(&check_in.parts(Location::default(), None), &mut Vec::new())
        })
        .collect();
    let limits = Limits {
        tag_values: 1000,
        series: 100_000,
    };
    let mut limiter = Limiter::open(&dir, limits);
    let listed = Listed::default();
    let mut lines = Vec::new();
    let sequence = u64::from(std::process::id());
    let mut segment = OpenSegment::create(&dir, sequence).unwrap();
    bencher.bench_local(|| {
        lines.clear();
        for (n, record) in (0..GROUP).zip(records.iter().cycle()) {
            limiter.admit(record.point(), &listed, &mut lines);
            line::finish(1_700_000_000_000_000_000 + n as i64, &mut lines);
        }
        segment.append(&lines, GROUP).unwrap();
    });
    fs::remove_dir_all(&dir).unwrap();
}

fn workload(name: &str) -> common::Workload {
    match name {
        "longhorn" => common::longhorn(),
        _ => common::realistic(),
    }
}

fn look_up(bencher: Bencher, path: &Path, address: impl Fn(u32) -> IpAddr) {
    let geodb = GeoDb::open(path).unwrap();
    let addresses: Vec<IpAddr> = (0..100_000).map(address).collect();
    let mut next = addresses.iter().cycle();
    bencher.bench_local(|| black_box(geodb.locate(*next.next().unwrap())));
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}"))
}

/// The path of the large database, which is created once in the target folder because that takes time.
fn large_geodb() -> PathBuf {
    let path = file("3-million.mmdb");
    if path.exists() {
        return path;
    }
    let mut writer = Writer::builder("Bench-City").build();
    for n in 0..NETWORKS {
        writer.insert_value(network(n), city(n % CITIES)).unwrap();
    }
    fs::write(&path, writer.to_bytes().unwrap()).unwrap();
    path
}

fn network(n: u32) -> Ipv4Net {
    // Every other /24 from 1.0.0.0 on, so that no two networks are adjacent and get merged.
    Ipv4Net::new((0x0100_0000 + (n << 9)).into(), 24).unwrap()
}

/// A record with the layout of GeoLite2-City and its eight languages.
fn city(n: u32) -> Value {
    let languages = ["de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"];
    let names = |what: &str| Value::map(languages.map(|l| (l, format!("{what} {n} ({l})"))));
    Value::map([
        ("city", Value::map([("names", names("City"))])),
        (
            "country",
            Value::map([("iso_code", Value::from("CH")), ("names", names("Country"))]),
        ),
        (
            "location",
            Value::map([("latitude", 47.0), ("longitude", 8.0)]),
        ),
        ("postal", Value::map([("code", format!("{n}"))])),
        (
            "registered_country",
            Value::map([("names", names("Country"))]),
        ),
    ])
}
