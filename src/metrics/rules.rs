//! The counters of the rules of the response config in use: as many as there are rules.

use std::sync::{Arc, Mutex, PoisonError};

use super::Counter;

/// The rules of the snapshot in use.
#[derive(Debug, Default)]
pub struct RuleMetrics(Mutex<Vec<Arc<RuleCounters>>>);

/// What one rule did to check-ins. A rule that keeps its number and its name keeps its counters.
#[derive(Debug)]
pub struct RuleCounters {
    /// From 1.
    pub number: usize,
    /// The operator's name of it; may be empty.
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
    /// Shows the counters of these rules from now on.
    pub fn show(&self, counters: &[Arc<RuleCounters>]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counters.to_vec();
    }

    pub fn shown(&self) -> Vec<Arc<RuleCounters>> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clone()
    }
}
