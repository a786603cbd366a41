//! Answers on the wire.
//!
//! A check-in's answer is one write of bytes that were rendered when the snapshot was loaded; only
//! the date is added. tiny_http's own `Response` costs a dozen allocations and, for bodies over
//! 1 KB, a second write, so it is used only where a body was left unread, because it answers first
//! and drains afterwards.

use std::io::{Cursor, Write};
use std::time::SystemTime;

use httpdate::HttpDate;
use jiff::Timestamp;
use tiny_http::{Header, Method, Request, Response};

/// Bytes of a body that are copied behind the head, for the sake of a single write, at most. A larger
/// one is written from where it is: a thousand clients that do not read must not hold a thousand copies.
const MOST_COPIED: usize = 16 * 1024;

/// An answer that is rendered once and sent many times.
#[derive(Debug)]
pub struct Answer {
    /// Status line and headers, without the date and the empty line.
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Answer {
    /// `200` to a check-in: a response config as JSON, and when it was taken.
    pub fn of_config(body: Vec<u8>, taken: Timestamp) -> Answer {
        let mut answer = Answer::new(200, Some("application/json"), None, body);
        let line = format!("X-Config-Time: {taken:.3}\r\n");
        answer.head.extend_from_slice(line.as_bytes());
        answer
    }

    /// `200` without a body.
    pub fn empty() -> Answer {
        Answer::new(200, None, None, Vec::new())
    }

    /// A text, such as a page of metrics.
    pub fn text(status: u16, content_type: &str, body: String) -> Answer {
        Answer::new(status, Some(content_type), None, body.into_bytes())
    }

    /// Data, such as a report.
    pub fn bytes(status: u16, content_type: &str, body: Vec<u8>) -> Answer {
        Answer::new(status, Some(content_type), None, body)
    }

    /// `304`, which has no body and says so.
    pub(super) fn not_modified() -> Answer {
        Answer::new(304, None, None, Vec::new())
    }

    /// The answer with another header line. Name and value are this program's own.
    pub fn with(mut self, name: &str, value: &str) -> Answer {
        let line = format!("{name}: {value}\r\n");
        self.head.extend_from_slice(line.as_bytes());
        self
    }

    fn new(
        status: u16,
        content_type: Option<&str>,
        header: Option<(&str, &str)>,
        body: Vec<u8>,
    ) -> Answer {
        let reason = tiny_http::StatusCode(status).default_reason_phrase();
        let mut head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\n",
            body.len()
        );
        if let Some(content_type) = content_type {
            head.push_str(&format!("Content-Type: {content_type}\r\n"));
        }
        if let Some((name, value)) = header {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        Answer {
            head: head.into_bytes(),
            body,
        }
    }

    /// The body, for tests and for `check-config`.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Why a request is refused. The message goes to the client and never echoes the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub message: String,
    /// A header that says what is accepted: `Allow` or `Accept-Encoding`.
    pub header: Option<(&'static str, &'static str)>,
}

impl Refusal {
    pub fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            message: message.into(),
            header: None,
        }
    }

    /// `405`, with what is allowed.
    pub fn not_allowed(allow: &'static str) -> Refusal {
        let message = format!("method not allowed, expected {allow}");
        Refusal {
            header: Some(("Allow", allow)),
            ..Refusal::new(405, message)
        }
    }

    fn body(&self) -> Vec<u8> {
        let message = serde_json::Value::from(self.message.as_str());
        format!("{{\"error\":{message}}}\n").into_bytes()
    }
}

/// Whether the connection serves another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    KeepAlive,
    Close,
}

/// Sends an answer to a request whose body was read. `out` is overwritten.
pub fn send(request: Request, answer: &Answer, then: Then, out: &mut Vec<u8>) -> Then {
    // HTTP/1.0 clients expect the end of the connection, or a header that we do not send.
    let then = if *request.http_version() <= (1, 0) {
        Then::Close
    } else {
        then
    };
    out.clear();
    out.extend_from_slice(&answer.head);
    if then == Then::Close {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    // A Vec takes every write.
    let _ = write!(out, "Date: {}\r\n\r\n", HttpDate::from(SystemTime::now()));
    let mut body = answer.body.as_slice();
    if *request.method() == Method::Head {
        body = &[];
    }
    if body.len() <= MOST_COPIED {
        out.extend_from_slice(body);
        body = &[];
    }
    let mut writer = request.into_writer();
    let mut whole = |bytes: &[u8]| {
        // The socket blocks, so send(2) takes a part only where its time-out is over (or a signal comes
        // while a full buffer makes it wait). To go on would give a client that does not read a second
        // time-out.
        bytes.is_empty() || writer.write(bytes).is_ok_and(|taken| taken == bytes.len())
    };
    if whole(out) && whole(body) && writer.flush().is_ok() {
        then
    } else {
        // The client is gone; nothing more can be said to it.
        Then::Close
    }
}

/// Refuses a request whose body was read.
pub fn refuse(request: Request, refusal: &Refusal, then: Then, out: &mut Vec<u8>) -> Then {
    let content_type = Some("application/json");
    let answer = Answer::new(refusal.status, content_type, refusal.header, refusal.body());
    send(request, &answer, then, out)
}

/// Refuses a request whose body was not read to its end: answers first, then the library drains
/// what it can. The connection must not be used again, since where the next request starts is not
/// certain.
pub(super) fn refuse_unread(request: Request, refusal: &Refusal) -> Then {
    let body = refusal.body();
    let length = body.len();
    let mut response = Response::new(
        refusal.status.into(),
        Vec::new().into(),
        Cursor::new(body),
        Some(length),
        None,
    );
    let content_type = ("Content-Type", "application/json");
    for (name, value) in [Some(content_type), refusal.header].into_iter().flatten() {
        if let Ok(header) = Header::from_str(name, value) {
            response.add_header(header);
        }
    }
    // The client is gone if this does not work; the connection ends either way.
    let _ = request.respond(response);
    Then::Close
}
