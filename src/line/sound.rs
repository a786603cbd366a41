//! Judging a line: is it a record that this server wrote, whole and unchanged as far as a line can tell?
//!
//! A loss of power leaves pages of NULs in a segment that was being written, and a bad disk or a person
//! leaves anything. Such a line must neither be sent nor counted. The judgement is strict on purpose: it
//! accepts what the encoder writes, and nothing that merely looks like it. It never looks at what a
//! client's text means.

use super::encode::MEASUREMENT;
use super::value;

/// Bytes of a line with its newline at most. A body has 64 KiB, and each byte of it becomes three at most.
pub const LONGEST: usize = 256 * 1024;

/// The record that a line (without its newline) holds: all of the line, or its end where something else
/// stands before it; `None` where there is none.
///
/// Damage that ate a newline joins a line with the next one, which itself is as it was written.
pub fn record(line: &[u8]) -> Option<&[u8]> {
    if line.len() >= LONGEST {
        return None;
    }
    if is_sound(line) {
        return Some(line);
    }
    let ends = memchr::memmem::find_iter(line, MEASUREMENT).filter(|at| *at > 0);
    ends.map(|at| &line[at..]).find(|end| is_sound(end))
}

/// The same for a reader of the log, to which nearly all lines are sound: each was judged at the start, or
/// written since then. A line that shows no damage at a glance is taken without being parsed, which costs a
/// fortieth. What such a line still hides is printable, and the database refuses it.
pub fn record_at_a_glance(line: &[u8]) -> Option<&[u8]> {
    if looks_sound(line) {
        Some(line)
    } else {
        record(line)
    }
}

fn looks_sound(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(MEASUREMENT.as_bytes()) else {
        return false;
    };
    let stamp = memchr::memrchr(b' ', line).map(|space| &line[space + 1..]);
    line.len() < LONGEST
        && matches!(rest.first(), Some(b',' | b' '))
        && stamp.is_some_and(|stamp| !stamp.is_empty() && is_timestamp(stamp))
        && is_printable(line)
        // Lost newlines join lines.
        && memchr::memmem::find(rest, MEASUREMENT.as_bytes()).is_none()
}

/// Whether a line (without its newline) is a record.
pub fn is_sound(line: &[u8]) -> bool {
    line.starts_with(MEASUREMENT.as_bytes()) && is_printable(line) && parses(line).is_some()
}

/// Whether it is text without control characters.
fn is_printable(line: &[u8]) -> bool {
    // Without an early end, so that it is done for many bytes at once.
    let printable = |sound: bool, byte: &u8| sound & (*byte >= b' ') & (*byte != 0x7f);
    if !line.iter().fold(true, printable) {
        return false;
    }
    // Beyond ASCII the control characters are U+0080 to U+009F.
    let is_control = |at: usize| matches!(line.get(at + 1), Some(0x80..=0x9f));
    line.is_ascii()
        || (std::str::from_utf8(line).is_ok() && !memchr::memchr_iter(0xc2, line).any(is_control))
}

/// `None` where a part is missing or one is too many.
fn parses(line: &[u8]) -> Option<()> {
    let mut rest = line.get(MEASUREMENT.len()..)?;
    while let [b',', pair @ ..] = rest {
        rest = after_name(after_key(pair)?)?;
    }
    loop {
        let [b' ' | b',', pair @ ..] = rest else {
            return None;
        };
        rest = after_value(after_key(pair)?)?;
        if let [b' ', stamp @ ..] = rest {
            return is_timestamp(stamp).then_some(());
        }
    }
}

/// What stands behind a key and its equals sign.
fn after_key(text: &[u8]) -> Option<&[u8]> {
    after_name(text)?.strip_prefix(b"=")
}

/// What stands behind a name, which ends at the first special character that is not escaped.
fn after_name(text: &[u8]) -> Option<&[u8]> {
    let special = |at: &usize| matches!(text[*at], b',' | b'=' | b' ');
    let mut ends = (0..text.len()).filter(special);
    let end = ends.find(|&at| at == 0 || text[at - 1] != b'\\')?;
    if end == 0 { None } else { Some(&text[end..]) }
}

/// What stands behind a field's value: a number, a boolean, or text between two quotes.
fn after_value(text: &[u8]) -> Option<&[u8]> {
    let (value, rest) = text.split_at(value::end(text));
    let sound = match value.first()? {
        b'"' => is_quoted(value),
        _ => value::leading(value).0 != value::Value::Other,
    };
    sound.then_some(rest)
}

