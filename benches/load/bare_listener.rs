//! The lower limit of the cost of a check-in: a listener that accepts connections and answers with the server's own
//! code, but with constant bytes. The benchmark runs itself as this listener and compares the server with it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tiny_http::Request;
use upgrade_responder::http::answer::{self, Answer, Then};
use upgrade_responder::http::buffers::Buffers;
use upgrade_responder::http::listener::{self, Handler};
use upgrade_responder::http::socket;
use upgrade_responder::http::socket::Listen;

use crate::Result;

struct Constant(Answer);

thread_local! {
    /// Buffer of the size that the server reads with. It is reused, because zeroing it for each request costs more than
    /// reading most bodies.
    static BODY: RefCell<[u8; 8 * 1024]> = const { RefCell::new([0; 8 * 1024]) };
}

impl Handler for Constant {
    fn handle(&self, mut request: Request, buffers: &mut Buffers) -> Then {
        BODY.with_borrow_mut(
            |body| {
                while request.as_reader().read(body).is_ok_and(|read| read > 0) {}
            },
        );
        answer::send(request, &self.0, Then::KeepAlive, &mut buffers.out)
    }
}

/// Listens on `address` and answers with `size` bytes, until the process is killed.
pub fn run(address: &str, size: &str) -> Result<()> {
    let address: SocketAddr = address.parse()?;
    let handler = Arc::new(Constant(Answer::of_config(
        vec![b'x'; size.parse()?],
        jiff::Timestamp::now(),
    )));
    let bound = socket::bind("ADDRESS", &Listen::Tcp(address), Duration::from_secs(75))?;
    let _acceptor = listener::start(vec![bound], 1024, handler)?;
    loop {
        std::thread::park();
    }
}
