//! Compares the types of fields in InfluxDB 1.x with those that this server writes.
//!
//! Each shard has its own type for a field: that of the first point. After a migration or a restore it may be another
//! one, and then InfluxDB refuses each record with the field. This module only reads.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::config::schema::RequestSchema;
use crate::delivery::http::TIMEOUT;
use crate::delivery::v1::{QueryError, Series, V1, quoted};
use crate::line::encode::MEASUREMENT;
use crate::units::duration::parse_go_duration;

/// The beginning of the year 1, from which InfluxDB counts the limits of shards, in seconds since 1970.
const SHARDS_BEGIN: i64 = -62_135_596_800;
/// A pattern for all measurements of totals.
const TOTALS: &str = "/^(upgrade_request|by_.*)_down_sampling$/";

/// A field whose type in InfluxDB is not the one that this server writes.
#[derive(Debug)]
pub struct Mismatch {
    measurement: String,
    field: String,
    found: String,
    expected: &'static str,
    /// When the current shard ends, in seconds since 1970.
    until: i64,
    /// Every record has the field, so all are refused.
    pub of_every_record: bool,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Mismatch {
            measurement,
            field,
            found,
            expected,
            ..
        } = self;
        let refused = match self.of_every_record {
            true => "every point",
            false => "every point that has the field",
        };
        let until = Timestamp::from_second(self.until).unwrap_or_default();
        write!(
            f,
            "field {field:?} of measurement {measurement:?} is stored as {found}, expected {expected}: \
             InfluxDB refuses {refused} until its shard ends at {until}. To fix it now, copy the points that \
             you need elsewhere and run DROP MEASUREMENT \"{measurement}\", or write to another database \
             (--application-name)"
        )
    }
}

/// Compares the types of all fields.
pub fn mismatches(
    influx: &V1,
    schema: Option<&RequestSchema>,
    now: Timestamp,
) -> Result<Vec<Mismatch>, QueryError> {
    let shard = current_shard(influx, now.as_second())?;
    let mut found = Vec::new();
    let mut expected = BTreeMap::from([("value", "integer"), ("x_request_id", "string")]);
    for (_, key) in schema.iter().flat_map(|schema| schema.fields()) {
        if key.line_key.is_some() {
            expected.insert(&key.point_key, key.data_type.name());
        }
    }
    let quoted = format!("\"{MEASUREMENT}\"");
    let totals = BTreeMap::from([("total", "integer")]);
    for (from, expected, every) in [
        (quoted.as_str(), expected, "value"),
        (TOTALS, totals, "total"),
    ] {
        for series in influx.query(&format!("SHOW FIELD KEYS FROM {from}"), TIMEOUT)? {
            for (&field, &expected) in &expected {
                if !stored_otherwise(&series, field, expected) {
                    continue;
                }
                let Some(found_type) = type_in(influx, &series.name, field, shard)? else {
                    continue;
                };
                if found_type != expected {
                    found.push(Mismatch {
                        measurement: series.name.clone(),
                        field: field.to_owned(),
                        found: found_type,
                        expected,
                        until: shard.1,
                        of_every_record: field == every,
                    });
                }
            }
        }
    }
    Ok(found)
}

/// Start and end of the shard for a point of this moment, in seconds since 1970. `SHOW SHARD GROUPS` has them too,
/// but only for administrators.
fn current_shard(influx: &V1, now: i64) -> Result<(i64, i64), QueryError> {
    let policies = influx.query("SHOW RETENTION POLICIES", TIMEOUT)?;
    let length = policies.iter().find_map(|series| {
        let at = |name: &str| series.columns.iter().position(|column| column == name);
        let (length, default) = (at("shardGroupDuration")?, at("default")?);
        let rows = &mut series.values.iter();
        let row = rows.find(|row| row.get(default).and_then(|v| v.as_bool()) == Some(true))?;
        parse_go_duration(row.get(length)?.as_str()?).ok()
    });
    // InfluxDB's default if the policy keeps points without limit.
    let length = length.map_or(7 * 86_400, |length| length.as_secs().max(1) as i64);
    let start = now - (now - SHARDS_BEGIN).rem_euclid(length);
    Ok((start, start + length))
}

/// Whether any shard has the field with another type.
fn stored_otherwise(series: &Series, field: &str, expected: &str) -> bool {
    series.values.iter().any(|row| {
        let text = |at: usize| row.get(at).and_then(|value| value.as_str());
        text(0) == Some(field) && text(1) != Some(expected)
    })
}

/// The type of a field in the points of a span; `None` if no point has it. InfluxQL has no statement for this, but it
/// refuses `&` on anything but integers, and the error names the type that it found (tried with 1.6.7).
fn type_in(
    influx: &V1,
    measurement: &str,
    field: &str,
    (start, end): (i64, i64),
) -> Result<Option<String>, QueryError> {
    let statement = format!(
        "SELECT {} & 1 FROM {} WHERE time >= {start}s AND time < {end}s LIMIT 1",
        quoted(field),
        quoted(measurement)
    );
    match influx.query(&statement, TIMEOUT) {
        Ok(series) if series.is_empty() => Ok(None),
        Ok(_) => Ok(Some("integer".to_owned())),
        Err(QueryError::Refused(why)) => {
            let found = why.split_once("::").map(|(_, rest)| rest);
            let name = found.and_then(|rest| rest.split([' ', ')']).next());
            match name {
                Some(name) => Ok(Some(name.to_owned())),
                None => Err(QueryError::Refused(why)),
            }
        }
        Err(error) => Err(error),
    }
}
