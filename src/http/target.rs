//! The target of a request: its path in one spelling.

use std::borrow::Cow;

/// The path of a request target, without scheme and host (RFC 9112, section 3.2.2), query, and a slash at the end.
pub fn path(target: &str) -> Cow<'_, str> {
    let target = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let path = target.split('?').next().unwrap_or(target);
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.contains('%') {
        true => Cow::Owned(decoded(path)),
        false => Cow::Borrowed(path),
    }
}

/// Decodes, once, the characters that need no encoding: letters, digits, `-._~` (RFC 3986, section 6.2.2.2).
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..2).and_then(unreserved) {
            Some(character) => {
                decoded.push(character);
                decoded.push_str(&part[2..]);
            }
            None => {
                decoded.push('%');
                decoded.push_str(part);
            }
        }
    }
    decoded
}

/// The character of two hexadecimal digits, if it needs no encoding.
fn unreserved(digits: &str) -> Option<char> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let character = char::from(u8::from_str_radix(digits, 16).ok()?);
    let is_unreserved = character.is_ascii_alphanumeric() || "-._~".contains(character);
    is_unreserved.then_some(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_only_what_need_not_be_encoded() {
        for (target, expected) in [
            ("/v1/%63heckupgrade", "/v1/checkupgrade"),
            ("/%76%31/check%75pgrade/?%63", "/v1/checkupgrade"),
            ("http://h/v1/healt%68check", "/v1/healthcheck"),
            ("/%2D%2e%5F%7E", "/-._~"),
            // Once.
            ("/v1/%2563heckupgrade", "/v1/%2563heckupgrade"),
            // Slashes, bytes that are not unreserved characters, and invalid codes stay.
            ("/v1%2Fcheckupgrade", "/v1%2Fcheckupgrade"),
            ("/%00%ff%C3%BC%20", "/%00%ff%C3%BC%20"),
            ("/%", "/%"),
            ("/%6", "/%6"),
            ("/%+6x", "/%+6x"),
            ("/%\u{e9}6", "/%\u{e9}6"),
            ("/%%63", "/%c"),
        ] {
            assert_eq!(path(target), expected, "of {target:?}");
        }
    }
}
