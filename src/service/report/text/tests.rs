use super::*;
use crate::totals::format::examples::{HOUR, MIDNIGHT, numbers, report, row, unknown, value};
use crate::totals::report::ValueTotal;

/// Asked at `hour` and 35 minutes, of the hours from `from` on.
fn text(report: &Report, from: i64, hour: i64) -> Text<'_> {
    let now = MIDNIGHT + hour * HOUR as i64 + 35 * 60;
    Text {
        application: "myapp",
        report,
        from: MIDNIGHT + from * HOUR as i64,
        to: now + 1,
        every: Every::Period,
        now,
        known: Some((MIDNIGHT, now)),
        colour: false,
    }
}

fn running(mut row: Row) -> Row {
    row.finished = false;
    row.covered_seconds = 35 * 60;
    row
}

#[track_caller]
fn assert_shown(text: &Text<'_>, expected: &str) {
    let shown = text.to_string();
    assert_eq!(shown, expected, "\n{shown}");
    assert_fits(&shown);
}

#[track_caller]
fn assert_fits(shown: &str) {
    for line in shown.lines() {
        assert!(width(line) <= COLUMNS, "{line:?}");
    }
}

#[test]
fn values_have_their_figures_share_change_and_course() {
    let versions = |hour, new, old, other| {
        let values = vec![
            value("v1.8.0", new),
            value("other", other),
            value("v1.7.1", old),
        ];
        row(hour, new + old + other + 1.0, values)
    };
    let rows = vec![
        versions(0, 10.0, 70.0, 5.0),
        versions(1, 10.0, 70.0, 5.0),
        versions(2, 10.0, 60.0, 5.0),
        unknown(3),
        versions(4, 80.0, 20.0, 10.0),
        running(row(
            5,
            7.0,
            vec![value("v1.8.0", 6.0), value("v1.9.0", 1.0)],
        )),
    ];
    let report = report("app_version", rows);
    let expected = "\
myapp by app_version
2026-11-23 02:00 to 2026-11-23 05:35 UTC, check-ins a period (1h)

app_version  now  so far  share  change
all          111       7            +9%  ▆·█
v1.8.0        80       6    72%   +350%  ▁·█
v1.7.1        20       ·    18%    -43%  █·▃
v1.9.0         0       1     0%     new  ▁·▁
(none)         1       0     1%      0%  █·█
other         10       ·     9%    +50%  ▄·█

now: 2026-11-23 04:00 to 05:00 UTC
so far: since 2026-11-23 05:00 UTC, 35m of 1h (58%)
change: the mean per period, compared with the 3h36m before
·: not known
";
    assert_shown(&text(&report, 2, 5), expected);
}

#[test]
fn a_span_of_all_totals_is_not_compared_with_a_time_before() {
    let report = report("all", vec![row(0, 12.0, Vec::new())]);
    let mut text = text(&report, 0, 1);
    text.from = -1;
    let shown = text.to_string();
    assert!(
        shown.contains("change: not known, as the span begins before all totals\n"),
        "{shown}"
    );
}

#[test]
fn in_the_first_period_there_is_only_what_is_so_far() {
    let rows = vec![running(row(5, 1.0, vec![value("v1.0.0", 1.0)]))];
    let report = report("app_version", rows);
    let expected = "\
myapp by app_version
2026-11-23 05:00 to 2026-11-23 05:35 UTC, check-ins a period (1h)

app_version  now  so far  share  change
all            ·       1              ·
v1.0.0         ·       1   100%       ·

now: no period is finished yet
so far: since 2026-11-23 05:00 UTC, 35m of 1h (58%)
change: the mean per period, compared with the 5h36m before
·: not known
";
    assert_shown(&text(&report, 0, 5), expected);
}

#[test]
fn a_period_that_the_server_was_partly_there_for_is_no_zero_and_not_compared() {
    let mut partly = row(1, 30.0, vec![value("v1.0.0", 30.0)]);
    partly.covered_seconds = 1800;
    let rows = vec![row(0, 60.0, vec![value("v2.0.0", 60.0)]), partly];
    let report = report("app_version", rows);
    let mut text = text(&report, 0, 2);
    text.to = MIDNIGHT + 2 * HOUR as i64;
    let expected = "\
myapp by app_version
2026-11-23 00:00 to 2026-11-23 02:00 UTC, check-ins a period (1h)

app_version  last  share  change
all            30              ·  █·
v1.0.0         30   100%       ·  ▁·
v2.0.0          ·              ·  █·

last: 2026-11-23 01:00 to 02:00 UTC; the server covered 50% of it
change: the mean per period, compared with the 2h before
·: not known
";
    assert_shown(&text, expected);
}

#[test]
fn all_check_ins_and_fields_have_lines_of_their_own() {
    let all = report(
        "all",
        vec![row(0, 12.0, Vec::new()), row(1, 24.0, Vec::new())],
    );
    let shown = text(&all, 1, 2).to_string();
    assert!(shown.starts_with("myapp\n2026"), "{shown}");
    assert!(
        shown.contains("\n     last  change\nall    24   +100%  █\n"),
        "{shown}"
    );

    let rows = vec![numbers(0, Some([4.0, 10.0, 1.0, 4.5])), numbers(1, None)];
    let field = report("load", rows);
    let shown = text(&field, 0, 2).to_string();
    for line in [
        "all          5",
        "count        ·",
        "mean         ·",
        "greatest     ·",
    ] {
        assert!(shown.contains(line), "{line:?}:\n{shown}");
    }
    let rows = vec![numbers(0, Some([4.0, 10.0, 1.0, 4.5]))];
    let field = report("load", rows);
    let shown = text(&field, 0, 1).to_string();
    for line in [
        "count        4    80%",
        "mean      2.50",
        "sum         10",
        "greatest  4.50",
    ] {
        assert!(shown.contains(line), "{line:?}:\n{shown}");
    }
}

