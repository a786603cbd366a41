//! Encodes a check-in as InfluxDB line protocol.
//!
//! Invariant: whatever a client sends, a check-in becomes at most one line, which parses back to the
//! same tags and fields. Special characters are escaped, and control characters become U+FFFD.
//!
//! Line protocol cannot express a backslash at the end of a key or tag value, or before a comma, equals
//! sign or space, so such backslashes are left out. At the end, a backslash would escape the separator.
//! Before a special character, InfluxDB's parsers disagree. The one that looks for the end of a line
//! skips the character after any backslash. In `\\ ` (a backslash and an escaped space) it takes the
//! space for the beginning of the fields. A quote in a later tag then hides the newline, and InfluxDB
//! refuses the lines of other clients behind it too.
//!
//! Rules: InfluxDB 1.x, "Line protocol reference", and the behaviour of 1.6.7.

use std::io::Write;

use super::parse;
use super::parts::{FieldValue, Parts};

/// Measurement of all check-ins, named as in the original.
pub const MEASUREMENT: &str = "upgrade_request";

/// Keys that extra tags and fields must not have: those of the built-in tags and fields, and those that
/// InfluxDB reserves. It reserves `time` and, from 1.8 on, the tags `_field` and `_measurement`; it
/// refuses points that have them.
pub const RESERVED_KEYS: [&str; 9] = [
    "_field",
    "_measurement",
    "app_version",
    "city",
    "country",
    "country_isocode",
    "time",
    "value",
    "x_request_id",
];

/// Bytes of a key or tag value that are written unchanged.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b',' | b'=' | b'\\');
        byte += 1;
    }
    plain
};

/// Appends the point, without timestamp and newline.
pub fn encode(parts: &Parts<'_>, out: &mut Vec<u8>) {
    let location = &parts.location;
    out.extend_from_slice(MEASUREMENT.as_bytes());
    let built_in = [
        ("app_version", parts.app_version),
        ("city", location.city.unwrap_or_default()),
        ("country", location.country.unwrap_or_default()),
        (
            "country_isocode",
            location.country_isocode.unwrap_or_default(),
        ),
    ];
    // InfluxDB advises tags sorted by key. Both lists are, and their keys differ, so they merge.
    let mut extra = parts
        .tags
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .peekable();
    for (key, value) in built_in {
        while let Some((key, value)) = extra.next_if(|(extra_key, _)| *extra_key < key) {
            tag(key, value, out);
        }
        tag(key, value, out);
    }
    for (key, value) in extra {
        tag(key, value, out);
    }
    out.extend_from_slice(b" value=1i");
    for (key, value) in parts.fields {
        out.push(b',');
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        field_value(value, out);
    }
    if let Some(id) = parts.request_id {
        out.extend_from_slice(b",x_request_id=");
        string(id, out);
    }
}

/// Appends the end of a line: the timestamp, in nanoseconds since 1970, and a newline.
pub fn finish(timestamp_ns: i64, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = writeln!(out, " {timestamp_ns}");
}

/// The timestamp of a finished line, with or without its newline: the text behind the last space.
pub fn timestamp(line: &[u8]) -> Option<i64> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    parse::split_timestamp(line).map(|(_, stamp)| stamp)
}

/// A key or a tag value with the escapes of line protocol.
pub fn escaped(text: &str) -> String {
    let mut out = Vec::new();
    name(text, &mut out);
    // `name` writes only whole characters.
    String::from_utf8_lossy(&out).into_owned()
}

fn tag(key: &str, value: &str, out: &mut Vec<u8>) {
    if value.bytes().all(|byte| byte == b'\\') {
        return;
    }
    out.push(b',');
    out.extend_from_slice(key.as_bytes());
    out.push(b'=');
    name(value, out);
}

