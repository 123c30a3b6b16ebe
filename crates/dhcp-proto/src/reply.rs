//! What goes into a reply: the boot data by client and mode, and the parameters of a lease.
//!
//! Boot data, tests in `reply/tests.rs` (sources: PXE 2.1, UEFI 2.5 §23.7, what firmware was seen to need):
//!
//! | client | we lease | another server leases |
//! |---|---|---|
//! | PXE ROM, BIOS | siaddr sname file 66 67, no 60 | 60 `PXEClient`, 43 = 06 01 08 ff, siaddr sname file 67 |
//! | PXE ROM, UEFI | the same, 67 NUL-ended | 60 `PXEClient`, siaddr sname file 67, no 43 unless configured |
//! | UEFI HTTP boot | 60 `HTTPClient`, URL in file and 67 | the same |
//! | iPXE | siaddr sname, script URL in file and 67, 175 = b0 01 01 | 60 `PXEClient`, siaddr, URL in file and 67 |
//! | anything else | no boot data | no answer |
//!
//! - QUIRK(edk2-asks-4011): 60 = `PXEClient` from a leasing server makes EDK2 ask port 4011 and fail when nobody answers:
//!   left out.
//! - QUIRK(shim-reads-header): shim looks for its next file where the header's `file` says, EDK2 reads 67 first: both are sent, alike.
//! - QUIRK(edk2-nul-past-67): EDK2 writes a NUL one byte past option 67: it ends in one for UEFI ROMs.
//! - QUIRK(ipxe-needs-siaddr): iPXE without `siaddr` fails, and option 66 does not help it: `siaddr` is always set.
//! - Options 209 and 210 are left out: pxelinux finds its configuration beside itself, where the boot tree has it.

use crate::lease::table::INFINITE;
use crate::wire::pxe::{BOOT_GIVEN_FILE, BootItem, DiscoveryControl, IPXE_NO_PROXY, PxeOptions};
use crate::wire::{Message, code};
use plan::{BootPlan, Step};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use types::subnet::{LeaseTimes, Subnet};
use types::{Facts, Stage};

/// The script every iPXE asks for, by its name in the boot tree.
const SCRIPT_FILE: &str = "boot.ipxe";

/// What a machine fetches next, in the words of DHCP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootFile {
    /// Name in the boot tree, or URL.
    pub text: String,
    /// True for a URL.
    pub url: bool,
    /// Where TFTP and HTTP are: `siaddr`.
    pub next_server: Ipv4Addr,
}

/// Whether we give the lease as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dress {
    /// OFFER or ACK with an address of ours.
    Lease,
    /// OFFER on port 67 beside another server, or ACK on port 4011.
    Proxy {
        /// [`Subnet::uefi_discovery_control`].
        uefi_discovery_control: bool,
        /// Sub-option 71 of the request, answered alike (PXE 2.1 §3.4).
        boot_item: Option<BootItem>,
    },
}

impl BootFile {
    /// `None` when the step is none that DHCP can name (the configuration of a loader).
    pub fn of(plan: &BootPlan, facts: &Facts, next_server: Ipv4Addr, http_port: u16) -> Option<BootFile> {
        let (name, url) = match &plan.step {
            Step::Loader(file) => (&**file, facts.stage == Stage::HttpRom),
            Step::Script => (SCRIPT_FILE, facts.http),
            Step::Config => return None,
        };
        let name = name.trim_start_matches('/');
        let text = if url { format!("http://{next_server}:{http_port}/{name}") } else { name.to_owned() };
        Some(BootFile { text, url, next_server })
    }
}

/// Puts the boot data into a reply. A name too long for `file` goes into option 67 only.
pub fn add_boot(reply: &mut Message, request: &Message, facts: &Facts, boot: &BootFile, dress: Dress) {
    let http_rom = facts.stage == Stage::HttpRom;
    let uefi = facts.firmware.is_some_and(|firmware| firmware.is_uefi());
    reply.siaddr = boot.next_server;
    // A name that does not fit stays out of the header; 67 has it whole.
    reply.set_file(boot.text.as_bytes());
    let mut file = boot.text.clone().into_bytes();
    if http_rom || (uefi && facts.stage == Stage::Rom) {
        file.push(0);
    }
    reply.options.set(code::BOOT_FILE, file);
    if !http_rom {
        let server = boot.next_server.to_string();
        reply.set_server_name(server.as_bytes());
        if dress == Dress::Lease || request.options.param_list().contains(&code::TFTP_SERVER_NAME) {
            reply.options.set(code::TFTP_SERVER_NAME, server);
        }
        if request.options.param_list().contains(&code::TFTP_SERVER_ADDRESS) {
            reply.options.set_ip(code::TFTP_SERVER_ADDRESS, boot.next_server);
        }
    }
    match dress {
        Dress::Lease if http_rom => reply.options.set(code::VENDOR_CLASS, *b"HTTPClient"),
        Dress::Lease if facts.stage == Stage::Ipxe => reply.options.set(code::IPXE, IPXE_NO_PROXY),
        Dress::Lease => {}
        Dress::Proxy { .. } if http_rom => reply.options.set(code::VENDOR_CLASS, *b"HTTPClient"),
        Dress::Proxy { uefi_discovery_control, boot_item } => {
            reply.options.set(code::VENDOR_CLASS, *b"PXEClient");
            let control = !uefi || uefi_discovery_control;
            if let Some(value) = discovery(control, boot_item) {
                reply.options.set(code::VENDOR_SPECIFIC, value);
            }
        }
    }
}

