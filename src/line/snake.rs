//! Converts a client's key to its name in InfluxDB. The rule must never change: stored tags and fields, and
//! dashboards over them, have the names that the original's rule made.

/// `key` in snake case by the original's rule:
/// - `_` is inserted between two upper-case letters if a lower-case letter follows them;
/// - `_` is inserted between a lower-case letter or digit and an upper-case letter;
/// - `-` becomes `_`, and all letters become lower case.
///
/// Only ASCII letters and digits make a boundary.
pub fn snake_case(key: &str) -> String {
    let bytes = key.as_bytes();
    let mut snake = String::with_capacity(key.len() + 4);
    for (at, letter) in key.char_indices() {
        if at > 0 && is_boundary(bytes[at - 1], bytes[at], bytes.get(at + 1)) {
            snake.push('_');
        }
        match letter {
            '-' => snake.push('_'),
            _ if letter.is_ascii() => snake.push(letter.to_ascii_lowercase()),
            // Letter by letter, as in Go: `str::to_lowercase` uses another sigma at the end of a word.
            _ => snake.extend(letter.to_lowercase()),
        }
    }
    snake
}

/// Whether a word begins at `byte`, which is between `before` and `after`. Bytes are enough: no byte of a
/// character beyond ASCII equals an ASCII letter.
fn is_boundary(before: u8, byte: u8, after: Option<&u8>) -> bool {
    if !byte.is_ascii_uppercase() {
        return false;
    }
    if before.is_ascii_uppercase() {
        return after.is_some_and(u8::is_ascii_lowercase);
    }
    before.is_ascii_lowercase() || before.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_get_the_names_the_original_gave_them() {
        for (key, expected) in [
            ("", ""),
            ("appVersion", "app_version"),
            ("kubernetesVersion", "kubernetes_version"),
            ("KubernetesVersion", "kubernetes_version"),
            ("NVMeCount", "nv_me_count"),
            ("2GiB", "2_gi_b"),
            ("clusterUID", "cluster_uid"),
            ("HTTPServer", "http_server"),
            ("ABcDEf", "a_bc_d_ef"),
            ("A", "a"),
            ("AB", "ab"),
            ("snake_case", "snake_case"),
            ("host_OS", "host_os"),
            ("node-count", "node_count"),
            ("node-Count", "node_count"),
            ("--", "__"),
            ("volume 2Size", "volume 2_size"),
            ("ÄnderungÜber", "änderungüber"),
            ("ΛΌΓΟΣ", "λόγοσ"),
        ] {
            assert_eq!(snake_case(key), expected, "of {key:?}");
        }
    }
}
