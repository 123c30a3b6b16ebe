//! Whatever packets were accepted: every lease they led to is written, read again as the same, and taken over by a server that
//! starts afresh, none skipped.
//!
//! Input: datagrams, each after its length in two bytes and a byte of flags.
#![no_main]

use dhcp_proto::{Outcome, Responder, Settings};
use libfuzzer_sys::fuzz_target;
use plan::{Catalog, CatalogParts};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::records::{decode_lease, encode_lease, lease_address, lease_key};
use types::subnet::{DhcpMode, LeaseTimes, Subnet};
use types::{Arrival, Now, UnixTime};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

fuzz_target!(|bytes: &[u8]| {
    let decider = Arc::new(Catalog::build(CatalogParts::default()).expect("an empty catalog"));
    let now = Now { instant: Instant::now(), unix: UnixTime(1_800_000_000) };
    let mut responder = Responder::new(settings());
    let mut rest = bytes;
    while let Some(([high, low, flags], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (datagram, after) = after.split_at(length);
        rest = after;
        if let Outcome::Act(action) = responder.handle(now, &arrival(*flags), datagram, &decider) {
            for record in &action.commit {
                let written = encode_lease(record).expect("a lease of the table is written");
                assert_eq!(&decode_lease(&written).expect("what was written is read"), record);
                assert_eq!(lease_address(&lease_key(record.address.into())), Some(record.address.into()));
            }
            responder.committed(&action.commit);
        }
    }
    let stored: Vec<Vec<u8>> =
        responder.leases().map(|record| encode_lease(record).expect("a lease is written")).collect();
    let read: Vec<_> = stored.iter().map(|value| decode_lease(value).expect("a lease is read")).collect();
    let mut again = Responder::new(settings());
    again.load(read.iter().cloned());
    again.tick(now);
    assert_eq!(again.strays(), 0);
    let mut kept: Vec<_> = again.leases().cloned().collect();
    let mut had: Vec<_> = read;
    kept.sort_by_key(|record| record.address);
    had.sort_by_key(|record| record.address);
    assert_eq!(kept, had, "a restart changes nothing");
});

fn settings() -> Settings {
    let subnet = |third: u8| Subnet {
        name: format!("net{third}").into(),
        network: format!("10.77.{third}.0/24").parse().expect("a network"),
        mode: DhcpMode::Server,
        pools: vec![format!("10.77.{third}.100-10.77.{third}.199").parse().expect("a range")],
        excluded: Vec::new(),
        reservations: Vec::new(),
        lease_times: LeaseTimes {
            default: Duration::from_secs(600),
            min: Duration::from_secs(60),
            max: Duration::from_secs(1200),
        },
        routers: Vec::new(),
        dns: Vec::new(),
        domain: None,
        options: Vec::new(),
        authoritative: true,
        uefi_discovery_control: false,
        next_server: None,
    };
    Settings {
        subnets: vec![subnet(0), subnet(1)],
        relays: vec!["0.0.0.0/0".parse().expect("a network")],
        ..Settings::default()
    }
}

fn arrival(flags: u8) -> Arrival {
    let unicast = flags & 1 != 0;
    Arrival {
        interface_index: 2,
        interface: "lab0".into(),
        local: SERVER,
        sent_to: SocketAddrV4::new(if unicast { SERVER } else { Ipv4Addr::BROADCAST }, 67),
        remote: SocketAddrV4::new(
            if unicast { Ipv4Addr::new(10, 77, 0, 100) } else { Ipv4Addr::UNSPECIFIED },
            68,
        ),
    }
}
