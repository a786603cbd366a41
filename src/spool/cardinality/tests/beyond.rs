//! Good tags beside a tag with an unlimited number of values.

use super::*;

#[test]
fn beyond_the_tag_sets_only_the_tag_that_explodes_becomes_other() {
    let mut limiter = limiter(Limits {
        tag_values: 1000,
        series: 40,
    });
    let point = |n: usize| {
        let kube = n % 2;
        format!("m,app_version=v1,kubernetes_version=k{kube},uuid=u{n} value=1i")
    };
    let mut warned = Vec::new();
    for n in 0..40 {
        let (stored, limited) = admit(&mut limiter, &point(n));
        assert_eq!((stored, limited.changed), (point(n), false));
        warned.extend(limited.half.map(|half| (n, half.tag, half.values)));
    }
    assert_eq!(warned, [(19, "uuid".to_owned(), 20)]);
    for n in 40..2000 {
        let (stored, limited) = admit(&mut limiter, &point(n));
        let kube = n % 2;
        assert_eq!(
            stored,
            format!("m,app_version=v1,kubernetes_version=k{kube},uuid=other value=1i")
        );
        assert_eq!(limited.series, n == 40);
        assert_eq!(
            limited.filled.map(|filled| filled.tag),
            (n == 40).then(|| "uuid".to_owned())
        );
    }
    // An installation that is known by its tag, with another known value of a good one.
    let (stored, _) = admit(
        &mut limiter,
        "m,app_version=v1,kubernetes_version=k1,uuid=u0 value=1i",
    );
    assert_eq!(
        stored,
        "m,app_version=v1,kubernetes_version=k1,uuid=other value=1i"
    );
    // Sets without the tag that explodes keep their known values.
    let (stored, limited) = admit(
        &mut limiter,
        "m,app_version=v1,kubernetes_version=k1 value=1i",
    );
    assert_eq!(stored, "m,app_version=v1,kubernetes_version=k1 value=1i");
    assert_eq!(limited, Limited::default());
}

#[test]
fn two_tags_that_explode_leave_the_good_one_as_it_is() {
    let mut limiter = limiter(Limits {
        tag_values: 1_000_000,
        series: 3000,
    });
    let point = |n: usize| {
        let (host, kube) = (n * 7 % 2999, n % 2);
        format!("m,app_version=v1,host=h{host},kube=k{kube},uuid=u{n} value=1i")
    };
    let mut sets = HashSet::new();
    for n in 0..3000 {
        sets.insert(admit(&mut limiter, &point(n)).0);
    }
    // Known values of both in every combination.
    for n in 0..20_000 {
        let (host, uuid, kube) = (n * 13 % 2999, n * 17 % 3000, n % 2);
        let point = format!("m,app_version=v1,host=h{host},kube=k{kube},uuid=u{uuid} value=1i");
        let (stored, _) = admit(&mut limiter, &point);
        assert!(stored.contains(&format!("kube=k{kube},")), "{stored}");
        sets.insert(stored);
    }
    assert!(sets.len() <= 3000 + MORE_SERIES, "{}", sets.len());
}
