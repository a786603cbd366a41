//! Whatever a client sends, at most one line results, it says exactly what the contract promises, and a
//! real InfluxDB stores it. What is promised is worked out here a second time, the line is taken apart
//! by `support::line_protocol`: neither shares code with the server, but for the names in snake case.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value as Json;
use upgrade_responder::checkin::request;
use upgrade_responder::geo::Location;
use upgrade_responder::line::encode::{self as line, RESERVED_KEYS};
use upgrade_responder::line::parse as point;
use upgrade_responder::line::snake::snake_case;
use upgrade_responder::line::sound;

use crate::support::influx::Influx;
use crate::support::line_protocol::{Point, Value, parse};
use crate::support::scratch::Scratch;
use crate::support::tried::tried;

const FAMILY: &str = "Line protocol";
const TIME: i64 = 1_700_000_000_000_000_000;
/// Check-ins made up for each property.
const CASES: u32 = 2_000;
/// Check-ins made up for InfluxDB.
const BATCH: i64 = 4_000;

/// What a client may send: the keys of a map in any order, and twice.
#[derive(Debug, Clone)]
struct Body {
    version: Option<String>,
    info: Vec<(String, Json)>,
    tags: Vec<(String, Json)>,
    fields: Vec<(String, Json)>,
}

impl Body {
    fn json(&self) -> String {
        let map = |pairs: &[(String, Json)]| {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(key, value)| format!("{}:{value}", Json::from(key.as_str())))
                .collect();
            format!("{{{}}}", pairs.join(","))
        };
        format!(
            r#"{{"appVersion":{},"extraInfo":{},"extraTagInfo":{},"extraFieldInfo":{}}}"#,
            Json::from(self.version.clone()),
            map(&self.info),
            map(&self.tags),
            map(&self.fields)
        )
    }
}

/// Texts of what is special somewhere, of anything, and of about the greatest length.
fn text() -> impl Strategy<Value = String> {
    let special = [
        "\\",
        "\\\\",
        "\"",
        "=",
        ",",
        " ",
        "\n",
        "\r",
        "\t",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "é",
        "🦀",
        "a",
        "1i",
        "T",
        "value=1i 17\n",
    ];
    let pieces = prop::collection::vec(prop::sample::select(special.to_vec()), 0..12);
    prop_oneof![
        4 => pieces.prop_map(|pieces| pieces.concat()),
        2 => any::<String>(),
        1 => (195..205_usize).prop_map(|length| "x".repeat(length)),
        1 => (48..52_usize).prop_map(|length| "🦀".repeat(length)),
    ]
}

