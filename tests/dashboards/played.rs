//! The InfluxDB dashboard. If these tests failed, a panel would show a number that differs from the check-ins.
//!
//! Two servers deliver the check-ins of `installations` to InfluxDB and send their totals. Then each query of each panel
//! and variable is run.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::expected::{Expected, Values};
use super::grafana::{View, list, load, panels, series_name};
use super::installations::{
    HOURS, INVENTED, NOW, ODD, PATCHED, PERIOD, RELEASE, SILENT, Visit, segment, visits,
};
use crate::support::account::{spool, state};
use crate::support::geodb;
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Server};
use crate::support::wait_for;

const TARGETS: [&str; 5] = [
    "upgrade_request_down_sampling",
    "by_app_version_down_sampling",
    "by_country_code_down_sampling",
    "by_host_arch_down_sampling",
    "by_kubernetes_version_down_sampling",
];
/// The time range in seconds. It begins within a period with check-ins, and ends a minute after now, so that the queries
/// cannot rely on an end at now.
pub const RANGE: (i64, i64) = (NOW - (HOURS - 1) * PERIOD - 1200, NOW + 60);

#[test]
fn every_panel_shows_the_numbers_of_the_check_ins() {
    let scratch = Scratch::new();
    let visits = visits(&geodb::sample(&scratch));
    let influx = Influx::start(&scratch);
    play(&scratch, &influx, &visits);
    let dashboard = load("upgrade-responder.json");
    let mut view = opened(&influx, &dashboard, &visits);
    assert_eq!(view.chosen("latest"), [RELEASE]);
    for extra_tag in ["host_arch", "kubernetes_version"] {
        view.choose("extra_tag", &[extra_tag]);
        let top = variable(&dashboard, "top_values");
        view.fill(top, |query| columns(&influx, query));
        for panel in panels(&dashboard) {
            check(&influx, &view, panel, &visits);
        }
    }

    // Any version that a client sent can be chosen as the release, and several as the latest.
    view.choose("release", &[ODD]);
    view.choose("latest", &[PATCHED, RELEASE]);
    for panel in panels(&dashboard) {
        check(&influx, &view, panel, &visits);
    }

    // A field that is not numeric gives no rows and no error.
    view.choose("field", &["default_filesystem"]);
    for panel in panels(&dashboard) {
        let of_field = panel["title"].as_str().unwrap().starts_with("${field} ");
        for target in list(&panel["targets"]).iter().filter(|_| of_field) {
            let rows = influx.select(DATABASE, &fixed(&query(&view, target)));
            assert!(rows.is_empty(), "{target}: {rows:?}");
        }
    }
}

/// The state on the first day: the server runs, and there are no check-ins yet.
#[test]
fn without_any_check_in_no_query_is_an_error() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let running = server.start();
    wait_for(Duration::from_secs(60), "the database", || {
        running.log().contains("is ready, database")
    });
    let dashboard = load("upgrade-responder.json");
    let mut view = View::new(RANGE.0 * 1000, RANGE.1 * 1000);
    for variable in list(&dashboard["templating"]["list"]) {
        view.fill(variable, |query| columns(&influx, query));
    }
    assert_eq!(view.chosen("extra_tag"), [""]);
    for target in panels(&dashboard).iter().flat_map(|p| list(&p["targets"])) {
        let rows = influx.select(DATABASE, &query(&view, target));
        assert!(rows.is_empty(), "{target}: {rows:?}");
    }
    running.terminate();
}

