//! How each kind of resource is kept: its table, its record, its list in the configuration file, what is wrong with one by
//! itself. A further kind has its `impl` here.

use super::FromFile;
use render::bundle::{self, BundleFault};
use render::template::compile;
use std::collections::BTreeSet;
use store::Table;
use store::records::{BUNDLE, GROUP, HOST, Kind, RULE, TEMPLATE};
use types::resource::bundle::interpreter_fault;
use types::resource::bundle::limits::{SCRIPTS_MAX, TIMEOUT_SECS_MAX};
use types::resource::{Bundle, Group, Host, Name, Resource, ResourceKind, Rule, Template};

/// A kind of resource that the store and the configuration file hold.
pub(crate) trait Kept: Resource + 'static {
    /// Where the store has it; the key is the name.
    const TABLE: Table;
    /// As what.
    const RECORD: Kind;

    /// Those of the configuration file, with their places.
    fn of_file(file: &FromFile) -> &[(Self, String)];

    /// What is wrong with it, whatever else there is.
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }

    /// What it names: of which kind, and the name.
    fn names(&self) -> Vec<(ResourceKind, &Name)>;
}

fn named<'a>(
    group: &'a Option<Name>,
    template: &'a Option<Name>,
    bundles: &'a Option<Vec<Name>>,
    bundles_append: &'a [Name],
) -> Vec<(ResourceKind, &'a Name)> {
    let group = group.iter().map(|name| (ResourceKind::Group, name));
    let template = template.iter().map(|name| (ResourceKind::Template, name));
    let bundles = bundles.iter().flatten().chain(bundles_append).map(|name| (ResourceKind::Bundle, name));
    group.chain(template).chain(bundles).collect()
}

impl Kept for Template {
    const TABLE: Table = Table::Templates;
    const RECORD: Kind = TEMPLATE;

    fn of_file(file: &FromFile) -> &[(Template, String)] {
        &file.templates
    }

    fn faults(&self) -> Vec<String> {
        let fault = compile(self.name.as_str(), self.kind, &self.text).err();
        fault.into_iter().map(|fault| format!("line {}: {}", fault.line, fault.message)).collect()
    }

    fn names(&self) -> Vec<(ResourceKind, &Name)> {
        Vec::new()
    }
}

impl Kept for Bundle {
    const TABLE: Table = Table::Bundles;
    const RECORD: Kind = BUNDLE;

    fn of_file(file: &FromFile) -> &[(Bundle, String)] {
        &file.bundles
    }

    /// As `config` checks those of a file.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self.scripts.len() {
            0 => faults.push("it has no scripts".to_owned()),
            many if many > SCRIPTS_MAX => {
                faults.push(format!("it has {many} scripts; at most {SCRIPTS_MAX} are possible"));
            }
            _ => {}
        }
        let mut seen = BTreeSet::new();
        for script in &self.scripts {
            let name = &script.name;
            if !seen.insert(name) {
                faults.push(format!("it has script `{name}` twice"));
            }
            if let Some(fault) = interpreter_fault(&script.interpreter) {
                faults.push(format!("script `{name}`: interpreter `{}`: {fault}", script.interpreter));
            }
            if script.timeout_secs.is_some_and(|secs| secs == 0 || secs > TIMEOUT_SECS_MAX) {
                faults.push(format!("script `{name}`: timeout_secs is not between 1 and {TIMEOUT_SECS_MAX}"));
            }
            match bundle::compile(&self.name, script) {
                Ok(_) => {}
                Err(BundleFault::Script { fault, .. }) => {
                    let line = if fault.line > 0 { format!(", line {}", fault.line) } else { String::new() };
                    faults.push(format!("script `{name}`{line}: {}", fault.message));
                }
                Err(other) => faults.push(format!("script `{name}`: {other}")),
            }
        }
        faults
    }

    fn names(&self) -> Vec<(ResourceKind, &Name)> {
        Vec::new()
    }
}

impl Kept for Group {
    const TABLE: Table = Table::Groups;
    const RECORD: Kind = GROUP;

    fn of_file(file: &FromFile) -> &[(Group, String)] {
        &file.groups
    }

    fn names(&self) -> Vec<(ResourceKind, &Name)> {
        named(&self.parent, &self.template, &self.bundles, &self.bundles_append)
    }
}

impl Kept for Rule {
    const TABLE: Table = Table::Rules;
    const RECORD: Kind = RULE;

    fn of_file(file: &FromFile) -> &[(Rule, String)] {
        &file.rules
    }

    fn names(&self) -> Vec<(ResourceKind, &Name)> {
        named(&self.group, &self.template, &self.bundles, &[])
    }
}

impl Kept for Host {
    const TABLE: Table = Table::Hosts;
    const RECORD: Kind = HOST;

    fn of_file(file: &FromFile) -> &[(Host, String)] {
        &file.hosts
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.identity.is_empty() {
            faults.push("it needs at least one of mac, uuid and serial".to_owned());
        }
        let power = self.power.iter().flat_map(types::resource::PowerSpec::faults);
        faults.extend(power.map(|fault| format!("power: {}; {}", fault.fault, fault.fix)));
        faults
    }

    fn names(&self) -> Vec<(ResourceKind, &Name)> {
        named(&self.group, &self.template, &self.bundles, &self.bundles_append)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(scripts: serde_json::Value) -> Vec<String> {
        let bundle = serde_json::json!({ "name": "base", "scripts": scripts });
        serde_json::from_value::<Bundle>(bundle).unwrap().faults()
    }

    #[test]
    fn a_bundle_is_looked_at_as_in_a_file() {
        let good = serde_json::json!([
            { "name": "motd", "text": "echo {{ host.name | quote }}\n", "timeout_secs": 30 },
            { "name": "py", "text": "print()\n", "interpreter": "/usr/bin/python3 -u" },
        ]);
        assert_eq!(bundle(good), Vec::<String>::new());
        for (scripts, words) in [
            (serde_json::json!([]), "it has no scripts"),
            (
                serde_json::json!([{ "name": "a", "text": "x\n" }, { "name": "a", "text": "x\n" }]),
                "script `a` twice",
            ),
            (serde_json::json!([{ "name": "a", "text": "x\n", "interpreter": "sh" }]), "interpreter `sh`"),
            (serde_json::json!([{ "name": "a", "text": "x\n", "timeout_secs": 0 }]), "timeout_secs"),
            (serde_json::json!([{ "name": "a", "text": "\n{{ nonsense" }]), "script `a`, line 2: "),
            (serde_json::json!([{ "name": "a", "text": "{{ bundles.run }}\n" }]), "script `a`, line 1: "),
        ] {
            let faults = bundle(scripts);
            assert!(faults.len() == 1 && faults[0].contains(words), "{words}: {faults:?}");
        }
        let many: Vec<_> =
            (0..=SCRIPTS_MAX).map(|at| serde_json::json!({ "name": format!("s{at}"), "text": "" })).collect();
        assert_eq!(bundle(many.into()), ["it has 33 scripts; at most 32 are possible"]);
    }
}
