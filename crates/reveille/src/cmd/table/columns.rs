//! Rows of cells as text. Pure; what a cell holds may come from the network.

/// Prints rows under a heading; every column as wide as its widest cell, the last one as it comes.
pub(crate) fn render(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let heading = heading.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let shown = harmless(cell);
            let pad = width.saturating_sub(shown.chars().count()) + 2;
            line.push_str(&shown);
            line.extend(std::iter::repeat_n(' ', pad));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What the network put into a cell must reach the terminal as text: no control bytes, and nothing that turns the direction
/// of what stands beside it or ends a line where the terminal sees none.
pub(crate) fn harmless(cell: &str) -> String {
    let tricky = |char: char| {
        char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    cell.chars().map(|char| if tricky(char) { '\u{fffd}' } else { char }).collect()
}

/// The same of a text that has line ends of its own.
pub(crate) fn harmless_lines(text: &str) -> String {
    text.split('\n').map(harmless).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_clean() {
        let rows = vec![vec!["web01".into(), "a".into()], vec!["x".into(), "longer".into()]];
        assert_eq!(render(&["HOST", "IMAGE"], &rows), "HOST   IMAGE\nweb01  a\nx      longer\n");
    }

    #[test]
    fn terminal_escapes_from_the_network_are_not_shown() {
        assert_eq!(render(&["A"], &[vec!["x\u{1b}[2J".into()]]), "A\nx\u{fffd}[2J\n");
    }

    #[test]
    fn text_that_turns_its_surroundings_around_is_not_shown() {
        assert_eq!(render(&["A"], &[vec!["\u{202e}gpj.exe\u{2028}".into()]]), "A\n\u{fffd}gpj.exe\u{fffd}\n");
    }

    #[test]
    fn a_text_keeps_its_line_ends_and_nothing_else_that_moves_the_terminal() {
        assert_eq!(harmless_lines("a\r\n\u{202e}b\u{1b}\n"), "a\u{fffd}\n\u{fffd}b\u{fffd}\n");
    }
}
