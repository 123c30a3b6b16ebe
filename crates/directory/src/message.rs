//! LDAP messages (RFC 4511 §4): requests we write, answers we read.

use crate::ber::{
    BOOLEAN, Broken, ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE, SET, boolean, header, nested, number,
    octets, tlv,
};
use crate::filter::Filter;
use crate::limits::{COOKIE_BYTES_MAX, MESSAGE_BYTES_MAX, REFERRALS_MAX, VALUES_MAX};
use inventory::wds::Entry;

/// Paged results (RFC 2696).
const PAGED: &[u8] = b"1.2.840.113556.1.4.319";
/// StartTLS (RFC 4511 §4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// How deep a search goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// The base itself.
    Base,
    /// Everything below it, and it.
    Subtree,
}

/// A search to be asked.
pub(crate) struct Search<'a> {
    pub(crate) base: &'a str,
    pub(crate) scope: Scope,
    pub(crate) filter: &'a Filter,
    pub(crate) attributes: &'a [&'a str],
    /// For the server, in seconds; 0 is none.
    pub(crate) seconds: u32,
    /// Page size and the cookie of the page before; `None` for a search that fits one answer.
    pub(crate) page: Option<(u32, &'a [u8])>,
}

fn message(id: u32, parts: &[Vec<u8>]) -> Vec<u8> {
    nested(SEQUENCE, &[vec![number(INTEGER, id)], parts.to_vec()].concat())
}

/// BindRequest, simple.
pub(crate) fn bind(id: u32, dn: &str, password: &str) -> Vec<u8> {
    let request = [number(INTEGER, 3), octets(dn.as_bytes()), tlv(0x80, password.as_bytes())];
    message(id, &[nested(0x60, &request)])
}

/// ExtendedRequest for StartTLS.
pub(crate) fn start_tls(id: u32) -> Vec<u8> {
    message(id, &[nested(0x77, &[tlv(0x80, START_TLS)])])
}

/// UnbindRequest: the polite end.
pub(crate) fn unbind(id: u32) -> Vec<u8> {
    message(id, &[tlv(0x42, &[])])
}

/// SearchRequest.
pub(crate) fn search(id: u32, search: &Search<'_>) -> Vec<u8> {
    let attributes: Vec<Vec<u8>> = search.attributes.iter().map(|name| octets(name.as_bytes())).collect();
    let scope = match search.scope {
        Scope::Base => 0,
        Scope::Subtree => 2,
    };
    let request = [
        octets(search.base.as_bytes()),
        number(ENUMERATED, scope),
        // Aliases are never followed.
        number(ENUMERATED, 0),
        // The bound on entries is ours: a server's would count over all pages or over one, as it likes.
        number(INTEGER, 0),
        number(INTEGER, search.seconds),
        boolean(false),
        search.filter.encoded().to_vec(),
        nested(SEQUENCE, &attributes),
    ];
    let mut parts = vec![nested(0x63, &request)];
    if let Some((size, cookie)) = search.page {
        let value = nested(SEQUENCE, &[number(INTEGER, size), octets(cookie)]);
        // Critical: a server that ignored it would cut the answer at its own limit.
        let control = nested(SEQUENCE, &[octets(PAGED), boolean(true), octets(&value)]);
        parts.push(nested(0xa0, &[control]));
    }
    message(id, &parts)
}

/// What a server said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    /// Of the request; 0 is a notice nobody asked for.
    pub(crate) id: u32,
    pub(crate) op: Op,
    /// Cookie of the next page; empty on the last, `None` without the control.
    pub(crate) cookie: Option<Vec<u8>>,
}

/// The kinds of answers that are awaited.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Bound(Outcome),
    Entry(Entry),
    Referral(Vec<String>),
    Done(Outcome),
    Extended(Outcome),
    /// Something else, of this tag.
    Other(u8),
}

/// `LDAPResult`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    pub(crate) code: u32,
    pub(crate) matched: String,
    pub(crate) diagnostic: String,
    pub(crate) referrals: Vec<String>,
}

