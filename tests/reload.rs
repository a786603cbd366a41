//! Release day: files are changed in every way they are changed in, while check-ins go on.

mod unsettled;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::support::client::{Address, Connection};
use crate::support::geodb;
use crate::support::load::Load;
use crate::support::process::proc_status;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{DATABASE, RESPONSE_CONFIG, Running, Server};
use crate::support::wait_for;

/// Far longer than a change takes to be noticed: 1 s until it is seen, 1 s until it has settled.
const NOTICED: Duration = Duration::from_secs(30);
const CHECK_IN: &str = r#"{"appVersion":"v1.0.0"}"#;

/// A config of `count` versions, of which the last is the latest.
fn config(count: usize) -> String {
    let version = |n: usize| {
        let tags = if n + 1 == count { r#""latest""# } else { "" };
        format!(r#"{{"name":"v1.{n}.0","releaseDate":"2024-06-20T00:00:00Z","tags":[{tags}]}}"#)
    };
    let versions: Vec<String> = (0..count).map(version).collect();
    format!(r#"{{"versions":[{}]}}"#, versions.join(","))
}

/// Clients that ask at full speed and remember every different answer. Anything else than a 200
/// fails the test.
struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<(usize, BTreeSet<String>)>>,
}

impl Clients {
    fn start(address: &Address, threads: usize) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (address, stop) = (address.clone(), stop.clone());
            thread::spawn(move || {
                let mut connection = Connection::open(&address).unwrap();
                // A machine that builds and tests has stood still for 10 s.
                connection.set_limit(Duration::from_secs(60)).unwrap();
                let (mut count, mut answers) = (0, BTreeSet::new());
                while !stop.load(Ordering::Relaxed) {
                    let from = [("X-Forwarded-For", "203.0.113.7")];
                    let answer = connection.post_checkin(CHECK_IN, &from).unwrap();
                    assert_eq!(answer.status, 200);
                    answers.insert(answer.text());
                    count += 1;
                }
                (count, answers)
            })
        };
        let threads = (0..threads).map(client).collect();
        Clients { stop, threads }
    }

    /// How many answers there were, and the different ones.
    fn stop(self) -> (usize, BTreeSet<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut whole = (0, BTreeSet::new());
        for thread in self.threads {
            let (count, answers) = thread.join().unwrap();
            whole.0 += count;
            whole.1.extend(answers);
        }
        whole
    }
}

fn answer(connection: &mut Connection) -> String {
    connection.post_checkin(CHECK_IN, &[]).unwrap().text()
}

/// Waits until the server answers with `expected`.
fn wait_for_answer(connection: &mut Connection, expected: &str, why: &str) {
    wait_for(NOTICED, why, || answer(connection) == expected);
}

