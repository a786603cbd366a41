//! Descriptions, for the log, of what a reload changed in the rules. This module only compares.
//!
//! Two rules count as the same one if they have the same name, or, without names, the same number.

use super::{Rule, Rules};

/// The differences between two sets of rules, one phrase each.
pub fn describe(old: &Rules, new: &Rules) -> Vec<String> {
    let mut changes = Vec::new();
    for rule in new.iter() {
        match old.iter().find(|before| is_same(before, rule)) {
            None => changes.push(format!("{} added ({rule})", rule.title())),
            Some(before) if differs(before, rule) => {
                changes.push(format!("{} changed ({rule})", rule.title()));
            }
            Some(_) => {}
        }
    }
    for rule in old.iter() {
        if !new.iter().any(|after| is_same(rule, after)) {
            changes.push(format!("{} removed", rule.title()));
        }
    }
    if changes.is_empty() && old != new {
        changes.push("rules in another order".to_owned());
    }
    changes
}

fn is_same(one: &Rule, other: &Rule) -> bool {
    match (&one.name, &other.name) {
        (None, None) => one.number == other.number,
        (one, other) => one == other,
    }
}

/// Whether the rules differ in more than their number.
fn differs(before: &Rule, after: &Rule) -> bool {
    let before = Rule {
        number: after.number,
        ..before.clone()
    };
    before != *after
}
