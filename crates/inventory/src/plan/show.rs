//! A plan as text: the dry run, and reservations as they belong into the configuration.

use super::{Change, Conflict, Entry, Fate, ImportPlan, Outcome, Reserved};
use crate::text::shown;
use std::fmt::{self, Write as _};
use types::resource::Host;

impl fmt::Display for ImportPlan {
    /// One line for each entry, marked `+` new, `~` changed, `=` unchanged, `!` conflict; what differs below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            show_entry(f, entry)?;
        }
        for fault in self.refused.iter().chain(&self.doubtful) {
            writeln!(f, "{fault}")?;
        }
        if self.faults_left_out > 0 {
            writeln!(f, "… and {} more", self.faults_left_out)?;
        }
        let counts = self.counts();
        writeln!(
            f,
            "{} new, {} changed, {} unchanged, {} in conflict, {} refused",
            counts.create, counts.update, counts.unchanged, counts.conflict, counts.refused
        )
    }
}

fn show_entry(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    let mark = match entry.outcome {
        Outcome::Create(_) => '+',
        Outcome::Update { .. } => '~',
        Outcome::Unchanged => '=',
        Outcome::Conflict(_) => '!',
    };
    write!(f, "{mark} {}  {}", entry.name, entry.origin)?;
    for also in &entry.also {
        write!(f, ", {also}")?;
    }
    writeln!(f)?;
    match &entry.outcome {
        Outcome::Create(host) => writeln!(f, "    {}", created(host))?,
        Outcome::Update { changes, .. } => {
            for change in changes {
                writeln!(f, "    {change}")?;
            }
        }
        Outcome::Unchanged => {}
        Outcome::Conflict(conflicts) => {
            for conflict in conflicts {
                writeln!(f, "    {conflict}")?;
            }
        }
    }
    // In conflict nothing of it is done, addresses included.
    let done = !matches!(entry.outcome, Outcome::Conflict(_));
    for reserved in entry.reservations.iter().filter(|reserved| done && reserved.fate != Fate::Known) {
        writeln!(f, "    {reserved}")?;
    }
    for note in &entry.notes {
        writeln!(f, "    note: {note}")?;
    }
    Ok(())
}

fn created(host: &Host) -> String {
    let mut parts = Vec::new();
    if !host.identity.mac.is_empty() {
        parts.push(format!("mac {}", super::index::listed(&host.identity.mac.0)));
    }
    parts.extend(host.identity.uuid.map(|uuid| format!("uuid {uuid}")));
    parts.extend(host.identity.serial.as_ref().map(|serial| format!("serial {}", shown(serial))));
    parts.extend(host.group.as_ref().map(|group| format!("group {group}")));
    parts.extend(host.image.as_ref().map(|image| format!("image {image}")));
    parts.extend(host.params.iter().map(|(key, value)| format!("params.{} {}", shown(key), shown(value))));
    parts.join(", ")
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.as_deref().map_or("–".to_owned(), shown);
        write!(f, "{}: {} → {}", shown(&self.field), text(&self.before), text(&self.after))
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::NameTwice { other, given } => {
                write!(
                    f,
                    "{other}, written `{}`, has the same name; name one of them otherwise",
                    shown(given)
                )
            }
            Conflict::IdentityTwice { identity, other } => {
                write!(f, "{identity} also stands at {other}; one machine has one entry")
            }
            Conflict::RecordedAs { identity, host } => {
                write!(f, "{identity} is recorded for host `{host}`; use that name, or remove the host first")
            }
            Conflict::NameTaken { field, recorded, listed } => write!(
                f,
                "the name is recorded for another machine: {field} {} there, {} here; name it otherwise, or replace what \
                 the host is recognised by",
                shown(recorded),
                shown(listed)
            ),
            Conflict::FileOwned { file, fields } => {
                let fields: Vec<String> = fields.iter().map(|field| shown(field)).collect();
                write!(f, "the host stands in {}; change {} there", shown(file), fields.join(", "))
            }
            Conflict::AddressTaken { address, by } => write!(f, "address {address} is {by}"),
            Conflict::OtherAddress { address, reserved, subnet } => {
                write!(f, "address {address}: the machine has {reserved} in subnet `{}`", shown(subnet))
            }
        }
    }
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, mac) = (self.reservation.address, self.reservation.mac);
        let subnet = self.subnet.as_deref().map(shown).unwrap_or_default();
        match self.fate {
            Fate::New => write!(f, "reserve {address} for {mac} in subnet `{subnet}`"),
            Fate::Known => write!(f, "{address} is reserved already"),
            Fate::Renamed => write!(f, "{address} is reserved already, with another host name"),
            Fate::Outside => write!(f, "note: no subnet has {address}; it is not reserved"),
            Fate::NotServed => {
                write!(f, "note: subnet `{subnet}` gives no addresses; {address} is not reserved")
            }
            Fate::Conflict => write!(f, "{address} is not reserved"),
        }
    }
}

impl ImportPlan {
    /// Reservations that are missing as YAML, to be put below the subnets of the configuration. Empty when none is missing.
    pub fn reservations_yaml(&self) -> String {
        let mut yaml = String::new();
        for (subnet, reservations) in self.reservations() {
            let _ = writeln!(yaml, "# subnet {}\nreservations:", shown(subnet));
            for reservation in reservations {
                let _ = write!(yaml, "  - {{ mac: \"{}\", address: {}", reservation.mac, reservation.address);
                if let Some(hostname) = &reservation.hostname {
                    // Letters, digits, hyphens, underscores and dots: nothing to escape.
                    let _ = write!(yaml, ", hostname: \"{hostname}\"");
                }
                yaml.push_str(" }\n");
            }
        }
        yaml
    }
}
