//! The syntax of systemd's `EnvironmentFile=` (systemd.exec(5)), read as systemd does, so that every command
//! sees the settings that the service has.
//!
//! A line is `NAME=value`, empty, or a comment (`#`, `;`). A value is bare or quoted, or quoted pieces and at
//! last a bare one, which are joined:
//!
//! - Bare: to the end of the line, without white space at its end. A backslash keeps the next character as it
//!   is; before the end of a line it continues the value on the next one. Quotes inside are ordinary text.
//! - `'…'`: everything as it is, over several lines if need be.
//! - `"…"`: the same, except that a backslash escapes `"`, `\`, `` ` `` and `$`, and joins lines.
//!
//! Variables are not expanded. Lines with an invalid name, or a value with control characters, are ignored.
//! A backslash at the end of a comment does not continue it, as in systemd 254 and later; earlier versions differ.

use std::fmt;

/// Why systemd could not read the file.
#[derive(Debug, PartialEq, Eq)]
pub enum Unreadable {
    NotUtf8 { name: String },
    Nul,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::NotUtf8 { name } => write!(f, "{name:?} is not UTF-8"),
            Unreadable::Nul => f.write_str("it has a NUL byte"),
        }
    }
}

/// The assignments in the file's order. If a name occurs again, the last assignment counts.
pub fn parse(file: &[u8]) -> Result<Vec<(String, String)>, Unreadable> {
    if file.contains(&0) {
        return Err(Unreadable::Nul);
    }
    let mut rest = Rest(file);
    let mut assignments = Vec::new();
    loop {
        rest.skip_while(is_space);
        match rest.0.first() {
            None => return Ok(assignments),
            Some(b'#' | b';') => rest.skip_while(|byte| !is_line_end(byte)),
            Some(_) => {
                let Some(name) = rest.name() else { continue };
                let value = rest.value();
                let shown = || String::from_utf8_lossy(name).into_owned();
                let not_utf8 = |_| Unreadable::NotUtf8 { name: shown() };
                let value = String::from_utf8(value).map_err(not_utf8)?;
                std::str::from_utf8(name).map_err(|_| Unreadable::NotUtf8 { name: shown() })?;
                let control = |c: char| c.is_control() && c != '\t' && c != '\n';
                if is_name(name) && !value.contains(control) {
                    assignments.push((shown(), value));
                }
            }
        }
    }
}

/// Where the reader of a value is.
#[derive(Clone, Copy)]
enum At {
    /// Before the value, or after a quoted piece: the next piece may be quoted.
    Start,
    Bare,
    BareEscape,
    Single,
    Double,
    DoubleEscape,
}

