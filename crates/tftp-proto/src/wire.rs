//! Packets, both ways.
//!
//! ```text
//! RRQ 1, WRQ 2   opcode(2) name NUL mode NUL [option NUL value NUL]…     RFC 1350 §5, RFC 2347 §3
//! DATA 3         opcode(2) block(2) 0..=blksize bytes
//! ACK 4          opcode(2) block(2)
//! ERROR 5        opcode(2) code(2) text NUL
//! OACK 6         opcode(2) [option NUL value NUL]…
//! ```
//! Numbers are big-endian. Tolerated: bytes after an ACK, an ERROR without its NUL, NULs after the last option.

use crate::limits::{ERROR_TEXT_BYTES_MAX, NAME_BYTES_MAX, OPTIONS_MAX, REQUEST_BYTES_MAX};

const RRQ: u16 = 1;
const WRQ: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;

/// Bytes before the payload of a DATA packet.
pub const DATA_HEADER_BYTES: u16 = 4;

/// Error codes (RFC 1350 appendix, RFC 2347 for 8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCode {
    /// 0: see the text.
    NotDefined,
    /// 1.
    FileNotFound,
    /// 2.
    AccessViolation,
    /// 3.
    DiskFull,
    /// 4.
    IllegalOperation,
    /// 5.
    UnknownTransferId,
    /// 8: the options do not suit; firmware also ends a size probe with it.
    OptionNegotiation,
}

impl ErrorCode {
    /// The number on the wire.
    pub fn number(self) -> u16 {
        match self {
            ErrorCode::NotDefined => 0,
            ErrorCode::FileNotFound => 1,
            ErrorCode::AccessViolation => 2,
            ErrorCode::DiskFull => 3,
            ErrorCode::IllegalOperation => 4,
            ErrorCode::UnknownTransferId => 5,
            ErrorCode::OptionNegotiation => 8,
        }
    }
}

/// How the content travels. Names are caseless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// As it is.
    Octet,
    /// Lines end in CR LF, a bare CR travels as CR NUL.
    Netascii,
    /// Obsolete (RFC 1350 §1).
    Mail,
}

/// Option names and values as written.
pub type Options<'a> = Vec<(&'a [u8], &'a [u8])>;

/// A read or write request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// 1..=255 bytes, any characters but NUL.
    pub name: &'a str,
    /// Transfer mode.
    pub mode: Mode,
    /// Option names and values as written, in order, no name twice. At most 16.
    pub options: Options<'a>,
}

/// A decoded packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packet<'a> {
    /// Read.
    Rrq(Request<'a>),
    /// Write.
    Wrq(Request<'a>),
    /// A block.
    Data {
        /// Block number, wrapping.
        block: u16,
        /// Its bytes.
        data: &'a [u8],
    },
    /// Everything up to `block` arrived.
    Ack {
        /// Block number, wrapping; 0 answers an OACK.
        block: u16,
    },
    /// The other side gave up.
    Error {
        /// As received; any number.
        code: u16,
        /// As received, without the NUL.
        text: &'a [u8],
    },
    /// Accepted options.
    Oack(Options<'a>),
}

/// Bytes that are no TFTP, or a request we do not accept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the packet needs.
    #[error("packet of {bytes} bytes is too short")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// No such packet.
    #[error("unknown opcode {opcode}")]
    UnknownOpcode {
        /// What stood there.
        opcode: u16,
    },
    /// An OACK whose options are malformed.
    #[error("malformed option acknowledgement")]
    BadOack,
    /// A request longer than 512 bytes.
    #[error("request of {bytes} bytes is too long")]
    RequestTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A text without its end.
    #[error("text without NUL")]
    MissingNul,
    /// An empty file name.
    #[error("empty file name")]
    EmptyName,
    /// A file name longer than 255 bytes.
    #[error("file name of {bytes} bytes is too long")]
    NameTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A file name that is not UTF-8.
    #[error("file name is not UTF-8")]
    NameNotText,
    /// Neither octet, netascii nor mail.
    #[error("unknown transfer mode")]
    UnknownMode,
    /// More than 16.
    #[error("too many options")]
    TooManyOptions,
    /// RFC 2347 §3: an option may stand only once.
    #[error("repeated option")]
    RepeatedOption,
}

impl DecodeError {
    /// Stable reason code.
    pub fn reason(self) -> &'static str {
        match self {
            DecodeError::TooShort { .. } => "too_short",
            DecodeError::UnknownOpcode { .. } => "unknown_opcode",
            DecodeError::BadOack => "bad_oack",
            DecodeError::RequestTooLong { .. } => "request_too_long",
            DecodeError::MissingNul => "missing_nul",
            DecodeError::EmptyName => "empty_name",
            DecodeError::NameTooLong { .. } => "name_too_long",
            DecodeError::NameNotText => "name_not_text",
            DecodeError::UnknownMode => "unknown_mode",
            DecodeError::TooManyOptions => "too_many_options",
            DecodeError::RepeatedOption => "repeated_option",
        }
    }

    /// The ERROR a bad *request* earns; `None` for bytes that are no request, which are never answered.
    pub fn answer(self) -> Option<ErrorCode> {
        match self {
            DecodeError::TooShort { .. } | DecodeError::UnknownOpcode { .. } | DecodeError::BadOack => None,
            DecodeError::RequestTooLong { .. } | DecodeError::MissingNul | DecodeError::UnknownMode => {
                Some(ErrorCode::IllegalOperation)
            }
            DecodeError::EmptyName | DecodeError::NameTooLong { .. } | DecodeError::NameNotText => {
                Some(ErrorCode::FileNotFound)
            }
            DecodeError::TooManyOptions | DecodeError::RepeatedOption => Some(ErrorCode::OptionNegotiation),
        }
    }
}

