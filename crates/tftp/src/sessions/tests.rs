use super::*;
use tftp_proto::wire::{ack, decode, read_request};
use tftp_proto::{Packet, Policy, Trust, negotiate};

fn key(last: u8, port: u16) -> Key {
    Key { remote: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), port), local: Ipv4Addr::LOCALHOST }
}

fn request(name: &str) -> Vec<u8> {
    read_request(name, "octet", &[])
}

fn admit(sessions: &Sessions, key: Key) -> Arc<Session> {
    match sessions.admit(Instant::now(), key, &request("a"), false) {
        Admission::New { session, .. } => session,
        other => panic!("{other:?}"),
    }
}

/// Gives the session a transfer whose client has answered.
fn establish(session: &Session) {
    let now = Instant::now();
    let packet = request("a");
    let Ok(Packet::Rrq(request)) = decode(&packet) else { panic!() };
    let mut transfer = Transfer::new(now, 5000, &negotiate(&request, 5000, &Policy::default()), Trust::Known);
    transfer.poll(now);
    transfer.handle_packet(now, &ack(1));
    assert!(!transfer.is_unanswered());
    *session.transfer() = Some(transfer);
}

#[test]
fn t15_a_repeated_request_joins_and_another_from_the_same_port_replaces() {
    let sessions = Sessions::new(10, 10);
    let first = admit(&sessions, key(1, 2000));
    let now = Instant::now();
    assert!(matches!(sessions.admit(now, key(1, 2000), &request("a"), false), Admission::Joined));
    assert!(!first.is_cancelled());
    let second = sessions.admit(now, key(1, 2000), &request("b"), false);
    assert!(matches!(second, Admission::New { evicted: false, .. }));
    assert!(first.is_cancelled());
    assert_eq!(sessions.len(), 1);
    sessions.end(key(1, 2000), &first);
    assert_eq!(sessions.len(), 1, "the end of the old one leaves the new one alone");
}

#[test]
fn t2_a_forged_request_for_another_file_leaves_an_established_transfer_alone() {
    let sessions = Sessions::new(10, 10);
    let session = admit(&sessions, key(1, 2000));
    establish(&session);
    let forged = sessions.admit(Instant::now(), key(1, 2000), &request("b"), false);
    assert!(matches!(forged, Admission::Joined));
    assert!(!session.is_cancelled());
}

#[test]
fn t22_over_the_cap_the_oldest_unanswered_goes_and_established_ones_stay() {
    let sessions = Sessions::new(3, 10);
    let established = admit(&sessions, key(1, 1));
    establish(&established);
    let oldest = admit(&sessions, key(2, 1));
    let newer = admit(&sessions, key(3, 1));
    let admission = sessions.admit(Instant::now(), key(4, 1), &request("a"), false);
    assert!(matches!(admission, Admission::New { evicted: true, .. }));
    assert!(oldest.is_cancelled());
    assert!(!established.is_cancelled() && !newer.is_cancelled());
    assert_eq!(sessions.len(), 3);
}

#[test]
fn t22_when_all_are_established_a_new_request_is_dropped() {
    let sessions = Sessions::new(2, 10);
    for last in [1, 2] {
        establish(&admit(&sessions, key(last, 1)));
    }
    assert!(matches!(sessions.admit(Instant::now(), key(3, 1), &request("a"), false), Admission::Busy));
}

#[test]
fn t22_one_source_over_its_cap_pushes_out_only_its_own() {
    let sessions = Sessions::new(100, 2);
    let other = admit(&sessions, key(9, 1));
    let own = admit(&sessions, key(1, 1));
    admit(&sessions, key(1, 2));
    admit(&sessions, key(1, 3));
    assert!(own.is_cancelled() && !other.is_cancelled());
    assert_eq!(sessions.len(), 3);
}

#[test]
fn t22_a_hundred_thousand_forged_requests_leave_at_most_the_cap() {
    let sessions = Sessions::new(50, 8);
    let established = admit(&sessions, key(1, 1));
    establish(&established);
    for number in 0..100_000u32 {
        let remote = SocketAddrV4::new(Ipv4Addr::from(0x0a01_0000 + number), 5);
        let _ =
            sessions.admit(Instant::now(), Key { remote, local: Ipv4Addr::LOCALHOST }, &request("a"), false);
    }
    assert_eq!(sessions.len(), 50 - 50 / KNOWN_SHARE, "none of them holds a lease");
    assert!(!established.is_cancelled());
}

fn admit_known(sessions: &Sessions, key: Key) -> Arc<Session> {
    match sessions.admit(Instant::now(), key, &request("a"), true) {
        Admission::New { session, .. } => session,
        other => panic!("{other:?}"),
    }
}

#[test]
fn t22_strangers_never_push_out_or_lock_out_a_machine_with_a_lease() {
    let sessions = Sessions::new(16, 16);
    let leased = admit_known(&sessions, key(1, 1));
    let strangers: Vec<_> = (0..40).map(|number| admit(&sessions, key(2 + number, 1))).collect();
    assert!(!leased.is_cancelled(), "unanswered, the oldest of all, and still there");
    assert_eq!(sessions.len(), 1 + 12, "a quarter of the places is kept");
    strangers.iter().filter(|session| !session.is_cancelled()).for_each(|session| establish(session));
    let admission = sessions.admit(Instant::now(), key(90, 1), &request("a"), false);
    assert!(matches!(admission, Admission::Busy));
    assert!(!admit_known(&sessions, key(91, 1)).is_cancelled());
}

#[test]
fn t22_unanswered_strangers_are_far_fewer_than_all_places() {
    let sessions = Sessions::new(4096, 4096);
    let all: Vec<_> = (0..2000).map(|port| admit(&sessions, key(1, 1 + port))).collect();
    assert_eq!(sessions.len(), STRANGERS_UNANSWERED_MAX);
    assert!(all.last().is_some_and(|session| !session.is_cancelled()));
}

#[test]
fn t22_answered_sessions_do_not_count_as_waiting() {
    let sessions = Sessions::new(4096, 4096);
    for port in 0..1000 {
        establish(&admit(&sessions, key(1, 1 + port)));
    }
    assert_eq!(sessions.len(), 1000, "each was answered before the next came");
}
