//! The format of log lines, and a limit on repeated lines.
//!
//! Levels, in the whole program: ERROR and WARN need the operator's attention, INFO has the few events of a normal
//! day, DEBUG may be verbose. Invariants: no line has a client's address or a secret; text that a client sent is
//! always quoted and escaped.

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter};

/// Shortest time between two lines about the same cause.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// Starts logging to stderr, and logs panics.
pub fn start(debug: bool) {
    let level = if debug {
        LevelFilter::Debug
    } else {
        LevelFilter::Info
    };
    let mut builder = env_logger::Builder::new();
    builder
        .filter_level(LevelFilter::Warn)
        .filter_module("upgrade_responder", level);
    if to_journal() {
        // The journal adds the time itself, and reads a priority from the line (sd-daemon(3)).
        builder.format(|out, record| {
            writeln!(
                out,
                "<{}>{}",
                priority(record.level()),
                one_line(record.args())
            )
        });
    } else {
        builder.format(|out, record| {
            let (level, time) = (record.level(), out.timestamp());
            let style = out.default_level_style(level);
            writeln!(
                out,
                "{time} {style}{level:5}{style:#} {}",
                one_line(record.args())
            )
        });
    }
    builder.init();
    std::panic::set_hook(Box::new(say_panic));
}

fn say_panic(panic: &PanicHookInfo<'_>) {
    // Each place in the code is a cause of its own, so the map is bounded.
    static PLACES: Mutex<BTreeMap<String, Throttle>> = Mutex::new(BTreeMap::new());
    // The accept loop expects the library's unwrap of a failed dup(2), and logs that itself. A panic in this
    // program's own code there is a bug like any other.
    let in_library = panic
        .location()
        .is_some_and(|at| at.file().contains("tiny_http"));
    if in_library && std::thread::current().name() == Some("accept") {
        return;
    }
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(times) = places.entry(place.clone()).or_default().tick(1) {
        // Quoted, because a panic's message may contain text that a client sent.
        log::error!(
            "bug: {place}: {:?}, occurred {times} times; please report this line",
            panic.payload_as_str().unwrap_or("panicked")
        );
    }
}

/// Writes an error to stderr, before or without [`start`]. The line begins with `who`, except in the journal, which
/// adds the name itself.
pub fn say_error(who: &str, error: &dyn std::fmt::Display) {
    if to_journal() {
        eprintln!("<3>{}", one_line(error));
    } else {
        eprintln!("{who}: {error}");
    }
}

/// Whether stderr goes to the journal, whose device and inode systemd passes on (systemd.exec(5)).
fn to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stderr) = rustix::fs::fstat(std::io::stderr()) else {
        return false;
    };
    stream == format!("{}:{}", stderr.st_dev, stderr.st_ino)
}

/// Replaces newlines and control characters, so that logged text cannot begin a line of its own.
fn one_line(text: impl std::fmt::Display) -> String {
    text.to_string()
        .replace('\n', "; ")
        .replace(char::is_control, "\u{fffd}")
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Limits lines about a repeating cause to one a minute, with the number of occurrences.
#[derive(Debug, Default)]
pub struct Throttle {
    said: Option<Instant>,
    count: u64,
}

impl Throttle {
    /// Counts `n` more occurrences. If a line is due, returns the number since the last line.
    pub fn tick(&mut self, n: u64) -> Option<Burst> {
        self.count += n;
        let since = self.said.map(|said| said.elapsed());
        if since.is_some_and(|since| since < REPEAT_AFTER) {
            return None;
        }
        self.said = Some(Instant::now());
        let count = std::mem::take(&mut self.count);
        Some(Burst { count, since })
    }
}

/// Number of occurrences since the last line.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    pub count: u64,
    /// Time since the last line; `None` for the first.
    pub since: Option<Duration>,
}

impl Burst {
    /// The number as `once` or `3 times`.
    pub fn times(self) -> String {
        let times = match self.count {
            1 => "once".to_owned(),
            count => format!("{count} times"),
        };
        match self.since {
            None => times,
            Some(since) => format!("{times} in the last {} s", since.as_secs()),
        }
    }
}

impl std::fmt::Display for Burst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.since {
            None => write!(f, "{}", self.count),
            Some(since) => write!(f, "{} (in the last {} s)", self.count, since.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_back_is_told_once_it_is_time_again() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.tick(2).unwrap().to_string(), "2");
        assert!(throttle.tick(3).is_none());
        throttle.said = Instant::now().checked_sub(REPEAT_AFTER);
        let burst = throttle.tick(1).unwrap();
        assert_eq!(burst.to_string(), "4 (in the last 60 s)");
        assert_eq!(burst.times(), "4 times in the last 60 s");
        let first = Throttle::default().tick(1).unwrap();
        assert_eq!(first.times(), "once");
        assert!(throttle.tick(1).is_none());
    }
}
