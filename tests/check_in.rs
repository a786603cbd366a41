//! The stored record of a check-in, and its answer. If these tests failed, records would have wrong tags, fields or
//! locations, or clients would get other versions than the operator wrote. `http_rules` tests the protocol.

use std::fs;

use crate::support::client::Connection;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::spool;

/// A body, its headers, and the stored point. The point is empty if the check-in is not recorded.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

/// Sends these check-ins, requires 200 for each, and compares the stored points.
#[track_caller]
fn assert_stored(scratch: &Scratch, server: &Server, rows: &[Row<'_>]) {
    let running = server.start();
    let mut connection = running.connect();
    for (body, headers, _) in rows {
        let answer = connection.post_checkin(body, headers).unwrap();
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    }
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let expected = rows.iter().map(|(_, _, point)| *point);
    let expected: Vec<&str> = expected.filter(|point| !point.is_empty()).collect();
    assert_eq!(spool::points(scratch), expected);
}

#[test]
fn check_ins_of_all_real_clients_are_stored() {
    let scratch = Scratch::new();
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        // Longhorn sends both maps, either may be null.
        (r#"{"appVersion":"v1.8.0","extraTagInfo":{"kubernetesVersion":"v1.31.2","hostKernelRelease":"6.1"},
             "extraFieldInfo":{"longhornNodeCount":3,"longhornVolumeAverageSizeBytes":12345678901}}"#,
         &[("Content-Type", "application/json")],
         "upgrade_request,app_version=v1.8.0,host_kernel_release=6.1,kubernetes_version=v1.31.2 \
          value=1i,longhorn_node_count=3,longhorn_volume_average_size_bytes=12345678901"),
        (r#"{"appVersion":"v1.8.0","extraTagInfo":null,"extraFieldInfo":null}"#, &[],
         "upgrade_request,app_version=v1.8.0 value=1i"),
        // Harvester and Rancher Desktop send the deprecated map, the latter without a Content-Type.
        (r#"{"appVersion":"1.17.1","extraInfo":{"platform":"darwin-arm64","platformVersion":"14.5"}}"#, &[],
         "upgrade_request,app_version=1.17.1,platform=darwin-arm64,platform_version=14.5 value=1i"),
        // RKE2 sends numbers, booleans and strings as fields, with hyphens in their keys.
        (r#"{"appVersion":"v1.31.1+rke2r1","extraFieldInfo":{"server-node-count":3,"selinux":true,
             "cni-plugin":"canal","ratio":0.5}}"#, &[],
         "upgrade_request,app_version=v1.31.1+rke2r1 \
          value=1i,cni_plugin=\"canal\",ratio=0.5,selinux=true,server_node_count=3"),
    ];
    assert_stored(&scratch, &Server::new(&scratch).without("--geodb"), rows);
}

