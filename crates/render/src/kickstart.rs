//! A look at an ESXi kickstart before a machine runs it: what the installer would stop at, and what it would do silently.
//!
//! It reads rendered text. Jinja that is left in it is taken for a value that fits, so a template as it is written does
//! not raise false alarms either; what depends on it (commands given twice, commands missing) is then not told.
//! What is deliberately absent: running anything, and a view on what the scripts in the sections do.
//!
//! Findings never carry a password.
//!
//! Sources: "Installation and Upgrade Script Commands" of ESXi 5.5, 8.0 and 9.0. An option that is in none of them and
//! near none of theirs is a warning, since another release may know it.

mod commands;

use crate::template::nearest;
use commands::{COMMANDS, Command, OF_ANACONDA, Value};
use std::collections::BTreeMap;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// It installs, though perhaps not as meant.
    Warning,
    /// The installation stops there, or never starts.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One thing that was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// Line from 1; 0 when something is missing in the whole.
    pub line: u32,
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub message: String,
    /// What to do.
    pub fix: Option<String>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = self.severity.as_str();
        match self.line {
            0 => write!(f, "{severity}: {}", self.message),
            line => write!(f, "{severity}: line {line}: {}", self.message),
        }
    }
}

/// What is known of the machines that will run it. `None` is not known: then both cases are told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Target {
    /// Major release of ESXi.
    pub major: Option<u32>,
    /// Whether they boot with Secure Boot.
    pub secure_boot: Option<bool>,
}

/// Findings in the order of their lines, those of the whole first. Empty means nothing was found.
pub fn lint(text: &str, target: Target) -> Vec<Finding> {
    let (text, templated) = without_jinja(text);
    let mut lint = Lint { target, templated, ..Lint::default() };
    let mut section: Option<Section> = None;
    for (line, raw) in (1_u32..).zip(text.lines()) {
        lint.line = line;
        let words = raw.trim();
        if let Some(body) = &section {
            if !words.starts_with('%') {
                lint.script(body, raw);
                continue;
            }
            if COMMANDS.iter().all(|command| !command.is(first_word(words))) {
                let message = format!(
                    "`{}` ends the section: so does every line that starts with %",
                    first_word(words)
                );
                lint.error(message, "ESXi has no %end; put another sign before a % at the start of a line");
                continue;
            }
            section = None;
        }
        if words.is_empty() || words.starts_with('#') {
            continue;
        }
        match split(raw) {
            Ok(words) => {
                let mut words = words.into_iter();
                let Some(name) = words.next() else { continue };
                section = lint.command(&name, words.collect());
            }
            Err(quote) => lint.error(format!("a {quote} is not closed"), "close it, or leave it out"),
        }
    }
    lint.whole();
    lint.findings.sort();
    lint.findings
}

/// A `%pre`, `%post` or `%firstboot` whose body is read.
struct Section {
    busybox: bool,
}

/// The value that stands for Jinja: it fits everywhere.
const ANY: char = '\u{fffc}';

/// Puts [`ANY`] for every expression, drops tags and comments but keeps the lines. The flag says whether there were any.
fn without_jinja(text: &str) -> (String, bool) {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut templated = false;
    while let Some(open) = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
        let (before, tag) = rest.split_at(open);
        let (close, stand_in) = match tag.as_bytes().get(1) {
            Some(b'{') => ("}}", Some(ANY)),
            Some(b'%') => ("%}", None),
            _ => ("#}", None),
        };
        plain.push_str(before);
        // Without its end it is no Jinja: `${#name}` of a shell.
        let Some(end) = tag.get(2..).and_then(|inner| inner.find(close)).map(|end| end + 4) else {
            plain.push_str(tag.get(..2).unwrap_or(""));
            rest = tag.get(2..).unwrap_or("");
            continue;
        };
        templated = true;
        plain.extend(stand_in);
        plain.extend(tag.get(..end).unwrap_or("").chars().filter(|char| *char == '\n'));
        rest = tag.get(end..).unwrap_or("");
    }
    plain.push_str(rest);
    (plain, templated)
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or("")
}

/// The command of a piece of shell, behind keywords.
fn shell_command(piece: &str) -> &str {
    let keyword = ["if", "then", "else", "elif", "while", "until", "do", "!", "exec", "time"];
    piece.split_whitespace().find(|word| !keyword.contains(word)).unwrap_or("")
}

