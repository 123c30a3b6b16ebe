//! The timelines of all machines, as many as fit.

use super::{At, Ending, Timeline, limits};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use types::{Event, EventName, MacAddr};

/// How long boots of an image took that came up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usual {
    /// Boots it is drawn from, [`limits::USUAL_BOOTS_MIN`] or more.
    pub boots: usize,
    /// From its first request to its call-back: the shortest and the longest.
    pub whole: (Duration, Duration),
    /// From its last file to its call-back.
    pub silent: (Duration, Duration),
}

#[derive(Clone, Copy, Debug)]
struct Took {
    whole: Duration,
    silent: Duration,
}

/// Timelines by boot and by machine.
#[derive(Default, Debug)]
pub struct Timelines {
    boots: HashMap<Arc<str>, Timeline>,
    /// Boots of each machine, oldest first.
    machines: HashMap<MacAddr, VecDeque<Arc<str>>>,
    /// Boots that DHCP began, in that order.
    order: VecDeque<Arc<str>>,
    /// All others, likewise.
    said: VecDeque<Arc<str>>,
    /// Events kept one by one.
    events: usize,
    history: HashMap<Arc<str>, VecDeque<Took>>,
    /// Images in the order they were met.
    images: VecDeque<Arc<str>>,
    forgotten: u64,
}

impl Timelines {
    /// Takes in an event; one that belongs to no boot is none of ours.
    pub fn observe(&mut self, at: At, event: &Event) {
        let Some(id) = &event.boot else { return };
        if !self.boots.contains_key(id) {
            // What is told later of a boot that is forgotten is no boot that begins.
            let seen = event.name == EventName::DhcpDiscover;
            let Some(mac) = event.mac.filter(|_| seen || event.name == EventName::BootStarted) else {
                return;
            };
            self.begin(id.clone(), at, mac, seen);
        }
        let Some(timeline) = self.boots.get_mut(id) else { return };
        let (before, ending) = (timeline.entries.len(), timeline.ending);
        timeline.take(at.instant, event);
        self.events += timeline.entries.len() - before;
        let came_up = timeline.ending == Some(Ending::Up) && ending != timeline.ending;
        if let (true, Some(image), Some(whole)) = (came_up, &timeline.image, timeline.ended) {
            let took = Took { whole, silent: whole.saturating_sub(timeline.fetched.unwrap_or(whole)) };
            let image = image.clone();
            self.remember(image, took);
        }
        self.make_room(id);
    }

    /// One boot.
    pub fn get(&self, id: &str) -> Option<&Timeline> {
        self.boots.get(id)
    }

    /// Boots of a machine, oldest first.
    pub fn of_machine(&self, mac: MacAddr) -> impl DoubleEndedIterator<Item = &Timeline> {
        self.machines.get(&mac).into_iter().flatten().filter_map(|id| self.boots.get(id))
    }

    /// The newest boot of every machine, in no order.
    pub fn newest(&self) -> impl Iterator<Item = (MacAddr, &Timeline)> {
        self.machines.iter().filter_map(|(mac, boots)| Some((*mac, self.boots.get(boots.back()?)?)))
    }

    /// How long boots of an image usually take; `None` before enough of them came up.
    pub fn usual(&self, image: &str) -> Option<Usual> {
        let history = self.history.get(image).filter(|all| all.len() >= limits::USUAL_BOOTS_MIN)?;
        let between = |time: fn(&Took) -> Duration| {
            let times = history.iter().map(time);
            Some((times.clone().min()?, times.max()?))
        };
        Some(Usual {
            boots: history.len(),
            whole: between(|took| took.whole)?,
            silent: between(|took| took.silent)?,
        })
    }

    /// Boots kept, events kept one by one, and boots that had to be forgotten.
    pub fn sizes(&self) -> (usize, usize, u64) {
        (self.boots.len(), self.events, self.forgotten)
    }

    fn begin(&mut self, id: Arc<str>, at: At, mac: MacAddr, seen: bool) {
        let own = self.machines.entry(mac).or_default();
        if let Some(before) = own.back().and_then(|before| self.boots.get_mut(before)) {
            before.superseded(at.instant);
        }
        let spare = if own.len() >= limits::BOOTS_OF_MACHINE_MAX { own.pop_front() } else { None };
        own.push_back(id.clone());
        if let Some(spare) = spare {
            self.forget(&spare);
        }
        let mut timeline = Timeline::new(id.clone(), at);
        timeline.mac = Some(mac);
        self.boots.insert(id.clone(), timeline);
        if seen {
            return self.order.push_back(id);
        }
        self.said.push_back(id);
        let boots = &self.boots;
        self.said.retain(|id| boots.contains_key(id));
        if self.said.len() > limits::BOOTS_SAID_MAX
            && let Some(oldest) = self.said.pop_front()
        {
            self.forget(&oldest);
        }
    }

    /// The oldest go first, the boot that is being told of never.
    fn make_room(&mut self, told: &Arc<str>) {
        while (self.boots.len() > limits::BOOTS_MAX || self.events > limits::EVENTS_MAX)
            && self.boots.len() > 1
        {
            let Some(oldest) = self.order.pop_front().or_else(|| self.said.pop_front()) else { return };
            if oldest == *told {
                self.order.push_back(oldest);
                if self.order.len() == 1 {
                    return;
                }
                continue;
            }
            self.forget(&oldest);
        }
        // Boots that went out of turn are still in line.
        if self.order.len() > 2 * limits::BOOTS_MAX {
            let boots = &self.boots;
            self.order.retain(|id| boots.contains_key(id));
        }
    }

    fn forget(&mut self, id: &Arc<str>) {
        let Some(timeline) = self.boots.remove(id) else { return };
        self.events -= timeline.entries.len();
        self.forgotten += 1;
        if let Some(mac) = timeline.mac
            && let Some(own) = self.machines.get_mut(&mac)
        {
            own.retain(|other| other != id);
            if own.is_empty() {
                self.machines.remove(&mac);
            }
        }
    }

    fn remember(&mut self, image: Arc<str>, took: Took) {
        if !self.history.contains_key(&image) {
            if self.images.len() >= limits::IMAGES_MAX
                && let Some(oldest) = self.images.pop_front()
            {
                self.history.remove(&oldest);
            }
            self.images.push_back(image.clone());
        }
        let all = self.history.entry(image).or_default();
        if all.len() >= limits::HISTORY_OF_IMAGE_MAX {
            all.pop_front();
        }
        all.push_back(took);
    }
}
