//! The listening sockets of the service. They are opened before any thread starts, so that a failure ends the start.

use std::time::Duration;

use super::error::RunError;
use super::options::StartOptions;
use crate::http::socket::{self, Bound, Listen, Reach, SocketFile};

/// How long a client of the operator's listener may be silent.
pub(super) const OPERATOR_TIMEOUT: Duration = Duration::from_secs(10);

/// The open sockets.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) check_ins: Vec<Bound>,
    pub(super) operator: Option<Bound>,
    /// Removed when dropped, also after a start that failed.
    pub(super) files: Vec<SocketFile>,
}

impl Doors {
    pub(super) fn open(options: &StartOptions) -> Result<Doors, RunError> {
        let check_ins = socket::open(&options.listen, options.client_timeout)?;
        let files = check_ins.iter().filter_map(Bound::file).collect();
        let listen = options.metrics_listen.as_ref();
        let is_taken =
            |at: &&Listen| at.overlaps(&options.listen) && !check_ins.iter().any(Bound::is_passed);
        if let Some(at) = listen.filter(is_taken) {
            return Err(RunError::Configuration(format!(
                "cannot listen on {at} (--metrics-listen): --listen or --port is {}, the same address; choose another \
                 port for one of them",
                options.listen
            )));
        }
        let operator = listen.map(|at| socket::bind("--metrics-listen", at, OPERATOR_TIMEOUT));
        Ok(Doors {
            check_ins,
            operator: operator.transpose()?,
            files,
        })
    }

    /// The names of the check-in sockets, for the log.
    pub(super) fn names(&self) -> String {
        let names = self.check_ins.iter().map(|bound| bound.name.as_str());
        names.collect::<Vec<_>>().join(" and ")
    }

    /// The addresses at which the self-check reaches the server.
    pub(super) fn reaches(&self) -> Vec<Reach> {
        let reaches = self.check_ins.iter().map(|bound| bound.reach.clone());
        reaches.collect()
    }

    /// The arguments of curl for a check-in from this machine.
    pub(super) fn check_in_url(&self) -> String {
        match self.check_ins.first().map(|bound| &bound.reach) {
            Some(Reach::Tcp(addr)) => format!("http://{addr}"),
            Some(Reach::Unix(path)) => {
                format!("--unix-socket {} http://localhost", path.display())
            }
            None => "http://localhost".to_owned(),
        }
    }
}
