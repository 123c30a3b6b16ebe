//! The part of BER that LDAP uses (RFC 4511 §5.1): definite lengths, tags of one byte.

/// Bytes that are not what they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Broken;

/// `SEQUENCE`.
pub(crate) const SEQUENCE: u8 = 0x30;
/// `SET`.
pub(crate) const SET: u8 = 0x31;
/// `BOOLEAN`.
pub(crate) const BOOLEAN: u8 = 0x01;
/// `INTEGER`.
pub(crate) const INTEGER: u8 = 0x02;
/// `OCTET STRING`.
pub(crate) const OCTETS: u8 = 0x04;
/// `ENUMERATED`.
pub(crate) const ENUMERATED: u8 = 0x0a;

/// Tag, length, content.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    let length = content.len().to_be_bytes();
    match u8::try_from(content.len()) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let digits: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
            // At most eight bytes of length.
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            out.extend(digits);
        }
    }
    out.extend_from_slice(content);
    out
}

/// Several parts inside one tag.
pub(crate) fn nested(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(tag, &parts.concat())
}

/// A number that is not negative.
pub(crate) fn number(tag: u8, value: u32) -> Vec<u8> {
    let mut digits: Vec<u8> = value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    // The first bit is the sign.
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        digits.insert(0, 0);
    }
    tlv(tag, &digits)
}

/// Octets.
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(OCTETS, bytes)
}

/// True or false.
pub(crate) fn boolean(value: bool) -> Vec<u8> {
    tlv(BOOLEAN, &[if value { 0xff } else { 0 }])
}

/// What stands at the head of bytes: header length and content length. `None` while the header is not whole.
pub(crate) fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Broken> {
    let Some((tag, rest)) = bytes.split_first() else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        return Err(Broken);
    }
    let Some((first, rest)) = rest.split_first() else { return Ok(None) };
    if first & 0x80 == 0 {
        return Ok(Some((2, usize::from(*first))));
    }
    let count = usize::from(first & 0x7f);
    // 0 would be an indefinite length, which LDAP forbids; four bytes count four gigabytes.
    if !(1..=4).contains(&count) {
        return Err(Broken);
    }
    let Some(digits) = rest.get(..count) else { return Ok(None) };
    let length = digits.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
    Ok(Some((2 + count, length)))
}

/// Reads values one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value whatever it is: tag and content.
    pub(crate) fn next(&mut self) -> Result<(u8, &'a [u8]), Broken> {
        let (head, length) = header(self.0)?.ok_or(Broken)?;
        let end = head.checked_add(length).ok_or(Broken)?;
        let content = self.0.get(head..end).ok_or(Broken)?;
        let tag = self.peek().ok_or(Broken)?;
        self.0 = self.0.get(end..).unwrap_or_default();
        Ok((tag, content))
    }

    /// The content of the next value, which has this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Broken> {
        match self.next()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(Broken),
        }
    }

    /// What is inside the next value.
    pub(crate) fn inside(&mut self, tag: u8) -> Result<Reader<'a>, Broken> {
        self.expect(tag).map(Reader)
    }

    /// A number of this tag that is not negative and fits 31 bits (`MessageID`, `resultCode`, sizes).
    pub(crate) fn number(&mut self, tag: u8) -> Result<u32, Broken> {
        let content = self.expect(tag)?;
        let negative = content.first().is_none_or(|first| first & 0x80 != 0);
        if negative || content.len() > 4 {
            return Err(Broken);
        }
        Ok(content.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_the_fewest_bytes_and_no_sign() {
        for (value, bytes) in [
            (0u32, &[2u8, 1, 0][..]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (500, &[2, 2, 1, 0xf4]),
            (0x7fff_ffff, &[2, 4, 0x7f, 0xff, 0xff, 0xff]),
        ] {
            assert_eq!(number(INTEGER, value), bytes);
            assert_eq!(Reader(bytes).number(INTEGER), Ok(value));
        }
        assert_eq!(Reader(&[2, 1, 0xff]).number(INTEGER), Err(Broken));
        assert_eq!(Reader(&[2, 0]).number(INTEGER), Err(Broken));
        assert_eq!(Reader(&[2, 5, 0, 1, 1, 1, 1]).number(INTEGER), Err(Broken));
    }

    #[test]
    fn lengths_are_definite() {
        assert_eq!(header(&[0x30, 0x80]), Err(Broken));
        assert_eq!(header(&[0x30, 0x85, 1, 1, 1, 1, 1]), Err(Broken));
        assert_eq!(header(&[0x3f, 1]), Err(Broken));
        assert_eq!(header(&[0x30, 0x82, 1]), Ok(None));
        assert_eq!(header(&[0x30, 0x82, 1, 0]), Ok(Some((4, 256))));
        assert_eq!(Reader(&[0x30, 5, 1]).next(), Err(Broken));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(byte: u8, length in prop_oneof![0usize..300, 65_000usize..70_000]) {
            let content = vec![byte; length];
            let bytes = octets(&content);
            let mut reader = Reader(&bytes);
            prop_assert_eq!(reader.expect(OCTETS), Ok(&content[..]));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader(&bytes);
            while reader.next().is_ok() {}
            let _ = Reader(&bytes).number(INTEGER);
        }
    }
}
