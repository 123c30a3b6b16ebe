//! What PXE, UEFI HTTP boot and iPXE put into options: 43, 60, 77, 93, 94, 97 and 175.
//!
//! Sources: PXE 2.1 §2.2 and §3 (option 43 in a `PXEClient` exchange), RFC 4578 (93, 94, 97), RFC 3004 (77) and what
//! firmware was seen to send. Readers answer `None` to anything odd and never fail a packet; deciding what an arch or a
//! class means is the classifier's job.

use super::options::{Options, code};
use crate::limits::PXE_OPTIONS_BYTES_MAX;
use std::net::Ipv4Addr;
use thiserror::Error;
use types::{ClientArch, MachineGuid};

mod sub {
    pub(super) const DISCOVERY_CONTROL: u8 = 6;
    pub(super) const DISCOVERY_ADDRESS: u8 = 7;
    pub(super) const BOOT_SERVERS: u8 = 8;
    pub(super) const BOOT_MENU: u8 = 9;
    pub(super) const MENU_PROMPT: u8 = 10;
    pub(super) const BOOT_ITEM: u8 = 71;
    pub(super) const END: u8 = 255;
}

/// Option 43, sub-option 6: how a client looks for boot servers. Bits 4..=7 are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DiscoveryControl(pub u8);

impl DiscoveryControl {
    /// Bit 0: no broadcast discovery.
    pub const NO_BROADCAST: DiscoveryControl = DiscoveryControl(1);
    /// Bit 1: no multicast discovery.
    pub const NO_MULTICAST: DiscoveryControl = DiscoveryControl(1 << 1);
    /// Bit 2: only the servers of sub-option 8.
    pub const LISTED_SERVERS_ONLY: DiscoveryControl = DiscoveryControl(1 << 2);
    /// Bit 3: boot the file given in this reply, no menu, no prompt, no discovery.
    pub const BOOT_GIVEN_FILE: DiscoveryControl = DiscoveryControl(1 << 3);

    /// True when all bits of `other` are set.
    pub fn contains(self, other: DiscoveryControl) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Option 43 that says "boot the file you were given": `06 01 08 ff`.
pub const BOOT_GIVEN_FILE: [u8; 4] =
    [sub::DISCOVERY_CONTROL, 1, DiscoveryControl::BOOT_GIVEN_FILE.0, sub::END];

/// Option 175 that says "no proxy offers will follow": sub-option 176 = 1. QUIRK(ipxe-waits-for-proxy). iPXE then asks for the lease at once.
pub const IPXE_NO_PROXY: [u8; 3] = [176, 1, 1];

/// Sub-option 8: one kind of boot server. `kind` u16, count u8, addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootServer {
    /// Boot server type, 0 is PXE bootstrap.
    pub kind: u16,
    /// Where they are, at most 255.
    pub addresses: Vec<Ipv4Addr>,
}

/// Sub-option 9: one line of the menu. `kind` u16, length u8, text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MenuItem {
    /// Boot server type it selects; 0 boots from the local disk.
    pub kind: u16,
    /// What the screen shows.
    pub text: Vec<u8>,
}

/// Sub-option 10: what is shown before the menu.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MenuPrompt {
    /// 0 takes the first item at once, 255 shows the menu and waits.
    pub timeout_secs: u8,
    /// The text.
    pub text: Vec<u8>,
}

/// Sub-option 71: which boot server and layer a client asks for and an ACK on 4011 answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BootItem {
    /// Boot server type.
    pub kind: u16,
    /// Bit 15 asks for credentials (BIS, never trusted and never given), the rest is the layer.
    pub layer: u16,
}

impl BootItem {
    /// True when the client wants credentials.
    pub fn wants_credentials(self) -> bool {
        self.layer & 0x8000 != 0
    }
}

/// Option 43 of a `PXEClient` exchange. Unknown sub-options are passed over.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PxeOptions {
    /// Sub-option 6.
    pub discovery_control: Option<DiscoveryControl>,
    /// Sub-option 7: multicast discovery address.
    pub discovery_address: Option<Ipv4Addr>,
    /// Sub-option 8.
    pub boot_servers: Vec<BootServer>,
    /// Sub-option 9.
    pub menu: Vec<MenuItem>,
    /// Sub-option 10.
    pub prompt: Option<MenuPrompt>,
    /// Sub-option 71.
    pub boot_item: Option<BootItem>,
}

