//! The commands in the documents. If this test failed, a reader who copies a command would get an error.
//!
//! The test runs the blocks that are marked `sh run`, and in blocks with output the lines that begin with `$`.
//! `make vm-test` runs the blocks that are marked `vm=`.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use super::{documents, root};
use crate::support::client::Address;
use crate::support::influx::Influx;
use crate::support::process::Process;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::Server;
use crate::support::wait_for;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn commands_in_the_documents_run() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let page = Address::local(free_port());
    let server = sandbox(&scratch, &influx, &page);
    let running = server.start();
    let replacements = [
        (
            "http://127.0.0.1:8314".to_owned(),
            format!("http://{}", running.addr()),
        ),
        ("http://127.0.0.1:8315".to_owned(), format!("http://{page}")),
        ("http://127.0.0.1:8086".to_owned(), influx.url()),
    ];
    let mut count = 0;
    let mut all = documents();
    // The check-in of the README comes first, since other commands need its record.
    all.sort_by_key(|(path, _)| !path.ends_with("README.md"));
    for (path, text) in all {
        for command in commands(&text) {
            let command = replacements
                .iter()
                .fold(command, |command, (from, to)| command.replace(from, to));
            run(&scratch, &command, &path.display().to_string());
            count += 1;
        }
    }
    assert!(count >= 12, "{count} commands found");
    // No command has added a second application to the state directory: then this one would need its name.
    run(
        &scratch,
        "upgrade-responder report --by app_version",
        "after all documents",
    );
    running.terminate();
}

/// The state after following the README: a server with the sample files, its state in the default directory, and the
/// program in PATH. No environment variable sets a flag, so each command has to have the flags that it needs.
fn sandbox(scratch: &Scratch, influx: &Influx, page: &Address) -> Server {
    let program = env!("CARGO_BIN_EXE_upgrade-responder");
    fs::create_dir(scratch.join("bin")).unwrap();
    symlink(program, scratch.join("bin/upgrade-responder")).unwrap();
    symlink(root().join("examples"), scratch.join("examples")).unwrap();
    symlink("state", scratch.join("upgrade-responder-data")).unwrap();
    let rules = fs::read_to_string(root().join("docs/rules.md")).unwrap();
    let example = rules
        .split("```json\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    scratch.write("new.json", example);
    Server::new(scratch)
        .arg("--application-name", "sample")
        .arg(
            "--upgrade-response-config",
            root().join("examples/response-config.json"),
        )
        .arg(
            "--request-schema",
            root().join("examples/request-schema.json"),
        )
        .arg("--influxdb-url", influx.url())
        .arg("--metrics-listen", page.to_string())
}

/// The commands of a document, in their order.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let blocks = text.split("\n```").collect::<Vec<_>>();
    // Every second piece is a block.
    for block in blocks.iter().skip(1).step_by(2) {
        let (mark, body) = block.split_once('\n').unwrap_or((block, ""));
        if mark == "sh run" {
            commands.push(body.to_owned());
        } else if mark.is_empty() {
            commands.extend(behind_prompts(body));
        }
    }
    commands
}

/// The commands after `$`. A line that ends in a backslash or a pipe continues in the next one.
fn behind_prompts(body: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continues = false;
    for line in body.lines() {
        let begun = line.strip_prefix("$ ");
        match (begun, continues) {
            (Some(line), _) => commands.push(line.to_owned()),
            (None, true) => {
                let last = commands.last_mut().unwrap();
                *last = format!("{last}\n{line}");
            }
            (None, false) => continue,
        }
        continues = line.ends_with('\\') || line.ends_with('|');
    }
    commands
}

#[track_caller]
fn run(scratch: &Scratch, command: &str, document: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", command]);
    let path = format!(
        "{}:{}",
        scratch.join("bin").display(),
        std::env::var("PATH").unwrap()
    );
    shell.env("PATH", path);
    // Repeated until it succeeds, because a check-in is counted a moment after its answer.
    wait_for(LIMIT, &format!("success of {document}: {command}"), || {
        let mut process = Process::start(scratch.path(), {
            let mut again = Command::new("sh");
            again.args(shell.get_args());
            for (name, value) in shell.get_envs() {
                again.env(name, value.unwrap_or_default());
            }
            again
        });
        process.wait(LIMIT).success()
    });
}
