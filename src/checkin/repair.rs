//! Repair of text that is not valid Unicode: bytes that are not UTF-8, and lone halves of surrogate pairs.
//!
//! A client that cuts a string in the middle of a character must still get its answer, so U+FFFD replaces
//! the invalid part. Only a body that could not be parsed is repaired; a valid one must never be changed.

/// The first and the second half of a surrogate pair.
const HIGH: std::ops::RangeInclusive<u16> = 0xD800..=0xDBFF;
const LOW: std::ops::RangeInclusive<u16> = 0xDC00..=0xDFFF;
/// Bytes of an escape: `\u` and four digits.
const ESCAPE: usize = 6;

/// The body with U+FFFD in place of invalid text; `None` where there is none to replace.
pub fn repaired(body: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(body);
    let bytes = text.as_bytes();
    let mut repaired = Vec::with_capacity(bytes.len());
    let (mut at, mut changed) = (0, bytes.len() != body.len() || bytes != body);
    while let Some(&byte) = bytes.get(at) {
        let length = match byte {
            // In JSON, backslashes occur only in strings, so this is an escape.
            b'\\' => match half(&bytes[at..]) {
                Some(Half::Lone) => {
                    repaired.extend_from_slice(b"\\ufffd");
                    (at, changed) = (at + ESCAPE, true);
                    continue;
                }
                Some(Half::Paired) => 2 * ESCAPE,
                None => 2,
            },
            _ => 1,
        };
        let end = (at + length).min(bytes.len());
        repaired.extend_from_slice(&bytes[at..end]);
        at = end;
    }
    changed.then_some(repaired)
}

enum Half {
    /// A first half that is followed by a second one.
    Paired,
    Lone,
}

/// The kind of half that an escape is; `None` where it is not a half of a surrogate pair.
fn half(escape: &[u8]) -> Option<Half> {
    let unit = unit(escape)?;
    if HIGH.contains(&unit) {
        let other = self::unit(escape.get(ESCAPE..).unwrap_or_default());
        return Some(match other {
            Some(other) if LOW.contains(&other) => Half::Paired,
            _ => Half::Lone,
        });
    }
    LOW.contains(&unit).then_some(Half::Lone)
}

/// The number of the `\u` escape at the beginning of `escape`, if there is one.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.get(..ESCAPE)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_and_foreign_bytes_become_the_replacement_character() {
        let rows: &[(&[u8], Option<&str>)] = &[
            (br#"{"a":"b\n\\"}"#, None),
            (br#""\ud83d\ude00""#, None),
            (br#""\\ud800""#, None),
            (br#""\ud800""#, Some(r#""\ufffd""#)),
            (br#""\uDC00x""#, Some(r#""\ufffdx""#)),
            (br#""\ud800\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (br#""\ud800\n\u0041""#, Some(r#""\ufffd\n\u0041""#)),
            (b"\"\xff\xe2\x82\"", Some("\"\u{fffd}\u{fffd}\"")),
            (br"\ud80", None),
            (b"\\", None),
        ];
        for (body, expected) in rows {
            let found = repaired(body).map(|found| String::from_utf8(found).unwrap());
            assert_eq!(found.as_deref(), *expected, "of {body:?}");
        }
    }
}
