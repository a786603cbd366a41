//! The public page. If these tests fail, it shows more than the operator chose, or values of so few installations that
//! one of them can be recognized.

use super::{COUNTED, Shown, get, light};
use crate::support::chromium::Chromium;
use crate::support::nginx::Nginx;
use crate::support::wait_for;

const LINES: [(&str, &[usize]); 4] = [
    (
        "app_version=v1.1.0,city=Bern,country=Switzerland,country_isocode=CH,host_arch=amd64 value=1i",
        &[50, 40],
    ),
    (
        "app_version=v1.0.0,city=Cairo,country=Egypt,country_isocode=EG,host_arch=arm64 value=1i",
        &[5, 5],
    ),
    (
        "app_version=v0.9.0-secret,city=Tokyo,country=Japan,country_isocode=JP,host_arch=riscv64 value=1i",
        &[4, 4],
    ),
    (
        "app_version=v0.8.0-rare,city=Nuuk,country=Greenland,country_isocode=GL value=1i",
        &[1, 0],
    ),
];

fn public() -> Shown {
    public_with("app_version, country", &LINES, "60")
}

/// A server with a public page of covered hours; `badge` is the total of the last one.
fn public_with(dimensions: &str, lines: &[(&str, &[usize])], badge: &str) -> Shown {
    let shown = Shown::new(|server| server.arg("--public-page", dimensions), lines);
    shown.cover(i64::MAX);
    let address = shown.server.addr().clone();
    // The page is prepared at the start, before all records are counted, and then once a minute.
    wait_for(COUNTED * 5, "the public page", || {
        let page = get(&address, "/", &[]);
        let is_counted = page.status == 200 && page.text().contains("tr data-dimension");
        is_counted && get(&address, "/badge.json", &[]).json()["message"] == badge
    });
    shown
}

