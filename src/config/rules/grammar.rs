//! The pieces of a constraint's text: white space and versions, in which a part may be a wildcard or missing.
//!
//! It cuts a text and never judges it: which pieces make a version is the business of `comparator`.

/// A version as a constraint names it. Build metadata has no meaning and is only skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// All of it, as it is written.
    pub text: &'a str,
    /// Major, minor and patch number: digits and wildcards in any mixture; `None` where it is missing.
    pub parts: [Option<&'a str>; 3],
    /// The pre-release, without its hyphen; may be empty.
    pub pre: &'a str,
}

/// The version at the beginning of `text`, as long as it can be, and what follows it.
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

/// The same; `None` where there is no white space.
pub fn space(text: &str) -> Option<&str> {
    Some(skip_space(text)).filter(|rest| rest.len() < text.len())
}

/// Identifiers behind `sign`, with dots between, and what follows them; none where there is no sound one.
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

/// The characters at the beginning that are `of` a kind, at least one, and what follows them.
fn run(text: &str, of: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|c| !of(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// The library's pattern takes a bar for a part of a number, too, and refuses most of those later.
fn is_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*' | '|')
}

fn is_identifier(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r')
}
