//! Tests that cannot run everywhere. libtest knows only "passed", so a test that cannot run must fail, unless skipping
//! is allowed: with MAY_SKIP=1, without root, or without systemd. A skipped test writes that to stderr, because libtest
//! hides the output of passed tests.

use std::io::{Write, stderr};
use std::thread;

/// Fails the test because a program or a permission is missing, unless MAY_SKIP allows to skip it.
#[track_caller]
pub fn missing(what: &str) {
    assert!(
        std::env::var_os("MAY_SKIP").is_some_and(|value| !value.is_empty()),
        "cannot run here: {what}; `make test` installs missing programs; with MAY_SKIP=1 the test is skipped"
    );
    say(what);
}

/// Whether the test runs as root; if not, it logs that the test is skipped.
pub fn is_root(otherwise: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        say(otherwise);
    }
    root
}

/// Writes to stderr that this test is skipped.
pub fn say(why: &str) {
    let test = thread::current();
    let test = test.name().unwrap_or_default();
    // One write, so that the lines of two tests do not mix. Without stderr nobody reads the line, so an error is
    // ignored.
    let _ = stderr().write_all(format!("skipped: {test}: {why}\n").as_bytes());
}
