//! A simulated InfluxDB for answers that a real one cannot be made to give: it hangs, trickles, resets a connection in
//! the middle of an answer, or sends Retry-After.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use socket2::SockRef;

use super::client::Address;
use super::http::{self, Headers, NoLength};

/// The answer to a request.
pub enum Reply {
    /// The answer of InfluxDB 1.x to a successful request.
    Success,
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// No answer for this long, then the end of the connection.
    Hang(Duration),
    /// The answer of a success byte by byte, with this pause before each byte.
    Trickle(Duration),
    /// A connection reset after the first bytes of an answer.
    Reset,
}

impl Reply {
    pub fn status(status: u16, body: &str) -> Reply {
        Reply::Answer {
            status,
            headers: Vec::new(),
            body: body.to_string(),
        }
    }

    /// Adds a header to an answer of [`Reply::status`].
    pub fn with_header(mut self, name: &str, value: &str) -> Reply {
        if let Reply::Answer { headers, .. } = &mut self {
            headers.push((name.to_string(), value.to_string()));
        }
        self
    }
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub target: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Received {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A listening peer. Dropping it closes its port and its connections.
pub struct Peer {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    /// `None` while it is dropped: the end of the channel stops the threads.
    stop: Option<Sender<()>>,
    acceptor: Option<JoinHandle<()>>,
}

/// Chooses the answer to each request, one at a time.
type Script = Mutex<dyn FnMut(&Received) -> Reply + Send>;

/// The state that the threads share.
#[derive(Clone)]
struct Shared {
    reply: Arc<Script>,
    received: Arc<Mutex<Vec<Received>>>,
    stopped: Receiver<()>,
}

impl Peer {
    /// Answers the first writes with these replies, one each, and later ones with success; `/query` and `/ping` always
    /// get success.
    pub fn script(replies: impl IntoIterator<Item = Reply>) -> Peer {
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        Peer::start(move |request| match request.path() {
            "/write" => replies.pop_front().unwrap_or(Reply::Success),
            _ => Reply::Success,
        })
    }

    /// Answers each request with the result of `reply`.
    pub fn start(reply: impl FnMut(&Received) -> Reply + Send + 'static) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let received = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared {
            reply: Arc::new(Mutex::new(reply)),
            received: received.clone(),
            stopped,
        };
        let acceptor = thread::spawn(move || accept(&listener, &shared));
        Peer {
            port,
            received,
            stop: Some(stop),
            acceptor: Some(acceptor),
        }
    }

    /// The URL for `--influxdb-url`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn address(&self) -> Address {
        Address::local(self.port)
    }

    /// All requests so far, in the order in which they were read.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The bodies of the writes so far.
    pub fn writes(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let writes = received.iter().filter(|r| r.path() == "/write");
        writes.map(Received::text).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.stop.take());
        // The connection wakes the acceptor, which then stops.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Shared) {
    let mut open: Vec<Weak<TcpStream>> = Vec::new();
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        if shared.stopped(Duration::ZERO) {
            break;
        }
        let stream = Arc::new(stream);
        open.push(Arc::downgrade(&stream));
        let shared = shared.clone();
        // An error means that the client has closed the connection, which tests may do.
        thread::spawn(move || drop(serve(&stream, &shared)));
    }
    for stream in open.iter().filter_map(Weak::upgrade) {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Serves one connection until either side ends it.
fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut sink = stream;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        let reply = (shared.reply.lock().unwrap())(&request);
        let success = success_of(request.path());
        shared.received.lock().unwrap().push(request);
        match reply {
            Reply::Success => sink.write_all(&success)?,
            Reply::Answer {
                status,
                headers,
                body,
            } => sink.write_all(&answer(status, &headers, &body))?,
            Reply::Hang(time) => {
                shared.stopped(time);
                return Ok(());
            }
            Reply::Trickle(pause) => {
                for byte in success {
                    if shared.stopped(pause) {
                        return Ok(());
                    }
                    sink.write_all(&[byte])?;
                }
            }
            Reply::Reset => {
                sink.write_all(b"HTTP/1.1 204 No")?;
                // With a linger time of zero, the close sends a reset.
                return SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
        }
    }
    Ok(())
}

impl Shared {
    /// Waits for `time`; returns true early if the peer is dropped.
    fn stopped(&self, time: Duration) -> bool {
        self.stopped.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Received>> {
    let Some((first, headers)) = http::read_head(reader)? else {
        return Ok(None);
    };
    let body = http::read_body(reader, &headers, NoLength::Nothing)?;
    let mut words = first.split(' ').map(str::to_string);
    Ok(Some(Received {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        headers,
        body,
    }))
}

/// The answers of InfluxDB 1.6.7.
fn success_of(path: &str) -> Vec<u8> {
    match path {
        "/query" => answer(200, &[], r#"{"results":[{"statement_id":0}]}"#),
        _ => answer(204, &[], ""),
    }
}

fn answer(status: u16, headers: &[(String, String)], body: &str) -> Vec<u8> {
    let mut message = format!("HTTP/1.1 {status} Scripted\r\n");
    if !headers.iter().any(|(name, _)| name == "X-Influxdb-Version") {
        message.push_str("X-Influxdb-Version: 1.6.7\r\n");
    }
    for (name, value) in headers {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    // RFC 9110, section 8.6: a 204 has no Content-Length.
    if status != 204 {
        if !headers.iter().any(|(name, _)| name == "Content-Type") {
            message.push_str("Content-Type: application/json\r\n");
        }
        message.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    format!("{message}\r\n{body}").into_bytes()
}
