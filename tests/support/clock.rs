//! A wall clock that a test sets, for a server under Debian's libfaketime. It must not change the monotonic clock, just
//! as an administrator or NTP does not.

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
    /// A correct clock; `None` if libfaketime is not installed and the test may be skipped.
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

    /// Sets the difference to the real clock: `+1h`, `-0.3s`.
    pub fn set_off(&self, by: &str) {
        fs::write(&self.offset, by).unwrap();
    }

    /// Stops the clock at a time in seconds since 1970.
    pub fn freeze(&self, time: i64) {
        let time = jiff::Timestamp::from_second(time).unwrap();
        self.set_off(&time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    }

    /// Sets the clock to a time in seconds since 1970; it runs on from there.
    pub fn set(&self, time: i64) {
        self.set_off(&format!("{:+}", time - jiff::Timestamp::now().as_second()));
    }
}

/// The path of libfaketime, which is in the folder of the machine's architecture.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let libraries = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    libraries.into_iter().find(|library| library.exists())
}

/// The start of tomorrow: InfluxDB's continuous queries use the real time and do not touch days that have not begun.
pub fn tomorrow() -> i64 {
    (jiff::Timestamp::now().as_second() / 86_400 + 1) * 86_400
}
