//! A folder for each test, and free ports. Two tests must never get the same folder or port.

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

/// The folder of one test. It is deleted at the end; if the test failed, it is kept and its path is printed.
///
/// Declare it before everything that uses it, so that it is dropped last.
pub struct Scratch {
    path: PathBuf,
    _place: Place,
}

impl Scratch {
    /// A new, empty folder in the system's temporary folder. Its path is short, because the path of a Unix socket may
    /// have 107 bytes.
    pub fn new() -> Scratch {
        Scratch::with(Company::Anybody)
    }

    /// The same for a test that asserts a time limit: it runs alone.
    pub fn alone() -> Scratch {
        Scratch::with(Company::Nobody)
    }

    /// The same for tests of hostile clients, which run only beside each other.
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

    /// The path of `name` in this folder, without creating a file.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes or replaces a file in this folder and returns its path.
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

/// A free port of 127.0.0.1, returned only once per run.
///
/// It is below the kernel's range for outgoing connections (from 32768 on): between two starts of a server, a port from
/// that range could become the source port of a client. Simultaneous test runs begin at different ports.
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

/// Binds the port without listening on it. A child process that another test starts at this moment has a copy of the
/// socket until its exec. If that socket listened, connections to a server that does not run yet would succeed.
fn is_free(port: u16) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    socket.bind(&address.into()).is_ok()
}
