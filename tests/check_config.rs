//! `check-config`. If it failed, operators would install files that the server refuses, or that do not do what they
//! intend.

mod field_types;
mod without_effect;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::geodb;
use crate::support::influx::Influx;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{DATABASE, Ended, Server};
use crate::support::wait_for;

/// Runs check-config and requires this exit code, these texts on stdout, and exactly these errors.
#[track_caller]
fn check(server: &Server, more: &[&str], code: i32, said: &[&str], errors: &[&str]) -> Ended {
    let ended = server.other_command("check-config", more);
    let all = format!("stdout:\n{}stderr:\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(code), "{all}");
    for text in said {
        assert!(ended.stdout.contains(text), "{text:?} is not in\n{all}");
    }
    for text in errors {
        assert!(ended.stderr.contains(text), "{text:?} is not in\n{all}");
    }
    let found = ended.stderr.lines().filter(|l| l.starts_with("error: "));
    assert_eq!(found.count(), errors.len(), "{all}");
    ended
}

#[test]
fn valid_files_are_shown_as_the_server_would_use_them() {
    let scratch = Scratch::new();
    let schema = r#"{"extraTagInfoSchema": {"hostArch": {"dataType": "string"}},
        "extraFieldInfoSchema": {"nodeCount": {"dataType": "float"}}}"#;
    let geodb = geodb::sample(&scratch);
    let dated = geodb::variant(&geodb, now() - 5 * 86_400, 0);
    fs::write(&geodb, dated).unwrap();
    let server = Server::new(&scratch)
        .arg("--request-schema", scratch.write("schema.json", schema))
        .arg("--down-sample-tags", "host_arch")
        .arg("--query-period", "90m")
        .arg(
            "--influxdb-url",
            "http://user:sesame@influx.example:8086/prefix",
        );
    let said = [
        "version            \"v1.0.0\", tags [\"stable\"]\n",
        "version            \"v1.1.0\", tags [\"latest\"]\n",
        "latest             \"v1.1.0\" of 2024-06-20\n",
        "extra tag          \"hostArch\" stored as host_arch (string)\n",
        "extra field        \"nodeCount\" stored as node_count (float)\n",
        "geo database       \"Sample-City\" of 20",
        "query period       1h30m\n",
        "listen             127.0.0.1:",
        "InfluxDB           http://influx.example:8086/prefix, database \"myapp_upgrade_responder\"\n",
        "result             good, warnings: 0\n",
    ];
    let ended = check(&server, &[], 0, &said, &[]);
    assert!(!ended.stdout.contains("sesame"), "{}", ended.stdout);
    let bare = server.without("--geodb").without("--request-schema");
    let said = ["request schema     none", "geo database       none"];
    check(&bare.without("--influxdb-url"), &[], 0, &said, &[]);
}

#[test]
fn names_without_data_on_the_public_page_get_a_warning() {
    let scratch = Scratch::new();
    let schema = r#"{"extraTagInfoSchema": {"hostArch": {"dataType": "string"}},
        "extraFieldInfoSchema": {"nodeCount": {"dataType": "float"}, "note": {"dataType": "string"}}}"#;
    let server = Server::new(&scratch).arg("--request-schema", scratch.write("s.json", schema));
    let known = server.clone().arg(
        "--public-page",
        "all,app_version,country,city,host_arch,node_count",
    );
    check(&known, &[], 0, &["good, warnings: 0"], &[]);
    let unknown = server.arg("--public-page", "version,host_arch,note");
    let said = [
        "--public-page: found \"version\"",
        "--public-page: found \"note\"",
        "expected some of: all, app_version, country, city, host_arch, node_count\n",
        "good, warnings: 2",
    ];
    check(&unknown, &[], 0, &said, &[]);
}

