use super::*;
use crate::units::version::parse_version;

/// The library's own results, one constraint a line.
const VALUES: &str = include_str!("../../../../tests/rules/constraints.jsonl");

fn meets(constraint: &str, version: &str) -> bool {
    let read = Constraint::parse(constraint).unwrap_or_else(|| panic!("{constraint:?} is refused"));
    read.is_met_by(&parse_version(version).unwrap())
}

#[test]
fn constraints_mean_what_they_mean_to_the_library() {
    let mut checked = 0;
    for line in VALUES.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let constraint = line["constraint"].as_str().unwrap();
        let refused = line["error"].as_bool().unwrap();
        assert_eq!(
            Constraint::parse(constraint).is_none(),
            refused,
            "of {constraint:?}"
        );
        if refused {
            continue;
        }
        for (version, met) in line["match"].as_object().unwrap() {
            let met = met.as_bool().unwrap();
            assert_eq!(meets(constraint, version), met, "{constraint:?} {version}");
            checked += 1;
        }
    }
    assert_eq!((VALUES.lines().count(), checked), (68, 1680));
}

#[test]
fn what_the_table_leaves_out_follows_the_library_too() {
    #[rustfmt::skip]
    let rows = [
        ("!=4.1", "5.1.0-alpha.1", false),
        ("!=4.1-alpha", "4.1.0", true),
        ("!=4.1-alpha", "4.1.0-alpha", false),
        ("!=4.x", "4.1.0", false),
        (">0-0", "0.0.1-alpha", false),
        (">0.0.0-0", "0.0.0-alpha", true),
        (">=0-0", "0.0.1-alpha", true),
        ("<0-z", "0.0.0-alpha", true),
        ("*-0", "1.2.3-alpha.1", true),
        ("~1.2.3-beta.2", "1.2.4-beta.2", true),
        ("~1.2.3-beta.2", "1.3.4-beta.2", false),
        ("^1.2.0-alpha.2", "1.2.0-alpha.1", false),
        ("^0.2.3-beta.2", "0.2.4-beta.2", true),
        ("^1.2.x-alpha", "1.1.1-beta1", false),
        ("~0.0.0", "1.2.3", true),
        ("^0.0.0", "1.2.3", false),
        ("<=1.1-a", "0.1.0-alpha", true),
        ("<=*", "1.0.0", false),
        (">*", "0.0.0", false),
        ("!=*", "0.0.0", false),
        ("!=*", "0.0.1", true),
        ("<1.x", "1.1.1", false),
        ("1.1-3", "4.3.2", false),
        ("1.0.0 - 2.0.0 <=2.0.0", "1.5.0", true),
        ("1.0,2 - 3", "2.0.0", false),
        (">=1.1    <2    !=1.2.3", "1.2.4", true),
        (">=1.1, <2, !=1.2.3 || > 3", "4.1.2", true),
        ("=> 1.2", "1.2.0", true),
        ("~>1.2\t<1.2.9", "1.2.3", true),
        ("1.x.|", "1.9.0", true),
    ];
    for (constraint, version, met) in rows {
        assert_eq!(meets(constraint, version), met, "{constraint:?} {version}");
    }
    for refused in [
        "12.3.34~ 1.2.3",
        "BAR >= 1.2.3",
        "1 2 - 3",
        ">=1 - 2",
        "1 - 2||3 - 4",
        "1 - 2 - 3",
        "1.2,",
        ",1.2",
        "1.2 ||",
        "1|2",
        "1.2.3-01",
        "1.2.3-a..b",
        "1.x1",
        "1.\u{a0}2",
        "\u{a0}1.2",
        "é",
        "vv1",
        "V1.2",
        "1.2.3+",
    ] {
        assert!(Constraint::parse(refused).is_none(), "{refused:?} is taken");
    }
    assert!(Constraint::parse(&"1 ".repeat(10_000)).is_none());
}
