//! The request's headers about framing and forwarding, with all lines of a name.
//!
//! tiny_http returns only the first header of a name. Two lengths, or a length that is not a number, can smuggle a
//! request past a proxy, so they are looked for here. One gap is left: a line that begins with a space continues the
//! line above (RFC 9112, section 5.2), but the library returns it as a header of its own, which cannot be told from
//! a real one here. nginx does not pass such lines.
//!
//! The library reads the sizes of chunks, more leniently than RFC 9112, section 7.1, allows: it accepts `+17` and
//! spaces around a number. A proxy that reads such sizes differently has to refuse them; nginx reads bodies itself
//! and sends them on with a length. The library is stricter than the RFC in two cases: it refuses `Chunked` with a
//! capital, and trailers after the last chunk.

use std::sync::LazyLock;

use tiny_http::{Header, Headers, Request};

/// Most lines of one name that are read. Each look-up of a header walks over the headers before it, so a request
/// with 250,000 such lines kept a core busy for 18 s. Each proxy adds at most one line.
const MAX_LINES: usize = 100;

/// A header without a name, created once: the library checks each byte of a new header, and allocates it.
static NAMELESS: LazyLock<Option<Header>> = LazyLock::new(|| Header::from_str("", "").ok());

/// The headers of one request that are used here.
#[derive(Debug)]
pub struct Seen {
    pub framing: Framing,
    /// All `X-Forwarded-For` lines in their order, each followed by a comma: several lines of a name mean such a list
    /// (RFC 9110, section 5.3).
    pub forwarded_for: String,
    /// Whether the client asked to close the connection after this request.
    pub close: bool,
}

/// Whether the request ends where tiny_http expects its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Sound,
    /// A Content-Length that is not a number or is there twice, or two Transfer-Encodings (RFC 9112, section 6.3);
    /// or more Connection lines than are read.
    Ambiguous,
    /// A line that begins with a colon, which the library accepts (RFC 9112, section 5).
    Nameless,
    /// `Connection: upgrade`, after which tiny_http reads all that follows as the body.
    Upgrade,
}

/// Reads the headers of a request.
pub fn read(request: &Request) -> Seen {
    // Only in a copy can a header be taken out, so that the library finds a second one of the same name.
    let mut rest = request.headers().clone();
    let connection = lines(&mut rest, "Connection").map(|lines| lines.to_ascii_lowercase());
    let framing = match connection.as_deref() {
        None => Framing::Ambiguous,
        Some(connection) if connection.contains("upgrade") => Framing::Upgrade,
        Some(_) if request.headers().contains("") => Framing::Nameless,
        Some(_) => framing(&mut rest),
    };
    Seen {
        framing,
        // With too many lines, those of trusted proxies, which are last, are not read, so no line is used: `unread` is
        // not an address.
        forwarded_for: lines(&mut rest, "X-Forwarded-For").unwrap_or_else(|| "unread".to_owned()),
        close: connection.is_none_or(|connection| connection.contains("close")),
    }
}

fn framing(rest: &mut Headers) -> Framing {
    let length = take(rest, "Content-Length");
    // The library ignores a length that does not fit into a usize, and would read the body as the next request. It
    // accepts a number with a sign.
    let is_number = |length: Header| {
        let text = length.value.as_str();
        text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<usize>().is_ok()
    };
    if !length.is_none_or(is_number) || rest.contains("Content-Length") {
        return Framing::Ambiguous;
    }
    if take(rest, "Transfer-Encoding").is_some() && rest.contains("Transfer-Encoding") {
        return Framing::Ambiguous;
    }
    Framing::Sound
}

/// All lines of a name in their order, each followed by a comma; `None` if there are too many.
fn lines(rest: &mut Headers, name: &str) -> Option<String> {
    let mut all = String::new();
    for _ in 0..MAX_LINES {
        let Some(header) = take(rest, name) else {
            return Some(all);
        };
        all.push_str(header.value.as_str());
        all.push(',');
    }
    (!rest.contains(name)).then_some(all)
}

/// Takes the first header of a name out, and leaves one without a name in its place.
fn take(rest: &mut Headers, name: &str) -> Option<Header> {
    let header = rest.get_header_mut(name)?;
    let nameless = NAMELESS.as_ref()?.clone();
    Some(std::mem::replace(header, nameless))
}