#[test]
fn every_problem_of_every_file_is_listed() {
    let scratch = Scratch::new();
    let config = r#"{"versions": [
        {"name": "one", "releaseDate": null, "tags": "latest"},
        {"name": "v1.0.0", "releaseDate": "2024-01-10T00:00:00Z"},
        {"name": "v1.0.0", "releaseDate": "yesterday", "minUpgradableVersion": 1}]}"#;
    let schema = r#"{"appVersionSchema": {"dataType": "float"},
        "extraTagInfoSchema": {"a": {"dataType": "float"}, "b": 1},
        "extraFieldInfoSchema": {"c": {"dataType": "int", "maxLen": -1}}}"#;
    let server = Server::new(&scratch)
        .arg("--upgrade-response-config", scratch.write("r.json", config))
        .arg("--request-schema", scratch.write("s.json", schema))
        .arg("--geodb", scratch.write("g.mmdb", "nonsense"))
        .arg("--state-dir", scratch.join("r.json").join("state"))
        .arg("--influxdb-url", "https://localhost")
        .arg("--influxdb-user", "me")
        .arg("--influxdb-pass-file", scratch.join("no-password"))
        .arg("--influxdb-ca-file", scratch.join("no-authorities"));
    let errors = [
        "r.json: versions[0] \"one\", name: found \"one\", expected a semantic version",
        "r.json: versions[0] \"one\", releaseDate: found null, expected an RFC 3339 date",
        "r.json: versions[0] \"one\", tags: found \"latest\", expected an array of strings",
        "r.json: versions[2] \"v1.0.0\", name: found \"v1.0.0\", which is the name of versions[1] too",
        "r.json: versions[2] \"v1.0.0\", releaseDate: found \"yesterday\"",
        "r.json: versions[2] \"v1.0.0\", minUpgradableVersion: found 1, expected",
        "s.json: appVersionSchema, dataType: found \"float\", expected \"string\"",
        "s.json: extraTagInfoSchema, \"a\", dataType: found \"float\", expected \"string\"",
        "s.json: extraTagInfoSchema, \"b\": found 1, expected an object",
        "s.json: extraFieldInfoSchema, \"c\", dataType: found \"int\"",
        "s.json: extraFieldInfoSchema, \"c\", maxLen: found -1",
        "g.mmdb: not a whole MaxMind DB file",
        "--state-dir",
        "--influxdb-pass-file",
        "--influxdb-ca-file",
    ];
    check(&server, &[], 78, &["errors: 15, warnings: 0"], &errors);
}

#[test]
fn probable_mistakes_get_a_warning() {
    let scratch = Scratch::new();
    let config = r#"{"versions": [
        {"name": "v1.2.0", "releaseDate": "2024-01-10T00:00:00Z"},
        {"name": "v1.1.0", "releaseDate": "2099-01-10T00:00:00Z", "tags": ["latest"]}]}"#;
    let schema = r#"{"extraTagInfoSchema": {"hostOS": {"dataType": "string"},
        "host-os": {"dataType": "string"}, "appVersion": {"dataType": "string"},
        "size": {"dataType": "string"}},
        "extraFieldInfoSchema": {"size": {"dataType": "float"},
        "nodeCount": {"dataType": "float"}, "node_count": {"dataType": "string"}}}"#;
    let geodb = geodb::sample(&scratch);
    let old = geodb::variant(&geodb, now() - 61 * 86_400, 0);
    let server = Server::new(&scratch)
        .arg("--upgrade-response-config", scratch.write("r.json", config))
        .arg("--request-schema", scratch.write("s.json", schema))
        .arg("--geodb", scratch.write("old.mmdb", old));
    let said = [
        "warning:           version \"v1.2.0\" has no tags\n",
        "\"v1.1.0\" has a release date in the future, 2099-01-10",
        "\"v1.1.0\" is tagged latest, but \"v1.2.0\" is higher\n",
        "tag \"host-os\", tag \"hostOS\" of the schema: all stored as \"host_os\"",
        "tag \"appVersion\" of the schema: never stored",
        "tag \"size\", field \"size\" of the schema: a tag and a field are both stored as \"size\"",
        "of the schema: \"node_count\" would be float and string; InfluxDB keeps the type that it",
        "the geo database is older than 60 days: \"Sample-City\" of ",
        "good, warnings: 9",
    ];
    check(&server, &[], 0, &said, &[]);
}

#[test]
fn it_runs_while_the_server_runs_and_writes_nothing() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    // Before a spool exists, and with a socket that must not be created.
    let unix = server.clone().arg("--listen", "unix:/nowhere/socket");
    let before = listing(scratch.path());
    check(&unix, &[], 0, &["good"], &[]);
    assert_eq!(listing(scratch.path()), before);

    let running = server.start();
    let mut connection = running.connect();
    connection.post_checkin("{}", &[]).unwrap();
    let state = scratch.join("state");
    // Once the record is written, the server only writes to the ledger.
    wait_for(Duration::from_secs(10), "the record", || {
        let is_segment = |path: &Path| path.extension().is_some_and(|e| e == "lp");
        let files = listing(&state);
        files
            .iter()
            .any(|(path, (size, _))| is_segment(path) && *size > 0)
    });
    let before = without_ledger(listing(&state));
    check(&server, &[], 0, &["good"], &[]);
    assert_eq!(without_ledger(listing(&state)), before);
    assert_eq!(connection.post_checkin("{}", &[]).unwrap().status, 200);
}

#[test]
fn a_tag_that_the_schema_lacks_is_an_error_before_and_at_start() {
    let scratch = Scratch::new();
    let schema = r#"{"extraTagInfoSchema": {"hostArch": {"dataType": "string"}},
        "extraFieldInfoSchema": {"nodeCount": {"dataType": "float"}}}"#;
    let server = Server::new(&scratch)
        .arg("--request-schema", scratch.write("schema.json", schema))
        .arg(
            "--down-sample-tags",
            "host_arch,node_count,kubernetes_version",
        );
    let errors = [
        "schema.json: extraTagInfoSchema: found no tag that is stored as \"node_count\"",
        "schema.json: extraTagInfoSchema: found no tag that is stored as \"kubernetes_version\"",
    ];
    check(&server, &[], 78, &[], &errors);
    let at_start = server.expect_exit(78).stderr;
    for error in errors {
        assert!(at_start.contains(error), "{at_start}");
    }
    check(&server.without("--request-schema"), &[], 0, &["good"], &[]);
}

