//! What a reload changed in the rules, in the words of the log.
//!
//! A rule is the same one where its name is, or, without a name, its number.

use super::{Rule, Rules};

/// The differences, one phrase each; none where there are none.
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

/// But for its place.
fn differs(before: &Rule, after: &Rule) -> bool {
    let before = Rule {
        number: after.number,
        ..before.clone()
    };
    before != *after
}
