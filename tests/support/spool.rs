//! The records in a server's spool, read from its files without code of the server.

use std::fs;
use std::io;

use super::account::spool;
use super::scratch::Scratch;

/// All lines of the spool of [`Server::new`](super::server::Server::new), oldest first, without a line
/// that is not complete yet.
#[track_caller]
pub fn lines(scratch: &Scratch) -> Vec<String> {
    let mut lines = read(scratch);
    for _ in 0..100 {
        match &lines {
            // The segment was renamed or deleted since the folder was listed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => lines = read(scratch),
            _ => break,
        }
    }
    lines.unwrap_or_else(|e| panic!("the spool cannot be read: {e}"))
}

/// The same lines without the timestamps.
#[track_caller]
pub fn points(scratch: &Scratch) -> Vec<String> {
    let lines = lines(scratch);
    let points = lines.iter().map(|line| line.rsplit_once(' ').unwrap().0);
    points.map(str::to_string).collect()
}

fn read(scratch: &Scratch) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(spool(scratch))?.collect::<io::Result<Vec<_>>>()?;
    let mut segments: Vec<_> = entries.iter().map(|entry| entry.path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "lp"));
    segments.sort();
    let mut lines = Vec::new();
    for segment in segments {
        let text = fs::read(segment)?;
        let text = String::from_utf8(text).map_err(io::Error::other)?;
        let whole = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
        lines.extend(whole.map(|line| line.trim_end_matches('\n').to_string()));
    }
    Ok(lines)
}
