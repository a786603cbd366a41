//! Searches against a simulated InfluxDB that refuses lines with the error texts of a real one.

use super::*;

fn settle<'a>(
    batch: &'a [u8],
    send: &mut dyn FnMut(&[u8]) -> Outcome,
) -> Result<Vec<Rejected<'a>>, Trouble> {
    super::settle(batch, send, &|| true)
}

/// An InfluxDB that refuses lines with `bad`, with the text of `refusal`.
fn impostor(bad: &str, refusal: impl Fn(usize) -> String) -> impl FnMut(&[u8]) -> Outcome {
    move |part| {
        let text = String::from_utf8(part.to_vec()).unwrap();
        match text.lines().filter(|line| line.contains(bad)).count() {
            0 => Outcome::Stored,
            n => Outcome::PartlyRefused(refusal(n)),
        }
    }
}

fn batch(lines: usize, is_bad: impl Fn(usize) -> bool) -> Vec<u8> {
    let line = |n| format!("m v={}i {n}\n", if is_bad(n) { "bad" } else { "1" });
    (0..lines).map(line).collect::<String>().into_bytes()
}

fn rejected_lines(rejected: &[Rejected<'_>]) -> usize {
    rejected.iter().map(|rejected| rejected.lines.len()).sum()
}

#[test]
fn one_bad_line_among_5000_is_found_in_a_bounded_number_of_requests() {
    let batch = batch(5000, |n| n == 1234);
    let mut requests = 0;
    let mut influx = impostor("bad", |_| "partial write: something dropped=0".to_owned());
    let rejected = settle(&batch, &mut |part| {
        requests += 1;
        influx(part)
    })
    .unwrap();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].lines, [b"m v=badi 1234".as_slice()]);
    assert!(requests <= 27, "took {requests} requests");
}

#[test]
fn a_prefix_that_is_too_old_costs_few_requests() {
    let batch = batch(5000, |n| n < 2345);
    let mut requests = 0;
    let mut influx = impostor("bad", |n| {
        format!("partial write: points beyond retention policy dropped={n}")
    });
    let rejected = settle(&batch, &mut |part| {
        requests += 1;
        influx(part)
    })
    .unwrap();
    assert_eq!(rejected_lines(&rejected), 2345);
    assert!(requests <= 30, "took {requests} requests");
}

#[test]
fn a_named_field_and_type_refuses_all_its_lines_at_once() {
    let batch = b"m,a=b\\ c value=1i,x=1 1\nm value=1i,x=\"a, x=1 \\\" \" 2\nm value=1i,x=2 3\n";
    let mut requests = 0;
    let rejected = settle(batch, &mut |part| {
        requests += 1;
        match part.windows(3).any(|text| text == b"x=\"") {
            true => Outcome::PartlyRefused(
                "partial write: field type conflict: input field \"x\" on measurement \"m\" is \
                 type string, already exists as type float dropped=1"
                    .to_owned(),
            ),
            false => Outcome::Stored,
        }
    })
    .unwrap();
    assert_eq!(
        rejected[0].lines,
        [b"m value=1i,x=\"a, x=1 \\\" \" 2".as_slice()]
    );
    assert_eq!(requests, 2);
}

#[test]
fn named_unparsable_lines_are_taken_at_their_word() {
    let batch = b"m v=1i 1\nm it's: bad\nm worse\n";
    let mut first = true;
    let rejected = settle(batch, &mut |_| match std::mem::take(&mut first) {
        true => Outcome::PartlyRefused(
            "unable to parse 'm it's: bad': invalid field format\nunable to parse \
                 'm worse': invalid field format"
                .to_owned(),
        ),
        false => Outcome::Stored,
    })
    .unwrap();
    assert_eq!(rejected[0].lines, [b"m it's: bad".as_slice(), b"m worse"]);
}

#[test]
fn a_single_line_that_is_too_large_is_rejected_and_the_others_are_stored() {
    let batch = batch(64, |n| n == 40);
    let rejected = settle(&batch, &mut |part| match part.len() > 200
        || part.windows(3).any(|text| text == b"bad")
    {
        true => Outcome::TooLarge("too large".to_owned()),
        false => Outcome::Stored,
    })
    .unwrap();
    assert_eq!(rejected_lines(&rejected), 1);
}

