//! Fields whose type differs from the one that InfluxDB stores. If these tests fail, one client that sends a field with
//! another type costs an operator the check-ins of all others, or a record that InfluxDB stored is rejected too.

use super::{LINE, SOON, create_database, lay, now, rejected_lines, settled};
use crate::support::account::{MEASUREMENT, lines_with, rejected, wait_until_stored};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Server};

#[test]
fn a_field_of_another_type_is_rejected_with_the_reason_and_the_others_are_stored() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    create_database(&influx, "");
    // InfluxDB keeps field types per shard, so the point needs the time of today.
    influx.write(DATABASE, "upgrade_request value=1i,node_count=\"three\"");
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let refused = Load::new(running.addr())
        .body(r#"{"appVersion":"v1.0.0","extraFieldInfo":{"nodeCount":3}}"#)
        .each(20)
        .run();
    let stored = Load::new(running.addr()).each(30).run();
    wait_until_stored(&influx, 1 + stored.acknowledged.len(), SOON);
    let (totals, log) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (30, 20), "{log}");
    assert_eq!(rejected_lines(&scratch).len(), 20);
    let reasons = rejected(&scratch);
    assert!(reasons[0].contains("field type conflict"), "{reasons:?}");
    assert!(lines_with(&log, "field type conflict") >= 1, "{log}");
    let in_file = |id: &String| {
        reasons
            .iter()
            .any(|line| line.contains(&format!("\"{id}\"")))
    };
    assert!(refused.ids().iter().all(in_file));
}

#[test]
fn a_line_stored_in_another_shard_is_not_rejected_for_the_same_field_and_type() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    create_database(&influx, "");
    let this_week = now();
    // A shard covers one week.
    let last_month = this_week - 30 * 86_400_000_000_000;
    influx.write(
        DATABASE,
        &format!("upgrade_request value=1i,f=1 {this_week}"),
    );
    let lines = |start: i64, fields: &'static str| {
        (1..=10).map(move |n| format!("{LINE} value=1i{fields} {}\n", start + n))
    };
    let text = lines(last_month, ",f=\"a\"").chain(lines(this_week, ",f=\"a\""));
    let text = text.chain(lines(this_week + 100, ""));
    lay(&scratch, &text.collect::<String>());
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let (totals, log) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (20, 10), "{log}");
    assert_eq!(influx.count(DATABASE, MEASUREMENT), 1 + 20);
    let refused: Vec<String> = lines(this_week, ",f=\"a\"").collect();
    assert_eq!(rejected_lines(&scratch).join("\n") + "\n", refused.concat());
}

#[test]
fn a_batch_with_two_types_of_a_new_field_is_stored_with_one_of_them() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let start = now();
    let lines: String = (0..100)
        .map(|n| match n % 2 {
            0 => format!("{LINE} value=1i,f=1 {}\n", start + n),
            _ => format!("{LINE} value=1i,f=\"a\" {}\n", start + n),
        })
        .collect();
    lay(&scratch, &lines);
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let (totals, _) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (50, 50));
    assert_eq!(influx.count(DATABASE, MEASUREMENT), 50);
    assert_eq!(rejected_lines(&scratch).len(), 50);
}
