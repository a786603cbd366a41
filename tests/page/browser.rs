//! The operator's page in Chromium. If these tests fail, an operator sees wrong figures, a page that does not fit, or
//! content that a client injected.

use serde_json::Value;

use super::{Shown, WIDTHS, light};
use crate::support::chromium::{Chromium, View};
use crate::support::peer::{Peer, Reply};
use crate::support::scratch::Scratch;
use crate::support::server::{APPLICATION, run};
use crate::support::wait_for;

/// Check-ins of the last hour, the hour before, and the hour before that.
const LINES: [(&str, &[usize]); 5] = [
    (
        "app_version=v1.1.0,city=Bern,country=Switzerland,country_isocode=CH,host_arch=amd64 value=1i,load=2",
        &[60, 40, 20],
    ),
    (
        "app_version=v1.0.0,city=東京,country=Japan,country_isocode=JP,host_arch=arm64 value=1i,load=4",
        &[30, 50, 70],
    ),
    (
        "app_version=v0.9.0,city=القاهرة,country=Egypt,country_isocode=EG value=1i",
        &[7, 7, 7],
    ),
    ("app_version=v0.8.0 value=1i", &[1, 1, 0]),
    (
        "app_version=1.0,host_arch=riscv64 value=1i,backup=true",
        &[2, 0, 0],
    ),
];

#[track_caller]
fn assert_quiet(chromium: &Chromium, shown: &Shown, at: &str) {
    assert_eq!(chromium.console(), Vec::<String>::new(), "{at}");
    let origin = shown.url("/");
    let elsewhere: Vec<String> = chromium
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with(&origin))
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new(), "{at}");
}

#[track_caller]
fn assert_fits(chromium: &mut Chromium, at: &str) {
    let over = chromium.eval("document.documentElement.scrollWidth - innerWidth");
    assert!(
        over.as_i64().is_some_and(|over| over <= 0),
        "{at}: {over} px too wide"
    );
}

#[test]
fn figures_are_those_of_the_report_at_every_width_and_nothing_is_loaded_from_elsewhere() {
    let shown = Shown::new(
        |server| server.arg("--down-sample-tags", "host_arch"),
        &LINES,
    );
    let Some(mut chromium) = Chromium::start(&shown.scratch) else {
        return;
    };
    for width in WIDTHS {
        for dark in [false, true] {
            let view = View { width, dark };
            let at = format!("{view:?}");
            chromium.open(&shown.url("/?last=24h"), view);
            assert_quiet(&chromium, &shown, &at);
            assert_fits(&mut chromium, &at);
            assert_eq!(
                chromium.eval("document.querySelector('#now strong').textContent"),
                "100",
                "{at}"
            );
            let background = chromium
                .eval("getComputedStyle(document.body).backgroundColor")
                .to_string();
            assert_eq!(background.contains("rgb(15"), dark, "{at}: {background}");
            for by in ["app_version", "country", "host_arch"] {
                assert_eq!(
                    in_dom(&mut chromium, by),
                    in_report(&shown, by),
                    "{by}, {at}"
                );
            }
        }
    }
    // 60 of 100 installations have the version that is tagged latest.
    assert_eq!(
        chromium.eval("document.querySelector('#latest strong').textContent"),
        "60.0\u{a0}%"
    );
    let titles = chromium.eval("[...document.querySelectorAll('#app_version-over-time .hit title')].map(t => t.textContent).join('|')");
    assert!(titles.as_str().unwrap().contains("v1.0.0: 50"), "{titles}");
    // A boolean field is shown like a tag, a number with its mean and sum.
    assert_eq!(
        chromium.eval("document.querySelectorAll('[data-dimension=backup]').length > 0"),
        true
    );
    let sum =
        chromium.eval("document.querySelector('#load-field tbody tr td:nth-child(3)').textContent");
    assert_eq!(sum, "240");
    // The names of cities in other scripts are shown unchanged.
    let cities = chromium.eval("document.querySelector('#cities').textContent");
    assert!(
        cities.as_str().unwrap().contains("東京") && cities.as_str().unwrap().contains("القاهرة"),
        "{cities}"
    );
    assert!(
        chromium
            .eval("document.querySelector('#where title').textContent")
            .as_str()
            .unwrap()
            .starts_with("Switzerland: 60")
    );
    shown.server.terminate();
}

/// The values and totals of a table, without `other`.
fn in_dom(chromium: &mut Chromium, by: &str) -> Vec<(String, u64)> {
    let rows = format!(
        "[...document.querySelectorAll('tr[data-dimension={by}]')].map(r => [r.dataset.value, r.querySelector('.now').textContent])"
    );
    let rows = chromium.eval(&rows);
    let row = |row: &Value| {
        (
            row[0].as_str().unwrap().to_owned(),
            row[1].as_str().unwrap().replace(',', "").parse().unwrap(),
        )
    };
    let mut rows: Vec<(String, u64)> = rows.as_array().unwrap().iter().map(row).collect();
    rows.retain(|(value, total)| value != "other" && *total > 0);
    rows.sort();
    rows
}

