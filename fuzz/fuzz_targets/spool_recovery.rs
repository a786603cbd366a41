//! A spool directory as a crash or a hand left it: the input is up to four files with a NUL byte between
//! them, each its name, a line's end, and its content. Recovery never fails for what a file holds, and
//! what it takes over is what is there.
#![no_main]

use std::fs;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use upgrade_responder::spool::cardinality::{Limiter, Limits, Listed};
use upgrade_responder::spool::recovery::{newest_timestamp, recover};
use upgrade_responder::spool::rejected::RejectedDir;

fuzz_target!(|input: &[u8]| {
    let dir = PathBuf::from(format!(
        "/dev/shm/fuzz-spool-recovery-{}",
        std::process::id()
    ));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    for file in input.split(|&byte| byte == 0).take(4) {
        let (name, content) = match file.iter().position(|&byte| byte == b'\n') {
            Some(end) => (&file[..end], &file[end + 1..]),
            None => (file, &[][..]),
        };
        let name = String::from_utf8_lossy(name);
        let sound = !name.is_empty() && name.len() < 200 && !name.contains('/');
        if sound && !matches!(&*name, "." | "..") {
            fs::write(dir.join(&*name), content).unwrap();
        }
    }
    let aside = dir.with_extension("rejected");
    let _ = fs::remove_dir_all(&aside);
    let rejected = RejectedDir::new(&aside);
    let recovered = recover(&dir, 0, &rejected).unwrap();
    assert!(recovered.segments.iter().map(|s| s.sequence).is_sorted());
    for segment in &recovered.segments {
        assert!(segment.sequence < recovered.next_sequence);
        let content = fs::read(segment.path(&dir)).unwrap();
        assert_eq!(content.len() as u64, segment.bytes);
    }
    let _ = newest_timestamp(&dir, &recovered.segments);
    // Once more, as after a crash right behind it: the same is found.
    let again = recover(&dir, 0, &rejected).unwrap();
    assert_eq!(again.rejected, 0);
    let _ = fs::remove_dir_all(&aside);
    let parts = |segment: &upgrade_responder::spool::segment::Segment| {
        (segment.sequence, segment.lines, segment.bytes)
    };
    let first: Vec<_> = recovered.segments.iter().map(parts).collect();
    assert!(again.segments.iter().map(parts).eq(first));
    // The file of known values lies beside them.
    let limits = Limits {
        tag_values: 2,
        series: 3,
    };
    let mut limiter = Limiter::open(&dir, limits);
    let mut out = Vec::new();
    limiter.admit(
        b"upgrade_request,a=b value=1i",
        &Listed::default(),
        &mut out,
    );
    // The file may say that `a` is a field, or that there are too many tag sets.
    assert!(out.starts_with(b"upgrade_request,a=") || out == b"upgrade_request value=1i");
    // A directory that makes an assertion fail stays, to be looked at.
    let _ = fs::remove_dir_all(&dir);
});
