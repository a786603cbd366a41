//! Reading the whole body of a request. A body beyond the limits of size and time must be refused.

use std::io;
use std::time::{Duration, Instant};

use tiny_http::Request;

use super::answer::Refusal;
use super::headers::Framing;
use crate::checkin::body::BadRequest;

/// Most bytes of a body.
const MAX_BODY: usize = 64 * 1024;
/// Most bytes that are read at once.
const CHUNK: usize = 8 * 1024;

/// Reads the whole body into `body`, or returns the refusal.
///
/// The socket's time-out is per read, so a body that comes slowly gets `limit` in total here. tiny_http has read
/// bodies up to 1 KiB before this is called.
pub fn read_body(
    request: &mut Request,
    framing: Framing,
    limit: Duration,
    body: &mut Vec<u8>,
) -> Result<(), Refusal> {
    body.clear();
    match framing {
        Framing::Sound => {}
        Framing::Ambiguous => {
            return Err(Refusal::new(400, "the length of the request is ambiguous"));
        }
        Framing::Nameless => return Err(Refusal::new(400, "a header has no name")),
        Framing::Upgrade => {
            return Err(Refusal::new(400, "connection upgrades are not supported"));
        }
    }
    let declared = request.body_length();
    if declared.is_some_and(|declared| declared > MAX_BODY) {
        return Err(too_large());
    }
    let deadline = Instant::now() + limit;
    let reader = request.as_reader();
    let mut filled = 0;
    // Nothing is read beyond a declared length, so a body that comes whole costs one reading of the clock.
    while declared != Some(filled) {
        if filled == body.len() {
            // The buffer grows with the bytes received: a false declared length must not cost memory.
            let missing = declared.map_or(CHUNK, |declared| declared - filled);
            body.resize(filled + missing.min(CHUNK), 0);
        }
        match reader.read(&mut body[filled..]) {
            // The client has closed the connection before the end of its body. With chunks the library does not
            // report this, but a body that was cut off is not a whole JSON object.
            Ok(0) if declared.is_some() => return Err(cut_off()),
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) => return Err(too_slow()),
            Err(_) => return Err(cut_off()),
        }
        if filled > MAX_BODY {
            return Err(too_large());
        }
        if declared != Some(filled) && Instant::now() > deadline {
            return Err(too_slow());
        }
    }
    body.truncate(filled);
    Ok(())
}

/// The refusal of a body that cannot be parsed; if it has a Content-Encoding, the refusal says that none is supported.
/// Bodies that can be parsed are answered even if the client names an encoding, because the original answers them.
pub fn unreadable(request: &Request, error: &BadRequest) -> Refusal {
    let encoding = request.headers().get("Content-Encoding");
    match encoding.map(|encoding| encoding.as_str().trim()) {
        Some(encoding) if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") => {
            unsupported(encoding)
        }
        _ => Refusal::new(400, error.to_string()),
    }
}

/// The refusal of an encoding. It names known encodings only, so that it does not echo the client's text.
fn unsupported(encoding: &str) -> Refusal {
    let known = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress"];
    let known = known
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(encoding))
        .unwrap_or("of the body");
    let message = format!("Content-Encoding {known} is not supported, expected identity");
    Refusal {
        header: Some(("Accept-Encoding", "identity")),
        ..Refusal::new(415, message)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn too_large() -> Refusal {
    Refusal::new(413, format!("the body is larger than {MAX_BODY} bytes"))
}

fn cut_off() -> Refusal {
    Refusal::new(400, "the body is cut off or its chunks are broken")
}

fn too_slow() -> Refusal {
    Refusal::new(408, "the body came too slowly")
}
