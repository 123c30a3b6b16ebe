//! A machine that goes from its first DISCOVER to its kernel, as far as it is led.

use super::ask::{self, boot_file};
use super::ends::{End, Next, cause, title};
use super::texts::{Named, of_boot_cfg, of_pxelinux, of_script, without_secrets};
use super::{Place, explain};
use crate::backend::traces::shown;
use crate::world::{Hearsay, World};
use admin::view::SimulatedStep;
use dhcp_proto::destination::{BOOT_SERVER_PORT, SERVER_PORT};
use dhcp_proto::wire::{Encoding, Message, MessageType, code};
use dhcp_proto::{Outcome, Responder};
use plan::{Decider, Decision};
use render::ipxe::{self, Origin};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use tree::{Door, Opened, Role, Tree, Who};
use types::event::Value;
use types::{Arrival, Event, EventName, EventSink, Facts, Now, Stage};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(100);
/// Scripts that lead to each other.
const SCRIPTS_MAX: usize = 4;
/// The port DHCP clients ask from.
const CLIENT_PORT: u16 = 68;

/// Boot data of a reply.
struct Given {
    file: String,
}

pub(super) struct Walk {
    pub(super) world: Arc<World>,
    tree: Tree,
    responder: Option<Responder>,
    place: Place,
    tftp: bool,
    /// What the machine says, with what it has learnt of itself.
    pub(super) facts: Facts,
    /// Its address.
    pub(super) address: Ipv4Addr,
    /// What URLs of ours begin with.
    base: String,
    http_port: u16,
    now: Now,
    xid: u32,
    pub(super) steps: Vec<SimulatedStep>,
    pub(super) notes: Vec<String>,
}