fn in_report(shown: &Shown, by: &str) -> Vec<(String, u64)> {
    let state = shown.scratch.join("state");
    let asked = [
        "report",
        "--state-dir",
        state.to_str().unwrap(),
        "--application-name",
        APPLICATION,
        "--last",
        "24h",
        "--format",
        "json",
        "--by",
        by,
    ];
    let ended = run(&shown.scratch, &asked);
    let report: Value = serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", ended.stdout, ended.stderr));
    let rows = report["rows"].as_array().unwrap();
    let last = rows.iter().rfind(|row| row["finished"] == true).unwrap();
    let value = |value: &Value| {
        (
            value["value"].as_str().unwrap().to_owned(),
            value["total"].as_u64().unwrap(),
        )
    };
    let mut values: Vec<(String, u64)> = last["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(value)
        .collect();
    values.sort();
    values
}

#[test]
fn an_empty_page_shows_what_to_do_and_then_the_first_check_in_within_two_seconds() {
    let shown = Shown::new(|server| server, &[]);
    let Some(mut chromium) = Chromium::start(&shown.scratch) else {
        return;
    };
    for width in WIDTHS {
        chromium.open(&shown.url("/"), light(width));
        assert_quiet(&chromium, &shown, "empty");
        assert_fits(&mut chromium, "empty");
    }
    let text = chromium.eval("document.querySelector('#empty pre').textContent");
    let text = text.as_str().unwrap();
    assert!(
        text.contains(&format!("http://{}/v1/checkupgrade", shown.server.addr())),
        "{text}"
    );
    let mut connection = shown.server.connect();
    let answer = connection
        .post_checkin(r#"{"appVersion":"v1.1.0"}"#, &[])
        .unwrap();
    assert_eq!(answer.status, 200);
    // A new user waits for the first check-in at the page, so it must appear quickly.
    wait_for(
        std::time::Duration::from_secs(2),
        "the first check-in on the page",
        || shown.get("/").text().contains("data-value=\"v1.1.0\""),
    );
    chromium.open(&shown.url("/?last=24h"), light(1240));
    assert_eq!(
        chromium.eval("document.querySelector('#running strong').textContent"),
        "1"
    );
    assert_quiet(&chromium, &shown, "first");
    shown.server.terminate();
}

#[test]
fn text_from_clients_is_shown_as_text_and_breaks_no_page() {
    let shown = Shown::new(|server| server, &[]);
    let Some(mut chromium) = Chromium::start(&shown.scratch) else {
        return;
    };
    let long = "W".repeat(200);
    let hostile = [
        "<script>document.title='owned'</script>",
        "\"><img src=x onerror=\"document.title='owned'\">",
        "</td></tr></table></main><style>*{display:none}</style>",
        "\u{202e}gnp.exe\u{2066}",
        "&lt;b&gt;bold",
        "a\u{0}b\u{1b}[31m\u{7f}",
        "חיפה",
        long.as_str(),
    ];
    let mut connection = shown.server.connect();
    for value in hostile {
        let body = serde_json::json!({"appVersion": value, "extraTagInfo": {"evil": value}, "extraFieldInfo": {"flag": true}});
        let answer = connection.post_checkin(&body.to_string(), &[]).unwrap();
        assert_eq!(answer.status, 200, "{value:?}");
    }
    wait_for(super::COUNTED, "the check-ins to be counted", || {
        shown
            .get("/metrics")
            .text()
            .contains("upgrade_responder_totals_counted_total 8\n")
    });
    for width in WIDTHS {
        chromium.open(&shown.url("/?last=24h"), light(width));
        let at = format!("{width} px");
        assert_quiet(&chromium, &shown, &at);
        assert_fits(&mut chromium, &at);
        assert_eq!(
            chromium.eval("document.title"),
            format!("{APPLICATION}: active installations"),
            "{at}"
        );
        let made = "document.querySelectorAll('script, img, iframe, object, b, [onerror], [onload], main style').length";
        assert_eq!(chromium.eval(made), 0, "{at}");
        let seen = chromium.eval("document.querySelector('#app_version-now').innerText");
        let seen = seen.as_str().unwrap();
        assert!(
            seen.contains("<script>document.title='owned'</script>"),
            "{seen}"
        );
        assert!(
            seen.contains("&lt;b&gt;bold") && seen.contains("חיפה"),
            "{seen}"
        );
        let text = chromium.eval("document.body.textContent");
        let turned = ['\u{202e}', '\u{2066}', '\u{0}', '\u{1b}', '\u{7f}'];
        assert!(!text.as_str().unwrap().contains(turned), "{at}");
    }
    // The query string is not shown as HTML either.
    let answer = shown.get("/?last=%3Cscript%3E");
    assert_eq!(answer.status, 400);
    assert!(!answer.text().contains("<script"), "{}", answer.text());
    shown.server.terminate();
}

/// Without this, the tests above could not fail.
#[test]
fn the_browser_reports_messages_and_requests_to_other_servers() {
    let scratch = Scratch::new();
    let Some(mut chromium) = Chromium::start(&scratch) else {
        return;
    };
    let page = "<!DOCTYPE html><meta http-equiv=Content-Security-Policy content=\"img-src 'none'\">\
                <body style=width:5000px><script>console.log('said')</script><img src=\"http://127.0.0.1:1/image\">";
    let peer =
        Peer::start(move |_| Reply::status(200, page).with_header("Content-Type", "text/html"));
    chromium.open(&peer.url(), light(1240));
    let console = chromium.console().join("\n");
    assert!(console.contains("said"), "{console}");
    assert!(console.contains("Content Security Policy"), "{console}");
    assert_eq!(
        chromium.eval("document.documentElement.scrollWidth > innerWidth"),
        true
    );
    let page = "<!DOCTYPE html><link rel=stylesheet href=\"http://127.0.0.1:1/elsewhere\">";
    let peer =
        Peer::start(move |_| Reply::status(200, page).with_header("Content-Type", "text/html"));
    chromium.open(&peer.url(), light(1240));
    let requests = chromium.requests();
    assert!(
        requests.contains(&"http://127.0.0.1:1/elsewhere".to_owned()),
        "{requests:?}"
    );
}
