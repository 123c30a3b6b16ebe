//! What events say of an answer: who asks, what it is told to fetch, or why nothing.

use super::Ask;
use crate::reply::BootFile;
use plan::{Decision, Verdict};
use types::Event;

/// The host's name, when the machine is a recorded one.
pub(super) fn host_of(verdict: &Verdict) -> Option<std::sync::Arc<str>> {
    verdict.host.as_ref().map(|host| host.name.as_str().into())
}

/// Says what a machine is told to fetch.
pub(super) fn boot_event(event: Event, verdict: &Verdict, boot: &BootFile) -> Event {
    let event = event
        .host(host_of(verdict))
        .with("boot_file", boot.text.as_str())
        .with("next_server", boot.next_server);
    let event = match &verdict.decision {
        Decision::Boot(plan) => match (&plan.step, &plan.target) {
            (plan::Step::Loader(file), _) => event.with("loader", file.clone()),
            (_, plan::Target::Image(image)) => event.with("image", image.name.as_str()),
            (_, plan::Target::Menu | plan::Target::LocalDisk | plan::Target::Ask) => event,
        },
        Decision::LeaveAlone(_) => event,
    };
    event.with("generation", verdict.generation)
}

/// What the machine says it is, for events about that.
pub(super) fn with_arch(ask: &Ask<'_>, event: Event) -> Event {
    match ask.facts.arch {
        Some(arch) => event.with("arch", u64::from(arch.0)),
        None => event,
    }
}

/// Says what the machine is told to fetch, or why it is told nothing.
pub(super) fn told(event: Event, verdict: &Verdict, boot: Option<&BootFile>) -> Event {
    match (&verdict.decision, boot) {
        (_, Some(boot)) => boot_event(event, verdict, boot),
        (Decision::LeaveAlone(reason), None) => event
            .host(host_of(verdict))
            .with("left_alone", reason.as_str())
            .with("generation", verdict.generation),
        (Decision::Boot(_), None) => event.host(host_of(verdict)),
    }
}