impl Walk {
    pub(super) fn new(
        world: Arc<World>,
        tree: Tree,
        responder: Option<Responder>,
        place: Place,
        tftp: bool,
        http_port: u16,
        facts: Facts,
    ) -> Walk {
        let base = Origin::http(place.local.into(), http_port).url("");
        Walk {
            world,
            tree,
            responder,
            place,
            tftp,
            facts,
            address: Ipv4Addr::UNSPECIFIED,
            base,
            http_port,
            now: ::dhcp::now(),
            xid: 0x5349_4d00,
            steps: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// From power-on to the end.
    pub(super) fn whole(&mut self) -> End {
        let begun = self.facts.stage;
        let given = match self.dhcp(begun) {
            Ok(given) => given,
            Err(end) => return end,
        };
        if begun == Stage::Ipxe {
            return self.ipxe(&given);
        }
        let Some(opened) = self.open(&given.file, Stage::Rom, None) else {
            return End::Nothing("its loader is not given".to_owned());
        };
        match Next::of(&opened) {
            Next::Pxelinux => self.pxelinux(&opened.name),
            Next::Esxi(image) => self.esxi(&image, begun == Stage::HttpRom),
            Next::Program => End::Program(opened.name.to_string()),
            Next::Ipxe => match self.dhcp(Stage::Ipxe) {
                Ok(given) => self.ipxe(&given),
                Err(end) => end,
            },
        }
    }

    pub(super) fn step(&mut self, stage: Stage, door: &str, asks: impl Into<String>) {
        self.steps.push(SimulatedStep {
            stage: stage.as_str().to_owned(),
            door: door.to_owned(),
            asks: asks.into(),
            ..SimulatedStep::default()
        });
    }

    fn answered(&mut self, ok: bool, answer: impl Into<String>) {
        if let Some(step) = self.steps.last_mut() {
            (step.ok, step.answer) = (ok, answer.into());
        }
    }

    /// Says why, by what the doors told of it.
    fn refused(&mut self, since: u64, reason: &str, answer: impl Into<String>) {
        let because: Vec<String> =
            self.world.happened(since).iter().filter_map(|told| cause(&told.event)).collect();
        if let Some(step) = self.steps.last_mut() {
            (step.reason, step.because) = (Some(reason.to_owned()), because);
        }
        self.answered(false, answer);
    }

    fn told(&self) -> u64 {
        self.world.happened(0).last().map_or(0, |last| last.seq)
    }

    // DHCP

    /// DISCOVER to ACK at this stage; the end when it gets no boot data.
    fn dhcp(&mut self, stage: Stage) -> Result<Given, End> {
        self.facts.stage = stage;
        self.xid += 1;
        let arrival = self.arrival();
        let discover = ask::request(&self.facts, MessageType::Discover, self.xid);
        self.step(stage, "dhcp", format!("DISCOVER{}", self.via()));
        if self.responder.is_none() {
            self.refused(self.told(), "dhcp_off", "nothing: DHCP is off in the configuration");
            return Err(End::Nothing(
                "this appliance answers no DHCP; file requests are served all the same".to_owned(),
            ));
        }
        let Some(offer) = self.exchange(&arrival, &discover) else { return Err(self.unanswered()) };
        let given = boot_file(&offer);
        if offer.yiaddr.is_unspecified() {
            return self.beside_another(stage, &offer, given);
        }
        let server = offer.options.ip(code::SERVER_IDENTIFIER).unwrap_or(self.place.local);
        let mut request = ask::request(&self.facts, MessageType::Request, self.xid);
        request.options.set_ip(code::SERVER_IDENTIFIER, server);
        request.options.set_ip(code::REQUESTED_ADDRESS, offer.yiaddr);
        self.step(stage, "dhcp", format!("REQUEST {}", offer.yiaddr));
        let Some(ack) = self.exchange(&arrival, &request) else { return Err(self.unanswered()) };
        if ack.message_type() != Some(MessageType::Ack) {
            return Err(End::Nothing("its address was refused".to_owned()));
        }
        self.address = ack.yiaddr;
        self.facts.address = Some(IpAddr::V4(ack.yiaddr));
        boot_file(&ack).map(|file| Given { file }).ok_or_else(|| self.left_alone())
    }

    /// Another server gives the address: a ROM takes the boot data from us, on port 4011 where it was not told otherwise.
    fn beside_another(&mut self, stage: Stage, offer: &Message, given: Option<String>) -> Result<Given, End> {
        if self.address.is_unspecified() {
            self.address = match self.facts.address {
                Some(IpAddr::V4(known)) if !known.is_unspecified() => known,
                _ => {
                    let networks = &self.place.interface.ipv4;
                    let last =
                        networks.iter().find_map(|net| net.hosts().rfind(|own| *own != self.place.local));
                    let stand_in = last.unwrap_or(Ipv4Addr::UNSPECIFIED);
                    self.notes.push(format!("another server gives it its address; {stand_in} stands for it"));
                    stand_in
                }
            };
            self.facts.address = Some(IpAddr::V4(self.address));
        }
        // Its REQUEST to the other server passes us, and names its address.
        let mut request = ask::request(&self.facts, MessageType::Request, self.xid);
        request.options.set_ip(code::REQUESTED_ADDRESS, self.address);
        let arrival = self.arrival();
        let _ = self.handle(&arrival, &request);
        let uefi = self.facts.firmware.is_some_and(|own| own.is_uefi());
        if stage == Stage::Rom && uefi && !offer.options.has(code::VENDOR_SPECIFIC) {
            let mut request = ask::request(&self.facts, MessageType::Request, self.xid);
            (request.ciaddr, request.giaddr, request.hops) = (self.address, Ipv4Addr::UNSPECIFIED, 0);
            request.options.remove(code::RELAY_INFO);
            let arrival = self.place.arrival(
                SocketAddrV4::new(self.place.local, BOOT_SERVER_PORT),
                SocketAddrV4::new(self.address, BOOT_SERVER_PORT),
            );
            self.step(stage, "dhcp", format!("REQUEST to port {BOOT_SERVER_PORT}"));
            let Some(ack) = self.exchange(&arrival, &request) else { return Err(self.unanswered()) };
            return boot_file(&ack).map(|file| Given { file }).ok_or_else(|| self.left_alone());
        }
        given.map(|file| Given { file }).ok_or_else(|| self.left_alone())
    }

    /// Whatever one captured packet leads to.
    pub(super) fn one_packet(&mut self, arrival: &Arrival, bytes: &[u8]) {
        if self.responder.is_none() {
            return self.refused(self.told(), "dhcp_off", "nothing: DHCP is off in the configuration");
        }
        let _ = self.say(arrival, bytes);
    }

    fn via(&self) -> String {
        match self.facts.relay {
            Some(relay) => format!(" via relay {relay}"),
            None => format!(" on {}", self.place.interface.name),
        }
    }

    fn arrival(&self) -> Arrival {
        let (to, from) = match self.facts.relay {
            Some(relay) => {
                (SocketAddrV4::new(self.place.local, SERVER_PORT), SocketAddrV4::new(relay, SERVER_PORT))
            }
            None => (
                SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT),
                SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT),
            ),
        };
        self.place.arrival(to, from)
    }

