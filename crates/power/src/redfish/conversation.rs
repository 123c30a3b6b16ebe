//! One action with one service, question by question.
//!
//! The driver polls: [`Step::Ask`] wants a question asked and [`Conversation::handle_answer`] or
//! [`Conversation::handle_failure`] called with what came of it; [`Step::Wait`] wants to be polled again by then; [`Step::Done`]
//! is the end, once. A session is given back before the end, whatever the end is.

mod steps;

use super::answer::{Answer, Unanswered};
use super::boot::NextBoot;
use super::error::RedfishError;
use super::link::follow;
use super::reset::{Action, ResetType, Stage};
use super::system::{PowerState, System};
use super::{Identity, Sameness};
use crate::limits::{Limits, QUESTIONS_MAX, REDIRECTS_MAX};
use crate::spec::Login;
use fetch::Location;
use serde::Serialize;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who asks, for messages.
    pub user: String,
    /// How to log in.
    pub login: Login,
    /// Which system, by its id, UUID or serial number.
    pub system: Option<String>,
    /// Whom we mean.
    pub identity: Identity,
    /// What to start from next.
    pub next_boot: Option<NextBoot>,
    /// What to do with its power, after that.
    pub action: Option<Action>,
    /// Ask for everything, change nothing.
    pub dry_run: bool,
}

/// Methods in use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Acts, or begins a session.
    Post,
    /// Changes.
    Patch,
    /// Ends a session.
    Delete,
}

impl Method {
    /// As it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// What a question carries.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// This.
    Json(Value),
    /// User name and password: the driver has them. It keeps the token of the answer for the questions that follow.
    Login,
}

/// One question to ask.
#[derive(Clone, PartialEq, Debug)]
pub struct Question {
    /// How.
    pub method: Method,
    /// Where. Always of the service's origin.
    pub at: Location,
    /// With what.
    pub body: Body,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// With the session's token, or with user name and password where there is no session.
    pub authorized: bool,
}

/// What the driver is to do.
#[derive(Debug)]
pub enum Step {
    /// Ask.
    Ask(Question),
    /// Poll again then.
    Wait(Instant),
    /// It is over. The report has what was done, also in a failure.
    Done(Box<Report>, Result<(), RedfishError>),
    /// It was over before.
    Over,
}

/// A change that was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// The next boot was set.
    NextBoot {
        /// `Pxe`, `UefiHttp`, `Hdd`, `None`.
        target: &'static str,
    },
    /// A reset was taken.
    Reset {
        /// Which.
        kind: ResetType,
    },
}

/// A change that would be made.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Planned {
    /// How.
    pub method: Method,
    /// Where.
    pub url: String,
    /// With what.
    pub body: Value,
    /// Under which condition: `unless it is off by then`.
    pub when: Option<String>,
}

/// What came of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Report {
    /// The system as it was read last.
    pub system: Option<System>,
    /// Whether it is the machine meant.
    pub same: Option<Sameness>,
    /// Changes that were made, in order.
    pub did: Vec<Did>,
    /// Changes that a dry run would make, in order.
    pub planned: Vec<Planned>,
    /// What an operator should know besides.
    pub notes: Vec<String>,
    /// Questions that were asked.
    pub questions: u32,
}

/// The condition under which a PATCH is tried (RFC 9110 §13.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Condition {
    /// None: most ask for none.
    Free,
    /// The tag of the system as it was read last.
    Tag,
    /// The same, as a strong one; `*` when it was strong or there was none.
    Loose,
}

/// Where it stands. Each phase but the last has one question.
#[derive(Debug)]
enum Phase {
    /// The service root.
    Root,
    /// A session is begun.
    Login { at: Location },
    /// A page of the collection of systems.
    Systems { at: Location, pages: usize },
    /// One system after the other.
    Search { at: usize },
    /// The kinds of reset, where the system itself does not say.
    ActionInfo { at: Location },
    /// The next boot.
    Patch { at: Location, condition: Condition, on_settings: bool },
    /// The system again, for its tag; then the PATCH under that condition.
    ReadForPatch { at: Location, on_settings: bool },
    /// The system again, to see the next boot.
    ReadBack { on_settings: bool },
    /// A reset.
    Reset { kind: ResetType },
    /// The system again: a reset may have been heard.
    ReadForReset { kind: ResetType },
    /// The system again and again.
    Look { state: PowerState, since: Instant, until: Instant, go_on: bool },
    /// The session is given back.
    Logout,
    /// Nothing more.
    Ended,
}