fn lines_with(running: &Running, what: &str) -> usize {
    running.log().lines().filter(|l| l.contains(what)).count()
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
    /// As Kubernetes does: the file is a link through `..data`, a link to a folder, which is renamed
    /// over; the old folder is removed.
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
fn two_hundred_reloads_under_load_fail_no_request_and_mix_no_answers() {
    let scratch = Scratch::new();
    let (few, many) = (config(2), config(60));
    let path = scratch.write("response-config.json", &few);
    let server = Server::new(&scratch).arg("--reload-interval", "1s");
    let mut running = server.start();
    let mut connection = running.connect();
    let answers = [&few, &many].map(|config| {
        let config = config.strip_suffix('}').unwrap();
        format!(r#"{config},"requestIntervalInMinutes":60}}"#)
    });
    let clients = Clients::start(running.addr(), 4);
    let mut file = Swapped::new(&path);
    // Plain files first: a file in place of a link would be another way again.
    for (way, times) in [(Way::InPlace, 67), (Way::Rename, 67), (Way::Symlink, 67)] {
        for n in 0..times {
            let (content, expected) = if n % 2 == 0 {
                (&many, &answers[1])
            } else {
                (&few, &answers[0])
            };
            file.change(way, content.as_bytes());
            // The last of each way is to be noticed without being asked for.
            if n + 1 < times {
                running.signal(Signal::HUP);
            }
            wait_for_answer(&mut connection, expected, &format!("{way:?}, change {n}"));
        }
        if let Way::InPlace | Way::Rename = way {
            file.change(way, few.as_bytes());
            running.signal(Signal::HUP);
            wait_for_answer(&mut connection, &answers[0], "the way back");
        }
    }
    let (count, seen) = clients.stop();
    assert_eq!(seen, BTreeSet::from(answers), "of {count} answers");
    let log = running.terminate().stderr;
    // A disk that holds up a write behind its truncation for seconds leaves an empty file for so long.
    let errors = log
        .lines()
        .filter(|l| l.contains("ERROR") || l.contains("WARN"));
    for error in errors {
        assert!(
            error.contains("found nothing, expected a JSON object"),
            "{error}"
        );
    }
    let reloads = log.matches("configuration loaded again").count();
    assert!(reloads >= 200, "{reloads} reloads");
    println!("{count} answers during {reloads} reloads");
}

/// A file that is put in another's place (`None`: taken away), and what is to be said of it.
type Broken<'a> = (Option<Vec<u8>>, &'a [&'a str]);

const SCHEMA: &str = r#"{"extraTagInfoSchema": {"hostArch": {"dataType": "string"}}}"#;

#[test]
fn an_invalid_response_config_is_said_once_and_the_old_one_is_served() {
    let dated = |date: &str| RESPONSE_CONFIG.replace(r#""2024-06-20T00:00:00Z""#, date);
    let cases: [Broken<'_>; 5] = [
        (
            Some(dated("null").into()),
            &[
                "versions[1] \"v1.1.0\", releaseDate",
                "found null",
                "RFC 3339",
            ],
        ),
        (
            Some(RESPONSE_CONFIG.replace("latest", "newest").into()),
            &["versions: found no version tagged \"latest\""],
        ),
        (
            Some(RESPONSE_CONFIG.replace("\"tags\"", "tags").into()),
            &["line 2, column", "near"],
        ),
        (
            Some(b"{\"versions\": \xff}".to_vec()),
            &["byte 13", "UTF-8"],
        ),
        (None, &["No such file", "expected a JSON file"]),
    ];
    each_is_said_once("response-config.json", &cases);
}

#[test]
fn an_invalid_schema_is_said_once_and_the_old_one_is_used() {
    let cases: [Broken<'_>; 3] = [
        (
            Some(SCHEMA.replace("string", "text").into()),
            &[
                "\"hostArch\", dataType",
                "found \"text\"",
                "expected \"string\"",
            ],
        ),
        (
            Some(SCHEMA.replace("hostArch", "arch").into()),
            &["extraTagInfoSchema", "\"host_arch\"", "--down-sample-tags"],
        ),
        (None, &["No such file", "expected a JSON file"]),
    ];
    each_is_said_once("schema.json", &cases);
}

#[test]
fn an_invalid_geo_database_is_said_once_and_the_old_one_is_used() {
    let scratch = Scratch::new();
    let sample = fs::read(geodb::sample(&scratch)).unwrap();
    let mut other_type = sample.clone();
    let at = sample
        .windows(11)
        .position(|w| w == b"Sample-City")
        .unwrap();
    other_type[at..at + 11].copy_from_slice(b"Sample-Asns");
    let half = sample[..sample.len() / 2].to_vec();
    let cases: [Broken<'_>; 4] = [
        (Some(Vec::new()), &["empty", "expected a MaxMind DB"]),
        (Some(half), &["not a whole MaxMind DB", "fetch it again"]),
        (
            Some(other_type),
            &["\"Sample-Asns\"", "cities or countries"],
        ),
        (None, &["No such file", "expected a MaxMind DB"]),
    ];
    each_is_said_once("sample.mmdb", &cases);
}

fn each_is_said_once(file: &str, cases: &[Broken<'_>]) {
    let scratch = Scratch::new();
    let server = Server::new(&scratch)
        .arg("--request-schema", scratch.write("schema.json", SCHEMA))
        .arg("--down-sample-tags", "host_arch");
    let mut running = server.arg("--reload-interval", "1s").start();
    let mut connection = running.connect();
    let before = answer(&mut connection);
    let path = scratch.join(file);
    let kept = scratch.join("kept");
    let broken = |number: usize| scratch.join(&format!("broken-{number}"));
    for (number, (content, _)) in cases.iter().enumerate() {
        if let Some(content) = content {
            fs::write(broken(number), content).unwrap();
        }
    }
    for (number, (content, expected)) in cases.iter().enumerate() {
        fs::rename(&path, &kept).unwrap();
        if content.is_some() {
            // What is old enough to be complete is judged at once.
            symlink(broken(number), &path).unwrap();
        }
        // The first is noticed without being asked for.
        if number > 0 {
            running.signal(Signal::HUP);
        }
        wait_for_lines(&running, "the one in use stays", number + 1);
        let log = running.log();
        let line = log.lines().rfind(|line| line.contains("in use stays"));
        let line = line.unwrap();
        for text in expected.iter().chain(&[file, "ERROR"]) {
            assert!(line.contains(text), "{text:?} is not in: {line}");
        }
        running.signal(Signal::HUP);
        wait_for_lines(&running, "as they were when refused", number + 1);
        assert_eq!(answer(&mut connection), before);
        // The very same file, with its old times.
        fs::rename(&kept, &path).unwrap();
        if number > 0 {
            running.signal(Signal::HUP);
        }
        wait_for_lines(&running, "configuration is valid again", number + 1);
        assert_eq!(answer(&mut connection), before);
    }
    // The last is looked at three times more, and not said again.
    fs::rename(&path, &kept).unwrap();
    wait_for_lines(&running, "the one in use stays", cases.len() + 1);
    thread::sleep(Duration::from_secs(3));
    let log = running.terminate().stderr;
    assert_eq!(log.matches("ERROR").count(), cases.len() + 1, "{log}");
}

#[test]
fn a_change_is_said_in_the_operators_terms() {
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
    wait_for_lines(&running, "configuration loaded again (SIGHUP)", 1);
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

#[test]
fn a_geo_database_overwritten_in_place_under_load_loses_no_location() {
    let scratch = Scratch::new();
    let geodb = geodb::sample(&scratch);
    let databases = [1_700_000_000, 1_710_000_000].map(|at| geodb::variant(&geodb, at, 20 << 20));
    let server = Server::new(&scratch).arg("--reload-interval", "1s");
    let mut running = server.start();
    let clients = Clients::start(running.addr(), 3);
    let mut connection = running.connect();
    for n in 0..10 {
        fs::write(&geodb, &databases[n % 2]).unwrap();
        running.signal(Signal::HUP);
        // Cut off and left so for a while, which a mapped file would not survive.
        let file = fs::OpenOptions::new().write(true).open(&geodb).unwrap();
        file.set_len(4096).unwrap();
        for _ in 0..50 {
            answer(&mut connection);
        }
    }
    fs::write(&geodb, &databases[1]).unwrap();
    let last = "geo database is now \"Sample-City\" of 2024-03-09";
    wait_for_lines(&running, last, 1);
    let (count, _) = clients.stop();
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let spool = fs::read_dir(scratch.join("spool").join(DATABASE)).unwrap();
    let paths = spool.map(|entry| entry.unwrap().path());
    let segments = paths.filter(|path| path.extension().is_some_and(|e| e == "lp"));
    let located = |path: PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .filter(|line| line.contains("city=Zürich"))
            .count()
    };
    assert_eq!(segments.map(located).sum::<usize>(), count);
}

#[test]
fn a_hundred_geo_databases_leave_no_memory_behind() {
    let scratch = Scratch::new();
    let geodb = geodb::sample(&scratch);
    const SIZE: usize = 20 << 20;
    let databases = [1_700_000_000, 1_710_000_000].map(|at| {
        let content = geodb::variant(&geodb, at, SIZE);
        scratch.write(&format!("{at}.mmdb"), content)
    });
    let put = |n: usize| {
        let new = scratch.join("new.mmdb");
        fs::hard_link(&databases[n % 2], &new).unwrap();
        fs::rename(&new, &geodb).unwrap();
    };
    put(0);
    let mut running = Server::new(&scratch).start();
    let load = Load::new(running.addr()).threads(2).endless();
    let load = load.pause(Duration::from_millis(1)).start();
    let resident = |running: &Running| proc_status(running.pid(), "VmRSS:") as usize * 1024;
    let at_start = resident(&running);
    for n in 1..=100 {
        put(n);
        running.signal(Signal::HUP);
        wait_for_lines(&running, "geo database is now", n);
    }
    load.stop();
    let mib = |bytes: usize| bytes >> 20;
    let most = at_start + SIZE / 2;
    // The last old one goes a moment after the line in the log.
    let what = format!("less than {} MiB", mib(most));
    wait_for(NOTICED, &what, || resident(&running) < most);
    let at_end = mib(resident(&running));
    println!("{} MiB at start, {at_end} MiB after 100", mib(at_start));
    assert_eq!(running.terminate().code, Some(0));
}

#[test]
fn health_and_metrics_show_that_older_files_are_served() {
    let scratch = Scratch::new();
    let path = scratch.write("response-config.json", config(2));
    let metrics = Address::local(free_port());
    let server = Server::new(&scratch).arg("--metrics-listen", metrics.to_string());
    let mut running = server.start();
    let get = |target: &str| {
        let mut connection = Connection::open(&metrics).unwrap();
        connection.request("GET", target, &[], b"").unwrap()
    };
    let mut shown = |health: u16, outdated: &str| {
        running.signal(Signal::HUP);
        let line = format!("upgrade_responder_config_outdated {outdated}\n");
        wait_for(NOTICED, &format!("health {health}, {line}"), || {
            get("/healthz").status == health && get("/metrics").text().contains(&line)
        });
    };
    shown(200, "0");
    fs::remove_file(&path).unwrap();
    shown(503, "1");
    fs::write(&path, config(2)).unwrap();
    shown(200, "0");
}

#[test]
fn a_named_pipe_in_a_files_place_blocks_nothing() {
    let scratch = Scratch::new();
    let path = scratch.write("response-config.json", config(2));
    let mut running = Server::new(&scratch).start();
    fs::remove_file(&path).unwrap();
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    running.signal(Signal::HUP);
    wait_for_lines(&running, "found no regular file", 1);
    assert_eq!(running.terminate().code, Some(0));
}

#[test]
fn a_file_that_could_not_be_opened_for_a_while_is_loaded_later() {
    let scratch = Scratch::new();
    let path = scratch.write("response-config.json", config(2));
    let mut running = Server::new(&scratch).arg("--reload-interval", "1s").start();
    let mut connection = running.connect();
    let before = answer(&mut connection);
    let pid = Pid::from_raw(i32::try_from(running.pid()).unwrap());
    let limit = |current: u64| {
        let limit = Rlimit {
            current: Some(current),
            maximum: Some(4096),
        };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    };
    limit(3);
    Swapped::new(&path).change(Way::Rename, config(3).as_bytes());
    running.signal(Signal::HUP);
    wait_for_lines(
        &running,
        "not taken (files changed), the one in use stays",
        1,
    );
    assert!(running.log().contains("Too many open files"));
    assert_eq!(answer(&mut connection), before);
    limit(4096);
    wait_for_lines(&running, "configuration is valid again", 1);
    assert_ne!(answer(&mut connection), before);
    let log = running.terminate().stderr;
    assert_eq!(log.matches("configuration not taken (").count(), 1, "{log}");
}

#[test]
fn a_storm_of_sighups_is_survived_and_does_not_delay_the_stop() {
    let scratch = Scratch::new();
    let mut running = Server::new(&scratch).start();
    let load = Load::new(running.addr()).threads(2).each(200).start();
    for _ in 0..2000 {
        running.signal(Signal::HUP);
    }
    assert_eq!(load.finish().errors, 0);
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing changed"), "{}", ended.stderr);
}
