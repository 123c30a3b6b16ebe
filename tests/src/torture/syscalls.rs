//! Reads what `strace -f -y -xx` wrote: system calls in the order in which they began and ended.
//!
//! Text and paths are hex escapes only (`-xx`), so a comma or a quote never hides in them. A call that another thread
//! interrupts comes in two halves; its effect lies anywhere between.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Calls that change a disk, and those that say where a file's position is.
pub const WATCHED: &str = "trace=openat,open,creat,read,lseek,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,\
                           fsync,fdatasync,sync_file_range,msync,syncfs,sync,rename,renameat,renameat2,unlink,unlinkat,\
                           rmdir,mkdir,mkdirat,link,linkat,symlink,copy_file_range,sendfile";

/// A system call that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The thread that made it.
    pub thread: u64,
    /// `pwrite64`
    pub name: String,
    /// Its arguments.
    pub args: Vec<Arg>,
    /// What it returned; `None` when it was cut off.
    pub result: Option<i64>,
    /// Place in the order of beginnings and ends where it began.
    pub begun: usize,
    /// Where it ended.
    pub done: usize,
    /// The path of the descriptor it returned.
    pub opened: Option<PathBuf>,
}

/// One argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Arg {
    /// `"…"`, bytes.
    Text(Vec<u8>),
    /// `7<path>`, `AT_FDCWD<path>`.
    File(i64, PathBuf),
    /// Everything else as it stands: `4096`, `O_RDWR|O_CREAT`.
    Other(String),
}

