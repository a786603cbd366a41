//! A reader of HTTP/1.1 messages for the test client and the simulated servers. It must share no code with the server
//! under test.

use std::io::{self, BufRead, Read};

/// The header lines of a message, in order.
#[derive(Clone, Debug, Default)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of `name`, without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A message's first line and headers; `None` at the end of the stream.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<Option<(String, Headers)>> {
    let Some(first) = read_line(reader)? else {
        return Ok(None);
    };
    let mut headers = Headers::default();
    loop {
        let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some((first, headers)));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        let (name, value) = (name.trim().to_string(), value.trim().to_string());
        headers.0.push((name, value));
    }
}

/// The body of a message without a Content-Length.
pub enum NoLength {
    Nothing,
    RestOfStream,
}

/// A message's body, by Transfer-Encoding or Content-Length. A body that ends early is an error.
pub fn read_body(
    reader: &mut impl BufRead,
    headers: &Headers,
    no_length: NoLength,
) -> io::Result<Vec<u8>> {
    if headers.get("Transfer-Encoding") == Some("chunked") {
        return read_chunks(reader);
    }
    let mut body = Vec::new();
    if let Some(length) = headers.get("Content-Length") {
        let length: usize = length.parse().map_err(|_| malformed(length))?;
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    } else if let NoLength::RestOfStream = no_length {
        reader.read_to_end(&mut body)?;
    }
    Ok(body)
}

/// `text` for the query part of a URL or a form: everything but letters, digits and `-_.~` escaped.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| malformed(&line))?;
        if size == 0 {
            // Trailers are read and ignored.
            while read_line(reader)?.is_some_and(|trailer| !trailer.is_empty()) {}
            return Ok(body);
        }
        let read = reader.by_ref().take(size).read_to_end(&mut body)?;
        if (read as u64) < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read_line(reader)?;
    }
}

/// One line without its end; `None` at the end of the stream, an error if the stream ends within it.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.pop_if(|last| *last == b'\r');
    String::from_utf8(line).map(Some).map_err(io::Error::other)
}

fn malformed(what: &str) -> io::Error {
    io::Error::other(format!("not HTTP: {what:?}"))
}
