//! The check-ins of a few hundred installations, one each hour. They cover some hours 30 and 7 days ago, and the last 48
//! hours, in which a release is adopted. In these there is an outage, and an hour without check-ins.
//!
//! The time is always [`NOW`], so that the check-ins are the same in each run and in the picture in the README.

use std::net::IpAddr;
use std::path::Path;

use serde_json::json;
use upgrade_responder::checkin::request;
use upgrade_responder::geo::{GeoDb, Location, Lookup};
use upgrade_responder::line::{Record, encode as line};

/// The query period in seconds.
pub const PERIOD: i64 = 3600;
/// 2025-03-11 12:00:30 UTC, in seconds since 1970: half a minute into a period.
pub const NOW: i64 = 1_741_694_430;
/// The last period that has been over for a minute.
pub const LAST: i64 = END - 2 * PERIOD;
/// The end of the last period with check-ins.
const END: i64 = NOW - NOW % PERIOD;
/// Number of periods up to now.
pub const HOURS: i64 = 48;
/// Hours of the outage, counted from the first.
const OUTAGE: std::ops::Range<i64> = 20..23;
/// The hour without check-ins, in which the server ran.
const SILENT_HOUR: i64 = 31;
/// The start of the period without check-ins, in seconds.
pub const SILENT: i64 = END - (HOURS - SILENT_HOUR) * PERIOD;
const DAY: i64 = 24 * PERIOD;

/// The version that is released in the fifth hour.
pub const RELEASE: &str = "v1.10.0";
/// A version with special characters.
pub const ODD: &str = "it's \\1/2 (\"beta\")";
/// An invented version, higher than any real one. Any client can send one.
pub const INVENTED: &str = "v999999.0.0";
/// A version with a character that is special in a regex.
pub const PATCHED: &str = "v1.8.2+rke2r1";
/// Nine versions, sorted by their number of installations, largest first.
const OLD: [&str; 9] = [
    "v1.9.1",
    "v1.9.0",
    PATCHED,
    "v1.8.0",
    "v1.7.3",
    "v1.7.0-rc1",
    "v1.6.2.1",
    "v1.5.0",
    "v1",
];
/// Addresses in ten countries of the sample geo database, and one without a location.
const ADDRESSES: [&str; 11] = [
    "198.51.100.1",
    "192.0.2.1",
    "192.0.2.193",
    "198.51.100.161",
    "192.0.2.97",
    "203.0.113.97",
    "2001:db8::1",
    "203.0.113.1",
    "203.0.113.129",
    "198.51.100.129",
    "203.0.113.193",
];

/// One check-in.
#[derive(Clone)]
pub struct Visit {
    /// In ns since 1970.
    pub at: i64,
    pub version: String,
    pub kubernetes: String,
    pub arch: &'static str,
    pub nodes: f64,
    pub city: String,
    pub country: String,
    pub code: String,
    line: Vec<u8>,
}

impl Visit {
    /// The start of its period in seconds since 1970.
    pub fn period(&self) -> i64 {
        let second = self.at / 1_000_000_000;
        second - second % PERIOD
    }
}

/// All check-ins, oldest first.
pub fn visits(geodb: &Path) -> Vec<Visit> {
    let geodb = GeoDb::open(geodb).unwrap();
    let first = END - HOURS * PERIOD;
    let mut visits = Vec::new();
    for (days, installations) in [(30, 200), (29, 90), (7, 240), (6, 100)] {
        for hour in 1..=3 {
            let start = END - days * DAY - hour * PERIOD;
            visits.extend((0..installations).map(|i| visit(&geodb, i, start, OLD[rank(i, 9)])));
        }
    }
    for hour in (0..HOURS).filter(|hour| !OUTAGE.contains(hour) && *hour != SILENT_HOUR) {
        let start = first + hour * PERIOD;
        let installations = 250 + hour;
        visits.extend((0..installations).map(|i| visit(&geodb, i, start, version(i, hour))));
    }
    visits.sort_by_key(|visit| visit.at);
    visits
}

/// The lines in the form of a segment.
pub fn segment(visits: &[Visit]) -> Vec<u8> {
    visits.iter().flat_map(|visit| visit.line.clone()).collect()
}

fn version(installation: i64, hour: i64) -> &'static str {
    match installation {
        3 => ODD,
        4 => "",
        7 => INVENTED,
        // Values over `--max-tag-values` are stored as `other`. They are more frequent than the seventh version.
        i if i % 8 == 5 => "other",
        // Three in four installations have the release at the end.
        i if (i * 31) % 60 + 5 < hour => RELEASE,
        i => OLD[rank(i, 9)],
    }
}

fn visit(geodb: &GeoDb, installation: i64, start: i64, version: &str) -> Visit {
    let second = installation * 7919 % PERIOD;
    let at = (start + second) * 1_000_000_000 + installation;
    let kubernetes = match installation % 8 {
        6 => "other".to_string(),
        _ => format!("v1.{}", 33 - rank(installation * 7, 9)),
    };
    let arch = if installation % 3 == 0 {
        "arm64"
    } else {
        "amd64"
    };
    let nodes = (1 + installation % 5) as f64;
    let address: IpAddr = ADDRESSES[rank(installation, 11)].parse().unwrap();
    let location = match geodb.locate(address) {
        Lookup::Found(location) => location,
        Lookup::NotFound => Location::default(),
        Lookup::Broken => panic!("{address}"),
    };
    let body = json!({
        "appVersion": version,
        "extraTagInfo": {"kubernetesVersion": kubernetes, "hostArch": arch},
        "extraFieldInfo": {"nodeCount": nodes, "defaultFilesystem": "ext4"},
    });
    let body = body.to_string();
    let check_in = request::parse(body.as_bytes(), None).unwrap();
    let record = Record::new(&check_in.parts(location, None), &mut Vec::new());
    let mut line = record.point().to_vec();
    line::finish(at, &mut line);
    let text = |name: Option<&str>| name.unwrap_or_default().to_string();
    Visit {
        at,
        version: version.to_string(),
        kubernetes,
        arch,
        nodes,
        city: text(location.city),
        country: text(location.country),
        code: text(location.country_isocode),
        line,
    }
}

/// Spreads numbers over `count` ranks: of 45 consecutive ones nine get rank 0, eight get rank 1, and one
/// gets rank 8, if there are nine ranks.
fn rank(number: i64, count: i64) -> usize {
    let mut left = number % (count * (count + 1) / 2);
    let mut rank = 0;
    while left >= count - rank {
        left -= count - rank;
        rank += 1;
    }
    usize::try_from(rank).unwrap()
}
