//! The messages to systemd and the lines in the journal; `make vm-test` tests them with the real systemd. If these
//! tests fail, systemd restarts a healthy server or waits for a reload, or foreign text forges a log line.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::scratch::Scratch;
use crate::support::server::Server;

const SOON: Duration = Duration::from_secs(20);

/// The notification socket, which systemd would read.
struct Notified(UnixDatagram);

impl Notified {
    fn at(path: &Path) -> Notified {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Notified(socket)
    }

    /// Reads messages until one begins with `start`.
    #[track_caller]
    fn next(&self, start: &str) -> String {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            let mut message = [0; 4096];
            let length = match self.0.recv(&mut message) {
                Ok(length) => length,
                // A signal interrupted the call, such as SIGCHLD of a child of another test.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("{start:?}: {error}"),
            };
            let message = String::from_utf8(message[..length].to_vec()).unwrap();
            if message.starts_with(start) {
                return message;
            }
        }
        panic!("no message {start:?}");
    }
}

#[test]
fn systemd_gets_start_watchdog_reload_and_stop() {
    let scratch = Scratch::new();
    let socket = scratch.join("notify");
    let systemd = Notified::at(&socket);
    let mut server = Server::new(&scratch)
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "10000000")
        .start();
    systemd.next("READY=1");
    systemd.next("WATCHDOG=1");
    server.connect().post_checkin("{}", &[]).unwrap();
    systemd.next("STATUS=1 check-ins recorded");
    server.signal(Signal::HUP);
    let reloading = systemd.next("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    systemd.next("READY=1");
    server.terminate();
    systemd.next("STOPPING=1");
}

#[test]
fn lines_for_the_journal_have_a_priority_and_no_time() {
    let scratch = Scratch::new();
    // The error contains this name, whose second half would be a separate line.
    let missing = scratch.join("mis\n<0>sing.json");
    for (journal, start) in [(true, "<3>"), (false, "upgrade-responder: ")] {
        let log = scratch.join("log");
        let file = File::create(&log).unwrap();
        let stream = file.metadata().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_upgrade-responder"));
        command.env_clear().stdin(Stdio::null()).stderr(file);
        if journal {
            let stream = format!("{}:{}", stream.dev(), stream.ino());
            command.env("JOURNAL_STREAM", stream);
        }
        command.args(["start", "--application-name", "myapp"]);
        command.arg("--upgrade-response-config").arg(&missing);
        assert_eq!(command.status().unwrap().code(), Some(78));
        let log = fs::read_to_string(log).unwrap();
        assert!(log.starts_with(start), "{log}");
        assert!(log.contains("<0>sing.json: No such file"), "{log}");
        // Outside the journal a message may have several lines.
        assert!(!journal || log.lines().count() == 1, "{log}");
    }
}

#[test]
fn foreign_text_begins_no_line_of_the_journal() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    let config = scratch.join("response\n<0>config.json");
    fs::copy(scratch.join("response-config.json"), &config).unwrap();
    let journal =
        "JOURNAL_STREAM=$(stat -Lc %d:%i /dev/stderr); export JOURNAL_STREAM; exec \"$@\"";
    let server = server.under(&["sh", "-c", journal, "sh"]);
    let server = server.arg("--upgrade-response-config", &config);
    let log = server.start().terminate().stderr;
    assert!(log.contains("<0>config.json, request schema"), "{log}");
    for line in log.lines() {
        let priority = ["<3>", "<4>", "<6>"].iter().any(|p| line.starts_with(p));
        assert!(priority, "{line:?} in {log}");
    }
}
