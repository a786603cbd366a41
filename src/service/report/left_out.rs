//! `report --left-out`: the keys that were left out of check-ins, as a table, CSV or JSON. Users rely on the names of
//! the columns. Client text is quoted in the table, so that it cannot imitate other output.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use crate::totals::LeftOutRow;
use crate::totals::format::csv::cell;
use crate::units::date::rfc3339;

#[derive(Serialize)]
struct Object<'a> {
    application: &'a str,
    left_out: Vec<ObjectRow<'a>>,
}

#[derive(Serialize)]
struct ObjectRow<'a> {
    last_day: String,
    part: &'a str,
    key: &'a str,
    reason: &'a str,
    check_ins: u64,
    since_version: &'a str,
    #[serde(rename = "type")]
    value_type: &'a str,
    length: u64,
}

/// Writes the rows in a format.
pub fn write(
    application: &str,
    rows: &[LeftOutRow],
    format: Format,
    out: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Text => text(application, rows, out),
        Format::Csv => csv(rows, out),
        Format::Json => {
            let left_out = rows.iter().map(object).collect();
            let object = Object {
                application,
                left_out,
            };
            serde_json::to_writer(&mut *out, &object)?;
            out.write_all(b"\n")
        }
    }
}

fn object(row: &LeftOutRow) -> ObjectRow<'_> {
    ObjectRow {
        last_day: day(row),
        part: &row.part,
        key: &row.key,
        reason: &row.reason,
        check_ins: row.check_ins,
        since_version: &row.since_version,
        value_type: &row.value_type,
        length: row.length,
    }
}

/// `2024-05-31`.
fn day(row: &LeftOutRow) -> String {
    rfc3339(row.last_day).chars().take(10).collect()
}

fn text(application: &str, rows: &[LeftOutRow], out: &mut impl Write) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "{application}: no key was left out in this time");
    }
    writeln!(
        out,
        "{application}: keys left out of check-ins; check-config --suggest-schema prints a schema with them\n"
    )?;
    writeln!(
        out,
        "{:10}  {:>9}  {:13}  {:11}  {:16}  {:>6}  {:7}  key",
        "last day", "check-ins", "reason", "part", "since version", "length", "type"
    )?;
    for row in rows {
        writeln!(
            out,
            "{}  {:>9}  {:13}  {:11}  {:16}  {:>6}  {:7}  {:?}",
            day(row),
            row.check_ins,
            row.reason,
            row.part,
            format!("{:?}", row.since_version),
            row.length,
            row.value_type,
            row.key
        )?;
    }
    Ok(())
}

fn csv(rows: &[LeftOutRow], out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "last_day,part,key,reason,check_ins,since_version,type,length"
    )?;
    for row in rows {
        writeln!(
            out,
            "{},{},{},{},{},{},{},{}",
            day(row),
            row.part,
            cell(&row.key),
            row.reason,
            row.check_ins,
            cell(&row.since_version),
            row.value_type,
            row.length
        )?;
    }
    Ok(())
}
