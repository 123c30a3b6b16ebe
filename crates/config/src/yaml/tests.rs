use super::*;
use crate::tree::Entry;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn text(value: &str) -> Node {
    Node::new(Spot::NOWHERE, Kind::Text(value.to_owned()))
}

#[test]
fn text_that_readers_misread_is_quoted() {
    for (value, written) in [
        ("52:54:00:12:34:56", "\"52:54:00:12:34:56\""),
        ("0012", "\"0012\""),
        ("yes", "\"yes\""),
        ("Null", "\"Null\""),
        ("8.0", "\"8.0\""),
        ("12e4", "\"12e4\""),
        ("", "\"\""),
        ("a: b", "\"a: b\""),
        ("debian-12", "debian-12"),
        ("8h", "8h"),
        ("10.77.0.0/24", "10.77.0.0/24"),
        ("/var/lib", "/var/lib"),
        ("a\"\n\u{7}", "\"a\\\"\\n\\u0007\""),
    ] {
        assert_eq!(render(&text(value)), format!("{written}\n"));
    }
}

proptest! {
    #[test]
    fn any_text_arrives_as_it_was(map in prop::collection::btree_map(any::<String>(), any::<Vec<String>>(), 0..5)) {
        let entries = map.iter().map(|(key, items)| Entry {
            key: key.clone(),
            spot: Spot::NOWHERE,
            value: Node::new(Spot::NOWHERE, Kind::List(items.iter().map(|item| text(item)).collect())),
        });
        let tree = Node::new(Spot::NOWHERE, Kind::Map(entries.collect()));
        let back: BTreeMap<String, Vec<String>> = from_tree(&tree).unwrap();
        prop_assert_eq!(back, map);
    }
}
