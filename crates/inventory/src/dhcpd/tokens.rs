//! Words, strings and marks of dhcpd.conf with their lines.

/// One token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token<'a> {
    /// Anything between blanks and marks: a keyword, an address, an operator.
    Word(&'a str),
    /// What stands between quotes; escapes are left as they are.
    Text(&'a str),
    /// `{`
    Open,
    /// `}`
    Close,
    /// `;`
    End,
    /// A quote without its other half on the line.
    Broken,
}

impl<'a> Token<'a> {
    /// The word, or the text between quotes.
    pub(super) fn text(&self) -> Option<&'a str> {
        match *self {
            Token::Word(text) | Token::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Walks over a text. Commas stay in the words they follow.
pub(super) struct Tokens<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Tokens<'a> {
        Tokens { rest: text, line: 1 }
    }

    /// Takes this many bytes, which end at a character.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line = self.line.saturating_add(crate::text::line_of(taken.as_bytes()) - 1);
        taken
    }

    fn skip_blank(&mut self) {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if !self.rest.starts_with('#') {
                return;
            }
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (u32, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_blank();
        let line = self.line;
        let token = match self.rest.chars().next()? {
            '{' => {
                self.take(1);
                Token::Open
            }
            '}' => {
                self.take(1);
                Token::Close
            }
            ';' => {
                self.take(1);
                Token::End
            }
            '"' => {
                self.take(1);
                match closing_quote(self.rest) {
                    Some(length) => {
                        let text = self.take(length);
                        self.take(1);
                        Token::Text(text)
                    }
                    None => {
                        self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
                        Token::Broken
                    }
                }
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"' | '#');
                Token::Word(self.take(self.rest.find(ends).unwrap_or(self.rest.len())))
            }
        };
        Some((line, token))
    }
}

/// Bytes before the quote that ends a string, on the same line.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_strings_marks_and_comments() {
        let text = "# a {\nhost \"a \\\" b\" { x y; } # end\n\"open\nlast";
        let read: Vec<(u32, Token<'_>)> = Tokens::new(text).collect();
        assert_eq!(
            read,
            [
                (2, Token::Word("host")),
                (2, Token::Text("a \\\" b")),
                (2, Token::Open),
                (2, Token::Word("x")),
                (2, Token::Word("y")),
                (2, Token::End),
                (2, Token::Close),
                (3, Token::Broken),
                (4, Token::Word("last")),
            ]
        );
    }
}