/// Splits a line as Python's `shlex` does, comments included. The error is the quote that is not closed.
fn split(line: &str) -> Result<Vec<String>, char> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), _) if char == open => quote = None,
            (Some('"') | None, '\\') => {
                if let Some(escaped) = chars.next() {
                    word.get_or_insert_default().push(escaped);
                }
            }
            (Some(_), _) => word.get_or_insert_default().push(char),
            (None, '"' | '\'') => {
                word.get_or_insert_default();
                quote = Some(char);
            }
            (None, '#') if word.is_none() => break,
            (None, _) if char.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    quote.map_or(Ok(words), Err)
}

/// A command as it was given.
struct Given {
    options: BTreeMap<String, String>,
    values: Vec<String>,
    /// An option was not known: it may be a misspelt one, so nothing is missed.
    slipped: bool,
}

impl Given {
    fn has(&self, option: &str) -> bool {
        self.options.contains_key(option)
    }

    /// The value of an option, unless Jinja stands in it.
    fn value(&self, option: &str) -> Option<&str> {
        self.options.get(option).map(String::as_str).filter(|value| !value.contains(ANY))
    }
}

#[derive(Default)]
struct Lint {
    target: Target,
    templated: bool,
    line: u32,
    findings: Vec<Finding>,
    /// First line of each command, by its first name.
    seen: BTreeMap<&'static str, u32>,
    action: Option<&'static str>,
}

impl Lint {
    fn add(&mut self, severity: Severity, message: impl Into<String>, fix: impl Into<String>) {
        let (line, fix) = (self.line, Some(fix.into()));
        self.findings.push(Finding { line, severity, message: message.into(), fix });
    }