/// Keys of which many are sound, collide in snake case or are reserved.
fn key() -> impl Strategy<Value = String> {
    let known = [
        "time",
        "Time",
        "value",
        "city",
        "appVersion",
        "app_version",
        "AppVersion",
        "xRequestId",
        "_field",
        "nodeCount",
        "NodeCount",
        "node-count",
        "node_count",
        "node_Count",
        "a",
        "A",
        "-",
        "_",
        "",
    ];
    prop_oneof![
        3 => "[a-zA-Z0-9_-]{1,12}",
        2 => prop::sample::select(known.to_vec()).prop_map(str::to_string),
        1 => "[A-Za-z]{62,66}",
        1 => text(),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    let tag = || prop_oneof![9 => text().prop_map(Json::from), 1 => Just(Json::Null)];
    let field = prop_oneof![
        4 => text().prop_map(Json::from),
        2 => prop::num::f64::ANY.prop_map(Json::from),
        2 => any::<i64>().prop_map(Json::from),
        2 => any::<bool>().prop_map(Json::from),
        1 => Just(Json::Null),
        1 => Just(serde_json::json!(["a", {"b": 1}])),
    ];
    let tags = || prop::collection::vec((key(), tag()), 0..8);
    let many = prop::collection::vec(("[a-z]{1,3}", tag()), 60..90);
    (
        prop::option::of(text()),
        tags(),
        prop_oneof![8 => tags(), 1 => many],
        prop::collection::vec((key(), field), 0..8),
    )
        .prop_map(|(version, info, tags, fields)| Body {
            version,
            info,
            tags,
            fields,
        })
}

/// What the contract promises to store of a body; nothing of a version that is too long.
fn promised(body: &Body) -> Option<(BTreeMap<String, String>, BTreeMap<String, Value>)> {
    let version = body.version.clone().unwrap_or_default().trim().to_owned();
    if version.len() > 200 {
        return None;
    }
    // The last of a repeated key wins, extraTagInfo over extraInfo.
    let sent: BTreeMap<_, _> = body.info.iter().chain(&body.tags).cloned().collect();
    let tags = accepted(sent, |value| match value {
        // White space around it goes, and what is empty then is left out.
        Json::String(text) => {
            let text = text.trim();
            (1..=200).contains(&text.len()).then(|| text.to_owned())
        }
        _ => None,
    });
    let sent: BTreeMap<_, _> = body.fields.iter().cloned().collect();
    let fields = accepted(sent, |value| match value {
        Json::String(text) if (1..=200).contains(&text.len()) => {
            Some(Value::Text(printable(&text)))
        }
        Json::Number(number) => number.as_f64().map(Value::Float),
        Json::Bool(value) => Some(Value::Boolean(value)),
        _ => None,
    });
    let tags = tags
        .into_iter()
        .chain([("app_version".to_string(), version)]);
    // No line can hold an empty tag.
    let tags = tags.map(|(key, text)| (key, tag_text(&text)));
    let own = [("value".to_string(), Value::Integer(1))];
    Some((
        tags.filter(|(_, text)| !text.is_empty()).collect(),
        fields.into_iter().chain(own).collect(),
    ))
}

/// The keys that are stored: of two that are one in snake case, the first in byte order.
fn accepted<T>(
    sent: BTreeMap<String, Json>,
    accept: impl Fn(Json) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut stored = BTreeMap::new();
    for (key, value) in sent {
        let sound = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_sound = (1..=64).contains(&key.len()) && key.chars().all(sound);
        let name = snake_case(&key);
        let free = !stored.contains_key(&name) && !RESERVED_KEYS.contains(&name.as_str());
        if !is_sound || !free || stored.len() == 64 {
            continue;
        }
        if let Some(value) = accept(value) {
            stored.insert(name, value);
        }
    }
    stored
}

/// What a tag can hold: no backslashes at its end or before a character that is special there.
fn tag_text(text: &str) -> String {
    let mut kept = String::new();
    for piece in text.split_inclusive([',', '=', ' ']) {
        match piece.char_indices().next_back() {
            Some((at, special @ (',' | '=' | ' '))) => {
                kept.push_str(piece[..at].trim_end_matches('\\'));
                kept.push(special);
            }
            _ => kept.push_str(piece.trim_end_matches('\\')),
        }
    }
    printable(&kept)
}

fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// The line of a body, without the newline; `None` where nothing is recorded.
fn encoded(body: &Body, location: &Location<'_>, timestamp: i64) -> Option<Vec<u8>> {
    let json = body.json();
    let check_in = request::parse(json.as_bytes(), None).expect("a sound body");
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
fn one_line_says_exactly_what_is_promised() {
    let mut runner = TestRunner::new(config());
    let places = (text(), text());
    let checked = runner.run(&(body(), places), |(body, (city, country))| {
        let location = Location {
            city: Some(&city),
            country: Some(&country),
            country_isocode: None,
        };
        let line = encoded(&body, &location, TIME);
        let Some((mut tags, fields)) = promised(&body) else {
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
        let expected = Point {
            measurement: "upgrade_request".to_string(),
            // In the order of their keys, as InfluxDB advises.
            tags: tags.into_iter().collect(),
            fields: fields.into_iter().collect(),
            timestamp: TIME,
        };
        prop_assert_eq!(&found, &expected);
        // The server takes its own lines apart alike.
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
fn any_bytes_are_refused_or_one_line() {
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
fn influxdb_stores_every_line_as_it_was_meant() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    influx.query("", "CREATE DATABASE made_up");
    let mut runner = TestRunner::new(config());
    let (mut lines, mut versions) = (Vec::new(), BTreeMap::new());
    for timestamp in TIME..TIME + BATCH {
        let mut body = body().new_tree(&mut runner).unwrap().current();
        // A field has one type in InfluxDB, whoever sends it.
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
        let (tags, _) = promised(&body).unwrap();
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

fn config() -> Config {
    Config {
        cases: CASES,
        // A failure prints what to make a test of; nothing is written beside the sources.
        failure_persistence: None,
        ..Config::default()
    }
}
