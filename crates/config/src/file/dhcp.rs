//! The `dhcp` section of the file.

use crate::units::{Cidr, Domain, Ipv4, Period, Range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use types::MacAddr;
use types::resource::{Name, OneOrMany};

/// Hosts on a link answer within milliseconds; firmware asks again after four seconds.
const PROBE_WAIT: Duration = Duration::from_millis(500);
/// A rack whose power comes back is below its burst.
const STRANGER_RATE: u32 = 500;

/// Mode of DHCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ModeFile {
    /// Proxy where another server answers, nothing elsewhere. Never leases unasked.
    #[default]
    Auto,
    /// Another server gives addresses, reveille adds boot data on ports 67 and 4011.
    Proxy,
    /// Reveille gives addresses and boot data.
    Server,
    /// DHCP is not answered.
    Off,
}

/// Mode of DHCP on one subnet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SubnetModeFile {
    /// Another server gives addresses, reveille adds boot data.
    Proxy,
    /// Reveille gives addresses and boot data.
    Server,
    /// DHCP is not answered here.
    Off,
}

/// What happens with machines that no host record knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UnknownHostsFile {
    /// A menu of the images that erase nothing, then their own disk.
    #[default]
    Menu,
    /// They are sent to their own disk.
    LocalDisk,
    /// They get no boot data. A recorded host is sent to its own disk.
    Ignore,
    /// They wait on their screens, each with a code, until they are recorded (`reveille host adopt CODE`), and go on without a
    /// restart. After `boot.claim_wait` they are sent to their own disk, as a recorded host without an image is at once.
    Claim,
}

/// DHCP.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DhcpFile {
    /// Mode on networks that no subnet describes, and on subnets that name none (`auto` there means `proxy`).
    pub(crate) mode: ModeFile,
    /// What machines get that no host record gives an image, when there is no `boot.default_image`.
    pub(crate) unknown_hosts: UnknownHostsFile,
    /// How long an offered address is kept for the machine that was offered it. 1s to 10m.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "10m"))]
    pub(crate) offer_hold: Period,
    /// How long an answer is waited for when an address is asked for (ARP on the link, ICMP echo behind a relay) before it
    /// is offered to a machine that did not have it before. 0s to 3s; 0s asks nobody.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "3s"))]
    pub(crate) probe_wait: Period,
    /// How long an address is given to nobody that another machine was found to use. 1m to 1d.
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "1d"))]
    pub(crate) quarantine: Period,
    /// Machines a second without host record, reservation or earlier lease that one interface, relay or circuit may bring;
    /// four times as many at once. The rest is answered at its next try. 0 to 100000; 0 is any number.
    #[schemars(range(min = 0, max = 100_000))]
    pub(crate) stranger_rate: u32,
    /// Networks and how DHCP behaves on each. They must not overlap.
    pub(crate) subnets: Vec<SubnetFile>,
    /// Requests that come through relay agents (ip-helper).
    pub(crate) relay: RelayFile,
}

impl Default for DhcpFile {
    fn default() -> DhcpFile {
        DhcpFile {
            mode: ModeFile::default(),
            unknown_hosts: UnknownHostsFile::default(),
            offer_hold: Period::secs(60),
            probe_wait: Period(PROBE_WAIT),
            quarantine: Period::secs(600),
            stranger_rate: STRANGER_RATE,
            subnets: Vec::new(),
            relay: RelayFile::default(),
        }
    }
}

/// Relay agents.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RelayFile {
    /// Networks whose relay addresses (giaddr) are answered. Empty: those of the subnets above.
    pub(crate) accept_from: Vec<Cidr>,
}

/// One network.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubnetFile {
    /// Unique name, used in leases, events and metrics.
    pub(crate) name: Name,
    /// The network, such as 10.77.0.0/24.
    pub(crate) network: Cidr,
    /// Mode here. Without it `dhcp.mode` holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<SubnetModeFile>,
    /// Addresses to give, as ranges. Mode server only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pools: Vec<Range>,
    /// Addresses inside the pools that are never given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) exclude: Vec<Range>,
    /// Lease time when the machine asks for none. 8h unless given.
    #[serde(default = "lease_time")]
    #[schemars(extend("x-minimum" = "1s"))]
    pub(crate) lease_time: Period,
    /// Shortest lease a machine may ask for. The smaller of 5m and `lease_time` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-minimum" = "1s"))]
    pub(crate) lease_time_min: Option<Period>,
    /// Longest lease a machine may ask for. The larger of 24h and `lease_time` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-minimum" = "1s"))]
    pub(crate) lease_time_max: Option<Period>,
    /// Routers, best first (option 3): one address or a list.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub(crate) router: OneOrMany<Ipv4>,
    /// Name servers, best first (option 6).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) dns: Vec<Ipv4>,
    /// Domain name (option 15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<Domain>,
    /// Further DHCP options by code, 1 to 254; those that reveille sets itself are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) options: BTreeMap<String, OptionFile>,
    /// Addresses kept for machines. They may lie inside or outside the pools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reservations: Vec<ReservationFile>,
    /// Refuse (NAK) addresses of this network that we did not give. Mode server only.
    #[serde(default = "yes")]
    pub(crate) authoritative: bool,
    /// Proxy mode, UEFI: send option 43 = 06 01 08. Saves OVMF of 2022 one second; EDK2 of 2015 then boots nothing.
    #[serde(default)]
    pub(crate) uefi_discovery_control: bool,
    /// Address that TFTP and HTTP answer on, when it is not the one that answers DHCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_server: Option<Ipv4>,
}

fn lease_time() -> Period {
    Period::secs(8 * 3600)
}

fn yes() -> bool {
    true
}

/// How the value of a DHCP option is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OptionTypeFile {
    /// One address or a list, four bytes each.
    Ipv4,
    /// Text, sent without a closing NUL.
    Text,
    /// Numbers 0 to 255, one byte each.
    U8,
    /// Numbers 0 to 65535, two bytes each, high byte first.
    U16,
    /// Numbers 0 to 4294967295, four bytes each, high byte first.
    U32,
    /// Signed numbers, four bytes each, high byte first.
    I32,
    /// `true` (1) or `false` (0).
    Bool,
    /// Bytes as hex pairs, with or without colons.
    Hex,
}

/// One DHCP option.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionFile {
    /// How `value` is to be read.
    #[serde(rename = "type")]
    pub(crate) kind: OptionTypeFile,
    /// The value, or a list of values of the same type. At most 255 bytes when encoded.
    pub(crate) value: OneOrMany<String>,
    /// Send it even to machines that do not ask for it.
    #[serde(default)]
    pub(crate) always: bool,
}

/// One reserved address.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReservationFile {
    /// The machine.
    pub(crate) mac: MacAddr,
    /// Its address.
    pub(crate) address: Ipv4,
    /// The host name it is told (option 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hostname: Option<Domain>,
}