fn field_value(value: &FieldValue<'_>, out: &mut Vec<u8>) {
    match value {
        FieldValue::Boolean(true) => out.extend_from_slice(b"true"),
        FieldValue::Boolean(false) => out.extend_from_slice(b"false"),
        FieldValue::Number(number) => {
            // Most numbers are whole; writing them as integers takes a tenth of the time.
            let whole = *number as i64;
            if (whole as f64).to_bits() == number.to_bits() {
                return out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
            }
            // Writes the shortest text that parses to the same float.
            out.extend_from_slice(zmij::Buffer::new().format(*number).as_bytes());
        }
        FieldValue::Text(text) => string(text, out),
    }
}

/// Appends a key or a tag value, escaped.
fn name(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| PLAIN[usize::from(byte)]) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut backslashes = 0;
    for character in text.chars() {
        match character {
            '\\' => {
                backslashes += 1;
                continue;
            }
            ',' | '=' | ' ' => out.push(b'\\'),
            _ => out.extend(std::iter::repeat_n(b'\\', backslashes)),
        }
        backslashes = 0;
        push(character, out);
    }
}

/// Appends the value of a text field, quoted.
fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if text.bytes().all(plain) {
        out.extend_from_slice(text.as_bytes());
        return out.push(b'"');
    }
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push(b'\\');
        }
        push(character, out);
    }
    out.push(b'"');
}

fn push(character: char, out: &mut Vec<u8>) {
    let character = if character.is_control() {
        '\u{fffd}'
    } else {
        character
    };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkin::request;
    use crate::line::Location;

    fn encoded(body: &str) -> String {
        let check_in = request::parse(body.as_bytes(), None).unwrap();
        let mut out = Vec::new();
        encode(&check_in.parts(Location::default(), None), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tags_are_sorted_with_the_built_in_ones() {
        let check_in = request::parse(
            br#"{"appVersion":"v1","extraTagInfo":{"zone":"z","arch":"a","b":"","cluster":"c"}}"#,
            None,
        )
        .unwrap();
        let location = Location {
            city: Some("S\u{e3}o Paulo"),
            country: Some("Brazil"),
            country_isocode: Some("BR"),
        };
        let mut out = Vec::new();
        encode(&check_in.parts(location, Some("id-1")), &mut out);
        finish(42, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "upgrade_request,app_version=v1,arch=a,city=S\u{e3}o\\ Paulo,cluster=c,country=Brazil,\
             country_isocode=BR,zone=z value=1i,x_request_id=\"id-1\" 42\n"
        );
    }

    #[test]
    fn fields_have_their_types() {
        assert_eq!(
            encoded(
                r#"{"extraFieldInfo":{"nodeCount":3,"none":"","ratio":0.5,"on":true,"text":"a \"b\" \\"}}"#
            ),
            r#"upgrade_request value=1i,node_count=3,on=true,ratio=0.5,text="a \"b\" \\""#
        );
    }

    #[test]
    fn special_characters_cannot_make_another_tag_or_line() {
        assert_eq!(
            encoded(r#"{"appVersion":"a,b=c d\\\\","extraTagInfo":{"k":"x\ny value=1i 1\\"}}"#),
            "upgrade_request,app_version=a\\,b\\=c\\ d,k=x\u{fffd}y\\ value\\=1i\\ 1 value=1i"
        );
    }

    #[test]
    fn backslashes_stay_but_at_the_end_and_before_a_special_character() {
        assert_eq!(
            encoded(r#"{"appVersion":"\\a\\\"b\\\\ c\\,d\\=\\","extraTagInfo":{"k":"\\\\"}}"#),
            r#"upgrade_request,app_version=\a\"b\ c\,d\= value=1i"#
        );
    }

    #[test]
    fn the_timestamp_is_read_back() {
        assert_eq!(
            timestamp(b"upgrade_request,a=b\\ c value=1i 1700000000000000001\n"),
            Some(1700000000000000001)
        );
        assert_eq!(timestamp(b"upgrade_request value=1i"), None);
        assert_eq!(timestamp(b""), None);
    }
}
