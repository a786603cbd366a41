//! What a reload changed, in the words of the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Snapshot;
use super::response::ResponseConfig;
use super::schema::RequestSchema;

/// The differences between two snapshots, one phrase each; none where they are equal.
pub fn describe(old: &Snapshot, new: &Snapshot) -> Vec<String> {
    let mut changes = versions(&old.response, &new.response);
    changes.extend(schema(old.schema.as_ref(), new.schema.as_ref()));
    changes.extend(geodb(old, new));
    changes
}

fn versions(old: &ResponseConfig, new: &ResponseConfig) -> Vec<String> {
    let find = |config: &ResponseConfig, name: &str| {
        config
            .versions()
            .iter()
            .find(|version| version.name == name)
            .cloned()
    };
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    for version in new.versions() {
        match find(old, &version.name) {
            None => added.push(version.name.as_str()),
            Some(before) if before != *version => changed.push(version.name.as_str()),
            Some(_) => {}
        }
    }
    let gone = old
        .versions()
        .iter()
        .filter(|version| find(new, &version.name).is_none());
    let removed: Vec<&str> = gone.map(|version| version.name.as_str()).collect();
    let mut changes = Vec::new();
    changes.extend(list("versions added", &added));
    changes.extend(list("versions removed", &removed));
    changes.extend(list("versions changed", &changed));
    if old.latest().name != new.latest().name {
        changes.push(format!("latest is now {:?}", new.latest().name));
    } else if changes.is_empty() && old.render_answer(0) != new.render_answer(0) {
        changes.push("versions in another order".to_owned());
    }
    changes
}

fn schema(old: Option<&RequestSchema>, new: Option<&RequestSchema>) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let keys = |schema: Option<&RequestSchema>| -> BTreeSet<String> {
        let Some(schema) = schema else {
            return BTreeSet::new();
        };
        let tags = schema
            .tag_keys()
            .into_iter()
            .map(|key| format!("tag {key}"));
        let fields = schema
            .field_keys()
            .into_iter()
            .map(|key| format!("field {key}"));
        tags.chain(fields).collect()
    };
    let (old, new) = (keys(old), keys(new));
    let mut changes = Vec::new();
    let added: Vec<&str> = new.difference(&old).map(String::as_str).collect();
    let removed: Vec<&str> = old.difference(&new).map(String::as_str).collect();
    changes.extend(list("schema keys added", &added));
    changes.extend(list("schema keys removed", &removed));
    if changes.is_empty() {
        changes.push("schema types or lengths changed".to_owned());
    }
    changes
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
    /// A line of the log is no place for hundreds of names.
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