    fn handle(&mut self, arrival: &Arrival, request: &Message) -> Option<Outcome> {
        let encoded = request.encode(&[], &Encoding::for_client(Some(1472), 1500)).ok()?;
        self.outcome(arrival, &encoded.bytes)
    }

    /// As the door does it: what is learnt, then what is told.
    fn outcome(&mut self, arrival: &Arrival, bytes: &[u8]) -> Option<Outcome> {
        self.now = self.now.plus(PAUSE);
        let responder = self.responder.as_mut()?;
        let mut outcome = responder.handle(self.now, arrival, bytes, &*self.world);
        match &mut outcome {
            Outcome::Act(action) => {
                if let Some(probe) = &action.probe {
                    responder.probed(self.now, probe);
                    self.notes
                        .push(format!("{} is asked for on the wire before it is offered", probe.address));
                }
                responder.committed(&action.commit);
                if let Some(learnt) = &action.learn {
                    self.world.learn(learnt);
                }
                action.events.iter().for_each(|event| self.world.record(event.clone()));
            }
            Outcome::Ignore(_, event) => event.iter().for_each(|event| self.world.record((**event).clone())),
            Outcome::Refuse(_) => {}
        }
        Some(outcome)
    }

    fn exchange(&mut self, arrival: &Arrival, request: &Message) -> Option<Message> {
        let encoded = request.encode(&[], &Encoding::for_client(Some(1472), 1500)).ok()?;
        self.say(arrival, &encoded.bytes)
    }

    /// Sends it and puts what comes back into the step that stands last.
    fn say(&mut self, arrival: &Arrival, bytes: &[u8]) -> Option<Message> {
        let since = self.told();
        match self.outcome(arrival, bytes)? {
            Outcome::Ignore(reason, _) => {
                self.refused(
                    since,
                    reason.as_str(),
                    format!("no answer: {}", reason.as_str().replace('_', " ")),
                );
                None
            }
            Outcome::Refuse(reason) => {
                self.refused(
                    since,
                    reason.as_str(),
                    format!("no DHCP: {}", reason.as_str().replace('_', " ")),
                );
                None
            }
            Outcome::Act(action) => {
                let Some(transmit) = action.transmit else {
                    self.refused(since, "no_reply", "no answer is due");
                    return None;
                };
                let reply = Message::decode(&transmit.payload).ok()?;
                let file = boot_file(&reply);
                let given = (!reply.yiaddr.is_unspecified()).then(|| reply.yiaddr.to_string());
                let kind = reply.message_type().map_or("a reply", |kind| kind.as_str()).to_uppercase();
                let words: Vec<String> = given.into_iter().chain(file.clone()).collect();
                if let Some(step) = self.steps.last_mut() {
                    step.reply = Some(ask::view(&reply, &transmit));
                }
                let left = action.events.iter().find_map(|event| match event.field("left_alone") {
                    Some(Value::Text(reason)) => Some(reason.to_string()),
                    _ => None,
                });
                match (&file, left) {
                    (None, Some(reason)) => {
                        let why = reason.replace('_', " ");
                        self.refused(
                            since,
                            &reason,
                            format!("{kind} {}, no boot data: {why}", words.join(", ")),
                        );
                    }
                    _ => self.answered(true, format!("{kind} {}", words.join(", ")).trim_end().to_owned()),
                }
                Some(reply)
            }
        }
    }

    fn unanswered(&self) -> End {
        match self.last_reason() {
            Some("local_disk") => End::Disk("it gets no boot data".to_owned()),
            Some(reason) => End::Nothing(format!("no answer: {}", reason.replace('_', " "))),
            None => End::Nothing("no answer".to_owned()),
        }
    }

    fn left_alone(&self) -> End {
        match self.last_reason() {
            Some("local_disk") => End::Disk("it gets an address and no boot data".to_owned()),
            Some(reason) => End::Nothing(reason.replace('_', " ")),
            None => End::Nothing("it gets no boot data".to_owned()),
        }
    }

    fn last_reason(&self) -> Option<&str> {
        self.steps.last()?.reason.as_deref()
    }

    // Files

