use super::*;
use http::HeaderValue;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, HeaderValue::from_static(value));
    }
    map
}

fn check(pairs: &[(&'static str, &'static str)]) -> Outcome {
    evaluate(&headers(pairs), "abc")
}

#[test]
fn without_conditions_ranges_count() {
    assert_eq!(check(&[]), Outcome::Proceed { ranges: true });
}

#[test]
fn if_match_compares_strongly() {
    assert_eq!(check(&[("if-match", "\"abc\"")]), Outcome::Proceed { ranges: true });
    assert_eq!(check(&[("if-match", "\"x\", \"abc\"")]), Outcome::Proceed { ranges: true });
    assert_eq!(check(&[("if-match", "*")]), Outcome::Proceed { ranges: true });
    assert_eq!(check(&[("if-match", "W/\"abc\"")]), Outcome::Failed);
    assert_eq!(check(&[("if-match", "\"x\"")]), Outcome::Failed);
    assert_eq!(check(&[("if-match", "abc")]), Outcome::Failed);
}

#[test]
fn if_none_match_compares_weakly() {
    for value in ["\"abc\"", "W/\"abc\"", "\"x\",W/\"abc\"", "*", "\"a,b\" , \"abc\""] {
        let mut map = HeaderMap::new();
        map.insert("if-none-match", HeaderValue::from_static(value));
        assert_eq!(evaluate(&map, "abc"), Outcome::NotModified, "{value}");
    }
    assert_eq!(check(&[("if-none-match", "\"x\"")]), Outcome::Proceed { ranges: true });
    assert_eq!(check(&[("if-none-match", "\"x\""), ("if-none-match", "\"abc\"")]), Outcome::NotModified);
}

#[test]
fn if_match_is_asked_before_if_none_match() {
    assert_eq!(check(&[("if-none-match", "\"abc\""), ("if-match", "\"x\"")]), Outcome::Failed);
    assert_eq!(check(&[("if-none-match", "\"abc\""), ("if-match", "\"abc\"")]), Outcome::NotModified);
}

#[test]
fn dates_are_ignored_because_files_have_none() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(check(&[("if-unmodified-since", date)]), Outcome::Proceed { ranges: true });
    assert_eq!(check(&[("if-modified-since", date)]), Outcome::Proceed { ranges: true });
    assert_eq!(
        check(&[("if-none-match", "\"x\""), ("if-modified-since", date)]),
        Outcome::Proceed { ranges: true }
    );
}

#[test]
fn if_range_takes_only_the_same_strong_tag() {
    assert_eq!(check(&[("if-range", "\"abc\"")]), Outcome::Proceed { ranges: true });
    for value in ["W/\"abc\"", "\"x\"", "abc", "*", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let mut map = HeaderMap::new();
        map.insert("if-range", HeaderValue::from_static(value));
        assert_eq!(evaluate(&map, "abc"), Outcome::Proceed { ranges: false }, "{value}");
    }
}

proptest::proptest! {
    #[test]
    fn any_value_ends_in_an_outcome(value in "[ -~]{0,60}") {
        let value = HeaderValue::try_from(value).unwrap();
        for name in ["if-match", "if-none-match", "if-range"] {
            evaluate(&HeaderMap::from_iter([(HeaderName::from_static(name), value.clone())]), "abc");
        }
    }
}
