//! Boot ids and the call-back tokens that go with them.
//!
//! A token is 128 random bits, lives [`TICKET_LIFE`] and reports each stage once. It is handed out in boot scripts and
//! appears in no event and no log.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tree::{BootTicket, BundleReport, BundleStep, CallbackError};
use types::resource::{Host, Name};
use types::{Facts, MacAddr};

/// An installation over a slow line, with room.
const TICKET_LIFE: Duration = Duration::from_secs(4 * 3600);
/// Within this time the same machine asking for the same image gets the same ticket: HEAD and GET, a size probe and the
/// read after it must see the same bytes.
const TICKET_REUSE: Duration = Duration::from_secs(60);
/// Tickets alive at once; the oldest go first.
const TICKETS_MAX: usize = 65_536;
/// Tickets alive of one address; its oldest go first. Whoever asks under a thousand names takes nobody else's.
const TICKETS_OF_SOURCE_MAX: usize = 64;
/// Different stages one boot may report.
const STAGES_MAX: usize = 64;

/// Times one script may be begun or ended in one boot.
const BUNDLE_STEPS_MAX: u32 = 1_000;

/// A ticket and whom it was given to.
#[derive(Clone)]
pub(super) struct Holder {
    pub(super) facts: Facts,
    pub(super) host: Option<Arc<str>>,
    pub(super) image: Name,
    pub(super) boot: Arc<str>,
    issued: Instant,
    reported: HashSet<Box<str>>,
    /// What was last told of each script, and how often something was. Callers keep to scripts the machine has.
    scripts: HashMap<(Name, Name), (BundleStep, u32)>,
}

/// A machine at an address: the MAC alone is no key, everybody on the wire knows it.
type Place = (MacAddr, Option<IpAddr>);

/// Live tickets by token.
#[derive(Default)]
pub(super) struct Tickets {
    holders: HashMap<Arc<str>, Holder>,
    newest: HashMap<Place, Arc<str>>,
    by_source: HashMap<IpAddr, VecDeque<Arc<str>>>,
    /// Tokens as they were issued; some may be gone.
    order: VecDeque<Arc<str>>,
}

impl Tickets {
    /// The ticket this machine was given a moment ago, at the same address for the same image, still unused: nothing was told
    /// with it.
    pub(super) fn live(&self, now: Instant, facts: &Facts, image: &Name) -> Option<BootTicket> {
        let token = self.newest.get(&(facts.mac?, facts.address))?;
        let holder = self.holders.get(token)?;
        let fresh = now.saturating_duration_since(holder.issued) < TICKET_REUSE;
        (fresh && holder.image == *image && holder.reported.is_empty() && holder.scripts.is_empty())
            .then(|| BootTicket { boot: holder.boot.clone(), token: token.clone() })
    }

    pub(super) fn issue(
        &mut self,
        now: Instant,
        facts: &Facts,
        host: Option<&Host>,
        image: &Name,
        boot: Arc<str>,
    ) -> BootTicket {
        self.make_room(facts.address);
        let token: Arc<str> = format!("{:032x}", random_128()).into();
        let holder = Holder {
            facts: facts.clone(),
            host: host.map(|host| host.name.shared()),
            image: image.clone(),
            boot: boot.clone(),
            issued: now,
            reported: HashSet::new(),
            scripts: HashMap::new(),
        };
        self.holders.insert(token.clone(), holder);
        self.order.push_back(token.clone());
        if let Some(mac) = facts.mac {
            self.newest.insert((mac, facts.address), token.clone());
        }
        if let Some(source) = facts.address {
            self.by_source.entry(source).or_default().push_back(token.clone());
        }
        BootTicket { boot, token }
    }

    /// Whom the token belongs to.
    pub(super) fn holder(&self, now: Instant, token: &str) -> Result<&Holder, CallbackError> {
        let holder = self.holders.get(token).ok_or(CallbackError::Unknown)?;
        match now.saturating_duration_since(holder.issued) < TICKET_LIFE {
            true => Ok(holder),
            false => Err(CallbackError::Expired),
        }
    }

    /// The newest ticket that was given to this address for an image.
    pub(super) fn of_source(&self, from: IpAddr, image: &Name) -> Option<&Holder> {
        let tokens = self.by_source.get(&from)?;
        tokens.iter().rev().filter_map(|token| self.holders.get(token)).find(|holder| holder.image == *image)
    }

    /// Takes a report. Each stage counts once.
    pub(super) fn redeem(&mut self, now: Instant, token: &str, stage: &str) -> Result<Holder, CallbackError> {
        self.holder(now, token)?;
        let holder = self.holders.get_mut(token).ok_or(CallbackError::Unknown)?;
        if holder.reported.len() >= STAGES_MAX || !holder.reported.insert(stage.into()) {
            return Err(CallbackError::Expired);
        }
        Ok(Holder { reported: HashSet::new(), ..holder.clone() })
    }

    /// Takes what is told of a script. False when it was just told.
    pub(super) fn take_bundle_step(
        &mut self,
        token: &str,
        report: &BundleReport,
    ) -> Result<bool, CallbackError> {
        let holder = self.holders.get_mut(token).ok_or(CallbackError::Unknown)?;
        let key = (report.bundle.clone(), report.script.clone());
        match holder.scripts.get_mut(&key) {
            Some((last, _)) if *last == report.step => return Ok(false),
            Some((_, told)) if *told >= BUNDLE_STEPS_MAX => return Err(CallbackError::Expired),
            Some((last, told)) => (*last, *told) = (report.step, *told + 1),
            None => drop(holder.scripts.insert(key, (report.step, 1))),
        }
        Ok(true)
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.holders.retain(|_, holder| now.saturating_duration_since(holder.issued) < TICKET_LIFE);
        let holders = &self.holders;
        self.newest.retain(|_, token| holders.contains_key(token));
        self.order.retain(|token| holders.contains_key(token));
        self.by_source.retain(|_, tokens| {
            tokens.retain(|token| holders.contains_key(token));
            !tokens.is_empty()
        });
    }