/// Option 43 that is none, or does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PxeError {
    /// A sub-option, or an entry inside one, runs past its end.
    #[error("PXE sub-option {code} runs past the end")]
    Overrun {
        /// Its code.
        code: u8,
    },
    /// A sub-option has a length it cannot have.
    #[error("PXE sub-option {code} of {len} bytes")]
    Length {
        /// Its code.
        code: u8,
        /// Its length.
        len: usize,
    },
    /// More than 255 bytes: old ROMs never join a split option 43.
    #[error("option 43 of {len} bytes is more than 255")]
    TooLong {
        /// Its length.
        len: usize,
    },
}

impl PxeOptions {
    /// Reads the value of option 43. A missing End is tolerated, the last of a repeated sub-option counts.
    ///
    /// # Errors
    /// [`PxeError::Overrun`] and [`PxeError::Length`].
    pub fn decode(value: &[u8]) -> Result<PxeOptions, PxeError> {
        let mut options = PxeOptions::default();
        let mut rest = value;
        while let [code, after @ ..] = rest {
            let code = *code;
            rest = match code {
                0 => after,
                sub::END => break,
                _ => {
                    let (len, body) = after.split_first().ok_or(PxeError::Overrun { code })?;
                    let (value, rest) =
                        body.split_at_checked(usize::from(*len)).ok_or(PxeError::Overrun { code })?;
                    options.take(code, value)?;
                    rest
                }
            };
        }
        Ok(options)
    }

    fn take(&mut self, code: u8, value: &[u8]) -> Result<(), PxeError> {
        let length = PxeError::Length { code, len: value.len() };
        match code {
            sub::DISCOVERY_CONTROL => {
                let [bits] = value else { return Err(length) };
                self.discovery_control = Some(DiscoveryControl(*bits));
            }
            sub::DISCOVERY_ADDRESS => {
                let octets: [u8; 4] = value.try_into().map_err(|_| length)?;
                self.discovery_address = Some(octets.into());
            }
            sub::BOOT_SERVERS => self.boot_servers = boot_servers(value)?,
            sub::BOOT_MENU => self.menu = menu(value)?,
            sub::MENU_PROMPT => {
                let [timeout_secs, text @ ..] = value else { return Err(length) };
                self.prompt = Some(MenuPrompt { timeout_secs: *timeout_secs, text: text.to_vec() });
            }
            sub::BOOT_ITEM => {
                let [a, b, c, d] = value else { return Err(length) };
                let item =
                    BootItem { kind: u16::from_be_bytes([*a, *b]), layer: u16::from_be_bytes([*c, *d]) };
                self.boot_item = Some(item);
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes the value of option 43, ended by 255.
    ///
    /// # Errors
    /// [`PxeError::Length`] when a list or text does not fit its length byte, [`PxeError::TooLong`] for the whole.
    pub fn encode(&self) -> Result<Vec<u8>, PxeError> {
        let mut out = Vec::new();
        if let Some(control) = self.discovery_control {
            put(&mut out, sub::DISCOVERY_CONTROL, &[control.0])?;
        }
        if let Some(address) = self.discovery_address {
            put(&mut out, sub::DISCOVERY_ADDRESS, &address.octets())?;
        }
        if !self.boot_servers.is_empty() {
            let mut value = Vec::new();
            for server in &self.boot_servers {
                value.extend_from_slice(&server.kind.to_be_bytes());
                value.push(length_byte(sub::BOOT_SERVERS, server.addresses.len())?);
                value.extend(server.addresses.iter().flat_map(|address| address.octets()));
            }
            put(&mut out, sub::BOOT_SERVERS, &value)?;
        }
        if !self.menu.is_empty() {
            let mut value = Vec::new();
            for item in &self.menu {
                value.extend_from_slice(&item.kind.to_be_bytes());
                value.push(length_byte(sub::BOOT_MENU, item.text.len())?);
                value.extend_from_slice(&item.text);
            }
            put(&mut out, sub::BOOT_MENU, &value)?;
        }
        if let Some(prompt) = &self.prompt {
            let mut value = vec![prompt.timeout_secs];
            value.extend_from_slice(&prompt.text);
            put(&mut out, sub::MENU_PROMPT, &value)?;
        }
        if let Some(item) = self.boot_item {
            let [a, b] = item.kind.to_be_bytes();
            let [c, d] = item.layer.to_be_bytes();
            put(&mut out, sub::BOOT_ITEM, &[a, b, c, d])?;
        }
        out.push(sub::END);
        if out.len() > PXE_OPTIONS_BYTES_MAX { Err(PxeError::TooLong { len: out.len() }) } else { Ok(out) }
    }
}

fn length_byte(code: u8, len: usize) -> Result<u8, PxeError> {
    u8::try_from(len).map_err(|_| PxeError::Length { code, len })
}

fn put(out: &mut Vec<u8>, code: u8, value: &[u8]) -> Result<(), PxeError> {
    out.push(code);
    out.push(length_byte(code, value.len())?);
    out.extend_from_slice(value);
    Ok(())
}

fn boot_servers(value: &[u8]) -> Result<Vec<BootServer>, PxeError> {
    let overrun = PxeError::Overrun { code: sub::BOOT_SERVERS };
    let mut servers = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let [a, b, count, body @ ..] = rest else { return Err(overrun) };
        let (addresses, after) = body.split_at_checked(usize::from(*count) * 4).ok_or(overrun)?;
        let (addresses, _) = addresses.as_chunks::<4>();
        let addresses = addresses.iter().copied().map(Ipv4Addr::from).collect();
        servers.push(BootServer { kind: u16::from_be_bytes([*a, *b]), addresses });
        rest = after;
    }
    Ok(servers)
}

fn menu(value: &[u8]) -> Result<Vec<MenuItem>, PxeError> {
    let overrun = PxeError::Overrun { code: sub::BOOT_MENU };
    let mut items = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let [a, b, len, body @ ..] = rest else { return Err(overrun) };
        let (text, after) = body.split_at_checked(usize::from(*len)).ok_or(overrun)?;
        items.push(MenuItem { kind: u16::from_be_bytes([*a, *b]), text: text.to_vec() });
        rest = after;
    }
    Ok(items)
}

/// The first word of option 60.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BootClass {
    /// `PXEClient…`
    Pxe,
    /// `HTTPClient…`
    Http,
}

