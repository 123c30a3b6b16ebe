//! The commands of ESXi's installation scripts, their options and what fits them.

use std::net::{IpAddr, Ipv4Addr};

/// One command.
pub(super) struct Command {
    /// Its names, the usual one first.
    pub(super) names: &'static [&'static str],
    pub(super) options: &'static [(&'static str, Value)],
    /// The least and the most words that are no options.
    pub(super) values: (usize, usize),
    /// True when it may stand there more than once.
    pub(super) repeats: bool,
    /// One way to write it.
    pub(super) usage: &'static str,
}

impl Command {
    pub(super) fn is(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    pub(super) fn first(&self) -> &'static str {
        self.names.first().copied().unwrap_or("")
    }
}

/// What may stand behind an option's `=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Value {
    /// Nothing.
    Flag,
    /// Any text.
    Text,
    /// Any text or nothing.
    Maybe,
    /// One of some words.
    Of(&'static [&'static str]),
    /// A number between two.
    Number(u32, u32),
    Ipv4,
    Netmask,
    /// One address or a comma between several.
    Addresses,
    /// `vmnic0` or a MAC address.
    Device,
    HostName,
    Serial,
}

impl Value {
    pub(super) fn needs_value(self) -> bool {
        !matches!(self, Value::Flag | Value::Maybe)
    }

    pub(super) fn fits(self, value: &str) -> bool {
        match self {
            Value::Flag => value.is_empty(),
            Value::Text => !value.is_empty(),
            Value::Maybe => true,
            Value::Of(words) => words.contains(&value),
            Value::Number(least, most) => {
                value.bytes().all(|byte| byte.is_ascii_digit())
                    && value.parse().is_ok_and(|number| (least..=most).contains(&number))
            }
            Value::Ipv4 => value.parse::<Ipv4Addr>().is_ok(),
            Value::Netmask => value.parse::<Ipv4Addr>().is_ok_and(|mask| {
                let bits = u32::from(mask);
                bits != 0 && bits.leading_ones() + bits.trailing_zeros() == 32
            }),
            Value::Addresses => value.split(',').all(|address| address.trim().parse::<IpAddr>().is_ok()),
            Value::Device => {
                let number = value.strip_prefix("vmnic").is_some_and(|number| {
                    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
                });
                number || value.parse::<types::MacAddr>().is_ok()
            }
            Value::HostName => value.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            }),
            Value::Serial => {
                let groups: Vec<&str> = value.split('-').collect();
                groups.len() == 5
                    && groups.iter().all(|group| {
                        group.len() == 5 && group.bytes().all(|byte| byte.is_ascii_alphanumeric())
                    })
            }
        }
    }

    pub(super) fn wants(self) -> String {
        match self {
            Value::Flag => "no value".to_owned(),
            Value::Text | Value::Maybe => "a value".to_owned(),
            Value::Of(words) => words.join(" or "),
            Value::Number(least, most) => format!("a number from {least} to {most}"),
            Value::Ipv4 => "an IPv4 address".to_owned(),
            Value::Netmask => "a netmask such as 255.255.255.0".to_owned(),
            Value::Addresses => "addresses with commas between them".to_owned(),
            Value::Device => "vmnic and a number, or a MAC address".to_owned(),
            Value::HostName => "a host name: letters, digits and hyphens".to_owned(),
            Value::Serial => "five groups of five letters and digits".to_owned(),
        }
    }
}

const INTERPRETER: (&str, Value) = ("interpreter", Value::Of(&["busybox", "python"]));
const TRUTH: Value = Value::Of(&["true", "false"]);
const SCRIPT: &[(&str, Value)] =
    &[INTERPRETER, ("timeout", Value::Number(1, 86_400)), ("ignorefailure", TRUTH)];

/// Options of the three actions. They share one list: what fits one and not another the installer says itself.
const ACTION: &[(&str, Value)] = &[
    ("disk", Value::Text),
    ("drive", Value::Text),
    ("dpuPciSlots", Value::Text),
    ("firstdisk", Value::Maybe),
    ("forceunsupportedinstall", Value::Flag),
    ("ignoressd", Value::Flag),
    ("novmfsondisk", Value::Flag),
    ("overwritevmfs", Value::Flag),
    ("overwritevsan", Value::Flag),
    ("preservevmfs", Value::Flag),
    ("repartitionsystemdisk", Value::Flag),
    ("systemdisk", Value::Maybe),
];

const fn plain(names: &'static [&'static str], usage: &'static str) -> Command {
    Command { names, options: &[], values: (0, 0), repeats: false, usage }
}

const fn with(
    names: &'static [&'static str],
    options: &'static [(&'static str, Value)],
    values: (usize, usize),
    repeats: bool,
    usage: &'static str,
) -> Command {
    Command { names, options, values, repeats, usage }
}

