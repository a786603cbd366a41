//! A staged roll-out. If these tests fail, more or fewer clients than configured get a version, servers of one config
//! disagree, or a client that was offered the version loses it.

use std::collections::BTreeSet;
use std::fs;

use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;

use super::{NOTICED, config, config_time, with_config};
use crate::support::scratch::Scratch;
use crate::support::server::{Running, Server};
use crate::support::wait_for;

const BODY: &str = r#"{"appVersion":"v1.0.0"}"#;

fn rule(share: &str) -> String {
    config(&format!(
        r#"{{"Name":"v1.1.0","Criteria":{{}},"Constraints":{{"Version":"<1.1.0"}},{share}}}"#
    ))
}

fn address(client: u32) -> String {
    std::net::Ipv4Addr::from_bits(0xc633_0000 + client * 7).to_string()
}

/// The clients, of this many, that are offered the new version.
fn through(running: &Running, clients: u32) -> BTreeSet<u32> {
    let mut connection = running.connect();
    let mut asked = |client: &u32| {
        let from = address(*client);
        let answer = connection
            .post_checkin(BODY, &[("X-Forwarded-For", &from)])
            .unwrap();
        assert_eq!(answer.status, 200);
        !answer.text().contains("\"supported\":false")
    };
    (0..clients).filter(|client| asked(client)).collect()
}

fn swap(running: &mut Running, scratch: &Scratch, new: &str) {
    let before = config_time(running);
    fs::write(scratch.join("response-config.json"), new).unwrap();
    running.signal(Signal::HUP);
    wait_for(NOTICED, "the new config", || config_time(running) > before);
}

#[track_caller]
fn about(share: f64, count: usize, of: u32) {
    let found = count as f64 / f64::from(of);
    assert!((found - share).abs() < 0.05, "{found}, promised {share}");
}

#[test]
fn a_growing_share_keeps_its_clients_and_servers_agree() {
    let scratch = Scratch::new();
    let mut running = with_config(&scratch, &rule("\"Share\":30")).start();
    let first = through(&running, 2000);
    about(0.3, first.len(), 2000);

    // Another server that has only the config in common.
    let elsewhere = Scratch::new();
    let other = with_config(&elsewhere, &rule("\"Share\":30")).start();
    assert_eq!(through(&other, 2000), first);

    swap(&mut running, &scratch, &rule("\"Share\":60"));
    let second = through(&running, 2000);
    about(0.6, second.len(), 2000);
    assert!(second.is_superset(&first));

    swap(
        &mut running,
        &scratch,
        &rule("\"Share\":60,\"Seed\":\"others first\""),
    );
    assert!(!through(&running, 2000).is_superset(&first));

    // A client whose forwarded address is invalid is offered the version last.
    let unknown = [("X-Forwarded-For", "unknown")];
    let offered = |running: &Running| {
        let answer = running.connect().post_checkin(BODY, &unknown).unwrap();
        !answer.text().contains("\"supported\":false")
    };
    assert!(!offered(&running));
    swap(&mut running, &scratch, &rule("\"Share\":0"));
    assert_eq!(through(&running, 200).len(), 0);
    swap(&mut running, &scratch, &rule("\"Share\":100"));
    assert_eq!(through(&running, 200).len(), 200);
    assert!(offered(&running));
    let log = running.terminate().stderr;
    assert!(
        !log.contains(&address(1)),
        "an address is in the log: {log}"
    );
}

/// The configured share at this moment.
fn promised(from: Timestamp, until: Timestamp) -> f64 {
    let passed = Timestamp::now().duration_since(from).as_secs_f64();
    0.1 + 0.9 * passed / until.duration_since(from).as_secs_f64()
}

#[test]
fn a_roll_out_over_time_has_the_configured_share_at_each_moment() {
    let scratch = Scratch::new();
    let now = Timestamp::now();
    let ago = |seconds: i64| now - SignedDuration::from_secs(seconds);
    let span = |from: Timestamp, until: Timestamp| {
        rule(&format!(r#""Share":10,"From":"{from}","Until":"{until}""#))
    };
    let server: Server = with_config(&scratch, &span(ago(-600), ago(-900)));
    let mut running = server.start();
    assert_eq!(through(&running, 500).len(), 0, "before it begins");

    // The roll-out began two minutes ago and ends in two.
    let (from, until) = (ago(120), ago(-120));
    swap(&mut running, &scratch, &span(from, until));
    let mut before = BTreeSet::new();
    for _ in 0..3 {
        let least = promised(from, until);
        let now = through(&running, 2000);
        let most = promised(from, until);
        let share = now.len() as f64 / 2000.0;
        assert!(
            (least - 0.05..most + 0.05).contains(&share),
            "{least} {share} {most}"
        );
        assert!(now.is_superset(&before));
        before = now;
    }
    swap(&mut running, &scratch, &span(ago(600), ago(300)));
    assert_eq!(through(&running, 500).len(), 500, "after it has ended");
}
