//! What rules would do to machines: every machine that is known, under the catalog in force and under another.

use super::{Daemon, explain, finding_view};
use admin::view::{RuleFindingView, RuleTest, RuleTestChange};
use plan::{BootState, Catalog, CatalogWarning, RuleChanges, Verdict, differing};
use types::selector::Match;
use types::{Facts, Selector, Stage};

/// Names listed in a test; the rest is in its numbers.
const LISTED_MAX: usize = 1_000;

/// The two differ in their rules alone. Machines that no changed rule can mean are not looked at more closely.
pub(super) fn compare(
    daemon: &Daemon,
    now: &Catalog,
    then: &Catalog,
    selector: Option<&Selector>,
) -> RuleTest {
    let changes = RuleChanges::between(now, then);
    let mut test = RuleTest { findings: findings(then), ..RuleTest::default() };
    for (name, facts) in machines(daemon, now) {
        test.machines += 1;
        if let Some(selector) = selector
            && plan::means(then, &facts, selector) == Match::Yes
        {
            test.meant += 1;
            if test.matches.len() < LISTED_MAX {
                test.matches.push(name.clone());
            }
        }
        if !changes.may_matter(&facts) {
            continue;
        }
        let decide = |catalog| plan::decide(catalog, &facts, &BootState::armed());
        let (before, after) = (decide(now), decide(then));
        let values = differing(before.profile.as_deref(), after.profile.as_deref());
        let (before, after) = (outcome(&before), outcome(&after));
        if before != after || !values.is_empty() {
            test.changes.push(RuleTestChange { machine: name, now: before, then: after, values });
        }
    }
    test
}

/// Recorded hosts with what is known of them, and unknown machines that were seen; as they will be once they were asked for
/// everything.
pub(in crate::backend) fn machines(daemon: &Daemon, catalog: &Catalog) -> Vec<(String, Facts)> {
    let recorded = catalog.hosts().map(|host| (host.name.to_string(), daemon.world.known(host)));
    let unknown = daemon.world.machines().into_iter().filter_map(|facts| {
        let known = facts.mac.is_some_and(|mac| catalog.host_by_mac(mac).is_some())
            || facts.own_guid().is_some_and(|guid| catalog.host_by_guid(guid).is_some());
        let mac = facts.mac.filter(|_| !known)?;
        Some((format!("mac:{mac}"), facts))
    });
    let asked = |facts| Facts { stage: Stage::Ipxe, smbios: true, http: true, ..facts };
    recorded.chain(unknown).map(|(name, facts)| (name, asked(facts))).collect()
}

/// What a machine boots.
fn outcome(verdict: &Verdict) -> String {
    match explain::outcome(verdict) {
        (_, Some(image)) => image,
        (boots, None) => boots,
    }
}

fn findings(catalog: &Catalog) -> Vec<RuleFindingView> {
    let of_rules = |warning: &CatalogWarning| match warning {
        CatalogWarning::Rule(finding) => Some(finding_view(finding)),
        _ => None,
    };
    catalog.warnings().iter().filter_map(of_rules).collect()
}
