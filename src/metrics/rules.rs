//! Counters of the rules of the current response config. There are as many as rules.

use std::sync::{Arc, Mutex, PoisonError};

use super::Counter;

/// Counters of the rules of the current snapshot.
#[derive(Debug, Default)]
pub struct RuleMetrics(Mutex<Vec<Arc<RuleCounters>>>);

/// Counters of one rule. A rule that keeps its number and name across a reload keeps its counters.
#[derive(Debug)]
pub struct RuleCounters {
    /// Number of the rule, from 1.
    pub number: usize,
    /// Name that the operator gave the rule; may be empty.
    pub name: String,
    pub decided: Counter,
    pub let_through: Counter,
}

impl RuleCounters {
    pub fn new(number: usize, name: &str) -> RuleCounters {
        RuleCounters {
            number,
            name: name.to_owned(),
            decided: Counter::default(),
            let_through: Counter::default(),
        }
    }
}

impl RuleMetrics {
    /// Replaces the rules whose counters are shown.
    pub fn show(&self, counters: &[Arc<RuleCounters>]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counters.to_vec();
    }

    pub fn shown(&self) -> Vec<Arc<RuleCounters>> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clone()
    }
}