#[test]
fn the_search_ends_although_every_second_line_is_bad() {
    let batch = batch(5000, |n| n % 2 == 0);
    let mut requests = 0;
    let mut influx = impostor("bad", |_| "partial write: something dropped=0".to_owned());
    let rejected = settle(&batch, &mut |part| {
        requests += 1;
        influx(part)
    })
    .unwrap();
    assert!(requests <= 3 * MAX_REFUSALS, "took {requests} requests");
    assert!(rejected_lines(&rejected) >= 2500);
}

#[test]
fn no_line_is_rejected_that_was_never_sent_although_the_search_is_cut_short() {
    let batch = batch(5000, |n| n < 2500 && n % 2 == 0);
    let mut influx = impostor("bad", |_| "partial write: something dropped=0".to_owned());
    let rejected = settle(
        &batch,
        &mut |part| match part.len() > batch.len() / 2 + 100 {
            true => Outcome::TooLarge("too large".to_owned()),
            false => influx(part),
        },
    )
    .unwrap();
    assert!(rejected_lines(&rejected) <= 2500);
}

#[test]
fn lines_of_a_named_field_that_another_shard_has_stored_are_not_rejected() {
    // The conflict is in one shard, the first 3000 lines are of another.
    let lines: String = (0..5000).map(|n| format!("m v=1i,x=\"a\" {n}\n")).collect();
    let conflicting = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap() >= 3000;
    let mut requests = 0;
    let rejected = settle(lines.as_bytes(), &mut |part| {
        requests += 1;
        let text = std::str::from_utf8(part).unwrap();
        match text.lines().filter(|line| conflicting(line)).count() {
            0 => Outcome::Stored,
            n => Outcome::PartlyRefused(format!(
                "partial write: field type conflict: input field \"x\" on measurement \"m\" is type \
                 string, already exists as type float dropped={n}"
            )),
        }
    })
    .unwrap();
    assert_eq!(rejected_lines(&rejected), 2000);
    assert!(requests <= 30, "took {requests} requests");
}

/// An InfluxDB whose answer cannot be parsed where a line holds `bad`.
fn garbling(bad: &str) -> impl FnMut(&[u8]) -> Outcome {
    move |part| match String::from_utf8_lossy(part).contains(bad) {
        true => Outcome::Kept(Trouble::Unreadable("header".to_owned())),
        false => Outcome::Stored,
    }
}

#[test]
fn the_line_whose_answer_cannot_be_parsed_is_found_and_the_others_are_stored() {
    for bad in [vec![0], vec![4999], vec![1, 2, 77, 3000]] {
        let batch = batch(5000, |n| bad.contains(&n));
        let mut requests = 0;
        let mut influx = garbling("bad");
        let rejected = settle(&batch, &mut |part| {
            requests += 1;
            influx(part)
        })
        .unwrap();
        assert_eq!(rejected_lines(&rejected), bad.len());
        assert!(
            rejected
                .iter()
                .all(|part| part.lines[0].starts_with(b"m v=bad"))
        );
        assert!(requests <= 28 * bad.len(), "took {requests} requests");
    }
}

#[test]
fn nothing_is_rejected_where_no_answer_can_be_parsed_or_lines_are_not_to_blame() {
    let batch = batch(5000, |_| false);
    let mut requests = 0;
    let mut influx = garbling("m");
    let outcome = settle(&batch, &mut |part| {
        requests += 1;
        influx(part)
    });
    assert!(matches!(outcome, Err(Trouble::Unreadable(_))));
    assert!(requests <= MAX_UNREADABLE + 1, "took {requests} requests");
    let outcome = super::settle(&batch, &mut garbling("4999\n"), &|| false);
    assert!(matches!(outcome, Err(Trouble::Unreadable(_))));
}

#[test]
fn a_line_that_met_one_bad_answer_by_chance_is_not_rejected() {
    let batch = b"m v=1i 1\n";
    let mut answers = 0;
    let rejected = settle(batch, &mut |_| {
        answers += 1;
        match answers {
            1 => Outcome::Kept(Trouble::Unreadable("header".to_owned())),
            _ => Outcome::Stored,
        }
    });
    assert_eq!(rejected, Ok(Vec::new()));
}
