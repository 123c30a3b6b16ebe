//! Where a boot ends, what a loader does next, and what was told of a refusal.

use crate::backend::traces::shown;
use std::sync::Arc;
use tree::Opened;
use types::event::Value;
use types::{Event, EventName};

/// Where it ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// One request was asked about, no boot.
    Asked,
    /// It runs this image.
    Image(String),
    /// It runs a program that asks for nothing more that we know of.
    Program(String),
    /// It shows a menu.
    Menu,
    /// It goes to its own disk; why.
    Disk(String),
    /// It waits to be recorded.
    Claim,
    /// What it boots depends on SMBIOS data that nobody gave.
    Ask,
    /// It gets nothing that it could boot; why.
    Nothing(String),
}

impl End {
    /// In a word, the image or program, and in words.
    pub(super) fn told(self) -> (&'static str, Option<String>, String) {
        match self {
            End::Asked => ("asked", None, "one request was asked about".to_owned()),
            End::Image(image) => ("image", Some(image.clone()), format!("it boots image {image}")),
            End::Program(name) => {
                let words = format!("it runs {name}; what that asks for is not known here");
                ("program", Some(name), words)
            }
            End::Menu => ("menu", None, "it shows a menu, and goes to its own disk when nobody chooses".to_owned()),
            End::Disk(why) => ("local-disk", None, format!("it boots its own disk: {why}")),
            End::Claim => ("claim", None, "it waits on its screen until it is recorded".to_owned()),
            End::Ask => (
                "ask",
                None,
                "what it boots depends on SMBIOS data that nobody gave: --vendor, --model, --serial, --asset, --oemstring"
                    .to_owned(),
            ),
            End::Nothing(why) => ("nothing", None, format!("it boots nothing of ours: {why}")),
        }
    }
}

/// What a loader does next, by its name.
pub(super) enum Next {
    Ipxe,
    Pxelinux,
    Esxi(Arc<str>),
    Program,
}

impl Next {
    pub(super) fn of(opened: &Opened) -> Next {
        let base = opened.name.rsplit('/').next().unwrap_or(&opened.name).to_ascii_lowercase();
        if base.starts_with("pxelinux") || base.starts_with("lpxelinux") {
            return Next::Pxelinux;
        }
        match &opened.image {
            Some(image)
                if base.starts_with("mboot") || base.starts_with("boota") || base.starts_with("bootx") =>
            {
                Next::Esxi(image.clone())
            }
            Some(_) => Next::Program,
            None => {
                let other = ["memtest", "shim", "grub", "memdisk", "wimboot", "syslinux", "mboot"];
                let other = other.iter().any(|name| base.starts_with(name));
                if other { Next::Program } else { Next::Ipxe }
            }
        }
    }
}

/// Why something was refused, as an event tells it.
pub(super) fn cause(event: &Event) -> Option<String> {
    let text = |name: &str| match event.field(name) {
        Some(Value::Text(text)) => Some(shown(text)),
        _ => None,
    };
    match event.name {
        EventName::BootRefused => text("cause"),
        EventName::DhcpPoolEmpty | EventName::HostConflict | EventName::LoaderUnsupportedArch => {
            Some(format!("{}: {}", event.name, event.reason.unwrap_or("no reason")))
        }
        _ => None,
    }
}

/// The banner of a `boot.cfg`.
pub(super) fn title(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("title="));
    shown(line.unwrap_or("its loader goes on to the next boot entry"))
}
