//! Changes of the period, as the server sees them, and by which length a point is then counted.

use super::super::downsampling::of_all;
use super::*;

const HOUR: i64 = 3600;

fn lengths(sights: &[(i64, i64)]) -> Lengths {
    let mut lengths = Lengths::load(Path::new("/nonexistent"));
    for (now, seconds) in sights {
        lengths.saw(&[(of_all(), *seconds)], *now);
    }
    lengths
}

fn pieces(lengths: &Lengths, start: i64, seconds: i64) -> Vec<(i64, i64, i64)> {
    let pieces = lengths.pieces(&Period {
        start,
        seconds,
        target: of_all().target,
    });
    let piece = |piece: &Piece| (piece.start, piece.end, piece.seconds);
    pieces.iter().map(piece).collect()
}

#[test]
fn a_point_is_counted_by_the_length_of_its_own_time() {
    // One hour, then two, set some time after 14:00 and seen at the end of that hour.
    let lengths = lengths(&[(14 * HOUR, HOUR), (15 * HOUR, 2 * HOUR)]);
    let at = |time| lengths.at(&of_all().target, time);
    assert_eq!(at(14 * HOUR - 1), Some(HOUR));
    assert_eq!(at(14 * HOUR), Some(2 * HOUR));
    let before = pieces(&lengths, 13 * HOUR, HOUR);
    assert_eq!(before, [(13 * HOUR, 14 * HOUR, HOUR)]);
    // Noted by the old length before the new one was seen.
    let open = pieces(&lengths, 14 * HOUR, HOUR);
    assert_eq!(open, [(14 * HOUR, 16 * HOUR, 2 * HOUR)]);
    assert_eq!(lengths.at("unknown", 0), None);
}

#[test]
fn a_period_that_a_change_cuts_ends_there() {
    // 90 minutes, then one hour, set in the period that began at 13:30.
    let long = 90 * 60;
    let lengths = lengths(&[(9 * long + 1, long), (10 * long + 1, HOUR)]);
    let start = 8 * long;
    assert_eq!(
        pieces(&lengths, start, long),
        [(start, 13 * HOUR, long), (13 * HOUR, 14 * HOUR, HOUR),]
    );
}

#[test]
fn a_change_after_periods_that_nobody_watched_is_a_fresh_one() {
    let lengths = lengths(&[(14 * HOUR, HOUR), (20 * HOUR + 5, 2 * HOUR)]);
    let before = pieces(&lengths, 18 * HOUR, HOUR);
    assert_eq!(before, [(18 * HOUR, 19 * HOUR, HOUR)]);
    let after = pieces(&lengths, 20 * HOUR, 2 * HOUR);
    assert_eq!(after, [(20 * HOUR, 22 * HOUR, 2 * HOUR)]);
}

#[test]
fn a_restart_forgets_nothing() {
    let dir = std::env::temp_dir().join(format!("lengths-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let mut before = lengths(&[(14 * HOUR, HOUR), (15 * HOUR, 2 * HOUR)]);
    before.path = dir.join("lengths");
    before.save_new().unwrap();
    let mut after = Lengths::load(&dir);
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(
        (&after.known, after.seen_at),
        (&before.known, before.seen_at)
    );
    // Changed within the period in which it was stopped, and after two in which it was away.
    let change = after.saw(&[(of_all(), HOUR)], 16 * HOUR - 1).remove(0);
    assert_eq!(change.since, 15 * HOUR);
    after.watching = false;
    let change = after.saw(&[(of_all(), 3 * HOUR)], 18 * HOUR + 5).remove(0);
    assert_eq!(change.since, 18 * HOUR);
}

#[test]
fn the_queries_are_looked_at_once_a_period() {
    let lengths = lengths(&[(14 * HOUR + 1, HOUR)]);
    let found = [(of_all(), HOUR)];
    assert!(!lengths.are_old(&found, 15 * HOUR - 1));
    assert!(lengths.are_old(&found, 15 * HOUR));
}
