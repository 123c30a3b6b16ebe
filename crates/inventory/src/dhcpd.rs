//! `dhcpd.conf` of ISC DHCP: its `host` declarations, wherever they stand.
//!
//! Only the grammar's skeleton is read: words, strings, `;`, `{ }` and comments (dhcpd.conf(5)). Statements and blocks
//! without meaning here are skipped with their nesting; a host inside them is still found, since dhcpd knows host
//! declarations everywhere. `filename` and `next-server` of the blocks around a host count for it as they do there.
//! `include` is reported and not followed: which file it is depends on the machine the server ran on.

mod tokens;

use crate::draft::Draft;
use crate::fault::Code;
use crate::found::{Collector, Found, Options};
use crate::limits::{DEPTH_MAX, STATEMENT_WORDS_MAX};
use crate::text::{decode, shown};
use tokens::{Token, Tokens};

/// Reads the hosts of a dhcpd.conf. `source` names it in messages.
pub fn read(source: &str, bytes: &[u8], options: &Options) -> Found {
    let mut out = Collector::new(source, options);
    match decode(bytes) {
        Ok(text) => Reading::new(&mut out).all(&text),
        Err(error) => out.no_text(error),
    }
    out.finish()
}

/// A block that hosts take values from.
#[derive(Default)]
struct Scope {
    around: Option<usize>,
    group: Option<String>,
    filename: Option<String>,
    next_server: Option<String>,
}

enum Frame {
    Scope(usize),
    /// The statements of a host are its own; those of blocks inside it are conditions and count for nothing.
    Host(Box<Draft>),
    Other,
}

struct Reading<'a> {
    out: &'a mut Collector,
    scopes: Vec<Scope>,
    /// Open blocks with the lines they begin on.
    frames: Vec<(u32, Frame)>,
    /// Hosts and the scope around them, until the scopes are complete.
    hosts: Vec<(Draft, usize)>,
}

