//! `upgrade-responder check-config`: shows what `start` would serve, and every problem in the files.
//!
//! It never binds, locks or writes anything, so it can run beside the server.

mod online;

use std::fmt::Write;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{Access, access};

use super::connect::connect;
use super::error::RunError;
use super::{offers, settings};
use crate::config::Snapshot;
use crate::config::response::{self, ResponseConfig};
use crate::config::schema::RequestSchema;
use crate::config::warnings::warnings;
use crate::config::watch::Fingerprints;
use crate::delivery::protocol::Protocol;
use crate::service::influx_options::InfluxOptions;
use crate::service::options::StartOptions;
use crate::state::StateDir;

/// The result of a check: the text for standard output, and every error.
#[derive(Debug, Default)]
pub struct Report {
    pub text: String,
    pub errors: Vec<String>,
    warnings: usize,
}

impl Report {
    fn say(&mut self, what: &str, text: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{what:18} {text}");
    }

    fn warn(&mut self, text: impl std::fmt::Display) {
        self.warnings += 1;
        self.say("warning:", text);
    }
}

/// Checks the files, and InfluxDB too if `online`. `in_use` is the service's response config, if the checked one
/// is another.
pub fn run(options: &StartOptions, online: bool, in_use: Option<&Path>) -> Report {
    let mut report = Report::default();
    let files = Fingerprints::of(&options.sources);
    let snapshot = Snapshot::load(&options.sources, &files, None);
    match &snapshot {
        Ok(snapshot) => {
            describe(snapshot, &mut report);
            offers(snapshot, options, in_use, &mut report);
        }
        Err(error) => report.errors.extend(error.lines()),
    }
    let schema = snapshot.ok().and_then(|snapshot| snapshot.schema);
    if let Some(schema) = &schema {
        for warning in settings::not_counted(options.public_dimensions(), schema) {
            report.warn(warning);
        }
    }
    report.say("query period", options.sources.query_period);
    report.say("listen", &options.listen);
    report.say(
        "state",
        options
            .state_dir
            .join(&options.database.application)
            .display(),
    );
    state(&options.state_dir, &mut report);
    match &options.influxdb {
        Some(influxdb) if online => {
            if let Some(influx) = influx(influxdb, options, &mut report) {
                online::ask(&influx, options, schema.as_ref(), &mut report);
            }
        }
        Some(influxdb) => drop(influx(influxdb, options, &mut report)),
        None => report.say(
            "InfluxDB",
            "none (--influxdb-url): records stay in the spool",
        ),
    }
    if let Some(warning) = options.without_url() {
        report.warn(warning);
    }
    let warnings = report.warnings;
    match report.errors.len() {
        0 => report.say("result", format!("good, warnings: {warnings}")),
        errors => report.say(
            "result",
            format!("not usable, errors: {errors}, warnings: {warnings}"),
        ),
    }
    report
}

/// Checks whether the state directory can be created or written, without doing it.
fn state(dir: &Path, report: &mut Report) {
    let mut there = dir;
    while !there.exists() {
        there = match there.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
    }
    let (flag, at) = (dir.display(), there.display());
    if !there.is_dir() {
        let problem = format!("--state-dir {flag}: {at} is a file, expected a directory");
        report.errors.push(problem);
    } else if access(there, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        report.warn(format!(
            "--state-dir {flag}: {at} cannot be written by the user who runs check-config; the \
             service's user must be able to"
        ));
    }
}

fn describe(snapshot: &Snapshot, report: &mut Report) {
    let latest = snapshot.response.latest();
    for version in snapshot.response.versions() {
        let mut text = format!("{:?}", version.name);
        if !version.tags.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(text, ", tags {:?}", version.tags);
        }
        report.say("version", text);
    }
    report.say(
        "latest",
        format!(
            "{:?} of {:.10}",
            latest.name,
            latest.release_date.to_string()
        ),
    );
    for rule in snapshot.response.rules().iter() {
        report.say(&rule.title(), rule);
    }
    match &snapshot.schema {
        Some(schema) => describe_schema(schema, report),
        None => report.say(
            "request schema",
            "none: all extra tags and fields are stored",
        ),
    }
    match &snapshot.geodb {
        Some(geodb) => report.say("geo database", geodb.describe()),
        None => report.say("geo database", "none: no locations are stored"),
    }
    for warning in warnings(snapshot, Timestamp::now()) {
        report.warn(warning);
    }
}

/// Reports to how many of the last period's installations each version would be offered, if there are rules. A
/// missing or unreadable ledger is no error, since the files may still be right.
fn offers(snapshot: &Snapshot, options: &StartOptions, in_use: Option<&Path>, report: &mut Report) {
    let in_use = in_use.and_then(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        response::parse(&text).ok()
    });
    let config = &snapshot.response;
    let has_rules = |config: &ResponseConfig| !config.rules().is_empty();
    if !has_rules(config) && !in_use.as_ref().is_some_and(has_rules) {
        return;
    }
    let ledger = StateDir::new(&options.state_dir, &options.database.application).totals();
    match offers::of(&ledger, config, in_use.as_ref(), Timestamp::now()) {
        Ok(Some(offers)) => {
            report.say("installations", &offers);
            for offered in &offers.versions {
                report.say("offered", offered);
            }
        }
        Ok(None) => report.say(
            "installations",
            "unknown: no finished period has been counted yet",
        ),
        Err(error) => report.say("installations", format!("unknown: {error}")),
    }
}

fn describe_schema(schema: &RequestSchema, report: &mut Report) {
    for (what, keys) in [
        ("extra tag", schema.tags()),
        ("extra field", schema.fields()),
    ] {
        for (key, rule) in keys {
            let (stored, data_type) = (&rule.point_key, rule.data_type.name());
            report.say(what, format!("{key:?} stored as {stored} ({data_type})"));
        }
    }
}

fn influx(
    influxdb: &InfluxOptions,
    options: &StartOptions,
    report: &mut Report,
) -> Option<Protocol> {
    let target = influxdb.target(&options.database.name());
    report.say("InfluxDB", format!("{}, {target}", influxdb.url));
    for warning in influxdb.warnings() {
        report.warn(warning);
    }
    match connect(influxdb, &options.database) {
        Ok(influx) => Some(influx),
        Err(RunError::Configuration(error) | RunError::System(error)) => {
            report.errors.extend(error.lines().map(str::to_owned));
            None
        }
    }
}
