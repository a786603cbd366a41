//! `export-totals` and `import-totals`. If these tests failed, totals would be lost or doubled when they are moved to
//! another server, or when the history in InfluxDB is imported.

use std::fs;
use std::time::Duration;

use crate::support::account::spool;
use crate::support::influx::Influx;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{DATABASE, Ended, Running, Server, run};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
const HOUR: i64 = 3600;

/// The start of a day whose periods are still kept one by one, in seconds.
fn start() -> i64 {
    (jiff::Timestamp::now().as_second() / 86_400 - 10) * 86_400
}

/// An empty ledger would be another application of the state directory, so that `report` would need a name.
#[test]
fn an_import_that_finds_nothing_in_influxdb_creates_no_ledger() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    fs::create_dir(scratch.join("state")).unwrap();
    let (empty, closed) = (influx.url(), format!("http://127.0.0.1:{}", free_port()));
    for (url, code) in [(empty, 0), (closed, 1)] {
        let import = ["import-totals", "--influxdb-url", &url, NAME[0], NAME[1]];
        let ended = command(&scratch, "state", &import);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert_eq!(fs::read_dir(scratch.join("state")).unwrap().count(), 0);
    }
}

/// Runs a command on the state directory `state` of the scratch folder.
fn command(scratch: &Scratch, state: &str, arguments: &[&str]) -> Ended {
    let folder = scratch.join(state);
    let place = [
        "--settings",
        "/dev/null",
        "--state-dir",
        folder.to_str().unwrap(),
    ];
    run(scratch, &[arguments, &place].concat())
}

#[track_caller]
fn works(scratch: &Scratch, state: &str, arguments: &[&str]) -> String {
    let ended = command(scratch, state, arguments);
    assert_eq!(
        ended.code,
        Some(0),
        "{arguments:?}: {}{}",
        ended.stdout,
        ended.stderr
    );
    ended.stdout
}

/// Lets a server count 40 records of four hours.
fn counted(scratch: &Scratch) {
    let mut lines = String::new();
    for n in 0..40_i64 {
        let stamp = (start() + n % 4 * HOUR) * 1_000_000_000 + n;
        lines += &format!(
            "upgrade_request,app_version=v1.{}.0,country=Japan,country_isocode=JP,host_arch=a\\,\"{} value=1i,node_count={n} {stamp}\n",
            n % 3,
            n % 2
        );
    }
    fs::create_dir_all(spool(scratch)).unwrap();
    fs::write(spool(scratch).join("00000000000000000001-40.lp"), lines).unwrap();
    let running = Server::new(scratch)
        .arg("--down-sample-tags", "host_arch")
        .start();
    wait_for_periods(scratch, &running, 4);
    running.terminate();
}

fn wait_for_periods(scratch: &Scratch, _: &Running, number: usize) {
    wait_for(SOON, "the periods in the ledger", || {
        let text = command(scratch, "state", &["report", "--format", "csv"]).stdout;
        text.lines()
            .filter(|line| line.ends_with(",all,10"))
            .count()
            == number
    });
}

fn reports(scratch: &Scratch, state: &str) -> Vec<String> {
    let by = |what| {
        works(
            scratch,
            state,
            &["report", "--by", what, "--format", "json"],
        )
    };
    ["all", "app_version", "country", "host_arch", "node_count"]
        .map(by)
        .to_vec()
}

const NAME: [&str; 2] = ["--application-name", "myapp"];