impl BootClass {
    /// The word itself: the vendor class of our replies.
    pub fn as_str(self) -> &'static str {
        match self {
            BootClass::Pxe => "PXEClient",
            BootClass::Http => "HTTPClient",
        }
    }
}

/// Option 60 of a boot client: `PXEClient:Arch:00007:UNDI:003016`. iPXE sends just `PXEClient` to port 4011.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct VendorClass {
    /// First word.
    pub class: BootClass,
    /// Five decimal digits after `Arch:`.
    pub arch: Option<ClientArch>,
    /// Major and minor, three digits each, after `UNDI:`.
    pub undi: Option<(u8, u8)>,
}

impl VendorClass {
    /// Reads a vendor class that begins with `PXEClient` or `HTTPClient`; others are no boot clients.
    pub fn parse(value: &[u8]) -> Option<VendorClass> {
        let (class, rest) = [BootClass::Pxe, BootClass::Http]
            .into_iter()
            .find_map(|class| Some((class, value.strip_prefix(class.as_str().as_bytes())?)))?;
        let mut fields = rest.split(|&byte| matches!(byte, b':' | 0));
        let mut parsed = VendorClass { class, arch: None, undi: None };
        while let Some(field) = fields.next() {
            match field {
                b"Arch" => {
                    parsed.arch = fields.next().and_then(|text| number::<u16>(text, 5)).map(ClientArch)
                }
                b"UNDI" => {
                    let version = fields.next().and_then(|text| text.split_at_checked(3));
                    parsed.undi = version
                        .and_then(|(major, minor)| Some((number::<u8>(major, 3)?, number::<u8>(minor, 3)?)));
                }
                _ => {}
            }
        }
        Some(parsed)
    }
}

/// Exactly `digits` decimal digits.
fn number<T: std::str::FromStr>(text: &[u8], digits: usize) -> Option<T> {
    let plain = text.len() == digits && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| plain)?.parse().ok()
}

/// Option 94 (RFC 4578 §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Undi {
    /// 1 is UNDI.
    pub kind: u8,
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
}

/// Option 175 of iPXE: sub-options without an End.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ipxe {
    /// Codes of the features that are on (16..=79, value not 0), in order: 19 HTTP, 20 HTTPS, 21 TFTP, 33 PXE, 36 EFI.
    pub features: Vec<u8>,
    /// Sub-option 177: bus type and ids of the boot interface, raw.
    pub bus_id: Option<Vec<u8>>,
    /// Sub-option 176 is not 0.
    pub no_proxy: bool,
    /// Sub-option 235: version bytes, `[1, 21, 1]`.
    pub version: Option<Vec<u8>>,
}