/// Whether the second quote that is not escaped is the last character.
fn is_quoted(value: &[u8]) -> bool {
    let mut at = 1;
    while let Some(byte) = value.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1 == value.len(),
            _ => at += 1,
        }
    }
    false
}

fn is_timestamp(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let number = std::str::from_utf8(text).ok();
    digits.iter().all(u8::is_ascii_digit)
        && number.is_some_and(|number| number.parse::<i64>().is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checkin::request;
    use crate::geo::Location;
    use crate::line::encode::{encode, finish};

    fn encoded(body: &str, stamp: i64) -> Option<Vec<u8>> {
        let check_in = request::parse(body.as_bytes(), None).ok()?;
        let mut out = Vec::new();
        encode(&check_in.parts(Location::default(), Some("id-1")), &mut out);
        finish(stamp, &mut out);
        out.pop();
        Some(out)
    }

    #[test]
    fn lines_that_lack_or_hold_something_are_not_sound() {
        for line in [
            "upgrade_request value=1i 1795728076000000001",
            "upgrade_request,app_version=a\\ b\\,c value=1i,t=\"a, b=1 \\\" c\",n=-2.5,b=true -5",
            "upgrade_request,city=S\u{e3}o\\ Paulo value=1i 0",
        ] {
            assert!(is_sound(line.as_bytes()), "{line:?}");
            for end in 0..line.len() {
                let cut = &line.as_bytes()[..end];
                let only_digits_lost = line.as_bytes()[end..].iter().all(u8::is_ascii_digit);
                let sound = is_sound(cut);
                assert!(!sound || only_digits_lost, "{line:?} cut at {end}");
            }
        }
        for line in [
            "",
            "x\u{1}",
            "upgrade_requests value=1i 1",
            "upgrade_request,a=b value=1i",
            "upgrade_request,a=b 1",
            "upgrade_request,a= value=1i 1",
            "upgrade_request,=b value=1i 1",
            "upgrade_request,a value=1i 1",
            "upgrade_request,a=b=c value=1i 1",
            "upgrade_request,a=b value=1i 1 ",
            "upgrade_request,a=b value=1i 1x",
            "upgrade_request,a=b value=1i +1",
            "upgrade_request,a=b value=1i 99999999999999999999",
            "upgrade_request,a=b  value=1i 1",
            "upgrade_request,a=b value=1i,t=\"x 1",
            "upgrade_request,a=b value=1i,t=\"x\"y 1",
            "upgrade_request,a=b value=1i,t=x 1",
            "upgrade_request,a=b\u{0} value=1i 1",
            "upgrade_request,a=b\u{85} value=1i 1",
        ] {
            assert!(!is_sound(line.as_bytes()), "{line:?}");
        }
        assert!(!is_sound(b"upgrade_request,a=\xff value=1i 1"));
    }

    #[test]
    fn the_record_behind_damage_is_found() {
        let sound = "upgrade_request,app_version=a value=1i,t=\"upgrade_request,a=b\" 17";
        for before in [
            "\0\0\0",
            "upgrade_request,app_ver",
            "upgrade_request,a=b value=1i 1",
            "x",
        ] {
            let line = format!("{before}{sound}");
            assert_eq!(record(line.as_bytes()), Some(sound.as_bytes()), "{line:?}");
        }
        assert_eq!(record(b"\0\0"), None);
        let long = format!("upgrade_request value=1i,t=\"{}\" 1", "x".repeat(LONGEST));
        assert!(is_sound(long.as_bytes()));
        assert_eq!(record(long.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn whatever_a_client_sends_becomes_a_sound_line(
            version in ".{0,20}", tag in "\\PC{0,20}", text in ".{0,20}", number: f64, stamp: i64,
        ) {
            let number = if number.is_finite() { number } else { 0.5 };
            let body = serde_json::json!({
                "appVersion": version,
                "extraTagInfo": {"aTag": tag, "zone": text},
                "extraFieldInfo": {"text": text, "number": number, "yes": true},
            });
            let line = encoded(&body.to_string(), stamp).unwrap();
            prop_assert!(is_sound(&line), "{:?}", String::from_utf8_lossy(&line));
        }

        #[test]
        fn no_bytes_are_a_reason_to_panic(bytes: Vec<u8>) {
            let _ = record(&bytes);
            let _ = record(&[b"upgrade_request".as_slice(), &bytes].concat());
        }
    }
}
