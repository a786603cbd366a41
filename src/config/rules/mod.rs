//! The rules of a response config: which versions are supported for which client. They are those of Rancher
//! Desktop's fork of the original, with additions.
//!
//! The first rule decides whose criteria all hold and which does not let the client through. The answers, one for
//! each rule and one for no rule, are rendered when the config is loaded, not for each check-in. A rule must never
//! change what is recorded of a check-in, and this module must never store or write a client's address.

pub mod changes;
pub mod client;
mod comparator;
pub mod constraint;
pub mod criteria;
pub mod effects;
pub mod fit;
mod grammar;
mod numbers;
pub mod reach;
mod reader;
pub mod rollout;
pub mod said;
mod samples;
mod splice;
pub mod wanted;

use std::collections::HashMap;
use std::fmt;

use client::Client;
use constraint::Constraint;
use criteria::{Criterion, Key};
use rollout::Rollout;

pub(super) use reader::read;

/// Rules of a config at most, because each has its own answer in memory.
pub(super) const MOST_RULES: usize = 1000;

/// All rules, in the operator's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    needs: Needs,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Position in the operator's order, from 1.
    pub number: usize,
    pub name: Option<String>,
    /// A rule without criteria holds for every client.
    pub criteria: Vec<Criterion>,
    /// Which versions are supported.
    pub versions: Constraint,
    /// Text added to each unsupported version.
    pub reason: Option<String>,
    /// Whether unsupported versions are left out of the answer.
    pub hide: bool,
    pub rollout: Option<Rollout>,
    /// Keys that have no effect, as the operator wrote them.
    pub without_effect: Vec<String>,
}

/// The data about a client that the rules need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub platform: bool,
    pub country: bool,
    pub address: bool,
    /// Number of distinct tags and fields that criteria name.
    pub keys: usize,
}

/// The result of a rule for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A criterion does not hold.
    DoesNotFit,
    /// The criteria hold, but the roll-out lets the client through to the next rules.
    LetsThrough,
    /// The client gets this rule's answer.
    Decides,
}

impl Rules {
    pub(super) fn new(mut rules: Vec<Rule>) -> Rules {
        let keys = number_keys(&mut rules);
        let any = |is: &dyn Fn(&Key) -> bool| {
            let mut criteria = rules.iter().flat_map(|rule| &rule.criteria);
            criteria.any(|criterion| is(&criterion.key))
        };
        let needs = Needs {
            platform: any(&Key::is_platform),
            country: any(&|key| *key == Key::Country),
            address: rules.iter().any(|rule| rule.rollout.is_some()),
            keys,
        };
        Rules { rules, needs }
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub fn needs(&self) -> Needs {
        self.needs
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.rules.iter()
    }

    /// The index of the rule that decides. `let_through` is called with the index of each earlier rule that lets
    /// the client through.
    pub fn decide(&self, client: &Client<'_>, mut let_through: impl FnMut(usize)) -> Option<usize> {
        for (index, rule) in self.rules.iter().enumerate() {
            match rule.verdict(client) {
                Verdict::DoesNotFit => {}
                Verdict::LetsThrough => let_through(index),
                Verdict::Decides => return Some(index),
            }
        }
        None
    }

    /// The rule that decides; `outcome` is its index.
    pub fn get(&self, outcome: Option<usize>) -> Option<&Rule> {
        self.rules.get(outcome?)
    }
}

impl Rule {
    pub fn verdict(&self, client: &Client<'_>) -> Verdict {
        if self.asks_for_platform() && client.platform.is_none() {
            return Verdict::DoesNotFit;
        }
        if !self
            .criteria
            .iter()
            .all(|criterion| criterion.holds(client))
        {
            return Verdict::DoesNotFit;
        }
        match &self.rollout {
            Some(rollout) if rollout.lets_through(client.address, client.now) => {
                Verdict::LetsThrough
            }
            _ => Verdict::Decides,
        }
    }

    /// Whether a criterion names a part of the platform. As in the fork, such a rule needs the whole platform.
    pub fn asks_for_platform(&self) -> bool {
        self.criteria.iter().any(|c| c.key.is_platform())
    }

    /// `rule 2 "brake"`
    pub fn title(&self) -> String {
        title(self.number, self.name.as_deref())
    }
}

/// Gives each distinct key of a tag or field a slot, and returns the number of slots.
fn number_keys(rules: &mut [Rule]) -> usize {
    let mut slots: HashMap<String, usize> = HashMap::new();
    for criterion in rules.iter_mut().flat_map(|rule| &mut rule.criteria) {
        if let Key::Extra(key) = &criterion.key {
            let next = slots.len();
            criterion.slot = *slots.entry(key.clone()).or_insert(next);
        }
    }
    slots.len()
}

fn title(number: usize, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("rule {number} {name:?}"),
        None => format!("rule {number}"),
    }
}

/// The rule's effect in words, without its title.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let criteria: Vec<String> = self.criteria.iter().map(Criterion::to_string).collect();
        match criteria.as_slice() {
            [] => f.write_str("for every client")?,
            criteria => write!(f, "for clients with {}", criteria.join(" and "))?,
        }
        write!(
            f,
            " only versions {:?} are supported",
            self.versions.as_str()
        )?;
        if self.hide {
            f.write_str(", others are hidden")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, ", reason {reason:?}")?;
        }
        match &self.rollout {
            Some(rollout) => write!(f, "; {rollout}"),
            None => Ok(()),
        }
    }
}
