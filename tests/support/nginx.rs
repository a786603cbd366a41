//! A real nginx in front of the server, as most operators run it.

use std::process::Command;
use std::time::Duration;

use super::client::{Address, Connection};
use super::process::Process;
use super::scratch::{Scratch, free_port};

const START: Duration = Duration::from_secs(20);

/// A running nginx. Dropping it kills it.
pub struct Nginx {
    _process: Process,
    address: Address,
}

impl Nginx {
    /// Starts nginx on a free port of 127.0.0.1. It appends its client to `X-Forwarded-For`, passes a
    /// client's `X-Request-Id` on or makes one up, and keeps its connections to `upstream` alive.
    #[track_caller]
    pub fn in_front_of(scratch: &Scratch, upstream: &Address) -> Nginx {
        Nginx::start(scratch, "/", upstream)
    }

    /// The same, with `upstream` below a path prefix such as `/influx/`, which nginx strips.
    #[track_caller]
    pub fn below_prefix(scratch: &Scratch, prefix: &str, upstream: &Address) -> Nginx {
        Nginx::start(scratch, prefix, upstream)
    }

    #[track_caller]
    fn start(scratch: &Scratch, prefix: &str, upstream: &Address) -> Nginx {
        let address = Address::local(free_port());
        let config = scratch.write("nginx.conf", config(&address, prefix, upstream));
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

/// One process in the foreground, so that killing it leaves nothing behind; every path is relative to
/// the scratch folder, so that it needs no rights anywhere else.
fn config(address: &Address, prefix: &str, upstream: &Address) -> String {
    format!(
        r#"daemon off;
master_process off;
pid nginx.pid;
events {{ }}
http {{
    access_log nginx-access.log;
    error_log nginx-error.log;
    client_body_temp_path nginx-body;
    proxy_temp_path nginx-proxy;
    fastcgi_temp_path nginx-fastcgi;
    uwsgi_temp_path nginx-uwsgi;
    scgi_temp_path nginx-scgi;
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