impl Call {
    /// A number.
    pub fn number(&self, at: usize) -> Option<u64> {
        match self.args.get(at)? {
            Arg::Other(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Bytes.
    pub fn text(&self, at: usize) -> Option<&[u8]> {
        match self.args.get(at)? {
            Arg::Text(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Descriptor and its path.
    pub fn file(&self, at: usize) -> Option<(i64, &Path)> {
        match self.args.get(at)? {
            Arg::File(number, path) => Some((*number, path)),
            _ => None,
        }
    }

    /// True when flag words at this place contain `word`.
    pub fn flag(&self, at: usize, word: &str) -> bool {
        matches!(self.args.get(at), Some(Arg::Other(text)) if text.split('|').any(|flag| flag == word))
    }
}

/// `strace` that writes every watched call of a command to `log`, behind what is there, and does what `inject` says.
pub fn recorder(log: &Path, inject: Option<&str>) -> Command {
    let mut command = crate::world::command("strace");
    command.args(["-f", "-y", "-xx", "-s", "33554432", "-A", "-e", WATCHED, "-o"]).arg(log);
    match inject {
        Some(rule) => command.args(["-e", rule]),
        // The filter in the kernel spares most of the time, but strace 6.1 injects no signals behind it (seen).
        None => command.arg("--seccomp-bpf"),
    };
    command
}

/// Reads a log. Calls are in the order of their beginnings.
///
/// # Errors
/// When a line is not understood: an operation we do not know of would make every judgement worthless.
pub fn parse(text: &str) -> Result<Vec<Call>> {
    let mut calls: Vec<Call> = Vec::new();
    let mut waiting: HashMap<&str, (usize, String)> = HashMap::new();
    for (place, line) in text.lines().enumerate() {
        let (thread, rest) = line.split_once(' ').unwrap_or(("", line));
        let rest = rest.trim_start();
        if rest.starts_with("---") || rest.starts_with("+++") {
            continue;
        }
        let fault = || format!("line {} of the trace is not understood: {:.120}", place + 1, line);
        if let Some(rest) = rest.strip_prefix("<... ") {
            let (_, tail) = rest.split_once(" resumed>").with_context(fault)?;
            let (at, head) = waiting.remove(thread).with_context(fault)?;
            let call = calls.get_mut(at).with_context(fault)?;
            finish(call, &format!("{head}{tail}"), place).with_context(fault)?;
            continue;
        }
        let (name, rest) = rest.split_once('(').with_context(fault)?;
        let mut call = Call {
            thread: thread.parse().unwrap_or(0),
            name: name.to_owned(),
            args: Vec::new(),
            result: None,
            begun: place,
            done: usize::MAX,
            opened: None,
        };
        match rest.strip_suffix("<unfinished ...>") {
            Some(head) => {
                call.args = arguments(head.trim_end());
                waiting.insert(thread, (calls.len(), head.trim_end().to_owned()));
            }
            None => finish(&mut call, rest, place).with_context(fault)?,
        }
        calls.push(call);
    }
    Ok(calls)
}

/// `args) = 0` or `args) = 5<path>` or `args) = -1 EIO (…)` or `args) = ?`.
fn finish(call: &mut Call, text: &str, place: usize) -> Option<()> {
    let (args, result) = text.rsplit_once(") = ").or_else(|| text.rsplit_once(')'))?;
    // `= -1 ENOSPC (No space left on device)` ends in a parenthesis of its own.
    let (args, result) = match args.rsplit_once(" = -1 ") {
        Some((args, _)) if result.is_empty() => (args.trim_end().strip_suffix(')')?, "-1"),
        _ => (args.trim_end().trim_end_matches(')'), result.trim_start_matches(['=', ' '])),
    };
    call.args = arguments(args);
    let number: String = result.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    call.result = number.parse().ok();
    // `= ?`: its process was killed in it, and nobody was told that it had ended.
    call.done = call.result.map_or(usize::MAX, |_| place);
    call.opened = result.split_once('<').and_then(|(_, path)| path.strip_suffix('>')).map(path);
    Some(())
}

fn arguments(text: &str) -> Vec<Arg> {
    text.split(", ").filter(|part| !part.is_empty()).map(argument).collect()
}

fn argument(text: &str) -> Arg {
    if let Some(quoted) = text.strip_prefix('"').and_then(|rest| rest.split('"').next()) {
        return Arg::Text(unescape(quoted));
    }
    match text.split_once('<') {
        Some((number, rest)) => {
            Arg::File(number.parse().unwrap_or(-100), path(rest.strip_suffix('>').unwrap_or(rest)))
        }
        None => Arg::Other(text.to_owned()),
    }
}

fn path(escaped: &str) -> PathBuf {
    let text = String::from_utf8_lossy(&unescape(escaped)).into_owned();
    PathBuf::from(text.trim_end_matches(" (deleted)"))
}

/// `\x68\x69` is `hi`; what is not escaped stands for itself.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(1..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, tail.first(), byte) {
            (b'\\', Some(b'x'), Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"12 openat(AT_FDCWD<\x2f\x74>, "\x2f\x74\x2f\x61", O_WRONLY|O_CREAT|O_CLOEXEC, 0600) = 3<\x2f\x74\x2f\x61>
12 pwrite64(3<\x2f\x74\x2f\x61>, "\x68\x69", 2, 512 <unfinished ...>
13 fdatasync(4<\x2f\x74\x2f\x62>) = 0
12 <... pwrite64 resumed>) = 2
13 fdatasync(4<\x2f\x74\x2f\x62>) = -1 EIO (Input/output error)
13 --- SIGCHLD {si_signo=SIGCHLD} ---
13 write(1<\x70\x69\x70\x65>, "\x61\x63\x6b\x65\x64\x20\x37\x0a", 8) = 8
13 fsync(4<\x2f\x74\x2f\x62>) = ?
12 unlink("\x2f\x74\x2f\x61" <unfinished ...>
13 +++ exited with 0 +++
"#;

    #[test]
    fn calls_are_read_with_their_beginning_and_end() {
        let calls = parse(LOG).unwrap();
        let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["openat", "pwrite64", "fdatasync", "fdatasync", "write", "fsync", "unlink"]);
        assert_eq!(calls[0].opened.as_deref(), Some(Path::new("/t/a")));
        assert!(calls[0].flag(2, "O_CREAT") && !calls[0].flag(2, "O_TRUNC"));
        assert_eq!((calls[1].begun, calls[1].done, calls[1].result), (1, 3, Some(2)));
        assert_eq!((calls[1].text(1), calls[1].number(3)), (Some(&b"hi"[..]), Some(512)));
        assert_eq!(calls[1].file(0), Some((3, Path::new("/t/a"))));
        assert_eq!((calls[2].result, calls[3].result), (Some(0), Some(-1)));
        assert_eq!(calls[4].text(1), Some(&b"acked 7\n"[..]));
        assert_eq!((calls[5].result, calls[5].done), (None, usize::MAX));
        assert_eq!((calls[6].result, calls[6].done), (None, usize::MAX));
    }

    #[test]
    fn a_line_that_is_no_call_is_no_trace() {
        assert!(parse("12 what is this\n").is_err());
    }
}
