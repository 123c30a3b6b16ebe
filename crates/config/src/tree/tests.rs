use super::*;

fn read_text(text: &str) -> Result<Node, Faults> {
    let mut faults = Faults::default();
    let node = read(0, text, &mut Budget::default(), &mut faults);
    node.filter(|_| !faults.has_errors()).ok_or(faults)
}

#[test]
fn keys_and_values_know_their_place() {
    let tree = read_text("a:\n  - x\n  - bc: \"d e\"\n").unwrap();
    let (node, _) = tree.follow(&[Step::Key("a"), Step::Index(1), Step::Key("bc")]);
    assert_eq!(node.spot, Spot { source: 0, line: 3, column: 9, length: 5 });
    let (list, _) = tree.follow(&[Step::Key("a"), Step::Index(1)]);
    let entry = list.entry("bc").unwrap();
    assert_eq!(entry.spot, Spot { source: 0, line: 3, column: 5, length: 2 });
}

#[test]
fn aliases_are_expanded() {
    let tree = read_text("x: &x [1, {a: b}]\ny: *x\n").unwrap();
    assert_eq!(tree.entry("x").unwrap().value, tree.entry("y").unwrap().value);
}

#[test]
fn quoted_and_plain_scalars_differ_and_blocks_lose_their_last_line_break() {
    let tree = read_text("a: 1\nb: '1'\nc: |\n  1\n  2\nd: !!str 1\n").unwrap();
    let kind = |key: &str| tree.entry(key).unwrap().value.kind.clone();
    assert_eq!(kind("a"), Kind::Plain("1".to_owned()));
    assert_eq!(kind("b"), Kind::Text("1".to_owned()));
    assert_eq!(kind("c"), Kind::Text("1\n2".to_owned()));
    assert_eq!(kind("d"), Kind::Text("1".to_owned()));
}

#[test]
fn doubled_keys_tags_documents_and_compound_keys_are_faults() {
    for text in ["a: 1\na: 2\n", "a: !foo 1\n", "a: 1\n---\nb: 1\n", "{[a]: b}\n", "a: *b\n", "a: [\n"] {
        assert!(read_text(text).is_err(), "{text:?}");
    }
}

#[test]
fn lines_and_columns_count_as_an_editor_counts_them() {
    for line_break in ["\n", "\r\n", "\r"] {
        let text = format!("# ü{line_break}ä: é{line_break}b: x{line_break}");
        let tree = read_text(&text).unwrap();
        let mut texts = crate::source::Texts::default();
        texts.add(crate::source::TextOrigin::File("f".to_owned()), text);
        let spot = tree.entry("ä").unwrap().value.spot;
        assert_eq!((spot.line, spot.column, spot.length), (2, 4, 1), "{line_break:?}");
        let spot = tree.entry("b").unwrap().spot;
        assert_eq!((spot.line, spot.column), (3, 1), "{line_break:?}");
        assert_eq!(texts.line(spot), "b: x");
    }
}
