//! What a template can know: the host, its parameters, the image, the machine, the appliance and the boot under way.

use super::TemplateFault;
use super::filters::FUNCTIONS;
use super::scan::{Tag, nearest, place};
use minijinja::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use types::resource::{Host, Image, TemplateKind, secret_of};
use types::{Facts, Firmware, MacAddr, MachineGuid};

/// The values of one render. What is `None` is undefined in the template.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Values {
    /// `host.name`: the host record's name.
    pub host: Option<String>,
    /// `params.*` and `host.params.*`: all text.
    pub params: BTreeMap<String, String>,
    /// `image.*`.
    pub image: Option<ImageValues>,
    /// `machine.*`.
    pub machine: MachineValues,
    /// `server.*`.
    pub server: ServerValues,
    /// `boot.*`.
    pub boot: Option<BootValues>,
    /// `callback`: base URL of this boot's call-backs, without a slash at its end; a stage name is put behind it.
    pub callback: Option<String>,
    /// `url`: where the rendered text itself is fetched.
    pub url: Option<String>,
    /// `bundles.*`: of a machine that runs any by its answer file.
    pub bundles: Option<BundleValues>,
}

/// The bundles a machine runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BundleValues {
    /// `bundles.names`: their names, with a blank between.
    pub names: String,
    /// `bundles.url`: where the script is fetched that runs them.
    pub url: String,
    /// `bundles.run`: one line for a shell that fetches it and runs it.
    pub run: String,
    /// `bundles.inline`: the same script, to stand in the answer file itself; many lines.
    pub inline: String,
}

/// The image that boots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageValues {
    /// `image.name`.
    pub name: String,
    /// `image.kind`, such as `esxi`.
    pub kind: String,
    /// `image.version`, when the medium says one.
    pub version: Option<String>,
    /// `image.description`; may be empty.
    pub description: String,
}

/// The machine that asks, as far as it is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MachineValues {
    /// `machine.mac` with colons and `machine.mac_dashes` with hyphens.
    pub mac: Option<MacAddr>,
    /// `machine.uuid`, as SMBIOS 2.6 writes it.
    pub uuid: Option<MachineGuid>,
    /// `machine.serial`.
    pub serial: Option<String>,
    /// `machine.asset`.
    pub asset: Option<String>,
    /// `machine.vendor`.
    pub vendor: Option<String>,
    /// `machine.model`.
    pub model: Option<String>,
    /// `machine.firmware`, such as `uefi-x64`.
    pub firmware: Option<Firmware>,
    /// `machine.address`: the address it has at this step.
    pub address: Option<IpAddr>,
}

/// The appliance.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerValues {
    /// `server.address`: the address the machine reaches it at.
    pub address: Option<IpAddr>,
    /// `server.http`: base URL of the boot tree, without a slash at its end.
    pub http: Option<String>,
}

/// The boot under way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BootValues {
    /// `boot.id`.
    pub id: String,
}

impl ImageValues {
    /// Of an image record; its version is not in it.
    pub fn of(image: &Image) -> ImageValues {
        ImageValues {
            // A version that a host stays at is the same image to its template.
            name: image.name.as_str().split('@').next().unwrap_or_default().to_owned(),
            kind: image.kind.as_str().to_owned(),
            version: None,
            description: image.description.clone(),
        }
    }
}

impl MachineValues {
    /// Of what is known of a machine. A GUID that is nobody's is left out.
    pub fn of(facts: &Facts) -> MachineValues {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        MachineValues {
            mac: facts.mac,
            uuid: facts.own_guid(),
            serial: text(&facts.serial),
            asset: text(&facts.asset),
            vendor: text(&facts.vendor),
            model: text(&facts.model),
            firmware: facts.firmware,
            address: facts.address,
        }
    }
}

/// Stands for a secret before a boot asks for it: in the form of a hash, which is what most of them are.
fn secret_stand_in() -> String {
    format!("$6$stand.in$secret{}", ".".repeat(80))
}

impl Values {
    /// Host and parameters of a host record, and the image; machine, server and boot are left to the caller.
    pub fn of(host: Option<&Host>, image: Option<&Image>) -> Values {
        Values {
            host: host.map(|host| host.name.to_string()),
            params: host.map(|host| host.params.clone()).unwrap_or_default(),
            image: image.map(ImageValues::of),
            ..Values::default()
        }
    }

