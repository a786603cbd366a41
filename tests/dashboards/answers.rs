//! What the README's picture is drawn from.

use serde_json::{Value, json};

use super::grafana::{View, list, panels};
use super::installations::NOW;
use super::played::{RANGE, fixed, query};
use crate::support::influx::Influx;
use crate::support::server::DATABASE;

/// The answers to the queries of each panel, and what it takes to draw them.
pub fn answers(influx: &Influx, view: &View, dashboard: &Value) -> Value {
    let drawn = panels(dashboard).into_iter().map(|panel| {
        let targets = list(&panel["targets"]).iter().map(|target| {
            let rows = influx.select(DATABASE, &fixed(&query(view, target)));
            let alias = target["alias"].as_str().unwrap_or_default();
            // The tag of a series is not the view's to know.
            let alias = match alias.starts_with("$tag_") {
                true => alias.to_string(),
                false => view.expand(alias),
            };
            json!({"refId": target["refId"], "alias": alias, "rows": rows})
        });
        let targets: Vec<Value> = targets.collect();
        let expand = |key: &str| view.expand(panel[key].as_str().unwrap());
        let intro = panel["options"]["content"].as_str().unwrap_or_default();
        json!({
            "title": expand("title"), "type": panel["type"], "gridPos": panel["gridPos"],
            "unit": panel["fieldConfig"]["defaults"]["unit"], "targets": targets,
            "overrides": panel["fieldConfig"]["overrides"], "content": view.expand(intro),
        })
    });
    json!({"now": NOW, "from": RANGE.0, "panels": drawn.collect::<Vec<_>>()})
}
