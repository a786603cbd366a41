//! The sockets of the service: opened before anything is started, so that what cannot be listened on ends the start.

use std::time::Duration;

use super::error::RunError;
use super::options::StartOptions;
use crate::http::socket::{self, Bound, Reach, SocketFile};

/// How long a connection to the operator's listener may take.
pub(super) const OPERATOR_TIMEOUT: Duration = Duration::from_secs(10);

/// What is listened on.
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
        let operator = listen.map(|at| socket::bind("--metrics-listen", at, OPERATOR_TIMEOUT));
        Ok(Doors {
            check_ins,
            operator: operator.transpose()?,
            files,
        })
    }

    /// For the log.
    pub(super) fn names(&self) -> String {
        let names = self.check_ins.iter().map(|bound| bound.name.as_str());
        names.collect::<Vec<_>>().join(" and ")
    }

    /// How the server reaches itself.
    pub(super) fn reaches(&self) -> Vec<Reach> {
        let reaches = self.check_ins.iter().map(|bound| bound.reach.clone());
        reaches.collect()
    }

    /// Where somebody on this machine sends a check-in, as curl takes it.
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
