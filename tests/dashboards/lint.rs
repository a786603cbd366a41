//! The dashboards' JSON by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use super::colours::COLOURS;
use super::grafana::{list, load, panels, references};
use crate::support::scratch::Scratch;

const DASHBOARDS: [&str; 3] = [
    "upgrade-responder.json",
    "upgrade-responder-prometheus.json",
    "service.json",
];
/// Panels that every Grafana from 10 on has built in.
const CORE: [&str; 8] = [
    "barchart",
    "geomap",
    "row",
    "stat",
    "state-timeline",
    "table",
    "text",
    "timeseries",
];
/// What Grafana itself puts into queries.
const MACROS: [&str; 4] = ["timeFilter", "__from", "__to", "__rate_interval"];
/// What Grafana itself puts into links.
const LINK_MACROS: [&str; 3] = ["__dashboard.uid", "__value.numeric", "__all_variables"];

/// Runs a check on each dashboard's panels other than rows.
fn each_panel(check: impl Fn(&Value, &str)) {
    for name in DASHBOARDS {
        let dashboard = load(name);
        for panel in panels(&dashboard) {
            if panel["type"] != "row" {
                check(panel, &format!("{name}: panel {}", panel["title"]));
            }
        }
    }
}

#[test]
fn dashboards_import_into_any_grafana_from_10_on() {
    let mut uids = BTreeSet::new();
    for name in DASHBOARDS {
        let dashboard = load(name);
        assert_eq!(dashboard["schemaVersion"], 39, "{name}");
        assert!(dashboard["__inputs"].is_null(), "{name}");
        assert!(dashboard["id"].is_null(), "{name}: the id is Grafana's");
        assert!(uids.insert(dashboard["uid"].to_string()), "{name}");
        let variables = list(&dashboard["templating"]["list"]);
        let sources = variables.iter().filter(|v| v["type"] == "datasource");
        let sources: Vec<_> = sources.map(|v| &v["name"]).collect();
        assert_eq!(sources, ["datasource"], "{name}");
    }
}

#[test]
fn panels_have_ids_of_their_own_and_do_not_overlap() {
    for name in DASHBOARDS {
        let dashboard = load(name);
        let mut ids = BTreeSet::new();
        let mut cells = BTreeMap::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {title}");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{name}: {title} is too wide");
            assert!(at("w") > 0 && at("h") > 0, "{name}: {title}");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    let before = cells.insert((x, y), title.to_string());
                    assert_eq!(before, None, "{name}: {title} lies on another panel");
                }
            }
        }
    }
}

#[test]
fn panels_say_what_they_show_and_in_which_unit() {
    each_panel(|panel, at| {
        let filled = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
        assert!(filled(&panel["title"]), "{at}: no title");
        assert!(filled(&panel["description"]), "{at}: no description");
        let kind = panel["type"].as_str().unwrap();
        assert!(CORE.contains(&kind), "{at}: {kind} is no core panel");
        if kind == "text" {
            return;
        }
        let defaults = &panel["fieldConfig"]["defaults"];
        assert!(filled(&defaults["unit"]), "{at}: no unit");
        assert!(filled(&defaults["noValue"]), "{at}: no text for no value");
    });
}

/// Before 12 Grafana takes an open end for zero, and then nothing matches.
#[test]
fn ranges_of_value_mappings_have_both_ends() {
    each_panel(|panel, at| {
        for mapping in list(&panel["fieldConfig"]["defaults"]["mappings"]) {
            if mapping["type"] == "range" {
                let ends = [&mapping["options"]["from"], &mapping["options"]["to"]];
                assert!(ends.iter().all(|end| end.is_number()), "{at}: {ends:?}");
            }
        }
    });
}

/// Otherwise the smallest value gets the smallest size, be it 1 of 1000 or 1000 of 1001.
#[test]
fn sizes_are_in_proportion_to_the_values() {
    each_panel(|panel, at| {
        let scaled = ["barchart", "geomap"]
            .iter()
            .any(|kind| panel["type"] == *kind);
        let least = &panel["fieldConfig"]["defaults"]["min"];
        assert!(!scaled || *least == 0, "{at}: from {least}");
    });
}

/// The last total of a version may be long ago, and the last period in the range never has one yet.
#[test]
fn legends_do_not_show_what_was_as_what_is() {
    let dashboard = load("upgrade-responder.json");
    for panel in panels(&dashboard) {
        let calcs = &panel["options"]["legend"]["calcs"];
        let last = list(calcs)
            .iter()
            .any(|c| *c == "lastNotNull" || *c == "last");
        assert!(!last, "{}: {calcs}", panel["title"]);
    }
}

