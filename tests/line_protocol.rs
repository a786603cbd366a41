//! Property tests of the line that a check-in becomes. If they failed, a client could make InfluxDB refuse a batch, add
//! records of its own, or have other values stored than it sent.
//!
//! The expected tags and fields are computed in `expected`, and `support::line_protocol` parses the line. Neither shares
//! code with the server, except for the conversion of names to snake case and the list of reserved names.

mod bodies;
mod expected;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value as Json;
use upgrade_responder::checkin::request;
use upgrade_responder::geo::Location;
use upgrade_responder::line::encode as line;
use upgrade_responder::line::parse as point;
use upgrade_responder::line::sound;

use bodies::{Body, body, text};
use expected::{expected, tag_text};

use crate::support::influx::Influx;
use crate::support::line_protocol::{Point, parse};
use crate::support::scratch::Scratch;
use crate::support::tried::tried;

const FAMILY: &str = "Line protocol";
const TIME: i64 = 1_700_000_000_000_000_000;
/// Random check-ins for each property.
const CASES: u32 = 2_000;
/// Random check-ins that are written to InfluxDB.
const BATCH: i64 = 4_000;

fn config() -> Config {
    Config {
        cases: CASES,
        // A failure prints its input. No files are written into the source folder.
        failure_persistence: None,
        ..Config::default()
    }
}

/// The line of a check-in without the newline at its end. `None` if the check-in is not recorded.
fn encoded(body: &Body, location: &Location<'_>, timestamp: i64) -> Option<Vec<u8>> {
    let json = body.json();
    let check_in = request::parse(json.as_bytes(), None).expect("a valid body");
    if !check_in.recordable {
        return None;
    }
    let mut line = Vec::new();
    line::encode(&check_in.parts(*location, None), &mut line);
    line::finish(timestamp, &mut line);
    assert_eq!(line.pop(), Some(b'\n'));
    Some(line)
}

#[test]
fn a_check_in_becomes_one_line_with_exactly_the_expected_tags_and_fields() {
    let mut runner = TestRunner::new(config());
    let places = (text(), text());
    let checked = runner.run(&(body(), places), |(body, (city, country))| {
        let location = Location {
            city: Some(&city),
            country: Some(&country),
            country_isocode: None,
        };
        let line = encoded(&body, &location, TIME);
        let Some((mut tags, fields)) = expected(&body) else {
            prop_assert_eq!(line, None);
            return Ok(());
        };
        for (key, place) in [("city", &city), ("country", &country)] {
            let place = tag_text(place);
            tags.extend((!place.is_empty()).then(|| (key.to_string(), place)));
        }
        let line = line.expect("a line");
        let mut found = parse(&line).map_err(TestCaseError::fail)?;
        found.fields.sort_by(|a, b| a.0.cmp(&b.0));
        let wanted = Point {
            measurement: "upgrade_request".to_string(),
            // Sorted by key, as InfluxDB recommends.
            tags: tags.into_iter().collect(),
            fields: fields.into_iter().collect(),
            timestamp: TIME,
        };
        prop_assert_eq!(&found, &wanted);
        // The server's own parser finds the same number of tags and fields.
        let series = point::series(&line);
        prop_assert_eq!(point::tags(series).count(), found.tags.len());
        prop_assert_eq!(point::fields(&line).count(), found.fields.len());
        prop_assert!(sound::is_sound(line.strip_suffix(b"\n").unwrap_or(&line)));
        Ok(())
    });
    checked.unwrap_or_else(|e| panic!("{e}"));
    tried(
        FAMILY,
        &format!("{CASES} check-ins made up of what is special"),
        "each is one line of exactly the promised tags and fields",
    );
}

#[test]
fn any_body_is_refused_or_becomes_one_valid_line() {
    let mut runner = TestRunner::new(config());
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    let cut = (body(), any::<prop::sample::Index>(), any::<u8>());
    let cut = cut.prop_map(|(body, at, byte)| {
        let mut json = body.json().into_bytes();
        let at = at.index(json.len());
        json[at] = byte;
        json
    });
    let checked = runner.run(&prop_oneof![bytes, cut], |bytes| {
        let Ok(check_in) = request::parse(&bytes, None) else {
            return Ok(());
        };
        let mut line = Vec::new();
        line::encode(&check_in.parts(Location::default(), None), &mut line);
        line::finish(TIME, &mut line);
        prop_assert_eq!(line.pop(), Some(b'\n'));
        parse(&line).map_err(TestCaseError::fail)?;
        prop_assert!(sound::is_sound(&line));
        Ok(())
    });
    checked.unwrap_or_else(|e| panic!("{e}"));
    tried(
        FAMILY,
        &format!("{CASES} bodies with bytes that are wrong"),
        "each is refused, or one sound line",
    );
}

#[test]
fn influxdb_stores_every_line_with_the_version_that_was_sent() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    influx.query("", "CREATE DATABASE made_up");
    let mut runner = TestRunner::new(config());
    let (mut lines, mut versions) = (Vec::new(), BTreeMap::new());
    for timestamp in TIME..TIME + BATCH {
        let mut body = body().new_tree(&mut runner).unwrap().current();
        // In InfluxDB a field has one type for all clients, so the type becomes a part of the key.
        for (key, value) in &mut body.fields {
            let kind = match value {
                Json::Number(_) => "number",
                Json::Bool(_) => "boolean",
                _ => "text",
            };
            key.push_str(kind);
        }
        let Some(line) = encoded(&body, &Location::default(), timestamp) else {
            continue;
        };
        lines.extend(line);
        lines.push(b'\n');
        let (tags, _) = expected(&body).unwrap();
        versions.insert(timestamp, tags.get("app_version").cloned());
    }
    let answer = influx.write("made_up", &String::from_utf8(lines).unwrap());
    assert_eq!(answer.0, 204, "{:.2000}", answer.1);
    assert_eq!(
        influx.count("made_up", "upgrade_request"),
        versions.len() as u64
    );
    let rows = influx.select("made_up", "SELECT value, app_version FROM upgrade_request");
    for row in rows {
        let version = versions.remove(&row["time"].as_i64().unwrap()).unwrap();
        assert_eq!(row["app_version"].as_str().map(str::to_string), version);
    }
    assert!(versions.is_empty());
    tried(
        FAMILY,
        &format!("{BATCH} made-up check-ins written to a real InfluxDB"),
        "all stored, with their versions as they were meant",
    );
}