    /// Values for a look at a template before any machine has asked: what the records say, and stand-ins for what only
    /// a boot will tell (an address of TEST-NET-1, a locally administered MAC).
    pub fn preview(host: &Host, image: Option<&Image>) -> Values {
        let identity = &host.identity;
        let server = "http://192.0.2.1";
        let mut values = Values::of(Some(host), image);
        for value in values.params.values_mut() {
            // Even a wrong one: it is told when it is asked for.
            if !matches!(secret_of(value), Ok(None)) {
                *value = secret_stand_in();
            }
        }
        if let Some(image) = &mut values.image {
            image.version = Some("preview".to_owned());
        }
        values.machine = MachineValues {
            mac: identity.mac.0.first().copied().or_else(|| "02:00:00:00:00:01".parse().ok()),
            uuid: identity.uuid.or_else(|| "00000000-0000-4000-8000-000000000001".parse().ok()),
            serial: Some(identity.serial.clone().unwrap_or_else(|| "PREVIEW".to_owned())),
            asset: Some("PREVIEW".to_owned()),
            vendor: Some("preview".to_owned()),
            model: Some("preview".to_owned()),
            firmware: Some(Firmware::UefiX64),
            address: "192.0.2.10".parse().ok(),
        };
        values.server = ServerValues { address: "192.0.2.1".parse().ok(), http: Some(server.to_owned()) };
        values.boot = Some(BootValues { id: "preview".to_owned() });
        values.callback = Some(format!("{server}/b/00000000000000000000000000000000"));
        values.url = Some(format!("{server}/preview"));
        let names = host.bundle_names();
        if !names.is_empty() {
            let url = format!("{server}/b/00000000000000000000000000000000/bundle/bundle.sh");
            values.bundles = Some(BundleValues {
                names: names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" "),
                run: crate::bundle::run_line(&url),
                url,
                inline: "( : 'the scripts stand here' )\n".to_owned(),
            });
        }
        values
    }

    /// As minijinja takes them. `assumed` are dotted names that are given a stand-in.
    pub(super) fn context(&self, kind: TemplateKind, assumed: &[String]) -> Value {
        let mut root = Map::default();
        let params: BTreeMap<String, Value> =
            self.params.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
        // Struct-like roots are always there, so that `host.name is defined` can be asked of any machine.
        root.put("host", &[("name", self.host.clone())]);
        root.insert("host.params", params.clone());
        root.insert("params", params);
        let image = self.image.as_ref();
        root.put(
            "image",
            &[
                ("name", image.map(|image| image.name.clone())),
                ("kind", image.map(|image| image.kind.clone())),
                ("version", image.and_then(|image| image.version.clone())),
                ("description", image.map(|image| image.description.clone())),
            ],
        );
        let machine = &self.machine;
        root.put(
            "machine",
            &[
                ("mac", machine.mac.map(|mac| mac.to_string())),
                ("mac_dashes", machine.mac.map(MacAddr::hyphens)),
                ("uuid", machine.uuid.map(|uuid| uuid.to_string())),
                ("serial", machine.serial.clone()),
                ("asset", machine.asset.clone()),
                ("vendor", machine.vendor.clone()),
                ("model", machine.model.clone()),
                ("firmware", machine.firmware.map(|firmware| firmware.as_str().to_owned())),
                ("address", machine.address.map(|address| address.to_string())),
            ],
        );
        let server = &self.server;
        root.put(
            "server",
            &[("address", server.address.map(|address| address.to_string())), ("http", server.http.clone())],
        );
        root.put("boot", &[("id", self.boot.as_ref().map(|boot| boot.id.clone()))]);
        root.put("", &[("callback", self.callback.clone()), ("url", self.url.clone())]);
        root.insert("bundles", self.bundles.as_ref().map(|own| own.members(kind)).unwrap_or_default());
        for name in assumed {
            let (at, key) = name.rsplit_once('.').unwrap_or(("", name));
            root.put(at, &[(key, Some("0".to_owned()))]);
        }
        root.value()
    }
}

