//! Tests that cannot run everywhere. libtest knows no "skipped", only "passed", so a test that did not run
//! fails, unless whoever runs the tests allows that it is left out: with MAY_SKIP=1, by not being root, or
//! by having another init than systemd. In each case it says so past libtest, which shows nothing of what a test prints that passes.

use std::io::{Write, stderr};
use std::thread;

/// Something is missing that `make test` installs, or that the machine has to allow: fails the test,
/// unless MAY_SKIP allows to leave it out.
#[track_caller]
pub fn missing(what: &str) {
    assert!(
        std::env::var_os("MAY_SKIP").is_some_and(|value| !value.is_empty()),
        "cannot be tried here: {what}; `make test` installs what can be installed; with MAY_SKIP=1 \
         this is left out"
    );
    say(what);
}

/// Whether this is root; if not, the test is left out.
pub fn is_root(otherwise: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        say(otherwise);
    }
    root
}

/// Says that this test is left out, past libtest.
pub fn say(why: &str) {
    let test = thread::current();
    let test = test.name().unwrap_or_default();
    // One write, so that the lines of two tests do not mix. Who cannot be told reads no output at all.
    let _ = stderr().write_all(format!("skipped: {test}: {why}\n").as_bytes());
}
