//! The request schema, and behind a NUL byte a check-in that it is applied to.
#![no_main]

#[path = "../../tests/support/line_protocol.rs"]
mod line_protocol;

use libfuzzer_sys::fuzz_target;
use upgrade_responder::geo::Location;
use upgrade_responder::checkin::request;
use upgrade_responder::line::encode as line;
use upgrade_responder::config::schema::RequestSchema;

fuzz_target!(|text: &str| {
    let (schema, body) = text.split_once('\0').unwrap_or((text, "{}"));
    let schema = match RequestSchema::parse(schema) {
        Ok(schema) => schema,
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.to_string().contains('\n'));
            }
            return;
        }
    };
    let Ok(check_in) = request::parse(body.as_bytes(), Some(&schema)) else {
        return;
    };
    assert!(check_in.tags.len() <= schema.tags().len());
    assert!(check_in.fields.len() <= schema.fields().len());
    if check_in.recordable {
        let mut out = Vec::new();
        line::encode(&check_in.parts(Location::default(), None), &mut out);
        line::finish(17, &mut out);
        let point = line_protocol::parse(out.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(point.fields.len(), check_in.fields.len() + 1);
    }
});
