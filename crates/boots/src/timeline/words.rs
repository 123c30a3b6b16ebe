//! What findings mean: what was seen, why that happens, and what to do.

use super::{number, text};
use types::{Event, EventName};

/// A finding in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// What was seen.
    pub what: String,
    /// Why that happens.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
}

fn explained(what: impl Into<String>, why: &'static str, fix: &'static str) -> Option<Explained> {
    Some(Explained { what: what.into(), why, fix })
}

/// What an event means that should not be there; `None` for what belongs to a boot.
pub(super) fn explain(event: &Event) -> Option<Explained> {
    let field = |name: &str| text(event, name).map(|text| &**text);
    let file = field("file").unwrap_or("a file");
    let cause = field("cause").unwrap_or("it was not said why");
    match event.name {
        EventName::BootStuck => stuck(event.reason.unwrap_or_default()),
        EventName::BootSilent => explained(
            "it has its kernel and has not called back",
            "an image that calls nobody back is silent by nature; else the system crashed, waits for an answer, or has no \
             network",
            "look at its console; let the image fetch its call-back: docs/images.md",
        ),
        EventName::DhcpOfferIgnored => explained(
            format!(
                "it asked {} times and took up none of our offers",
                number(event, "repeats").unwrap_or(2)
            ),
            "it prefers another server's offer, or its ROM ignores a second offer",
            "give option 66 and 67 in the server that leases its address, or let this appliance lease it",
        ),
        EventName::LoaderLoop => explained(
            "it fetches its first loader again and again",
            "the loader does not announce itself as iPXE, so it is given itself",
            "use the loaders of the package ipxe; reveille explain shows which one it is given",
        ),
        EventName::LoaderUnsupportedArch => explained(
            "there is no loader for its firmware",
            "none of the folders of loaders has one",
            "reveille doctor names the package to install",
        ),
        EventName::TftpAbort => explained(
            match number(event, "retransmits") {
                Some(sent) if sent > 0 => {
                    format!("it stopped reading {file} ({}), {sent} blocks were sent again", reason(event))
                }
                _ => format!("it stopped reading {file} ({})", reason(event)),
            },
            "packets are lost on the way, a firewall keeps our port from it, or blocks are larger than the path takes",
            "try tftp.max_blksize: 512, and allow all UDP ports from this appliance to the machine",
        ),
        EventName::HttpStalled => explained(
            format!("it stopped reading {file}"),
            "the machine hangs, or the path between loses packets",
            "look at its console; look for errors of the switch port",
        ),
        EventName::HttpFile if event.reason.is_some() => explained(
            format!("{file} was broken off after {} bytes", number(event, "bytes").unwrap_or(0)),
            "the machine closed the connection: out of memory, or restarted",
            "look at its console; compare its memory with the size of the files",
        ),
        EventName::HttpRefused | EventName::TftpRefused => explained(
            format!(
                "{} was not given to it ({})",
                field("file").unwrap_or("what it asked for"),
                reason(event)
            ),
            "there is no such file, or not for this machine now",
            "reveille simulate shows what it is to fetch",
        ),
        EventName::BootRefused => explained(
            format!("image {} was not given to it: {cause}", field("image").unwrap_or("?")),
            "image, host and template have to agree before a byte is handed out",
            "reveille simulate shows every step; an image that erases disks needs reveille host arm",
        ),
        EventName::BootFailed | EventName::BootInstallFailed => explained(
            match field("detail") {
                Some(detail) => format!("the system reported a failure: {detail}"),
                None => "the system reported a failure".to_owned(),
            },
            "the installer or the system said so itself",
            "look at its console and its own log",
        ),
        EventName::BootInstallSilent => explained(
            "nothing was heard of the installation for long",
            "the installer waits for an answer, crashed, or cannot reach the appliance",
            "look at its console; host disarm --running breaks it off",
        ),
        EventName::BootInstallUnconfirmed => explained(
            "it was restarted after its installer was handed out, and said nothing",
            "the installer does not call back, or was interrupted",
            "call back from the answer file: docs/life-of-a-host.md",
        ),
        EventName::DhcpNak => explained(
            format!("it was refused the address it asked for ({})", reason(event)),
            "the address belongs to another machine or network now",
            "nothing: it asks for another one",
        ),
        EventName::DhcpDeclined => explained(
            "it found its address in use",
            "another machine has that address without a lease",
            "find that machine; reveille lease list shows the quarantine",
        ),
        EventName::DhcpPoolEmpty => explained(
            "there was no address left for it",
            "the pool of its subnet is used up, or its reserved address is in use",
            "make the pool larger, or its leases shorter",
        ),
        EventName::DhcpCommitFailed => explained(
            "its lease could not be made durable, so it got no answer",
            "the store cannot be written",
            "reveille status shows the room on the disk",
        ),
        EventName::HostConflict => explained(
            "two machines claim one identity",
            "a copied virtual machine, or a board without a GUID of its own",
            "record the host by its hardware address",
        ),
        _ => None,
    }
}

fn reason(event: &Event) -> String {
    event.reason.unwrap_or("no reason").replace('_', " ")
}

fn stuck(stage: &str) -> Option<Explained> {
    match stage {
        "asking" => explained(
            "nothing came after its DISCOVER",
            "our answer did not reach it: spanning tree holds the port back, or another server was faster",
            "set the switch port to portfast; reveille doctor shows other servers",
        ),
        "offered" => explained(
            "it has boot data and fetched nothing",
            "TFTP does not reach it (69/udp and the ports above 1024), or its next server is not this appliance",
            "allow UDP in both directions; reveille simulate shows the next server it is given",
        ),
        "loader" => explained(
            "it has its loader and asked for nothing more",
            "Secure Boot refuses an unsigned loader, the loader is none for its firmware, or its own DHCP gets no answer",
            "look at its screen; reveille explain shows which loader it is given, and whether that is signed",
        ),
        _ => explained(
            "it has its script and fetched no kernel",
            "it shows a menu, or our HTTP port does not reach it",
            "look at its screen; allow http.listen from the machine",
        ),
    }
}
