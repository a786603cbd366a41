//! The real binary: a test starts it, reads its log, signals it and ends it. No server must outlive its test.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::client::{Address, Connection};
use super::geodb;
use super::process::Process;
use super::scratch::{Scratch, free_port};

/// The default response config. It is in the scratch folder as `response-config.json`, and a test may replace it.
pub const RESPONSE_CONFIG: &str = r#"{"versions": [
    {"name": "v1.0.0", "releaseDate": "2024-01-10T00:00:00Z", "minUpgradableVersion": "", "tags": ["stable"]},
    {"name": "v1.1.0", "releaseDate": "2024-06-20T00:00:00Z", "minUpgradableVersion": "v1.0.0", "tags": ["latest"]}
]}"#;

/// The application name, with which the database's name begins.
pub const APPLICATION: &str = "myapp";
/// The database of [`APPLICATION`].
pub const DATABASE: &str = "myapp_upgrade_responder";

const BINARY: &str = env!("CARGO_BIN_EXE_upgrade-responder");
/// The time limit for a start, or for the end after a failed start.
const START: Duration = Duration::from_secs(20);
/// The time limit for a stop after SIGTERM; the last delivery may take 5 s of it.
const STOP: Duration = Duration::from_secs(20);

/// A command line to start, also more than once: port and state stay the same.
#[derive(Clone)]
pub struct Server {
    folder: PathBuf,
    flags: Vec<(String, Option<OsString>)>,
    environment: Vec<(String, OsString)>,
    under: Vec<String>,
}

/// The exit code and output of an ended command.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A server that has logged that it is ready. Dropping it kills it.
pub struct Running {
    process: Process,
    address: Address,
}

/// Runs a command that ends by itself, with only these arguments.
#[track_caller]
pub fn run(scratch: &Scratch, arguments: &[&str]) -> Ended {
    run_with(scratch, &[], arguments)
}

/// The same with environment variables.
pub fn run_with(scratch: &Scratch, environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = Command::new(BINARY);
    command.args(arguments).envs(environment.iter().copied());
    ended(Process::start(scratch.path(), command))
}

impl Server {
    /// `start` with a response config, the sample geo database, a free port of 127.0.0.1 and its state
    /// in the scratch folder, without request schema and without InfluxDB.
    pub fn new(scratch: &Scratch) -> Server {
        let server = Server {
            folder: scratch.path().to_path_buf(),
            flags: Vec::new(),
            environment: Vec::new(),
            under: Vec::new(),
        };
        let config = scratch.join("response-config.json");
        if !config.exists() {
            scratch.write("response-config.json", RESPONSE_CONFIG);
        }
        server
            .arg("--upgrade-response-config", config)
            .arg("--application-name", APPLICATION)
            .arg("--geodb", geodb::sample(scratch))
            .arg("--listen", Address::local(free_port()).to_string())
            .arg("--state-dir", scratch.join("state"))
    }

    /// Sets a flag, replacing its previous value.
    pub fn arg(self, flag: &str, value: impl AsRef<OsStr>) -> Server {
        let value = value.as_ref().to_os_string();
        let mut server = self.without(flag);
        server.flags.push((flag.to_string(), Some(value)));
        server
    }

    /// Sets a flag that takes no value.
    pub fn switch(self, flag: &str) -> Server {
        let mut server = self.without(flag);
        server.flags.push((flag.to_string(), None));
        server
    }

    /// Removes a flag, such as a default of [`Server::new`].
    pub fn without(mut self, flag: &str) -> Server {
        self.flags.retain(|(name, _)| name != flag);
        self
    }

    /// Sets an environment variable; by default there is only PATH.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Server {
        let value = value.as_ref().to_os_string();
        self.environment.push((name.to_string(), value));
        self
    }

    /// Starts the server through a program that executes it: `prlimit`, `setpriv`.
    pub fn under(mut self, program_and_arguments: &[&str]) -> Server {
        self.under = program_and_arguments
            .iter()
            .map(|s| s.to_string())
            .collect();
        self
    }

    /// Starts the server and waits until it logs that it is ready. If it ends or logs nothing, the test fails and
    /// prints its command, status, output and log.
    #[track_caller]
    pub fn start(&self) -> Running {
        let mut process = Process::start(&self.folder, self.command());
        process.wait_until_ready(START, |process| says_ready(&process.stderr()));
        Running {
            process,
            address: self.address(),
        }
    }

    /// Starts the server without waiting, for tests that end it before it is ready.
    #[track_caller]
    pub fn spawn(&self) -> Process {
        Process::start(&self.folder, self.command())
    }

    /// Starts the server and expects it to end by itself with this exit code.
    #[track_caller]
    pub fn expect_exit(&self, code: i32) -> Ended {
        let mut process = Process::start(&self.folder, self.command());
        process.wait(START);
        let report = process.report();
        let ended = ended(process);
        assert_eq!(ended.code, Some(code), "another exit code:\n{report}");
        ended
    }

    /// Runs another command with the flags of this server and `more` until it ends by itself.
    #[track_caller]
    pub fn other_command(&self, command: &str, more: &[&str]) -> Ended {
        let mut words = self.command_named(command);
        words.args(more);
        ended(Process::start(&self.folder, words))
    }

    /// The listen address in the flags and environment of this server.
    pub fn address(&self) -> Address {
        let Some(listen) = self.value("--listen", "LISTEN") else {
            let port = self.value("--port", "PORT").unwrap_or("8314");
            return Address::local(port.parse().unwrap());
        };
        match listen.strip_prefix("unix:") {
            Some(path) => Address::Unix(PathBuf::from(path)),
            None => Address::Tcp(listen.parse().unwrap()),
        }
    }

    fn value(&self, flag: &str, variable: &str) -> Option<&str> {
        let flags = self.flags.iter();
        let flags = flags.filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let variables = self.environment.iter().map(|(name, value)| (name, value));
        flags
            .chain(variables)
            .find(|(name, _)| *name == flag || *name == variable)
            .and_then(|(_, value)| value.to_str())
    }

    fn command(&self) -> Command {
        self.command_named("start")
    }

    fn command_named(&self, name: &str) -> Command {
        let mut words = self.under.iter().map(String::as_str).chain([BINARY]);
        let mut command = Command::new(words.next().unwrap_or(BINARY));
        command.args(words).arg(name);
        for (flag, value) in &self.flags {
            command.arg(flag).args(value);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Running {
    pub fn addr(&self) -> &Address {
        &self.address
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// A new connection to the server.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(&self.address).unwrap_or_else(|e| panic!("{}: {e}", self.address))
    }

    /// Sends a signal: `Signal::HUP`, or `Signal::STOP` and `Signal::CONT`.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Asks the server to stop, waits for its end, and returns its exit code and log.
    #[track_caller]
    pub fn terminate(mut self) -> Ended {
        self.process.signal(Signal::TERM);
        self.process.wait(STOP);
        ended(self.process)
    }

    /// Ends the server with SIGKILL, as a crash would.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// Waits for the end of a server that ends by itself.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Ended {
        self.process.wait(limit);
        ended(self.process)
    }
}

/// Whether the log has the word "ready" ("already" does not count).
fn says_ready(log: &str) -> bool {
    log.split(|c: char| !c.is_alphanumeric())
        .any(|word| word == "ready")
}

#[track_caller]
fn ended(mut process: Process) -> Ended {
    let status = process.wait(START);
    Ended {
        code: status.code(),
        stdout: process.stdout(),
        stderr: process.stderr(),
    }
}
