//! `upgrade-responder check-config`: what `start` would serve, and everything that is wrong, before
//! a client sees it.
//!
//! It binds, locks and writes nothing, so it can run beside the server.

use std::fmt::Write;

use jiff::Timestamp;

use super::run::{RunError, connect};
use crate::cli::options::{InfluxOptions, StartOptions};
use crate::config::schema::{KeySchema, RequestSchema};
use crate::config::warnings::warnings;
use crate::config::watch::Fingerprints;
use crate::config::{LoadError, Snapshot};
use crate::store::downsampling::{self, Existing};
use crate::store::influx::{Influx, Outcome, QueryError, TIMEOUT};

/// What a check found: the text for standard output, and every error.
#[derive(Debug, Default)]
pub struct Report {
    pub text: String,
    pub errors: Vec<String>,
}

impl Report {
    fn say(&mut self, what: &str, text: impl std::fmt::Display) {
        // A String takes every write.
        let _ = writeln!(self.text, "{what:18} {text}");
    }

    fn warn(&mut self, text: impl std::fmt::Display) {
        self.say("warning:", text);
    }
}

/// Checks the files, and InfluxDB too if `online`.
pub fn run(options: &StartOptions, online: bool) -> Report {
    let mut report = Report::default();
    let files = Fingerprints::of(&options.sources);
    match Snapshot::load(&options.sources, &files, None) {
        Ok(snapshot) => describe(&snapshot, &mut report),
        Err(LoadError(files)) => {
            let problems = files.iter().flat_map(|file| {
                let at = format!("{} {}", file.flag, file.path.display());
                file.problems
                    .iter()
                    .map(move |problem| format!("{at}: {problem}"))
            });
            report.errors.extend(problems);
        }
    }
    report.say("query period", options.sources.query_period);
    report.say("listen", &options.listen);
    report.say(
        "spool",
        options.spool_dir.join(options.database.name()).display(),
    );
    if options.spool_dir.exists() && !options.spool_dir.is_dir() {
        let path = options.spool_dir.display();
        report.errors.push(format!(
            "--spool-dir {path}: found a file, expected a directory"
        ));
    }
    match &options.influxdb {
        Some(influxdb) => influx(influxdb, options, online, &mut report),
        None => report.say(
            "InfluxDB",
            "none (--influxdb-url): records stay in the spool",
        ),
    }
    report
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

fn describe_schema(schema: &RequestSchema, report: &mut Report) {
    let rule = |key: &str, rule: Option<&KeySchema>| {
        rule.map(|rule| {
            format!(
                "{key:?} stored as {} ({})",
                rule.point_key,
                rule.data_type.name()
            )
        })
    };
    for key in schema.tag_keys() {
        report.say("extra tag", rule(key, schema.tag(key)).unwrap_or_default());
    }
    for key in schema.field_keys() {
        report.say(
            "extra field",
            rule(key, schema.field(key)).unwrap_or_default(),
        );
    }
}

fn influx(influxdb: &InfluxOptions, options: &StartOptions, online: bool, report: &mut Report) {
    let database = options.database.name();
    report.say(
        "InfluxDB",
        format!("{}, database {database:?}", influxdb.url),
    );
    if influxdb.insecure_tls {
        report.warn("--influxdb-insecure-tls: InfluxDB's certificate is not verified");
    }
    match connect(influxdb, &database) {
        Ok(influx) if online => ask(&influx, options, report),
        Ok(_) => {}
        Err(RunError::Configuration(error) | RunError::System(error)) => report.errors.push(error),
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
        Outcome::Kept(crate::store::influx::Trouble::DatabaseMissing) => {
            return report.warn("the database does not exist yet; start creates it");
        }
        Outcome::Kept(trouble) => {
            return report.errors.push(format!("InfluxDB at {url}: {trouble}"));
        }
        refused => {
            return report
                .errors
                .push(format!("InfluxDB at {url}: {refused:?}"));
        }
    }
    match downsampling::existing(influx, TIMEOUT) {
        Ok(existing) => continuous_queries(&existing, options, report),
        Err(QueryError::Trouble(trouble)) => {
            report.warn(format!("the continuous queries cannot be seen: {trouble}"));
        }
        Err(QueryError::Refused(why)) => {
            report.warn(format!("the continuous queries cannot be seen: {why}"));
        }
    }
}

fn continuous_queries(existing: &[Existing], options: &StartOptions, report: &mut Report) {
    let ours = options.sources.query_period;
    for query in existing {
        match &query.defined {
            Some((_, seconds)) => {
                report.say(
                    "continuous query",
                    format!("{} every {seconds}s", query.name),
                );
                if *seconds != ours.seconds() as i64 {
                    report.warn(format!(
                        "{} has another period than --query-period {ours}; see set-query-period",
                        query.name
                    ));
                }
            }
            None => report.say("continuous query", format!("{}, not ours", query.name)),
        }
    }
    for wanted in downsampling::wanted(&options.sources.down_sample_tags) {
        if !existing.iter().any(|query| query.name == wanted.query) {
            report.warn(format!(
                "{} does not exist yet; start creates it",
                wanted.query
            ));
        }
    }
}
