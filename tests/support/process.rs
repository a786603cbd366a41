//! One started program: its output, its exit status and its report. It must never outlive the test.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::wait_for;

/// The number of last log lines that a failure prints.
const REPORTED_LINES: usize = 200;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A program, running or ended. Dropping it kills it by its process id.
pub struct Process {
    child: Child,
    command: String,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command` in `folder`, with its output in two files there. The environment has only PATH and the
    /// variables that `command` sets.
    #[track_caller]
    pub fn start(folder: &Path, command: Command) -> Process {
        let program = Path::new(command.get_program());
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let stdout = folder.join(format!("{name}-{number}.stdout"));
        let stderr = folder.join(format!("{name}-{number}.stderr"));
        let shown = format!("{command:?}");

        let mut clean = Command::new(command.get_program());
        clean.args(command.get_args()).current_dir(folder);
        clean.env_clear().env("PATH", search_path());
        for (name, value) in command.get_envs() {
            clean.env(name, value.unwrap_or_default());
        }
        clean.stdin(Stdio::null());
        clean.stdout(File::create(&stdout).unwrap());
        clean.stderr(File::create(&stderr).unwrap());
        let child = clean.spawn().unwrap_or_else(|e| panic!("{shown}: {e}"));
        Process {
            child,
            command: shown,
            stdout,
            stderr,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The standard output so far.
    pub fn stdout(&self) -> String {
        text_of(&self.stdout)
    }

    /// The standard error so far.
    pub fn stderr(&self) -> String {
        text_of(&self.stderr)
    }

    /// The exit status; `None` while the program runs.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal, unless the program has ended. After `Signal::STOP` it waits until all threads are stopped: right
    /// after kill(2) some still run.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        if self.status().is_some() {
            return;
        }
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        if signal == Signal::STOP {
            let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
            wait_for(Duration::from_secs(10), "SIGSTOP to take effect", || {
                waitid(WaitId::Pid(pid), options).unwrap().is_some()
            });
        }
    }

    /// Waits until the program ends by itself; panics after `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.command);
        wait_for(limit, &what, || self.status().is_some());
        self.status().unwrap()
    }

    /// Ends the program with SIGKILL and waits for its end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Waits until `ready` returns true; panics after `limit`, or if the program ends first.
    #[track_caller]
    pub fn wait_until_ready(&mut self, limit: Duration, mut ready: impl FnMut(&Process) -> bool) {
        let what = format!("{} to be ready", self.command);
        wait_for(limit, &what, || {
            if let Some(status) = self.status() {
                panic!("ended before it was ready ({status})");
            }
            ready(self)
        });
    }

    /// The command, its exit status and its output (the end of long logs).
    pub fn report(&mut self) -> String {
        let status = match self.status() {
            Some(status) => status.to_string(),
            None => "running".to_string(),
        };
        format!(
            "command: {}\nstatus: {status}\nstdout:\n{}\nstderr:\n{}\n",
            self.command,
            last_lines(&self.stdout()),
            last_lines(&self.stderr()),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.report());
        }
        self.kill();
    }
}

/// PATH and the folder of nginx, which is only in root's PATH.
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    path
}

fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(REPORTED_LINES);
    lines[skipped..].join("\n")
}

/// A number in `/proc/PID/status`: a count, or a size in KiB.
#[track_caller]
pub fn proc_status(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
