//! The page in a real browser: its figures are the report's, it loads nothing from elsewhere, and what strangers
//! chose is nothing but text on it.

mod browser;
mod demo;
mod downloads;
mod pictures;
mod public;

use std::fs;
use std::time::Duration;

use crate::support::account::spool;
use crate::support::chromium::View;
use crate::support::client::{Address, Connection, Response};
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{Running, Server};
use crate::support::wait_for;

const HOUR: i64 = 3_600;
/// The widths that a page has to look right at, in pixels.
const WIDTHS: [u32; 3] = [360, 1240, 2560];
/// No test takes longer.
const NEAR_END: Duration = Duration::from_secs(90);
/// A commit of the ledger is due each second.
const COUNTED: Duration = Duration::from_secs(20);

/// A server with its page, and check-ins of the last hours that it has counted.
struct Shown {
    scratch: Scratch,
    server: Running,
    metrics: Address,
}

impl Shown {
    /// `lines` are tags without the measurement, and for how many hours back how many of them there were.
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

/// Writes a spool; how many records it has. An hour must not end while a test looks at the last one, so near its
/// end the next one is waited for.
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
