//! Which network card the kernel knows at an address: its table of IPv4 neighbours, `/proc/net/arp`.
//!
//! Whoever exchanges packets with us on a segment of ours is in it, for the kernel has to know where its answers go. Who comes
//! through a router is not: that is the router's card. One line for each neighbour (Linux `Documentation/filesystems/proc.rst`):
//!
//! ```text
//! IP address       HW type     Flags       HW address            Mask     Device
//! 10.77.0.9        0x1         0x2         52:54:00:12:34:56     *        eth0
//! ```
//!
//! Hardware type 1 is Ethernet; flag 2 (`ATF_COM`) says that the hardware address is known.

use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;
use types::MacAddr;

/// The kernel's table.
const TABLE: &str = "/proc/net/arp";
/// What is read of it: a line is 80 bytes, and no table has a hundred thousand.
const TABLE_BYTES_MAX: u64 = 8 << 20;
/// `ARPHRD_ETHER`, `<linux/if_arp.h>`.
const ETHERNET: u32 = 1;
/// `ATF_COM`, `<linux/if_arp.h>`.
const COMPLETE: u32 = 2;

/// The cards at this address, one for each segment it is a neighbour on; none when it is no neighbour of ours, or the table
/// cannot be read. Reads the whole table: for a boot, not for a packet.
pub fn cards_at(address: Ipv4Addr) -> Vec<MacAddr> {
    let mut text = String::new();
    let read = File::open(TABLE).and_then(|table| table.take(TABLE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => cards_in(&text, address),
        Err(_) => Vec::new(),
    }
}

fn cards_in(table: &str, address: Ipv4Addr) -> Vec<MacAddr> {
    let mut cards: Vec<MacAddr> = table.lines().skip(1).filter_map(|line| card_of(line, address)).collect();
    cards.dedup();
    cards
}

fn card_of(line: &str, address: Ipv4Addr) -> Option<MacAddr> {
    let mut words = line.split_ascii_whitespace();
    if words.next()?.parse() != Ok(address) {
        return None;
    }
    let mut number = || u32::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let (kind, flags) = (number()?, number()?);
    let mac: MacAddr = words.next()?.parse().ok()?;
    (kind == ETHERNET && flags & COMPLETE != 0 && mac.0 != [0; 6]).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
10.77.0.9        0x1         0x2         52:54:00:12:34:56     *        eth0
10.77.0.10       0x1         0x0         00:00:00:00:00:00     *        eth0
10.77.0.9        0x1         0x6         52:54:00:12:34:57     *        eth1
10.77.0.11       0x20        0x2         52:54:00:12:34:58     *        ib0
10.77.0.1
";

    #[test]
    fn the_card_of_an_address_is_found_where_it_is_known() {
        let cards = |last| {
            let found = cards_in(TEXT, Ipv4Addr::new(10, 77, 0, last));
            found.iter().map(|mac| mac.0[5]).collect::<Vec<_>>()
        };
        assert_eq!(cards(9), [0x56, 0x57], "one on each segment");
        for last in [1, 2, 10, 11] {
            assert!(cards(last).is_empty(), "10.77.0.{last}");
        }
        assert!(cards_in("", Ipv4Addr::LOCALHOST).is_empty());
    }

    #[test]
    fn the_kernels_own_table_is_read() {
        assert!(cards_at(Ipv4Addr::LOCALHOST).is_empty());
    }
}
