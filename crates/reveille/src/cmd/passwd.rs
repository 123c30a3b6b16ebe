//! `reveille passwd`: the hash of a password, for answer files. Works alone; the password is never an argument, since
//! arguments can be read by every user of a machine.

use super::api::print_json;
use crate::cli::{Global, Output, Passwd};
use crate::failure::{Exit, Failure};
use crate::out::putln;
use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use serde_json::json;
use sha_crypt::{PasswordHasher, ShaCrypt};
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

/// Longest password: glibc and libxcrypt refuse more (`CRYPT_MAX_PASSPHRASE_SIZE`).
const PASSWORD_BYTES_MAX: usize = 511;

/// Random bytes of the salt: twelve are 16 characters. `ShaCrypt::hash_password` takes more, of which libcrypt reads only
/// the first 16 characters, so that its hash fits no password.
const SALT_BYTES: usize = 12;

/// What the terminal sends for Ctrl-C, in the place of a signal that would leave it without echo.
const INTERRUPT: u8 = 3;

pub(crate) fn command(global: &Global, asked: &Passwd) -> Result<ExitCode, Failure> {
    let stdin = io::stdin();
    let password = if asked.stdin {
        line(&mut stdin.lock())?
    } else if stdin.is_terminal() {
        let password = ask("Password: ")?;
        if ask("Again: ")? != password {
            return Err(Failure::new("R-PWD-02", "the two passwords differ").exit(Exit::Usage));
        }
        password
    } else {
        return Err(Failure::new("R-PWD-01", "cannot ask for a password: standard input is no terminal")
            .fix("give it with --stdin: one line on standard input")
            .exit(Exit::Usage));
    };
    let hash = hash(&fitting(&password)?, &salt()?)?;
    match global.output {
        Output::Json => print_json(&json!({ "hash": hash })),
        Output::Table | Output::Otlp => putln!("{hash}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// SHA-512 crypt as libcrypt writes it.
fn hash(password: &[u8], salt: &[u8; SALT_BYTES]) -> Result<String, Failure> {
    match ShaCrypt::SHA512.hash_password_with_salt(password, salt) {
        Ok(hash) => Ok(hash.as_str().to_owned()),
        Err(error) => Err(Failure::new("R-PWD-04", "cannot hash the password").cause(error)),
    }
}

fn salt() -> Result<[u8; SALT_BYTES], Failure> {
    let mut salt = [0; SALT_BYTES];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut salt))
        .map_err(|error| Failure::new("R-PWD-04", "cannot make a salt: /dev/urandom").cause(error))?;
    Ok(salt)
}

/// Refuses what nobody could type at a console, or no libcrypt would take.
fn fitting(password: &str) -> Result<Vec<u8>, Failure> {
    let why = if password.is_empty() {
        "it is empty"
    } else if password.len() > PASSWORD_BYTES_MAX {
        "it has more than 511 bytes"
    } else if password.chars().any(char::is_control) {
        "it has a control character in it"
    } else {
        return Ok(password.as_bytes().to_vec());
    };
    Err(Failure::new("R-PWD-03", "the password cannot be used").cause(why).exit(Exit::Usage))
}

/// One line without its end.
fn line(from: &mut impl BufRead) -> Result<String, Failure> {
    let unreadable = |error: io::Error| Failure::new("R-PWD-03", "cannot read the password").cause(error);
    let mut text = String::new();
    // Room for what `fitting` tells to be too long.
    let most = PASSWORD_BYTES_MAX as u64 + 3;
    from.take(most).read_line(&mut text).map_err(unreadable)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// A line from the terminal that is not shown. The terminal is put back on every way out, Ctrl-C included.
fn ask(prompt: &str) -> Result<String, Failure> {
    let stdin = io::stdin();
    let _quiet = Quiet::new(&stdin)?;
    eprint!("{prompt}");
    let _ = io::stderr().flush();
    let mut bytes = Vec::new();
    let mut byte = [0];
    let mut stdin = stdin.lock();
    loop {
        match stdin.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => match byte {
                [b'\n'] => break,
                [INTERRUPT] => {
                    eprintln!();
                    return Err(Failure::new("R-PWD-05", "interrupted"));
                }
                [other] => bytes.push(other),
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::new("R-PWD-03", "cannot read the password").cause(error)),
        }
        if bytes.len() > PASSWORD_BYTES_MAX + 1 {
            break;
        }
    }
    eprintln!();
    String::from_utf8(bytes).map_err(|_| {
        Failure::new("R-PWD-03", "the password cannot be used").cause("it is not UTF-8").exit(Exit::Usage)
    })
}

/// A terminal that shows nothing of what is typed, until it is dropped.
struct Quiet<'a> {
    stdin: &'a io::Stdin,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(stdin: &'a io::Stdin) -> Result<Quiet<'a>, Failure> {
        let failed = |error| Failure::new("R-PWD-01", "cannot switch the terminal's echo off").cause(error);
        let before = termios::tcgetattr(stdin).map_err(failed)?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ISIG);
        // Ends the line at once, as Enter does.
        if let Some(end) = quiet.control_chars.get_mut(SpecialCharacterIndices::VEOL as usize) {
            *end = INTERRUPT;
        }
        termios::tcsetattr(stdin, SetArg::TCSAFLUSH, &quiet).map_err(failed)?;
        Ok(Quiet { stdin, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(self.stdin, SetArg::TCSAFLUSH, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_salt_is_one_that_libcrypt_reads_to_its_end() {
        for salt in [[0; SALT_BYTES], [0xff; SALT_BYTES], *b"\0\x01\x02\x03\xfc\xfd\xfe\xff____"] {
            let hash = hash(b"secret", &salt).unwrap();
            let parts: Vec<&str> = hash.split('$').collect();
            let (salt, digest) = (parts[parts.len() - 2], parts[parts.len() - 1]);
            assert_eq!((parts[1], salt.len(), digest.len()), ("6", 16, 86), "{hash}");
        }
    }

    #[test]
    fn a_password_that_nobody_could_type_is_refused() {
        for bad in ["", "a\nb", "a\0b", "\u{1b}[A", &"x".repeat(512)] {
            assert!(fitting(bad).is_err(), "{bad:?}");
        }
        assert!(fitting(&"x".repeat(511)).is_ok());
        assert_eq!(line(&mut "  two words \r\nmore".as_bytes()).unwrap(), "  two words ");
        assert_eq!(line(&mut "no end".as_bytes()).unwrap(), "no end");
        assert!(fitting(&line(&mut "x".repeat(9999).as_bytes()).unwrap()).is_err());
    }
}