impl BundleValues {
    fn members(&self, kind: TemplateKind) -> BTreeMap<String, Value> {
        // Lines of ours, and lines of scripts that all begin with a colon: no section of a kickstart begins or ends there.
        let lines = matches!(
            kind,
            TemplateKind::EsxiKickstart | TemplateKind::Kickstart | TemplateKind::Shell | TemplateKind::Text
        );
        let line = |text: &str| match kind {
            // It is a command, not a word of one.
            TemplateKind::Shell => Value::from_safe_string(text.to_owned()),
            _ => Value::from(text),
        };
        let inline = match lines {
            true => Value::from_safe_string(self.inline.clone()),
            false => Value::from(self.inline.as_str()),
        };
        [
            ("names", line(&self.names)),
            ("url", Value::from(self.url.as_str())),
            ("run", line(&self.run)),
            ("inline", inline),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

/// Maps by their dotted path, at most two deep.
#[derive(Default)]
struct Map(BTreeMap<String, BTreeMap<String, Value>>);

impl Map {
    fn put(&mut self, at: &str, members: &[(&str, Option<String>)]) {
        let map = self.0.entry(at.to_owned()).or_default();
        for (key, value) in members {
            if let Some(value) = value {
                map.insert((*key).to_owned(), Value::from(value.as_str()));
            }
        }
    }

    fn insert(&mut self, at: &str, map: BTreeMap<String, Value>) {
        self.0.insert(at.to_owned(), map);
    }

    fn value(mut self) -> Value {
        let mut root = self.0.remove("").unwrap_or_default();
        // The longest paths first: they are put into the shorter ones.
        while let Some((at, map)) = self.0.pop_last() {
            match at.rsplit_once('.') {
                Some((parent, key)) => {
                    self.0.entry(parent.to_owned()).or_default().insert(key.to_owned(), Value::from(map));
                }
                None => {
                    root.insert(at, Value::from(map));
                }
            }
        }
        Value::from(root)
    }
}

/// Roots of variables with what can stand behind each.
pub(super) type Names = &'static [(&'static str, &'static [&'static str])];

/// Every root and what can stand behind it; none means it has no members, a star that any name is one.
pub(super) const NAMES: Names = &[
    ("boot", &["id"]),
    ("bundles", &["inline", "names", "run", "url"]),
    ("callback", &[]),
    ("host", &["name", "params"]),
    ("image", &["description", "kind", "name", "version"]),
    ("machine", &["address", "asset", "firmware", "mac", "mac_dashes", "model", "serial", "uuid", "vendor"]),
    ("params", &["*"]),
    ("server", &["address", "http"]),
    ("url", &[]),
];

/// What a script of a bundle can know: all of it but the answer file that carries it.
pub(super) const SCRIPT_NAMES: Names = &[
    ("boot", &["id"]),
    ("callback", &[]),
    ("host", &["name", "params"]),
    ("image", &["description", "kind", "name", "version"]),
    ("machine", &["address", "asset", "firmware", "mac", "mac_dashes", "model", "serial", "uuid", "vendor"]),
    ("params", &["*"]),
    ("server", &["address", "http"]),
];

/// Refuses names that no render could ever give, and returns those a template needs.
pub(super) fn check_names(
    names: Names,
    template: &str,
    text: &str,
    tags: &[Tag<'_>],
    found: BTreeSet<String>,
) -> Result<BTreeSet<String>, TemplateFault> {
    let mut needs = BTreeSet::new();
    for name in found {
        let mut parts = name.split('.');
        let root = parts.next().unwrap_or("");
        // minijinja forgets at the end of an `if` what was set in it, though a render does not.
        if FUNCTIONS.contains(&root) || tags.iter().any(|tag| tag.assigns(root)) {
            continue;
        }
        let roots: Vec<&str> = names.iter().map(|(root, _)| *root).collect();
        let Some((_, members)) = names.iter().find(|(known, _)| *known == root) else {
            let fix = match nearest(root, &roots) {
                Some(near) => format!("did you mean `{near}`?"),
                None if roots.contains(&"params") => {
                    format!("values of a host are written params.{root}; there are {}", roots.join(", "))
                }
                None => format!("there are {}", roots.join(", ")),
            };
            return Err(unknown(template, text, tags, &[root], &name).fix(fix));
        };
        let member = parts.next();
        match member {
            None if members.is_empty() => {}
            // `params["x"]`: the name is not known before the render.
            None => continue,
            Some(_) if members.contains(&"*") => {}
            Some(member) if members.contains(&member) => {}
            Some(member) => {
                let fix = match nearest(member, members) {
                    Some(near) => format!("did you mean `{root}.{near}`?"),
                    None if members.is_empty() => format!("`{root}` is a text"),
                    None => format!("{root} has {}", members.join(", ")),
                };
                return Err(unknown(template, text, tags, &[root, member], &name).fix(fix));
            }
        }
        needs.insert(name);
    }
    Ok(needs)
}

fn unknown(template: &str, text: &str, tags: &[Tag<'_>], path: &[&str], name: &str) -> TemplateFault {
    let spot = tags.iter().find_map(|tag| {
        (0..tag.tokens.len()).find_map(|index| {
            let fits = path.iter().enumerate().all(|(step, word)| tag.word(index + 2 * step) == Some(word))
                && tag.sign(index.wrapping_sub(1)) != Some('.');
            fits.then(|| tag.tokens.get(index).map(|(offset, _)| *offset)).flatten()
        })
    });
    let (line, column) = spot.map_or((0, None), |offset| place(text, offset));
    TemplateFault::new(template, format!("there is no variable `{name}`")).at(line, column)
}