impl<'a> Reading<'a> {
    fn new(out: &'a mut Collector) -> Reading<'a> {
        Reading { out, scopes: vec![Scope::default()], frames: Vec::new(), hosts: Vec::new() }
    }

    fn all(mut self, text: &str) {
        let mut statement: Vec<Token<'_>> = Vec::new();
        for (line, token) in Tokens::new(text) {
            match token {
                Token::Open => {
                    if !self.open(line, &statement) {
                        break;
                    }
                    statement.clear();
                }
                Token::End => {
                    self.statement(line, &statement);
                    statement.clear();
                }
                Token::Close => {
                    // What stands before the brace without a semicolon means what it says all the same.
                    self.statement(line, &statement);
                    statement.clear();
                    self.close(line);
                }
                Token::Broken => {
                    let message = "a quote is not closed on its line".to_owned();
                    self.out.fault(Code::Syntax, line, "", message, "check the file with dhcpd -t -cf");
                }
                word if statement.len() < STATEMENT_WORDS_MAX => statement.push(word),
                _ => {}
            }
        }
        if let Some((line, _)) = self.frames.last() {
            let message = "the block that begins here is not closed".to_owned();
            self.out.fault(Code::Syntax, *line, "", message, "check the file with dhcpd -t -cf");
        }
        for (draft, scope) in std::mem::take(&mut self.hosts) {
            if !self.out.has_room() {
                return;
            }
            self.finish(draft, scope);
        }
    }

    fn scope(&self) -> usize {
        let scope = |frame: &(u32, Frame)| match frame.1 {
            Frame::Scope(at) => Some(at),
            _ => None,
        };
        self.frames.iter().rev().find_map(scope).unwrap_or(0)
    }

    fn open(&mut self, line: u32, head: &[Token<'_>]) -> bool {
        if self.frames.len() >= DEPTH_MAX {
            let message = format!("blocks are nested deeper than {DEPTH_MAX}; nothing behind is read");
            self.out.fault(Code::Limit, line, "", message, "");
            return false;
        }
        let word = |at: usize| head.get(at).and_then(Token::text);
        let frame = match word(0).map(str::to_ascii_lowercase).as_deref() {
            Some("host") => Frame::Host(Box::new(Draft::new(line, word(1).unwrap_or_default()))),
            Some("group" | "subnet" | "shared-network" | "pool") => {
                let group = word(1).filter(|_| word(0) == Some("group")).map(str::to_owned);
                let around = Some(self.scope());
                self.scopes.push(Scope { around, group, ..Scope::default() });
                Frame::Scope(self.scopes.len() - 1)
            }
            _ => Frame::Other,
        };
        self.frames.push((line, frame));
        true
    }

    fn close(&mut self, line: u32) {
        match self.frames.pop() {
            Some((_, Frame::Host(draft))) => {
                let scope = self.scope();
                self.hosts.push((*draft, scope));
            }
            Some(_) => {}
            None => {
                let message = "a block is closed that was not opened".to_owned();
                self.out.fault(Code::Syntax, line, "", message, "check the file with dhcpd -t -cf");
            }
        }
    }

    fn statement(&mut self, line: u32, words: &[Token<'_>]) {
        let word = |at: usize| words.get(at).and_then(Token::text);
        let Some(verb) = word(0).map(str::to_ascii_lowercase) else { return };
        if verb == "include" {
            let message = format!("`{}` is included there and not read", shown(word(1).unwrap_or_default()));
            self.out.fault(Code::Include, line, "", message, "import that file, too");
            return;
        }
        let scope = self.scope();
        match self.frames.last_mut() {
            Some((_, Frame::Host(draft))) => {
                // A fault stands where its statement does.
                let begins = std::mem::replace(&mut draft.line, line);
                host_statement(draft, self.out, &verb, words);
                draft.line = begins;
            }
            Some((_, Frame::Other)) => {}
            Some((_, Frame::Scope(_))) | None => {
                let Some(scope) = self.scopes.get_mut(scope) else { return };
                match verb.as_str() {
                    "filename" => scope.filename = word(1).map(str::to_owned),
                    "next-server" => scope.next_server = word(1).map(str::to_owned),
                    _ => {}
                }
            }
        }
    }

    fn finish(&mut self, mut draft: Draft, scope: usize) {
        let mut around = Some(scope);
        while let Some(scope) = around.and_then(|at| self.scopes.get(at)) {
            if draft.served.boot_file.is_none() {
                draft.served.boot_file.clone_from(&scope.filename);
            }
            if draft.served.next_server.is_none() {
                draft.served.next_server.clone_from(&scope.next_server);
            }
            if let Some(group) = scope.group.as_deref() {
                draft.tag(group);
            }
            around = scope.around;
        }
        if draft.entry.is_empty() {
            let message = "the host has no name".to_owned();
            draft.fault(self.out, Code::Syntax, message, "check the file with dhcpd -t -cf");
        }
        draft.name = Some(draft.entry.clone());
        draft.group_of_tags(self.out);
        draft.finish(self.out);
    }
}

fn host_statement(draft: &mut Draft, out: &mut Collector, verb: &str, words: &[Token<'_>]) {
    let word = |at: usize| words.get(at).and_then(Token::text).unwrap_or_default();
    let kept = |text: &str| Some(text.to_owned()).filter(|text| text.len() <= crate::limits::VALUE_BYTES_MAX);
    match verb {
        "hardware" if word(1).eq_ignore_ascii_case("ethernet") => draft.mac(out, word(2)),
        "hardware" => {
            let message = format!("hardware of the kind `{}` cannot be recognised", shown(word(1)));
            draft.fault(out, Code::NotCarried, message, "add the address of an Ethernet port");
        }
        "fixed-address" => {
            let listed = words.iter().skip(1).filter_map(Token::text);
            for address in listed.flat_map(|text| text.split(',')).filter(|text| !text.is_empty()) {
                draft.address(out, address);
            }
        }
        "fixed-address6" | "fixed-prefix6" => {
            draft.common(out, Code::NotCarried, "IPv6 addresses are not reserved", "");
        }
        "filename" => draft.served.boot_file = kept(word(1)),
        "next-server" => draft.served.next_server = kept(word(1)),
        "option" => match word(1).to_ascii_lowercase().as_str() {
            "host-name" => draft.hostname(out, word(2)),
            "dhcp-client-identifier" => client_identifier(draft, out),
            _ => {
                let message = "options of single hosts are not carried";
                draft.common(
                    out,
                    Code::NotCarried,
                    message,
                    "set them for the subnet, or as params of the host",
                );
            }
        },
        "uid" | "host-identifier" => client_identifier(draft, out),
        "deny" | "ignore" if word(1).eq_ignore_ascii_case("booting") => {
            let message = "the old server was told not to boot this machine";
            draft.common(out, Code::NotCarried, message, "pin it to its local disk after the import");
        }
        _ => {}
    }
}

fn client_identifier(draft: &mut Draft, out: &mut Collector) {
    let message = "client identifiers are not used to recognise a machine";
    draft.common(out, Code::NotCarried, message, "hosts are recognised by MAC address, uuid or serial");
}

#[cfg(test)]
mod tests;