#[test]
fn online_it_checks_everything_that_the_server_needs_of_influxdb() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch).with_admin("admin", "admin-pass");
    influx.restart();
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    for (user, right) in [("reader", "READ"), ("writer", "WRITE"), ("owner", "ALL")] {
        influx.query("", &format!("CREATE USER {user} WITH PASSWORD 'sesame'"));
        influx.query("", &format!("GRANT {right} ON {DATABASE} TO {user}"));
    }
    let create = |name: &str, into: &str, group: &str| {
        let text = format!(
            "CREATE CONTINUOUS QUERY {name} ON {DATABASE} BEGIN SELECT count(value) AS total \
             INTO {into} FROM upgrade_request GROUP BY {group} END"
        );
        influx.query(DATABASE, &text);
    };
    create(
        "cq_upgrade_request_down_sampling",
        "upgrade_request_down_sampling",
        "time(2h)",
    );
    create(
        "cq_by_app_version_down_sampling",
        "by_app_version_down_sampling",
        "time(1h), city",
    );
    create("by_hand", "by_host_arch", "time(1h), host_arch");

    let as_user = |user: &str, password: &str| {
        let login = influx.url().replace("//", &format!("//{user}:{password}@"));
        Server::new(&scratch).arg("--influxdb-url", login)
    };
    let online: &[&str] = &["--online"];
    let said = [
        "InfluxDB version   1.",
        "writing            is permitted",
        "continuous query   by_hand, fills by_host_arch",
        "warning:           continuous query cq_upgrade_request_down_sampling of another server fills \
         upgrade_request_down_sampling",
        "warning:           continuous query cq_by_app_version_down_sampling of another server fills",
        "good, warnings: 2",
    ];
    let ended = check(&as_user("owner", "sesame"), online, 0, &said, &[]);
    assert!(!ended.stdout.contains("sesame"), "{}", ended.stdout);
    // The right to write is enough. Continuous queries that the user cannot see are a warning.
    let unseen = ["is permitted", "the continuous queries cannot be seen"];
    check(&as_user("writer", "sesame"), online, 0, &unseen, &[]);
    let wrong = ["access denied (status 401"];
    let ended = check(&as_user("owner", "wr0ng-pass"), online, 78, &[], &wrong);
    assert!(!(ended.stdout + &ended.stderr).contains("wr0ng-pass"));
    let right = ["not authorized to write to database"];
    check(&as_user("reader", "sesame"), online, 78, &[], &right);

    let other = |user, password| as_user(user, password).arg("--application-name", "other");
    let missing = ["the database does not exist yet; start creates it"];
    check(&other("admin", "admin-pass"), online, 0, &missing, &[]);
    let missing = ["the database does not exist, and this user may not create it"];
    check(&other("owner", "sesame"), online, 78, &[], &missing);

    let away = as_user("owner", "sesame").arg(
        "--influxdb-url",
        format!("http://127.0.0.1:{}", free_port()),
    );
    let refused =
        "is not reachable: io: Connection refused (os error 111); make sure that InfluxDB runs";
    check(&away, online, 78, &[], &[refused]);
    let https = influx.url().replace("http://", "https://");
    let https = as_user("owner", "sesame").arg("--influxdb-url", https);
    check(&https, online, 78, &[], &["http:// instead of https://"]);
    let unknown = as_user("owner", "sesame").arg("--influxdb-url", "http://nosuch.invalid:8086");
    check(
        &unknown,
        online,
        78,
        &[],
        &["the host name in --influxdb-url"],
    );
    check(&away, &[], 0, &[], &[]);
}

fn now() -> u32 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u32::try_from(now.unwrap().as_secs()).unwrap()
}

type Listing = BTreeMap<PathBuf, (u64, SystemTime)>;

/// The listing without the ledger and its folder, in which SQLite creates and deletes files.
fn without_ledger(mut listing: Listing) -> Listing {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let folder = listing
        .keys()
        .find(|path| name(path) == "totals.db")
        .and_then(|path| path.parent().map(Path::to_path_buf));
    listing.retain(|path, _| !name(path).starts_with("totals.db") && folder.as_ref() != Some(path));
    listing
}

/// Every file and folder below `folder` with size and time of change, without the output files of the programs that the
/// test starts.
fn listing(folder: &Path) -> Listing {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::metadata(&path).unwrap();
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.contains(".std") {
                found.insert(path, (metadata.len(), metadata.modified().unwrap()));
            }
        }
    }
    found
}
