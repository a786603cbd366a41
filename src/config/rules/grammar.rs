//! The tokens of a constraint's text: white space, and versions in which a part may be a wildcard or missing.
//!
//! This module must only split the text; `comparator` decides whether a token is a valid version.

/// A version as a constraint names it. Build metadata has no meaning and is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The whole token as it is written.
    pub text: &'a str,
    /// Major, minor and patch number: digits and wildcards in any mixture; `None` for a missing one.
    pub parts: [Option<&'a str>; 3],
    /// The pre-release, without its hyphen; may be empty.
    pub pre: &'a str,
}

/// The longest version at the beginning of `text`, and the text after it.
pub fn version(text: &str) -> Option<(Token<'_>, &str)> {
    let (major, mut rest) = run(text.strip_prefix('v').unwrap_or(text), is_number)?;
    let mut parts = [Some(major), None, None];
    for part in &mut parts[1..] {
        let Some((number, after)) = rest
            .strip_prefix('.')
            .and_then(|after| run(after, is_number))
        else {
            break;
        };
        *part = Some(number);
        rest = after;
    }
    let (pre, rest) = identifiers(rest, '-');
    let (_, rest) = identifiers(rest, '+');
    let text = &text[..text.len() - rest.len()];
    Some((Token { text, parts, pre }, rest))
}

/// `text` without the white space at its beginning.
pub fn skip_space(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

/// The same; `None` where `text` does not begin with white space.
pub fn space(text: &str) -> Option<&str> {
    Some(skip_space(text)).filter(|rest| rest.len() < text.len())
}

/// The identifiers after `sign`, separated by dots, and the text after them; empty where there are none.
fn identifiers(text: &str, sign: char) -> (&str, &str) {
    let Some((first, mut rest)) = text
        .strip_prefix(sign)
        .and_then(|after| run(after, is_identifier))
    else {
        return ("", text);
    };
    let mut length = first.len();
    while let Some((next, after)) = rest
        .strip_prefix('.')
        .and_then(|after| run(after, is_identifier))
    {
        length += 1 + next.len();
        rest = after;
    }
    let begin = sign.len_utf8();
    (&text[begin..begin + length], rest)
}

/// The characters at the beginning for which `of` is true, at least one, and the text after them.
fn run(text: &str, of: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|c| !of(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Whether a character can be part of a number. As in the library, a bar is accepted here and mostly refused later.
fn is_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*' | '|')
}

fn is_identifier(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r')
}
