//! Writes a report as CSV, for spreadsheets and scripts. The columns are an interface: they stay.
//!
//! Cells are quoted as in RFC 4180, but lines end in a newline alone. A period without values has one line with an
//! empty value, so that no period is missing. Check-ins without a value have such a line too, so the lines of a
//! period add up to its total.

use std::io::{self, Write};

use super::figures::{exact, total};
use crate::totals::report::{Part, Report, Row};
use crate::units::date::rfc3339;

/// Smallest remainder that gets a line; a smaller one is a rounding error of added means.
const LEAST_REST: f64 = 0.05;

/// Writes the heading, and one line for each value of each row.
pub fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let is_field = matches!(
        report.rows.first().map(|row| &row.part),
        Some(Part::Numbers(_))
    );
    let columns = if is_field {
        "count,sum,least,greatest".to_owned()
    } else {
        format!("{},total", cell(&report.by))
    };
    writeln!(out, "start,seconds,covered_seconds,finished,{columns}")?;
    for row in &report.rows {
        match &row.part {
            Part::Values(_) if report.by == "all" => lines(row, &[("all", row.total)], out)?,
            Part::Values(values) => {
                let sum: f64 = values.iter().map(|value| value.total).sum();
                let rest = row.total.map(|total| total - sum);
                let mut of_values: Vec<(&str, Option<f64>)> = Vec::new();
                of_values.extend(values.iter().map(|v| (v.value.as_str(), Some(v.total))));
                if values.is_empty() || rest.is_some_and(|rest| rest >= LEAST_REST) {
                    of_values.push(("", rest));
                }
                lines(row, &of_values, out)?;
            }
            Part::Numbers(numbers) => {
                let figures = numbers.map(|n| {
                    [
                        total(n.count),
                        exact(n.sum),
                        exact(n.least),
                        exact(n.greatest),
                    ]
                });
                let figures = figures.map_or_else(Default::default, |f| f.map(|f| f.to_string()));
                writeln!(out, "{},{}", start(row), figures.join(","))?;
            }
        }
    }
    Ok(())
}

fn lines(row: &Row, values: &[(&str, Option<f64>)], out: &mut impl Write) -> io::Result<()> {
    let start = start(row);
    for (value, figure) in values {
        let figure = figure.map(|figure| total(figure).to_string());
        let figure = figure.unwrap_or_default();
        writeln!(out, "{start},{},{figure}", cell(value))?;
    }
    Ok(())
}

/// Columns that begin every line.
fn start(row: &Row) -> String {
    format!(
        "{},{},{},{}",
        rfc3339(row.start),
        row.seconds,
        row.covered_seconds,
        row.finished
    )
}

/// A value as a cell. Clients choose values, and a spreadsheet runs a value that begins like a formula. Such a
/// value gets an apostrophe in front.
pub fn cell(value: &str) -> String {
    let formula =
        |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') || c.is_control();
    let guard = if value.trim_start_matches(' ').starts_with(formula) {
        "'"
    } else {
        ""
    };
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", value.replace('"', "\"\""))
    } else {
        format!("{guard}{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::totals::format::examples::{numbers, report, row, unknown, value};

    #[track_caller]
    fn assert_csv(report: &Report, expected: &[&str]) {
        let mut out = Vec::new();
        write(report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert!(text.ends_with('\n') && !text.contains('\r'), "{text:?}");
    }

    #[test]
    fn each_value_is_a_line_and_no_period_is_missing() {
        let mut rows = vec![
            row(0, 3.0, vec![value("v1.8.0", 2.0), value("v1.7.1", 1.0)]),
            row(1, 0.0, Vec::new()),
            unknown(2),
            row(3, 5.0, vec![value("v1.8.0", 4.0)]),
            row(4, 2.0, Vec::new()),
            row(5, 3.3, vec![value("v1.8.0", 2.25), value("v1.7.1", 1.05)]),
        ];
        rows[5].finished = false;
        let expected = [
            "start,seconds,covered_seconds,finished,app_version,total",
            "2026-11-23T00:00:00Z,3600,3600,true,v1.8.0,2",
            "2026-11-23T00:00:00Z,3600,3600,true,v1.7.1,1",
            "2026-11-23T01:00:00Z,3600,3600,true,,0",
            "2026-11-23T02:00:00Z,3600,0,true,,",
            "2026-11-23T03:00:00Z,3600,3600,true,v1.8.0,4",
            "2026-11-23T03:00:00Z,3600,3600,true,,1",
            "2026-11-23T04:00:00Z,3600,3600,true,,2",
            "2026-11-23T05:00:00Z,3600,3600,false,v1.8.0,2.3",
            "2026-11-23T05:00:00Z,3600,3600,false,v1.7.1,1.1",
        ];
        assert_csv(&report("app_version", rows), &expected);
    }

    #[test]
    fn all_check_ins_are_one_line_a_period_and_a_field_has_its_figures() {
        let rows = vec![row(0, 3.0, Vec::new()), unknown(1)];
        let expected = [
            "start,seconds,covered_seconds,finished,all,total",
            "2026-11-23T00:00:00Z,3600,3600,true,all,3",
            "2026-11-23T01:00:00Z,3600,0,true,all,",
        ];
        assert_csv(&report("all", rows), &expected);
        assert_csv(&report("all", Vec::new()), &expected[..1]);
        let rows = vec![numbers(0, Some([2.0, 0.3, 0.1, 0.2])), numbers(1, None)];
        let expected = [
            "start,seconds,covered_seconds,finished,count,sum,least,greatest",
            "2026-11-23T00:00:00Z,3600,3600,true,2,0.3,0.1,0.2",
            "2026-11-23T01:00:00Z,3600,3600,true,,,,",
        ];
        assert_csv(&report("load", rows), &expected);
    }

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        for (value, expected) in [
            ("v1.0.0", "v1.0.0"),
            ("a b;c'", "a b;c'"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("  @x", "'  @x"),
            ("-1", "'-1"),
            ("＝x", "'＝x"),
            ("=\"a\",1", "\"'=\"\"a\"\",1\""),
            ("1-2", "1-2"),
        ] {
            assert_eq!(cell(value), expected);
        }
    }
}