    fn make_room(&mut self, source: Option<IpAddr>) {
        let own = source.and_then(|source| self.by_source.get_mut(&source));
        if let Some(own) = own.filter(|own| own.len() >= TICKETS_OF_SOURCE_MAX)
            && let Some(oldest) = own.pop_front()
        {
            self.remove(&oldest);
        }
        while self.holders.len() >= TICKETS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.remove(&oldest);
        }
        if self.order.len() >= 2 * TICKETS_MAX {
            let holders = &self.holders;
            self.order.retain(|token| holders.contains_key(token));
        }
    }

    fn remove(&mut self, token: &str) {
        let Some(holder) = self.holders.remove(token) else { return };
        if let Some(mac) = holder.facts.mac {
            let place = (mac, holder.facts.address);
            if self.newest.get(&place).is_some_and(|newest| **newest == *token) {
                self.newest.remove(&place);
            }
        }
    }
}

/// A ULID: 48 bits of milliseconds and 80 random bits in Crockford's base 32, sortable by time.
pub(super) fn new_boot_id() -> Arc<str> {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let value = (millis << 80) | (random_128() >> 48);
    let digit =
        |at: u32| DIGITS.get(usize::try_from((value >> (5 * at)) & 31).unwrap_or(0)).copied().unwrap_or(b'0');
    (0..26).rev().map(|at| char::from(digit(at))).collect::<String>().into()
}

/// 128 bits from the kernel. The kernel's generator never fails once the machine is up; without it no secret can be made.
pub(super) fn random_128() -> u128 {
    let mut bytes = [0u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .expect("the kernel's random source is readable");
    u128::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts { mac: Some(MacAddr([2, 0, 0, 0, 0, 1])), ..Facts::default() }
    }

    fn image() -> Name {
        "debian".parse().unwrap()
    }

    #[test]
    fn a_stage_is_reported_once_and_an_old_token_not_at_all() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let ticket = tickets.issue(now, &facts(), None, &image(), "B1".into());
        assert_eq!(
            tickets.redeem(now, &ticket.token, "up").map(|holder| holder.boot.to_string()).ok().as_deref(),
            Some("B1")
        );
        assert!(matches!(tickets.redeem(now, &ticket.token, "up"), Err(CallbackError::Expired)));
        assert!(tickets.redeem(now, &ticket.token, "installed").is_ok());
        assert!(matches!(tickets.redeem(now, "00", "up"), Err(CallbackError::Unknown)));
        assert!(matches!(
            tickets.redeem(now + TICKET_LIFE, &ticket.token, "late"),
            Err(CallbackError::Expired)
        ));
    }

    #[test]
    fn the_same_question_soon_after_gets_the_same_ticket() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let ticket = tickets.issue(now, &facts(), None, &image(), "B1".into());
        let live = |tickets: &Tickets, at, name: &str| {
            tickets.live(at, &facts(), &name.parse().unwrap()).map(|live| live.token)
        };
        assert_eq!(live(&tickets, now, "debian"), Some(ticket.token.clone()));
        assert_eq!(live(&tickets, now, "rescue"), None);
        assert_eq!(live(&tickets, now + TICKET_REUSE, "debian"), None);
        tickets.redeem(now, &ticket.token, "up").map(drop).unwrap();
        assert_eq!(live(&tickets, now, "debian"), None);
    }

    #[test]
    fn a_neighbour_that_says_our_mac_is_not_given_our_ticket() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let own = Facts { address: Some("10.0.0.1".parse().unwrap()), ..facts() };
        let other = Facts { address: Some("10.0.0.66".parse().unwrap()), ..facts() };
        let ticket = tickets.issue(now, &own, None, &image(), "B1".into());
        assert_eq!(tickets.live(now, &other, &image()), None);
        tickets.issue(now, &other, None, &image(), "B2".into());
        assert_eq!(tickets.live(now, &own, &image()), Some(ticket));
    }

    #[test]
    fn one_address_takes_tickets_from_itself_only() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let ours = tickets.issue(now, &facts(), None, &image(), "B1".into());
        for number in 0..5_000u16 {
            let [high, low] = number.to_be_bytes();
            let invented = Facts {
                mac: Some(MacAddr([6, 0, 0, 0, high, low])),
                address: Some("10.0.0.66".parse().unwrap()),
                ..Facts::default()
            };
            tickets.issue(now, &invented, None, &image(), "B2".into());
        }
        assert_eq!(tickets.holders.len(), TICKETS_OF_SOURCE_MAX + 1);
        assert_eq!(tickets.newest.len(), TICKETS_OF_SOURCE_MAX + 1);
        assert!(tickets.redeem(now, &ours.token, "up").is_ok());
        tickets.expire(now);
        assert_eq!(tickets.order.len(), TICKETS_OF_SOURCE_MAX + 1);
        tickets.expire(now + TICKET_LIFE);
        assert!(tickets.order.is_empty() && tickets.by_source.is_empty() && tickets.newest.is_empty());
    }

    #[test]
    fn boot_ids_are_26_digits_that_sort_by_time() {
        let (one, other) = (new_boot_id(), new_boot_id());
        assert_eq!(one.len(), 26);
        assert_ne!(one, other);
        assert!(one.get(..9) <= other.get(..9));
    }
}
