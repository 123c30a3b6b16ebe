//! Shells that break a promise, to show that the checks notice.

use crate::Seed;
use dhcp_proto::Action;
use dhcp_proto::wire::{Encoding, Message, MessageType, code};
use std::net::Ipv4Addr;
use types::lease::{LeaseRecord, LeaseState};
use types::{MacAddr, Transmit};

/// A shell that breaks a promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// Replies leave before the commit.
    SendsBeforeCommit,
    /// Nothing is committed, and success is reported.
    CommitsNothing,
    /// One record is not loaded at start.
    ForgetsARecord,
    /// Offers go out with an address that was offered to another.
    OffersWhatIsHeld,
    /// A renewal is answered with a quarter of the time.
    ShortensLeases,
    /// An ACK promises twice the time that was written down.
    PromisesMore,
    /// Some replies are sent twice.
    RepliesTwice,
    /// Quarantine is left out of what is committed.
    ForgetsQuarantine,
}

/// What a mutant changes; nothing without one.
pub(super) struct Mutation {
    mutant: Option<Mutant>,
    last_offer: Option<(Ipv4Addr, Option<MacAddr>)>,
    seed: Seed,
}

impl Mutation {
    pub(super) fn new(mutant: Option<Mutant>, seed: Seed) -> Mutation {
        Mutation { mutant, last_offer: None, seed }
    }

    pub(super) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    pub(super) fn loads(&self, found: &mut Vec<LeaseRecord>) {
        if self.is(Mutant::ForgetsARecord) {
            found.pop();
        }
    }

    pub(super) fn replies_twice(&mut self) -> bool {
        self.is(Mutant::RepliesTwice) && self.seed.chance(50)
    }

    /// The decision of one request, and the reply in it.
    pub(super) fn decided(&mut self, action: &mut Action) -> Option<Message> {
        if self.is(Mutant::ForgetsQuarantine) {
            action.commit.retain(|record| record.state != LeaseState::Quarantined);
        }
        let reply = action.transmit.as_ref();
        let mut reply = reply.and_then(|transmit| Message::decode(&transmit.payload).ok())?;
        if self.is(Mutant::OffersWhatIsHeld) && reply.message_type() == Some(MessageType::Offer) {
            let last = self.last_offer.replace((reply.yiaddr, reply.mac()));
            if let Some((address, _)) = last.filter(|(_, mac)| *mac != reply.mac()) {
                reply.yiaddr = address;
                rewrite(action.transmit.as_mut(), &reply);
            }
        }
        Some(reply)
    }

    /// A reply on its way out.
    pub(super) fn sends(&self, transmit: &mut Transmit) {
        let Some(mutant) = self.mutant else { return };
        let Ok(mut reply) = Message::decode(&transmit.payload) else { return };
        let lease = reply.options.u32(code::LEASE_TIME);
        let Some(lease) = lease.filter(|_| reply.message_type() == Some(MessageType::Ack)) else { return };
        let changed = match mutant {
            Mutant::ShortensLeases if !reply.ciaddr.is_unspecified() => lease / 4,
            Mutant::PromisesMore => lease.saturating_mul(2),
            _ => return,
        };
        reply.options.set_u32(code::LEASE_TIME, changed);
        rewrite(Some(transmit), &reply);
    }
}

fn rewrite(transmit: Option<&mut Transmit>, reply: &Message) {
    if let (Some(transmit), Ok(encoded)) = (transmit, reply.encode(&[], &Encoding::default())) {
        transmit.payload = encoded.bytes;
    }
}
