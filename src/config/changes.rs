//! Descriptions, for the log, of what a reload changed. This module only compares two snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Snapshot;
use super::response::{ResponseConfig, Version};
use super::rules;
use super::schema::{KeySchema, RequestSchema};

/// The differences between two snapshots, one phrase each.
pub fn describe(old: &Snapshot, new: &Snapshot) -> Vec<String> {
    let mut changes = versions(&old.response, &new.response);
    changes.extend(rules::changes::describe(
        old.response.rules(),
        new.response.rules(),
    ));
    changes.extend(schema(old.schema.as_ref(), new.schema.as_ref()));
    changes.extend(geodb(old, new));
    changes
}

fn versions(old: &ResponseConfig, new: &ResponseConfig) -> Vec<String> {
    let by_name = |config: &'_ ResponseConfig| -> BTreeMap<String, Version> {
        let versions = config.versions().iter();
        versions.map(|v| (v.name.clone(), v.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    // In the operator's order.
    for version in new.versions() {
        match before.get(&version.name) {
            None => added.push(version.name.as_str()),
            Some(before) if before != version => changed.push(version.name.as_str()),
            Some(_) => {}
        }
    }
    let names = old.versions().iter().map(|version| version.name.as_str());
    let removed: Vec<&str> = names.filter(|name| !after.contains_key(*name)).collect();
    let mut changes = Vec::new();
    changes.extend(list("versions added", &added));
    changes.extend(list("versions removed", &removed));
    changes.extend(list("versions changed", &changed));
    if old.latest().name != new.latest().name {
        changes.push(format!("latest is now {:?}", new.latest().name));
    } else if changes.is_empty() && !old.versions().iter().eq(new.versions()) {
        changes.push("versions in another order".to_owned());
    }
    changes
}

fn schema(old: Option<&RequestSchema>, new: Option<&RequestSchema>) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let (old, new) = (rules(old), rules(new));
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    for (key, rule) in &new {
        match old.get(key) {
            None => added.push(key.as_str()),
            Some(before) if before != rule => changed.push(key.as_str()),
            Some(_) => {}
        }
    }
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let removed: Vec<&str> = gone.map(String::as_str).collect();
    let mut changes = Vec::new();
    changes.extend(list("schema keys added", &added));
    changes.extend(list("schema keys removed", &removed));
    changes.extend(list("schema keys changed", &changed));
    changes
}

/// The schema of each key, by kind and key: `tag hostArch`.
fn rules(schema: Option<&RequestSchema>) -> BTreeMap<String, KeySchema> {
    let Some(schema) = schema else {
        return BTreeMap::new();
    };
    let mut rules = BTreeMap::new();
    rules.insert("appVersion".to_owned(), schema.app_version().clone());
    for (kind, keys) in [("tag", schema.tags()), ("field", schema.fields())] {
        for (key, rule) in keys {
            rules.insert(format!("{kind} {key}"), rule.clone());
        }
    }
    rules
}

fn geodb(old: &Snapshot, new: &Snapshot) -> Option<String> {
    let (Some(old), Some(new)) = (&old.geodb, &new.geodb) else {
        return None;
    };
    if Arc::ptr_eq(old, new) {
        return None;
    }
    Some(format!("geo database is now {}", new.describe()))
}

fn list(what: &str, names: &[&str]) -> Option<String> {
    /// Names in one phrase, so that log lines stay readable.
    const MOST: usize = 20;
    if names.is_empty() {
        return None;
    }
    let mut shown: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| format!("{name:?}"))
        .collect();
    if names.len() > MOST {
        shown.push(format!("and {} more", names.len() - MOST));
    }
    Some(format!("{what}: {}", shown.join(" ")))
}