impl Ipxe {
    const HTTP: u8 = 19;
    /// Feature COMBOOT.
    const COMBOOT: u8 = 35;

    /// Reads the value of option 175 up to where it stops making sense.
    pub fn decode(value: &[u8]) -> Ipxe {
        let mut ipxe = Ipxe::default();
        let mut rest = value;
        while let [code, after @ ..] = rest {
            rest = match (*code, after) {
                (0, _) => after,
                (255, _) => break,
                (code, [len, body @ ..]) => match body.split_at_checked(usize::from(*len)) {
                    Some((value, rest)) => {
                        ipxe.take(code, value);
                        rest
                    }
                    None => break,
                },
                (_, []) => break,
            };
        }
        ipxe
    }

    fn take(&mut self, code: u8, value: &[u8]) {
        let on = value.iter().any(|&byte| byte != 0);
        match code {
            16..=79 if on => self.features.push(code),
            176 => self.no_proxy = on,
            177 => self.bus_id = Some(value.to_vec()),
            235 => self.version = Some(value.to_vec()),
            _ => {}
        }
    }

    /// True when this iPXE was built with COMBOOT: it runs COM32 programs.
    pub fn comboot(&self) -> bool {
        self.features.contains(&Self::COMBOOT)
    }

    /// True when this iPXE was built with HTTP.
    pub fn http(&self) -> bool {
        self.features.contains(&Self::HTTP)
    }
}

/// Option 77 as a list. QUIRK(ipxe-bare-user-class): RFC 3004 frames each class with a length byte; iPXE and others send the bare text, which is
/// what a value is taken for when the lengths do not add up.
pub fn user_classes(value: &[u8]) -> Vec<&[u8]> {
    let mut classes = Vec::new();
    let mut rest = value;
    while let [len @ 1..=255, body @ ..] = rest {
        let Some((class, after)) = body.split_at_checked(usize::from(*len)) else { break };
        classes.push(class);
        rest = after;
    }
    if !rest.is_empty() {
        let bare = value.iter().rposition(|&byte| byte != 0).and_then(|last| value.get(..=last));
        classes = bare.into_iter().collect();
    }
    classes
}

/// Option 77 with RFC 3004 framing. `None` when a class is empty or over 255 bytes.
pub fn encode_user_classes(classes: &[&[u8]]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    for class in classes.iter().copied() {
        value.push(u8::try_from(class.len()).ok().filter(|&len| len > 0)?);
        value.extend_from_slice(class);
    }
    Some(value)
}

impl Options {
    /// Option 93 as a list, best first as the client ordered it; empty when absent or of odd length.
    pub fn client_archs(&self) -> Vec<ClientArch> {
        let value = self.get(code::CLIENT_ARCH).unwrap_or_default();
        let (codes, rest) = value.as_chunks::<2>();
        if rest.is_empty() {
            codes.iter().map(|code| ClientArch(u16::from_be_bytes(*code))).collect()
        } else {
            Vec::new()
        }
    }

    /// Option 94; `None` unless three bytes.
    pub fn undi(&self) -> Option<Undi> {
        let [kind, major, minor] = *self.get(code::CLIENT_UNDI)? else { return None };
        Some(Undi { kind, major, minor })
    }

    /// Option 97: type 0 and 16 bytes; any other type or length is ignored.
    pub fn guid(&self) -> Option<MachineGuid> {
        let [0, guid @ ..] = self.get(code::CLIENT_GUID)? else { return None };
        guid.try_into().ok().map(MachineGuid)
    }

    /// Option 60 of a boot client.
    pub fn vendor_class(&self) -> Option<VendorClass> {
        VendorClass::parse(self.get(code::VENDOR_CLASS)?)
    }

    /// Option 77.
    pub fn user_classes(&self) -> Vec<&[u8]> {
        self.get(code::USER_CLASS).map(user_classes).unwrap_or_default()
    }

    /// Option 175.
    pub fn ipxe(&self) -> Option<Ipxe> {
        self.get(code::IPXE).map(Ipxe::decode)
    }

    /// True for iPXE: user class `iPXE` in either framing, or its own option 175.
    pub fn is_ipxe(&self) -> bool {
        self.user_classes().contains(&b"iPXE".as_slice()) || self.has(code::IPXE)
    }

    /// Option 43 of a PXE client; `None` when absent or malformed.
    pub fn pxe(&self) -> Option<PxeOptions> {
        PxeOptions::decode(self.get(code::VENDOR_SPECIFIC)?).ok()
    }
}

#[cfg(test)]
mod tests;