    /// Opens a name or one of our URLs as the machine would.
    fn open(&mut self, file: &str, stage: Stage, query: Option<Facts>) -> Option<Opened> {
        let by_http = file.strip_prefix(&self.base).map(str::to_owned);
        match by_http {
            Some(name) => self.open_at(Door::Http, &name, stage, query),
            None if file.contains("://") => {
                self.step(stage, "http", file);
                self.answered(false, "not ours: what is there is not known here");
                None
            }
            None => self.open_at(Door::Tftp, file, stage, None),
        }
    }

    pub(super) fn open_tftp(&mut self, name: &str) -> Option<Opened> {
        self.open_at(Door::Tftp, name, Stage::Loader, None)
    }

    fn open_at(&mut self, door: Door, name: &str, stage: Stage, query: Option<Facts>) -> Option<Opened> {
        let with = if query.is_some() { " with what it says of itself" } else { "" };
        let word = if door == Door::Http { "http" } else { "tftp" };
        self.step(stage, word, shown(&without_secrets(&format!("/{}", name.trim_start_matches('/')))) + with);
        if door == Door::Tftp && !self.tftp {
            self.refused(self.told(), "tftp_off", "nothing: TFTP is off in the configuration");
            return None;
        }
        let since = self.told();
        let who = Who {
            address: IpAddr::V4(self.address),
            interface: (door == Door::Tftp).then(|| self.place.interface.name.clone()),
            local: IpAddr::V4(self.place.local),
            facts: query,
            door,
        };
        // As the HTTP door does it.
        if let Some(facts) = &who.facts {
            Hearsay(self.world.clone()).learn(facts);
        }
        match self.tree.open(name, &who) {
            Ok(opened) => {
                self.handed_over(door, &opened);
                Some(opened)
            }
            Err(error) => {
                self.refused(since, error.reason(), format!("refused: {error}"));
                None
            }
        }
    }

    fn handed_over(&mut self, door: Door, opened: &Opened) {
        let made = matches!(opened.role, Role::Script | Role::Config);
        let size = crate::cmd::table::size(opened.content.len() as u64);
        let text = made.then(|| without_secrets(&String::from_utf8_lossy(&opened.content)));
        if let Some(step) = self.steps.last_mut() {
            step.file = Some(shown(&without_secrets(&opened.name)));
            step.role = Some(opened.role.as_str().to_owned());
            step.bytes = Some(opened.content.len() as u64);
            step.text = text;
        }
        self.answered(true, format!("{} {size}", opened.role.as_str()));
        let name = match (door, opened.role) {
            (Door::Http, Role::Script | Role::Config) => EventName::HttpScript,
            (Door::Http, _) => EventName::HttpFile,
            (Door::Tftp, _) => EventName::TftpDone,
        };
        let mut told = Event::new(name)
            .of(&Facts { stage: self.facts.stage, ..opened.facts.clone().unwrap_or_default() })
            .host(opened.host.clone())
            .boot(opened.boot.clone())
            .with("file", opened.name.clone())
            .with("role", opened.role.as_str());
        if let Some(image) = &opened.image {
            told = told.with("image", image.clone());
        }
        if opened.role == Role::Loader {
            self.world.record(Event { name: EventName::LoaderFetched, ..told.clone() });
        }
        self.world.record(told);
    }

    // Loaders

    /// iPXE with the script it was told to fetch.
    fn ipxe(&mut self, given: &Given) -> End {
        self.facts.stage = Stage::Ipxe;
        let first = ipxe::first(IpAddr::V4(self.place.local), self.http_port);
        let again = format!("{}{}", self.base, ipxe::SCRIPT_NAME);
        let (mut file, mut query) = (given.file.clone(), None);
        for _ in 0..SCRIPTS_MAX {
            let asked_with_facts = query.is_some();
            let Some(opened) = self.open(&file, Stage::Ipxe, query.take()) else {
                return End::Nothing("its script is not given".to_owned());
            };
            let text = String::from_utf8_lossy(&opened.content).into_owned();
            if text == first && asked_with_facts {
                return End::Ask;
            }
            if text == first {
                (file, query) = (again.clone(), Some(self.query()));
                continue;
            }
            return self.script(&opened, &text);
        }
        End::Nothing("its scripts lead to each other".to_owned())
    }

    /// What iPXE says of itself in its query.
    fn query(&self) -> Facts {
        let facts = &self.facts;
        Facts {
            mac: facts.mac,
            guid: facts.guid,
            firmware: facts.firmware,
            stage: Stage::Ipxe,
            http: true,
            smbios: facts.smbios,
            vendor: facts.vendor.clone(),
            model: facts.model.clone(),
            serial: facts.serial.clone(),
            asset: facts.asset.clone(),
            oemstring: facts.oemstring.clone(),
            board_serial: facts.board_serial.clone(),
            nic_bus: facts.nic_bus.clone(),
            address: Some(IpAddr::V4(self.address)),
            ..Facts::default()
        }
    }

