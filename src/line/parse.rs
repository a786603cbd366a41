//! Parses a point in line protocol, without copying.
//!
//! This server wrote the lines, so special characters are escaped and no key or tag value ends with a backslash.
//! Therefore a special character without a backslash before it is a separator.

use super::value;

/// The measurement and the tags: the text before the first separating space.
pub fn series(point: &[u8]) -> &[u8] {
    &point[..separator(point, b' ').unwrap_or(point.len())]
}

/// The measurement: the text before the tags.
pub fn measurement(series: &[u8]) -> &[u8] {
    &series[..separator(series, b',').unwrap_or(series.len())]
}

/// The tags, with keys and values as written, escapes included.
pub fn tags(series: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = match separator(series, b',') {
        Some(comma) => &series[comma + 1..],
        None => &[],
    };
    std::iter::from_fn(move || {
        let equals = separator(rest, b'=')?;
        let (key, value) = (&rest[..equals], &rest[equals + 1..]);
        let end = separator(value, b',').unwrap_or(value.len());
        rest = value.get(end + 1..).unwrap_or_default();
        Some((key, &value[..end]))
    })
}

/// The fields of a point or a line, with keys and values as written.
pub fn fields(point: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = point.get(series(point).len() + 1..).unwrap_or_default();
    std::iter::from_fn(move || {
        let equals = separator(rest, b'=')?;
        let (key, value) = (&rest[..equals], &rest[equals + 1..]);
        let end = value::end(value);
        rest = value.get(end + 1..).unwrap_or_default();
        Some((key, &value[..end]))
    })
}

/// Position of the first `wanted` byte that has no backslash before it.
fn separator(text: &[u8], wanted: u8) -> Option<usize> {
    memchr::memchr_iter(wanted, text).find(|&at| at == 0 || text[at - 1] != b'\\')
}

/// Splits a line (without its newline) at its last space: the text before the timestamp, and the
/// timestamp in nanoseconds since 1970.
pub fn split_timestamp(line: &[u8]) -> Option<(&[u8], i64)> {
    let space = memchr::memrchr(b' ', line)?;
    let stamp = std::str::from_utf8(&line[space + 1..]).ok()?.parse().ok()?;
    Some((&line[..space], stamp))
}

/// The text of a key or a tag value, without the escapes of line protocol.
pub fn unescaped(text: &[u8]) -> String {
    let mut plain = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        let escapes = byte == b'\\' && matches!(text.get(at + 1), Some(b',' | b'=' | b' '));
        if !escapes {
            plain.push(byte);
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = (&'static [u8], &'static [u8]);

    #[test]
    fn escaped_separators_separate_nothing() {
        let point = br#"m,a=b\ c\,d,e\=f=g value=1i,t="a, b=1 \" c",n=2 17"#;
        assert_eq!(series(point), br"m,a=b\ c\,d,e\=f=g");
        let tags: Vec<Pair> = tags(series(point)).collect();
        assert_eq!(
            tags,
            [(b"a".as_slice(), br"b\ c\,d".as_slice()), (br"e\=f", b"g")]
        );
        let fields: Vec<Pair> = fields(point).collect();
        let text: Pair = (b"t", br#""a, b=1 \" c""#);
        assert_eq!(
            fields,
            [(b"value".as_slice(), b"1i".as_slice()), text, (b"n", b"2")]
        );
    }

    #[test]
    fn a_tag_is_read_as_it_was_before_it_was_escaped() {
        for text in ["v1.0", "S\u{e3}o Paulo", "a,b=c d", r"\a\b", "", "\u{fffd}"] {
            assert_eq!(
                unescaped(crate::line::encode::escaped(text).as_bytes()),
                text
            );
        }
    }

    #[test]
    fn what_is_no_point_has_no_parts() {
        for text in [
            b"".as_slice(),
            b" ",
            b"m",
            b"m,",
            b"m,a",
            b"m x",
            b"\\",
            b"m value=\"\\",
        ] {
            let _ = (tags(series(text)).count(), fields(text).count());
        }
    }
}
