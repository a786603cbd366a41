//! The nginx site that the package installs. If these tests fail, check-ins do not reach the server through it, a
//! client forges its location or gets past the rate limit, client addresses are logged, or refused requests fill the
//! disk.

use std::fs;
use std::time::Duration;

use super::site::{behind_a_cdn, behind_site};
use crate::support::scratch::Scratch;
use crate::support::{account, wait_for};

#[test]
fn a_check_in_passes_through_the_shipped_nginx_site() {
    let scratch = Scratch::new();
    let (server, site) = behind_site(&scratch, |site| site);

    let answer = site.curl(&["-d", r#"{"appVersion":"v1.0.0"}"#], "/v1/checkupgrade");
    assert!(answer.contains("\"versions\""), "{answer}");
    // nginx itself answers 404 here, with its own page.
    assert!(site.curl(&[], "/").contains("<h1>404"));
    // nginx itself answers this 404 too, with the body that the server would send.
    let unknown = site.curl(&["-w", "%{http_code} %{content_type}"], "/v1/unknown");
    assert_eq!(
        unknown,
        "{\"error\":\"unknown path\"}\n404 application/json"
    );
    let healthy = site.curl(&["-w", "%{http_code}"], "/v1/healthcheck/?any=query");
    assert_eq!(healthy, "200");
    let large = "x".repeat(70_000);
    assert!(
        site.curl(&["-d", &large], "/v1/checkupgrade")
            .contains("<h1>413")
    );
    // The client's own X-Forwarded-For and X-Request-Id are ignored; this address would be in Zürich.
    site.curl(
        &[
            "-H",
            "X-Forwarded-For: 203.0.113.7",
            "-H",
            "X-Request-Id: chosen",
            "-d",
            r#"{"appVersion":"v2.0.0"}"#,
        ],
        "/v1/checkupgrade",
    );
    let records = || spooled(&scratch);
    wait_for(Duration::from_secs(10), "both records", || {
        records().lines().count() == 2
    });
    assert!(!records().contains("country"), "{}", records());
    assert!(!records().contains("chosen"), "{}", records());

    // nginx accepts a burst, and answers 429 to the requests beyond it.
    let burst = "/v1/healthcheck?n=[1-100]";
    let statuses = site.curl(&["-w", "%{http_code} "], burst);
    assert!(statuses.contains("200"), "{statuses}");
    assert!(statuses.contains("429"), "{statuses}");

    let log = fs::read_to_string(scratch.join("nginx-access.log")).unwrap();
    assert!(log.contains("POST /v1/checkupgrade"), "{log}");
    let errors = fs::read_to_string(scratch.join("nginx-error.log")).unwrap();
    for log in [&log, &errors] {
        assert!(
            !log.contains("127.0.0.1") && !log.contains("203.0.113.7"),
            "{log}"
        );
    }
    server.terminate();
}

/// A client can cause refusals at any rate, so nginx must not log each of them. It must still log each request that
/// the server answered.
#[test]
fn requests_that_the_shipped_nginx_site_refuses_do_not_fill_the_disk() {
    let scratch = Scratch::new();
    let (server, site) = behind_site(&scratch, |site| site);
    for (path, status) in [("/v1/healthcheck", "429"), ("/v1/unknown", "404")] {
        let path = format!("{path}?n=[1-2000]");
        let statuses = site.curl(&["-o", "/dev/null", "-w", "%{http_code} "], &path);
        let of = |log: &str, status: &str| {
            let line = format!(" {status} ");
            log.lines().filter(|log| log.contains(&line)).count()
        };
        let (taken, refused) = (
            statuses.matches("200 ").count(),
            statuses.matches(status).count(),
        );
        assert_eq!(taken + refused, 2000, "{statuses}");
        assert!(refused > 1000, "{refused}");
        let log = fs::read_to_string(scratch.join("nginx-access.log")).unwrap();
        let lines = of(&log, status);
        assert!(lines < 200, "{lines} lines of {refused} {status}");
        assert!(of(&log, "200") >= taken, "{log}");
    }
    let errors = fs::metadata(scratch.join("nginx-error.log")).unwrap();
    assert!(errors.len() < 10_000, "{} bytes", errors.len());
    server.terminate();
}

/// The text of all segments.
fn spooled(scratch: &Scratch) -> String {
    let files = fs::read_dir(account::spool(scratch))
        .unwrap()
        .map(|e| e.unwrap().path());
    let segments = files.filter(|path| path.extension().is_some_and(|e| e == "lp"));
    segments
        .map(|path| fs::read_to_string(path).unwrap_or_default())
        .collect()
}

#[test]
fn the_shipped_nginx_site_counts_an_ipv6_network_as_one_client() {
    let scratch = Scratch::new();
    let (server, site) = behind_site(&scratch, behind_a_cdn);
    for (first, neighbour, other) in [
        (
            "2001:db8:0:1::1",
            "2001:db8:0:1:ffff:a:a:a",
            "2001:db8:0:2::1",
        ),
        // Addresses and a network that end in the byte 0x0a, a newline: `.` in the site matches it only with `(?s)`.
        ("2001:db8:0:3::a", "2001:db8:0:3::b", "2001:db8:0:a::a"),
    ] {
        site.assert_one_client(first, neighbour);
        site.assert_fresh(other);
    }
    // Each IPv4 address counts by itself, also when it is mapped to IPv6; two of them end in the byte 0x0a.
    for client in [
        "203.0.113.11",
        "203.0.113.12",
        "::ffff:203.0.113.13",
        "::ffff:203.0.113.14",
        "::ffff:203.0.113.10",
        "::ffff:198.51.100.10",
    ] {
        site.assert_fresh(client);
    }
    site.assert_one_client("::ffff:203.0.113.15", "::ffff:cb00:710f");
    server.terminate();
}

/// Other customers of the CDN can send requests from its networks; their own address must count, not the one that
/// they put into X-Forwarded-For.
#[test]
fn behind_a_cdn_nobody_forges_a_location_or_gets_past_the_limit() {
    let scratch = Scratch::new();
    let (server, site) = behind_site(&scratch, behind_a_cdn);
    for (version, forwarded) in [
        ("v1.0.0", "203.0.113.7"),
        ("v2.0.0", "203.0.113.7, 192.0.2.50"),
    ] {
        let header = format!("X-Forwarded-For: {forwarded}");
        let body = format!("{{\"appVersion\":\"{version}\"}}");
        site.curl(&["-H", &header, "-d", &body], "/v1/checkupgrade");
    }
    let located = |version: &str, city: &str| {
        let start = format!("upgrade_request,app_version={version},city={city},");
        spooled(&scratch)
            .lines()
            .any(|line| line.starts_with(&start))
    };
    wait_for(Duration::from_secs(10), "both records", || {
        spooled(&scratch).lines().count() == 2
    });
    assert!(located("v1.0.0", "Zürich"), "{}", spooled(&scratch));
    assert!(located("v2.0.0", "Nuremberg"), "{}", spooled(&scratch));
    site.assert_one_client("203.0.113.8, 192.0.2.51", "203.0.113.9, 192.0.2.51");
    server.terminate();
}
