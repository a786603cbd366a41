//! InfluxDB over https with a self-signed certificate. If these tests failed, the server would send records and passwords
//! to a host that it has not verified, or operators could not use their own certificate.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::influx::Influx;
use crate::support::process::Process;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::spool;
use crate::support::wait_for;

const LIMIT: Duration = Duration::from_secs(60);

/// Makes a self-signed certificate for 127.0.0.1 with its key, both as PEM files. `ca` is `TRUE` or
/// `FALSE`. The default of openssl is `TRUE`.
#[track_caller]
fn make_certificate(scratch: &Scratch, ca: &str, certificate: &Path, key: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2",
    ]);
    openssl.args([
        "-subj",
        "/CN=influxdb",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]);
    openssl.args(["-addext", &format!("basicConstraints=critical,CA:{ca}")]);
    openssl.arg("-keyout").arg(key).arg("-out").arg(certificate);
    let mut process = Process::start(scratch.path(), openssl);
    let status = process.wait(LIMIT);
    assert!(status.success(), "{}", process.report());
}

#[track_caller]
fn check_in(running: &Running) {
    let answer = running.connect().post_checkin("{}", &[]).unwrap();
    assert_eq!(answer.status, 200);
}

#[test]
fn the_certificate_is_verified_unless_the_operator_disables_it() {
    let scratch = Scratch::new();
    let (certificate, key) = (scratch.join("certificate.pem"), scratch.join("key.pem"));
    make_certificate(&scratch, "FALSE", &certificate, &key);
    let mut influx = Influx::stopped(&scratch);
    influx.set_certificate(Some((&certificate, &key)));
    influx.restart();
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());

    let running = server.start();
    check_in(&running);
    wait_for(LIMIT, "the refusal", || {
        running.log().contains("with --influxdb-ca-file")
    });
    let log = running.terminate().stderr;
    assert!(log.contains("delivered 0 + waiting 1"), "{log}");

    let delivered = |running: &Running| {
        check_in(running);
        wait_for(LIMIT, "an empty spool", || {
            running.log().contains("is ready, database") && spool::lines(&scratch).is_empty()
        });
    };
    let with_ca_file = server.clone().arg("--influxdb-ca-file", &certificate);
    let running = with_ca_file.start();
    delivered(&running);
    let log = running.terminate().stderr;
    assert!(log.contains("delivered 2 + waiting 0"), "{log}");
    assert!(!log.contains("WARN"), "{log}");

    let running = server.switch("--influxdb-insecure-tls").start();
    delivered(&running);
    let log = running.terminate().stderr;
    let warning = "--influxdb-insecure-tls: InfluxDB's certificate is not verified";
    assert!(log.contains(warning), "{log}");

    influx.set_certificate(None);
    influx.restart();
    assert_eq!(influx.count(DATABASE, "upgrade_request"), 3);
}

#[test]
fn a_certificate_with_openssls_defaults_is_refused_with_advice() {
    let scratch = Scratch::new();
    let (certificate, key) = (scratch.join("certificate.pem"), scratch.join("key.pem"));
    make_certificate(&scratch, "TRUE", &certificate, &key);
    let mut influx = Influx::stopped(&scratch);
    influx.set_certificate(Some((&certificate, &key)));
    influx.restart();
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let running = server.arg("--influxdb-ca-file", &certificate).start();
    check_in(&running);
    wait_for(LIMIT, "the advice", || {
        running
            .log()
            .contains("-addext basicConstraints=critical,CA:FALSE")
    });
}
