use super::*;

mod beyond;

const LIMITS: Limits = Limits {
    tag_values: 3,
    series: 100,
};

fn limiter(limits: Limits) -> Limiter {
    Limiter::open(Path::new("/nonexistent"), limits)
}

fn admit(limiter: &mut Limiter, point: &str) -> (String, Limited) {
    let listed = Listed {
        keys: true,
        ..Listed::default()
    };
    admit_listed(limiter, &listed, point)
}

fn admit_listed(limiter: &mut Limiter, listed: &Listed, point: &str) -> (String, Limited) {
    let mut out = Vec::new();
    let limited = limiter.admit(point.as_bytes(), listed, &mut out);
    (String::from_utf8(out).unwrap(), limited)
}

#[test]
fn a_value_beyond_the_budget_becomes_other_and_is_said_once() {
    let mut limiter = limiter(LIMITS);
    for n in 0..3 {
        let point = format!("m,app_version=v{n} value=1i");
        assert_eq!(admit(&mut limiter, &point), (point, Limited::default()));
    }
    let (stored, limited) = admit(&mut limiter, "m,app_version=v3,city=Bern value=1i");
    assert_eq!(stored, "m,app_version=other,city=Bern value=1i");
    assert_eq!(limited.tags, ["app_version"]);
    let (stored, limited) = admit(&mut limiter, "m,app_version=v4 value=1i");
    assert_eq!(
        (stored.as_str(), limited.tags.len()),
        ("m,app_version=other value=1i", 0)
    );
    // Known values stay known.
    let (stored, limited) = admit(&mut limiter, "m,app_version=v1,city=Rom value=1i");
    assert_eq!(
        (stored.as_str(), limited.changed),
        ("m,app_version=v1,city=Rom value=1i", false)
    );
}

#[test]
fn listed_values_need_no_budget() {
    let mut limiter = limiter(Limits {
        tag_values: 0,
        series: 100,
    });
    let listed = Listed {
        tags: HashSet::from([b"arch".to_vec()]),
        app_versions: HashSet::from([b"v1".to_vec()]),
        keys: true,
        ..Listed::default()
    };
    let (stored, _) = admit_listed(
        &mut limiter,
        &listed,
        "m,app_version=v1,arch=arm64,os=x value=1i",
    );
    assert_eq!(stored, "m,app_version=v1,arch=arm64,os=other value=1i");
}

#[test]
fn beyond_the_tag_sets_extra_tags_become_other() {
    let mut limiter = limiter(Limits {
        tag_values: 1000,
        series: 2,
    });
    admit(&mut limiter, "m,app_version=v1,a=1 value=1i");
    admit(&mut limiter, "m,app_version=v1,a=2 value=1i");
    let (stored, limited) = admit(&mut limiter, "m,a=3,app_version=v1,country=Peru value=1i");
    assert_eq!(stored, "m,a=other,app_version=v1,country=Peru value=1i");
    assert!(limited.series);
    let (stored, limited) = admit(&mut limiter, "m,app_version=v1,a=2 value=1i");
    assert_eq!(
        (stored.as_str(), limited.changed),
        ("m,app_version=v1,a=2 value=1i", false)
    );
    let (stored, _) = admit(&mut limiter, "m,app_version=v9 value=1i");
    assert_eq!(stored, "m,app_version=other value=1i");
}

#[test]
fn beyond_the_tag_sets_a_listed_version_stays() {
    let mut limiter = limiter(Limits {
        tag_values: 1000,
        series: 1,
    });
    let listed = Listed {
        app_versions: HashSet::from([b"v2".to_vec()]),
        keys: true,
        ..Listed::default()
    };
    admit(&mut limiter, "m,app_version=v1 value=1i");
    let (stored, limited) = admit_listed(&mut limiter, &listed, "m,app_version=v2 value=1i");
    assert_eq!(stored, "m,app_version=v2 value=1i");
    assert_eq!(limited, Limited::default());
    let (stored, limited) = admit_listed(&mut limiter, &listed, "m,a=1,app_version=v2 value=1i");
    assert_eq!(stored, "m,a=other,app_version=v2 value=1i");
    assert!(limited.changed && limited.series);
}

