//! Listening sockets, with the options that every accepted connection inherits.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tiny_http::Listener;

use crate::cli::options::Listen;

/// Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// The address cannot be listened on. The operator's to mend.
#[derive(Debug)]
pub struct BindError {
    listen: Listen,
    why: String,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.listen, self.why)
    }
}

impl std::error::Error for BindError {}

/// Opens the socket to listen on.
///
/// Accepted TCP sockets inherit the time-outs and TCP_NODELAY from the listening one. tiny_http
/// writes head and body apart, so without TCP_NODELAY a kept-alive answer of 1.5 KB waits 44 ms for
/// a delayed ACK. Unix-socket peers are local proxies and have no time-out.
pub fn bind(listen: &Listen, client_timeout: Duration) -> Result<Listener, BindError> {
    let bound = match listen {
        Listen::Tcp(addr) => bind_tcp(*addr, client_timeout).map_err(|error| explain(&error)),
        Listen::Unix(path) => bind_unix(path),
    };
    bound.map_err(|why| BindError {
        listen: listen.clone(),
        why,
    })
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use by another process; stop it or choose another --port or --listen"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => error.to_string(),
    }
}

fn bind_tcp(addr: SocketAddr, client_timeout: Duration) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    // A restart must not wait for connections of the earlier process in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        // [::] serves IPv4 too, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    socket.set_read_timeout(Some(client_timeout))?;
    socket.set_write_timeout(Some(client_timeout))?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    // A connection that is gone again when it should be accepted must not block the accept loop.
    // Accepted sockets do not inherit this one.
    socket.set_nonblocking(true)?;
    Ok(Listener::Tcp(socket.into()))
}

fn bind_unix(path: &Path) -> Result<Listener, String> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path).map_err(|error| explain(&error))?;
    // Who may reach the socket is decided by the directory it is in; nginx runs as another user.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))
        .and_then(|()| listener.set_nonblocking(true))
        .map_err(|error| error.to_string())?;
    Ok(Listener::Unix(listener))
}

/// Removes the socket that a killed process left behind, and nothing else.
fn remove_stale(path: &Path) -> Result<(), String> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err("there is a file of that name that is no socket; remove it".to_owned());
    }
    match UnixStream::connect(path) {
        Ok(_) => Err("another process listens there; stop it or choose another path".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| format!("a stale socket is there: {error}"))
        }
        Err(error) => Err(error.to_string()),
    }
}
