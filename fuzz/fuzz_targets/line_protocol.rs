//! Line protocol from any check-in, location and request id, the limits on cardinality included: one
//! line, which parses back to what was meant.
#![no_main]

#[path = "../../tests/support/line_protocol.rs"]
mod line_protocol;

use std::borrow::Cow;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use upgrade_responder::geo::Location;
use upgrade_responder::line::encode as line;
use upgrade_responder::checkin::request::CheckIn;
use upgrade_responder::line::FieldValue;
use upgrade_responder::spool::cardinality::{Limiter, Limits, Listed};

type Input<'a> = (
    (&'a str, Option<&'a str>, Option<&'a str>, Option<&'a str>),
    Vec<&'a str>,
    Vec<(&'a str, f64)>,
);

fuzz_target!(|input: Input<'_>| {
    let ((app_version, city, country, id), tags, fields) = input;
    // Keys as a schema or the hard caps let them through; none is both a tag and a field.
    let key = |n: usize| Cow::Owned(format!("k{n:03}"));
    let field_key = |n: usize| Cow::Owned(format!("f{n:03}"));
    let tags: Vec<_> = tags.into_iter().take(64).enumerate().collect();
    let fields: Vec<_> = fields.into_iter().take(64).enumerate().collect();
    let check_in = CheckIn {
        app_version: app_version.into(),
        recordable: true,
        tags: tags
            .iter()
            .map(|(n, value)| (key(*n), Cow::Borrowed(*value)))
            .collect(),
        fields: fields
            .iter()
            .map(|(n, (text, number))| {
                let value = match (text.is_empty(), number.is_finite()) {
                    (false, _) => FieldValue::Text(Cow::Borrowed(*text)),
                    (true, true) => FieldValue::Number(*number),
                    (true, false) => FieldValue::Boolean(number.is_nan()),
                };
                (field_key(*n), value)
            })
            .collect(),
        left_out: Default::default(),
        notes: Vec::new(),
    };
    let location = Location {
        city,
        country,
        country_isocode: None,
    };
    let mut point = Vec::new();
    line::encode(&check_in.parts(location, id), &mut point);
    let meant = parse(&point);
    // But for backslashes, of which some are left out.
    let stored = |text: &str| text.replace(char::is_control, "\u{fffd}").replace('\\', "");
    let value = |tag: &str| {
        let found = meant.tags.iter().find(|(key, _)| key == tag);
        found.map_or(String::new(), |(_, value)| value.replace('\\', ""))
    };
    assert_eq!(value("app_version"), stored(app_version));
    assert_eq!(value("city"), stored(city.unwrap_or_default()));
    for (n, text) in &tags {
        assert_eq!(value(&key(*n)), stored(text));
    }
    assert!(meant.tags.is_sorted());
    assert_eq!(
        meant.fields.len(),
        1 + fields.len() + usize::from(id.is_some())
    );

    // Room for the values of one such check-in: 64 tags and the version, however long.
    let limits = Limits {
        tag_values: 1,
        series: 10_000,
    };
    let mut limiter = Limiter::open(Path::new("/nonexistent"), limits);
    for _ in 0..2 {
        let mut out = Vec::new();
        limiter.admit(&point, &Listed::default(), &mut out);
        assert_eq!(out, point, "the first of its kind is within every limit");
    }
    let mut out = Vec::new();
    limiter.admit(
        b"upgrade_request,app_version=a,k000=x value=1i",
        &Listed::default(),
        &mut out,
    );
    parse(&out);
});

fn parse(point: &[u8]) -> line_protocol::Point {
    let mut line = point.to_vec();
    line::finish(17, &mut line);
    let line = line.strip_suffix(b"\n").unwrap();
    line_protocol::parse(line)
        .unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(line)))
}