/// Writes the check-ins into the spools of two servers with one database, and waits until these have delivered all
/// records and totals.
fn play(scratch: &Scratch, influx: &Influx, visits: &[Visit]) {
    let other = Scratch::new();
    let command = |scratch: &Scratch| {
        let server = Server::new(scratch).arg("--influxdb-url", influx.url());
        let server = server.arg("--down-sample-tags", "kubernetes_version,host_arch");
        server.arg("--keep-periods", "20000d")
    };
    let mut running = Vec::new();
    for (number, scratch) in [scratch, &other].into_iter().enumerate() {
        let own = visits.iter().enumerate().filter(|(at, _)| at % 2 == number);
        let own: Vec<Visit> = own.map(|(_, visit)| visit.clone()).collect();
        let spool = spool(scratch);
        fs::create_dir_all(&spool).unwrap();
        fs::write(spool.join("00000000000000000001.lp"), segment(&own)).unwrap();
        running.push(command(scratch).start());
    }
    for target in TARGETS {
        let what = format!("all of {} check-ins in {target}", visits.len());
        wait_for(Duration::from_secs(90), &what, || {
            let sum = format!("SELECT sum(total) FROM {target}");
            let rows = influx.select(DATABASE, &sum);
            rows.iter().any(|row| row["sum"] == visits.len())
        });
    }
    for running in running {
        assert_eq!(running.terminate().code, Some(0));
    }
    // One of the servers ran in a period without check-ins.
    let ledger = rusqlite::Connection::open(state(scratch).join("totals.db")).unwrap();
    let covered = "INSERT INTO period (start, seconds, present_ms) VALUES (?1, ?2, ?2 * 1000)";
    ledger.execute(covered, (SILENT, PERIOD)).unwrap();
    drop(ledger);
    let running = command(scratch).start();
    wait_for(Duration::from_secs(90), "the zero", || {
        let zero = format!("SELECT total FROM {} WHERE total = 0", TARGETS[0]);
        influx.select(DATABASE, &zero).len() == 1
    });
    assert_eq!(running.terminate().code, Some(0));
}

/// A newly opened dashboard.
fn opened(influx: &Influx, dashboard: &Value, visits: &[Visit]) -> View {
    let mut view = View::new(RANGE.0 * 1000, RANGE.1 * 1000);
    let offered: BTreeMap<&str, Vec<String>> = list(&dashboard["templating"]["list"])
        .iter()
        .map(|variable| {
            let offered = view.fill(variable, |query| columns(influx, query));
            (variable["name"].as_str().unwrap(), offered)
        })
        .collect();
    assert_eq!(offered["query_period"], ["1h"]);
    assert_eq!(offered["extra_tag"], ["host_arch", "kubernetes_version"]);
    assert_eq!(offered["field"], ["default_filesystem", "node_count"]);
    assert_eq!(offered["latest"][..3], [RELEASE, "v1.9.1", "v1.9.0"]);
    assert!(!offered["latest"].contains(&INVENTED.to_string()));
    let used = |version: &String| {
        let visits = visits.iter().filter(|v| v.period() >= RANGE.0);
        visits.filter(|v| v.version == *version).count()
    };
    assert!(offered["release"].is_sorted_by_key(|version| Reverse(used(version))));
    assert!(offered["release"].contains(&INVENTED.to_string()));
    // A pre-release is not offered as a latest version.
    let rest = [PATCHED, "v1.8.0", "v1.7.3", "v1.6.2.1", "v1.5.0", "v1"];
    assert_eq!(offered["latest"][3..], rest);
    assert_eq!(offered["top_versions"].len(), 7);
    view.choose("field", &["node_count"]);
    view
}

fn variable<'d>(dashboard: &'d Value, name: &str) -> &'d Value {
    let variables = list(&dashboard["templating"]["list"]).iter();
    variables.clone().find(|v| v["name"] == name).unwrap()
}

/// Runs the queries of a panel and compares the results.
#[track_caller]
fn check(influx: &Influx, view: &View, panel: &Value, visits: &[Visit]) {
    let title = panel["title"].as_str().unwrap();
    let expected = Expected {
        visits,
        from: RANGE.0,
        to: RANGE.1,
        release: &view.chosen("release")[0],
        latest: view.chosen("latest"),
        extra_tag: &view.chosen("extra_tag")[0],
    };
    let timed = ["timeseries", "state-timeline"]
        .iter()
        .any(|kind| panel["type"] == *kind);
    let mut names = Vec::new();
    let mut empty = true;
    for target in list(&panel["targets"]) {
        let text = query(view, target);
        // With the real time there are no points, but there must be no error.
        influx.select(DATABASE, &text);
        let rows = influx.select(DATABASE, &fixed(&text));
        let letter = target["refId"].as_str().unwrap();
        let Some(wanted) = expected.of(title, letter) else {
            panic!("no expectation for panel {title}");
        };
        let found = values(&rows, timed || title == "First seen");
        let alias = view.expand(target["alias"].as_str().unwrap_or_default());
        for row in rows.iter().filter(|_| alias.contains("$tag_")) {
            let name = series_name(&alias, row);
            assert!(
                wanted.keys().any(|(text, _)| *text == name),
                "{name}: {row}"
            );
        }
        assert_same(&found, &wanted, &format!("{title}, query {letter}: {text}"));
        empty &= found.is_empty();
        names.extend(columns_of(&rows));
        names.extend(target["alias"].as_str().map(str::to_string));
    }
    if !list(&panel["targets"]).is_empty() {
        assert!(!empty, "{title} is empty");
    }
    for name in fields_named(panel) {
        assert!(
            names.contains(&name),
            "{title} names {name}, there are {names:?}"
        );
    }
}