pub(super) const COMMANDS: &[Command] = &[
    plain(&["accepteula", "vmaccepteula"], "accepteula"),
    with(
        &["clearpart"],
        &[
            ("alldrives", Value::Flag),
            ("drives", Value::Text),
            ("firstdisk", Value::Maybe),
            ("ignoredrives", Value::Text),
            ("overwritevmfs", Value::Flag),
        ],
        (0, 0),
        false,
        "clearpart --firstdisk --overwritevmfs",
    ),
    plain(&["dryrun"], "dryrun"),
    plain(&["paranoid"], "paranoid"),
    with(&["install"], ACTION, (0, 0), false, "install --firstdisk --overwritevmfs"),
    with(&["upgrade"], ACTION, (0, 0), false, "upgrade --firstdisk"),
    with(&["installorupgrade"], ACTION, (0, 0), false, "installorupgrade --firstdisk"),
    with(&["keyboard"], &[], (1, 1), false, "keyboard German"),
    with(
        &["network"],
        &[
            ("addvmportgroup", Value::Of(&["0", "1"])),
            ("bootproto", Value::Of(&["dhcp", "static"])),
            ("device", Value::Device),
            ("gateway", Value::Ipv4),
            ("hostname", Value::HostName),
            ("ip", Value::Ipv4),
            ("nameserver", Value::Addresses),
            ("netmask", Value::Netmask),
            // 1 to 4094 are VLANs; ESXi takes 4095 and 4096 too.
            ("vlanid", Value::Number(1, 4096)),
        ],
        (0, 0),
        false,
        "network --bootproto=dhcp --device=vmnic0",
    ),
    with(
        &["part", "partition"],
        &[("ondisk", Value::Text), ("ondrive", Value::Text), ("onfirstdisk", Value::Maybe)],
        (1, 1),
        true,
        "part datastore1 --onfirstdisk",
    ),
    with(&["reboot"], &[("noeject", Value::Flag)], (0, 0), false, "reboot"),
    with(&["rootpw"], &[("iscrypted", Value::Flag)], (1, 1), false, "rootpw --iscrypted HASH"),
    with(&["serialnum", "vmserialnum"], &[("esx", Value::Serial)], (0, 0), false, "serialnum --esx=KEY"),
    with(&["include", "%include"], &[], (1, 1), true, "%include /tmp/network"),
    with(&["%pre"], SCRIPT, (0, 0), true, "%pre --interpreter=busybox"),
    with(&["%post"], SCRIPT, (0, 0), true, "%post --interpreter=busybox"),
    with(&["%firstboot"], &[INTERPRETER], (0, 0), true, "%firstboot --interpreter=busybox"),
];

/// Commands of Anaconda that people bring along.
pub(super) const OF_ANACONDA: &[&str] = &[
    "%end",
    "%packages",
    "auth",
    "authconfig",
    "authselect",
    "autopart",
    "bootloader",
    "cdrom",
    "eula",
    "firewall",
    "graphical",
    "group",
    "lang",
    "logvol",
    "poweroff",
    "raid",
    "repo",
    "selinux",
    "services",
    "skipx",
    "text",
    "timezone",
    "url",
    "user",
    "volgroup",
    "zerombr",
];

/// Why a text is no hash that libcrypt makes; none when it looks like one. The text is never in the answer.
///
/// Forms: `$1$salt$` and 22 characters, `$5$salt$` and 43, `$6$salt$` and 86, the last two with `rounds=N$` before the
/// salt. A salt is at most 8 (`$1$`) or 16 characters: libcrypt cuts longer ones, so their hash never matches.
pub(super) fn crypt_fault(text: &str) -> Option<String> {
    let mut parts = text.split('$').skip(1);
    let (salt_max, hash_length) = match (text.starts_with('$'), parts.next()) {
        (true, Some("1")) => (8, 22),
        (true, Some("5")) => (16, 43),
        (true, Some("6")) => (16, 86),
        _ => return Some("is no hash: it starts with none of $6$, $5$ and $1$".to_owned()),
    };
    let mut salt = parts.next().unwrap_or("");
    if salt.starts_with("rounds=") {
        salt = parts.next().unwrap_or("");
    }
    let hash = parts.next().unwrap_or("");
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    if salt.len() > salt_max {
        return Some(format!(
            "has a salt of {} characters; libcrypt reads {salt_max}, so no password fits it",
            salt.len()
        ));
    }
    if salt.is_empty() || hash.len() != hash_length || !hash.bytes().all(sign) || parts.next().is_some() {
        return Some(format!("is cut or mistyped: behind its salt there are {hash_length} characters"));
    }
    None
}
