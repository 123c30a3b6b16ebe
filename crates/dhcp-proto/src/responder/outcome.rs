//! What one datagram leads to.

use crate::lease::Refusal;
use crate::wire::DecodeError;
use plan::LeaveAloneReason;
use std::net::Ipv4Addr;
use types::lease::LeaseRecord;
use types::{Event, EventName, Facts, MacAddr, Now, Transmit};

/// What one datagram leads to.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "made once per datagram and taken apart at once, never stored")]
pub enum Outcome {
    /// Do this.
    Act(Action),
    /// A good packet that is not answered. The event says so; it is left out where it would only repeat a warning.
    Ignore(IgnoreReason, Option<Box<Event>>),
    /// Bytes that are no DHCP: counted, never answered.
    Refuse(RefuseReason),
}

/// What the shell has to do, in this order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Action {
    /// Records that must be durable before `transmit` leaves. After that, tell
    /// [`Responder::committed`](super::Responder::committed).
    pub commit: Vec<LeaseRecord>,
    /// The reply.
    pub transmit: Option<Transmit>,
    /// Sent instead of `transmit` when the commit failed: an ACK that promises no more than what is durable already, so a
    /// full disk keeps known machines running. `None`: send nothing, the client tries again.
    pub fallback: Option<Transmit>,
    /// To be recorded after `transmit` has left.
    pub events: Vec<Event>,
    /// What the machine said of itself, for [`plan::Decider::learn`].
    pub learn: Option<Facts>,
    /// The reply waits until this address was asked for: see [`Probe`].
    pub probe: Option<Probe>,
    /// True when `commit` holds only what was promised before: renewals, releases, quarantine. It may use the last room
    /// of the store.
    pub essential: bool,
}

/// An address that is asked for before it is offered (RFC 2131 §2.2, §3.1).
///
/// When nobody has answered after [`Settings::probe_wait`](super::Settings::probe_wait): tell
/// [`Responder::probed`](super::Responder::probed), and when that says so, let the reply go. When somebody answers: tell
/// [`Responder::address_in_use`](super::Responder::address_in_use), commit what it says, and hand in the same datagram again: it gets
/// another address. A further request of the same client that names the same address takes the place of the one that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The address.
    pub address: Ipv4Addr,
    /// How to ask.
    pub way: ProbeWay,
    /// Whose offer waits: its own answer is no conflict.
    pub client: Option<MacAddr>,
}

/// How an address is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProbeWay {
    /// By ARP on this interface (kernel index): the address is on the link (RFC 5227 §2.1.1).
    Arp(u32),
    /// By ICMP echo from this address of ours: the address is behind a relay.
    Echo(Ipv4Addr),
}

/// What a found conflict leads to.
#[derive(Clone, PartialEq, Debug)]
pub struct Conflict {
    /// To be committed; nothing waits for it.
    pub commit: Vec<LeaseRecord>,
    /// To be recorded.
    pub event: Event,
}

/// What time alone leads to.
#[derive(Clone, Debug, Default)]
pub struct Ticked {
    /// To be recorded.
    pub events: Vec<Event>,
    /// The wall clock was set.
    pub redating: Option<Redating>,
}

/// The wall clock was set: the leases have to be dated anew. Once the records and the clock are durable together, tell
/// [`Responder::redated`](super::Responder::redated); until then the old clock goes on.
#[derive(Clone, Debug)]
pub struct Redating {
    /// The moment all of it refers to.
    pub clock: Now,
    /// Every record that reads differently by the new clock.
    pub records: Vec<LeaseRecord>,
}

/// Why bytes are refused; the stable names of [`DecodeError`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RefuseReason(&'static str);

impl RefuseReason {
    /// Stable name, `snake_case`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The event for it.
    pub fn event(self) -> Event {
        Event::new(EventName::DhcpRefused).because(self.0)
    }
}

impl From<DecodeError> for RefuseReason {
    fn from(error: DecodeError) -> RefuseReason {
        RefuseReason(error.reason())
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// Why a good packet is not answered. One counter each.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum IgnoreReason { $($(#[$doc])* $variant,)* }

        impl IgnoreReason {
            /// Every reason, for counters that start at zero.
            pub const ALL: &'static [IgnoreReason] = &[$(IgnoreReason::$variant,)*];

            /// Stable name, `snake_case`.
            pub fn as_str(self) -> &'static str {
                match self { $(IgnoreReason::$variant => $text,)* }
            }
        }
    };
}

