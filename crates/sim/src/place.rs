//! Where everything is: two networks, the appliances' settings, and what they offer to boot.

use crate::relay::GIADDR;
use crate::scenario::{Appliances, Scenario};
use dhcp_proto::Settings;
use plan::{Catalog, CatalogParts};
use std::net::Ipv4Addr;
use std::sync::Arc;
use types::subnet::{DhcpMode, Ipv4Range, LeaseTimes, LoaderChoice, Subnet};
use types::{Firmware, MacAddr};

/// The appliances' interface on the first network.
pub(crate) const INTERFACE_INDEX: u32 = 2;

/// Address of an appliance, on the first network.
pub(crate) fn appliance(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 1 + number)
}

/// Hardware address of a machine.
pub(crate) fn mac(number: u8) -> MacAddr {
    MacAddr([0x52, 0x54, 0, 0, 0, number])
}

/// The first address of an appliance's pool, on the first or second network.
fn pool(net: u8, number: u8, size: u8) -> Ipv4Range {
    let first = if number == 0 { 20 } else { 140 };
    let last = first + size.clamp(1, 100) - 1;
    Ipv4Range { first: Ipv4Addr::new(10, net, 0, first), last: Ipv4Addr::new(10, net, 0, last) }
}

/// The address a squatter uses: in the middle of the pools.
pub(crate) fn squatted(scenario: &Scenario, number: u8) -> Ipv4Addr {
    let [.., first] = pool(77, 0, scenario.pool).first.octets();
    Ipv4Addr::new(10, 77, 0, first + number * 2 % scenario.pool.max(1))
}

/// What an appliance is configured to do.
pub(crate) fn settings(scenario: &Scenario, number: u8) -> Settings {
    let proxy = scenario.appliances == Appliances::WithProxy && number == 1;
    let subnet = |net: u8, size: u8| Subnet {
        name: format!("net{net}").into(),
        network: format!("10.{net}.0.0/24").parse().unwrap_or_default(),
        mode: if proxy { DhcpMode::Proxy } else { DhcpMode::Server },
        pools: if proxy { Vec::new() } else { vec![pool(net, number, size)] },
        excluded: Vec::new(),
        reservations: Vec::new(),
        lease_times: LeaseTimes { default: scenario.lease, min: scenario.lease_min, max: scenario.lease },
        routers: Vec::new(),
        dns: Vec::new(),
        domain: None,
        options: Vec::new(),
        authoritative: true,
        uefi_discovery_control: false,
        next_server: None,
    };
    let mut subnets = vec![subnet(77, scenario.pool)];
    if scenario.relayed > 0 {
        subnets.push(subnet(78, scenario.relayed_pool));
    }
    let relays = format!("{GIADDR}/32").parse().into_iter().collect();
    let probe_wait = scenario.probe_wait;
    Settings { subnets, relays, probe_wait, http_port: 8080, ..Settings::default() }
}

/// Machines get a loader, then the menu.
pub(crate) fn catalog() -> Arc<Catalog> {
    let loader = LoaderChoice { firmware: Firmware::UefiX64, file: "snponly.efi".into() };
    let parts = CatalogParts { loaders: vec![loader], ..CatalogParts::default() };
    Arc::new(Catalog::build(parts).unwrap_or_default())
}
