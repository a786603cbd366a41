//! Checks whether a line is an undamaged record that this server wrote.
//!
//! A power cut leaves pages of NULs in a segment that was being written; a bad disk or a person may leave any bytes.
//! Such a line must neither be sent nor counted. The check is strict: it accepts only the syntax that the
//! encoder writes. It never interprets a client's text.

use super::encode::MEASUREMENT;
use super::value;

/// Limit of the bytes of a line, newline included. A body has at most 64 KiB, and each byte of it becomes at most
/// three.
pub const LONGEST: usize = 256 * 1024;

/// The record in a line (without its newline): the whole line, or its end if that is a record; `None` if there is no
/// record.
///
/// Damage that overwrote a newline joins a damaged line with the next one, which may be undamaged.
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

/// The same for readers of the spool, where nearly all lines are undamaged. A line without obvious damage is accepted
/// without being parsed, which takes a fortieth of the time. Damage that this check misses is printable text, and the
/// database refuses such a line.
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
        // A second measurement may mean that a newline was lost.
        && memchr::memmem::find(rest, MEASUREMENT.as_bytes()).is_none()
}

/// Whether a line (without its newline) is a record.
pub fn is_sound(line: &[u8]) -> bool {
    line.starts_with(MEASUREMENT.as_bytes()) && is_printable(line) && parses(line).is_some()
}

/// Whether the line is UTF-8 without control characters.
fn is_printable(line: &[u8]) -> bool {
    // No early exit, so that the compiler can check many bytes at once.
    let printable = |sound: bool, byte: &u8| sound & (*byte >= b' ') & (*byte != 0x7f);
    if !line.iter().fold(true, printable) {
        return false;
    }
    // The control characters beyond ASCII are U+0080 to U+009F.
    let is_control = |at: usize| matches!(line.get(at + 1), Some(0x80..=0x9f));
    line.is_ascii()
        || (std::str::from_utf8(line).is_ok() && !memchr::memchr_iter(0xc2, line).any(is_control))
}

/// Parses the whole line; `None` if a part is missing or unexpected.
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

/// The text behind a key and its equals sign.
fn after_key(text: &[u8]) -> Option<&[u8]> {
    after_name(text)?.strip_prefix(b"=")
}

/// The text behind a name, which ends at the first special character that is not escaped.
fn after_name(text: &[u8]) -> Option<&[u8]> {
    let special = |at: &usize| matches!(text[*at], b',' | b'=' | b' ');
    let mut ends = (0..text.len()).filter(special);
    let end = ends.find(|&at| at == 0 || text[at - 1] != b'\\')?;
    if end == 0 { None } else { Some(&text[end..]) }
}

/// The text behind a field's value, which is a number, a boolean, or text between quotes.
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
