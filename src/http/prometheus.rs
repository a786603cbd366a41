//! The Prometheus text format. Each metric's name begins with the program's. [`super::metrics_page`] decides which
//! metrics there are.
//!
//! Names, descriptions and most labels come from the source and are written unchanged. Text of an operator or a client
//! must be escaped.

use std::fmt::Write;
use std::sync::Arc;

use crate::metrics::{BUCKETS, Counter, Histogram, RuleCounters};

/// The content type that Prometheus expects.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One value of a gauge: of all, or of one value of a label.
pub struct Sample {
    /// The label and its value, as a client or the operator wrote it.
    pub label: Option<(String, String)>,
    pub value: f64,
}

/// The text of a page. Writing to a String cannot fail.
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

    /// A counter for each rule, by its number and, where it has one, its name.
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

    /// A gauge with several samples.
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

/// A text as the name of a label: letters, digits and `_`, not beginning with a digit.
fn label_name(text: &str) -> String {
    let sound = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = text.chars().map(sound).collect();
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

/// A text as the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
