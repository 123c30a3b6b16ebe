use super::*;

#[test]
fn screen_text_cannot_expand_end_or_comment() {
    for evil in [
        "${net0/ip}",
        "a\nreboot",
        "a\r\nb",
        "x && y",
        "x || y",
        "# no",
        "\u{1b}[2J",
        "ä\u{202e}",
        "a\0b",
        "\u{7f}",
    ] {
        let clean = screen(evil);
        assert!(clean.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{evil:?} became {clean:?}");
        assert!(!clean.contains(['$', '#', '&', '|', '`', '"']), "{evil:?} became {clean:?}");
    }
}

#[test]
fn no_screen_word_is_a_command_end() {
    for evil in ["a ; reboot", "; reboot", "a ;", " ; ; ; ", ";"] {
        for line in screen_lines(evil) {
            assert!(line.split(' ').all(|word| word != ";"), "{evil:?} became {line:?}");
        }
    }
}

#[test]
fn long_messages_are_broken_at_blanks_and_cut() {
    let lines = screen_lines(&"word ".repeat(400));
    assert_eq!(lines.len(), SCREEN_LINES_MAX);
    assert!(lines.iter().all(|line| line.len() <= SCREEN_COLUMNS));
    assert_eq!(screen_lines(&"x".repeat(500)), ["x".repeat(SCREEN_COLUMNS)]);
}

#[test]
fn url_paths_keep_only_unreserved_bytes() {
    assert_eq!(url_path("debian-12/linux"), "debian-12/linux");
    assert_eq!(url_path("a b/${x}#?;ä"), "a%20b/%24%7Bx%7D%23%3F%3B%C3%A4");
}
