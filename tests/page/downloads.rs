//! The downloads of the page. If these tests fail, a download differs from the output of `report`, or an error echoes
//! text from the request.

use super::{HOUR, Shown};
use crate::support::server::{APPLICATION, run};

const LINES: [(&str, &[usize]); 2] = [
    (
        "app_version=v1.1.0,country=Switzerland,country_isocode=CH value=1i,load=2",
        &[1200, 3],
    ),
    ("app_version=v1.0.0 value=1i", &[34, 1]),
];

fn report(shown: &Shown, more: &[&str]) -> String {
    let state = shown.scratch.join("state");
    let asked = [
        "report",
        "--state-dir",
        state.to_str().unwrap(),
        "--application-name",
        APPLICATION,
    ];
    let ended = run(&shown.scratch, &[&asked, more].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout
}

#[test]
fn csv_and_json_are_the_output_of_the_command() {
    let shown = Shown::new(|server| server, &LINES);
    // A fixed end, so that no period begins between two downloads.
    let now = jiff::Timestamp::now().as_second();
    let to = jiff::Timestamp::from_second(now - now.rem_euclid(3_600))
        .unwrap()
        .to_string();
    for by in ["all", "app_version", "country", "city", "load"] {
        for every in ["period", "6h", "1d"] {
            for format in ["csv", "json"] {
                let answer = shown.get(&format!(
                    "/report.{format}?by={by}&last=1d&to={to}&every={every}"
                ));
                assert_eq!(
                    answer.status,
                    200,
                    "{by} {every} {format}: {}",
                    answer.text()
                );
                let expected = report(
                    &shown,
                    &[
                        "--by", by, "--last", "1d", "--to", &to, "--every", every, "--format",
                        format,
                    ],
                );
                assert_eq!(answer.text(), expected, "{by} {every} {format}");
            }
        }
    }
    // The defaults are those of the command.
    let answer = shown.get(&format!("/report.csv?to={to}"));
    assert_eq!(
        (answer.status, answer.headers.get("Content-Type")),
        (200, Some("text/csv; charset=utf-8"))
    );
    assert_eq!(
        answer.text(),
        report(&shown, &["--to", &to, "--format", "csv"])
    );
    // Links from other sites may add parameters to the page.
    assert_eq!(shown.get("/?utm_source=mail").status, 200);
    shown.server.terminate();
}

#[test]
fn an_invalid_request_gets_a_reason_and_is_never_echoed() {
    let shown = Shown::new(|server| server, &LINES);
    for (target, status, piece) in [
        (
            "/report.csv?lsat=1d",
            400,
            "unknown parameter: found lsat, expected by, last, from, to, every",
        ),
        ("/report.json?%3Cb%3E=1", 400, "expected by, last, from"),
        ("/badge.json?last=1d", 400, "found last, expected by"),
        ("/badge.json?by=", 400, "app_version"),
        ("/report.json?by=nothing_counted", 400, "app_version"),
        ("/report.json?by=A%3Cb%3E", 400, "snake case"),
        ("/report.csv?by=all&every=7", 400, "whole hours or days"),
        ("/?last=10s", 400, "at least 1m"),
        ("/?from=2026-02-01&to=2026-01-01", 400, "before to"),
        ("/?from=2026-02-01&last=7d", 400, "one of them"),
        ("/nothing", 404, "/report.csv"),
    ] {
        let answer = shown.get(target);
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert!(
            answer.text().contains(piece) && !answer.text().contains('<'),
            "{target}: {}",
            answer.text()
        );
    }
    let mut connection = crate::support::client::Connection::open(&shown.metrics).unwrap();
    let answer = connection.request("POST", "/", &[], b"").unwrap();
    assert_eq!(
        (answer.status, answer.headers.get("Allow")),
        (405, Some("GET, HEAD"))
    );
    shown.server.terminate();
}

#[test]
fn a_badge_shows_the_newest_covered_period_and_the_page_how_much_of_the_last_one_is_covered() {
    let shown = Shown::new(|server| server, &LINES);
    let badge = |message: &str, color: &str| {
        let badge = serde_json::json!({"schemaVersion": 1, "label": "installations", "message": message, "color": color});
        for target in ["/badge.json", "/badge.json?by=all"] {
            assert_eq!(shown.get(target).json(), badge);
        }
    };
    let note = "; the server covered 0% of it</p>";
    // The server was not running when these check-ins came in.
    badge("unknown", "lightgrey");
    assert!(shown.get("/").text().contains(note));
    let now = jiff::Timestamp::now().as_second();
    let last = now - now.rem_euclid(HOUR) - HOUR;
    shown.cover(last);
    badge("4", "blue");
    assert!(shown.get("/").text().contains(note));
    shown.cover(now);
    badge("1.2k", "blue");
    assert!(!shown.get("/").text().contains("the server covered"));
    assert_eq!(shown.get("/badge.json?by=country").status, 400);
    shown.server.terminate();
    let empty = Shown::new(|server| server, &[]);
    assert_eq!(empty.get("/badge.json").json()["message"], "unknown");
    empty.server.terminate();
}
