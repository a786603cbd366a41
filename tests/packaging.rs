//! What the Debian package ships works as it is shipped, as far as that shows without a machine to install
//! it on; `make vm-test` does the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::client::Address;
use crate::support::process::Process;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{self, Running, Server};
use crate::support::{account, skip, wait_for};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn shipped(path: &str) -> PathBuf {
    Path::new(ROOT).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(shipped(path)).unwrap()
}

/// A flag as the help page tells of it.
struct Flag {
    name: String,
    variable: Option<String>,
    default: Option<String>,
}

#[track_caller]
fn flags() -> Vec<Flag> {
    let scratch = Scratch::new();
    let help = server::run(&scratch, &["--help"]).stdout;
    let mut flags: Vec<Flag> = Vec::new();
    for line in help.lines() {
        let text = line.trim_start();
        if text.starts_with("--") {
            let name = text.split(' ').next().unwrap_or_default();
            let variable = text.split_once('[').and_then(|(_, v)| v.strip_suffix(']'));
            flags.push(Flag {
                name: name.to_owned(),
                variable: variable.map(str::to_owned),
                default: None,
            });
        } else if let Some(default) = text.strip_prefix("default: ") {
            flags.last_mut().unwrap().default = Some(default.to_owned());
        }
    }
    assert!(flags.len() > 20, "not understood:\n{help}");
    flags
}

/// The variables in the environment file; whether they are set or only shown in a comment.
fn settings() -> BTreeMap<String, (bool, String)> {
    let text = read("packaging/upgrade-responder.env");
    let lines = text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let (set, name) = match name.strip_prefix('#') {
            Some(name) => (false, name),
            None => (true, name),
        };
        let is_name = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        is_name.then(|| (name.to_owned(), (set, value.to_owned())))
    });
    lines.collect()
}

#[test]
fn the_environment_file_has_every_variable_with_its_default_and_no_other() {
    let mut settings = settings();
    for flag in flags() {
        let Some(variable) = flag.variable else {
            continue;
        };
        let Some((set, value)) = settings.remove(&variable) else {
            panic!("{variable} is not in upgrade-responder.env");
        };
        if let Some(default) = flag.default {
            assert_eq!((set, value), (false, default), "{variable}");
        }
    }
    assert!(settings.is_empty(), "not a flag's: {settings:?}");
}

#[test]
fn the_manual_has_every_flag_variable_and_default() {
    let manual = read("packaging/man/upgrade-responder.1");
    // A flag's entry, up to the next one.
    let entries: Vec<&str> = manual.split("\n.It ").collect();
    for flag in flags() {
        let name = flag.name.strip_prefix('-').unwrap();
        let entry = entries.iter().find(|entry| {
            let head = entry.lines().next().unwrap_or_default();
            head.split(' ').any(|word| word == name)
        });
        let entry = entry.unwrap_or_else(|| panic!("{} is not in the manual", flag.name));
        if let Some(variable) = flag.variable {
            let bracketed = format!("Bq Ev {variable}");
            assert!(entry.contains(&bracketed), "{bracketed}: {entry}");
        }
        if let Some(default) = flag.default {
            let said = entry.split_once("The default is").map(|(_, said)| said);
            let mut words = said.unwrap_or_default().split_whitespace();
            // The first word that is no macro, without what ends the sentence.
            let word = words
                .find(|word| !word.starts_with('.'))
                .unwrap_or_default();
            assert_eq!(word.trim_end_matches('.'), default, "{entry}");
        }
    }
}

#[test]
fn the_manual_has_no_mistakes() {
    for page in ["upgrade-responder.1", "upgrade-responder.5"] {
        let page = shipped("packaging/man").join(page);
        // "style" would complain that the pages themselves are not installed.
        let lint = output(
            Command::new("mandoc")
                .args(["-T", "lint", "-W", "warning"])
                .arg(page),
        );
        assert!(lint.stdout.is_empty(), "{lint:?}");
    }
}

