//! The least a check-in can cost: the server's own accept path, answering constant bytes.
//!
//! `bare-listener ADDRESS:PORT [BYTES]` runs until it is killed. The benchmarks compare the server
//! with it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tiny_http::Request;
use upgrade_responder::cli::options::Listen;
use upgrade_responder::http::answer::{self, Answer, Then};
use upgrade_responder::http::listener::{self, Handler};
use upgrade_responder::http::routes::Buffers;
use upgrade_responder::http::socket;

struct Constant(Answer);

impl Handler for Constant {
    fn handle(&self, mut request: Request, buffers: &mut Buffers) -> Then {
        let mut body = [0; 64 * 1024];
        while request
            .as_reader()
            .read(&mut body)
            .is_ok_and(|read| read > 0)
        {}
        answer::send(request, &self.0, Then::KeepAlive, &mut buffers.out)
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let addr = args.next().and_then(|text| text.parse::<SocketAddr>().ok());
    let size = args.next().map_or(Some(400), |text| text.parse().ok());
    let (Some(addr), Some(size)) = (addr, size) else {
        eprintln!("usage: bare-listener ADDRESS:PORT [BYTES]");
        return ExitCode::from(2);
    };
    let handler = Arc::new(Constant(Answer::json(vec![b'x'; size])));
    let started = socket::bind(&Listen::Tcp(addr), Duration::from_secs(75))
        .map_err(|error| error.to_string())
        .and_then(|bound| {
            listener::start(vec![bound], 1024, handler).map_err(|error| error.to_string())
        });
    match started {
        Ok(_acceptor) => loop {
            std::thread::park();
        },
        Err(error) => {
            eprintln!("bare-listener: {error}");
            ExitCode::FAILURE
        }
    }
}
