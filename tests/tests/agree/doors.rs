//! The doors as machines use them: DISCOVER bytes, names by TFTP and HTTP, and what each answer says in a word.

use crate::draw::{Machine, World};
use dhcp_proto::{Outcome, Responder, Settings};
use plan::{BootState, Catalog, CatalogParts, Decider, Gate, UnknownPolicy, Verdict};
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tree::{
    BootHolder, BootLedger, BootTicket, CallbackError, Door, OpenError, Opened, Opener, Tree, TreeParts, Who,
};
use types::resource::{Host, Image};
use types::subnet::{DhcpMode, LeaseTimes, LoaderChoice, Subnet};
use types::{Arrival, Facts, Firmware, Now, UnixTime};

pub(crate) const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const HTTP_PORT: u16 = 8080;

/// Who asks over DHCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Client {
    Rom,
    HttpRom,
    Ipxe,
}

/// What every door asks, with the last question kept.
pub(crate) struct Mind {
    pub(crate) catalog: Arc<Catalog>,
    armed: BTreeSet<String>,
    recalled: Mutex<HashMap<IpAddr, Facts>>,
    pub(crate) last: Mutex<Option<(Facts, Verdict)>>,
}

impl Decider for Mind {
    fn decide(&self, facts: &Facts) -> Verdict {
        let host = self.catalog.identify(facts);
        let armed = host.is_some_and(|host| self.armed.contains(host.name.as_str()));
        let gate = if armed { Gate::Open } else { Gate::Closed };
        let verdict = plan::decide(&self.catalog, facts, &BootState { gate, ..BootState::default() });
        *self.last.lock().unwrap() = Some((facts.clone(), verdict.clone()));
        verdict
    }
    fn recall(&self, address: IpAddr) -> Option<Facts> {
        self.recalled.lock().unwrap().get(&address).cloned()
    }
    fn learn(&self, facts: &Facts) {
        let Some(address) = facts.address else { return };
        let mut recalled = self.recalled.lock().unwrap();
        // An address goes to another machine when an offer lapses.
        let earlier = recalled.get(&address).filter(|earlier| earlier.mac == facts.mac);
        let merged = match earlier {
            Some(earlier) => facts.clone().or(earlier),
            None => facts.clone(),
        };
        recalled.insert(address, merged);
    }
    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }
}

/// Gives every boot it is asked for.
struct Generous;

impl BootLedger for Generous {
    fn hold(&self, _: &Facts) -> Option<tree::Held> {
        None
    }
    fn begin_boot(&self, _: &Facts, _: Option<&Host>, _: &Image) -> Result<BootTicket, String> {
        Ok(BootTicket { boot: "boot-1".into(), token: "0123456789abcdef0123456789abcdef".into() })
    }
    fn open_payload(&self, _: Opener<'_>, _: &Image) -> Result<(), String> {
        Ok(())
    }
    fn refuse_boot(&self, _: &Facts, _: Option<&Host>, _: &Image, _: &str) {}
    fn holder(&self, _: &str, _: IpAddr) -> Result<BootHolder, CallbackError> {
        Err(CallbackError::Unknown)
    }
    fn report_bundle(&self, _: &str, _: IpAddr, _: &tree::BundleReport) -> Result<(), CallbackError> {
        Err(CallbackError::Unknown)
    }
    fn call_back(&self, _: &str, _: IpAddr, _: &str, _: Option<&str>) -> Result<(), CallbackError> {
        Err(CallbackError::Unknown)
    }
}

/// All doors over one catalog.
pub(crate) struct Doors {
    pub(crate) mind: Arc<Mind>,
    tree: Tree,
    responder: Responder,
    now: Now,
    transactions: u32,
}

/// Boot data of an OFFER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Offer {
    pub(crate) address: Ipv4Addr,
    /// Option 67 without its NUL; `None`: no boot data at all.
    pub(crate) boot_file: Option<String>,
}

