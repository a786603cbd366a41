//! Fields that InfluxDB stores with another type than the server writes. If this check failed, operators would not learn
//! why InfluxDB refuses their records.

use super::{DATABASE, check};
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::Server;

const ONLINE: &[&str] = &["--online"];
const SCHEMA: &str = r#"{"extraFieldInfoSchema": {"nodeCount": {"dataType": "float"},
    "backup": {"dataType": "boolean"}, "arch": {"dataType": "string"}}}"#;

#[test]
fn a_field_of_another_type_in_the_current_shard_is_named() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--request-schema", scratch.write("schema.json", SCHEMA));
    check(
        &server,
        ONLINE,
        0,
        &["writing            is permitted"],
        &[],
    );

    // Types in an old shard do not matter for new points.
    let store = |line: &str| assert_eq!(influx.write(DATABASE, line), (204, String::new()));
    store("upgrade_request,app_version=a value=1.5,node_count=\"x\" 1600000000000000000\n");
    let ended = check(&server, ONLINE, 0, &[], &[]);
    assert!(!ended.stdout.contains("is stored as"), "{}", ended.stdout);

    store("upgrade_request,app_version=a node_count=3i,backup=\"yes\",arch=\"a\"\n");
    let said = [
        "warning:           field \"node_count\" of measurement \"upgrade_request\" is stored as integer, \
         expected float: InfluxDB refuses every point that has the field until its shard ends at 20",
        "warning:           field \"backup\" of measurement \"upgrade_request\" is stored as string, \
         expected boolean",
    ];
    let ended = check(&server, ONLINE, 0, &said, &[]);
    assert!(!ended.stdout.contains("\"arch\" of"), "{}", ended.stdout);

    store("upgrade_request,app_version=a value=1.5\n");
    store("by_host_arch_down_sampling,host_arch=a total=1.5\n");
    let errors = [
        "field \"value\" of measurement \"upgrade_request\" is stored as float, expected integer: InfluxDB \
         refuses every point until its shard ends at 20",
        "field \"total\" of measurement \"by_host_arch_down_sampling\" is stored as float, expected integer",
    ];
    check(&server, ONLINE, 78, &["not usable, errors: 2"], &errors);
}
