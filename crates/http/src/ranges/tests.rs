use super::*;

fn part(value: &str, length: u64) -> Option<Range<u64>> {
    match select(value, length) {
        Selection::Part(range) => Some(range),
        _ => None,
    }
}

#[test]
fn single_open_and_suffix_ranges_are_cut_to_the_file() {
    assert_eq!(part("bytes=0-0", 100), Some(0..1));
    assert_eq!(part("bytes=10-19", 100), Some(10..20));
    assert_eq!(part("bytes=90-", 100), Some(90..100));
    assert_eq!(part("bytes=90-1000", 100), Some(90..100));
    assert_eq!(part("bytes=-10", 100), Some(90..100));
    assert_eq!(part("bytes=-1000", 100), Some(0..100));
    assert_eq!(part("BYTES= 5-9 ", 100), Some(5..10));
}

#[test]
fn ranges_outside_the_file_are_unsatisfiable() {
    for value in
        ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=200-300,400-", "bytes=99999999999999999999999-"]
    {
        assert_eq!(select(value, 100), Selection::Unsatisfiable, "{value}");
    }
    assert_eq!(select("bytes=0-", 0), Selection::Unsatisfiable);
}

#[test]
fn bad_syntax_is_ignored() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=0x1-",
        "bytes=1",
        "items=0-1",
        "bytes=0-1,x",
        "bytes=--1",
        "bytes=1 -2",
    ] {
        assert_eq!(select(value, 100), Selection::Whole, "{value}");
    }
}

#[test]
fn touching_and_overlapping_ranges_become_one() {
    assert_eq!(part("bytes=0-9,10-19", 100), Some(0..20));
    assert_eq!(part("bytes=5-50,0-10,40-60", 100), Some(0..61));
    assert_eq!(part("bytes=0-9,500-", 100), Some(0..10), "the part inside the file counts");
}

#[test]
fn several_ranges_that_stay_apart_send_the_whole_file() {
    assert_eq!(select("bytes=0-1,5-6", 100), Selection::Whole);
    assert_eq!(select("bytes=0-1,2-3,4-5,6-7,8-9,10-11", 100), Selection::Whole, "six are not even merged");
}

#[test]
fn numbers_near_the_end_of_64_bits_do_not_wrap() {
    assert_eq!(part("bytes=0-18446744073709551615", 10), Some(0..10));
    assert_eq!(part("bytes=-18446744073709551616", 10), Some(0..10));
    assert_eq!(
        part("bytes=18446744073709551614-18446744073709551615", u64::MAX),
        Some(u64::MAX - 1..u64::MAX)
    );
    assert_eq!(part("bytes=4294967296-", 5_000_000_000), Some(4_294_967_296..5_000_000_000));
}

#[test]
fn a_suffix_of_an_empty_file_is_the_whole_empty_file() {
    assert_eq!(select("bytes=-5", 0), Selection::Whole);
}

proptest::proptest! {
    #[test]
    fn any_text_selects_inside_the_file(value in "(bytes=)?[-0-9, x]{0,40}", length in 0u64..) {
        if let Selection::Part(range) = select(&value, length) {
            proptest::prop_assert!(range.start < range.end && range.end <= length);
        }
    }
}
