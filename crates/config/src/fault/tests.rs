use super::*;
use crate::source::TextOrigin;

fn placed_in(text: &str, line: u32, column: u32, length: u32) -> Fault {
    let mut texts = Texts::default();
    let source = texts.add(TextOrigin::File("reveille.yaml".to_owned()), text.to_owned());
    let draft =
        Draft::new(Code::UnknownKey, Spot { source, line, column, length }, "unknown key `lease-time`");
    placed(draft.hint("did you mean `lease_time`?"), &texts)
}

#[test]
fn a_fault_shows_its_line_with_a_caret_and_the_hint() {
    let text = format!("{}        lease-time: 8h\n", "\n".repeat(30));
    let fault = placed_in(&text, 31, 9, 10);
    assert_eq!(
        fault.render(false),
        "error[R-CFG-03] reveille.yaml:31:9 unknown key `lease-time`\n  \
         31 |         lease-time: 8h\n     |         ^^^^^^^^^^ did you mean `lease_time`?\n"
    );
    assert!(fault.render(true).contains("\x1b[1;31m^^^^^^^^^^\x1b[0m"));
}

#[test]
fn the_caret_of_a_long_line_stays_in_the_window() {
    let fault = placed_in(&format!("{}key: 1", " ".repeat(5000)), 1, 5001, 3);
    assert!(fault.excerpt.chars().count() <= EXCERPT_CHARS_MAX);
    let under: String = fault.excerpt.chars().skip(fault.excerpt_column as usize - 1).take(3).collect();
    assert_eq!(under, "key");
    let fault = placed_in("a: b", 1, 4, 500);
    assert_eq!(fault.length, 1);
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let fault = placed_in("a:\t\x1b[2Jb\u{202e}", 1, 1, 1);
    assert!(!fault.render(false).chars().any(|c| c.is_control() && c != '\n'));
    assert!(!fault.render(false).contains('\u{202e}'));
}

#[test]
fn codes_are_unique_and_in_order() {
    let texts: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert!(texts.is_sorted());
    let mut unique = texts.clone();
    unique.dedup();
    assert_eq!(unique, texts);
}
