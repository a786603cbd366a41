//! Starts with an unusable file, folder or address. Exit status 78 and a message with its path, what was found, and what
//! is expected. If these tests failed, the operator would not find the mistake, or the server would panic or start.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use mmdb_writer::{Value, Writer};
use rustix::process::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::support::account::spool;
use crate::support::geodb;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{Ended, Server};

/// Requires that the start fails with status 78 and a message that contains all these texts.
#[track_caller]
fn assert_refused(server: &Server, pieces: &[&str]) -> Ended {
    let ended = server.expect_exit(78);
    for piece in pieces {
        let found = ended.stderr.contains(piece);
        assert!(found, "{piece:?} is not in: {}", ended.stderr);
    }
    for sign_of_a_bug in ["panicked", "bug:", "backtrace", "ready on"] {
        assert!(!ended.stderr.contains(sign_of_a_bug), "{}", ended.stderr);
    }
    assert_eq!(ended.stdout, "");
    ended
}

#[test]
fn errors_in_the_response_config_have_a_position() {
    let scratch = Scratch::new();
    let version = r#"{"name":"v1.0.0","releaseDate":"2024-01-10T00:00:00Z","tags":["latest"]}"#;
    let with = |from: &str, to: &str| {
        format!("{{\"versions\":[{}]}}", version.replace(from, to)).into_bytes()
    };
    let twice = format!("{{\"versions\":[{version},{version}]}}");
    #[rustfmt::skip]
    let rows: [(Vec<u8>, &[&str]); 13] = [
        (b"{\"versions\": [\n  {\"name\": \"v1.0.0\",}\n]}".to_vec(), &["line 2, column 21"]),
        (b"".to_vec(), &["found nothing", "expected a JSON object"]),
        (b"[]".to_vec(), &["found []", "expected a JSON object"]),
        (b"{\"versions\": \"\xff\"}".to_vec(), &["byte 14", "not UTF-8"]),
        (b"{\"versions\": []}".to_vec(), &["versions: found []", "at least one version"]),
        (b"{}".to_vec(), &["versions: found nothing", "expected an array"]),
        (twice.into_bytes(), &["versions[1] \"v1.0.0\", name", "versions[0] too"]),
        (with("v1.0.0", "one"), &["versions[0] \"one\", name", "semantic version"]),
        (with("2024-01-10T00:00:00Z", "10.01.2024"),
         &["versions[0] \"v1.0.0\", releaseDate", "found \"10.01.2024\"", "RFC 3339"]),
        (with("\"2024-01-10T00:00:00Z\"", "null"), &["releaseDate: found null", "RFC 3339"]),
        (with("\"latest\"", "\"stable\""), &["no version tagged \"latest\""]),
        (with("[\"latest\"]", "\"latest\""), &["tags: found \"latest\"", "array of strings"]),
        (with("\"tags\"", "\"minUpgradableVersion\":\"old\",\"tags\""),
         &["minUpgradableVersion: found \"old\""]),
    ];
    let server = Server::new(&scratch);
    let path = scratch.join("response-config.json");
    for (text, pieces) in rows {
        fs::write(&path, text).unwrap();
        let file = format!("--upgrade-response-config {}: ", path.display());
        assert_refused(&server, &[&[file.as_str()][..], pieces].concat());
    }
    fs::remove_file(&path).unwrap();
    assert_refused(&server, &["No such file", "expected a JSON file"]);
    fs::create_dir(&path).unwrap();
    assert_refused(&server, &["found no regular file", "expected a JSON file"]);
}

