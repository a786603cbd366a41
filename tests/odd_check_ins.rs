//! Odd check-ins that the original server answers. If these tests fail, installed applications get an error where they
//! got versions before, or malformed text reaches the database.

use crate::support::client::Connection;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::spool;
use crate::support::tried::tried;

const FAMILY: &str = "Odd check-ins";
const TARGET: &str = "/v1/checkupgrade";
const BARE: &str = "upgrade_request value=1i";
const V1: &str = "upgrade_request,app_version=v1 value=1i";

/// A request, the status of its answer, and the point that is stored (empty if there is none).
struct Row<'a> {
    name: &'a str,
    target: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    status: u16,
    point: &'a str,
}

const fn body<'a>(name: &'a str, body: &'a [u8], status: u16, point: &'a str) -> Row<'a> {
    Row {
        name,
        target: TARGET,
        headers: &[],
        body,
        status,
        point,
    }
}

const fn at<'a>(name: &'a str, target: &'a str, status: u16, point: &'a str) -> Row<'a> {
    Row {
        target,
        ..body(name, br#"{"appVersion":"v1"}"#, status, point)
    }
}

const fn encoded<'a>(
    name: &'a str,
    headers: &'a [(&'a str, &'a str)],
    sent: &'a [u8],
    status: u16,
    point: &'a str,
) -> Row<'a> {
    Row {
        headers,
        ..body(name, sent, status, point)
    }
}

/// `{}` as gzip(1) makes it.
const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0";

