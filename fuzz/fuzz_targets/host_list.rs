//! Any bytes as a list of hosts, the first byte choosing the format: sound proposals, faults and a plan that can be shown.
#![no_main]

use inventory::plan::{Existing, Rest, Rules};
use inventory::{Format, GuidOrder, Options, plan_import, read};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, list)) = bytes.split_first() else { return };
    let format = Format::ALL[usize::from(*first) % Format::ALL.len()];
    let guid_order = if first & 0x40 == 0 { GuidOrder::Wire } else { GuidOrder::Text };
    let found = read(format, "a list", list, &Options { groups: first & 0x80 != 0, guid_order });
    for host in &found.hosts {
        assert!(!host.identity.is_empty());
        assert!(host.identity.mac.0.iter().all(|mac| mac.is_unicast()));
    }
    for fault in &found.faults {
        assert!(!fault.to_string().contains(char::is_control));
    }
    let _ = Format::guess("a list", list);
    let plan = plan_import(&Existing::default(), found, &Rules::default());
    assert!(!plan.to_string().replace('\n', "").contains(char::is_control));
    let writes = plan.writes(Rest::LeaveOut).expect("what is left can be written");
    let names: HashSet<_> = writes.iter().map(|write| &write.host.name).collect();
    assert_eq!(names.len(), writes.len());
});
