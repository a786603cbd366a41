//! Comparisons of a number, such as `>=100` or `>0 <10 || 99`, for the numeric fields of a check-in.
//!
//! They are written like constraints on versions, but must never be compared like versions: 0.75 is less than 0.8.

use super::grammar::skip_space;

/// At least one group of comparisons. A number must meet all comparisons of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparisons(Vec<Vec<(Sign, f64)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Equal,
    NotEqual,
    Greater,
    Less,
    AtLeast,
    AtMost,
}

impl Comparisons {
    /// Reads comparisons; `None` where the text is something else.
    pub fn parse(text: &str) -> Option<Comparisons> {
        let groups: Option<Vec<_>> = text.split("||").map(group).collect();
        groups.map(Comparisons)
    }

    pub fn are_met_by(&self, number: f64) -> bool {
        let met = |(sign, bound): &(Sign, f64)| match sign {
            Sign::Equal => number == *bound,
            Sign::NotEqual => number != *bound,
            Sign::Greater => number > *bound,
            Sign::Less => number < *bound,
            Sign::AtLeast => number >= *bound,
            Sign::AtMost => number <= *bound,
        };
        self.0.iter().any(|group| group.iter().all(met))
    }
}

fn group(text: &str) -> Option<Vec<(Sign, f64)>> {
    const SIGNS: [(&str, Sign); 8] = [
        ("!=", Sign::NotEqual),
        (">=", Sign::AtLeast),
        ("=>", Sign::AtLeast),
        ("<=", Sign::AtMost),
        ("=<", Sign::AtMost),
        ("=", Sign::Equal),
        (">", Sign::Greater),
        ("<", Sign::Less),
    ];
    let mut comparisons = Vec::new();
    let mut rest = skip_space(text);
    loop {
        let found = SIGNS
            .iter()
            .find_map(|(text, sign)| Some((*sign, rest.strip_prefix(text)?)));
        let (sign, after) = found.unwrap_or((Sign::Equal, rest));
        let after = skip_space(after);
        let end = after.find([' ', '\t', '\n', '\r', '\x0c', ',']);
        let (number, after) = after.split_at(end.unwrap_or(after.len()));
        comparisons.push((sign, decimal(number)?));
        let next = skip_space(after);
        if next.is_empty() {
            return Some(comparisons);
        }
        rest = skip_space(next.strip_prefix(',').unwrap_or(next));
    }
}

/// Reads a finite decimal number. Rust's parser would also accept words (`inf`, `nan`).
pub(super) fn decimal(text: &str) -> Option<f64> {
    let sound =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
    if !text.bytes().all(sound) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        for (text, number, met) in [
            (">=100", 100.0, true),
            (">= 100", 99.5, false),
            ("<0.8", 0.75, true),
            (">0 <10", 10.0, false),
            (">0, <10 || 99", 99.0, true),
            ("!=3", 3.0, false),
            ("-1.5", -1.5, true),
            ("1e3", 1000.0, true),
        ] {
            let read = Comparisons::parse(text).unwrap();
            assert_eq!(read.are_met_by(number), met, "{text} {number}");
        }
        for refused in ["", ">", "a", "1.2.3", "~1", "inf", "1,", "1 ||", "1e999"] {
            assert_eq!(Comparisons::parse(refused), None, "{refused:?}");
        }
    }
}
