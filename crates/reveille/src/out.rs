//! Standard output. A reader that went away (`| head`) ends the command without a complaint.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// Writes text as it is.
macro_rules! put {
    ($($text:tt)*) => { $crate::out::write(format_args!($($text)*)) };
}

/// Writes a line.
macro_rules! putln {
    ($($text:tt)*) => { $crate::out::write(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {put, putln};

pub(crate) fn write(text: Arguments<'_>) {
    ended(std::io::stdout().write_fmt(text));
}

/// Writes bytes as they are.
pub(crate) fn put_bytes(bytes: &[u8]) {
    ended(std::io::stdout().write_all(bytes));
}

fn ended(outcome: std::io::Result<()>) {
    match outcome {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("error[R-CLI-04] cannot write the result\n  cause  {error}");
            std::process::exit(1);
        }
    }
}
