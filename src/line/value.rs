//! Parses the value of a field.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A finite number.
    Number(f64),
    Boolean(bool),
    /// Text in quotes, or anything that this program does not write.
    Other,
}

/// Digits of a whole number that always fits a u64.
const WHOLE_DIGITS: usize = 19;
/// Digits of a number that a float holds exactly. The powers of ten are exact too, so their quotient is rounded once,
/// like the result of the standard parser.
const EXACT_DIGITS: usize = 15;
const POWERS: [f64; EXACT_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// Parses the value at the beginning of `text`; returns it with its length in bytes.
pub fn leading(text: &[u8]) -> (Value, usize) {
    if let Some(short) = short_number(text) {
        return short;
    }
    let end = end(text);
    (of(&text[..end]), end)
}

/// Position where the value at the beginning of `text` ends: at a comma or space outside quotes.
pub fn end(text: &[u8]) -> usize {
    let (mut quoted, mut at) = (false, 0);
    while at < text.len() {
        match text[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b',' | b' ' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Parses a whole value.
fn of(value: &[u8]) -> Value {
    match value {
        b"true" => return Value::Boolean(true),
        b"false" => return Value::Boolean(false),
        _ => {}
    }
    let digits = value.strip_suffix(b"i").unwrap_or(value);
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|n| n.parse().ok());
    number
        .filter(|number: &f64| number.is_finite())
        .map_or(Value::Other, Value::Number)
}

/// Parses a whole number, or one with few digits, in one pass; nearly all numbers are of these kinds.
fn short_number(text: &[u8]) -> Option<(Value, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let (whole, mut at) = digits(text, start, 0);
    let mut number = whole as f64;
    let mut count = at - start;
    if count == 0 || count > WHOLE_DIGITS {
        return None;
    }
    if text.get(at) == Some(&b'.') {
        let (all, after) = digits(text, at + 1, whole);
        let fraction = after - at - 1;
        count += fraction;
        if fraction == 0 || count > EXACT_DIGITS {
            return None;
        }
        number = all as f64 / POWERS[fraction];
        at = after;
    }
    if !matches!(text.get(at), None | Some(b',' | b' ')) {
        return None;
    }
    Some((Value::Number(if negative { -number } else { number }), at))
}

/// Appends the digits from `at` on to `number`; returns it with the position after them. Too many digits overflow by
/// wrapping, so the caller must check their count.
fn digits(text: &[u8], mut at: usize, mut number: u64) -> (u64, usize) {
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (number, at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_up_to_their_end() {
        for (text, value, end) in [
            ("1i,a=2", Value::Number(1.0), 2),
            ("-7 17", Value::Number(-7.0), 2),
            ("5.25", Value::Number(5.25), 4),
            ("1e300,", Value::Number(1e300), 5),
            (
                "18446744073709551616",
                Value::Number(18446744073709551616.0),
                20,
            ),
            ("true,", Value::Boolean(true), 4),
            ("false 1", Value::Boolean(false), 5),
            (r#""a, b=1 \" c",n=2"#, Value::Other, 13),
            ("inf", Value::Other, 3),
            ("NaN", Value::Other, 3),
            ("1e999", Value::Other, 5),
            ("-", Value::Other, 1),
            ("1.", Value::Number(1.0), 2),
            ("", Value::Other, 0),
            ("\"\\", Value::Other, 2),
        ] {
            assert_eq!(leading(text.as_bytes()), (value, end), "of {text:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_what_the_standard_library_reads(
            text in "-?[0-9]{1,22}(\\.[0-9]{1,18})?(e-?[0-9]{1,2})?",
        ) {
            let expected = Value::Number(text.parse().unwrap());
            prop_assert_eq!(leading(text.as_bytes()), (expected, text.len()));
        }
    }
}
