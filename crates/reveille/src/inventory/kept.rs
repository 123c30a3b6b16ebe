//! How each kind of resource is kept: its table, its record, its list in the configuration file, what is wrong with one by
//! itself. A further kind has its `impl` here.

use super::FromFile;
use render::template::compile;
use store::Table;
use store::records::{GROUP, HOST, Kind, RULE, TEMPLATE};
use types::resource::{Group, Host, Name, Resource, Rule, Template};

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

    /// What it names: the kind in words, and the name.
    fn names(&self) -> Vec<(&'static str, &Name)>;
}

fn named<'a>(groups: &[&'a Option<Name>], template: &'a Option<Name>) -> Vec<(&'static str, &'a Name)> {
    let groups = groups.iter().filter_map(|name| name.as_ref().map(|name| ("group", name)));
    groups.chain(template.as_ref().map(|name| ("template", name))).collect()
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

    fn names(&self) -> Vec<(&'static str, &Name)> {
        Vec::new()
    }
}

impl Kept for Group {
    const TABLE: Table = Table::Groups;
    const RECORD: Kind = GROUP;

    fn of_file(file: &FromFile) -> &[(Group, String)] {
        &file.groups
    }

    fn names(&self) -> Vec<(&'static str, &Name)> {
        named(&[&self.parent], &self.template)
    }
}

impl Kept for Rule {
    const TABLE: Table = Table::Rules;
    const RECORD: Kind = RULE;

    fn of_file(file: &FromFile) -> &[(Rule, String)] {
        &file.rules
    }

    fn names(&self) -> Vec<(&'static str, &Name)> {
        named(&[&self.group], &self.template)
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

    fn names(&self) -> Vec<(&'static str, &Name)> {
        named(&[&self.group], &self.template)
    }
}