#[test]
fn keys_match_in_any_case_and_invalid_values_are_left_out() {
    let scratch = Scratch::new();
    let too_long = "x".repeat(201);
    let too_long = format!(r#"{{"extraTagInfo":{{"long":"{too_long}","ok":"1"}}}}"#);
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (r#"{"APPVERSION":"v1","extratagInfo":{"a":"b"},"unknown":[{}]}"#, &[],
         "upgrade_request,a=b,app_version=v1 value=1i"),
        ("{}", &[], "upgrade_request value=1i"),
        (r#"{"appVersion":null}"#, &[], "upgrade_request value=1i"),
        (r#"{"appVersion":"v1","appVersion":"v2"}"#, &[], "upgrade_request,app_version=v2 value=1i"),
        (r#"{"extraInfo":{"a":"old","b":"old"},"extraTagInfo":{"a":"new"}}"#, &[],
         "upgrade_request,a=new,b=old value=1i"),
        (r#"{"extraTagInfo":{"empty":"","none":null,"":"x","dot.ted":"x"}}"#, &[],
         "upgrade_request value=1i"),
        (r#"{"extraFieldInfo":{"list":[1],"map":{"a":1},"none":null,"on":false}}"#, &[],
         "upgrade_request value=1i,on=false"),
        (&too_long, &[], "upgrade_request,ok=1 value=1i"),
        // Clients cannot set the built-in tags and fields.
        (r#"{"appVersion":"v1","extraTagInfo":{"appVersion":"v9","city":"x","time":"1"}}"#, &[],
         "upgrade_request,app_version=v1 value=1i"),
        (r#"{"appVersion":"v1","extraFieldInfo":{"value":9,"xRequestId":"x","time":1}}"#, &[],
         "upgrade_request,app_version=v1 value=1i"),
        // Characters that would end a tag, a field or the line are escaped or replaced.
        (r#"{"appVersion":"a,b=c d","extraTagInfo":{"t":"x\ny value=1i 1\\"},"extraFieldInfo":{"f":"\"\\ \n"}}"#, &[],
         "upgrade_request,app_version=a\\,b\\=c\\ d,t=x\u{fffd}y\\ value\\=1i\\ 1 value=1i,f=\"\\\"\\\\ \u{fffd}\""),
    ];
    assert_stored(&scratch, &Server::new(&scratch).without("--geodb"), rows);
}

#[test]
fn the_schema_decides_which_tags_and_fields_are_stored() {
    let scratch = Scratch::new();
    let schema = scratch.write(
        "schema.json",
        r#"{"appVersionSchema": {"dataType": "string", "maxLen": 6},
            "extraTagInfoSchema": {"NVMeCount": {"dataType": "string", "maxLen": 2},
                                   "2GiB": {"dataType": "string"}},
            "extraFieldInfoSchema": {"nodeCount": {"dataType": "float"}, "on": {"dataType": "boolean"},
                                     "clusterUID": {"dataType": "string"}}}"#,
    );
    let server = Server::new(&scratch).arg("--request-schema", schema);
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        // Answered, not recorded.
        (r#"{"appVersion":"toolong","extraTagInfo":{"NVMeCount":"12"}}"#, &[], ""),
        (r#"{"appVersion":"v1.8.0","extraTagInfo":{"NVMeCount":"12","2GiB":"y","other":"z"}}"#, &[],
         "upgrade_request,2_gi_b=y,app_version=v1.8.0,nv_me_count=12 value=1i"),
        (r#"{"appVersion":"v1.8.0","extraTagInfo":{"NVMeCount":"123"}}"#, &[],
         "upgrade_request,app_version=v1.8.0 value=1i"),
        (r#"{"appVersion":"v1","extraFieldInfo":{"nodeCount":3,"clusterUID":"u","on":true,"other":1}}"#, &[],
         "upgrade_request,app_version=v1 value=1i,cluster_uid=\"u\",node_count=3,on=true"),
        (r#"{"appVersion":"v1","extraFieldInfo":{"nodeCount":"3","clusterUID":7,"on":"true"}}"#, &[],
         "upgrade_request,app_version=v1 value=1i"),
    ];
    assert_stored(&scratch, &server, rows);
}

#[test]
fn the_location_is_the_clients_with_any_number_of_proxies() {
    let scratch = Scratch::new();
    let xff = "X-Forwarded-For";
    let zurich = "upgrade_request,city=Zürich,country=Switzerland,country_isocode=CH value=1i";
    let nowhere = "upgrade_request value=1i";
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("{}", &[(xff, "203.0.113.7")], zurich),
        ("{}", &[(xff, "192.0.2.1, 203.0.113.7, 10.1.2.3")], zurich),
        ("{}", &[(xff, "192.0.2.1"), ("x-forwarded-for", "203.0.113.7"), (xff, "127.0.0.1")], zurich),
        ("{}", &[(xff, "203.0.113.7:4711")], zurich),
        ("{}", &[(xff, "::ffff:203.0.113.7")], zurich),
        ("{}", &[(xff, "[2001:db8:4000::1]:4711")], zurich),
        ("{}", &[(xff, "198.51.100.40")],
         "upgrade_request,city=Washington\\,\\ D.C.,country=United\\ States,country_isocode=US value=1i"),
        // A country without a city.
        ("{}", &[(xff, "192.0.2.230")], "upgrade_request,country=France,country_isocode=FR value=1i"),
        // Only a registered country, an unknown network, an unparsable address, no header.
        ("{}", &[(xff, "203.0.113.200")], nowhere),
        ("{}", &[(xff, "203.0.113.230")], nowhere),
        ("{}", &[(xff, "203.0.113.7, unknown")], nowhere),
        ("{}", &[], nowhere),
    ];
    assert_stored(&scratch, &Server::new(&scratch), rows);
}

