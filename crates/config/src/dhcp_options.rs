//! DHCP options an operator may set: which codes, and how a typed value becomes bytes (RFC 2132 §2).

use crate::file::OptionTypeFile;
use crate::limits::OPTION_BYTES_MAX;
use std::net::Ipv4Addr;

/// Codes that reveille sets itself, with what to use instead.
const OURS: [(u8, &str); 26] = [
    (1, "it follows from `network`"),
    (3, "use `router`"),
    (6, "use `dns`"),
    (12, "use `hostname` of a reservation"),
    (15, "use `domain`"),
    (43, "it steers PXE clients and is set for each of them"),
    (50, "only clients send it"),
    (51, "use `lease_time`"),
    (52, "it is set when a reply needs it"),
    (53, "it is the message type"),
    (54, "it is the server's own address"),
    (55, "only clients send it"),
    (56, "it is set when a request is refused"),
    (57, "only clients send it"),
    (58, "it follows from the lease time"),
    (59, "it follows from the lease time"),
    (60, "it is set for each machine"),
    (61, "only clients send it"),
    (66, "use `next_server`"),
    (67, "use `boot.loaders`"),
    (77, "only clients send it"),
    (82, "it belongs to relay agents"),
    (93, "only clients send it"),
    (94, "only clients send it"),
    (97, "it is echoed to each machine"),
    (175, "it is set for iPXE"),
];

/// Reads an option code: 1..=254, and not one of ours.
pub(crate) fn code(text: &str) -> Result<u8, String> {
    let code = text
        .parse::<u8>()
        .ok()
        .filter(|code| (1..=254).contains(code) && !text.starts_with(['+', '0']))
        .ok_or_else(|| "is not an option code; codes are 1 to 254".to_owned())?;
    match OURS.iter().find(|(ours, _)| *ours == code) {
        Some((_, instead)) => Err(format!("cannot be set here; {instead}")),
        None => Ok(code),
    }
}

/// Encodes the values one after another. The error is what the text should have been.
pub(crate) fn encode(kind: OptionTypeFile, values: &[String]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend(one(kind, value).ok_or_else(|| format!("`{value}` is not {}", noun(kind)))?);
        if bytes.len() > OPTION_BYTES_MAX {
            return Err(format!("the value is longer than {OPTION_BYTES_MAX} bytes"));
        }
    }
    if bytes.is_empty() {
        return Err("the value is empty".to_owned());
    }
    Ok(bytes)
}

fn noun(kind: OptionTypeFile) -> &'static str {
    match kind {
        OptionTypeFile::Ipv4 => "an IPv4 address",
        OptionTypeFile::Text => "text",
        OptionTypeFile::U8 => "a number from 0 to 255",
        OptionTypeFile::U16 => "a number from 0 to 65535",
        OptionTypeFile::U32 => "a number from 0 to 4294967295",
        OptionTypeFile::I32 => "a number from -2147483648 to 2147483647",
        OptionTypeFile::Bool => "true or false",
        OptionTypeFile::Hex => "hex pairs such as 01:0a:ff",
    }
}

fn one(kind: OptionTypeFile, value: &str) -> Option<Vec<u8>> {
    Some(match kind {
        OptionTypeFile::Ipv4 => value.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
        OptionTypeFile::Text => value.as_bytes().to_vec(),
        OptionTypeFile::U8 => value.parse::<u8>().ok()?.to_be_bytes().to_vec(),
        OptionTypeFile::U16 => value.parse::<u16>().ok()?.to_be_bytes().to_vec(),
        OptionTypeFile::U32 => value.parse::<u32>().ok()?.to_be_bytes().to_vec(),
        OptionTypeFile::I32 => value.parse::<i32>().ok()?.to_be_bytes().to_vec(),
        OptionTypeFile::Bool => vec![match value {
            "true" => 1,
            "false" => 0,
            _ => return None,
        }],
        OptionTypeFile::Hex => {
            let digits = value.replace(':', "");
            let pairs = digits.as_bytes().chunks(2);
            pairs
                .map(|pair| match pair {
                    [high, low] => {
                        let digit = |byte: u8| (byte as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
                        Some(digit(*high)? << 4 | digit(*low)?)
                    }
                    _ => None,
                })
                .collect::<Option<Vec<u8>>>()?
        }
    })
}

#[cfg(test)]
mod tests;