#[test]
fn panels_ask_the_chosen_data_source() {
    each_panel(|panel, at| {
        if panel["type"] == "text" {
            return;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{at}");
        let mut refs = BTreeSet::new();
        assert!(!list(&panel["targets"]).is_empty(), "{at}: no query");
        for target in list(&panel["targets"]) {
            assert_eq!(target["datasource"], panel["datasource"], "{at}");
            assert!(refs.insert(target["refId"].to_string()), "{at}: {target}");
        }
    });
    for name in DASHBOARDS {
        let dashboard = load(name);
        for variable in list(&dashboard["templating"]["list"]) {
            if variable["type"] == "query" {
                assert_eq!(variable["datasource"]["uid"], "${datasource}", "{name}");
            }
        }
    }
}

#[test]
fn variables_are_defined_before_they_are_used() {
    for name in DASHBOARDS {
        let mut dashboard = load(name);
        let variables = dashboard["templating"]["list"].take();
        let macros = MACROS.iter().chain(&LINK_MACROS);
        let mut known: BTreeSet<String> = macros.map(|name| name.to_string()).collect();
        for variable in list(&variables) {
            let own = variable["name"].as_str().unwrap();
            assert_known(
                &variable["query"],
                &known,
                &format!("{name}: variable {own}"),
            );
            known.insert(own.to_string());
        }
        known.insert("datasource".to_string());
        assert_known(&dashboard, &known, name);
        let used = texts(&dashboard)
            .chain(texts(&variables))
            .flat_map(references);
        let used: BTreeSet<String> = used.map(|(name, _)| name).collect();
        for variable in list(&variables) {
            let own = variable["name"].as_str().unwrap();
            assert!(used.contains(own), "{name}: nothing uses variable {own}");
        }
    }
}

fn assert_known(value: &Value, known: &BTreeSet<String>, at: &str) {
    for text in texts(value) {
        for (variable, _) in references(text) {
            // The name of a series: `$tag_`, and a tag's name or a variable with it.
            let ok = known.contains(&variable) || variable.starts_with("tag_");
            assert!(ok, "{at}: unknown variable {variable} in {text}");
        }
    }
}

/// All strings within a value.
fn texts(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::String(text) => Box::new(std::iter::once(text.as_str())),
        Value::Array(members) => Box::new(members.iter().flat_map(texts)),
        Value::Object(members) => Box::new(members.values().flat_map(texts)),
        _ => Box::new(std::iter::empty()),
    }
}

#[test]
fn colours_can_be_told_apart_by_everybody() {
    each_panel(|panel, at| {
        for text in texts(&panel["fieldConfig"]) {
            let is_colour = text.len() == 7 && text.starts_with('#');
            assert!(!is_colour || COLOURS.contains(&text), "{at}: {text}");
            assert!(!["red", "green"].contains(&text), "{at}: {text}");
        }
        let defaults = &panel["fieldConfig"]["defaults"];
        if panel["type"] != "text" {
            let mode = defaults["color"]["mode"].as_str().unwrap();
            // One query has several series: InfluxDB 3.x knows no SLIMIT, which would give each a query of its own.
            let has_series = ["Versions over time", "${extra_tag} over time", "Servers"];
            let is_named = has_series.iter().any(|title| panel["title"] == *title);
            let expected = match is_named {
                true => &["palette-classic-by-name"][..],
                false => &["fixed", "thresholds"][..],
            };
            assert!(expected.contains(&mode), "{at}: {mode}");
        }
        // Series of one panel have colours of their own.
        let overrides = list(&panel["fieldConfig"]["overrides"]);
        let of = |o: &Value| {
            list(&o["properties"])
                .iter()
                .find(|p| p["id"] == "color")
                .cloned()
        };
        let colours: Vec<_> = overrides
            .iter()
            .filter_map(of)
            .map(|p| p.to_string())
            .collect();
        let distinct: BTreeSet<_> = colours.iter().collect();
        assert_eq!(distinct.len(), colours.len(), "{at}: a colour twice");
    });
}

#[test]
fn the_introduction_gives_the_attribution_that_the_geo_databases_ask_for() {
    let dashboard = load("upgrade-responder.json");
    let text = panels(&dashboard)[0]["options"]["content"]
        .as_str()
        .unwrap();
    assert!(text.contains("# Active installations"), "{text}");
    let maxmind = "This product includes GeoLite Data created by MaxMind, available from";
    assert!(text.contains(maxmind), "{text}");
    // The documents say who asks for it.
    let readme = include_str!("../../docs/configuration.md").replace("\n  ", " ");
    assert!(readme.contains(maxmind));
    assert!(text.contains("https://www.maxmind.com"), "{text}");
    assert!(
        text.contains("[IP Geolocation by DB-IP](https://db-ip.com)"),
        "{text}"
    );
}

/// The document's commands, into a folder of the test's own.
#[test]
fn provisioning_finds_the_dashboards_where_the_document_puts_them() {
    let scratch = Scratch::new();
    let (_, commands) = include_str!("../../docs/dashboards.md")
        .split_once("```sh\ncp -r dashboards ")
        .unwrap();
    let (commands, _) = commands.split_once("```").unwrap();
    let commands = format!("cp -r dashboards {commands}");
    let folder = scratch.path().display().to_string();
    // There need not be a Grafana to give the file to.
    for command in commands.lines().filter(|line| !line.starts_with("chown")) {
        let status = Command::new("sh")
            .arg("-c")
            .arg(command.replace("/etc/grafana", &folder))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(status.unwrap().success(), "{command}");
    }
    let provider =
        fs::read_to_string(scratch.join("provisioning/dashboards/upgrade-responder.yaml"));
    assert!(
        provider
            .unwrap()
            .contains("path: /etc/grafana/dashboards\n")
    );
    for name in DASHBOARDS {
        assert!(scratch.join("dashboards").join(name).exists(), "{name}");
    }
    let sources = scratch.join("provisioning/datasources/upgrade-responder.yaml");
    let mode = fs::metadata(&sources).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "it may hold a password");
    let sources = fs::read_to_string(sources).unwrap();
    for (name, kind) in DASHBOARDS.iter().zip(["influxdb", "prometheus"]) {
        assert!(sources.contains(&format!("type: {kind}\n")), "{kind}");
        // The dashboard chooses it by itself where it is there.
        let chosen = &load(name)["templating"]["list"][0]["current"];
        let (text, uid) = (chosen["text"].as_str(), chosen["value"].as_str());
        let entry = format!("- name: {}\n    uid: {}\n", text.unwrap(), uid.unwrap());
        assert!(sources.contains(&entry), "{entry}");
    }
}
