//! The loader's own options, and the words it adds to the kernel's.

use super::{Machine, Release, Start, path};

/// What the words on the loader's command line say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Words {
    /// `-c`.
    pub(super) config: Option<String>,
    /// `-A`, 9.0.
    pub(super) modules: Vec<String>,
    /// `-q`, 9.0: added to every GET of a URL.
    pub(super) query: String,
    /// `-E` and `-e`, seconds.
    pub(super) err_timeout: Option<u32>,
    /// `-b`, from 8.0.
    pub(super) blksize: Option<u16>,
    /// What is left over.
    pub(super) kernel: Vec<String>,
}

/// The folder the loader came from, and its words; `None` for words it refuses.
pub(super) fn of(machine: &Machine) -> (String, Option<Words>) {
    let release = machine.release;
    let (folder, words) = match &machine.start {
        Start::UefiTftp { boot_file } => (path::folder(&boot_file.replace('\\', "/")), Vec::new()),
        Start::UefiHttp { url } => (path::folder(url), in_url(release, url)),
        // A loader that iPXE starts does not know where it came from.
        Start::Ipxe { words, .. } => (String::new(), split(words, path::is_blank)),
        Start::Pxelinux { mboot, append } => (path::folder(mboot), split(append, path::is_blank)),
    };
    let rootless = matches!(machine.start, Start::UefiTftp { .. } | Start::Ipxe { .. });
    // Before 9.0 no folder was the root.
    let folder =
        if folder.is_empty() && rootless && release < Release::V9_0 { "/".to_owned() } else { folder };
    (folder, options(release, words))
}

/// Words behind `?` in the last part of the URL, divided by `&` or blanks and percent-encoded: from 8.0.2. A slash that is
/// not encoded makes what follows the last part.
fn in_url(release: Release, url: &str) -> Vec<String> {
    let last = url.rsplit('/').next().unwrap_or_default();
    match last.split_once('?') {
        Some((_, query)) if release >= Release::V8_0_2 => {
            let words = split(query, |char| char == '&' || path::is_blank(char));
            words.iter().map(|word| decoded(word)).collect()
        }
        _ => Vec::new(),
    }
}

fn split(words: &str, divides: impl Fn(char) -> bool) -> Vec<String> {
    let (mut all, mut word, mut quote) = (Vec::new(), String::new(), None);
    for char in words.chars() {
        match quote {
            None if matches!(char, '\'' | '"') => quote = Some(char),
            Some(open) if open == char => quote = None,
            None if divides(char) => {
                if !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(char),
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

fn decoded(word: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), word.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Option letters by release; one with `:` takes an argument.
fn letters(release: Release) -> &'static str {
    match release {
        Release::V7_0_3 => "ac:R:p:S:s:t:VeDHQUFN:",
        Release::V8_0 => "ac:R:p:S:s:t:VeDHQUFN:rb:",
        Release::V8_0_2 => "ac:R:p:S:s:t:VeDHQUN:rb:L:",
        Release::V9_0 => "ac:S:s:t:R:p:E:eVDL:HQUrb:A:q:",
    }
}

/// Options come first; from the first word that is none on, all is the kernel's.
fn options(release: Release, words: Vec<String>) -> Option<Words> {
    let mut read = Words::default();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next_if(|word| word.len() > 1 && word.starts_with('-')) {
        if word == "--" {
            break;
        }
        let mut rest = word.get(1..)?;
        while let Some(letter) = rest.chars().next() {
            rest = rest.get(letter.len_utf8()..)?;
            let at = letters(release).find(letter).filter(|_| letter != ':')?;
            if letters(release).get(at + 1..)?.starts_with(':') {
                let argument = if rest.is_empty() { words.next()? } else { rest.to_owned() };
                take(&mut read, letter, argument)?;
                break;
            }
            if letter == 'e' {
                read.err_timeout = Some(30);
            }
        }
    }
    read.kernel = words.collect();
    Some(read)
}

fn take(read: &mut Words, letter: char, argument: String) -> Option<()> {
    match letter {
        'c' => read.config = Some(argument),
        'A' => read.modules.push(argument),
        'q' => {
            argument.split_once('=')?;
            let and = if read.query.is_empty() { "" } else { "&" };
            read.query.push_str(&format!("{and}{argument}"));
        }
        // Below 0: never.
        'E' => read.err_timeout = u32::try_from(argument.parse::<i32>().ok()?).ok(),
        'b' => read.blksize = argument.parse().ok(),
        _ => {}
    }
    Some(())
}
