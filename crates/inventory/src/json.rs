//! JSON as Kea reads it: with comments (`//`, `#`, `/* */`), commas before a closing bracket, `<?include "file"?>`, and
//! with the line of every value, which is why no general library reads it.
//!
//! Bounded: [`DEPTH_MAX`] levels, [`JSON_VALUES_MAX`] values. Lenient only where Kea is; anything else is an error with its
//! line.

use crate::limits::{DEPTH_MAX, JSON_VALUES_MAX};
use crate::text::shown;

/// A value and the line it begins on.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) value: Value,
}

/// A JSON value. Numbers stay text: none is reckoned with.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Null,
    Bool,
    Number,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key; the last when it stands twice.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().rev().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The values of a list under a key; none when there is no list.
    pub(crate) fn list(&self, key: &str) -> &[Node] {
        self.get(key).map(Node::items).unwrap_or_default()
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }
}

/// Why a text is no JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NoJson {
    pub(crate) line: u32,
    pub(crate) message: String,
    pub(crate) limit: bool,
}

/// A text and the files it includes, each with its line.
pub(crate) type Read = (Node, Vec<(u32, String)>);

/// Reads one value and nothing behind it.
pub(crate) fn read(text: &str) -> Result<Read, NoJson> {
    let mut reader = Reader { rest: text, line: 1, values: 0, includes: Vec::new() };
    let node = reader.value(0)?;
    reader.skip()?;
    match reader.peek() {
        None => Ok((node, reader.includes)),
        Some(_) => Err(reader.error("something stands behind the end of the value")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: u32,
    values: usize,
    includes: Vec<(u32, String)>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes this many bytes, which end at a character.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line = self.line.saturating_add(crate::text::line_of(taken.as_bytes()) - 1);
        taken
    }

    fn error(&self, message: &str) -> NoJson {
        NoJson { line: self.line, message: message.to_owned(), limit: false }
    }

    fn limit(&self, message: String) -> NoJson {
        NoJson { line: self.line, message, limit: true }
    }

    /// Blanks, comments and includes.
    fn skip(&mut self) -> Result<(), NoJson> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                match self.rest.find("*/") {
                    Some(end) => self.take(end + 2),
                    None => return Err(self.error("the comment that begins here is not closed")),
                };
            } else if self.rest.starts_with("<?") {
                let line = self.line;
                let Some(end) = self.rest.find("?>") else {
                    return Err(self.error("`<?` is not closed by `?>`"));
                };
                let inner = self.take(end + 2);
                self.includes.push((line, inner.split('"').nth(1).unwrap_or_default().to_owned()));
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, NoJson> {
        if depth > DEPTH_MAX {
            return Err(self.limit(format!("values are nested deeper than {DEPTH_MAX}")));
        }
        self.values += 1;
        if self.values > JSON_VALUES_MAX {
            return Err(self.limit(format!("there are more than {JSON_VALUES_MAX} values")));
        }
        let includes = self.includes.len();
        self.skip()?;
        let line = self.line;
        let value = match self.peek() {
            Some('{') => self.map(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Value::Text(self.text()?),
            // What an include stands for is not known; the rest is read all the same.
            Some(',' | '}' | ']') | None if self.includes.len() > includes => Value::Null,
            Some(_) => self.word()?,
            None => return Err(self.error("the text ends where a value should be")),
        };
        Ok(Node { line, value })
    }

    fn word(&mut self) -> Result<Value, NoJson> {
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
        let length = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        let word = self.take(length);
        let number = word.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        match word {
            "true" | "false" => Ok(Value::Bool),
            "null" => Ok(Value::Null),
            _ if number && word.parse::<f64>().is_ok() => Ok(Value::Number),
            _ => Err(self.error(&format!("`{}` is no JSON value", shown(self.or_next(word))))),
        }
    }

    fn or_next<'b>(&'b self, word: &'b str) -> &'b str {
        let next = self.peek().map_or(0, char::len_utf8);
        if word.is_empty() { self.rest.get(..next).unwrap_or_default() } else { word }
    }

    fn list(&mut self, depth: usize) -> Result<Value, NoJson> {
        self.take(1);
        let mut items = Vec::new();
        loop {
            self.skip()?;
            if self.rest.starts_with(']') {
                self.take(1);
                return Ok(Value::List(items));
            }
            items.push(self.value(depth + 1)?);
            self.comma(']')?;
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, NoJson> {
        self.take(1);
        let mut entries = Vec::new();
        loop {
            self.skip()?;
            if self.rest.starts_with('}') {
                self.take(1);
                return Ok(Value::Map(entries));
            }
            if !self.rest.starts_with('"') {
                return Err(self.error("a key in quotes or `}` should stand here"));
            }
            let key = self.text()?;
            self.skip()?;
            if !self.rest.starts_with(':') {
                return Err(self.error(&format!("`:` is missing behind the key `{}`", shown(&key))));
            }
            self.take(1);
            entries.push((key, self.value(depth + 1)?));
            self.comma('}')?;
        }
    }

    /// A comma, or the end that follows.
    fn comma(&mut self, end: char) -> Result<(), NoJson> {
        self.skip()?;
        match self.peek() {
            Some(',') => {
                self.take(1);
                Ok(())
            }
            Some(next) if next == end => Ok(()),
            _ => Err(self.error(&format!("`,` or `{end}` should stand here"))),
        }
    }

    fn text(&mut self) -> Result<String, NoJson> {
        self.take(1);
        let mut text = String::new();
        loop {
            let plain = self.rest.find(['"', '\\', '\n']).unwrap_or(self.rest.len());
            text.push_str(self.take(plain));
            match self.peek() {
                Some('"') => {
                    self.take(1);
                    return Ok(text);
                }
                Some('\\') => {
                    self.take(1);
                    text.push(self.escape()?);
                }
                _ => return Err(self.error("the quote that begins on this line is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, NoJson> {
        let escape = self.peek();
        self.take(escape.map_or(0, char::len_utf8));
        let c = match escape {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let first = self.unit()?;
                let second = if (0xd800..0xdc00).contains(&first) && self.rest.starts_with("\\u") {
                    self.take(2);
                    Some(self.unit()?)
                } else {
                    None
                };
                let units = std::iter::once(first).chain(second);
                let decoded: Result<String, _> = char::decode_utf16(units).collect();
                let decoded = decoded.ok().and_then(|text| text.chars().next());
                return decoded.ok_or_else(|| self.error("`\\u` does not name a character"));
            }
            Some(c @ ('"' | '\\' | '/')) => c,
            _ => return Err(self.error("`\\` is followed by no escape that JSON knows")),
        };
        Ok(c)
    }

    fn unit(&mut self) -> Result<u16, NoJson> {
        let digits = self.take(4.min(self.rest.len()));
        let all_hex = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let unit = all_hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten();
        unit.ok_or_else(|| self.error("`\\u` needs four hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        read(text).unwrap().0.value
    }

    #[test]
    fn what_kea_allows_beyond_json_is_read() {
        let text = "// one\n# two\n/* three\n four */ { \"a\": [1, -2.5e3, true, null,], # five\n \"b\": \"x\\u00e4\\n\\\"\", }";
        let (node, includes) = read(text).unwrap();
        assert_eq!(node.line, 4);
        assert_eq!(node.list("a").len(), 4);
        assert_eq!(node.text("b"), Some("xä\n\""));
        assert!(includes.is_empty());
        assert_eq!(value("\"\\ud83d\\ude00\""), Value::Text("😀".to_owned()));
    }

    #[test]
    fn includes_are_told_and_stand_for_nothing() {
        let (node, includes) =
            read("{ \"a\": <?include \"x.json\"?>,\n \"b\": [ <?include \"y.json\"?> ] }").unwrap();
        assert_eq!(includes, [(1, "x.json".to_owned()), (2, "y.json".to_owned())]);
        assert_eq!(node.get("a").map(|node| &node.value), Some(&Value::Null));
        assert!(node.list("b").is_empty());
    }

    #[test]
    fn what_is_no_json_is_an_error_on_its_line() {
        for (text, line) in [
            ("", 1),
            ("{\n\"a\" 1}", 2),
            ("{\n\n\"a\": 1 \"b\": 2}", 3),
            ("[1,,2]", 1),
            ("{a: 1}", 1),
            ("[\"\n\"]", 1),
            ("[1] x", 1),
            ("/* x", 1),
            ("<? x", 1),
            ("\"\\q\"", 1),
            ("\"\\u12\"", 1),
            ("\"\\ud800\"", 1),
            ("[tru]", 1),
            ("[\u{e4}]", 1),
            ("{\"a\": 1", 1),
        ] {
            assert_eq!(read(text).unwrap_err().line, line, "{text:?}");
        }
    }

    #[test]
    fn depth_ends() {
        let deep = "[".repeat(100_000);
        assert!(read(&deep).unwrap_err().limit);
        let fits = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert!(read(&fits).is_ok());
    }
}
