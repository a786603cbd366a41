//! `check-config --online`: checks the database, without writing a point.

use jiff::Timestamp;

use super::Report;
use crate::config::schema::RequestSchema;
use crate::delivery::foreign::{self, ContinuousQuery};
use crate::delivery::http::TIMEOUT;
use crate::delivery::outcome::{Engine, Outcome, Trouble};
use crate::delivery::protocol::Protocol;
use crate::delivery::v1::V1;
use crate::service::options::StartOptions;
use crate::service::{field_types, take_over};

/// Asks InfluxDB for everything the server needs of it.
pub(super) fn ask(
    client: &Protocol,
    options: &StartOptions,
    schema: Option<&RequestSchema>,
    report: &mut Report,
) {
    let url = client.url();
    match client.ping(TIMEOUT) {
        Ok(Engine::InfluxDb(version)) => {
            report.say("InfluxDB version", version.as_deref().unwrap_or("unknown"));
            if let Some(hint) = other_protocol(client, version.as_deref()) {
                report.warn(hint);
            }
        }
        // VictoriaMetrics accepts any login, database and line, so only a real write could show more.
        Ok(Engine::VictoriaMetrics) => {
            report.say("engine", "VictoriaMetrics");
            return report.say(
                "writing",
                "not tried: VictoriaMetrics answers 204 to anything; see its log and vm_rows_invalid_total",
            );
        }
        Err(trouble) => {
            return report
                .errors
                .push(format!("InfluxDB at {url} is not reachable: {trouble}"));
        }
    }
    // An empty write stores nothing, but InfluxDB checks login, database and permission.
    match client.write(b"", TIMEOUT) {
        Outcome::Stored => report.say("writing", "is permitted"),
        Outcome::Kept(Trouble::DatabaseMissing) => {
            return client
                .v1()
                .into_iter()
                .for_each(|v1| database_missing(v1, report));
        }
        Outcome::Kept(trouble) => {
            return report.errors.push(format!("InfluxDB at {url}: {trouble}"));
        }
        Outcome::LinesRefused(_) => {
            let found = "refuses lines in a write that has none";
            return report.errors.push(format!("InfluxDB at {url}: {found}"));
        }
        Outcome::PartlyRefused(why) | Outcome::Contradiction(why) => {
            return report.errors.push(format!("InfluxDB at {url}: {why}"));
        }
        Outcome::TooLarge(_) => {
            let found =
                "refuses even an empty write (status 413), expected InfluxDB or VictoriaMetrics";
            return report.errors.push(format!("InfluxDB at {url}: {found}"));
        }
    }
    let Some(influx) = client.v1() else {
        return;
    };
    compare_types(influx, schema, report);
    continuous_queries(influx, &options.sources.down_sample_tags, report);
}

/// Compares the types of fields with those that `start` would write.
fn compare_types(influx: &V1, schema: Option<&RequestSchema>, report: &mut Report) {
    let url = influx.url();
    match field_types::mismatches(influx, schema, Timestamp::now()) {
        Ok(found) => {
            for mismatch in found {
                match mismatch.of_every_record {
                    true => report.errors.push(format!("InfluxDB at {url}: {mismatch}")),
                    false => report.warn(mismatch),
                }
            }
        }
        Err(why) => report.warn(format!("the field types cannot be read: {why}")),
    }
}

/// Tells by SHOW USERS whether this user is an administrator, who alone may create databases. Without
/// authentication everybody is one.
fn database_missing(influx: &V1, report: &mut Report) {
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

/// Lists the continuous queries, with a warning for those that fill the measurements of totals.
fn continuous_queries(influx: &V1, tags: &[String], report: &mut Report) {
    let found = match foreign::continuous_queries(influx, TIMEOUT) {
        Ok(Ok(found)) => found,
        Ok(Err(why)) => {
            return report.warn(format!("the continuous queries cannot be seen: {why}"));
        }
        Err(trouble) => {
            return report.warn(format!("the continuous queries cannot be seen: {trouble}"));
        }
    };
    let targets = take_over::targets(tags);
    for ContinuousQuery { name, target } in found {
        match targets.contains(&target) {
            true => report.warn(format!(
                "continuous query {name} of another server fills {target}; start keeps it while other servers \
                 write records; see take-over"
            )),
            false => report.say("continuous query", format!("{name}, fills {target}")),
        }
    }
}

/// Advice if `--influxdb-api` does not fit the server. 1.6.7 has no `/api/v2/write`. 2.x accepts v1 writes only for a
/// database that is mapped to a bucket. 3.x has no databases to create.
fn other_protocol(client: &Protocol, version: Option<&str>) -> Option<String> {
    let version = version?;
    let major = version.trim_start_matches('v').split('.').next()?;
    match (client, major) {
        (Protocol::V1(_), "2" | "3") => Some(format!(
            "InfluxDB {version} is used with --influxdb-api v1, expected v2: give --influxdb-token-file, and --influxdb-org \
             for 2.x"
        )),
        (Protocol::V2(_), "0" | "1") => Some(format!(
            "InfluxDB {version} is used with --influxdb-api v2, expected v1: remove --influxdb-token, --influxdb-org and \
             --influxdb-bucket, or give --influxdb-api v1"
        )),
        _ => None,
    }
}