/// True for bytes that may earn an answer: those that begin like a read or write request.
pub fn is_request(bytes: &[u8]) -> bool {
    number(bytes).is_some_and(|(opcode, _)| matches!(opcode, RRQ | WRQ))
}

/// Reads one packet.
///
/// # Errors
/// See [`DecodeError`]; never panics and keeps nothing.
pub fn decode(bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let short = DecodeError::TooShort { bytes: bytes.len() };
    let (opcode, rest) = number(bytes).ok_or(short)?;
    match opcode {
        RRQ => request(bytes.len(), rest).map(Packet::Rrq),
        WRQ => request(bytes.len(), rest).map(Packet::Wrq),
        DATA => number(rest).map(|(block, data)| Packet::Data { block, data }).ok_or(short),
        ACK => number(rest).map(|(block, _)| Packet::Ack { block }).ok_or(short),
        ERROR => {
            let (code, text) = number(rest).ok_or(short)?;
            Ok(Packet::Error { code, text: text.split(|&byte| byte == 0).next().unwrap_or_default() })
        }
        OACK => options(rest).map(Packet::Oack).map_err(|_| DecodeError::BadOack),
        _ => Err(DecodeError::UnknownOpcode { opcode }),
    }
}

fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*number), rest))
}

fn text(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let end = bytes.iter().position(|&byte| byte == 0).ok_or(DecodeError::MissingNul)?;
    let (text, rest) = bytes.split_at_checked(end).ok_or(DecodeError::MissingNul)?;
    Ok((text, rest.get(1..).unwrap_or_default()))
}

fn request(total_bytes: usize, bytes: &[u8]) -> Result<Request<'_>, DecodeError> {
    if total_bytes > REQUEST_BYTES_MAX {
        return Err(DecodeError::RequestTooLong { bytes: total_bytes });
    }
    let (name, rest) = text(bytes)?;
    if name.is_empty() {
        return Err(DecodeError::EmptyName);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(DecodeError::NameTooLong { bytes: name.len() });
    }
    let name = std::str::from_utf8(name).map_err(|_| DecodeError::NameNotText)?;
    let (mode, rest) = text(rest)?;
    let mode = match mode {
        mode if mode.eq_ignore_ascii_case(b"octet") => Mode::Octet,
        mode if mode.eq_ignore_ascii_case(b"netascii") => Mode::Netascii,
        mode if mode.eq_ignore_ascii_case(b"mail") => Mode::Mail,
        _ => return Err(DecodeError::UnknownMode),
    };
    Ok(Request { name, mode, options: options(rest)? })
}

fn options(mut bytes: &[u8]) -> Result<Options<'_>, DecodeError> {
    let mut found = Options::new();
    while bytes.iter().any(|&byte| byte != 0) {
        let (name, rest) = text(bytes)?;
        let (value, rest) = text(rest)?;
        if found.len() >= OPTIONS_MAX {
            return Err(DecodeError::TooManyOptions);
        }
        if found.iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            return Err(DecodeError::RepeatedOption);
        }
        found.push((name, value));
        bytes = rest;
    }
    Ok(found)
}

/// The four bytes before the payload of a block.
pub fn data_header(block: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (DATA.to_be_bytes(), block.to_be_bytes());
    [a, b, c, d]
}

/// An ACK.
pub fn ack(block: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (ACK.to_be_bytes(), block.to_be_bytes());
    [a, b, c, d]
}

/// An ERROR. The text is cut to [`ERROR_TEXT_BYTES_MAX`] bytes at a character, control bytes become `?`.
pub fn error(code: ErrorCode, text: &str) -> Vec<u8> {
    error_number(code.number(), text)
}

/// An ERROR with any number, for model clients.
pub fn error_number(code: u16, text: &str) -> Vec<u8> {
    let mut packet = Vec::with_capacity(5 + text.len().min(ERROR_TEXT_BYTES_MAX));
    packet.extend(ERROR.to_be_bytes());
    packet.extend(code.to_be_bytes());
    packet.extend(clean_text(text).bytes());
    packet.push(0);
    packet
}

/// Text fit for an ERROR or a log: no control characters, at most [`ERROR_TEXT_BYTES_MAX`] bytes.
pub fn clean_text(text: &str) -> String {
    let mut clean = String::new();
    for character in text.chars() {
        let character = if character.is_control() { '?' } else { character };
        if clean.len() + character.len_utf8() > ERROR_TEXT_BYTES_MAX {
            break;
        }
        clean.push(character);
    }
    clean
}

/// An OACK with these names and values.
pub fn oack<'a>(options: impl IntoIterator<Item = (&'a [u8], String)>) -> Vec<u8> {
    let mut packet = OACK.to_be_bytes().to_vec();
    for (name, value) in options {
        packet.extend(name);
        packet.push(0);
        packet.extend(value.bytes());
        packet.push(0);
    }
    packet
}

/// A read request, for model clients and tests.
pub fn read_request(name: &str, mode: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = RRQ.to_be_bytes().to_vec();
    for text in [name, mode].into_iter().chain(options.iter().flat_map(|(name, value)| [*name, *value])) {
        packet.extend(text.bytes());
        packet.push(0);
    }
    packet
}

#[cfg(test)]
mod tests;
