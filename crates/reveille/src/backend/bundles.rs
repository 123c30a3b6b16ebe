//! The scripts of a machine's bundles, each with its last run.

use crate::world::World;
use admin::view::{ScriptRunView, timestamp};
use plan::{Catalog, Decider};
use store::records::ScriptRun;
use types::resource::{Host, Name};

/// Of a recorded host: what it is given as far as its record tells, and what became of it.
pub(super) fn of_host(world: &World, host: &Host) -> Vec<ScriptRunView> {
    let catalog = world.catalog();
    let resolved = plan::resolve(&catalog, &super::explain::facts_of(host));
    of_profile(world, &catalog, Some(&host.name), resolved.profile.as_deref())
}

/// Of a machine that is given this profile; `host` names its record.
pub(super) fn of_profile(
    world: &World,
    catalog: &Catalog,
    host: Option<&Name>,
    profile: Option<&Host>,
) -> Vec<ScriptRunView> {
    let runs = host.map(|host| world.bundle_runs(host)).unwrap_or_default();
    let mut views = Vec::new();
    for name in profile.map(Host::bundle_names).unwrap_or_default() {
        for script in catalog.bundle(name.as_str()).iter().flat_map(|bundle| &bundle.scripts) {
            let run = runs.iter().find(|run| run.bundle == *name && run.script == script.name);
            views.push(run.map_or_else(
                || ScriptRunView {
                    bundle: name.to_string(),
                    script: script.name.to_string(),
                    state: "not-run".to_owned(),
                    ..ScriptRunView::default()
                },
                view,
            ));
        }
    }
    views
}

fn view(run: &ScriptRun) -> ScriptRunView {
    let shown = |secs: u64| timestamp(secs.saturating_mul(1000));
    ScriptRunView {
        bundle: run.bundle.to_string(),
        script: run.script.to_string(),
        state: match run.exit_status {
            None => "started",
            Some(0) => "done",
            Some(_) => "failed",
        }
        .to_owned(),
        exit_status: run.exit_status,
        started: Some(shown(run.started)),
        ended: run.ended.map(shown),
        boot: Some(run.boot.clone()),
        output: run.output.clone(),
    }
}
