//! The location of a check-in, and that no client address is kept. If these tests failed, clients could forge the country
//! that is counted, or the server would store or log addresses.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use mmdb_writer::{Value, Writer};
use socket2::{Domain, Socket, Type};

use crate::support::client::Address;
use crate::support::influx::Influx;
use crate::support::metrics;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{DATABASE, Server};
use crate::support::tried::tried;
use crate::support::{spool, wait_for};

const FAMILY: &str = "Client address";
/// The client's own address, and the one that a client forges.
const CLIENT: &str = "203.0.113.7";
const CLIENT_6: &str = "2001:db8:7::7";
const FORGED: &str = "192.0.2.66";
const FORGED_6: &str = "2001:db8:bad::66";
/// A peer that is not trusted. Each address of 127.0.0.0/8 is this machine.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);
const PROXY: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A geo database in which the name of a country says whose address it is.
fn geodb(scratch: &Scratch) -> std::path::PathBuf {
    let mut writer = Writer::builder("Test-Country").build();
    let networks = [
        ("203.0.113.0/24", "Client"),
        ("2001:db8:7::/48", "Client"),
        ("192.0.2.0/24", "Forged"),
        ("2001:db8:bad::/48", "Forged"),
        ("127.9.9.0/24", "Stranger"),
        ("10.0.0.0/8", "Proxy"),
    ];
    for (network, name) in networks {
        let names = Value::map([("en", name)]);
        let country = Value::map([("iso_code", Value::from("XX")), ("names", names)]);
        let network: ipnet::IpNet = network.parse().unwrap();
        writer
            .insert_value(network, Value::map([("country", country)]))
            .unwrap();
    }
    scratch.write("places.mmdb", writer.to_bytes().unwrap())
}

/// The name of the case, the peer, the lines of X-Forwarded-For, and the country to be stored.
type Case = (&'static str, Ipv4Addr, Vec<String>, Option<&'static str>);

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let one = |line: &str| vec![line.to_string()];
    let client = Some("Client");
    vec![
        ("no header", PROXY, vec![], None),
        ("the client alone", PROXY, one(CLIENT), client),
        ("forged to the left", PROXY, one(&format!("{FORGED}, {CLIENT}")), client),
        ("forged to the left of a proxy", PROXY, one(&format!("{FORGED}, {CLIENT}, 10.0.0.1")), client),
        ("forged proxies to the left", PROXY, one(&format!("{FORGED}, 10.0.0.2, 127.0.0.1, {CLIENT}")), client),
        ("forged in a line of its own", PROXY, vec![FORGED.into(), CLIENT.into()], client),
        ("forged in three lines", PROXY, vec![FORGED.into(), format!("{FORGED_6},"), format!("{CLIENT}, 10.0.0.1")], client),
        ("forged with a port", PROXY, one(&format!("{FORGED}:80, {CLIENT}:4711")), client),
        ("IPv6 in brackets", PROXY, one(&format!("[{FORGED_6}]:80, [{CLIENT_6}]:4711")), client),
        ("IPv6 with a zone", PROXY, one(&format!("{FORGED}, {CLIENT_6}%eth0")), client),
        ("IPv4-mapped", PROXY, one(&format!("{FORGED}, ::ffff:{CLIENT}")), client),
        ("IPv4-mapped proxy", PROXY, one(&format!("{FORGED}, {CLIENT}, ::ffff:10.0.0.1")), client),
        ("NAT64", PROXY, one(&format!("{FORGED}, 64:ff9b::{CLIENT}")), client),
        ("NAT64 of a private address is no proxy", PROXY, one(&format!("{FORGED}, 64:ff9b::10.0.0.1")), Some("Proxy")),
        ("1000 hops, all proxies but the first", PROXY, one(&format!("{CLIENT}{}", ",10.0.0.1".repeat(1000))), client),
        ("1000 forged hops", PROXY, one(&format!("{}{CLIENT}", format!("{FORGED},").repeat(1000))), client),
        ("1000 forged lines", PROXY, [vec![FORGED.to_string(); 1000], vec![CLIENT.to_string()]].concat(), None),
        ("garbage to the left", PROXY, one(&format!("{FORGED}, <script>, {CLIENT}")), client),
        ("garbage from a proxy hides what is left of it", PROXY, one(&format!("{FORGED}, unknown")), None),
        ("garbage between proxies", PROXY, one(&format!("{FORGED}, 999.1.1.1, 10.0.0.1")), None),
        ("number with a leading zero", PROXY, one(&format!("{FORGED}, 010.0.0.1")), None),
        ("address as one number", PROXY, one(&format!("{FORGED}, 3405803783")), None),
        ("commas and blanks only", PROXY, one(" , ,, "), None),
        ("stranger without a header", STRANGER, vec![], Some("Stranger")),
        ("stranger that forges", STRANGER, one(FORGED), Some("Stranger")),
        ("stranger that forges a proxy's line", STRANGER, one(&format!("{FORGED}, 127.0.0.1")), Some("Stranger")),
        ("stranger with 1000 lines", STRANGER, vec![FORGED.to_string(); 1000], Some("Stranger")),
        ("stranger with garbage", STRANGER, one("unknown"), Some("Stranger")),
    ]
}

