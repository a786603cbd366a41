//! The thread that prepares the public page once a minute, so that no visitor waits for the ledger.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::http::pages::{Pages, PublicOptions};
use crate::http::public::PublicPages;
use crate::spool::clock::now_seconds;
use crate::totals::Fault;

const EVERY: Duration = Duration::from_secs(60);
/// While no finished period is known: the ledger cannot be read, or the server has only just begun to count.
const SOON: Duration = Duration::from_secs(5);

/// The running thread.
#[derive(Debug)]
pub struct PublicPage {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl PublicPage {
    pub fn start(
        options: PublicOptions,
        pages: Pages,
        prepared: Arc<PublicPages>,
    ) -> io::Result<PublicPage> {
        let (stop, stopped) = bounded::<()>(0);
        let named = thread::Builder::new().name("public-page".to_owned());
        let thread = named.spawn(move || {
            let mut failed = false;
            loop {
                let is_known = prepare(&prepared, &options, &pages, &mut failed);
                let pause = if is_known { EVERY } else { SOON };
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(PublicPage { stop, thread })
    }

    /// Waits for a running preparation, which takes less than a second.
    pub fn stop(self) {
        drop(self.stop);
        // The panic hook has logged a panic.
        let _ = self.thread.join();
    }
}

/// Prepares the page, and returns whether it shows a finished period. After a failure the last page stays in use.
/// Only the first of several failures in a row is a warning.
fn prepare(
    public: &PublicPages,
    options: &PublicOptions,
    pages: &Pages,
    failed: &mut bool,
) -> bool {
    let error = match public.prepare(pages, options, now_seconds()) {
        Ok(is_known) => {
            *failed = false;
            return is_known;
        }
        Err(error) => error,
    };
    // A server that has just started has not created the ledger yet.
    if *failed || matches!(error.fault, Fault::Missing(_)) {
        log::debug!("public page: {error}");
    } else {
        log::warn!("public page: {error}; retrying every 5 s, the last page stays in use");
        *failed = true;
    }
    false
}
