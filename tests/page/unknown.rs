//! Figures that are not known. If these tests fail, the page shows a zero where the figure is unknown, or gives a
//! wrong reason for a gap.

use super::{COUNTED, Shown};
use crate::support::wait_for;

/// Check-ins of the hour before the last.
const LINES: [(&str, &[usize]); 1] = [(
    "app_version=v1.0.0,city=Bern,country=Switzerland,country_isocode=CH value=1i",
    &[0, 4],
)];

/// The page of a new user: one check-in in the first period, which is not over.
fn new() -> Shown {
    let shown = Shown::new(|server| server, &[]);
    let body = r#"{"appVersion":"v1.0.0"}"#;
    let answer = shown.server.connect().post_checkin(body, &[]).unwrap();
    assert_eq!(answer.status, 200);
    wait_for(COUNTED, "the check-in on the page", || {
        shown.get("/").text().contains("data-value=\"v1.0.0\"")
    });
    shown
}

#[test]
fn a_share_of_a_version_without_check_ins_is_unknown_in_a_period_that_is_not_over() {
    let shown = new();
    let page = shown.get("/").text();
    assert!(!page.contains("-0.0"), "{page}");
    let tile = "<h2>On the latest</h2><strong>·</strong>";
    assert!(page.contains(tile), "{page}");
    shown.server.terminate();
}

#[test]
fn a_last_period_that_was_not_covered_is_named_as_the_reason() {
    let shown = Shown::new(|server| server, &LINES);
    let page = shown.get("/").text();
    for piece in [
        "; not known, the server did not cover all of it</p>",
        "The last period is not known: the server did not cover all of it.",
    ] {
        assert!(page.contains(piece), "{piece} is not in {page}");
    }
    assert!(!page.contains("period is over yet"), "{page}");
    shown.server.terminate();
}

#[test]
fn before_the_first_period_is_over_the_page_names_that_as_the_reason() {
    let shown = new();
    let page = shown.get("/").text();
    assert!(page.contains("no period is over yet"), "{page}");
    assert!(!page.contains("did not cover"), "{page}");
    shown.server.terminate();
}

#[test]
fn the_current_period_is_unknown_without_check_ins_as_in_the_report() {
    let shown = Shown::new(|server| server, &LINES);
    let page = shown.get("/").text();
    let tile = "<h2>So far this hour</h2><strong>·</strong>";
    assert!(page.contains(tile), "{page}");
    shown.server.terminate();
}
