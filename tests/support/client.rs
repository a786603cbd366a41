//! A small blocking HTTP/1.1 client that can also send malformed requests. It must not repair or retry anything.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::http::{self, Headers, NoLength};

/// The time limit of one read or write without [`Connection::set_limit`].
const LIMIT: Duration = Duration::from_secs(10);

/// The address of a server.
#[derive(Clone, Debug)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// A port of 127.0.0.1.
    pub fn local(port: u16) -> Address {
        Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port)))
    }
}

/// The form that `--listen` expects.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.text()))
    }
}

/// A kept-alive connection. It returns every error, including time-outs, to the caller.
pub struct Connection {
    stream: BufReader<Stream>,
}

impl Connection {
    pub fn open(address: &Address) -> io::Result<Connection> {
        let stream = match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, LIMIT)?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
        };
        let mut connection = Connection {
            stream: BufReader::new(stream),
        };
        connection.set_limit(LIMIT)?;
        Ok(connection)
    }

    /// Sets the time limit of one read or write.
    pub fn set_limit(&mut self, limit: Duration) -> io::Result<()> {
        match self.stream.get_ref() {
            Stream::Tcp(stream) => {
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))
            }
        }
    }

    /// `POST /v1/checkupgrade` with `body`, as a client of the server would send it.
    pub fn post_checkin(&mut self, body: &str, headers: &[(&str, &str)]) -> io::Result<Response> {
        self.request("POST", "/v1/checkupgrade", headers, body.as_bytes())
    }

    /// One request with Host and Content-Length, and its answer.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut message = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        message.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut message = message.into_bytes();
        message.extend_from_slice(body);
        self.send(&message)?;
        self.read_response()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// The next whole answer; interim answers (`100 Continue`) are skipped.
    pub fn read_response(&mut self) -> io::Result<Response> {
        loop {
            let (first, headers) =
                http::read_head(&mut self.stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = first.split(' ').nth(1).and_then(|s| s.parse::<u16>().ok());
            let status = status.ok_or_else(|| io::Error::other(format!("no status: {first:?}")))?;
            let no_length = match status {
                100..=199 => continue,
                204 | 304 => NoLength::Nothing,
                _ => NoLength::RestOfStream,
            };
            let body = http::read_body(&mut self.stream, &headers, no_length)?;
            return Ok(Response {
                status,
                headers,
                body,
            });
        }
    }

    /// Everything that the server sends until it closes the connection. A reset counts as the end too: a server that
    /// closes before it has read the whole request sends one after its answer.
    pub fn read_until_close(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Err(e) if e.kind() != io::ErrorKind::ConnectionReset => Err(e),
            _ => Ok(rest),
        }
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