#[test]
fn errors_in_the_request_schema_have_a_position() {
    let scratch = Scratch::new();
    #[rustfmt::skip]
    let rows: &[(&str, &[&str])] = &[
        (r#"{"extraFieldInfoSchema":{"nodes":{"dataType":"int"}}}"#,
         &["extraFieldInfoSchema, \"nodes\", dataType", "found \"int\"",
           "expected \"string\" or \"float\" or \"boolean\""]),
        (r#"{"extraTagInfoSchema":{"arch":{"dataType":"float"}}}"#,
         &["extraTagInfoSchema, \"arch\", dataType", "found \"float\", expected \"string\""]),
        (r#"{"appVersionSchema":{"dataType":"string","maxLen":-1}}"#,
         &["appVersionSchema, maxLen", "found -1", "whole number of bytes"]),
        (r#"{"extraTagInfoSchema":["arch"]}"#, &["extraTagInfoSchema", "expected an object of keys"]),
        ("{\n\n  extraTagInfoSchema: {}}", &["line 3, column 3"]),
    ];
    let path = scratch.join("schema.json");
    let server = Server::new(&scratch).arg("--request-schema", &path);
    for (text, pieces) in rows {
        fs::write(&path, text).unwrap();
        let file = format!("--request-schema {}: ", path.display());
        assert_refused(&server, &[&[file.as_str()], *pieces].concat());
    }
    fs::remove_file(&path).unwrap();
    assert_refused(&server, &["--request-schema", "No such file"]);
}

#[test]
fn a_file_that_is_no_geo_database_is_refused() {
    let scratch = Scratch::new();
    let sample = fs::read(geodb::sample(&scratch)).unwrap();
    let mut asn = Writer::builder("GeoLite2-ASN").build();
    let number = Value::map([("autonomous_system_number", Value::from(64_496_u32))]);
    let network: ipnet::IpNet = "203.0.113.0/24".parse().unwrap();
    asn.insert_value(network, number).unwrap();
    let asn = asn.to_bytes().unwrap();
    #[rustfmt::skip]
    let rows: &[(&str, &[u8], &[&str])] = &[
        ("empty.mmdb", b"", &["the file is empty", "fetch it again"]),
        ("half.mmdb", &sample[..sample.len() / 2], &["not a whole MaxMind DB file", "cut off"]),
        ("packed.mmdb", b"\x1f\x8b\x08 not unpacked", &["not a whole MaxMind DB file", "unpacked"]),
        ("hollow.mmdb", &geodb::hollow(&sample), &["damaged inside (record of network ", "fetch it again"]),
        ("asn.mmdb", &asn, &["of type \"GeoLite2-ASN\"", "cities or countries"]),
    ];
    let server = Server::new(&scratch);
    for (name, bytes, pieces) in rows {
        let path = scratch.write(name, bytes);
        let file = format!("--geodb {}: ", path.display());
        let server = server.clone().arg("--geodb", path);
        assert_refused(&server, &[&[file.as_str()], *pieces].concat());
    }
    let missing = server.clone().arg("--geodb", scratch.join("missing.mmdb"));
    assert_refused(
        &missing,
        &["--geodb", "missing.mmdb", "No such file", ".mmdb"],
    );
    let folder = server.arg("--geodb", scratch.path());
    assert_refused(&folder, &["--geodb", "not a regular file"]);
}

#[test]
fn all_invalid_files_are_reported_at_once() {
    let scratch = Scratch::new();
    let schema = scratch.write("schema.json", "{");
    let empty = scratch.write("empty.mmdb", "");
    let server = Server::new(&scratch).arg("--request-schema", schema);
    let server = server.arg("--geodb", empty);
    scratch.write(
        "response-config.json",
        r#"{"versions":[{"name":"x","releaseDate":"y"}]}"#,
    );
    let message = assert_refused(&server, &[]).stderr;
    let starts = ["--upgrade-response-config", "--request-schema", "--geodb"];
    for start in starts {
        assert!(message.contains(start), "{message}");
    }
    // Three errors in the response config (name, date, missing tag) and one in each other file.
    assert_eq!(message.lines().count(), 5, "{message}");
}

#[test]
fn a_state_directory_that_cannot_be_written_is_refused() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    let file = scratch.write("file", "");
    // Not even root can write to these.
    for folder in [file.join("state"), "/proc/upgrade-responder".into()] {
        let server = server.clone().arg("--state-dir", &folder);
        let folder = folder.to_str().unwrap();
        assert_refused(
            &server,
            &["--state-dir", folder, "this process can write to"],
        );
    }
}

