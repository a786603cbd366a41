//! The Prometheus text format: how a metric is written, each with the program's name before its own.
//! Which metrics there are is the business of [`super::metrics_page`].
//!
//! Names, helps and most labels are written as they are: they come from the source. What an operator or a client
//! chose is escaped.

use std::fmt::Write;
use std::sync::Arc;

use crate::metrics::{BUCKETS, Counter, Histogram, RuleCounters};

/// What Prometheus asks for.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One value of a gauge, for all or for one value of a label.
pub struct Sample {
    /// The label and its value, as a client or the operator wrote it.
    pub label: Option<(String, String)>,
    pub value: f64,
}

/// The text of a page. A String takes every write.
pub struct Page(String);

impl Page {
    pub fn new() -> Page {
        Page(String::with_capacity(8 * 1024))
    }

    pub fn into_text(self) -> String {
        self.0
    }

    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        let _ = writeln!(self.0, "upgrade_responder_{name} {value}");
    }

    pub fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, help, "gauge");
        let _ = writeln!(self.0, "upgrade_responder_{name} {value}");
    }

    /// A counter for each value of a label.
    pub fn family(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, help, "counter");
        for (of, value) in values {
            let _ = writeln!(
                self.0,
                "upgrade_responder_{name}{{{label}=\"{of}\"}} {value}"
            );
        }
    }

    /// A counter for each rule, by number and, where it has one, the operator's name of it.
    pub fn by_rule(
        &mut self,
        name: &str,
        help: &str,
        rules: &[Arc<RuleCounters>],
        counter: impl Fn(&RuleCounters) -> &Counter,
    ) {
        self.head(name, help, "counter");
        for rule in rules {
            let _ = write!(self.0, "upgrade_responder_{name}{{rule=\"{}\"", rule.number);
            if !rule.name.is_empty() {
                let _ = write!(self.0, ",name=\"{}\"", escaped(&rule.name));
            }
            let _ = writeln!(self.0, "}} {}", counter(rule).get());
        }
    }

    /// A gauge with a sample for each value of some labels.
    pub fn samples(&mut self, name: &str, help: &str, samples: &[Sample]) {
        self.head(name, help, "gauge");
        for Sample { label, value } in samples {
            let _ = write!(self.0, "upgrade_responder_{name}");
            if let Some((label, of)) = label {
                let _ = write!(self.0, "{{{}=\"{}\"}}", label_name(label), escaped(of));
            }
            let _ = writeln!(self.0, " {value}");
        }
    }

    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, help, "histogram");
        let counts = histogram.counts();
        let mut total = 0;
        for (count, bound) in counts.iter().zip(BUCKETS) {
            total += count;
            let _ = writeln!(
                self.0,
                "upgrade_responder_{name}_bucket{{le=\"{bound}\"}} {total}"
            );
        }
        total += counts[BUCKETS.len()];
        let _ = writeln!(
            self.0,
            "upgrade_responder_{name}_bucket{{le=\"+Inf\"}} {total}"
        );
        let _ = writeln!(
            self.0,
            "upgrade_responder_{name}_sum {}",
            histogram.sum_seconds()
        );
        let _ = writeln!(self.0, "upgrade_responder_{name}_count {total}");
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP upgrade_responder_{name} {help}");
        let _ = writeln!(self.0, "# TYPE upgrade_responder_{name} {kind}");
    }
}

/// The name of a label: letters, digits and `_`, without a digit in front.
fn label_name(text: &str) -> String {
    let sound = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = text.chars().map(sound).collect();
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