/// The system that was chosen.
#[derive(Debug)]
struct Chosen {
    at: Location,
    system: System,
    offered: Vec<String>,
}

/// One action with one service.
#[derive(Debug)]
pub struct Conversation {
    plan: Plan,
    limits: Limits,
    base: Location,
    phase: Phase,
    /// The question of this phase is under way.
    asked: bool,
    /// Tries of this question so far.
    tries: u32,
    /// Where this question was redirected to.
    moved: Option<Location>,
    redirects: usize,
    not_before: Option<Instant>,
    /// Where the session is given back.
    session: Option<Location>,
    systems: Option<Location>,
    members: Vec<Location>,
    seen: Vec<(Location, System)>,
    chosen: Option<Chosen>,
    stages: VecDeque<Stage>,
    last_sent: Option<ResetType>,
    /// A reset was taken and the system not read since.
    stale: bool,
    /// Entity tag for a PATCH.
    tag: Option<String>,
    /// Why the last look failed.
    blind: Option<Unanswered>,
    report: Report,
    ending: Option<Result<(), RedfishError>>,
}

impl Conversation {
    /// A conversation with the service at `base` ([`super::service_root`]).
    pub fn new(base: Location, plan: Plan, limits: Limits) -> Conversation {
        Conversation {
            plan,
            limits,
            base,
            phase: Phase::Root,
            asked: false,
            tries: 0,
            moved: None,
            redirects: 0,
            not_before: None,
            session: None,
            systems: None,
            members: Vec::new(),
            seen: Vec::new(),
            chosen: None,
            stages: VecDeque::new(),
            last_sent: None,
            stale: false,
            tag: None,
            blind: None,
            report: Report::default(),
            ending: None,
        }
    }

    /// What is to be done now.
    pub fn poll(&mut self, now: Instant) -> Step {
        if let Phase::Ended = self.phase {
            return match self.ending.take() {
                Some(ending) => Step::Done(Box::new(std::mem::take(&mut self.report)), ending),
                None => Step::Over,
            };
        }
        if let Some(until) = self.not_before.filter(|until| *until > now) {
            return Step::Wait(until);
        }
        self.not_before = None;
        if !self.asked {
            if self.report.questions >= QUESTIONS_MAX && !matches!(self.phase, Phase::Logout) {
                self.end(Err(RedfishError::TooLong(self.base.to_string())));
                return self.poll(now);
            }
            self.report.questions += 1;
            self.asked = true;
        }
        match self.question() {
            Some(question) => Step::Ask(question),
            // Only an ended conversation has no question.
            None => Step::Over,
        }
    }

    /// Gives up: what was sent stays sent. Poll on until the end.
    pub fn cancel(&mut self) {
        if !matches!(self.phase, Phase::Logout | Phase::Ended) {
            self.end(Err(RedfishError::Cancelled));
        }
    }

    fn question(&self) -> Option<Question> {
        let system = || self.chosen.as_ref().map(|chosen| chosen.at.clone());
        let (method, at) = match &self.phase {
            Phase::Root => (Method::Get, self.base.clone()),
            Phase::Login { at } => (Method::Post, at.clone()),
            Phase::Systems { at, .. } | Phase::ActionInfo { at } | Phase::ReadForPatch { at, .. } => {
                (Method::Get, at.clone())
            }
            Phase::Search { at } => (Method::Get, self.members.get(*at)?.clone()),
            Phase::Patch { at, .. } => (Method::Patch, at.clone()),
            Phase::ReadBack { .. } | Phase::ReadForReset { .. } | Phase::Look { .. } => {
                (Method::Get, system()?)
            }
            Phase::Reset { .. } => (Method::Post, self.reset_target().ok()?),
            Phase::Logout => (Method::Delete, self.session.clone()?),
            Phase::Ended => return None,
        };
        let (body, if_match) = match &self.phase {
            Phase::Login { .. } => (Body::Login, None),
            Phase::Patch { condition, .. } => {
                (Body::Json(self.change().ok()?.body), self.if_match(*condition))
            }
            // DSP0266 knows no condition for an action.
            // QUIRK(idrac-if-match-on-action): a POST that carries one is refused with 412.
            Phase::Reset { kind } => (Body::Json(reset_body(*kind)), None),
            _ => (Body::Empty, None),
        };
        let authorized = !matches!(self.phase, Phase::Root | Phase::Login { .. });
        Some(Question { method, at: self.moved.clone().unwrap_or(at), body, if_match, authorized })
    }