    fn script(&mut self, opened: &Opened, text: &str) -> End {
        let hyphens = self.facts.mac.map(|mac| mac.hyphens()).unwrap_or_default();
        let named = of_script(text, &self.base, &hyphens);
        if let Some(image) = opened.image.clone() {
            return self.files(&image, named);
        }
        // It goes on to another loader.
        if let Some(next) = named.iter().find(|named| !named.http && text.contains("tftp://")) {
            let Some(loader) = self.open_tftp(&next.name.clone()) else {
                return End::Nothing("its second loader is not given".to_owned());
            };
            return self.pxelinux(&loader.name);
        }
        self.decided(Stage::Ipxe)
    }

    /// pxelinux looks beside itself for its configuration: by GUID, MAC, address, then the default.
    fn pxelinux(&mut self, loader: &str) -> End {
        self.facts.stage = Stage::Loader;
        let folder = loader.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        let mut keys = Vec::new();
        keys.extend(self.facts.own_guid().map(|guid| guid.wire_text()));
        keys.extend(self.facts.mac.map(|mac| mac.pxelinux()));
        keys.push(format!("{:08X}", u32::from(self.address)));
        keys.push("default".to_owned());
        for key in keys {
            if let Some(opened) = self.open_tftp(&format!("{folder}pxelinux.cfg/{key}")) {
                let text = String::from_utf8_lossy(&opened.content).into_owned();
                let named = of_pxelinux(&text, &self.base);
                return match opened.image.clone() {
                    Some(image) => self.files(&image, named),
                    None => self.decided(Stage::Loader),
                };
            }
        }
        End::Nothing("its loader finds no configuration".to_owned())
    }

    /// ESXi's loader asks for its own configuration beside itself.
    fn esxi(&mut self, image: &str, http: bool) -> End {
        self.facts.stage = Stage::Loader;
        let own = self.facts.mac.map(|mac| mac.pxelinux()).unwrap_or_default();
        let named = Named { name: format!("{image}/{own}/boot.cfg"), http };
        self.files(image, vec![named])
    }

    /// Fetches everything a boot of an image names.
    fn files(&mut self, image: &str, named: Vec<Named>) -> End {
        let (mut waiting, mut failed) = (std::collections::VecDeque::from(named), 0usize);
        let mut refused = None;
        while let Some(Named { name, http }) = waiting.pop_front() {
            let door = if http { Door::Http } else { Door::Tftp };
            let Some(opened) = self.open_at(door, &name, Stage::Loader, None) else {
                failed += 1;
                continue;
            };
            if opened.role == Role::Config {
                let text = String::from_utf8_lossy(&opened.content).into_owned();
                match (of_boot_cfg(&text, &self.base), &opened.image) {
                    (Some(more), Some(_)) => waiting.extend(more),
                    // It sends the machine on to its next boot entry.
                    _ => refused = Some(title(&text)),
                }
            }
        }
        match (refused, failed) {
            (Some(why), _) => End::Disk(why),
            (None, 0) => End::Image(image.to_owned()),
            (None, failed) => End::Nothing(format!("{failed} files of image {image} are not given to it")),
        }
    }

    /// What a script or configuration that names no image leads to.
    fn decided(&mut self, stage: Stage) -> End {
        let verdict = self.world.decide_for(&Facts { stage, http: true, ..self.facts.clone() });
        let told = self.world.happened(0);
        let refused = told.iter().rev().find(|told| told.event.name == EventName::BootRefused);
        let refused = refused.and_then(|told| cause(&told.event));
        match (explain::outcome(&verdict), &verdict.decision) {
            ((_, Some(image)), _) => {
                let why = refused.unwrap_or_else(|| "it is not given".to_owned());
                End::Disk(format!("image {image} is decided for it, and {why}"))
            }
            ((boots, None), Decision::Boot(_)) => match boots.as_str() {
                "menu" => End::Menu,
                "claim" => End::Claim,
                "ask" => End::Ask,
                _ => End::Disk("that is decided for it".to_owned()),
            },
            (_, Decision::LeaveAlone(reason)) => End::Disk(reason.to_string()),
        }
    }
}
