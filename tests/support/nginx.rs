//! A real nginx in front of the server, as most operators run it.

use std::process::Command;
use std::time::Duration;

use super::client::{Address, Connection};
use super::process::Process;
use super::scratch::{Scratch, free_port};

const START: Duration = Duration::from_secs(20);
const SITE: &str = include_str!("../../packaging/nginx/upgrade-responder");
const THREE_SERVERS: &str = include_str!("../../packaging/nginx/three-servers.conf");

/// nginx is one process in the foreground, so that killing it ends all of it. All paths are relative to the scratch
/// folder, so that it needs no other rights.
const GLOBAL: &str = "daemon off;
master_process off;
pid nginx.pid;
events { }
";
const TEMPORARY: &str = "
    client_body_temp_path nginx-body;
    proxy_temp_path nginx-proxy;
    fastcgi_temp_path nginx-fastcgi;
    uwsgi_temp_path nginx-uwsgi;
    scgi_temp_path nginx-scgi;
";

/// A running nginx. Dropping it kills it.
pub struct Nginx {
    _process: Process,
    address: Address,
}

impl Nginx {
    /// Starts nginx on a free port of 127.0.0.1. It appends the client's address to `X-Forwarded-For`, forwards or
    /// creates an `X-Request-Id`, and keeps its connections to `upstream` alive.
    #[track_caller]
    pub fn in_front_of(scratch: &Scratch, upstream: &Address) -> Nginx {
        Nginx::start(scratch, "/", upstream)
    }

    /// The same, with `upstream` below a path prefix such as `/influx/`, which nginx strips.
    #[track_caller]
    pub fn below_prefix(scratch: &Scratch, prefix: &str, upstream: &Address) -> Nginx {
        Nginx::start(scratch, prefix, upstream)
    }

    /// The shipped site in front of `upstream`, without TLS and without the rate limits: all clients of a test have the
    /// same address.
    #[track_caller]
    pub fn shipped(scratch: &Scratch, upstream: &Address) -> Nginx {
        Nginx::start_shipped(scratch, upstream, SITE)
    }

    /// The same with the lines uncommented that begin with a word: `page` for the public page, `two` for a second
    /// application with the upstream `harvester`.
    #[track_caller]
    pub fn shipped_with(
        scratch: &Scratch,
        word: &str,
        upstream: &Address,
        harvester: &Address,
    ) -> Nginx {
        let site = SITE.replace(&format!("#{word} "), "");
        let second = "unix:/run/upgrade-responder@harvester.sock";
        let site = site.replace(second, &harvester.to_string());
        Nginx::start_shipped(scratch, upstream, &site)
    }

    /// The same with the shipped upstreams for three servers.
    #[track_caller]
    pub fn shipped_with_servers(scratch: &Scratch, servers: &[&Address]) -> Nginx {
        let (before, rest) = SITE.split_once("upstream upgrade_responder {").unwrap();
        let (_, after) = rest.split_once("\nserver {").unwrap();
        let mut upstreams = THREE_SERVERS.to_owned();
        for (number, server) in servers.iter().enumerate() {
            let documented = format!("192.0.2.1{}:8314", number + 1);
            upstreams = upstreams.replace(&documented, &server.to_string());
        }
        let site = format!("{before}{upstreams}\nserver {{{after}");
        Nginx::start_shipped(scratch, servers[0], &site)
    }

    #[track_caller]
    fn start_shipped(scratch: &Scratch, upstream: &Address, site: &str) -> Nginx {
        let address = Address::local(free_port());
        let here = |line: &str| {
            let line = line.replace("unix:/run/upgrade-responder.sock", &upstream.to_string());
            let line = line.replace("/var/log/nginx/", "nginx-");
            let line = line.replace("/var/cache/nginx/", "nginx-cache-");
            match line.trim_start() {
                line if line.starts_with("listen 443") => format!("listen {address};"),
                line if ["listen", "ssl_", "limit_"]
                    .iter()
                    .any(|key| line.starts_with(key)) =>
                {
                    String::new()
                }
                _ => line,
            }
        };
        let site: Vec<String> = site.lines().map(here).collect();
        let config = format!("{GLOBAL}http {{\n{TEMPORARY}{}\n}}\n", site.join("\n"));
        Nginx::start_with(scratch, address, &config)
    }

    #[track_caller]
    fn start(scratch: &Scratch, prefix: &str, upstream: &Address) -> Nginx {
        let address = Address::local(free_port());
        let config = config(&address, prefix, upstream);
        Nginx::start_with(scratch, address, &config)
    }

    #[track_caller]
    fn start_with(scratch: &Scratch, address: Address, config: &str) -> Nginx {
        let config = scratch.write("nginx.conf", config);
        let mut command = Command::new("nginx");
        command.arg("-e").arg(scratch.join("nginx-error.log"));
        command.arg("-p").arg(scratch.path()).arg("-c").arg(config);
        let mut process = Process::start(scratch.path(), command);
        process.wait_until_ready(START, |_| Connection::open(&address).is_ok());
        Nginx {
            _process: process,
            address,
        }
    }

    pub fn addr(&self) -> &Address {
        &self.address
    }
}

fn config(address: &Address, prefix: &str, upstream: &Address) -> String {
    format!(
        r#"{GLOBAL}http {{
    {TEMPORARY}
    access_log nginx-access.log;
    error_log nginx-error.log;
    map $http_x_request_id $id_passed_on {{
        "" $request_id;
        default $http_x_request_id;
    }}
    upstream upgrade_responder {{
        server {upstream};
        keepalive 16;
    }}
    server {{
        listen {address};
        location {prefix} {{
            proxy_pass http://upgrade_responder/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Request-Id $id_passed_on;
        }}
    }}
}}
"#
    )
}