#[test]
fn reports_are_the_same_after_an_export_and_one_or_two_imports() {
    let scratch = Scratch::new();
    counted(&scratch);
    let csv = works(&scratch, "state", &["export-totals"]);
    let head = "kind,start,seconds,covered_seconds,periods,dimension,type,value,name,country,total";
    assert!(csv.starts_with(head), "{csv}");
    let file = scratch.write("totals.csv", &csv);
    let file = file.to_str().unwrap();
    fs::create_dir_all(scratch.join("other")).unwrap();
    let import = ["import-totals", file, NAME[0], NAME[1]];
    let said = works(&scratch, "other", &import);
    assert!(
        said.starts_with("4 periods and days imported, 0 already in the ledger"),
        "{said}"
    );
    let reports_of_first = reports(&scratch, "state");
    assert_eq!(reports(&scratch, "other"), reports_of_first);
    works(&scratch, "other", &import);
    assert_eq!(reports(&scratch, "other"), reports_of_first);
    // Without the current hour, which has no totals yet.
    let known = |csv: &str| -> Vec<String> {
        let lines = csv.lines().filter(|line| !line.contains(",all,,,,,,,,,"));
        lines.map(str::to_owned).collect()
    };
    let exported = works(&scratch, "other", &["export-totals"]);
    assert_eq!(known(&exported), known(&csv));

    // An import does not change totals that the server has counted itself.
    let doubled = csv.replace(",10,10,10,", ",99,99,99,");
    assert_ne!(doubled, csv);
    let doubled = scratch.write("doubled.csv", &doubled);
    let said = works(
        &scratch,
        "state",
        &["import-totals", doubled.to_str().unwrap(), NAME[0], NAME[1]],
    );
    assert!(
        said.starts_with("0 periods and days imported, 4 already in the ledger"),
        "{said}"
    );
    assert_eq!(reports(&scratch, "state"), reports_of_first);

    let points = works(
        &scratch,
        "other",
        &["export-totals", "--format", "line-protocol"],
    );
    let total = format!(" total=10i {}", start() * 1_000_000_000);
    let of_all = points
        .lines()
        .find(|line| line.starts_with("upgrade_request_down_sampling,"));
    assert!(
        of_all.is_some_and(|line| line.ends_with(&total)),
        "{points}"
    );
    let broken = scratch.write("broken.csv", "a,b\n1,2\n");
    let ended = command(
        &scratch,
        "other",
        &["import-totals", broken.to_str().unwrap(), NAME[0], NAME[1]],
    );
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("found other columns in line 1"),
        "{}",
        ended.stderr
    );
}

#[test]
fn rows_that_no_server_can_have_counted_are_refused_with_their_line() {
    const HEAD: &str = "kind,start,seconds,covered_seconds,periods,dimension,type,value,name,country,total,least,\
                        greatest,count,sum\n";
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.join("state")).unwrap();
    let import = |rows: &str| {
        let file = scratch.write("rows.csv", format!("{HEAD}{rows}"));
        let file = file.to_str().unwrap();
        command(
            &scratch,
            "state",
            &["import-totals", file, NAME[0], NAME[1]],
        )
    };
    let all = "period,2026-01-01T00:00:00Z,3600,3600,1,all,,,,,5,5,5,,\n";
    let v1 = "period,2026-01-01T00:00:00Z,3600,3600,1,app_version,tag,v1,,,";
    let day = "day,2026-01-01T00:00:00Z,86400,86400,24,";
    #[rustfmt::skip]
    let rows: &[(String, &[&str])] = &[
        ("period,9999-11-01T00:00:00Z,3600,3600,1,all,,,,,5,5,5,,\n".to_owned(),
            &["line 2: start: found \"9999-11-01T00:00:00Z\"", "not after now"]),
        (all.replace(",3600,3600,", ",3600,9999999,"),
            &["line 2: covered_seconds: found \"9999999\"", "at most the 3600 seconds"]),
        (all.replace(",5,5,5,", ",9223372036854775808,1,1,"),
            &["line 2: total: found \"9223372036854775808\"", "from 0 to 9007199254740991"]),
        (all.replace(",5,5,5,", ",9223372036854775807,9223372036854775807,9223372036854775807,"),
            &["line 2: total: found \"9223372036854775807\"", "from 0 to 9007199254740991"]),
        (all.replace(",5,5,5,", ",5,1,5,"), &["line 2: greatest: found \"5\"", "for a period"]),
        (format!("{day}all,,,,,5,6,7,,\n"), &["line 2: least: found \"6\"", "at most the total, 5"]),
        (format!("{day}all,,,,,5,1,4,,\n"), &["line 2: greatest: found \"4\"", "at least the total, 5"]),
        (format!("{all}{}", v1.replace(",tag,v1,,,", ",number,,,,,2,1,1,2\n")),
            &["line 3: greatest: found \"1\"", "at least the value of least, 2"]),
    ];
    for (rows, pieces) in rows {
        let ended = import(rows);
        assert_eq!(ended.code, Some(2), "{rows}: {}", ended.stderr);
        for piece in *pieces {
            assert!(ended.stderr.contains(piece), "{piece:?}: {}", ended.stderr);
        }
    }
    // In the original's history, a value can have more than all: late records are in one measurement only.
    assert_eq!(import(&format!("{all}{v1}6,6,6,,\n")).code, Some(0));
}