#[test]
fn countries_have_names_and_cities_their_country() {
    let place = |text: &str, name: Option<&str>, country: Option<&str>| ValueTotal {
        name: name.map(str::to_owned),
        country: country.map(str::to_owned),
        ..value(text, 1.0)
    };
    let countries = vec![
        place("CH", Some("Switzerland"), None),
        place("XX", None, None),
    ];
    let report_of = |by, values| report(by, vec![row(0, 2.0, values)]);
    let report = report_of("country", countries);
    let shown = text(&report, 0, 1).to_string();
    assert!(shown.contains("\nCH Switzerland "), "{shown}");
    assert!(shown.contains("\nXX "), "{shown}");
    let cities = vec![
        place("Bern", None, Some("CH")),
        place("Bern", None, Some("US")),
    ];
    let report = report_of("city", cities);
    let shown = text(&report, 0, 1).to_string();
    assert!(
        shown.contains("\nCH Bern ") && shown.contains("\nUS Bern "),
        "{shown}"
    );
}

#[test]
fn what_is_left_out_of_a_long_list_is_said() {
    let values = (0..43).map(|n| value(&format!("v{n}"), f64::from(100 - n)));
    let values: Vec<ValueTotal> = values.chain([value("other", 5.0)]).collect();
    let report = report("app_version", vec![row(0, 4000.0, values)]);
    let shown = text(&report, 0, 1).to_string();
    assert!(
        shown.contains("\n21 of 44 values are shown; --format csv"),
        "{shown}"
    );
    assert!(
        shown.contains("\nv19 ") && !shown.contains("\nv20 "),
        "{shown}"
    );
    let lines: Vec<&str> = shown
        .lines()
        .skip_while(|line| !line.starts_with("v19"))
        .collect();
    assert!(
        lines[1].starts_with("(none)") && lines[2].starts_with("other"),
        "{shown}"
    );
}

#[test]
fn no_value_breaks_the_table() {
    let hostile = [
        "v1".repeat(300),
        "東京".repeat(80),
        "a\u{308}".repeat(200),
        "\u{1b}[2J\u{1b}]0;x\u{7}".to_owned(),
        "\u{202e}\u{2066}abc\r\n\u{85}\u{2028}".to_owned(),
        "חיפה".repeat(50),
        "👩‍👩‍👧‍👦".repeat(20),
        "·".to_owned(),
        String::new(),
    ];
    let values = hostile.iter().zip(1..);
    let values = values
        .map(|(text, n)| value(text, 1e9 * f64::from(n)))
        .collect();
    let rows = vec![row(0, 1e12, values), running(row(1, 1e12, Vec::new()))];
    let report = report("app_version", rows);
    let mut text = text(&report, 0, 1);
    text.application = "\u{1b}[31m\n東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東";
    let shown = text.to_string();
    assert_fits(&shown);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!shown.contains(control), "{shown:?}");
    assert!(
        !shown.contains(['\u{202e}', '\u{2066}', '\u{2028}', '\u{200d}']),
        "{shown:?}"
    );
    let lines = shown.lines().count();
    assert_eq!(lines, 2 + 1 + 1 + 1 + hostile.len() + 1 + 1 + 4, "{shown}");
}

#[test]
fn without_any_data_it_says_what_to_do() {
    let empty = report("all", Vec::new());
    let mut asked = text(&empty, 0, 1);
    let shown = asked.to_string();
    assert!(
        shown.contains("there are totals from 2026-11-23 00:00 to"),
        "{shown}"
    );
    // The running day ends in the future.
    asked.known = Some((MIDNIGHT, MIDNIGHT + 24 * HOUR as i64));
    let shown = asked.to_string();
    assert!(shown.contains("to 2026-11-23 01:35 UTC"), "{shown}");
    asked.known = None;
    let shown = asked.to_string();
    assert!(
        shown.starts_with("myapp: no check-in has been counted yet.\n"),
        "{shown}"
    );
    assert!(shown.contains("curl http"), "{shown}");
    assert_fits(&shown);

    let report = report("all", vec![unknown(0), unknown(1), running(unknown(2))]);
    let shown = text(&report, 0, 2).to_string();
    assert!(
        shown.contains("Not known: no check-in was counted"),
        "{shown}"
    );
    assert!(shown.contains("ends at 2026-11-23 03:00 UTC"), "{shown}");
    assert!(
        shown.contains("curl http") && !shown.contains('▁'),
        "{shown}"
    );
    assert_fits(&shown);
}

#[test]
fn colours_are_there_only_if_they_are_wanted() {
    let report = report("all", vec![row(0, 12.0, Vec::new())]);
    let mut text = text(&report, 0, 1);
    let plain = text.to_string();
    text.colour = true;
    let coloured = text.to_string();
    assert!(
        coloured.contains("\u{1b}[1mmyapp\u{1b}[0m\n"),
        "{coloured:?}"
    );
    let stripped = coloured.replace("\u{1b}[1m", "").replace("\u{1b}[2m", "");
    assert_eq!(stripped.replace("\u{1b}[0m", ""), plain);
}

#[test]
fn figures_stay_narrow() {
    for (number, shown) in [
        (0.0, "0"),
        (-3.0, "-3"),
        (99_999_999_999.0, "99999999999"),
        (1e300, "1.00e300"),
        (33.333, "33.3"),
        (1.25, "1.25"),
        (0.004, "4.0e-3"),
    ] {
        assert_eq!(figure(number), shown);
    }
}