#[test]
fn the_values_of_all_tags_together_are_bounded_in_bytes() {
    let dir = std::env::temp_dir().join(format!("bytes-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let limits = Limits {
        tag_values: 1000,
        series: 2,
    };
    let mut first = Limiter::open(&dir, limits);
    // The limit is 640 bytes, and each value takes 65 bytes and its own length: room for six short ones and a long one.
    let long = "x".repeat(170);
    let point = format!("m,a=1,b=1,c=1,d=1,e=1,f=1,g={long},h=1 value=1i");
    let (stored, limited) = admit(&mut first, &point);
    assert_eq!(stored, point.replace("h=1", "h=other"));
    assert!(limited.memory && limited.changed && limited.tags.is_empty());
    let (_, limited) = admit(&mut first, "m,h=2 value=1i");
    assert!(limited.changed && !limited.memory, "it is logged already");
    first.save();
    // A start reads only as many values of the file as there is room for.
    let small = Limits {
        series: 1,
        ..limits
    };
    let mut second = Limiter::open(&dir, small);
    std::fs::remove_dir_all(&dir).unwrap();
    let is_known = |tag: &str| !second.known.tag(tag.as_bytes()).values.is_empty();
    assert_eq!(
        ["a", "d", "e", "g"].map(is_known),
        [true, true, false, false]
    );
}

#[test]
fn a_torn_end_of_the_file_takes_no_other_line_with_it() {
    let dir = std::env::temp_dir().join(format!("torn-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("known"), "key a tag\nvalue a=tor").unwrap();
    let mut limiter = Limiter::open(&dir, LIMITS);
    admit(&mut limiter, "m,a=b value=1i");
    limiter.save();
    let text = std::fs::read_to_string(dir.join("known")).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(
        text.starts_with("key a tag\nvalue a=tor\nvalue a=b\nseries "),
        "{text}"
    );
}

#[test]
fn without_a_schema_extra_keys_end_at_their_limit() {
    let mut limiter = limiter(Limits {
        tag_values: 1000,
        series: 1000,
    });
    let listed = Listed::default();
    for n in 0..MAX_EXTRA_KEYS {
        let (_, limited) = admit_listed(&mut limiter, &listed, &format!("m value=1i,f{n}=1"));
        assert_eq!(limited, Limited::default());
    }
    let point = "m,t=1 value=1i,new=\"a, b\",f7=2,x_request_id=\"i\"";
    let (stored, limited) = admit_listed(&mut limiter, &listed, point);
    assert_eq!(stored, "m value=1i,f7=2,x_request_id=\"i\"");
    assert!(limited.keys && limited.changed);
}

#[test]
fn without_a_schema_a_key_stays_what_it_came_as_first() {
    let mut limiter = limiter(LIMITS);
    let mut admit = |point| admit_listed(&mut limiter, &Listed::default(), point);
    for point in ["m,t=1 value=1i,b=true,n=1.5,s=\"a, b\"", "m,t=1 value=1i"] {
        assert_eq!(admit(point), (point.to_owned(), Limited::default()));
    }
    let (stored, limited) = admit("m,b=x,n=3 value=1i,s=false,t=\"1\"");
    assert_eq!(stored, "m value=1i");
    let said = |kinds: Vec<OtherKind>| {
        kinds
            .into_iter()
            .map(|other| format!("{}: {}, {}", other.key, other.before, other.now))
            .collect::<Vec<_>>()
    };
    assert!(limited.changed);
    assert_eq!(
        said(limited.kinds),
        [
            "b: a boolean field, a tag",
            "n: a float field, a tag",
            "s: a string field, a boolean field",
            "t: a tag, a string field"
        ]
    );
    // Of two kinds in one record only the first is stored too, and nothing is logged twice.
    let (stored, limited) = admit("m,k=x,n=3 value=1i,b=false,k=3");
    assert_eq!(stored, "m,k=x value=1i,b=false");
    assert_eq!(said(limited.kinds), ["k: a tag, a float field"]);
}

#[test]
fn what_a_key_is_goes_on_after_a_restart() {
    let dir = std::env::temp_dir().join(format!("kinds-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    // Keys without a kind, as earlier versions wrote them, and invalid lines.
    let old = "key old\nkey os\nvalue os=linux\nkey x y z\nkey z what\nkey n float\nkey n tag\n";
    std::fs::write(dir.join("known"), old).unwrap();
    let mut first = Limiter::open(&dir, LIMITS);
    let listed = Listed::default();
    let point = "m value=1i,n=\"1\",old=1,os=\"linux\"";
    let (stored, _) = admit_listed(&mut first, &listed, point);
    assert_eq!(stored, "m value=1i,old=1");
    first.save();
    let mut second = Limiter::open(&dir, LIMITS);
    let text = std::fs::read_to_string(dir.join("known")).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(text.contains("\nkey old float\n"), "{text}");
    let point = "m,old=1,os=linux value=1i,n=1";
    let (stored, _) = admit_listed(&mut second, &listed, point);
    assert_eq!(stored, "m,os=linux value=1i,n=1");
    assert_eq!(second.known.keys.len(), 3);
}

#[test]
fn what_is_stored_goes_on_after_a_restart() {
    let dir = std::env::temp_dir().join(format!("known-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut first = Limiter::open(&dir, LIMITS);
    for n in 0..3 {
        admit(&mut first, &format!("m,os=a\\ {n} value=1i"));
    }
    first.save();
    let mut second = Limiter::open(&dir, LIMITS);
    std::fs::remove_dir_all(&dir).unwrap();
    let (old, _) = admit(&mut second, "m,app_version=v1,os=a\\ 1 value=1i");
    assert_eq!(old, "m,app_version=v1,os=a\\ 1 value=1i");
    // A start fills the budget, and known values take nothing of it.
    let new = [
        "m,os=b0 value=1i",
        "m,os=b1 value=1i",
        "m,os=b2 value=1i",
        "m,os=b3 value=1i",
    ]
    .map(|point| admit(&mut second, point).0);
    assert_eq!(new[2], "m,os=b2 value=1i");
    assert_eq!(new[3], "m,os=other value=1i");
}

#[test]
fn choices_of_keys_make_no_series_without_end() {
    let limits = Limits {
        tag_values: 3,
        series: 1,
    };
    let mut limiter = limiter(limits);
    let mut stored = HashSet::new();
    for n in 1..4096u32 {
        // Each of 12 keys is there or not.
        let keys = (0..12).filter(|key| n & (1 << key) != 0);
        let tags: String = keys.map(|key| format!(",k{key:02}=v")).collect();
        stored.insert(admit(&mut limiter, &format!("m{tags} value=1i")).0);
    }
    // The first set, the sets with only `other` values, and the set without tags.
    assert_eq!(stored.len(), 1 + MORE_SERIES + 1);
    assert!(stored.contains("m value=1i"));
}

#[test]
fn versions_times_choices_of_keys_make_no_series_without_end() {
    let mut limiter = limiter(Limits {
        tag_values: 1000,
        series: 100,
    });
    let mut stored = HashSet::new();
    let versions = 0..100;
    for version in versions.clone() {
        let point = format!("m,app_version=v{version},k=v value=1i");
        stored.insert(admit(&mut limiter, &point).0);
    }
    for version in versions {
        for choice in 0..20 {
            let point = format!("m,app_version=v{version},k{choice}=v value=1i");
            stored.insert(admit(&mut limiter, &point).0);
        }
    }
    // A known version is stored even then.
    assert_eq!(stored.len(), 100 + MORE_SERIES + 50);
    let (last, limited) = admit(&mut limiter, "m,app_version=v99,k0=v value=1i");
    assert_eq!(last, "m,app_version=v99 value=1i");
    assert!(limited.changed && !limited.series, "it is logged already");
    let (_, limited) = admit(&mut limiter, "m,app_version=v99 value=1i");
    assert_eq!(limited, Limited::default());
}

#[test]
fn series_beyond_the_limit_are_counted_after_a_restart_too() {
    let dir = std::env::temp_dir().join(format!("more-series-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let limits = Limits {
        tag_values: 1000,
        series: 1,
    };
    let mut stored = HashSet::new();
    for start in 0..3 {
        let mut limiter = Limiter::open(&dir, limits);
        for n in 0..MORE_SERIES {
            let point = format!("m,k{start}x{n}=v value=1i");
            stored.insert(admit(&mut limiter, &point).0);
        }
        limiter.save();
    }
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(stored.len(), 1 + MORE_SERIES + 1);
}

#[test]
fn places_are_not_counted() {
    let mut limiter = limiter(Limits {
        tag_values: 1000,
        series: 1,
    });
    for city in ["Bern", "Rom", "Oslo"] {
        let point = format!("m,app_version=v1,city={city} value=1i");
        for _ in 0..2 {
            assert_eq!(
                admit(&mut limiter, &point),
                (point.clone(), Limited::default())
            );
        }
    }
}
