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

use tiny_http::{Header, Headers, Request};

/// `X-Forwarded-For` lines that are read. Each look-up of a header walks over those before it, so a
/// request of 100,000 such lines would keep a core busy for minutes; proxies add a line each at most.
const MAX_FORWARDED_LINES: usize = 100;

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
    /// section 6.3).
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
    let mut connection = String::new();
    while let Some(header) = take(&mut rest, "Connection") {
        connection.push_str(&header.value.as_str().to_ascii_lowercase());
        connection.push(',');
    }
    let says = |word| connection.contains(word);
    let framing = match says("upgrade") {
        true => Framing::Upgrade,
        false if request.headers().contains("") => Framing::Nameless,
        false => framing(&mut rest),
    };
    Seen {
        framing,
        forwarded_for: forwarded_for(&mut rest),
        close: says("close"),
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

fn forwarded_for(rest: &mut Headers) -> String {
    let mut all = String::new();
    for _ in 0..MAX_FORWARDED_LINES {
        let Some(header) = take(rest, "X-Forwarded-For") else {
            return all;
        };
        all.push_str(header.value.as_str());
        all.push(',');
    }
    if rest.contains("X-Forwarded-For") {
        // What proxies we trust added stands in the lines that are not read, so nothing is believed.
        all.push_str("unread");
    }
    all
}

/// Takes the first header of that name out, by leaving one without a name in its place.
fn take(rest: &mut Headers, name: &str) -> Option<Header> {
    let header = rest.get_header_mut(name)?;
    let nameless = Header::from_str("", "").ok()?;
    Some(std::mem::replace(header, nameless))
}