#[test]
fn forged_addresses_do_not_change_the_location() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch)
        .arg("--geodb", geodb(&scratch))
        .arg("--trusted-proxies", "127.0.0.1/32,10.0.0.0/8");
    let running = server.start();
    for (case, peer, lines, _) in cases() {
        check_in(running.addr(), peer, &lines, case);
    }
    running.terminate();
    let points = spool::points(&scratch);
    assert_eq!(points.len(), cases().len());
    for ((case, _, _, country), point) in cases().into_iter().zip(points) {
        let place = country.map(|name| format!(",country={name},country_isocode=XX"));
        let expected = format!("upgrade_request{} value=1i", place.unwrap_or_default());
        assert_eq!(point, expected, "{case}");
        tried(
            FAMILY,
            case,
            format!("country stored: {}", country.unwrap_or("none")),
        );
    }
}

#[test]
fn addresses_are_in_no_file_log_or_metric() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch);
    let metrics_at = Address::local(free_port());
    let running = Server::new(&scratch)
        .arg("--geodb", geodb(&scratch))
        .arg("--trusted-proxies", "127.0.0.1/32,10.0.0.0/8")
        .arg("--influxdb-url", influx.url())
        .arg("--metrics-listen", metrics_at.to_string())
        .arg("--client-timeout", "1s")
        .switch("--debug")
        .start();
    for (case, peer, lines, _) in cases() {
        check_in(running.addr(), peer, &lines, case);
    }
    // No error message may contain the address of its client.
    let malformed = [
        "nonsense\r\n\r\n",
        "203.0.113.7\r\n\r\n",
        "GET /203.0.113.7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST /v1/checkupgrade HTTP/1.1\r\n",
    ];
    let malformed = malformed.map(|bytes| (STRANGER, bytes.to_owned()));
    let bodies = ["[]", "{", "\"203.0.113.7\""].map(|body| {
        let length = body.len();
        let head =
            "POST /v1/checkupgrade HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: a b";
        let bytes = format!(
            "{head}\r\nX-Forwarded-For: {CLIENT}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        (PROXY, bytes)
    });
    for (peer, bytes) in malformed.into_iter().chain(bodies) {
        let mut client = connect_from(running.addr(), peer);
        let _ = client.write_all(bytes.as_bytes());
        let _ = client.read_to_end(&mut Vec::new());
    }
    let before = files(scratch.path());
    let page = metrics::page(&metrics_at);
    influx.restart();
    wait_for(
        Duration::from_secs(60),
        "everything to be delivered",
        || influx.count(DATABASE, "upgrade_request") == cases().len() as u64,
    );
    let stored = influx
        .query(DATABASE, "SELECT * FROM upgrade_request; SHOW SERIES")
        .to_string();
    let page_after = metrics::page(&metrics_at);
    let log = running.log();
    assert!(log.lines().count() > 3, "{log}");
    let after = files(scratch.path());
    running.terminate();

    let stranger = STRANGER.to_string();
    let addresses = [
        CLIENT,
        CLIENT_6,
        FORGED,
        FORGED_6,
        &stranger,
        "10.0.0.1",
        // A NAT64 address is printed with its last four bytes in hexadecimal.
        "64:ff9b:",
        "3405803783",
        "999.1.1.1",
    ];
    let places = before.into_iter().chain(after).chain([
        ("the metrics".to_string(), page),
        ("the metrics at the end".to_string(), page_after),
        ("what InfluxDB stores".to_string(), stored),
    ]);
    let mut searched = 0;
    for (place, text) in places {
        for address in addresses {
            assert!(!text.contains(address), "{address} is in {place}");
        }
        searched += 1;
    }
    tried(
        FAMILY,
        "every file, log line, metric and stored point after a run at --debug",
        format!("none of {} addresses in any of {searched}", addresses.len()),
    );
}

/// All files below a folder, by path. The geo database is one of them: it contains networks as bits, not as text.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            all.push((path.display().to_string(), text));
        }
    }
    all
}

#[track_caller]
fn check_in(address: &Address, from: Ipv4Addr, lines: &[String], case: &str) {
    let mut stream = connect_from(address, from);
    let lines: String = lines
        .iter()
        .map(|line| format!("X-Forwarded-For: {line}\r\n"))
        .collect();
    let head =
        "POST /v1/checkupgrade HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n";
    stream
        .write_all(format!("{head}{lines}\r\n{{}}").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{case}: {answer}");
}

fn connect_from(address: &Address, from: Ipv4Addr) -> TcpStream {
    let Address::Tcp(address) = address else {
        panic!("no TCP address");
    };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&(*address).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}
