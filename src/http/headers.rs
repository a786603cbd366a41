//! What the request's headers say about framing and forwarding, all lines of a name included.
//!
//! tiny_http gives out only the first header of a name. Two lengths, or a length that is no number,
//! are how requests are smuggled past a proxy, so they are looked for here. One hole is left: a line
//! that begins with a space, which continues the line above (RFC 9112, section 5.2), is taken for a
//! header of its own by the library and cannot be told from one here; nginx does not pass such lines.
//!
//! The sizes of chunks are read by the library, and more leniently than RFC 9112, section 7.1, allows:
//! `+17` and spaces around a number are taken for what they seem to say, and so is any number of zeros
//! before it, which is allowed. A proxy that reads them otherwise has to refuse them; nginx reads bodies
//! itself and sends them on with a length. In return the library refuses what is allowed: `Chunked` in
//! capitals, and trailers behind the last chunk.

use std::sync::LazyLock;

use tiny_http::{Header, Headers, Request};

/// Lines of one name that are read. Each look-up of a header walks over those before it, so a request
/// of 250,000 such lines kept a core busy for 18 s; proxies add a line each at most.
const MAX_LINES: usize = 100;

/// Made once: the library checks each byte of a header that it makes, and asks for memory.
static NAMELESS: LazyLock<Option<Header>> = LazyLock::new(|| Header::from_str("", "").ok());

/// The headers of one request that matter here.
#[derive(Debug)]
pub struct Seen {
    pub framing: Framing,
    /// All `X-Forwarded-For` lines in their order, each followed by a comma, which is what several
    /// lines of a name mean (RFC 9110, section 5.3).
    pub forwarded_for: String,
    /// The client says that this is its last request.
    pub close: bool,
}

/// Whether the end of the request is where tiny_http takes it to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Sound,
    /// A Content-Length that is no number or stands there twice, or two Transfer-Encodings (RFC 9112,
    /// section 6.3); or so many Connections that they are not read.
    Ambiguous,
    /// A line that begins with a colon, which the library lets pass (RFC 9112, section 5).
    Nameless,
    /// `Connection: upgrade`, after which tiny_http takes all that follows for the body.
    Upgrade,
}

/// Reads the headers of a request.
pub fn read(request: &Request) -> Seen {
    // The copy is the library's only way to get at a second header of the same name.
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
        // Of too many, what proxies we trust added stands in the lines that are not read, so nothing is
        // believed.
        forwarded_for: lines(&mut rest, "X-Forwarded-For").unwrap_or_else(|| "unread".to_owned()),
        close: connection.is_none_or(|connection| connection.contains("close")),
    }
}

fn framing(rest: &mut Headers) -> Framing {
    let length = take(rest, "Content-Length");
    // The library takes a length that does not fit into a usize for none at all, and would then read
    // the body as the next request; one with a sign it takes as a number.
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

/// Takes the first header of that name out, by leaving one without a name in its place.
fn take(rest: &mut Headers, name: &str) -> Option<Header> {
    let header = rest.get_header_mut(name)?;
    let nameless = NAMELESS.as_ref()?.clone();
    Some(std::mem::replace(header, nameless))
}
