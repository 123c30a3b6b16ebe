//! What an answer means in each phase, and which phase is next.

use super::{Chosen, Condition, Conversation, Did, Method, Phase, Planned, reset_body};
use crate::limits::{PAGES_MAX, SYSTEMS_MAX};
use crate::redfish::Sameness;
use crate::redfish::answer::{Answer, link};
use crate::redfish::boot::{Change, change, doubt};
use crate::redfish::error::RedfishError;
use crate::redfish::link::follow;
use crate::redfish::reset::{ResetType, Stage, program};
use crate::redfish::system::{PowerState, System, offered_by};
use crate::spec::Login;
use fetch::Location;
use serde_json::{Map, Value};
use std::time::Instant;

/// Systems that a message names.
const NAMED_MAX: usize = 8;

impl Conversation {
    /// Takes an answer that is no matter for every phase alike.
    pub(super) fn take(&mut self, now: Instant, answer: &Answer, url: &str) -> Result<(), RedfishError> {
        // What ends in an error has no phase to go back to.
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Root => self.take_root(answer, url),
            Phase::Login { at } => self.take_login(&at, answer, url),
            Phase::Systems { pages, .. } => self.take_page(pages, answer, url),
            Phase::Search { at } => self.take_member(now, at, answer, url),
            Phase::ActionInfo { .. } => {
                let offered = answer.object().ok().filter(|_| answer.is_good()).map(|info| offered_by(&info));
                if let Some(chosen) = &mut self.chosen {
                    chosen.offered = offered.unwrap_or_default();
                }
                self.prepare(now)
            }
            Phase::Patch { at, condition, on_settings } => {
                self.take_patch(at, condition, on_settings, answer, url)
            }
            Phase::ReadForPatch { at, on_settings } => {
                let object = good_object(answer, url)?;
                let read = System::parse(&object, answer.etag.as_deref());
                self.tag.clone_from(&read.etag);
                if !on_settings {
                    self.saw(read);
                }
                self.enter(Phase::Patch { at, condition: Condition::Tag, on_settings });
                Ok(())
            }
            Phase::ReadBack { on_settings } => {
                let object = good_object(answer, url)?;
                self.saw(System::parse(&object, answer.etag.as_deref()));
                let wanted = self.plan.next_boot.as_ref().filter(|_| !on_settings);
                let doubt = wanted
                    .zip(self.report.system.as_ref())
                    .and_then(|(wanted, system)| doubt(wanted, system));
                if let Some(doubt) = doubt {
                    self.note(doubt);
                }
                self.advance(now);
                Ok(())
            }
            Phase::Reset { kind } => self.take_reset(now, kind, answer, url),
            Phase::ReadForReset { kind } => {
                let object = good_object(answer, url)?;
                self.saw(System::parse(&object, answer.etag.as_deref()));
                let tries = self.tries;
                let there = match kind {
                    ResetType::ForceOff | ResetType::GracefulShutdown => PowerState::Off,
                    _ => PowerState::On,
                };
                self.note(format!("the connection broke after `{}` was sent", kind.as_str()));
                self.stages.push_front(Stage::Send { kind, unless: Some(there) });
                self.advance(now);
                if let Phase::Reset { .. } = self.phase {
                    self.tries = tries;
                }
                Ok(())
            }
            Phase::Look { state, since, until, go_on } => {
                self.phase = Phase::Look { state, since, until, go_on };
                match good_object(answer, url) {
                    Ok(object) => {
                        (self.blind, self.tries) = (None, 0);
                        let read = System::parse(&object, answer.etag.as_deref());
                        let power = read.power;
                        self.saw(read);
                        if power == state {
                            self.advance(now);
                        } else {
                            self.look_later(now);
                        }
                    }
                    // Some answer nonsense while their machine starts.
                    Err(_) => self.look_later(now),
                }
                Ok(())
            }
            Phase::Logout => {
                if !answer.is_good() && answer.status != 404 {
                    self.note(format!("the session could not be given back: status {}", answer.status));
                }
                Ok(())
            }
            Phase::Ended => Ok(()),
        }
    }

    fn take_root(&mut self, answer: &Answer, url: &str) -> Result<(), RedfishError> {
        let root = good_object(answer, url)?;
        let Some(systems) = link(root.get("Systems")) else {
            return Err(malformed(url, "has no link to Systems"));
        };
        self.systems = Some(self.follow(url, "Systems", &systems)?);
        let sessions = root.get("Links").and_then(|links| link(links.get("Sessions")));
        match (self.plan.login, sessions) {
            (Login::Session, Some(sessions)) => {
                let at = self.follow(url, "Sessions", &sessions)?;
                self.enter(Phase::Login { at });
                Ok(())
            }
            (Login::Session, None) => {
                self.note("the service has no sessions: the password goes with every question".to_owned());
                self.read_systems(url)
            }
            (Login::Basic, _) => self.read_systems(url),
        }
    }

    fn take_login(&mut self, at: &Location, answer: &Answer, url: &str) -> Result<(), RedfishError> {
        if matches!(answer.status, 404 | 405 | 501) {
            self.note("the service begins no session: the password goes with every question".to_owned());
            return self.read_systems(url);
        }
        if !answer.is_good() {
            // What it says may have what we sent.
            return Err(RedfishError::Refused { url: url.to_owned(), status: answer.status, message: None });
        }
        if !answer.has_token {
            return Err(malformed(url, "begins a session and has no X-Auth-Token"));
        }
        let own = answer.object().ok();
        let own = own.as_ref().and_then(|session| session.get("@odata.id")?.as_str());
        match answer.location.as_deref().or(own) {
            Some(session) => {
                let session = follow(at, session);
                let session = session.map_err(|source| RedfishError::Link {
                    url: url.to_owned(),
                    name: "Location",
                    source,
                })?;
                self.session = Some(session);
            }
            None => self.note("the session has no address; the controller ends it by itself".to_owned()),
        }
        self.read_systems(url)
    }

    fn read_systems(&mut self, url: &str) -> Result<(), RedfishError> {
        let at = self.systems.clone().ok_or_else(|| malformed(url, "has no link to Systems"))?;
        self.enter(Phase::Systems { at, pages: 1 });
        Ok(())
    }

    fn take_page(&mut self, pages: usize, answer: &Answer, url: &str) -> Result<(), RedfishError> {
        let page = good_object(answer, url)?;
        let Some(members) = page.get("Members").and_then(Value::as_array) else {
            return Err(malformed(url, "is no collection: it has no Members"));
        };
        if self.members.len() + members.len() > SYSTEMS_MAX {
            return Err(RedfishError::TooMany(url.to_owned()));
        }
        for member in members {
            let Some(member) = link(Some(member)) else {
                return Err(malformed(url, "has a member that is no link"));
            };
            let member = self.follow(url, "Members", &member)?;
            self.members.push(member);
        }
        // DSP0266, collections; the second spelling is that of OData 4.
        let next = page.get("Members@odata.nextLink").or_else(|| page.get("@odata.nextLink"));
        if let Some(next) = next.and_then(Value::as_str) {
            if pages >= PAGES_MAX {
                return Err(RedfishError::TooMany(url.to_owned()));
            }
            let at = self.follow(url, "nextLink", next)?;
            self.enter(Phase::Systems { at, pages: pages + 1 });
            return Ok(());
        }
        if let Some(name) = &self.plan.system {
            let named = |member: &&Location| member.file_name().as_deref() == Some(name.trim());
            if let Some(own) = self.members.iter().find(named).cloned() {
                self.members = vec![own];
            }
        }
        if self.members.is_empty() {
            return Err(RedfishError::NoSystem(self.base.to_string()));
        }
        self.enter(Phase::Search { at: 0 });
        Ok(())
    }

    fn take_member(
        &mut self,
        now: Instant,
        place: usize,
        answer: &Answer,
        url: &str,
    ) -> Result<(), RedfishError> {
        let at = self.members.get(place).cloned().ok_or_else(|| malformed(url, "is gone"))?;
        if answer.status == 404 && self.members.len() > 1 {
            self.note(format!("{url} is listed and not there"));
        } else {
            let object = good_object(answer, url)?;
            let system = System::parse(&object, answer.etag.as_deref());
            let found = self.plan.system.as_deref().is_some_and(|name| is_named(&at, &system, name));
            self.seen.push((at, system));
            if found {
                return self.choose(now);
            }
        }
        if place + 1 < self.members.len() {
            self.enter(Phase::Search { at: place + 1 });
            return Ok(());
        }
        self.choose(now)
    }

    fn choose(&mut self, now: Instant) -> Result<(), RedfishError> {
        let seen = std::mem::take(&mut self.seen);
        let url = || self.base.to_string();
        let mut named: Vec<String> =
            seen.iter().take(NAMED_MAX).map(|(_, system)| system.describe()).collect();
        if seen.len() > NAMED_MAX {
            named.push(format!("{} more", seen.len() - NAMED_MAX));
        }
        let found = named.join("; ");
        let wanted = self.plan.system.clone();
        let several = seen.len() > 1;
        let identity = &self.plan.identity;
        let mut fitting = seen.into_iter().filter(|(at, system)| match &wanted {
            Some(name) => is_named(at, system, name),
            None => !several || identity.compare(system) == Sameness::Same,
        });
        let (at, system) = match (fitting.next(), fitting.next(), wanted) {
            (Some(own), None, _) => own,
            (None, _, Some(wanted)) => return Err(RedfishError::NotThere { url: url(), wanted, found }),
            (None, _, None) if found.is_empty() => return Err(RedfishError::NoSystem(url())),
            _ => return Err(RedfishError::Which { url: url(), found }),
        };
        let same = identity.compare(&system);
        self.report.same = Some(same);
        self.report.system = Some(system.clone());
        let changes = self.plan.action.is_some() || self.plan.next_boot.is_some();
        if same == Sameness::Other && changes {
            let own = [
                identity.uuid.map(|uuid| format!("UUID {uuid}")),
                identity.serial.as_ref().map(|serial| format!("serial {serial}")),
            ];
            let own: Vec<String> = own.into_iter().flatten().collect();
            return Err(RedfishError::OtherMachine {
                url: at.to_string(),
                found: system.describe(),
                own: own.join(", "),
            });
        }
        let reset = system.reset.clone();
        let offered = reset.as_ref().map(|reset| reset.offered.clone()).unwrap_or_default();
        let text = at.to_string();
        self.chosen = Some(Chosen { at, system, offered });
        let info = reset.filter(|reset| self.plan.action.is_some() && reset.offered.is_empty());
        if let Some(info) = info.and_then(|reset| reset.info) {
            let at = self.follow(&text, "@Redfish.ActionInfo", &info)?;
            self.enter(Phase::ActionInfo { at });
            return Ok(());
        }
        self.prepare(now)
    }

    /// Everything is known: whether it can be done is decided before anything is changed.
    fn prepare(&mut self, now: Instant) -> Result<(), RedfishError> {
        let Some(chosen) = &self.chosen else { return Err(RedfishError::NoSystem(self.base.to_string())) };
        let (url, at, power) = (chosen.at.to_string(), chosen.at.clone(), chosen.system.power);
        if let Some(action) = self.plan.action {
            let target = self.reset_target()?;
            let stages = program(action, power, &chosen.offered, &self.limits);
            let stages = stages.map_err(|wanted| RedfishError::NoKind {
                url: url.clone(),
                wanted,
                offered: chosen.offered.join(", "),
            })?;
            if self.plan.dry_run {
                let planned = planned(&stages, power, &target);
                self.report.planned = planned;
            }
            self.stages = stages.into();
            if power == PowerState::Unknown {
                self.note(
                    "the controller does not tell the machine's power: what comes of it is not known"
                        .to_owned(),
                );
            }
        }
        if self.plan.next_boot.is_some() {
            let change = self.change()?;
            if self.plan.dry_run {
                let (method, body) = (Method::Patch, change.body);
                self.report.planned.insert(0, Planned { method, url, body, when: None });
            }
            for note in change.notes {
                self.note(note);
            }
        }
        if self.plan.dry_run {
            self.end(Ok(()));
        } else if self.plan.next_boot.is_some() {
            self.enter(Phase::Patch { at, condition: Condition::Free, on_settings: false });
        } else {
            self.advance(now);
        }
        Ok(())
    }

    /// The change of the next boot.
    pub(super) fn change(&self) -> Result<Change, RedfishError> {
        let (Some(wanted), Some(chosen)) = (&self.plan.next_boot, &self.chosen) else {
            return Err(RedfishError::NoSystem(self.base.to_string()));
        };
        change(wanted, &chosen.system).map_err(|offered| RedfishError::NoTarget {
            url: chosen.at.to_string(),
            wanted: wanted.target.as_str(),
            offered: offered.join(", "),
        })
    }

    /// `If-Match` of a PATCH.
    pub(super) fn if_match(&self, condition: Condition) -> Option<String> {
        match (condition, self.tag.as_deref()) {
            (Condition::Free, _) | (Condition::Tag, None) => None,
            (Condition::Tag, Some(tag)) => Some(tag.to_owned()),
            // QUIRK(redfish-weak-tags): a weak tag never matches (RFC 9110 §13.1.1), and some give weak ones and demand them.
            (Condition::Loose, Some(tag)) if tag.starts_with("W/") => {
                tag.strip_prefix("W/").map(str::to_owned)
            }
            (Condition::Loose, _) => Some("*".to_owned()),
        }
    }

    fn take_patch(
        &mut self,
        at: Location,
        condition: Condition,
        on_settings: bool,
        answer: &Answer,
        url: &str,
    ) -> Result<(), RedfishError> {
        let refused = || RedfishError::Refused {
            url: url.to_owned(),
            status: answer.status,
            message: answer.message(),
        };
        match (answer.status, condition) {
            (200..=299, _) => {
                let target = self.plan.next_boot.as_ref().map_or("None", |wanted| wanted.target.as_str());
                self.report.did.push(Did::NextBoot { target });
                if on_settings {
                    self.note("the controller takes the next boot over when the machine starts".to_owned());
                }
                self.enter(Phase::ReadBack { on_settings });
                Ok(())
            }
            // It wants a condition (RFC 6585 §3), or says so with the other status.
            (412 | 428, Condition::Free) => {
                self.enter(Phase::ReadForPatch { at, on_settings });
                Ok(())
            }
            (412 | 428, Condition::Tag) => {
                self.enter(Phase::Patch { at, condition: Condition::Loose, on_settings });
                Ok(())
            }
            (400 | 404 | 405 | 409 | 501, _) if !on_settings => {
                // QUIRK(idrac10-boot-settings): the boot override is read-only but in the settings object.
                let settings = self.chosen.as_ref().and_then(|chosen| chosen.system.settings.clone());
                let Some(settings) = settings else { return Err(refused()) };
                let at = self.follow(url, "@Redfish.Settings", &settings)?;
                self.enter(Phase::ReadForPatch { at, on_settings: true });
                Ok(())
            }
            _ => Err(refused()),
        }
    }

    fn take_reset(
        &mut self,
        now: Instant,
        kind: ResetType,
        answer: &Answer,
        url: &str,
    ) -> Result<(), RedfishError> {
        if answer.is_good() {
            // 202 has a task that nobody needs to follow: the power says how far it is.
            self.report.did.push(Did::Reset { kind });
            (self.last_sent, self.stale) = (Some(kind), true);
            self.advance(now);
            return Ok(());
        }
        let message = answer.message();
        if kind == ResetType::GracefulShutdown
            && let Some(Stage::Await { go_on: true, .. }) = self.stages.front()
        {
            let said = message.map_or_else(String::new, |message| format!(": {message}"));
            self.note(format!(
                "the controller refuses a shutdown (status {}{said}); it is turned off",
                answer.status
            ));
            self.stages.pop_front();
            self.advance(now);
            return Ok(());
        }
        Err(RedfishError::Refused { url: url.to_owned(), status: answer.status, message })
    }

    /// On to the next stage.
    fn advance(&mut self, now: Instant) {
        while let Some(stage) = self.stages.pop_front() {
            let power = self.chosen.as_ref().map_or(PowerState::Unknown, |chosen| chosen.system.power);
            match stage {
                Stage::Send { unless, .. } if unless == Some(power) && !self.stale => {}
                Stage::Send { kind, .. } => return self.enter(Phase::Reset { kind }),
                Stage::Await { state, .. } if state == power && !self.stale => {}
                Stage::Await { state, wait, go_on } => {
                    self.blind = None;
                    self.enter(Phase::Look { state, since: now, until: now + wait, go_on });
                    // What was just sent takes a moment.
                    self.not_before = Some(now + self.limits.look_every.min(wait));
                    return;
                }
            }
        }
        self.end(Ok(()));
    }

    /// Not there yet: look again, or give up.
    pub(super) fn look_later(&mut self, now: Instant) {
        let Phase::Look { state, since, until, go_on } = self.phase else { return };
        if now < until {
            self.not_before = Some((now + self.limits.look_every).min(until));
            return;
        }
        let waited = until.saturating_duration_since(since);
        if go_on {
            self.note(format!("the machine is not {} after {} s", state.as_str(), waited.as_secs()));
            return self.advance(now);
        }
        if let Some(blind) = self.blind.take() {
            let url = self.chosen.as_ref().map_or_else(String::new, |chosen| chosen.at.to_string());
            return self.end(Err(RedfishError::Unanswered { url, tries: 1, source: blind.error }));
        }
        let power = self.chosen.as_ref().map_or(PowerState::Unknown, |chosen| chosen.system.power);
        let after = self.last_sent.map_or("nothing", ResetType::as_str);
        let after = format!("`{after}` was sent");
        self.end(Err(RedfishError::Stuck { state: power, wanted: state, after, waited }));
    }

    /// The system as it is now. What it offers, and its links, stay as they were.
    fn saw(&mut self, read: System) {
        if let Some(chosen) = &mut self.chosen {
            let (reset, settings) = (chosen.system.reset.take(), chosen.system.settings.take());
            chosen.system = System { reset, settings, ..read };
            self.report.system = Some(chosen.system.clone());
        }
        self.stale = false;
    }

    /// Where a reset is posted to.
    pub(super) fn reset_target(&self) -> Result<Location, RedfishError> {
        let Some(chosen) = &self.chosen else { return Err(RedfishError::NoSystem(self.base.to_string())) };
        let url = chosen.at.to_string();
        let Some(reset) = &chosen.system.reset else { return Err(RedfishError::NoReset(url)) };
        self.follow(&url, "#ComputerSystem.Reset", &reset.target)
    }

    fn follow(&self, url: &str, name: &'static str, to: &str) -> Result<Location, RedfishError> {
        follow(&self.base, to).map_err(|source| RedfishError::Link { url: url.to_owned(), name, source })
    }
}

fn is_named(at: &Location, system: &System, name: &str) -> bool {
    system.is_called(name) || at.file_name().as_deref() == Some(name.trim())
}

fn malformed(url: &str, flaw: &'static str) -> RedfishError {
    RedfishError::Malformed { url: url.to_owned(), flaw }
}

fn good_object(answer: &Answer, url: &str) -> Result<Map<String, Value>, RedfishError> {
    if !answer.is_good() {
        let message = answer.message();
        return Err(RedfishError::Refused { url: url.to_owned(), status: answer.status, message });
    }
    answer.object().map_err(|flaw| malformed(url, flaw))
}

/// The resets of a program, each with the condition that it would be sent under.
fn planned(stages: &[Stage], power: PowerState, target: &Location) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::new();
    for stage in stages {
        let Stage::Send { kind, unless } = *stage else { continue };
        if planned.is_empty() && unless == Some(power) {
            continue;
        }
        let when = unless
            .filter(|_| !planned.is_empty())
            .map(|state| format!("unless it is {} by then", state.as_str()));
        let (method, body) = (Method::Post, reset_body(kind));
        planned.push(Planned { method, url: target.to_string(), body, when });
    }
    planned
}