#[test]
fn a_spool_of_another_owner_is_refused_with_advice_about_its_rights() {
    let scratch = Scratch::new();
    let mut server = Server::new(&scratch);
    // The file of the lock stays writable.
    drop(server.start().terminate());
    let folder = spool(&scratch);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    if geteuid().is_root() {
        server = server.under(&["setpriv", "--bounding-set", "-dac_override"]);
    }
    let path = folder.to_str().unwrap();
    assert_refused(
        &server,
        &[
            "--state-dir",
            path,
            "Permission denied",
            "check owner and mode",
        ],
    );
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn an_address_that_cannot_be_used_is_refused() {
    let scratch = Scratch::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let server = Server::new(&scratch);
    let in_use = server.clone().arg("--listen", &address);
    assert_refused(&in_use, &[&address, "in use by another process", "--port"]);
    let port = taken.local_addr().unwrap().port().to_string();
    let in_use = server.clone().without("--listen").arg("--port", &port);
    assert_refused(
        &in_use,
        &[&format!("0.0.0.0:{port}"), "in use by another process"],
    );
    let all = format!("0.0.0.0:{}", free_port());
    let both = server.clone().arg("--listen", &all);
    let both = both.arg("--metrics-listen", all.replace("0.0.0.0", "127.0.0.1"));
    assert_refused(
        &both,
        &["(--metrics-listen)", "--listen or --port is 0.0.0.0:"],
    );
    let in_use = server.clone().arg("--metrics-listen", &address);
    assert_refused(&in_use, &[&address, "(--metrics-listen)", "in use"]);
    let elsewhere = server.clone().arg("--listen", "203.0.113.1:8314");
    assert_refused(
        &elsewhere,
        &["203.0.113.1:8314", "does not have that address"],
    );

    let file = scratch.write("file", "precious");
    let listen = |path: &std::path::Path| {
        server
            .clone()
            .arg("--listen", format!("unix:{}", path.display()))
    };
    assert_refused(&listen(&file), &["/file", "not a socket", "remove it"]);
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    let below_nothing = scratch.join("missing/socket");
    assert_refused(
        &listen(&below_nothing),
        &[
            "missing/socket",
            "No such file",
            "create the socket's directory",
        ],
    );
    let live = scratch.join("live");
    let _live = UnixListener::bind(&live).unwrap();
    assert_refused(&listen(&live), &["/live", "another process listens there"]);
    assert!(live.exists());
    // A listener that does not accept, with a full backlog.
    let busy = scratch.join("busy");
    let unix = || Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let (listener, client, address) = (unix(), unix(), SockAddr::unix(&busy).unwrap());
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    client.connect(&address).unwrap();
    assert_refused(&listen(&busy), &["/busy", "a busy process listens there"]);
    let closed = scratch.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let mut unlisted = listen(&closed.join("socket"));
    if geteuid().is_root() {
        // Without this capability, file permissions apply to root too.
        unlisted = unlisted.under(&["setpriv", "--bounding-set", "-dac_override"]);
    }
    assert_refused(&unlisted, &["closed/socket", "to the socket's directory"]);
}

#[test]
fn unusable_influxdb_files_are_refused() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).arg("--influxdb-url", "https://127.0.0.1:1");
    let no_pem = scratch.write("no.pem", "no certificate");
    let ca_file = server.clone().arg("--influxdb-ca-file", no_pem);
    assert_refused(&ca_file, &["--influxdb-ca-file", "no.pem", "expected PEM"]);
    let missing = server.clone().arg("--influxdb-ca-file", "/missing.pem");
    assert_refused(
        &missing,
        &["--influxdb-ca-file", "/missing.pem", "No such file"],
    );
    let missing = server.arg("--influxdb-pass-file", "/missing");
    assert_refused(
        &missing,
        &["--influxdb-pass-file", "/missing", "No such file"],
    );
}
