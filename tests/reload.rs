//! Reloads of the configuration files. If these tests fail, a release does not reach clients, a reload fails requests,
//! or an invalid file replaces a valid one. Here: helpers, and the log line of a successful reload.

mod refused;
mod under_load;
mod unsettled;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::account;
use crate::support::client::Connection;
use crate::support::geodb;
use crate::support::scratch::Scratch;
use crate::support::server::{Running, Server};
use crate::support::wait_for;

/// Much longer than a reload takes: 1 s until the change is noticed, and 1 s until the file is stable.
const NOTICED: Duration = Duration::from_secs(30);
const CHECK_IN: &str = r#"{"appVersion":"v1.0.0"}"#;

/// A response config of `count` versions; the last is tagged latest.
fn config(count: usize) -> String {
    let version = |n: usize| {
        let tags = if n + 1 == count { r#""latest""# } else { "" };
        format!(r#"{{"name":"v1.{n}.0","releaseDate":"2024-06-20T00:00:00Z","tags":[{tags}]}}"#)
    };
    let versions: Vec<String> = (0..count).map(version).collect();
    format!(r#"{{"versions":[{}]}}"#, versions.join(","))
}

fn answer(connection: &mut Connection) -> String {
    connection.post_checkin(CHECK_IN, &[]).unwrap().text()
}

fn lines_with(running: &Running, what: &str) -> usize {
    account::lines_with(&running.log(), what)
}

fn wait_for_lines(running: &Running, what: &str, count: usize) {
    wait_for(NOTICED, &format!("line {count} with {what:?}"), || {
        lines_with(running, what) >= count
    });
}

/// A file named by the server's flags, and the three ways to change it.
struct Swapped {
    path: PathBuf,
    folder: PathBuf,
    generation: usize,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    InPlace,
    Rename,
    /// As Kubernetes does: the file is a link through `..data`, which links to a folder. A rename replaces `..data`,
    /// and the old folder is deleted.
    Symlink,
}

impl Swapped {
    fn new(path: &Path) -> Swapped {
        Swapped {
            path: path.to_path_buf(),
            folder: path.parent().unwrap().to_path_buf(),
            generation: 0,
        }
    }

    fn change(&mut self, way: Way, content: &[u8]) {
        self.generation += 1;
        match way {
            Way::InPlace => fs::write(&self.path, content).unwrap(),
            Way::Rename => {
                let new = self.folder.join("new");
                fs::write(&new, content).unwrap();
                fs::rename(&new, &self.path).unwrap();
            }
            Way::Symlink => self.swap(content),
        }
    }

    fn swap(&mut self, content: &[u8]) {
        let name = self.path.file_name().unwrap();
        let data = self.folder.join("..data");
        let before = fs::read_link(&data).ok();
        let dated = format!("..{}", self.generation);
        fs::create_dir(self.folder.join(&dated)).unwrap();
        fs::write(self.folder.join(&dated).join(name), content).unwrap();
        let link = self.folder.join("..data_tmp");
        symlink(&dated, &link).unwrap();
        fs::rename(&link, &data).unwrap();
        match before {
            Some(before) => fs::remove_dir_all(self.folder.join(before)).unwrap(),
            None => {
                let new = self.folder.join("new");
                symlink(Path::new("..data").join(name), &new).unwrap();
                fs::rename(&new, &self.path).unwrap();
            }
        }
    }
}

#[test]
fn a_reload_is_logged_with_the_changed_versions_and_keys() {
    let scratch = Scratch::new();
    let key =
        |name: &str, most: u32| format!(r#""{name}":{{"dataType":"string","maxLen":{most}}}"#);
    let schema = |keys: &[String]| format!(r#"{{"extraTagInfoSchema":{{{}}}}}"#, keys.join(","));
    let schema_path = scratch.write("schema.json", schema(&[key("old", 9), key("kept", 9)]));
    let geodb = geodb::sample(&scratch);
    let server = Server::new(&scratch).arg("--request-schema", &schema_path);
    let mut running = server.arg("--reload-interval", "0").start();

    let version = |name: &str, date: &str, tag: &str| {
        format!(r#"{{"name":"{name}","releaseDate":"{date}","tags":["{tag}"]}}"#)
    };
    let versions = [
        version("v1.1.0", "2024-06-21T00:00:00Z", "stable"),
        version("v1.2.0", "2024-09-01T00:00:00Z", "latest"),
    ];
    let new = format!(r#"{{"versions":[{}]}}"#, versions.join(","));
    fs::write(scratch.join("response-config.json"), new).unwrap();
    fs::write(&schema_path, schema(&[key("new", 9), key("kept", 8)])).unwrap();
    let new = geodb::variant(&geodb, 1_700_000_000, 0);
    fs::write(scratch.join("new.mmdb"), new).unwrap();
    fs::rename(scratch.join("new.mmdb"), &geodb).unwrap();
    running.signal(Signal::HUP);
    wait_for_lines(&running, "configuration reloaded (SIGHUP)", 1);
    let log = running.terminate().stderr;
    for text in [
        r#"versions added: "v1.2.0""#,
        r#"versions removed: "v1.0.0""#,
        r#"versions changed: "v1.1.0""#,
        r#"latest is now "v1.2.0""#,
        r#"schema keys added: "tag new""#,
        r#"schema keys removed: "tag old""#,
        r#"schema keys changed: "tag kept""#,
        r#"geo database is now "Sample-City" of 2023-11-14"#,
    ] {
        assert!(log.contains(text), "{text} is not in: {log}");
    }
}
