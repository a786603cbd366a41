//! Estimates, from the totals of a period, how many installations each version is offered to.
//!
//! The installations of each version pass the rules in order. A rule with criteria for the version only takes all of
//! them. A rule with other criteria may take some: at most as many as the ledger counts for these criteria.

use std::fmt;

use jiff::Timestamp;

use super::installations::Installations;
use crate::config::response::ResponseConfig;
use crate::config::rules::Rule;
use crate::config::rules::criteria::{Criterion, Key};
use crate::config::rules::effects::{Offer, offer};
use crate::config::rules::said::{self, Said};
use crate::line::snake::snake_case;

/// The least and the greatest possible number of installations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub least: f64,
    pub most: f64,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.least.round(), self.most.round());
        match least == most {
            true => write!(f, "{least}"),
            false => write!(f, "between {least} and {most}"),
        }
    }
}

/// Whether a rule fits the installations of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fits {
    No,
    Perhaps,
    All,
}

/// The numbers of installations that each version of the config is offered to, in its order.
pub fn ranges(
    config: &ResponseConfig,
    installations: &Installations<'_>,
    now: Timestamp,
) -> Vec<Range> {
    let rules: Vec<&Rule> = config.rules().iter().collect();
    let walked: Vec<Walked> = installations
        .versions
        .iter()
        .map(|(version, count)| walk(&rules, version, *count, now))
        .collect();
    let limits: Vec<f64> = rules
        .iter()
        .map(|rule| limit(rule, installations) * held(rule, now))
        .collect();
    let versions = config.versions().iter();
    versions
        .map(|version| {
            let is_offered = |rule: Option<usize>| {
                offer(rule.map(|rule| rules[rule]), version) == Offer::Supported
            };
            let (mut base, mut lost, mut won) = (0.0, Doubt::new(&limits), Doubt::new(&limits));
            for walked in &walked {
                let taken = walked.taken.iter().filter(|(rule, _)| is_offered(*rule));
                let offered: f64 = taken.map(|(_, count)| count).sum();
                base += offered;
                let (takes, gives): (Vec<_>, Vec<_>) = walked
                    .perhaps
                    .iter()
                    .partition(|(rule, _)| !is_offered(Some(*rule)));
                lost.add(&takes, offered);
                won.add(&gives, walked.count - offered);
            }
            Range {
                least: base - lost.most(),
                most: base + won.most(),
            }
        })
        .collect()
}

/// The most installations that rules which perhaps fit can move.
struct Doubt<'a> {
    limits: &'a [f64],
    by_rule: Vec<f64>,
    /// The most without the limits; no installation is moved twice.
    all: f64,
}

impl<'a> Doubt<'a> {
    fn new(limits: &'a [f64]) -> Doubt<'a> {
        Doubt {
            limits,
            by_rule: vec![0.0; limits.len()],
            all: 0.0,
        }
    }

    /// Adds rules that may each move some of `there` installations.
    fn add(&mut self, rules: &[(usize, f64)], there: f64) {
        for (rule, most) in rules {
            self.by_rule[*rule] += most.min(there);
        }
        let most: f64 = rules.iter().map(|(_, most)| most).sum();
        self.all += most.min(there);
    }

    fn most(&self) -> f64 {
        let limited = self.by_rule.iter().zip(self.limits);
        let limited: f64 = limited.map(|(count, limit)| count.min(*limit)).sum();
        limited.min(self.all)
    }
}

/// How the rules divide the installations of one version.
struct Walked {
    count: f64,
    /// Numbers by the rule that takes them, if rules that perhaps fit take none.
    taken: Vec<(Option<usize>, f64)>,
    /// Numbers by a rule that may take them.
    perhaps: Vec<(usize, f64)>,
}

fn walk(rules: &[&Rule], app_version: &str, count: f64, now: Timestamp) -> Walked {
    let mut walked = Walked {
        count,
        taken: Vec::new(),
        perhaps: Vec::new(),
    };
    let mut left = count;
    for (index, rule) in rules.iter().enumerate() {
        let held = left * held(rule, now);
        match fits(rule, app_version) {
            Fits::No => {}
            Fits::Perhaps => walked.perhaps.push((index, held)),
            Fits::All => {
                walked.taken.push((Some(index), held));
                left -= held;
            }
        }
    }
    walked.taken.push((None, left));
    walked
}

/// The share of clients for whom a rule holds now.
fn held(rule: &Rule, now: Timestamp) -> f64 {
    let rollout = rule.rollout.as_ref();
    1.0 - rollout.map_or(0.0, |rollout| rollout.share_at(now))
}

fn fits(rule: &Rule, app_version: &str) -> Fits {
    let version = said::version(app_version);
    let mut fits = Fits::All;
    for criterion in &rule.criteria {
        if criterion.key != Key::AppVersion {
            fits = Fits::Perhaps;
            continue;
        }
        let is_met = |version| {
            criterion
                .wanted
                .iter()
                .any(|wanted| wanted.is_met_by(version))
        };
        match &version {
            Some(version) if is_met(version) => {}
            // `other` stands for several versions.
            None if app_version == "other" => fits = Fits::Perhaps,
            _ => return Fits::No,
        }
    }
    fits
}

/// The most installations that meet the criteria of a rule other than its version.
fn limit(rule: &Rule, installations: &Installations<'_>) -> f64 {
    let counted = rule
        .criteria
        .iter()
        .filter_map(|criterion| with(criterion, installations));
    counted.fold(installations.total, f64::min)
}

/// The number of installations that meet a criterion; `None` if the ledger does not count by it.
fn with(criterion: &Criterion, installations: &Installations<'_>) -> Option<f64> {
    let accepts = |text: &str| {
        let said = Said::Text(text);
        criterion.wanted.iter().any(|wanted| wanted.accepts(said))
    };
    match &criterion.key {
        Key::AppVersion | Key::PlatformVersion => None,
        Key::Country => installations.with("country", accepts),
        Key::Platform => {
            let part = |text: &str| text.split('-').next().is_some_and(accepts);
            installations.with("platform", part)
        }
        Key::Arch => {
            let part = |text: &str| text.split('-').nth(1).is_some_and(accepts);
            installations.with("platform", part)
        }
        Key::Extra(key) => installations.with(&snake_case(key), accepts),
    }
}
