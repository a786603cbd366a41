//! A clock that a test sets, for a server under Debian's libfaketime: the time of day only, as a person
//! or NTP sets it; time itself goes on.

use std::fs;
use std::path::PathBuf;

use super::scratch::Scratch;
use super::server::Server;
use super::skip;

/// The clock of the servers that [`Clock::of`] was given.
pub struct Clock {
    offset: PathBuf,
}

impl Clock {
    /// A clock that is right until it is set; `None` where there is no libfaketime and that is allowed.
    #[track_caller]
    pub fn new(scratch: &Scratch) -> Option<Clock> {
        if library().is_none() {
            skip::missing("libfaketime is not installed");
            return None;
        }
        let offset = scratch.write("offset", "+0");
        Some(Clock { offset })
    }

    /// Gives the server this clock.
    pub fn of(&self, server: Server) -> Server {
        server
            .env("LD_PRELOAD", library().unwrap())
            .env("FAKETIME_TIMESTAMP_FILE", &self.offset)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
    }

    /// Lets it be off by so much: `+1h`, `-0.3s`.
    pub fn set_off(&self, by: &str) {
        fs::write(&self.offset, by).unwrap();
    }

    /// Stops it at a time in seconds since 1970.
    pub fn freeze(&self, time: i64) {
        let time = jiff::Timestamp::from_second(time).unwrap();
        self.set_off(&time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    }

    /// Sets it to a time in seconds since 1970. A step of more than two minutes is a break to the server.
    pub fn set(&self, time: i64) {
        self.set_off(&format!("{:+}", time - jiff::Timestamp::now().as_second()));
    }
}

/// In the folder of whatever architecture this is.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let libraries = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    libraries.into_iter().find(|library| library.exists())
}

/// A day that has not begun, so that InfluxDB's own queries, which know the real time, have no part.
pub fn tomorrow() -> i64 {
    (jiff::Timestamp::now().as_second() / 86_400 + 1) * 86_400
}