impl Doors {
    pub(crate) fn open(world: &World, library: &library::Library) -> Doors {
        let catalog = Catalog::build(CatalogParts {
            generation: 17,
            hosts: world.hosts.clone(),
            images: world.images.clone(),
            templates: world.templates.clone(),
            groups: world.groups.clone(),
            rules: world.rules.iter().map(|data| data.rule.clone()).collect(),
            default_image: world.default_image.clone(),
            unknown: match world.unknown.as_str() {
                "menu" => UnknownPolicy::Menu,
                "ignore" => UnknownPolicy::Ignore,
                _ => UnknownPolicy::LocalDisk,
            },
            loaders: world
                .loaders
                .iter()
                .map(|(firmware, file)| LoaderChoice { firmware: *firmware, file: (*file).into() })
                .collect(),
            ..CatalogParts::default()
        });
        let catalog = Arc::new(catalog.unwrap_or_else(|faults| panic!("{faults:?}")));
        let (recalled, last) = Default::default();
        let mind = Arc::new(Mind { catalog, armed: world.armed.clone(), recalled, last });
        let tree = Tree::new(TreeParts {
            decider: mind.clone(),
            ledger: Arc::new(Generous),
            library: library.clone(),
            http_port: HTTP_PORT,
        });
        let responder = Responder::new(Settings {
            subnets: vec![subnet("lab", "10.77"), subnet("rack4", "10.4"), subnet("rack5", "10.5")],
            relays: vec!["10.0.0.0/8".parse().unwrap()],
            http_port: HTTP_PORT,
            stranger_rate: 0,
            ..Settings::default()
        });
        let now = Now { instant: Instant::now(), unix: UnixTime(1_800_000_000) };
        Doors { mind, tree, responder, now, transactions: 0 }
    }

    /// DISCOVER. What it said is remembered under the address it is offered.
    pub(crate) fn discover(&mut self, machine: &Machine, client: Client) -> Offer {
        self.transactions += 1;
        self.now.instant += Duration::from_millis(100);
        let bytes = discover(machine, client, self.transactions);
        let relay = machine.relay.map(Ipv4Addr::from);
        let arrival = Arrival {
            interface_index: 3,
            interface: "pxe0".into(),
            local: LOCAL,
            sent_to: SocketAddrV4::new(relay.map_or(Ipv4Addr::BROADCAST, |_| LOCAL), 67),
            remote: relay
                .map_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68), |relay| SocketAddrV4::new(relay, 67)),
        };
        let outcome = self.responder.handle(self.now, &arrival, &bytes, &*self.mind);
        let Outcome::Act(action) = outcome else { panic!("no OFFER: {outcome:?}") };
        let offer = read_offer(&action.transmit.expect("an OFFER").payload);
        if let Some(learnt) = action.learn {
            self.mind.learn(&Facts { address: Some(offer.address.into()), ..learnt });
        }
        offer
    }

    /// A name of the boot tree by TFTP.
    pub(crate) fn tftp(&self, name: &str, address: Ipv4Addr) -> Result<Opened, OpenError> {
        self.tree.open(name, &who(address, Door::Tftp, None))
    }

    /// `boot.ipxe` with the facts of a query as the HTTP door reads it. It learns before it opens.
    pub(crate) fn http(&self, machine: &Machine, address: Ipv4Addr) -> Result<Opened, OpenError> {
        let facts = http_door::fuzzing::query(&query(machine)).expect("a query of ours is read");
        let facts = Facts { address: Some(address.into()), ..facts };
        self.mind.learn(&facts);
        self.tree.open("boot.ipxe", &who(address, Door::Http, Some(facts)))
    }

    /// The last question and its answer.
    pub(crate) fn last(&self) -> (Facts, Verdict) {
        self.mind.last.lock().unwrap().take().expect("something was asked")
    }
}

fn who(address: Ipv4Addr, door: Door, facts: Option<Facts>) -> Who {
    let interface = (door == Door::Tftp).then(|| "pxe0".into());
    Who { address: address.into(), interface, local: LOCAL.into(), facts, door }
}

fn subnet(name: &str, prefix: &str) -> Subnet {
    let secs = Duration::from_secs;
    Subnet {
        name: name.into(),
        network: format!("{prefix}.0.0/16").parse().unwrap(),
        mode: DhcpMode::Server,
        pools: vec![format!("{prefix}.200.0-{prefix}.209.255").parse().unwrap()],
        excluded: Vec::new(),
        reservations: Vec::new(),
        lease_times: LeaseTimes { default: secs(3600), min: secs(300), max: secs(7200) },
        routers: Vec::new(),
        dns: Vec::new(),
        domain: None,
        options: Vec::new(),
        authoritative: true,
        uefi_discovery_control: false,
        next_server: None,
    }
}

