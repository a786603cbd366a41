//! Listening sockets, with the options that accepted connections inherit.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tiny_http::Listener;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(addr) => write!(f, "{addr}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listen {
    /// Whether only one process can listen on both at once.
    pub fn overlaps(&self, other: &Listen) -> bool {
        let covers = |a: &SocketAddr, b: &SocketAddr| {
            let all = a.ip().is_unspecified() && (a.is_ipv6() || b.is_ipv4());
            a.ip() == b.ip() || all
        };
        match (self, other) {
            (Listen::Tcp(a), Listen::Tcp(b)) => {
                a.port() != 0 && a.port() == b.port() && (covers(a, b) || covers(b, a))
            }
            (Listen::Unix(a), Listen::Unix(b)) => a == b,
            _ => false,
        }
    }
}

/// Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Bytes that the kernel may hold of one connection in each direction; it allocates twice that. Without a limit it
/// lets them grow to many MiB, and clients that do not read their answers use up the memory that all connections of
/// the machine share (net.ipv4.tcp_mem): 300 such clients held 1.2 GB.
const BUFFER: usize = 128 * 1024;

/// The address cannot be listened on; the operator must fix this.
#[derive(Debug)]
pub struct BindError {
    /// The source of the address: a flag or systemd.
    given_by: &'static str,
    listen: Listen,
    why: String,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (listen, given_by) = (&self.listen, self.given_by);
        write!(f, "cannot listen on {listen} ({given_by}): {}", self.why)
    }
}

impl std::error::Error for BindError {}

/// A listening socket and its address.
#[derive(Debug)]
pub struct Bound {
    pub listener: Listener,
    /// The address for the log.
    pub name: String,
    /// The address for the server's requests to itself.
    pub reach: Reach,
    /// Whether this process created the socket file, not systemd.
    is_ours: bool,
}

impl Bound {
    /// Whether systemd passed the socket.
    pub fn is_passed(&self) -> bool {
        !self.is_ours
    }

    /// The socket file, if this process created one.
    pub fn file(&self) -> Option<SocketFile> {
        match &self.reach {
            Reach::Unix(path) if self.is_ours => Some(SocketFile(path.clone())),
            _ => None,
        }
    }
}

/// A socket file that is removed when this is dropped, also after a start that failed.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // After an error, the next start replaces the file.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An address to connect to.
#[derive(Clone, Debug)]
pub enum Reach {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reach::Tcp(addr) => addr.fmt(f),
            Reach::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The sockets to serve on: those that systemd passed or, without any, the one at `listen`.
pub fn open(listen: &Listen, client_timeout: Duration) -> Result<Vec<Bound>, BindError> {
    let passed = passed(client_timeout).map_err(|error| BindError {
        given_by: "sockets passed by systemd",
        listen: listen.clone(),
        why: error.to_string(),
    })?;
    if passed.is_empty() {
        Ok(vec![bind("--listen or --port", listen, client_timeout)?])
    } else {
        Ok(passed)
    }
}

/// Takes over the sockets of a .socket unit (sd_listen_fds(3)).
fn passed(client_timeout: Duration) -> io::Result<Vec<Bound>> {
    let mut passed = ListenFd::from_env();
    let mut bound = Vec::new();
    for index in 0..passed.len() {
        if let Ok(Some(listener)) = passed.take_unix_listener(index) {
            listener.set_nonblocking(true)?;
            let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
            let path = path.ok_or_else(|| io::Error::other("a unix socket without a path"))?;
            let name = format!("unix:{} (passed by systemd)", path.display());
            let listener = Listener::Unix(listener);
            bound.push(Bound {
                listener,
                name,
                reach: Reach::Unix(path),
                is_ours: false,
            });
        } else if let Some(listener) = passed.take_tcp_listener(index)? {
            prepare(&SockRef::from(&listener), client_timeout)?;
            let addr = listener.local_addr()?;
            let name = format!("{addr} (passed by systemd)");
            let listener = Listener::Tcp(listener);
            bound.push(Bound {
                listener,
                name,
                reach: Reach::Tcp(local(addr)),
                is_ours: false,
            });
        }
    }
    Ok(bound)
}

/// Opens the socket to listen on; `flag` is the flag with the address, for the error.
///
/// Accepted TCP sockets inherit the time-outs, the size of the buffers and TCP_NODELAY from the
/// listening one. tiny_http writes head and body separately, so without TCP_NODELAY an answer of 1.5 KB on a kept
/// connection waits 44 ms for a delayed ACK. Unix-socket peers are local proxies and have no time-out.
pub fn bind(
    flag: &'static str,
    listen: &Listen,
    client_timeout: Duration,
) -> Result<Bound, BindError> {
    let (bound, reach) = match listen {
        Listen::Tcp(addr) => {
            let bound = bind_tcp(*addr, client_timeout).map_err(|error| explain(&error));
            (bound, Reach::Tcp(local(*addr)))
        }
        Listen::Unix(path) => (bind_unix(path), Reach::Unix(path.clone())),
    };
    match bound {
        Ok(listener) => Ok(Bound {
            listener,
            name: listen.to_string(),
            reach,
            is_ours: true,
        }),
        Err(why) => Err(BindError {
            given_by: flag,
            listen: listen.clone(),
            why,
        }),
    }
}

/// The address at which this machine reaches a socket; loopback for one that listens on all addresses.
fn local(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, addr.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, addr.port()).into(),
        _ => addr,
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use by another process; stop it or choose another".to_owned()
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
        // [::] serves IPv4 too, whatever the setting of net.ipv6.bindv6only.
        socket.set_only_v6(false)?;
    }
    prepare(&SockRef::from(&socket), client_timeout)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(Listener::Tcp(socket.into()))
}

fn prepare(socket: &SockRef<'_>, client_timeout: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(client_timeout))?;
    socket.set_write_timeout(Some(client_timeout))?;
    // The write time-out is per write, and the library writes the rest of its buffer once more at the end. This one
    // limits the whole connection, also after the process has closed it and the kernel still sends.
    socket.set_tcp_user_timeout(Some(client_timeout))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.set_recv_buffer_size(BUFFER)?;
    // accept(2) must not block the loop if the connection has ended before it is accepted. Accepted sockets do not
    // inherit this option.
    socket.set_nonblocking(true)
}

fn bind_unix(path: &Path) -> Result<Listener, String> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "permission denied; the user who runs this must be able to write to the socket's directory"
                .to_owned()
        }
        io::ErrorKind::NotFound => {
            format!("{error}; create the socket's directory, or choose another path")
        }
        _ => error.to_string(),
    })?;
    // The socket's directory decides who can connect. The socket is open to all users, because nginx runs as another.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))
        .and_then(|()| listener.set_nonblocking(true))
        .map_err(|error| error.to_string())?;
    Ok(Listener::Unix(listener))
}

/// Connects without waiting for a process that does not accept connections.
fn connect_now(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// Removes the socket of a killed process. No other file may be removed.
fn remove_stale(path: &Path) -> Result<(), String> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err("the file exists and is not a socket; remove it".to_owned());
    }
    match connect_now(path) {
        Ok(()) => Err("another process listens there; stop it or choose another path".to_owned()),
        // The backlog of its socket is full.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err("a busy process listens there; stop it or choose another path".to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
                .map_err(|error| format!("cannot remove a stale socket: {error}"))
        }
        Err(error) => Err(error.to_string()),
    }
}
