//! Words for screens and URLs: the only ways a value may enter a script.

/// Columns of a text console, less one so that no line wraps by itself.
pub const SCREEN_COLUMNS: usize = 79;

/// Most lines one message may take on the machine's screen.
pub const SCREEN_LINES_MAX: usize = 6;

/// Makes a text harmless on a machine's screen: printable ASCII without `$ # & | " \` and backquotes, anything else is
/// `?`, so it is neither a setting, nor the end of a command, nor a comment, nor a control sequence.
pub fn screen(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '$' | '#' | '&' | '|' | '"' | '`' | '\\' => '?',
            ' '..='~' => char,
            _ => '?',
        })
        .collect()
}

/// Breaks a cleaned text at blanks into lines of at most [`SCREEN_COLUMNS`]; what is beyond
/// [`SCREEN_LINES_MAX`] lines is cut.
pub fn screen_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in screen(text).split_ascii_whitespace() {
        // A lone `;` would end the command; a word of more than a line is cut.
        let word: String = word.chars().take(SCREEN_COLUMNS).collect();
        let word = if word == ";" { ",".to_owned() } else { word };
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= SCREEN_COLUMNS => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines.truncate(SCREEN_LINES_MAX);
    lines
}

/// A file name as the path of a URL (RFC 3986 §3.3): everything but unreserved bytes and `/` is percent-encoded, so
/// the result has no blank, no `$`, no `#` and no `;`.
pub fn url_path(name: &str) -> String {
    let mut path = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests;