#[test]
fn the_shipped_configuration_passes_the_check() {
    let scratch = Scratch::new();
    let settings = settings();
    // As the service sees it, but for where the package puts the files.
    let mut checked = Server::new(&scratch).without("--geodb");
    for flag in flags() {
        if let Some((true, value)) = flag.variable.and_then(|name| settings.get(&name)) {
            let value = value.replace("/etc/upgrade-responder/", &format!("{ROOT}/examples/"));
            checked = checked.arg(&flag.name, value);
        }
    }
    let ended = checked.other_command("check-config", &[]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert!(!ended.stdout.contains("warning:"), "{}", ended.stdout);
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        // Installing it could replace another init.
        skip::say("there is no systemd-analyze");
        return;
    }
    let scratch = Scratch::new();
    let program = env!("CARGO_BIN_EXE_upgrade-responder");
    let service = read("systemd/upgrade-responder.service");
    let service = scratch.write(
        "upgrade-responder.service",
        service.replace("/usr/bin/upgrade-responder", program),
    );
    let socket = scratch.write(
        "upgrade-responder.socket",
        read("systemd/upgrade-responder.socket"),
    );
    let second = ["service", "socket"].map(|kind| {
        let unit = read(&format!("systemd/upgrade-responder@.{kind}"));
        let unit = unit.replace("/usr/bin/upgrade-responder", program);
        scratch.write(&format!("upgrade-responder@.{kind}"), unit);
        scratch.join(&format!("upgrade-responder@harvester.{kind}"))
    });
    let verify = output(
        Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&service)
            .arg(&socket)
            .args(second),
    );
    assert!(verify.status.success(), "{verify:?}");
    assert!(verify.stderr.is_empty(), "{verify:?}");

    let security = output(
        Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--threshold=15"])
            .arg(&service),
    );
    assert!(security.status.success(), "{security:?}");
}

