//! The URL of InfluxDB, as the operator gives it.

use std::fmt;

/// The URL of InfluxDB. Neither `Display` nor `Debug` may show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct InfluxUrl {
    /// Scheme, host, port and path prefix, without a slash at the end.
    pub(super) base: String,
    /// From `http://user:password@host`, which the original takes too.
    pub(super) credentials: Option<(String, String)>,
}

impl InfluxUrl {
    /// Parses `http[s]://[user:password@]host[:port][/prefix]`. The error says what is expected and never repeats the
    /// URL, which may hold a password.
    pub fn parse(text: &str) -> Result<InfluxUrl, String> {
        let expected = || "a URL such as http://localhost:8086".to_owned();
        let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
        if !matches!(scheme, "http" | "https") || rest.contains(['?', '#', ' ']) {
            return Err(expected());
        }
        let path_at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info), host),
            None => (None, authority),
        };
        let base = format!("{scheme}://{host}{}", path.trim_end_matches('/'));
        if host.is_empty() || ureq::http::Uri::try_from(&base).is_err() {
            return Err(expected());
        }
        let credentials = credentials.map(|user_info| {
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            (percent_decoded(user), percent_decoded(password))
        });
        Ok(InfluxUrl { base, credentials })
    }
}

impl InfluxUrl {
    /// Whether the URL has a user.
    pub fn has_user(&self) -> bool {
        self.credentials.is_some()
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// Without user and password, so that it can be logged.
impl fmt::Display for InfluxUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl fmt::Debug for InfluxUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}
