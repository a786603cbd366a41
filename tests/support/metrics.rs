//! The metrics of a server, read from its `--metrics-listen`.

use super::client::{Address, Connection};

/// The page, as Prometheus reads it.
#[track_caller]
pub fn page(address: &Address) -> String {
    let mut connection = Connection::open(address).unwrap();
    let page = connection.request("GET", "/metrics", &[], b"").unwrap();
    page.text()
}

/// The value of a series, given by name and labels without `upgrade_responder_`.
#[track_caller]
pub fn value(address: &Address, name: &str) -> u64 {
    let page = page(address);
    let line = page
        .lines()
        .find(|line| line.starts_with(&format!("upgrade_responder_{name} ")));
    let line = line.unwrap_or_else(|| panic!("no {name} in {page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