/// Why there is no message yet, or never will be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Frame {
    /// More bytes are needed.
    Partial,
    /// A message of this many bytes is there.
    Whole(usize),
    /// A message of this many bytes would come.
    TooLong(usize),
}

/// Looks whether bytes begin with a whole message.
pub(crate) fn frame(bytes: &[u8]) -> Result<Frame, Broken> {
    if bytes.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err(Broken);
    }
    Ok(match header(bytes)? {
        None => Frame::Partial,
        Some((head, length)) => match head.checked_add(length) {
            Some(total) if total <= MESSAGE_BYTES_MAX => {
                if bytes.len() < total {
                    Frame::Partial
                } else {
                    Frame::Whole(total)
                }
            }
            _ => Frame::TooLong(length),
        },
    })
}

/// Reads one whole message.
pub(crate) fn decode(bytes: &[u8]) -> Result<Message, Broken> {
    let mut message = Reader(bytes).inside(SEQUENCE)?;
    let id = message.number(INTEGER)?;
    let (tag, content) = message.next()?;
    let mut op = Reader(content);
    let op = match tag {
        0x61 => Op::Bound(outcome(&mut op)?),
        0x64 => Op::Entry(entry(&mut op)?),
        0x65 => Op::Done(outcome(&mut op)?),
        0x73 => Op::Referral(texts(op)?),
        0x78 => Op::Extended(outcome(&mut op)?),
        other => Op::Other(other),
    };
    // Active Directory puts the name of its last notice ([10]) where controls stand.
    let cookie = match message.peek() {
        Some(0xa0) => cookie(message.inside(0xa0)?)?,
        _ => None,
    };
    Ok(Message { id, op, cookie })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn outcome(op: &mut Reader<'_>) -> Result<Outcome, Broken> {
    let code = op.number(ENUMERATED)?;
    let matched = text(op.expect(OCTETS)?);
    let diagnostic = text(op.expect(OCTETS)?);
    let referrals = match op.peek() {
        Some(0xa3) => texts(op.inside(0xa3)?)?,
        _ => Vec::new(),
    };
    Ok(Outcome { code, matched, diagnostic, referrals })
}

fn texts(mut list: Reader<'_>) -> Result<Vec<String>, Broken> {
    let mut texts = Vec::new();
    while !list.is_empty() {
        let one = list.expect(OCTETS)?;
        if texts.len() < REFERRALS_MAX {
            texts.push(text(one));
        }
    }
    Ok(texts)
}

fn entry(op: &mut Reader<'_>) -> Result<Entry, Broken> {
    let dn = text(op.expect(OCTETS)?);
    let mut list = op.inside(SEQUENCE)?;
    let mut attributes = Vec::new();
    while !list.is_empty() {
        let mut attribute = list.inside(SEQUENCE)?;
        let name = text(attribute.expect(OCTETS)?);
        let mut values = attribute.inside(SET)?;
        // A range may be empty at first: its name alone says that more is to come.
        if values.is_empty() && name.contains(';') {
            attributes.push((name.clone(), Vec::new()));
        }
        while !values.is_empty() {
            attributes.push((name.clone(), values.expect(OCTETS)?.to_vec()));
            if attributes.len() > VALUES_MAX {
                return Err(Broken);
            }
        }
    }
    Ok(Entry { line: 0, dn, attributes })
}

/// The cookie of the paged results control, when it is among the controls.
fn cookie(mut controls: Reader<'_>) -> Result<Option<Vec<u8>>, Broken> {
    let mut found = None;
    while !controls.is_empty() {
        let mut control = controls.inside(SEQUENCE)?;
        let kind = control.expect(OCTETS)?;
        if control.peek() == Some(BOOLEAN) {
            control.expect(BOOLEAN)?;
        }
        if kind == PAGED {
            let mut value = Reader(control.expect(OCTETS)?).inside(SEQUENCE)?;
            // An estimate of the whole; nobody needs it.
            value.expect(INTEGER)?;
            let cookie = value.expect(OCTETS)?;
            if cookie.len() > COOKIE_BYTES_MAX {
                return Err(Broken);
            }
            found = Some(cookie.to_vec());
        }
    }
    Ok(found)
}

#[cfg(test)]
pub(crate) mod tests;