/// What is left of the file.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn skip_while(&mut self, skip: impl Fn(&u8) -> bool) {
        self.take_while(skip);
    }

    fn take_while(&mut self, take: impl Fn(&u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !take(byte));
        let (taken, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }

    /// The text before `=`; `None` for a line without one. The first byte is part of the name even if it is `=`.
    fn name(&mut self) -> Option<&'a [u8]> {
        let line = self.0;
        self.0 = line.get(1..)?;
        let more = self.take_while(|byte| *byte != b'=' && !is_line_end(byte));
        let name = line.get(..=more.len())?;
        let (b'=', rest) = self.0.split_first()? else {
            return None;
        };
        self.0 = rest;
        Some(name.trim_ascii_end())
    }

    /// The value after `=`, up to the end of its last line.
    fn value(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        let mut at = At::Start;
        // The length of the value without white space at its end.
        let mut kept = 0;
        while let Some((&byte, rest)) = self.0.split_first() {
            self.0 = rest;
            at = match (at, byte) {
                (At::Start | At::Bare, b'\n' | b'\r') => break,
                (At::Start, b'\'') => At::Single,
                (At::Start, b'"') => At::Double,
                (At::Start | At::Bare, b'\\') => {
                    kept = value.len();
                    At::BareEscape
                }
                (At::Start, b' ' | b'\t') => At::Start,
                (At::Start | At::Bare, _) => {
                    value.push(byte);
                    if !is_space(&byte) {
                        kept = value.len();
                    }
                    At::Bare
                }
                (At::BareEscape, _) => {
                    if !is_line_end(&byte) {
                        value.push(byte);
                    }
                    kept = value.len();
                    At::Bare
                }
                (At::Single, b'\'') | (At::Double, b'"') => {
                    kept = value.len();
                    At::Start
                }
                (At::Double, b'\\') => At::DoubleEscape,
                (At::Single | At::Double, _) => {
                    value.push(byte);
                    at
                }
                (At::DoubleEscape, b'\n') => At::Double,
                (At::DoubleEscape, _) => {
                    if !matches!(byte, b'"' | b'\\' | b'`' | b'$') {
                        value.push(b'\\');
                    }
                    value.push(byte);
                    At::Double
                }
            };
        }
        // A quote that is not closed ends with the file, and keeps its white space.
        if matches!(at, At::Start | At::Bare) {
            value.truncate(kept);
        }
        value
    }
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Whether a variable can have this name.
fn is_name(name: &[u8]) -> bool {
    let sound = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_read(file: &str, expected: &[(&str, &str)]) {
        let read = parse(file.as_bytes()).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, expected, "of {file:?}");
    }

    #[test]
    fn lines_comments_and_white_space() {
        let file = "# A=1\n  ; B=2\n\n  C = 3 4 \t\nno assignment\nD=\nE=5#5\r\nF=6";
        let expected = [("C", "3 4"), ("D", ""), ("E", "5#5"), ("F", "6")];
        assert_read(file, &expected);
        assert_read("# comment \\\nA=1", &[("A", "1")]);
        assert_read("", &[]);
        assert_read("A", &[]);
    }

    #[test]
    fn bare_values() {
        for (value, expected) in [
            ("a=b c", "a=b c"),
            ("a\"b'c", "a\"b'c"),
            ("$HOME `x` *", "$HOME `x` *"),
            (r"a\ b\\c\n", r"a b\cn"),
            (r"trailing\  ", "trailing "),
            (r"\  x", "  x"),
            (r"\'x\'", "'x'"),
            ("one\\\ntwo", "onetwo"),
            ("one \\\n  two", "one   two"),
            ("one \\\n", "one "),
            ("\\\n  x", "  x"),
            ("x\\", "x"),
        ] {
            assert_read(&format!("A={value}"), &[("A", expected)]);
            if !value.ends_with('\\') {
                assert_read(&format!("A={value}\nB=1"), &[("A", expected), ("B", "1")]);
            }
        }
    }

    #[test]
    fn quoted_values() {
        for (value, expected) in [
            ("'a b'", "a b"),
            ("' a '", " a "),
            (r"'a\b\'", r"a\b\"),
            ("'two\nlines'", "two\nlines"),
            ("\"a # b\"  ", "a # b"),
            (r#""\"\\\$\`\n""#, r#""\$`\n"#),
            ("\"one\\\ntwo\"", "onetwo"),
            ("'a' \"b\"c ", "abc"),
            ("'a' b'c'", "ab'c'"),
            ("\"\"", ""),
            ("'' x", "x"),
            ("'a'\\\n b", "a b"),
            ("'open\nB=1", "open\nB=1"),
            ("\"open ", "open "),
        ] {
            assert_read(&format!("A={value}"), &[("A", expected)]);
        }
    }

    #[test]
    fn what_no_environment_can_hold_is_left_out_and_what_is_no_text_refused() {
        assert_read("export A=1\n2B=1\nC-D=1\n='\n_E2=1", &[("_E2", "1")]);
        assert_read("A='\u{7}'\nB='\t'\nC=\"\r\"", &[("B", "\t")]);
        let name = "A".to_owned();
        assert_eq!(parse(b"A=\xff"), Err(Unreadable::NotUtf8 { name }));
        assert_eq!(parse(b"A=1\0"), Err(Unreadable::Nul));
    }
}