/// Option 97 comes back as it came (RFC 4578 §2.3).
pub fn echo_guid(reply: &mut Message, request: &Message) {
    if request.options.guid().is_some()
        && let Some(value) = request.options.get(code::CLIENT_GUID)
    {
        reply.options.set(code::CLIENT_GUID, value);
    }
}

fn discovery(control: bool, boot_item: Option<BootItem>) -> Option<Vec<u8>> {
    match (control, boot_item) {
        (true, None) => Some(BOOT_GIVEN_FILE.to_vec()),
        (false, None) => None,
        (control, boot_item) => PxeOptions {
            discovery_control: control.then_some(DiscoveryControl::BOOT_GIVEN_FILE),
            boot_item,
            ..PxeOptions::default()
        }
        .encode()
        .ok(),
    }
}

/// The lease time for a client that asks for so many seconds (RFC 2131 §3.3): within the subnet's bounds, and without
/// end only where the upper bound is without end.
pub fn lease_time(asked: Option<u32>, times: &LeaseTimes) -> Duration {
    let wanted = match asked {
        None => times.default,
        Some(u32::MAX) => INFINITE,
        Some(seconds) => Duration::from_secs(seconds.into()),
    };
    let (min, max) = (times.min.min(times.max), times.max);
    wanted.clamp(min, max).min(INFINITE).max(Duration::from_secs(1))
}

/// Options 51, 58 and 59: T1 at a half, T2 at seven eighths (RFC 2131 §4.4.5). They are left out where they would say
/// nothing: without end, or too short to tell them apart.
pub fn add_lease(reply: &mut Message, lease: Duration) {
    let seconds = u32::try_from(lease.as_secs()).unwrap_or(u32::MAX);
    reply.options.set_u32(code::LEASE_TIME, seconds);
    if seconds >= 8 && seconds != u32::MAX {
        reply.options.set_u32(code::RENEWAL_TIME, seconds / 2);
        reply.options.set_u32(code::REBINDING_TIME, seconds - seconds / 8);
    }
}

/// Options no configuration may set: they frame the exchange.
fn is_ours_alone(code: u8) -> bool {
    matches!(
        code,
        0 | 255 | code::REQUESTED_ADDRESS
            ..=code::PARAMETER_LIST
                | code::MESSAGE_SIZE_MAX
                | code::RENEWAL_TIME
                | code::REBINDING_TIME
                | code::CLIENT_IDENTIFIER
                | code::RELAY_INFO
                | code::CLIENT_GUID
    )
}

/// Options that make a boot client boot: only a boot plan sets them there.
fn is_boot_data(code: u8) -> bool {
    matches!(
        code,
        code::VENDOR_SPECIFIC
            | code::VENDOR_CLASS
            | code::TFTP_SERVER_NAME
            | code::BOOT_FILE
            | code::TFTP_SERVER_ADDRESS
            | code::IPXE
    )
}

/// The parameters of a subnet the client asks for (RFC 2131 §4.3.1), all of them when it does not say. The subnet mask
/// is always sent.
pub fn add_parameters(
    reply: &mut Message,
    request: &Message,
    subnet: &Subnet,
    hostname: Option<&Arc<str>>,
    stage: Stage,
) {
    let list = request.options.param_list();
    let asked = |code: u8| list.is_empty() || list.contains(&code);
    reply.options.set_ip(code::SUBNET_MASK, subnet.network.netmask());
    if asked(code::ROUTER) {
        reply.options.set_ips(code::ROUTER, &subnet.routers);
    }
    if asked(code::DNS) {
        reply.options.set_ips(code::DNS, &subnet.dns);
    }
    if let Some(name) = hostname.filter(|name| !name.is_empty() && asked(code::HOST_NAME)) {
        reply.options.set(code::HOST_NAME, name.as_bytes());
    }
    if let Some(domain) =
        subnet.domain.as_ref().filter(|domain| !domain.is_empty() && asked(code::DOMAIN_NAME))
    {
        reply.options.set(code::DOMAIN_NAME, domain.as_bytes());
    }
    if list.contains(&code::BROADCAST_ADDRESS) && subnet.network.prefix_len() < 31 {
        reply.options.set_ip(code::BROADCAST_ADDRESS, subnet.network.broadcast());
    }
    for option in &subnet.options {
        let fits = !is_ours_alone(option.code) && (stage == Stage::Os || !is_boot_data(option.code));
        if fits && (option.always || asked(option.code)) {
            reply.options.set(option.code, &*option.value);
        }
    }
}

#[cfg(test)]
mod tests;
