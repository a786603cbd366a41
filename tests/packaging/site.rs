//! A real nginx with the shipped site in front of a server, for the tests of the site. It must change in the site only
//! what the comments there tell an operator to change, and the port and the paths.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{output, read};
use crate::support::client::{Address, Connection};
use crate::support::process::Process;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{Running, Server};

/// Enables the block for a CDN, and adds the networks that the tests use as the CDN's.
pub(super) fn behind_a_cdn(site: String) -> String {
    let networks = "set_real_ip_from 127.0.0.1; set_real_ip_from 192.0.2.0/24;";
    let site = site.replace("#set_real_ip_from 192.0.2.0/24;", networks);
    let site = site.replace("#set_real_ip_from", "set_real_ip_from");
    site.replace("#real_ip", "real_ip")
}

/// Starts a server on a Unix socket and nginx with the shipped site in front of it.
#[track_caller]
pub(super) fn behind_site(
    scratch: &Scratch,
    change: impl FnOnce(String) -> String,
) -> (Running, Site) {
    let socket = scratch.join("server.sock");
    let server = Server::new(scratch)
        .arg("--listen", format!("unix:{}", socket.display()))
        .start();
    let site = Site::start(scratch, &socket, change);
    (server, site)
}

/// A running nginx with the shipped site.
pub(super) struct Site {
    _process: Process,
    port: u16,
    certificate: PathBuf,
}

impl Site {
    /// `change` makes the changes of an operator that only one test needs.
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
            // The machine that runs the tests may have no IPv6.
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
            assert!(site.contains(from), "the shipped site has no {from:?}");
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
        let log = test.stderr();
        assert!(status.success() && !log.contains("[warn]"), "{log}");

        let mut process = Process::start(scratch.path(), nginx(&[]));
        let address = Address::local(port);
        process.wait_until_ready(Duration::from_secs(20), |_| {
            Connection::open(&address).is_ok()
        });
        Site {
            _process: process,
            port,
            certificate,
        }
    }

    /// The body of the answer. A path with a range like `[1-100]` gives the bodies of all answers.
    #[track_caller]
    pub(super) fn curl(&self, arguments: &[&str], path: &str) -> String {
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

    /// The number of accepted requests among 100 in quick succession with this X-Forwarded-For.
    #[track_caller]
    fn taken(&self, forwarded: &str) -> usize {
        let header = format!("X-Forwarded-For: {forwarded}");
        let burst = "/v1/healthcheck?n=[1-100]";
        let statuses = self.curl(&["-w", "%{http_code} ", "-H", &header], burst);
        statuses.matches("200 ").count()
    }

    /// Checks that the address has a rate limit of its own, not used yet: one request and the burst of 50 pass.
    #[track_caller]
    pub(super) fn assert_fresh(&self, forwarded: &str) {
        let taken = self.taken(forwarded);
        assert!(taken >= 51, "{forwarded}: {taken}");
    }

    /// Checks that two addresses share one rate limit, not used yet.
    #[track_caller]
    pub(super) fn assert_one_client(&self, one: &str, other: &str) {
        let start = Instant::now();
        let both = self.taken(one) + self.taken(other);
        let refilled = 10.0 * start.elapsed().as_secs_f64();
        assert!(both as f64 <= 52.0 + refilled, "{one}, {other}: {both}");
    }
}

/// The configuration around the site. nginx is one process in the foreground, so that killing it ends all of it, and
/// writes only to the scratch folder.
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