    /// An answer to the question that was asked.
    pub fn handle_answer(&mut self, now: Instant, answer: &Answer) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        let Some(question) = self.question() else { return };
        let url = question.at.to_string();
        match answer.status {
            // Refused before anything was done: DSP0266 leaves the moment to `Retry-After`.
            429 | 503 if self.may_try_again() => return self.pause(now, answer.retry_after),
            500 | 502 | 504 if question.method == Method::Get && self.may_try_again() => {
                return self.pause(now, answer.retry_after);
            }
            301 | 302 | 307 | 308 if question.method == Method::Get => {
                return self.redirect(&question, answer);
            }
            401 if !matches!(self.phase, Phase::Logout) => {
                return self.end(Err(RedfishError::Credentials { url, user: self.plan.user.clone() }));
            }
            403 if !matches!(self.phase, Phase::Logout) => {
                let what = match question.method {
                    Method::Get => "read",
                    Method::Patch => "change",
                    Method::Post | Method::Delete => "use",
                };
                let message = answer.message().filter(|_| question.body != Body::Login);
                let user = self.plan.user.clone();
                return self.end(Err(RedfishError::Forbidden { user, what, url, message }));
            }
            _ => {}
        }
        if let Err(error) = self.take(now, answer, &url) {
            self.end(Err(error));
        }
    }

    /// No answer to the question that was asked.
    pub fn handle_failure(&mut self, now: Instant, failure: Unanswered) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        let Some(question) = self.question() else { return };
        let url = question.at.to_string();
        match self.phase {
            Phase::Logout => {
                self.note("the session could not be given back; the controller ends it by itself".to_owned());
                self.phase = Phase::Ended;
            }
            Phase::Look { .. } if !failure.final_word => {
                // Some are silent while their machine starts: the deadline decides.
                self.blind = Some(failure);
                self.look_later(now);
            }
            Phase::Reset { kind } if failure.maybe_heard && !kind.may_repeat() => {
                self.end(Err(RedfishError::Uncertain { url, kind, source: failure.error }));
            }
            Phase::Reset { kind } if failure.maybe_heard && self.may_try_again() => {
                let tries = self.tries;
                self.enter(Phase::ReadForReset { kind });
                self.tries = tries;
                self.pause(now, None);
            }
            _ if failure.final_word || !self.may_try_again() => {
                let tries = self.tries + 1;
                self.end(Err(RedfishError::Unanswered { url, tries, source: failure.error }));
            }
            _ => self.pause(now, None),
        }
    }

    fn may_try_again(&self) -> bool {
        self.tries + 1 < self.limits.tries_max && !matches!(self.phase, Phase::Logout)
    }

    /// The same question later: doubling, or when the service wants it, and never longer than the bound.
    fn pause(&mut self, now: Instant, wanted: Option<Duration>) {
        let doubled = self.limits.pause_first.saturating_mul(1 << self.tries.min(16));
        self.tries += 1;
        self.not_before = Some(now + wanted.unwrap_or(doubled).min(self.limits.pause_max));
    }

    fn redirect(&mut self, question: &Question, answer: &Answer) {
        let url = question.at.to_string();
        self.redirects += 1;
        if self.redirects > REDIRECTS_MAX {
            return self.end(Err(RedfishError::Redirects(url)));
        }
        match follow(&question.at, answer.location.as_deref().unwrap_or_default()) {
            Ok(to) => self.moved = Some(to),
            Err(source) => self.end(Err(RedfishError::Link { url, name: "Location", source })),
        }
    }

    /// The next question is another one.
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        (self.asked, self.tries, self.redirects, self.moved) = (false, 0, 0, None);
        self.not_before = None;
    }

    /// Over, but for the session.
    fn end(&mut self, ending: Result<(), RedfishError>) {
        self.ending = Some(ending);
        self.enter(if self.session.is_some() { Phase::Logout } else { Phase::Ended });
    }

    fn note(&mut self, text: String) {
        if !self.report.notes.contains(&text) {
            self.report.notes.push(text);
        }
    }
}

fn reset_body(kind: ResetType) -> Value {
    serde_json::json!({ "ResetType": kind.as_str() })
}

#[cfg(test)]
mod tests;
