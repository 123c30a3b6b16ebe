//! What reveille says on a machine's own screen, in one line each.

use types::Facts;

/// The operator's next step for a machine: `reveille explain --mac …`.
fn explain(facts: &Facts) -> String {
    match (facts.mac, facts.own_guid()) {
        (Some(mac), _) => format!("; try: reveille explain --mac {mac}"),
        (None, Some(guid)) => format!("; try: reveille explain --uuid {guid}"),
        (None, None) => String::new(),
    }
}

/// `52:54:00:12:34:56 (uefi-x64)`, as far as it is known.
fn who(facts: &Facts) -> String {
    let name = match (facts.mac, facts.own_guid()) {
        (Some(mac), _) => mac.to_string(),
        (None, Some(guid)) => guid.to_string(),
        (None, None) => "this machine".to_owned(),
    };
    match facts.firmware {
        Some(firmware) => format!("{name} ({firmware})"),
        None => name,
    }
}

/// No rule, host or default says what the machine boots.
pub fn no_rule(facts: &Facts, generation: u64) -> String {
    format!("reveille: no rule matches {}, generation {generation}{}", who(facts), explain(facts))
}

/// It waits until it is recorded: what it is, in lines, and the command that records it.
pub fn held(facts: &Facts, code: &str, left_secs: u64) -> String {
    let mut lines = vec!["reveille: this machine is not recorded yet".to_owned()];
    let shown = [
        ("vendor", facts.vendor.as_deref().map(str::to_owned)),
        ("model", facts.model.as_deref().map(str::to_owned)),
        ("serial", facts.serial.as_deref().map(str::to_owned)),
        ("asset", facts.asset.as_deref().map(str::to_owned)),
        ("uuid", facts.guid.map(|guid| guid.to_string())),
        ("mac", facts.mac.map(|mac| mac.to_string())),
        ("address", facts.address.map(|address| address.to_string())),
        ("firmware", facts.firmware.map(|firmware| firmware.to_string())),
    ];
    lines.extend(shown.into_iter().filter_map(|(label, value)| Some(format!("  {label:<9} {}", value?))));
    lines.push(format!("  code      {code}   reveille host adopt {code} --name NAME"));
    let (minutes, seconds) = (left_secs / 60, left_secs % 60);
    lines.push(format!("its local disk in {minutes}:{seconds:02}, unless it is recorded before"));
    lines.join("\n")
}

/// It is left alone for another reason; `why` is a sentence without its subject ("its image …").
pub fn left_alone(facts: &Facts, why: &str, generation: u64) -> String {
    format!("reveille: {} is left alone: {why}, generation {generation}{}", who(facts), explain(facts))
}

/// The image does not boot on this firmware.
pub fn firmware_unfit(facts: &Facts, image: &str, fits: &[types::Firmware]) -> String {
    let fits: Vec<&str> = fits.iter().map(|firmware| firmware.as_str()).collect();
    format!("reveille: image {image} does not boot on {}, only on {}", who(facts), fits.join(", "))
}

/// The image cannot be booted; `why` names the fault.
pub fn image_fault(image: &str, why: &str) -> String {
    format!("reveille: image {image} cannot be booted: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Firmware;

    #[test]
    fn no_rule_names_machine_firmware_generation_and_the_next_step() {
        let facts = Facts {
            mac: Some("52:54:00:12:34:56".parse().unwrap()),
            firmware: Some(Firmware::UefiX64),
            ..Facts::default()
        };
        assert_eq!(
            no_rule(&facts, 17),
            "reveille: no rule matches 52:54:00:12:34:56 (uefi-x64), generation 17; \
             try: reveille explain --mac 52:54:00:12:34:56"
        );
        assert_eq!(no_rule(&Facts::default(), 1), "reveille: no rule matches this machine, generation 1");
    }
}
