//! The text of an explanation: a block for each rule, up to the one that decides, and the answer.

use std::fmt::Write;

use crate::config::Snapshot;
use crate::config::response::Version;
use crate::config::rules::client::Client;
use crate::config::rules::effects::{Offer, offer};
use crate::config::rules::rollout::{self, Rollout};
use crate::config::rules::{Rule, Rules, Verdict};

/// Writes whether each rule fits the client, and returns the index of the one that decides.
pub fn rules(rules: &Rules, client: &Client<'_>, text: &mut String) -> Option<usize> {
    if rules.is_empty() {
        text.push_str("no rules: every client gets the same answer\n");
        return None;
    }
    for (index, rule) in rules.iter().enumerate() {
        let verdict = rule.verdict(client);
        let what = match verdict {
            Verdict::DoesNotFit => "does not fit",
            Verdict::LetsThrough => "fits, but lets this client through",
            Verdict::Decides => "fits and decides",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {what}: {rule}", rule.title());
        criteria(rule, client, text);
        if let (Some(rollout), true) = (&rule.rollout, verdict != Verdict::DoesNotFit) {
            share(rollout, client, text);
        }
        if verdict == Verdict::Decides {
            return Some(index);
        }
    }
    text.push_str("no rule decides: every version is supported\n");
    None
}

fn criteria(rule: &Rule, client: &Client<'_>, text: &mut String) {
    let usable = !rule.asks_for_platform() || client.platform.is_some();
    for criterion in &rule.criteria {
        let holds = criterion.holds(client) && (usable || !criterion.key.is_platform());
        let word = if holds { "holds" } else { "fails" };
        let found = criterion.found(client);
        let _ = writeln!(text, "  {word}: {criterion}, found {found}");
    }
}

fn share(rollout: &Rollout, client: &Client<'_>, text: &mut String) {
    let share = rollout.share_at(client.now) * 100.0;
    let place = match client.address {
        Some(address) => format!(
            "this client is let through above {:.2} %",
            rollout::place_of(address, &rollout.seed) * 100.0
        ),
        None => "this client is let through at 100 %, without an address (--forwarded-for)".into(),
    };
    let _ = writeln!(
        text,
        "  share: {share:.2} % of the clients are let through now; {place}"
    );
}

/// Writes the answer as the client gets it.
pub fn answer(snapshot: &Snapshot, outcome: Option<usize>, text: &mut String) {
    let body = snapshot.body_of(outcome);
    let _ = writeln!(text, "{}", String::from_utf8_lossy(body));
}

/// Writes what another config changes for the client, version by version.
pub fn differences(
    ours: &Snapshot,
    our_outcome: Option<usize>,
    theirs: &Snapshot,
    their_outcome: Option<usize>,
    text: &mut String,
) {
    if ours.body_of(our_outcome) == theirs.body_of(their_outcome) {
        text.push_str("changes nothing for this client\n");
        return;
    }
    let show = |snapshot: &Snapshot, outcome, version: &Version| {
        offer(snapshot.response.rules().get(outcome), version)
    };
    let mut changes = String::new();
    for version in theirs.response.versions() {
        let now = show(theirs, their_outcome, version);
        let before = find(ours, &version.name).map(|old| show(ours, our_outcome, old));
        let _ = match before {
            None => writeln!(
                changes,
                "change: {:?} is new, {}",
                version.name,
                now.as_str()
            ),
            Some(before) if before != now => {
                change(&mut changes, &version.name, before, now);
                Ok(())
            }
            Some(_) => Ok(()),
        };
    }
    for version in ours.response.versions() {
        if find(theirs, &version.name).is_none() {
            let _ = writeln!(changes, "change: {:?} is removed", version.name);
        }
    }
    if changes.is_empty() {
        changes.push_str("change: only other keys of the versions; compare the answers\n");
    }
    text.push_str(&changes);
}

fn change(text: &mut String, name: &str, before: Offer, now: Offer) {
    let (before, now) = (before.as_str(), now.as_str());
    let _ = writeln!(text, "change: {name:?} is {now}, was {before}");
}

fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Version> {
    let mut versions = snapshot.response.versions().iter();
    versions.find(|version| version.name == name)
}