#[test]
fn a_running_server_continues_counting_during_an_import() {
    let scratch = Scratch::new();
    counted(&scratch);
    // The same hours in each week of half a year, fully covered.
    let csv = works(&scratch, "state", &["export-totals"]).replace(",3600,0,0,", ",3600,3600,1,");
    let mut rows: Vec<String> = Vec::new();
    for week in 4..30 {
        for line in csv.lines().skip(1) {
            let mut cells: Vec<&str> = line.split(',').collect();
            let at: jiff::Timestamp = cells[1].parse().unwrap();
            let at = (at - jiff::SignedDuration::from_hours(week * 168)).to_string();
            cells[1] = &at;
            rows.push(cells.join(","));
        }
    }
    rows.sort_by_key(|row| row.split(',').nth(1).map(str::to_owned));
    let text = csv.lines().next().unwrap().to_owned() + "\n" + &rows.join("\n") + "\n";
    let file = scratch.write("half-a-year.csv", text);
    let running = Server::new(&scratch).start();
    for _ in 0..20 {
        running.connect().post_checkin("{}", &[]).unwrap();
    }
    let import = ["import-totals", file.to_str().unwrap(), NAME[0], NAME[1]];
    let said = works(&scratch, "state", &import);
    assert!(said.starts_with("104 periods and days imported"), "{said}");
    for _ in 0..20 {
        running.connect().post_checkin("{}", &[]).unwrap();
    }
    wait_for(SOON, "the new check-ins in the ledger", || {
        let text = command(
            &scratch,
            "state",
            &["report", "--last", "2h", "--format", "csv"],
        )
        .stdout;
        let totals = text
            .lines()
            .filter_map(|line| line.rsplit(',').next()?.parse::<u64>().ok());
        totals.sum::<u64>() == 40
    });
    let log = running.terminate().stderr;
    assert!(!log.contains("ERROR"), "{log}");
    let years = works(
        &scratch,
        "state",
        &[
            "report", "--last", "365d", "--every", "7d", "--format", "csv",
        ],
    );
    assert!(
        years
            .lines()
            .filter(|line| line.ends_with(",all,10"))
            .count()
            >= 25,
        "{years}"
    );
}

#[test]
fn the_history_in_influxdb_is_imported_without_this_servers_own_totals() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    let mut lines = String::new();
    for hour in (0..48).filter(|hour| *hour != 7) {
        let stamp = (start() + hour * HOUR) * 1_000_000_000;
        lines += &format!(
            "upgrade_request_down_sampling total={t}i {stamp}\n\
             upgrade_request_down_sampling,instance=other total=1i {stamp}\n\
             by_app_version_down_sampling,app_version=v1.0.0 total={t}i {stamp}\n\
             by_app_version_down_sampling,app_version=v1.0.0,instance=other total=1i {stamp}\n\
             by_country_code_down_sampling,country_isocode=JP total=3i {stamp}\n\
             by_host_arch_down_sampling,host_arch=amd64 total=2i {stamp}\n",
            t = hour + 5
        );
    }
    assert_eq!(influx.write(DATABASE, &lines).0, 204);
    // Totals of this server, which its ledger already has.
    let folder = scratch.join("state").join("myapp");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("instance"), "own-name\n").unwrap();
    let own = start() * 1_000_000_000;
    let own = format!("upgrade_request_down_sampling,instance=own-name total=500i {own}\n");
    assert_eq!(influx.write(DATABASE, &own).0, 204);

    let url = influx.url();
    let import = [
        "import-totals",
        "--influxdb-url",
        &url,
        NAME[0],
        NAME[1],
        "--down-sample-tags",
        "host_arch",
    ];
    for imported in [47, 47] {
        let ended = command(&scratch, "state", &import);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let message = format!("{imported} periods and days imported");
        assert!(ended.stdout.starts_with(&message), "{}", ended.stdout);
        assert!(
            ended.stderr.contains("periods read: 47, up to "),
            "{}",
            ended.stderr
        );
    }
    let from = jiff::Timestamp::from_second(start()).unwrap().to_string();
    let span = ["--from", &from, "--last", "2d", "--format", "csv"];
    let span = [span[0], span[1], span[4], span[5]];
    let by = |what| {
        works(
            &scratch,
            "state",
            &[["report", "--by", what].as_slice(), &span].concat(),
        )
    };
    let hour = |number: i64| jiff::Timestamp::from_second(start() + number * HOUR).unwrap();
    let all = by("all");
    assert!(
        all.contains(&format!("{},3600,3600,true,all,6\n", hour(0))),
        "{all}"
    );
    assert!(
        all.contains(&format!("{},3600,3600,true,all,53\n", hour(47))),
        "{all}"
    );
    assert!(
        all.contains(&format!("{},3600,0,true,all,\n", hour(7))),
        "unknown: {all}"
    );
    let versions = by("app_version");
    assert!(
        versions.contains(&format!("{},3600,3600,true,v1.0.0,6\n", hour(0))),
        "{versions}"
    );
    assert!(by("country").contains(",JP,3\n"));
    assert!(by("host_arch").contains(",amd64,2\n"));
    let ended = command(&scratch, "state", &["import-totals", NAME[0], NAME[1]]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}