#[test]
fn a_country_database_gives_only_countries() {
    use mmdb_writer::{Value, Writer};
    let scratch = Scratch::new();
    let mut writer = Writer::builder("GeoLite2-Country").build();
    let names = Value::map([("en", "Switzerland")]);
    let country = Value::map([("iso_code", Value::from("CH")), ("names", names)]);
    let network: ipnet::IpNet = "203.0.113.0/24".parse().unwrap();
    let record = Value::map([("country", country)]);
    writer.insert_value(network, record).unwrap();
    let path = scratch.join("country.mmdb");
    fs::write(&path, writer.to_bytes().unwrap()).unwrap();
    let expected = "upgrade_request,country=Switzerland,country_isocode=CH value=1i";
    let row: Row<'_> = ("{}", &[("X-Forwarded-For", "203.0.113.7")], expected);
    assert_stored(
        &scratch,
        &Server::new(&scratch).arg("--geodb", path),
        &[row],
    );
}

#[test]
fn only_a_valid_request_id_is_stored() {
    let scratch = Scratch::new();
    let (longest, too_long) = ("i".repeat(64), "i".repeat(65));
    let with_longest = format!("upgrade_request value=1i,x_request_id=\"{longest}\"");
    let without = "upgrade_request value=1i";
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("{}", &[("X-Request-Id", "b6f1-A_9.z")], "upgrade_request value=1i,x_request_id=\"b6f1-A_9.z\""),
        ("{}", &[("x-request-id", &longest)], &with_longest),
        ("{}", &[("X-Request-Id", &too_long)], without),
        ("{}", &[("X-Request-Id", "a\"b")], without),
        ("{}", &[("X-Request-Id", "")], without),
    ];
    assert_stored(&scratch, &Server::new(&scratch).without("--geodb"), rows);
}

#[test]
fn debug_log_names_keys_left_out_and_clients_cannot_forge_lines() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).switch("--debug").start();
    let body = r#"{"appVersion":"v1\n2026-01-01 ERROR forged","extraTagInfo":{"a b":"x","city":"x"},
        "extraFieldInfo":{"list":[]}}"#;
    running.connect().post_checkin(body, &[]).unwrap();
    let log = running.terminate().stderr;
    for part in [
        r#"extra key "a b" left out"#,
        r#"extra key "city" left out"#,
        r#"extra key "list" left out"#,
        r#"recorded a check-in of version "v1\n2026-01-01 ERROR forged""#,
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert!(
        !log.lines().any(|line| line.starts_with("2026-01-01")),
        "{log}"
    );
}

#[test]
fn the_answer_has_the_operators_text_in_the_operators_order() {
    let scratch = Scratch::new();
    let versions = concat!(
        r#"{"Name":"v1.1.0","ReleaseDate":"2024-06-20T00:00:00Z","Tags":["latest"],"Supported":true,"x":1.50},"#,
        r#"{"name":"v1.0.0","releaseDate":"2024-01-10T00:00:00Z","minUpgradableVersion":"","tags":null,"#,
        r#""extraInfo":{"é":"a  \"b\" \u00e9"}}"#,
    );
    let config = format!("{{\"versions\": [\n{versions} ]}}");
    scratch.write("response-config.json", config);
    let server = Server::new(&scratch).arg("--query-period", "1h30m59s");
    let answer = server.start().connect().post_checkin("{}", &[]).unwrap();
    let expected = format!("{{\"versions\":[{versions}],\"requestIntervalInMinutes\":90}}");
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.headers.get("Content-Type"), Some("application/json"));
}

#[test]
fn timestamps_of_records_are_unique_and_ascending() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    let mut connections: Vec<Connection> = (0..8).map(|_| running.connect()).collect();
    for _ in 0..50 {
        for connection in &mut connections {
            connection.post_checkin("{}", &[]).unwrap();
        }
    }
    running.terminate();
    let lines = spool::lines(&scratch);
    let time = |line: &String| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
    let times: Vec<u64> = lines.iter().map(time).collect();
    assert_eq!(times.len(), 400);
    assert!(times.is_sorted_by(|a, b| a < b));
}
