//! User and password, or a token, as an `Authorization` header; and the file with a fixed one.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;

use super::http::Request;

/// Who logs in, if anybody does.
#[derive(Debug)]
pub(super) struct Login {
    user: Option<String>,
    header: Option<Header>,
    /// To be read again when the password is refused.
    file: Option<PathBuf>,
    scheme: Scheme,
}

/// The kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Password,
    Token,
}

/// The header's value, which holds the password; its `Debug` hides it.
struct Header(String);

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Login {
    /// A password without a user is not used.
    pub(super) fn new(user: Option<String>, password: Option<String>) -> Login {
        Login {
            header: header(user.as_deref(), &password.unwrap_or_default()),
            user,
            file: None,
            scheme: Scheme::Password,
        }
    }

    /// A token, which needs no user.
    pub(super) fn token(token: Option<String>) -> Login {
        Login {
            user: None,
            header: token.map(|token| token_header(&token)),
            file: None,
            scheme: Scheme::Token,
        }
    }

    /// The password came from this file, and may come from it again.
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

    /// The login was refused: reads the password again, for the next attempt. Returns what the operator
    /// should know of where it comes from.
    pub(super) fn refused(&mut self) -> String {
        let Some(file) = &self.file else {
            return match self.scheme {
                Scheme::Password => "a changed password takes a restart".to_owned(),
                Scheme::Token => "a changed token takes a restart".to_owned(),
            };
        };
        match read_password(file) {
            Ok(password) => {
                self.header = match self.scheme {
                    Scheme::Password => header(self.user.as_deref(), &password),
                    Scheme::Token => Some(token_header(&password)),
                };
                format!("{} is read again each time", file.display())
            }
            Err(error) => format!("{} cannot be read again: {error}", file.display()),
        }
    }
}

fn token_header(token: &str) -> Header {
    Header(format!("Token {token}"))
}

/// The password or token in a file, without the end of the line that an editor leaves.
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