/// Bytes of a DISCOVER (RFC 2131 §2, RFC 4578, UEFI 2.10 §24.7, iPXE's option 175).
fn discover(machine: &Machine, client: Client, transaction: u32) -> Vec<u8> {
    let mut bytes = vec![1, 1, 6, u8::from(machine.relay.is_some())];
    bytes.extend(transaction.to_be_bytes());
    bytes.extend([0, 4, 0x80, 0]);
    bytes.extend([0; 12]);
    bytes.extend(machine.relay.unwrap_or_default());
    bytes.extend(machine.mac);
    bytes.extend([0; 10 + 64 + 128]);
    bytes.extend([99, 130, 83, 99]);
    let arch: u16 = match (machine.firmware, client) {
        (Firmware::Bios, _) => 0,
        (Firmware::UefiArm64, Client::HttpRom) => 19,
        (Firmware::UefiArm64, _) => 11,
        (_, Client::HttpRom) => 16,
        _ => 7,
    };
    let mut option = |code: u8, value: &[u8]| {
        bytes.extend([code, u8::try_from(value.len()).unwrap()]);
        bytes.extend(value);
    };
    option(53, &[1]);
    option(57, &1472u16.to_be_bytes());
    option(55, &[1, 3, 6, 12, 15, 43, 54, 60, 66, 67]);
    let class = if client == Client::HttpRom { "HTTPClient" } else { "PXEClient" };
    option(60, format!("{class}:Arch:{arch:05}:UNDI:003000").as_bytes());
    option(93, &arch.to_be_bytes());
    option(94, &[1, 3, 0]);
    option(97, &[&[0], machine.guid.as_slice()].concat());
    if client == Client::Ipxe {
        option(77, b"iPXE");
        // Feature 19 is HTTP, 21 TFTP.
        option(175, &[21, 1, 1, 19, 1, u8::from(machine.http)]);
    }
    bytes.push(255);
    bytes.resize(bytes.len().max(300), 0);
    bytes
}

fn read_offer(bytes: &[u8]) -> Offer {
    let mut options = HashMap::new();
    let mut at = 240;
    while bytes.get(at).is_some_and(|code| *code != 255) {
        if bytes[at] == 0 {
            at += 1;
            continue;
        }
        let length = usize::from(bytes[at + 1]);
        options.insert(bytes[at], &bytes[at + 2..at + 2 + length]);
        at += 2 + length;
    }
    assert_eq!((bytes[0], options.get(&53)), (2, Some(&[2u8].as_slice())), "an OFFER");
    let file = bytes[108..236].split(|byte| *byte == 0).next().unwrap_or_default();
    let boot_file = options
        .get(&67)
        .map(|name| String::from_utf8(name.strip_suffix(b"\0").unwrap_or(name).to_vec()).unwrap());
    assert_eq!(String::from_utf8_lossy(file), boot_file.as_deref().unwrap_or_default(), "file and option 67");
    assert_eq!(bytes[20..24] == LOCAL.octets(), boot_file.is_some(), "siaddr stands with a boot file");
    let [a, b, c, d] = bytes[16..20].try_into().unwrap();
    Offer { address: Ipv4Addr::new(a, b, c, d), boot_file }
}

/// What iPXE sends back; see `render::ipxe::FACTS_QUERY`.
fn query(machine: &Machine) -> String {
    let encoded = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
        text.bytes().map(one).collect()
    };
    let (arch, platform) = match machine.firmware {
        Firmware::Bios => ("i386", "pcbios"),
        Firmware::UefiArm64 => ("arm64", "efi"),
        _ => ("x86_64", "efi"),
    };
    let mac: Vec<String> = machine.mac.iter().map(|byte| format!("{byte:02x}")).collect();
    // `${uuid}`: the first three fields are little-endian in SMBIOS.
    let [a, b, c, d, e, f, g, h, rest @ ..] = machine.guid;
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let uuid = format!(
        "{}-{}-{}-{}-{}",
        hex(&[d, c, b, a]),
        hex(&[f, e]),
        hex(&[h, g]),
        hex(&rest[..2]),
        hex(&rest[2..])
    );
    format!(
        "mac={}&uuid={uuid}&arch={arch}&platform={platform}&serial={}&asset=&vendor={}&model={}&board=&busid=&oem=",
        mac.join(":"),
        encoded(&machine.serial),
        encoded(machine.vendor.0),
        encoded(machine.model),
    )
}
