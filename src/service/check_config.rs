//! `upgrade-responder check-config`: what `start` would serve, and everything that is wrong, before
//! a client sees it.
//!
//! It binds, locks and writes nothing, so it can run beside the server.

use std::fmt::Write;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{Access, access};

use super::connect::connect;
use super::offers;
use super::run::RunError;
use crate::cli::options::{InfluxOptions, StartOptions};
use crate::config::Snapshot;
use crate::config::response::{self, ResponseConfig};
use crate::config::schema::RequestSchema;
use crate::config::warnings::warnings;
use crate::config::watch::Fingerprints;
use crate::delivery::influx::{Influx, Outcome, TIMEOUT, Trouble};
use crate::delivery::queries::downsampling::{self, Existing};
use crate::delivery::queries::set_up::may_not_read;
use crate::state::StateDir;

/// What a check found: the text for standard output, and every error.
#[derive(Debug, Default)]
pub struct Report {
    pub text: String,
    pub errors: Vec<String>,
    warnings: usize,
}

impl Report {
    fn say(&mut self, what: &str, text: impl std::fmt::Display) {
        // A String takes every write.
        let _ = writeln!(self.text, "{what:18} {text}");
    }

    fn warn(&mut self, text: impl std::fmt::Display) {
        self.warnings += 1;
        self.say("warning:", text);
    }
}

/// Checks the files, and InfluxDB too if `online`. `in_use` is the response config of the service, where the one
/// to be checked is another.
pub fn run(options: &StartOptions, online: bool, in_use: Option<&Path>) -> Report {
    let mut report = Report::default();
    let files = Fingerprints::of(&options.sources);
    match Snapshot::load(&options.sources, &files, None) {
        Ok(snapshot) => {
            describe(&snapshot, &mut report);
            offers(&snapshot, options, in_use, &mut report);
        }
        Err(error) => report.errors.extend(error.lines()),
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
        Some(influxdb) => influx(influxdb, options, online, &mut report),
        None => report.say(
            "InfluxDB",
            "none (--influxdb-url): records stay in the spool",
        ),
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

/// Looks whether the state directory can be made or written, without doing it.
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
            // A String takes every write.
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

/// To how many of the last period's installations each version would be offered, where there are rules. A ledger
/// that is not there, or not readable by this user, is no mistake in the files.
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

fn influx(influxdb: &InfluxOptions, options: &StartOptions, online: bool, report: &mut Report) {
    let database = options.database.name();
    report.say(
        "InfluxDB",
        format!("{}, database {database:?}", influxdb.url),
    );
    for warning in influxdb.warnings() {
        report.warn(warning);
    }
    match connect(influxdb, &database) {
        Ok(influx) if online => ask(&influx, options, report),
        Ok(_) => {}
        Err(RunError::Configuration(error) | RunError::System(error)) => {
            report.errors.extend(error.lines().map(str::to_owned));
        }
    }
}

/// Asks InfluxDB for everything the server needs of it.
fn ask(influx: &Influx, options: &StartOptions, report: &mut Report) {
    let url = influx.url();
    match influx.ping(TIMEOUT) {
        Ok(version) => report.say("InfluxDB version", version),
        Err(trouble) => {
            return report
                .errors
                .push(format!("InfluxDB at {url} is not reachable: {trouble}"));
        }
    }
    // Without lines nothing is written, but login, database and right are checked.
    match influx.write(b"", TIMEOUT) {
        Outcome::Stored => report.say("writing", "is permitted"),
        Outcome::Kept(Trouble::DatabaseMissing) => return database_missing(influx, report),
        Outcome::Kept(trouble) => {
            return report.errors.push(format!("InfluxDB at {url}: {trouble}"));
        }
        Outcome::PartlyRefused(why) | Outcome::Contradiction(why) => {
            return report.errors.push(format!("InfluxDB at {url}: {why}"));
        }
        Outcome::TooLarge => {
            let found = "takes not even an empty write (status 413), expected InfluxDB 1.x";
            return report.errors.push(format!("InfluxDB at {url}: {found}"));
        }
    }
    match may_not_read(influx, TIMEOUT) {
        Ok(None) => {}
        Ok(Some(why)) => {
            return report.errors.push(format!("InfluxDB at {url}: {why}"));
        }
        Err(trouble) => {
            return report.errors.push(format!("InfluxDB at {url}: {trouble}"));
        }
    }
    match downsampling::existing(influx, TIMEOUT) {
        Ok(existing) => continuous_queries(&existing, options, report),
        Err(why) => report.warn(format!("the continuous queries cannot be seen: {why}")),
    }
}

/// Only administrators create databases, and only they are answered this question; where InfluxDB
/// knows no users, everybody is one.
fn database_missing(influx: &Influx, report: &mut Report) {
    match influx.query("SHOW USERS", TIMEOUT) {
        Ok(_) => report.warn("the database does not exist yet; start creates it"),
        Err(why) => report.errors.push(format!(
            "InfluxDB at {}: the database does not exist, and this user may not create it ({why}); \
             as an administrator: CREATE DATABASE \"{}\", and grant this user all rights on it",
            influx.url(),
            influx.database()
        )),
    }
}

fn continuous_queries(existing: &[Existing], options: &StartOptions, report: &mut Report) {
    let ours = options.sources.query_period;
    let wanted = downsampling::wanted(&options.sources.down_sample_tags);
    for query in existing {
        let expected = wanted.iter().find(|wanted| wanted.query == query.name);
        let defined = query.defined.as_ref().map(|(defined, _)| defined);
        if expected.is_some() && expected != defined {
            report.warn(format!(
                "{} is not what start would create; its totals may differ",
                query.name
            ));
        }
        match &query.defined {
            Some((_, seconds)) => {
                report.say(
                    "continuous query",
                    format!("{} every {seconds}s", query.name),
                );
                if *seconds != ours.seconds() as i64 {
                    report.warn(format!(
                        "{} has a period of {seconds}s, --query-period is {ours} ({}s); see \
                         set-query-period",
                        query.name,
                        ours.seconds()
                    ));
                }
            }
            None => report.say("continuous query", format!("{}, not ours", query.name)),
        }
    }
    for wanted in wanted {
        if !existing.iter().any(|query| query.name == wanted.query) {
            report.warn(format!(
                "{} does not exist yet; start creates it",
                wanted.query
            ));
        }
    }
}
