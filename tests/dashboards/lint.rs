//! The JSON of the dashboards. If these tests failed, Grafana would refuse a dashboard, or show it with missing units,
//! overlapping panels or indistinguishable colours.

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
/// Panel types that are built into Grafana 10 and later.
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
/// Variables in queries that Grafana defines.
const MACROS: [&str; 4] = ["timeFilter", "__from", "__to", "__rate_interval"];
/// Variables in links that Grafana defines.
const LINK_MACROS: [&str; 3] = ["__dashboard.uid", "__value.numeric", "__all_variables"];

/// Runs a check on the panels of each dashboard, without rows.
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
        assert!(dashboard["id"].is_null(), "{name}: Grafana assigns the id");
        assert!(uids.insert(dashboard["uid"].to_string()), "{name}");
        let variables = list(&dashboard["templating"]["list"]);
        let sources = variables.iter().filter(|v| v["type"] == "datasource");
        let sources: Vec<_> = sources.map(|v| &v["name"]).collect();
        assert_eq!(sources, ["datasource"], "{name}");
    }
}

#[test]
fn panels_have_unique_ids_and_do_not_overlap() {
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
fn panels_have_a_title_a_description_and_a_unit() {
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

/// Grafana before 12 treats an open end as zero, so that nothing matches.
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

/// Without `min` 0, the smallest value gets the smallest size, even if the largest is about the same.
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

/// The last total of a version may be old, and the current period has none yet.
#[test]
fn legends_do_not_show_old_values_as_current() {
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
            // `$tag_` followed by the name of a tag is the name of a series.
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
fn panels_use_only_the_distinguishable_colours() {
    each_panel(|panel, at| {
        for text in texts(&panel["fieldConfig"]) {
            let is_colour = text.len() == 7 && text.starts_with('#');
            assert!(!is_colour || COLOURS.contains(&text), "{at}: {text}");
            assert!(!["red", "green"].contains(&text), "{at}: {text}");
        }
        let defaults = &panel["fieldConfig"]["defaults"];
        if panel["type"] != "text" {
            let mode = defaults["color"]["mode"].as_str().unwrap();
            // One query returns several series. Separate queries would need SLIMIT, which InfluxDB 3.x does not support.
            let has_series = ["Versions over time", "${extra_tag} over time", "Servers"];
            let is_named = has_series.iter().any(|title| panel["title"] == *title);
            let expected = match is_named {
                true => &["palette-classic-by-name"][..],
                false => &["fixed", "thresholds"][..],
            };
            assert!(expected.contains(&mode), "{at}: {mode}");
        }
        // No two series of a panel have the same colour.
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
fn the_introduction_has_the_attribution_that_the_geo_databases_require() {
    let dashboard = load("upgrade-responder.json");
    let text = panels(&dashboard)[0]["options"]["content"]
        .as_str()
        .unwrap();
    assert!(text.contains("# Active installations"), "{text}");
    let maxmind = "This product includes GeoLite Data created by MaxMind, available from";
    assert!(text.contains(maxmind), "{text}");
    // The documents have the same attribution.
    let readme = include_str!("../../docs/configuration.md").replace("\n  ", " ");
    assert!(readme.contains(maxmind));
    assert!(text.contains("https://www.maxmind.com"), "{text}");
    assert!(
        text.contains("[IP Geolocation by DB-IP](https://db-ip.com)"),
        "{text}"
    );
}

/// Runs the commands of docs/dashboards.md with a folder of the test instead of /etc/grafana.
#[test]
fn provisioning_finds_the_dashboards_where_the_document_puts_them() {
    let scratch = Scratch::new();
    let (_, commands) = include_str!("../../docs/dashboards.md")
        .split_once("```sh\ncp -r dashboards ")
        .unwrap();
    let (commands, _) = commands.split_once("```").unwrap();
    let commands = format!("cp -r dashboards {commands}");
    let folder = scratch.path().display().to_string();
    // Without `chown`: the user `grafana` may not exist.
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
        // The dashboard selects this data source if it exists.
        let chosen = &load(name)["templating"]["list"][0]["current"];
        let (text, uid) = (chosen["text"].as_str(), chosen["value"].as_str());
        let entry = format!("- name: {}\n    uid: {}\n", text.unwrap(), uid.unwrap());
        assert!(sources.contains(&entry), "{entry}");
    }
}