    fn error(&mut self, message: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Error, message, fix);
    }

    fn warning(&mut self, message: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Warning, message, fix);
    }

    fn command(&mut self, name: &str, words: Vec<String>) -> Option<Section> {
        if name.contains(ANY) {
            return None;
        }
        let Some(command) = COMMANDS.iter().find(|command| command.is(name)) else {
            self.unknown(name);
            return None;
        };
        let given = self.options(command, words);
        let first = command.first();
        if let Some(line) = self.seen.get(first).copied().filter(|_| !self.templated && !command.repeats) {
            self.error(format!("`{first}` is given twice, first in line {line}"), "leave one");
        }
        self.seen.entry(first).or_insert(self.line);
        match first {
            "install" | "upgrade" | "installorupgrade" => self.action(first, &given),
            "network" => self.network(&given),
            "part" => self.disk_of(&given, &["ondisk", "ondrive", "onfirstdisk"], "part"),
            "clearpart" => {
                let disks = ["drives", "alldrives", "ignoredrives", "firstdisk"];
                if !disks.iter().any(|option| given.has(option)) {
                    self.error("`clearpart` names no disk", "give --firstdisk, --drives= or --alldrives");
                }
            }
            "rootpw" => self.rootpw(&given),
            "serialnum" => self.serialnum(&given),
            "dryrun" => self.warning(
                "`dryrun` checks the script and installs nothing",
                "leave it out for an installation",
            ),
            "%firstboot" if self.target.secure_boot != Some(false) => self.firstboot(),
            _ => {}
        }
        let is_section = matches!(first, "%pre" | "%post" | "%firstboot");
        is_section.then(|| Section {
            busybox: given.options.get("interpreter").is_none_or(|name| name == "busybox"),
        })
    }

    fn unknown(&mut self, name: &str) {
        let names: Vec<&str> = COMMANDS.iter().flat_map(|command| command.names).copied().collect();
        let fix = match nearest(name, &names) {
            _ if OF_ANACONDA.contains(&name) => {
                format!("`{name}` is Anaconda's, whose files are templates of kind kickstart; leave it out")
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => "scripts stand in %pre, %post or %firstboot".to_owned(),
        };
        self.error(format!("there is no command `{}`", shown(name)), fix);
    }

    /// Sorts words into options and values and checks each against the table.
    fn options(&mut self, command: &Command, words: Vec<String>) -> Given {
        let mut given = Given { options: BTreeMap::new(), values: Vec::new(), slipped: false };
        let name = command.first();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let Some(option) = word.strip_prefix("--") else {
                given.values.push(word);
                continue;
            };
            let (key, mut value) = match option.split_once('=') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => (option, None),
            };
            if key.contains(ANY) {
                continue;
            }
            let Some((_, kind)) = command.options.iter().find(|(known, _)| *known == key) else {
                self.unknown_option(command, key);
                given.slipped = true;
                continue;
            };
            if value.is_none() && kind.needs_value() {
                value = words.next_if(|next| !next.starts_with("--"));
            }
            self.value(name, key, *kind, value.as_deref());
            given.options.insert(key.to_owned(), value.unwrap_or_default());
        }
        let jinja = given.values.iter().any(|value| value.contains(ANY));
        let (least, most) = command.values;
        if given.values.len() < least && !jinja {
            self.error(format!("`{name}` lacks its value"), format!("write `{}`", command.usage));
        } else if given.values.len() > most && !jinja {
            let extra = given.values.get(most).map_or("", String::as_str);
            let message = match name {
                // It may be the tail of a password.
                "rootpw" => "`rootpw` has more than one value".to_owned(),
                _ => format!("`{name}` takes no value `{}`", shown(extra)),
            };
            self.error(message, format!("write `{}`", command.usage));
        }
        given
    }

    fn unknown_option(&mut self, command: &Command, key: &str) {
        let names: Vec<&str> = command.options.iter().map(|(name, _)| *name).collect();
        let message = format!("`{}` has no option `--{}`", command.first(), shown(key));
        match nearest(key, &names) {
            Some(near) => self.error(message, format!("did you mean `--{near}`?")),
            None if names.is_empty() => self.warning(message, "leave it out"),
            None => self.warning(message, format!("it has --{}", names.join(", --"))),
        }
    }

    fn value(&mut self, name: &str, key: &str, kind: Value, value: Option<&str>) {
        if value.is_some_and(|value| value.contains(ANY)) {
            return;
        }
        let value = value.unwrap_or("");
        if value.is_empty() && kind.needs_value() {
            self.error(format!("`--{key}` of `{name}` has no value"), format!("give {}", kind.wants()));
        } else if !kind.fits(value) {
            let message = format!("`{}` is no value of `--{key}`", shown(value));
            self.error(message, format!("give {}", kind.wants()));
        }
    }

    fn action(&mut self, name: &'static str, given: &Given) {
        match self.action {
            Some(first) if first != name && !self.templated => {
                self.error(format!("`{name}` and `{first}` exclude each other"), "leave one");
            }
            _ => self.action = Some(name),
        }
        self.disk_of(given, &["disk", "drive", "firstdisk", "systemdisk"], name);
        for (left, right) in [("overwritevmfs", "preservevmfs"), ("novmfsondisk", "preservevmfs")] {
            if given.has(left) && given.has(right) {
                self.error(format!("`--{left}` and `--{right}` exclude each other"), "leave one");
            }
        }
    }

    /// Exactly one of some options says which disk.
    fn disk_of(&mut self, given: &Given, options: &[&str], name: &str) {
        let there: Vec<&&str> = options.iter().filter(|option| given.has(option)).collect();
        match there.as_slice() {
            [] if given.slipped => {}
            [] if self.templated && given.values.iter().any(|value| value.contains(ANY)) => {}
            [] => self.error(format!("`{name}` names no disk"), format!("give --{}", options.join(", --"))),
            [_] => {}
            [first, second, ..] => {
                self.error(format!("`--{first}` and `--{second}` exclude each other"), "leave one");
            }
        }
    }

    fn network(&mut self, given: &Given) {
        let fixed = ["ip", "netmask", "gateway"];
        // Jinja in the middle of a line may bring options of its own.
        let open = given.values.iter().any(|value| value.contains(ANY));
        match given.options.get("bootproto").map(String::as_str) {
            Some("static") if !open => {
                let lacks: Vec<&str> = fixed.into_iter().filter(|option| !given.has(option)).collect();
                if !lacks.is_empty() {
                    let message = format!("`--bootproto=static` lacks --{}", lacks.join(" and --"));
                    self.error(message, "give --ip=, --netmask= and --gateway=");
                }
                self.addresses(given);
            }
            Some("static") => {}
            Some("dhcp") | None if !open => {
                if let Some(option) = fixed.iter().find(|option| given.has(option)) {
                    let message = format!("`--{option}` has no effect without --bootproto=static");
                    self.error(message, "give --bootproto=static, or leave it out");
                }
            }
            _ => {}
        }
    }

    fn addresses(&mut self, given: &Given) {
        let address = |option| given.value(option).and_then(|text| text.parse::<std::net::Ipv4Addr>().ok());
        let (Some(ip), Some(mask), Some(gateway)) = (address("ip"), address("netmask"), address("gateway"))
        else {
            return;
        };
        let of = |address: std::net::Ipv4Addr| u32::from(address) & u32::from(mask);
        if of(ip) != of(gateway) {
            self.error(
                format!("gateway {gateway} is not in the network of {ip} with netmask {mask}"),
                "the host would reach nothing; correct one of the three",
            );
        }
    }

    fn rootpw(&mut self, given: &Given) {
        let Some(value) = given.values.first().filter(|value| !value.contains(ANY)) else { return };
        let make = "make one with `reveille passwd`";
        match (given.has("iscrypted"), commands::crypt_fault(value)) {
            (true, Some(fault)) => self.error(format!("the value of `rootpw --iscrypted` {fault}"), make),
            (true, None) => {}
            (false, None) => self.error(
                "`rootpw` has a hash and not --iscrypted: the hash would be the password",
                "add --iscrypted",
            ),
            (false, Some(_)) => self.warning(
                "the root password stands in the script as it is",
                format!("give --iscrypted and a hash; {make}"),
            ),
        }
    }

    fn serialnum(&mut self, given: &Given) {
        if !given.has("esx") {
            self.error("`serialnum` lacks --esx=", "give --esx=XXXXX-XXXXX-XXXXX-XXXXX-XXXXX");
        }
        let fix = "assign licences in vCenter; leave it out";
        match self.target.major {
            Some(9..) => self.error("`serialnum` is gone in ESXi 9.0", fix),
            None => self.warning("`serialnum` is gone in ESXi 9.0; older releases take it", fix),
            Some(_) => {}
        }
    }

    fn firstboot(&mut self) {
        let message = "`%firstboot` is not run under Secure Boot";
        let fix = "do in %post what has to happen on every machine, the completion call above all";
        match self.target.secure_boot {
            Some(true) => self.error(message, fix),
            _ => self.warning(message, fix),
        }
    }

    fn script(&mut self, section: &Section, line: &str) {
        let code = line.trim_start();
        if !section.busybox || code.starts_with('#') {
            return;
        }
        let starts = code.split([';', '|', '&', '(', '`', '{']).map(shell_command);
        if starts.clone().any(|word| word == "curl" || word.ends_with("/curl")) {
            self.warning("ESXi has no curl", "use wget of busybox, or --interpreter=python with urllib");
        }
        if starts.clone().any(|word| word == "wget") && code.contains("https://") {
            self.warning(
                "busybox wget speaks little TLS and checks no certificate",
                "fetch it by http, or with --interpreter=python and urllib",
            );
        }
    }

    /// What only the end can tell: commands that are not there.
    fn whole(&mut self) {
        self.line = 0;
        let has = |name| self.seen.contains_key(name);
        if self.templated || has("include") {
            // They may come from there.
            return;
        }
        let (eula, reboot, rootpw) = (has("accepteula"), has("reboot"), has("rootpw"));
        if !eula {
            self.error("`accepteula` is missing: the installer stops to ask", "add a line `accepteula`");
        }
        match self.action {
            None => self.error(
                "none of `install`, `upgrade` and `installorupgrade` is there",
                "add one, such as `install --firstdisk --overwritevmfs`",
            ),
            Some("install" | "installorupgrade") if !rootpw => {
                self.error(
                    "`rootpw` is missing",
                    "add `rootpw --iscrypted …`; make the hash with `reveille passwd`",
                );
            }
            Some(_) => {}
        }
        if !reboot {
            self.warning(
                "`reboot` is missing: the installer waits for a key when it is done",
                "add a line `reboot`",
            );
        }
    }
}

/// A word of the script, for display.
fn shown(word: &str) -> String {
    word.chars().map(|char| if char.is_control() { '?' } else { char }).take(40).collect()
}

#[cfg(test)]
mod tests;