#[rustfmt::skip]
const ROWS: &[Row<'_>] = &[
    // Text that is not valid Unicode.
    body("lone surrogate in the version", br#"{"appVersion":"v1.9.0\ud800"}"#, 200, "upgrade_request,app_version=v1.9.0\u{fffd} value=1i"),
    body("byte 0xFF in the version", b"{\"appVersion\":\"v1.9.0\xff\"}", 200, "upgrade_request,app_version=v1.9.0\u{fffd} value=1i"),
    body("lone surrogate in a tag", br#"{"appVersion":"v1","extraTagInfo":{"t":"\udc00x"}}"#, 200, "upgrade_request,app_version=v1,t=\u{fffd}x value=1i"),
    body("byte 0xFF in a tag", b"{\"appVersion\":\"v1\",\"extraTagInfo\":{\"t\":\"x\xff\"}}", 200, "upgrade_request,app_version=v1,t=x\u{fffd} value=1i"),
    body("character cut off in a field", b"{\"appVersion\":\"v1\",\"extraFieldInfo\":{\"f\":\"x\xe2\x82\"}}", 200, "upgrade_request,app_version=v1 value=1i,f=\"x\u{fffd}\""),
    body("lone surrogate in a key", br#"{"appVersion":"v1","extraTagInfo":{"\ud800":"x"}}"#, 200, V1),
    body("byte 0xFF in an unknown key", b"{\"appVersion\":\"v1\",\"\xff\":\"\xff\"}", 200, V1),
    body("whole pair of surrogates", br#"{"appVersion":"\ud83d\ude00"}"#, 200, "upgrade_request,app_version=\u{1f600} value=1i"),
    body("byte 0xFF outside a string", b"{\"appVersion\":\"v1\"}\xff", 400, ""),
    body("half an escape", br#"{"appVersion":"v1\ud8"}"#, 400, ""),
    // Null as the body and in the body.
    body("null as the body", b"null", 200, BARE),
    body("null as the body, with white space", b" \r\n\tnull\n", 200, BARE),
    body("nul as the body", b"nul", 400, ""),
    body("null twice as the body", b"null null", 400, ""),
    body("null as a map", br#"{"appVersion":"v1","extraInfo":null,"extraTagInfo":null,"extraFieldInfo":null}"#, 200, V1),
    body("null as a tag", br#"{"appVersion":"v1","extraTagInfo":{"t":null}}"#, 200, V1),
    body("empty body", b"", 400, ""),
    // White space.
    body("version of blanks", br#"{"appVersion":"  "}"#, 200, BARE),
    body("version of blanks of Unicode", "{\"appVersion\":\"\u{a0}\\t\u{3000}\\n\"}".as_bytes(), 200, BARE),
    body("blanks around the version", br#"{"appVersion":" v1\n"}"#, 200, V1),
    body("blanks around the value of a tag", br#"{"appVersion":"v1","extraTagInfo":{"t":"\ta b "}}"#, 200, "upgrade_request,app_version=v1,t=a\\ b value=1i"),
    body("tag of blanks", br#"{"appVersion":"v1","extraTagInfo":{"t":" "},"extraInfo":{"u":"\n"}}"#, 200, V1),
    // Content codings.
    encoded("gzip", &[("Content-Encoding", "gzip")], GZIP, 415, ""),
    encoded("identity", &[("Content-Encoding", "Identity")], br#"{"appVersion":"v1"}"#, 200, V1),
    encoded("identity, and no JSON", &[("Content-Encoding", "identity")], b"{", 400, ""),
    encoded("the header says gzip, the body is plain JSON", &[("Content-Encoding", "gzip")], br#"{"appVersion":"v1"}"#, 200, V1),
    encoded("a made-up encoding", &[("Content-Encoding", "secret")], GZIP, 415, ""),
    encoded("Content-Type of a form", &[("Content-Type", "application/x-www-form-urlencoded")], br#"{"appVersion":"v1"}"#, 200, V1),
    encoded("Content-Type with another character set", &[("Content-Type", "application/json; charset=iso-8859-1")], b"{\"appVersion\":\"v1\xe9\"}", 200, "upgrade_request,app_version=v1\u{fffd} value=1i"),
    // Paths.
    at("percent-encoded letter in the path", "/v1/%63heckupgrade", 200, V1),
    at("percent-encoded twice", "/v1/%2563heckupgrade", 404, ""),
    at("percent-encoded slash", "/v1%2fcheckupgrade", 404, ""),
    // Numbers, depth and repetition.
    body("large numbers", br#"{"appVersion":"v1","extraFieldInfo":{"a":18446744073709551616,"b":-1e-400}}"#, 200, "upgrade_request,app_version=v1 value=1i,a=1.8446744073709552e+19,b=-0.0"),
    body("number beyond all floats", br#"{"appVersion":"v1","extraFieldInfo":{"a":1e999}}"#, 400, ""),
    body("key repeated in other case", br#"{"appVersion":"v0","APPVERSION":"v1"}"#, 200, V1),
    body("key of a map repeated: the last one is stored", br#"{"appVersion":"v1","extraTagInfo":{"t":"a","t":"b"}}"#, 200, "upgrade_request,app_version=v1,t=b value=1i"),
    body("two keys of one name in snake case: the first in byte order is stored, the other reported", br#"{"appVersion":"v1","extraTagInfo":{"fooBar":"a","foo-bar":"b"}}"#, 200, "upgrade_request,app_version=v1,foo_bar=b value=1i"),
    body("misspelt map: ignored as every unknown key, not reported", br#"{"appVersion":"v1","extraTagsInfo":{"t":"x"}}"#, 200, V1),
    body("empty tag: not stored, not reported", br#"{"appVersion":"v1","extraTagInfo":{"t":""}}"#, 200, V1),
    body("whole number beyond 2^53: stored as the nearest float, not reported", br#"{"appVersion":"v1","extraFieldInfo":{"a":9007199254740993}}"#, 200, "upgrade_request,app_version=v1 value=1i,a=9007199254740992"),
    encoded("unsound X-Request-Id: not stored, not reported", &[("X-Request-Id", "a b")], br#"{"appVersion":"v1"}"#, 200, V1),
    body("byte order mark", b"\xef\xbb\xbf{}", 400, ""),
];

#[test]
fn odd_check_ins_are_answered_and_stored_as_far_as_they_can_be() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).without("--geodb").start();
    let mut connection = running.connect();
    for row in ROWS {
        let answer = connection.request("POST", row.target, row.headers, row.body);
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", row.name));
        assert_eq!(answer.status, row.status, "{}: {}", row.name, answer.text());
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let expected = ROWS.iter().map(|row| row.point);
    let expected: Vec<&str> = expected.filter(|point| !point.is_empty()).collect();
    assert_eq!(spool::points(&scratch), expected);
    for row in ROWS {
        let stored = match row.point {
            "" => "nothing is stored".to_owned(),
            point => format!("stored: `{point}`"),
        };
        tried(FAMILY, row.name, format!("{}; {stored}", row.status));
    }
}

#[test]
fn deep_values_cost_neither_the_answer_nor_the_stack() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).without("--geodb").start();
    let deep = format!("{}{}", "[".repeat(9_000), "]".repeat(9_000));
    let body = format!(r#"{{"appVersion":"v1","x":{deep},"extraFieldInfo":{{"f":{deep}}}}}"#);
    let answer = running.connect().post_checkin(&body, &[]).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    running.terminate();
    assert_eq!(spool::points(&scratch), [V1]);
    tried(
        FAMILY,
        "9,000 arrays in one another",
        "200; the field is left out",
    );
}

#[test]
fn an_encoded_body_is_refused_with_what_is_accepted_and_counted() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    let mut connection: Connection = running.connect();
    for (name, message) in [
        (
            "gzip",
            "Content-Encoding gzip is not supported, expected identity",
        ),
        (
            "GZIP",
            "Content-Encoding gzip is not supported, expected identity",
        ),
        (
            "br",
            "Content-Encoding br is not supported, expected identity",
        ),
        (
            "secret",
            "Content-Encoding of the body is not supported, expected identity",
        ),
    ] {
        let headers = [("Content-Encoding", name)];
        let answer = connection.request("POST", TARGET, &headers, GZIP).unwrap();
        assert_eq!(answer.status, 415);
        assert_eq!(answer.text(), format!("{{\"error\":\"{message}\"}}\n"));
        assert_eq!(answer.headers.get("Accept-Encoding"), Some("identity"));
    }
    assert_eq!(connection.post_checkin("{}", &[]).unwrap().status, 200);
}
