//! User and password, or a token, as an `Authorization` header. Where the secret came from a file, the file is read
//! again after a refusal. No secret may reach the log.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;

use super::http::Request;

/// The login of a client; without a header there is none.
#[derive(Debug)]
pub(super) struct Login {
    user: Option<String>,
    header: Option<Header>,
    /// The file with the secret, which is read again after a refusal.
    file: Option<PathBuf>,
    scheme: Scheme,
}

/// The kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Password,
    Token,
}

/// The header's value. It holds the secret, so its `Debug` hides it.
struct Header(String);

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Login {
    /// A login with a user and a password. A password without a user is not used.
    pub(super) fn new(user: Option<String>, password: Option<String>) -> Login {
        Login {
            header: header(user.as_deref(), &password.unwrap_or_default()),
            user,
            file: None,
            scheme: Scheme::Password,
        }
    }

    /// A login with a token, which needs no user.
    pub(super) fn token(token: Option<String>) -> Login {
        Login {
            user: None,
            header: token.map(|token| token_header(&token)),
            file: None,
            scheme: Scheme::Token,
        }
    }

    /// Names the file that the secret came from.
    pub(super) fn read_again_from(&mut self, file: PathBuf) {
        self.file = Some(file);
    }

    /// A request with the header of this login.
    pub(super) fn request<'a>(
        &'a self,
        url: &'a str,
        query: &'a [(&'a str, &'a str)],
        timeout: Duration,
    ) -> Request<'a> {
        Request {
            url,
            query,
            authorization: self.header(),
            timeout,
        }
    }

    /// The `Authorization` header.
    fn header(&self) -> Option<&str> {
        self.header.as_ref().map(|Header(value)| value.as_str())
    }

    /// Reads the secret's file again after a refused login, for the next attempt. Returns advice for the log.
    pub(super) fn refused(&mut self) -> String {
        let Some(file) = &self.file else {
            return match self.scheme {
                Scheme::Password => "a changed password needs a restart".to_owned(),
                Scheme::Token => "a changed token needs a restart".to_owned(),
            };
        };
        match read_password(file) {
            Ok(password) => {
                self.header = match self.scheme {
                    Scheme::Password => header(self.user.as_deref(), &password),
                    Scheme::Token => Some(token_header(&password)),
                };
                format!("{} is read again before each retry", file.display())
            }
            Err(error) => format!("{} cannot be read again: {error}", file.display()),
        }
    }
}

fn token_header(token: &str) -> Header {
    Header(format!("Token {token}"))
}

/// The password or token in a file, without a line end.
pub fn read_password(file: &Path) -> io::Result<String> {
    let text = fs::read_to_string(file)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn header(user: Option<&str>, password: &str) -> Option<Header> {
    user.map(|user| {
        let pair = format!("{user}:{password}");
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        Header(format!("Basic {encoded}"))
    })
}
