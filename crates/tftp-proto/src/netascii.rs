//! Netascii as RFC 764 and RFC 1350 §1 want it: LF travels as CR LF, CR as CR NUL. The whole content is converted at
//! once, so no pair is ever judged across a block edge.

use crate::limits::NETASCII_BYTES_MAX;

/// The content as it travels. `None` when it is longer than [`NETASCII_BYTES_MAX`].
pub fn encode(content: &[u8]) -> Option<Vec<u8>> {
    if content.len() > NETASCII_BYTES_MAX {
        return None;
    }
    let mut sent = Vec::with_capacity(content.len() + content.len() / 16);
    for &byte in content {
        match byte {
            b'\n' => sent.extend(b"\r\n"),
            b'\r' => sent.extend(b"\r\0"),
            other => sent.push(other),
        }
    }
    Some(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t17_line_ends_and_bare_carriage_returns_are_converted_wherever_they_stand() {
        assert_eq!(encode(b"a\nb\rc\r\n\n").unwrap(), b"a\r\nb\r\0c\r\0\r\n\r\n");
        let mut long = vec![b'x'; 511];
        long.push(b'\n');
        let sent = encode(&long).unwrap();
        assert_eq!(sent.len(), 513, "the pair straddles the edge of block 1");
        assert_eq!(&sent[511..], b"\r\n");
    }

    #[test]
    fn content_too_long_to_convert_is_refused() {
        assert!(encode(&vec![0; NETASCII_BYTES_MAX]).is_some());
        assert!(encode(&vec![0; NETASCII_BYTES_MAX + 1]).is_none());
    }
}
