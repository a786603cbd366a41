//! Damage of every kind in a segment, and the lines that are left.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

static NEXT: AtomicU64 = AtomicU64::new(0);

struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("damage-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    fn rejected(&self) -> RejectedDir {
        RejectedDir::new(&self.0.join("rejected"))
    }

    /// All rejected lines, and the number of places that the comments name.
    fn read_rejected(&self) -> (Vec<Vec<u8>>, usize) {
        let mut files: Vec<PathBuf> = fs::read_dir(self.0.join("rejected"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let text: Vec<u8> = files
            .iter()
            .flat_map(|file| fs::read(file).unwrap())
            .collect();
        let lines = text
            .strip_suffix(b"\n")
            .unwrap_or(&text)
            .split(|&byte| byte == b'\n');
        let is_place = |line: &[u8]| {
            line.starts_with(b"# ") && memchr::memmem::find(line, b"segment.lp, byte ").is_some()
        };
        let (places, lines): (Vec<_>, Vec<_>) = lines
            .filter(|_| !text.is_empty())
            .map(<[u8]>::to_vec)
            .partition(|line| is_place(line));
        (lines, places.len())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Takes damaged lines out. Returns the result, and the lines that readers see then.
fn judge(dir: &Dir, bytes: &[u8]) -> (Judged, Vec<Vec<u8>>) {
    let path = dir.0.join("segment.lp");
    fs::write(&path, bytes).unwrap();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let judged = take_out(&file, "segment.lp", &dir.rejected()).unwrap();
    let left = fs::read(&path).unwrap();
    assert_eq!(left.len(), bytes.len());
    assert_eq!(judged.bytes, bytes.len() as u64);
    let left = left
        .split(|&byte| byte == b'\n')
        .filter(|line| !is_taken_out(line));
    (judged, left.map(<[u8]>::to_vec).collect())
}

fn segment(lines: usize) -> Vec<Vec<u8>> {
    let line = |n: usize| {
        let text = "x".repeat(n % 7);
        format!(
            "upgrade_request,app_version=v{n},country_isocode=NZ value=1i,text=\"a \\\"{text}\\\", b=1\",\
             x_request_id=\"id{n}\" {}\n",
            1_795_728_076_000_000_000 + n
        )
        .into_bytes()
    };
    (0..lines).map(line).collect()
}

/// The lines without an overwritten byte, without their newlines.
fn untouched(lines: &[Vec<u8>], damage: &[Range<usize>]) -> Vec<Vec<u8>> {
    let mut start = 0;
    let mut whole = Vec::new();
    for line in lines {
        let end = start + line.len();
        if damage
            .iter()
            .all(|range| range.end <= start || end <= range.start)
        {
            whole.push(line[..line.len() - 1].to_vec());
        }
        start = end;
    }
    whole
}

#[test]
fn a_page_of_nuls_takes_only_the_lines_that_it_overwrote() {
    let lines = segment(100);
    let all = lines.concat();
    for at in 0..all.len() - 4096 {
        if at % 13 != 0 && at > 300 {
            continue;
        }
        let dir = Dir::new();
        let mut bytes = all.clone();
        bytes[at..at + 4096].fill(0);
        let (judged, left) = judge(&dir, &bytes);
        let damage = Range {
            start: at,
            end: at + 4096,
        };
        assert_eq!(left, untouched(&lines, &[damage]), "at {at}");
        assert_eq!(
            (judged.lines, judged.rejected),
            (left.len() as u64, 1),
            "at {at}"
        );
        assert_eq!(dir.read_rejected().1, 1, "at {at}");
    }
}

#[test]
fn a_line_of_megabytes_takes_no_other_with_it() {
    let lines = segment(3);
    for long in [
        vec![b'x'; 5 << 20],
        vec![0; 5 << 20],
        segment(1)[0].repeat(1 << 15),
    ] {
        let long: Vec<u8> = long.into_iter().filter(|&byte| byte != b'\n').collect();
        let dir = Dir::new();
        let bytes = [&lines[0][..], &long, b"\n", &lines[1], &long].concat();
        let (judged, left) = judge(&dir, &bytes);
        assert_eq!(
            left,
            [&lines[0][..], &lines[1]].map(|line| line[..line.len() - 1].to_vec())
        );
        assert_eq!((judged.lines, judged.rejected), (2, 2));
        let (rejected, places) = dir.read_rejected();
        assert_eq!(places, 2);
        assert!(rejected.iter().all(|line| line.len() <= MOST_KEPT));
    }
}

#[test]
fn a_segment_is_left_as_it_is_where_the_rejected_files_cannot_be_written() {
    let dir = Dir::new();
    fs::write(dir.0.join("rejected"), "no directory").unwrap();
    let (path, bytes) = (
        dir.0.join("segment.lp"),
        b"\0\nupgrade_request value=1i 1\n\0",
    );
    fs::write(&path, bytes).unwrap();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let judged = take_out(&file, "segment.lp", &dir.rejected()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert!(judged.failed.is_some());
    // The torn end is not read.
    assert_eq!(
        (judged.lines, judged.bytes, judged.rejected),
        (2, bytes.len() as u64 - 1, 0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn of_random_bytes_anywhere_every_sound_line_is_left_and_the_rest_is_rejected(
        places in prop::collection::vec((0usize..6000, prop::collection::vec(any::<u8>(), 1..300)), 0..6),
        end in 0usize..300,
    ) {
        let lines = segment(50);
        let mut bytes = lines.concat();
        let mut damage = Vec::new();
        for (at, random) in places {
            let to = (at + random.len()).min(bytes.len());
            bytes[at..to].copy_from_slice(&random[..to - at]);
            damage.push(at..to);
        }
        let length = bytes.len() - end;
        bytes.truncate(length);
        damage.push(length..usize::MAX);
        let dir = Dir::new();
        let (judged, left) = judge(&dir, &bytes);
        let expected = untouched(&lines, &damage);
        let kept: Vec<_> = left.iter().filter(|line| expected.contains(line)).cloned().collect();
        prop_assert_eq!(kept, expected);
        prop_assert!(left.iter().all(|line| sound::is_sound(line)));
        prop_assert_eq!(judged.lines, left.len() as u64);
        // No byte is lost: each is in the segment or in the rejected files.
        let (rejected, _) = dir.read_rejected();
        let count = |lines: &[Vec<u8>]| lines.iter().map(Vec::len).sum::<usize>();
        let content = bytes.iter().filter(|&&byte| byte != b'\n').count();
        let hashes: usize = bytes
            .split(|&byte| byte == b'\n')
            .filter(|line| is_taken_out(line))
            .map(<[u8]>::len)
            .sum();
        prop_assert_eq!(count(&left) + count(&rejected) + hashes, content);
        // The next start finds nothing more.
        let text = fs::read(dir.0.join("segment.lp")).unwrap();
        let (again, _) = judge(&Dir::new(), &text);
        prop_assert_eq!((again.lines, again.rejected), (judged.lines, 0));
    }
}
