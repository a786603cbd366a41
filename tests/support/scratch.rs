//! A folder per test, and ports that nobody else uses.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::company::{Company, Place};

static NEXT_FOLDER: AtomicU32 = AtomicU32::new(0);
static NEXT_PORT: AtomicU32 = AtomicU32::new(0);

/// A folder of this test's own. It is removed at the end, unless the test failed: then its path is
/// printed and it stays, for whoever wants to know why.
///
/// Declare it before everything that lives in it, so that it is dropped last.
pub struct Scratch {
    path: PathBuf,
    _place: Place,
}

impl Scratch {
    /// A new, empty folder below the system's temporary one: short enough for unix-socket paths, which
    /// end at 107 bytes.
    pub fn new() -> Scratch {
        Scratch::with(Company::Anybody)
    }

    /// The same, for a test that asserts a limit of time: it waits until no other test runs, and
    /// keeps others waiting.
    pub fn alone() -> Scratch {
        Scratch::with(Company::Nobody)
    }

    /// The same, for tests of hostile clients, which run beside each other and nobody else.
    pub fn hostile() -> Scratch {
        Scratch::with(Company::Hostile)
    }

    fn with(company: Company) -> Scratch {
        let place = company.enter();
        let number = NEXT_FOLDER.fetch_add(1, Ordering::Relaxed);
        let name = format!("upgrade-responder-test-{}-{number}", process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Scratch {
            path,
            _place: place,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in this folder; nothing is created.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file of this folder, replacing what is there, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the test's folder is kept: {}", self.path.display());
            return;
        }
        if let Err(e) = fs::remove_dir_all(&self.path) {
            eprintln!("{}: {e}", self.path.display());
        }
    }
}

/// A port on 127.0.0.1 that is free, and that this run hands out only once.
///
/// It lies below the kernel's own range for outgoing connections (from 32768 on): a port asked for with
/// `:0` may become a client's source port in the moment between two starts of the server it was meant
/// for. Two test runs at once begin at different places.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    let offset = process::id().wrapping_mul(611);
    for _ in 0..COUNT {
        let step = NEXT_PORT.fetch_add(1, Ordering::Relaxed);
        let number = FIRST + offset.wrapping_add(step) % COUNT;
        let Ok(port) = u16::try_from(number) else {
            continue;
        };
        if is_free(port) {
            return port;
        }
    }
    panic!("no free port from {FIRST} on");
}

/// Binds the port without listening on it. A child started by another test at this very moment holds a
/// copy of the socket until it has become its program: were it a listening one, connections to a server
/// that does not run yet would succeed.
fn is_free(port: u16) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    socket.bind(&address.into()).is_ok()
}
