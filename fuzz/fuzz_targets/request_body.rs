//! The body of a check-in: whatever it holds, it is refused, or becomes one line of line protocol that
//! says what the check-in says.
#![no_main]

#[path = "../../tests/support/line_protocol.rs"]
mod line_protocol;

use libfuzzer_sys::fuzz_target;
use upgrade_responder::geo::Location;
use upgrade_responder::checkin::request;
use upgrade_responder::line::encode as line;

fuzz_target!(|body: &[u8]| {
    let Ok(check_in) = request::parse(body, None) else {
        return;
    };
    if !check_in.recordable {
        return;
    }
    assert!(check_in.tags.len() <= 64 && check_in.fields.len() <= 64);
    assert!(
        check_in
            .tags
            .iter()
            .all(|(key, value)| key.len() <= 2 * 64 && value.len() <= 200)
    );
    let mut out = Vec::new();
    line::encode(&check_in.parts(Location::default(), None), &mut out);
    let point_only = out.len();
    line::finish(17, &mut out);
    assert_eq!(line::timestamp(&out), Some(17));
    let line = out.strip_suffix(b"\n").unwrap();
    let point = line_protocol::parse(line).unwrap();
    assert_eq!(
        (point.measurement.as_str(), point.timestamp),
        (line::MEASUREMENT, 17)
    );
    // All fields and `value`; of the tags, those of only backslashes leave nothing.
    assert_eq!(point.fields.len(), check_in.fields.len() + 1);
    assert!(point.tags.len() <= check_in.tags.len() + 1);
    let reserved = line::RESERVED_KEYS;
    assert!(
        check_in
            .tags
            .iter()
            .all(|(key, _)| !reserved.contains(&&**key))
    );
    assert!(
        check_in
            .fields
            .iter()
            .all(|(key, _)| !reserved.contains(&&**key))
    );
    assert!(
        point_only < 192 * 1024,
        "longer than the tail of a segment that is searched at start"
    );
});
