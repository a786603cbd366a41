//! The page in a real browser. If these tests fail, its figures differ from the report's, it loads something from
//! another server, or text from a check-in runs as code in the operator's browser.

mod browser;
mod demo;
mod downloads;
mod pictures;
mod public;
mod unknown;

use std::fs;
use std::time::Duration;

use crate::support::account::{spool, state};
use crate::support::chromium::View;
use crate::support::client::{Address, Connection, Response};
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{Running, Server};
use crate::support::wait_for;

const HOUR: i64 = 3_600;
/// The widths in pixels at which the page must fit.
const WIDTHS: [u32; 3] = [360, 1240, 2560];
/// The longest time of a test.
const NEAR_END: Duration = Duration::from_secs(90);
/// The time limit for counting; the ledger commits each second.
const COUNTED: Duration = Duration::from_secs(20);

/// A server with its page, which has counted check-ins of the last hours.
struct Shown {
    scratch: Scratch,
    server: Running,
    metrics: Address,
}

impl Shown {
    /// `lines` are tags without the measurement, each with its number of check-ins in the last hour, the hour before, …
    fn new(configure: impl FnOnce(Server) -> Server, lines: &[(&str, &[usize])]) -> Shown {
        let scratch = Scratch::new();
        let metrics = Address::local(free_port());
        let total = seed(&scratch, lines);
        let server = Server::new(&scratch).arg("--metrics-listen", metrics.to_string());
        let server = configure(server).start();
        let shown = Shown {
            scratch,
            server,
            metrics,
        };
        wait_for(COUNTED, "the check-ins to be counted", || {
            let page = shown.get("/metrics").text();
            page.contains(&format!("upgrade_responder_totals_counted_total {total}\n"))
        });
        shown
    }

    /// Changes the ledger as if the server had covered the finished hours that began before this moment.
    fn cover(&self, before: i64) {
        let ledger = rusqlite::Connection::open(state(&self.scratch).join("totals.db")).unwrap();
        ledger.busy_timeout(COUNTED).unwrap();
        let now = jiff::Timestamp::now().as_second();
        let sql = "UPDATE period SET present_ms = seconds * 1000 WHERE start < ? AND start + seconds <= ?";
        ledger.execute(sql, (before, now)).unwrap();
    }

    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.metrics)
    }

    fn get(&self, target: &str) -> Response {
        get(&self.metrics, target, &[])
    }
}

fn get(address: &Address, target: &str, headers: &[(&str, &str)]) -> Response {
    let mut connection = Connection::open(address).unwrap();
    connection.request("GET", target, headers, b"").unwrap()
}

/// Writes the records into the spool and returns their number. The current hour must not end during a test, so near its
/// end this waits for the next hour.
fn seed(scratch: &Scratch, lines: &[(&str, &[usize])]) -> usize {
    let now = || jiff::Timestamp::now().as_second();
    wait_for(NEAR_END * 2, "the next hour", || {
        HOUR - now().rem_euclid(HOUR) > NEAR_END.as_secs() as i64
    });
    let now = now();
    let end = now - now.rem_euclid(HOUR);
    let mut records: Vec<(i64, String)> = Vec::new();
    for (tags, hours) in lines {
        for (back, count) in hours.iter().enumerate() {
            let start = (end - (back as i64 + 1) * HOUR) * 1_000_000_000;
            for _ in 0..*count {
                let stamp = start + records.len() as i64;
                records.push((stamp, format!("upgrade_request,{tags} {stamp}\n")));
            }
        }
    }
    records.sort();
    let text: String = records.iter().map(|(_, line)| line.as_str()).collect();
    fs::create_dir_all(spool(scratch)).unwrap();
    let name = format!("00000000000000000001-{}.lp", records.len());
    fs::write(spool(scratch).join(name), text).unwrap();
    records.len()
}

const fn light(width: u32) -> View {
    View { width, dark: false }
}