pub fn query(view: &View, target: &Value) -> String {
    view.expand(target["query"].as_str().unwrap())
}

/// The query with `NOW` instead of the time of the database.
pub fn fixed(query: &str) -> String {
    query.replace("now()", &format!("{NOW}s"))
}

/// The rows of an answer as lists of texts, from which Grafana fills a variable.
fn columns(influx: &Influx, query: &str) -> Vec<Vec<String>> {
    let answer = influx.query(DATABASE, &fixed(query));
    assert!(answer["results"][0]["error"].is_null(), "{query}: {answer}");
    let series = list(&answer["results"][0]["series"]).iter();
    let rows = series.flat_map(|series| list(&series["values"]));
    let cell = |cell: &Value| cell.as_str().map_or(cell.to_string(), str::to_string);
    rows.map(|row| list(row).iter().map(cell).collect())
        .collect()
}

/// The numbers of an answer by the texts in their rows and, if `timed`, their time.
fn values(rows: &[Value], timed: bool) -> Values {
    let mut values = Values::new();
    for row in rows {
        let cells = row
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "time");
        let texts: Vec<_> = cells
            .clone()
            .filter_map(|(_, cell)| cell.as_str())
            .collect();
        let time = row["time"].as_i64().unwrap() / 1_000_000_000;
        let key = (texts.join("|"), if timed { time } else { 0 });
        if let Some(number) = cells.filter_map(|(_, cell)| cell.as_f64()).next() {
            assert_eq!(values.insert(key, number), None, "twice: {row}");
        }
    }
    values
}

#[track_caller]
fn assert_same(found: &Values, wanted: &Values, what: &str) {
    let keys = found.keys().chain(wanted.keys());
    for key in keys {
        let (found, wanted) = (found.get(key), wanted.get(key));
        let same = match (found, wanted) {
            (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-9,
            _ => false,
        };
        assert!(
            same,
            "{what}\n{key:?}: found {found:?}, expected {wanted:?}"
        );
    }
}

/// The names that Grafana gives to the columns of an answer.
fn columns_of(rows: &[Value]) -> Vec<String> {
    let first = rows.first().and_then(Value::as_object);
    let names = first.into_iter().flat_map(|row| row.keys());
    names
        .map(|name| match name.as_str() {
            "time" => "Time".to_string(),
            name => name.to_string(),
        })
        .collect()
}

/// The fields that a panel's options, overrides and transformations name.
fn fields_named(panel: &Value) -> Vec<String> {
    let options = &panel["options"];
    let mut named = vec![&options["xField"]];
    named.extend(list(&options["sortBy"]).iter().map(|by| &by["displayName"]));
    for layer in list(&options["layers"]) {
        named.push(&layer["location"]["lookup"]);
        let style = &layer["config"]["style"];
        named.extend(["size", "color", "text"].map(|of| &style[of]["field"]));
    }
    let overrides = list(&panel["fieldConfig"]["overrides"]).iter();
    let by_name = overrides.filter(|o| o["matcher"]["id"] == "byName");
    named.extend(by_name.map(|o| &o["matcher"]["options"]));
    let mut names: Vec<String> = named
        .into_iter()
        .filter_map(|name| Some(name.as_str()?.to_string()))
        .collect();
    for transformation in list(&panel["transformations"]) {
        let excluded = transformation["options"]["excludeByName"].as_object();
        names.extend(excluded.into_iter().flat_map(|e| e.keys().cloned()));
        let sorted = list(&transformation["options"]["sort"]).iter();
        names.extend(sorted.filter_map(|by| Some(by["field"].as_str()?.to_string())));
    }
    if options["reduceOptions"]["fields"] == "/^Time$/" {
        names.push("Time".to_string());
    }
    names
}
