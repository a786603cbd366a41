//! Answers as bytes, and how they are sent.
//!
//! A check-in's answer is one write of bytes that were rendered when the snapshot was loaded, with the date added.
//! tiny_http's own `Response` costs a dozen allocations and, for bodies over 1 KB, a second write. It is used only
//! where a body was left unread, because it drains the body after the answer. No answer may echo the input.

use std::io::{Cursor, Write};
use std::time::SystemTime;

use httpdate::HttpDate;
use jiff::Timestamp;
use tiny_http::{Header, Method, Request, Response};

/// Largest body that is copied behind the head, to send both with a single write. A larger one is written without a
/// copy: a thousand clients that do not read must not hold a thousand copies.
const MOST_COPIED: usize = 16 * 1024;

/// An answer that is rendered once and sent many times.
#[derive(Debug)]
pub struct Answer {
    /// Status line and headers, without the date and the empty line.
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Answer {
    /// `200` to a check-in: a response config as JSON, and the time at which it was loaded.
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

    /// `304` without a body.
    pub(super) fn not_modified() -> Answer {
        Answer::new(304, None, None, Vec::new())
    }

    /// The answer with another header line. Name and value must be this program's own: they are not checked.
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

/// The cause of a refusal. The message goes to the client and never echoes the input.
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

    /// `405` with the allowed methods.
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
    // HTTP/1.0 clients expect the connection to end, unless a header that is not sent here keeps it.
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
    // Writing to a Vec cannot fail.
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
        // The socket blocks, so send(2) sends a part only after its time-out (or a signal while the buffer is full).
        // Sending the rest would give a client that does not read a second time-out.
        bytes.is_empty() || writer.write(bytes).is_ok_and(|taken| taken == bytes.len())
    };
    if whole(out) && whole(body) && writer.flush().is_ok() {
        then
    } else {
        // The client is gone.
        Then::Close
    }
}

/// Refuses a request whose body was read.
pub fn refuse(request: Request, refusal: &Refusal, then: Then, out: &mut Vec<u8>) -> Then {
    let content_type = Some("application/json");
    let answer = Answer::new(refusal.status, content_type, refusal.header, refusal.body());
    send(request, &answer, then, out)
}

/// Refuses a request whose body was not read to its end: answers first, then the library drains the body as far as it
/// can. The connection must not be used again, because the start of the next request is unknown.
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
    // An error means that the client is gone; the connection ends either way.
    let _ = request.respond(response);
    Then::Close
}
