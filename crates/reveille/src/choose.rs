//! Which interface `run` serves when none is named.

use net::interface::Interface;

/// Name prefixes of interfaces that containers, hypervisors and tunnels make: never a boot LAN unless named.
const PASSED_OVER: [&str; 12] =
    ["docker", "br-", "virbr", "veth", "wg", "tun", "tap", "cni", "flannel", "cali", "vnet", "wl"];

/// The one wired interface with an IPv4 address; with several, the one the default route leaves by.
///
/// # Errors
/// A sentence for the operator when there is none, or more than one and no default route among them.
pub(crate) fn interface<'a>(
    all: &'a [Interface],
    default_route: Option<&str>,
) -> Result<&'a Interface, String> {
    let candidates = candidates(all);
    match candidates.as_slice() {
        [] => Err(format!("no wired interface with an IPv4 address; there are {}", names(all.iter()))),
        [one] => Ok(one),
        several => {
            several.iter().find(|interface| default_route == Some(&*interface.name)).copied().ok_or_else(
                || format!("several interfaces could be meant: {}", names(several.iter().copied())),
            )
        }
    }
}

/// Every interface that could be meant.
pub(crate) fn candidates(all: &[Interface]) -> Vec<&Interface> {
    all.iter().filter(|interface| is_candidate(interface)).collect()
}

fn is_candidate(interface: &Interface) -> bool {
    interface.up
        && !interface.loopback
        && interface.broadcast
        && !interface.ipv4.is_empty()
        && !PASSED_OVER.iter().any(|prefix| interface.name.starts_with(prefix))
}

fn names<'a>(interfaces: impl Iterator<Item = &'a Interface>) -> String {
    let described = interfaces.map(|interface| match interface.ipv4.first() {
        Some(address) => format!("{} ({address})", interface.name),
        None => format!("{} (no IPv4 address)", interface.name),
    });
    described.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, address: Option<&str>) -> Interface {
        Interface {
            name: name.into(),
            index: 1,
            up: true,
            running: true,
            loopback: name == "lo",
            is_virtual: false,
            broadcast: true,
            mac: None,
            ipv4: address.map(|text| text.parse().unwrap()).into_iter().collect(),
        }
    }

    #[test]
    fn containers_and_tunnels_are_passed_over() {
        let all = [
            named("lo", Some("127.0.0.1/8")),
            named("docker0", Some("172.17.0.1/16")),
            named("virbr0", Some("192.168.122.1/24")),
            named("enp3s0", Some("192.168.1.10/24")),
            named("enp4s0", None),
        ];
        assert_eq!(&*interface(&all, Some("wlan0")).unwrap().name, "enp3s0");
    }

    #[test]
    fn of_several_the_default_route_decides_and_without_it_the_operator() {
        let all = [named("enp3s0", Some("192.168.1.10/24")), named("enp4s0", Some("10.0.0.1/24"))];
        assert_eq!(&*interface(&all, Some("enp4s0")).unwrap().name, "enp4s0");
        let message = interface(&all, None).unwrap_err();
        assert!(message.contains("enp3s0 (192.168.1.10/24)") && message.contains("enp4s0"), "{message}");
        assert!(interface(&all[..0], None).unwrap_err().contains("no wired interface"));
    }
}
