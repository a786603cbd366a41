//! Writes a report as one JSON object. The names are an interface: they stay.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Number;

use super::figures::{exact, total};
use crate::totals::merge::Merged;
use crate::totals::report::{Numbers, Part, Report, Row, ValueTotal};
use crate::units::date::rfc3339;

#[derive(Serialize)]
struct Object<'a> {
    application: &'a str,
    by: &'a str,
    query_period_seconds: u64,
    /// Empty unless the report is of several servers.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    servers: &'a [ObjectServer],
    rows: Vec<ObjectRow<'a>>,
}

#[derive(Serialize)]
struct ObjectRow<'a> {
    start: String,
    seconds: u64,
    covered_seconds: u64,
    finished: bool,
    total: Option<Number>,
    #[serde(flatten)]
    part: ObjectPart<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ObjectPart<'a> {
    Values {
        values: Vec<ObjectValue<'a>>,
    },
    Numbers {
        count: Option<Number>,
        sum: Option<Number>,
        least: Option<Number>,
        greatest: Option<Number>,
    },
}

#[derive(Serialize)]
struct ObjectValue<'a> {
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
    total: Number,
}

#[derive(Serialize)]
struct ObjectServer {
    ledger: String,
    instance: Option<String>,
    seconds: u64,
    covered_seconds: u64,
}

/// Writes the object and a newline.
pub fn write(application: &str, report: &Report, out: &mut impl Write) -> io::Result<()> {
    write_object(application, report, &[], out)
}

/// Writes the merged report of several servers, with the time that each of them covered.
pub fn write_merged(application: &str, merged: &Merged, out: &mut impl Write) -> io::Result<()> {
    let servers = merged.servers.iter().map(|server| ObjectServer {
        ledger: server.ledger.display().to_string(),
        instance: server.instance.clone(),
        seconds: server.seconds,
        covered_seconds: server.covered_seconds,
    });
    let servers: Vec<ObjectServer> = servers.collect();
    write_object(application, &merged.report, &servers, out)
}

fn write_object(
    application: &str,
    report: &Report,
    servers: &[ObjectServer],
    out: &mut impl Write,
) -> io::Result<()> {
    let object = Object {
        application,
        by: &report.by,
        query_period_seconds: report.query_period_seconds,
        servers,
        rows: report.rows.iter().map(|row| object(report, row)).collect(),
    };
    serde_json::to_writer(&mut *out, &object)?;
    out.write_all(b"\n")
}

fn object<'a>(report: &Report, row: &'a Row) -> ObjectRow<'a> {
    ObjectRow {
        start: rfc3339(row.start),
        seconds: row.seconds,
        covered_seconds: row.covered_seconds,
        finished: row.finished,
        total: row.total.map(total),
        part: match &row.part {
            // The only value would be the total itself.
            Part::Values(_) if report.by == "all" => ObjectPart::Values { values: Vec::new() },
            Part::Values(values) => ObjectPart::Values {
                values: values.iter().map(value).collect(),
            },
            Part::Numbers(numbers) => {
                let figure = |get: fn(&Numbers) -> f64| numbers.as_ref().map(get);
                ObjectPart::Numbers {
                    count: figure(|numbers| numbers.count).map(total),
                    sum: figure(|numbers| numbers.sum).map(exact),
                    least: figure(|numbers| numbers.least).map(exact),
                    greatest: figure(|numbers| numbers.greatest).map(exact),
                }
            }
        },
    }
}

fn value(value: &ValueTotal) -> ObjectValue<'_> {
    ObjectValue {
        value: &value.value,
        name: value.name.as_deref(),
        country: value.country.as_deref(),
        total: total(value.total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::totals::format::examples::{numbers, report, row, unknown, value};

    #[track_caller]
    fn assert_json(report: &Report, expected: &str) {
        let mut out = Vec::new();
        write("my\"app", report, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn values_and_what_is_unknown() {
        let mut bern = value("Bern", 1.0);
        bern.country = Some("CH".to_owned());
        let mut rows = vec![
            row(0, 3.0, vec![value("v1", 2.0), bern]),
            unknown(1),
            row(2, 2.25, vec![value("a,\"b", 2.25)]),
        ];
        rows[2].finished = false;
        assert_json(
            &report("city", rows),
            concat!(
                r#"{"application":"my\"app","by":"city","query_period_seconds":3600,"rows":["#,
                r#"{"start":"2026-11-23T00:00:00Z","seconds":3600,"covered_seconds":3600,"finished":true,"#,
                r#""total":3,"values":[{"value":"v1","total":2},{"value":"Bern","country":"CH","total":1}]},"#,
                r#"{"start":"2026-11-23T01:00:00Z","seconds":3600,"covered_seconds":0,"finished":true,"#,
                r#""total":null,"values":[]},"#,
                r#"{"start":"2026-11-23T02:00:00Z","seconds":3600,"covered_seconds":3600,"finished":false,"#,
                r#""total":2.3,"values":[{"value":"a,\"b","total":2.3}]}]}"#,
                "\n"
            ),
        );
        assert_json(
            &report("all", Vec::new()),
            "{\"application\":\"my\\\"app\",\"by\":\"all\",\"query_period_seconds\":3600,\"rows\":[]}\n",
        );
    }

    #[test]
    fn all_check_ins_have_no_values_and_a_field_has_figures() {
        let with_value = |by| {
            let mut out = Vec::new();
            let report = report(by, vec![row(0, 3.0, vec![value("", 3.0)])]);
            write("a", &report, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(with_value("all").contains(r#""total":3,"values":[]}"#));
        let mut out = Vec::new();
        let rows = vec![numbers(0, Some([2.0, 0.3, 0.1, 0.2])), numbers(1, None)];
        write("a", &report("load", rows), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let figures = r#""total":5,"count":2,"sum":0.3,"least":0.1,"greatest":0.2}"#;
        assert!(text.contains(figures), "{text}");
        let none = r#""total":5,"count":null,"sum":null,"least":null,"greatest":null}"#;
        assert!(text.contains(none), "{text}");
    }
}
