//! Conformance by RFC section: one test per line of the check lists, named after it.

mod clock;
mod events;
mod flood;
mod identity;
mod model;
mod probe;
mod proxy;
mod relay;
mod server;

use super::testing::*;
use super::*;
use crate::wire::Message;
use types::Destination;
use types::event::Value;
use types::lease::LeaseState;
use types::subnet::Subnet;

/// A responder, a decider and a clock.
struct Lab {
    responder: Responder,
    stub: Stub,
    now: Now,
}

impl Lab {
    fn new(subnets: Vec<Subnet>) -> Lab {
        Lab::with(Settings { subnets, http_port: 8080, ..Settings::default() })
    }

    fn with(settings: Settings) -> Lab {
        Lab { responder: Responder::new(settings), stub: Stub::default(), now: start() }
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(secs(seconds));
        self.responder.tick(self.now);
    }

    fn handle(&mut self, arrival: &Arrival, message: &Message) -> Outcome {
        let bytes = message.encode(&[], &Encoding::for_client(Some(1500), 1500)).unwrap().bytes;
        self.responder.handle(self.now, arrival, &bytes, &self.stub)
    }

    /// What is done about it; panics when it is ignored.
    fn act(&mut self, arrival: &Arrival, message: &Message) -> Action {
        match self.handle(arrival, message) {
            Outcome::Act(action) => action,
            other => panic!("not answered: {other:?}"),
        }
    }

    /// The reply to a broadcast.
    fn ask(&mut self, message: &Message) -> Message {
        reply(&self.act(&arrival(), message))
    }

    /// Why a broadcast is ignored; panics when it is not.
    fn ignored(&mut self, message: &Message) -> IgnoreReason {
        self.ignored_at(&arrival(), message)
    }

    fn ignored_at(&mut self, arrival: &Arrival, message: &Message) -> IgnoreReason {
        match self.handle(arrival, message) {
            Outcome::Ignore(reason, _) => reason,
            other => panic!("not ignored: {other:?}"),
        }
    }

    /// DISCOVER and REQUEST; the commit is confirmed.
    fn lease(&mut self, discover: &Message) -> Ipv4Addr {
        let offer = self.ask(discover);
        let action = self.act(&arrival(), &take(discover, &offer));
        self.responder.committed(&action.commit);
        let ack = reply(&action);
        assert_eq!(kind(&ack), MessageType::Ack);
        assert_eq!(ack.yiaddr, offer.yiaddr);
        ack.yiaddr
    }
}

/// The REQUEST that follows an OFFER.
fn take(discover: &Message, offer: &Message) -> Message {
    let mut request = discover.clone();
    request.options.set(code::MESSAGE_TYPE, [MessageType::Request.code()]);
    request.options.set_ip(code::REQUESTED_ADDRESS, offer.yiaddr);
    request.options.set_ip(code::SERVER_IDENTIFIER, offer.options.ip(code::SERVER_IDENTIFIER).unwrap());
    request
}

fn transmit(action: &Action) -> &Transmit {
    action.transmit.as_ref().expect("a reply")
}

fn reply(action: &Action) -> Message {
    let bytes = &transmit(action).payload;
    assert!(bytes.len() >= 300, "D27: padded");
    Message::decode(bytes).expect("our own replies decode")
}

fn kind(message: &Message) -> MessageType {
    message.message_type().unwrap()
}

fn codes(message: &Message) -> Vec<u8> {
    let mut codes: Vec<u8> = message.options.iter().map(|(code, _)| code).collect();
    codes.sort_unstable();
    codes
}