#[test]
fn a_check_in_passes_through_the_shipped_nginx_site() {
    let scratch = Scratch::new();
    let (server, site) = behind_site(&scratch, |site| site);

    let answer = site.curl(&["-d", r#"{"appVersion":"v1.0.0"}"#], "/v1/checkupgrade");
    assert!(answer.contains("\"versions\""), "{answer}");
    // nginx's own, not the server's.
    assert!(site.curl(&[], "/").contains("<h1>404"));
    // nginx's too, in the server's words.
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
    // What the client claims about its address is not believed: that one would be in Zürich.
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

    // A burst is taken, more than that is told to slow down.
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

/// What nginx answers by itself comes at whatever rate a client likes, so it may not cost the disk a line
/// each; nor may it hide what the server answered.
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
        // The last byte of an address may be a line's end to a careless pattern.
        ("2001:db8:0:3::a", "2001:db8:0:3::b", "2001:db8:0:a::a"),
    ] {
        site.assert_one_client(first, neighbour);
        site.assert_fresh(other);
    }
    // IPv4 addresses count each, also as a socket for both families has them; the last byte again.
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

/// Whoever asks from within the CDN's networks, as its other customers can, has an address there.
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

/// The block for a CDN is in use: its own networks, and the one that the test asks from.
fn behind_a_cdn(site: String) -> String {
    let networks = "set_real_ip_from 127.0.0.1; set_real_ip_from 192.0.2.0/24;";
    let site = site.replace("#set_real_ip_from 192.0.2.0/24;", networks);
    let site = site.replace("#set_real_ip_from", "set_real_ip_from");
    site.replace("#real_ip", "real_ip")
}

/// A server on a unix socket, and the shipped site in front of it.
#[track_caller]
fn behind_site(scratch: &Scratch, change: impl FnOnce(String) -> String) -> (Running, Site) {
    let socket = scratch.join("server.sock");
    let server = Server::new(scratch)
        .arg("--listen", format!("unix:{}", socket.display()))
        .start();
    let site = Site::start(scratch, &socket, change);
    (server, site)
}

/// A real nginx with the shipped site, changed where its comments tell the operator to, and put on
/// another port.
struct Site {
    _process: Process,
    port: u16,
    certificate: PathBuf,
}

impl Site {
    /// `change` has what else an operator may change.
    #[track_caller]
    fn start(scratch: &Scratch, socket: &Path, change: impl FnOnce(String) -> String) -> Site {
        let (certificate, key) = (scratch.join("cert.pem"), scratch.join("key.pem"));
        let made = output(
            Command::new("openssl")
                .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
                .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(["-subj", "/CN=upgrades.example.com"])
                .args(["-addext", "subjectAltName=DNS:upgrades.example.com"])
                .arg("-keyout")
                .arg(&key)
                .arg("-out")
                .arg(&certificate),
        );
        assert!(made.status.success(), "{made:?}");

        let port = free_port();
        let mut site = read("packaging/nginx/upgrade-responder");
        let letsencrypt = "/etc/letsencrypt/live/upgrades.example.com";
        let changes = [
            ("listen 443", format!("listen 127.0.0.1:{port}")),
            // Whether the machine has IPv6 is not the site's business.
            ("    listen [::]:443 ssl;\n", String::new()),
            (
                &format!("{letsencrypt}/fullchain.pem"),
                certificate.display().to_string(),
            ),
            (
                &format!("{letsencrypt}/privkey.pem"),
                key.display().to_string(),
            ),
            ("/run/upgrade-responder.sock", socket.display().to_string()),
            (
                "/var/log/nginx/upgrade-responder.log",
                "nginx-access.log".to_owned(),
            ),
            (
                "/var/log/nginx/upgrade-responder.error.log",
                "nginx-error.log".to_owned(),
            ),
        ];
        for (from, to) in changes {
            assert!(site.contains(from), "the site has no {from:?}");
            site = site.replace(from, &to);
        }
        let site = change(site);
        let config = scratch.write("nginx.conf", format!("{AROUND_THE_SITE}{site}}}\n"));
        let nginx = |more: &[&str]| {
            let mut command = Command::new("nginx");
            command.arg("-e").arg(scratch.join("nginx-error.log"));
            command.arg("-p").arg(scratch.path()).arg("-c").arg(&config);
            command.args(more);
            command
        };
        let mut test = Process::start(scratch.path(), nginx(&["-t"]));
        let status = test.wait(Duration::from_secs(20));
        let said = test.stderr();
        assert!(status.success() && !said.contains("[warn]"), "{said}");

        let mut process = Process::start(scratch.path(), nginx(&[]));
        let address = Address::local(port);
        process.wait_until_ready(Duration::from_secs(20), |_| {
            crate::support::client::Connection::open(&address).is_ok()
        });
        Site {
            _process: process,
            port,
            certificate,
        }
    }

    /// The body of the answer; of several answers, one after another.
    #[track_caller]
    fn curl(&self, arguments: &[&str], path: &str) -> String {
        let port = self.port;
        let fetched = output(
            Command::new("curl")
                .args(["-sS", "--max-time", "30", "--cacert"])
                .arg(&self.certificate)
                .arg("--resolve")
                .arg(format!("upgrades.example.com:{port}:127.0.0.1"))
                .args(arguments)
                .arg(format!("https://upgrades.example.com:{port}{path}")),
        );
        assert!(fetched.status.success(), "{fetched:?}");
        String::from_utf8(fetched.stdout).unwrap()
    }

    /// How many of 100 requests at once, with that in X-Forwarded-For, are taken.
    #[track_caller]
    fn taken(&self, forwarded: &str) -> usize {
        let header = format!("X-Forwarded-For: {forwarded}");
        let burst = "/v1/healthcheck?n=[1-100]";
        let statuses = self.curl(&["-w", "%{http_code} ", "-H", &header], burst);
        statuses.matches("200 ").count()
    }

    /// A bucket that nobody used takes one and the burst of 50.
    #[track_caller]
    fn assert_fresh(&self, forwarded: &str) {
        let taken = self.taken(forwarded);
        assert!(taken >= 51, "{forwarded}: {taken}");
    }

    /// Two share one bucket, which nobody used.
    #[track_caller]
    fn assert_one_client(&self, one: &str, other: &str) {
        let start = Instant::now();
        let both = self.taken(one) + self.taken(other);
        let refilled = 10.0 * start.elapsed().as_secs_f64();
        assert!(both as f64 <= 52.0 + refilled, "{one}, {other}: {both}");
    }
}

/// One process in the foreground, so that killing it leaves nothing behind, with no path outside the
/// scratch folder.
const AROUND_THE_SITE: &str = "daemon off;
master_process off;
pid nginx.pid;
events { }
http {
client_body_temp_path nginx-body;
proxy_temp_path nginx-proxy;
fastcgi_temp_path nginx-fastcgi;
uwsgi_temp_path nginx-uwsgi;
scgi_temp_path nginx-scgi;
";

#[track_caller]
fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"))
}