reasons! {
    /// `op` says it is a reply.
    NotARequest = "not_a_request",
    /// No option 53: plain BOOTP.
    Bootp = "bootp",
    /// A message type only servers send, or none we know.
    MessageType = "message_type",
    /// More than 16 relays.
    TooManyHops = "too_many_hops",
    /// No client identifier and no hardware address.
    NoIdentity = "no_identity",
    /// `ciaddr`, `giaddr` or option 50 is no host's address, or ours.
    ImplausibleAddress = "implausible_address",
    /// INFORM from an address outside the network it came from.
    WrongNetwork = "wrong_network",
    /// Forwarded by a relay we do not know.
    RelayNotAllowed = "relay_not_allowed",
    /// Option 82 without `giaddr`.
    RelayInfoWithoutRelay = "relay_info_without_relay",
    /// No subnet is configured for where it came from.
    NoSubnet = "no_subnet",
    /// DHCP is off there.
    Off = "dhcp_off",
    /// The pool is exhausted.
    PoolEmpty = "pool_empty",
    /// Too many open offers to unknown machines.
    TooManyOffers = "too_many_offers",
    /// The last free addresses are kept for known machines.
    PoolFloor = "pool_floor",
    /// The client asks faster than any machine boots.
    RateLimited = "rate_limited",
    /// Its interface, relay or circuit brings more unknown machines than it may.
    StrangerFlood = "stranger_flood",
    /// The store takes no new lease at the moment.
    StoreRefuses = "store_refuses",
    /// The address reserved for it is still in use by another.
    ReservationBusy = "reservation_busy",
    /// It took another server's offer.
    OtherServerChosen = "other_server_chosen",
    /// REQUEST, DECLINE or RELEASE without the fields it needs.
    Incomplete = "incomplete",
    /// We know nothing of this lease, and saying no is another server's right.
    UnknownLease = "unknown_lease",
    /// A NAK would be due, but the subnet is not authoritative.
    NotAuthoritative = "not_authoritative",
    /// RELEASE or DECLINE of a lease that is not the sender's.
    NotTheOwner = "not_the_owner",
    /// Only DISCOVER is answered on port 67 beside another server.
    ProxyOnlyOffers = "proxy_only_offers",
    /// Only REQUEST and INFORM are answered on port 4011.
    BootServerOnlyRequests = "boot_server_only_requests",
    /// A request to port 4011 that was broadcast or has no address to answer to.
    NoReturnAddress = "no_return_address",
    /// It asks port 4011 for a boot server or for credentials we do not offer.
    BootItemUnsupported = "boot_item_unsupported",
    /// UEFI HTTP boot never asks port 4011.
    NotAPxeClient = "not_a_pxe_client",
    /// Proxy: it did not ask to boot.
    NotABootClient = "not_a_boot_client",
    /// Proxy: unknown machines are ignored.
    UnknownMachine = "unknown_ignored",
    /// Proxy: it boots its own disk.
    LocalDisk = "local_disk",
    /// Proxy: there is no loader for it.
    NoLoader = "no_loader",
    /// Proxy: its firmware could not be told.
    FirmwareUnknown = "firmware_unknown",
    /// Proxy: its image does not boot there.
    FirmwareUnfit = "firmware_unfit",
    /// Proxy: its identities belong to different hosts.
    IdentityConflict = "identity_conflict",
    /// Proxy: its image is not there.
    ImageMissing = "image_missing",
    /// Proxy: the group it is in is not there.
    GroupMissing = "group_missing",
    /// Proxy: it is quarantined.
    Quarantined = "quarantined",
    /// Proxy: it came back for its loader too often.
    LoopStopped = "loop_stopped",
    /// Proxy: the plan is nothing DHCP could say.
    NoBootFile = "no_boot_file",
    /// The reply could not be written: an option 82 that leaves no room.
    ReplyTooLarge = "reply_too_large",
}

impl From<Refusal> for IgnoreReason {
    fn from(refusal: Refusal) -> IgnoreReason {
        match refusal {
            Refusal::Exhausted => IgnoreReason::PoolEmpty,
            Refusal::TooManyOffers => IgnoreReason::TooManyOffers,
            Refusal::FloorKept => IgnoreReason::PoolFloor,
            Refusal::ReservationBusy => IgnoreReason::ReservationBusy,
        }
    }
}

impl From<LeaveAloneReason> for IgnoreReason {
    fn from(reason: LeaveAloneReason) -> IgnoreReason {
        match reason {
            LeaveAloneReason::NotABootClient => IgnoreReason::NotABootClient,
            LeaveAloneReason::UnknownIgnored => IgnoreReason::UnknownMachine,
            LeaveAloneReason::LocalDisk => IgnoreReason::LocalDisk,
            LeaveAloneReason::NoLoader => IgnoreReason::NoLoader,
            LeaveAloneReason::FirmwareUnknown => IgnoreReason::FirmwareUnknown,
            LeaveAloneReason::FirmwareUnfit => IgnoreReason::FirmwareUnfit,
            LeaveAloneReason::IdentityConflict => IgnoreReason::IdentityConflict,
            LeaveAloneReason::ImageMissing => IgnoreReason::ImageMissing,
            LeaveAloneReason::GroupMissing => IgnoreReason::GroupMissing,
            LeaveAloneReason::Quarantined => IgnoreReason::Quarantined,
            LeaveAloneReason::LoopStopped => IgnoreReason::LoopStopped,
        }
    }
}
