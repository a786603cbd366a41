//! Several applications on one machine. If these tests failed, a second application would not start, overwrite the files
//! of the first one, or answer with its versions.

use std::fs;
use std::time::Duration;

use crate::support::client::Connection;
use crate::support::nginx::Nginx;
use crate::support::scratch::Scratch;
use crate::support::server::{Ended, RESPONSE_CONFIG, Server, run};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn new_application(scratch: &Scratch, name: &str) -> Ended {
    let directory = scratch.join("etc");
    run(
        scratch,
        &[
            "new-application",
            name,
            "--directory",
            directory.to_str().unwrap(),
        ],
    )
}

#[test]
fn new_application_writes_valid_files_and_overwrites_none() {
    let scratch = Scratch::new();
    let etc = scratch.join("etc");
    fs::create_dir(&etc).unwrap();
    let packaged = fs::read_to_string(format!("{ROOT}/packaging/upgrade-responder.env")).unwrap();
    fs::write(etc.join("upgrade-responder.env"), packaged).unwrap();

    let created = new_application(&scratch, "harvester");
    assert_eq!(
        (created.code, created.stderr.as_str()),
        (Some(0), ""),
        "{}",
        created.stdout
    );
    for line in [
        "systemctl enable --now upgrade-responder@harvester\n",
        "report --application-name harvester\n",
        "127.0.0.1:8316",
    ] {
        assert!(created.stdout.contains(line), "{line}: {}", created.stdout);
    }
    let settings = etc.join("harvester.env");
    let checked = run(
        &scratch,
        &["check-config", "--settings", settings.to_str().unwrap()],
    );
    assert_eq!(
        checked.code,
        Some(0),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    assert!(
        checked
            .stdout
            .contains("state              /var/lib/upgrade-responder/harvester"),
        "{}",
        checked.stdout
    );

    // Each application has its own port.
    assert!(
        new_application(&scratch, "rancher-desktop")
            .stdout
            .contains("127.0.0.1:8317")
    );

    let written = fs::read_to_string(&settings).unwrap();
    let again = new_application(&scratch, "harvester");
    assert_eq!(again.code, Some(78));
    assert!(
        again.stderr.contains("harvester.env exists already"),
        "{}",
        again.stderr
    );
    assert_eq!(fs::read_to_string(&settings).unwrap(), written);

    for name in [
        "upgrade-responder",
        "a/b",
        "../x",
        ".x",
        "a b",
        "ü",
        "",
        "-x",
    ] {
        let refused = new_application(&scratch, name);
        assert_eq!(refused.code, Some(2), "{name:?}: {}", refused.stderr);
    }
    let nowhere = run(
        &scratch,
        &["new-application", "x", "--directory", "nowhere"],
    );
    assert_eq!(nowhere.code, Some(78));
    assert!(
        nowhere.stderr.contains("nowhere: No such file") && nowhere.stderr.contains("--directory"),
        "{}",
        nowhere.stderr
    );
    assert_eq!(run(&scratch, &["new-application"]).code, Some(2));
}

/// The template unit has the same settings as the unit of the first application.
#[test]
fn units_of_further_applications_differ_only_in_the_name() {
    let read = |name: &str| fs::read_to_string(format!("{ROOT}/systemd/{name}")).unwrap();
    let mut service = read("upgrade-responder.service");
    let mut socket = read("upgrade-responder.socket");
    for (of_first, of_others) in [
        (
            "Description=Upgrade check server\n",
            "Description=Upgrade check server of %i\n",
        ),
        ("upgrade-responder.socket", "upgrade-responder@%i.socket"),
        ("/upgrade-responder.env", "/%i.env"),
        (
            "SyslogIdentifier=upgrade-responder\n",
            "SyslogIdentifier=upgrade-responder@%i\n",
        ),
        (
            "/etc/credstore/influxdb-pass.",
            "/etc/credstore/influxdb-pass.%i.",
        ),
        (
            "LoadCredential=influxdb-pass\n",
            "LoadCredential=influxdb-pass:influxdb-pass.%i\n",
        ),
        (
            "LoadCredential=influxdb-token\n",
            "LoadCredential=influxdb-token:influxdb-token.%i\n",
        ),
    ] {
        assert!(service.contains(of_first), "{of_first}");
        service = service.replace(of_first, of_others);
    }
    assert_eq!(read("upgrade-responder@.service"), service);
    for (of_first, of_others) in [
        ("server, socket", "server of %i, socket"),
        ("upgrade-responder.socket", "upgrade-responder@%i.socket"),
        (
            "/run/upgrade-responder.sock",
            "/run/upgrade-responder@%i.sock",
        ),
    ] {
        assert!(socket.contains(of_first), "{of_first}");
        socket = socket.replace(of_first, of_others);
    }
    assert_eq!(read("upgrade-responder@.socket"), socket);
}

#[test]
fn shipped_site_serves_two_applications_by_host_name_and_by_path() {
    let scratch = Scratch::new();
    let other = Scratch::new();
    let first = Server::new(&scratch).start();
    let second = Server::new(&other);
    other.write(
        "response-config.json",
        RESPONSE_CONFIG.replace("v1.1.0", "v2.8.0"),
    );
    let second = second.start();
    let nginx = Nginx::shipped_with(&scratch, "two", first.addr(), second.addr());
    for (host, path, version) in [
        ("upgrades.example.com", "/v1/checkupgrade", "v1.1.0"),
        ("harvester.example.com", "/v1/checkupgrade", "v2.8.0"),
        (
            "upgrades.example.com",
            "/harvester/v1/checkupgrade/",
            "v2.8.0",
        ),
        ("unknown.example.com", "/v1/checkupgrade", "v1.1.0"),
    ] {
        let mut connection = Connection::open(nginx.addr()).unwrap();
        connection.set_limit(Duration::from_secs(10)).unwrap();
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}");
        connection.send(request.as_bytes()).unwrap();
        let answer = connection.read_response().unwrap();
        assert_eq!(answer.status, 200, "{host}{path}: {}", answer.text());
        assert!(
            answer.text().contains(version),
            "{host}{path}: {}",
            answer.text()
        );
    }
    let mut connection = Connection::open(nginx.addr()).unwrap();
    let elsewhere = connection
        .request("GET", "/harvester/metrics", &[], b"")
        .unwrap();
    assert_eq!(elsewhere.status, 404);
    first.terminate();
    second.terminate();
}
