//! A test server with prepared answers, which notes the times of requests.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The reaction to a request.
pub enum Reply {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// Silence until the server is dropped.
    Hang,
    /// A byte now and then.
    Trickle,
    /// A 200 whose body does not end.
    Endless,
}

impl Reply {
    pub fn status(status: u16, body: &str) -> Reply {
        let length = body.len();
        Reply::Bytes(
            format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").into(),
        )
    }
}

#[derive(Clone)]
pub struct Request {
    pub at: Instant,
    pub head: String,
    pub body: String,
}

/// A listening server. Dropping it closes its port and every connection.
pub struct Server {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    replies: VecDeque<Reply>,
    requests: Vec<Request>,
    open: Vec<TcpStream>,
    stopped: bool,
}

impl Server {
    /// A server that answers each request with the next of these replies, and none after the last.
    pub fn script(replies: impl IntoIterator<Item = Reply>) -> Server {
        Server::on(0, replies)
    }

    /// The same on a port.
    pub fn on(port: u16, replies: impl IntoIterator<Item = Reply>) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        shared.state.lock().unwrap().replies.extend(replies);
        let accepting = shared.clone();
        let acceptor = thread::spawn(move || accept(&listener, &accepting));
        Server {
            port,
            shared,
            acceptor: Some(acceptor),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// The times between requests.
    pub fn gaps(&self) -> Vec<Duration> {
        let requests = self.requests();
        requests
            .windows(2)
            .map(|two| two[1].at - two[0].at)
            .collect()
    }

    /// Waits until so many requests have come.
    pub fn wait_for(&self, requests: usize) {
        let state = self.shared.state.lock().unwrap();
        let few = |state: &mut State| state.requests.len() < requests;
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, super::SOON, few);
        assert!(!waited.unwrap().1.timed_out());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock().unwrap();
        state.stopped = true;
        for open in &state.open {
            let _ = open.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the acceptor.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        let mut state = shared.state.lock().unwrap();
        if state.stopped {
            return;
        }
        state.open.push(stream.try_clone().unwrap());
        let shared = shared.clone();
        // An error is the client's end of the connection.
        thread::spawn(move || drop(serve(stream, &shared)));
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    let at = Instant::now();
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let length = head.to_ascii_lowercase();
    let length = length.split_once("content-length: ").unwrap().1;
    let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    let mut state = shared.state.lock().unwrap();
    state.requests.push(Request { at, head, body });
    let reply = state.replies.pop_front();
    drop(state);
    shared.changed.notify_all();
    match reply {
        Some(Reply::Bytes(bytes)) => {
            stream.write_all(&bytes)?;
            return stream.shutdown(Shutdown::Both);
        }
        Some(Reply::Trickle) => {
            for byte in b"HTTP/1.1 200 OK\r\n".iter().cycle() {
                stream.write_all(&[*byte])?;
                if shared.stopped_within(Duration::from_millis(20)) {
                    return Ok(());
                }
            }
        }
        Some(Reply::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 4096])?;
            }
        }
        Some(Reply::Hang) | None => {
            shared.stopped_within(super::SOON);
        }
    }
    Ok(())
}

impl Shared {
    fn stopped_within(&self, time: Duration) -> bool {
        let state = self.state.lock().unwrap();
        let going_on = |state: &mut State| !state.stopped;
        self.changed
            .wait_timeout_while(state, time, going_on)
            .unwrap()
            .0
            .stopped
    }
}
