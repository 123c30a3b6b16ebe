//! What one datagram leads to.

use crate::lease::Refusal;
use crate::wire::DecodeError;
use plan::LeaveAloneReason;
use types::lease::LeaseRecord;
use types::{Event, EventName, Facts, Transmit};

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
            LeaveAloneReason::LoopStopped => IgnoreReason::LoopStopped,
        }
    }
}