#[test]
fn it_shows_only_the_chosen_dimensions_and_no_value_of_few_installations() {
    let shown = public();
    let address = shown.server.addr().clone();
    let page = get(&address, "/", &[]);
    let text = page.text();
    for piece in ["v1.1.0", "v1.0.0", "Switzerland", "Egypt", "other"] {
        assert!(text.contains(piece), "{piece} is not in {text}");
    }
    for piece in [
        "secret",
        "rare",
        "Japan",
        "Greenland",
        "Bern",
        "host_arch",
        "amd64",
        "report.csv",
        "v1/checkupgrade",
    ] {
        assert!(!text.contains(piece), "{piece} is in {text}");
    }
    let policy = page.headers.get("Content-Security-Policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert_eq!(page.headers.get("X-Content-Type-Options"), Some("nosniff"));

    // Only the offered time spans have pages; other queries get the default page.
    for target in ["/?last=90d", "/?last=5m", "/?from=2020-01-01", "/?x"] {
        assert_eq!(get(&address, target, &[]).body, page.body, "{target}");
    }
    assert_ne!(get(&address, "/?last=24h", &[]).body, page.body);
    for target in [
        "/report.csv?by=city",
        "/report.json?by=all",
        "/metrics",
        "/healthz",
    ] {
        assert_eq!(get(&address, target, &[]).status, 404, "{target}");
    }
    assert_eq!(
        get(&address, "/badge.json?by=all", &[]).json()["message"],
        "60"
    );

    let etag = page.headers.get("ETag").unwrap();
    let again = get(&address, "/", &[("If-None-Match", etag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(
        get(&address, "/", &[("If-None-Match", "\"other\"")]).status,
        200
    );
    shown.server.terminate();
}

#[test]
fn places_with_few_installations_are_a_row_of_the_table() {
    let bern = "app_version=v1.1.0,city=Bern,country=Switzerland,country_isocode=CH value=1i";
    let basel = "app_version=v1.1.0,city=Basel,country=Switzerland,country_isocode=CH value=1i";
    let nuuk = "app_version=v1.1.0,city=Nuuk,country=Greenland,country_isocode=GL value=1i";
    let lines: [(&str, &[usize]); 3] = [(bern, &[4]), (basel, &[4]), (nuuk, &[2])];
    let shown = public_with("country, city", &lines, "10");
    let page = get(shown.server.addr(), "/", &[]).text();
    let of = |id: &str| {
        let section = page.split(&format!("id=\"{id}\"")).nth(1).unwrap();
        section.split("</section>").next().unwrap().to_owned()
    };
    let countries = of("countries");
    for (value, now, share) in [("CH", 8, "80.0"), ("other", 2, "20.0")] {
        let row = countries.split(&format!("data-value=\"{value}\"")).nth(1);
        let cells = format!("<td class=\"now\">{now}</td><td class=\"share\">{share}\u{a0}%</td>");
        assert!(row.is_some_and(|row| row.contains(&cells)), "{countries}");
    }
    let cities = of("cities");
    assert!(
        cities.contains("No city has at least 5 installations."),
        "{cities}"
    );
    assert!(!cities.contains("had a place"), "{cities}");
    assert!(cities.contains("<td class=\"now\">10</td>"), "{cities}");
    shown.server.terminate();
}

#[test]
fn a_value_that_may_be_a_part_of_other_is_unknown_and_never_zero() {
    let lines: [(&str, &[usize]); 3] = [
        ("app_version=v1.1.0 value=1i", &[20, 20]),
        // Tagged neither as a release nor over the limit in the last hour.
        ("app_version=v9.sometimes value=1i", &[3, 8]),
        ("app_version=v9.secret value=1i", &[4, 4]),
    ];
    let shown = public_with("app_version", &lines, "27");
    let page = get(shown.server.addr(), "/", &[]).text();
    assert!(!page.contains("secret"), "{page}");
    let row = page.split("data-value=\"v9.sometimes\"").nth(1).unwrap();
    let row = row.split("</tr>").next().unwrap();
    let cells = "<td class=\"now\">·</td><td class=\"share\">·</td>";
    assert!(row.contains(cells), "{row}");
    // Columns: all, v1.1.0, v9.sometimes, other.
    let figures = "<td>27<td>20<td>·<td>7";
    assert!(page.contains(figures), "{figures} is not in {page}");
    shown.server.terminate();
}

#[test]
fn the_shipped_site_serves_it_with_its_lines_uncommented() {
    let shown = public();
    let nginx = Nginx::shipped_with(
        &shown.scratch,
        "page",
        shown.server.addr(),
        shown.server.addr(),
    );
    let Some(mut chromium) = Chromium::start(&shown.scratch) else {
        return;
    };
    chromium.open(&format!("http://{}/?last=30d", nginx.addr()), light(1240));
    assert_eq!(chromium.console(), Vec::<String>::new());
    assert_eq!(
        chromium.eval("document.querySelector('a.current').textContent"),
        "30 d"
    );
    let page = get(nginx.addr(), "/?last=30d&x=%00evil", &[]);
    assert!(page.headers.get("Content-Security-Policy").is_some());
    let etag = page.headers.get("ETag").unwrap();
    assert_eq!(
        get(nginx.addr(), "/?last=30d", &[("If-None-Match", etag)]).status,
        304
    );
    assert_eq!(
        get(nginx.addr(), "/badge.json", &[]).json()["message"],
        "60"
    );
    assert_eq!(get(nginx.addr(), "/report.csv?by=all", &[]).status, 404);
    // nginx keeps the page for a minute, so it is served without the server.
    shown.server.terminate();
    assert_eq!(get(nginx.addr(), "/?last=30d", &[]).body, page.body);
}

#[test]
fn without_the_flag_there_is_no_public_page() {
    let shown = Shown::new(|server| server, &LINES);
    for target in ["/", "/badge.json"] {
        assert_eq!(
            get(shown.server.addr(), target, &[]).status,
            404,
            "{target}"
        );
    }
    shown.server.terminate();
}
