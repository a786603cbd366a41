//! The name a key of the client's gets in InfluxDB. It must never change: tags and fields that are
//! already stored, and the dashboards over them, carry the names the original's rule made.

/// `key` in snake case by the original's rule: `_` between an upper-case letter and an upper-case
/// letter that a lower-case one follows, `_` between a lower-case letter or digit and an upper-case
/// letter, `-` becomes `_`, all in lower case. Only ASCII letters make a boundary.
pub fn snake_case(key: &str) -> String {
    let mut snake = String::with_capacity(key.len() + 4);
    let mut before = None;
    let mut rest = key.chars().peekable();
    while let Some(c) = rest.next() {
        if before.is_some_and(|before| is_boundary(before, c, rest.peek().copied())) {
            snake.push('_');
        }
        match c {
            '-' => snake.push('_'),
            _ => snake.extend(c.to_lowercase()),
        }
        before = Some(c);
    }
    snake
}

/// Whether a word begins at `c`, which stands between `before` and `after`.
fn is_boundary(before: char, c: char, after: Option<char>) -> bool {
    if !c.is_ascii_uppercase() {
        return false;
    }
    if before.is_ascii_uppercase() {
        return after.is_some_and(|after| after.is_ascii_lowercase());
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
        ] {
            assert_eq!(snake_case(key), expected, "of {key:?}");
        }
    }
}
