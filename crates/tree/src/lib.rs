//! The virtual boot tree: `open(name, who)` gives bytes, the same for TFTP and HTTP.
//!
//! | name | what |
//! |---|---|
//! | `undionly.kpxe`, `efi64/syslinux.efi` … | loaders, exactly or by their last part |
//! | `boot.ipxe`, `autoexec.ipxe` | the script for the machine that asks |
//! | `boot.ipxe/<image>` | the script that boots this image, for a machine that chose it from a menu |
//! | `pxelinux.cfg/<guid, 01-mac, HEXIP, default>` | the configuration for the machine named, or asking |
//! | `<image>/01-<mac>/boot.cfg`, `<image>/boot.cfg` | ESXi's configuration for that machine, or the asking one |
//! | `b/<token>/answer/<file>` | the answer file of a boot, by HTTP |
//! | `b/<token>/bundle/…`, `<image>/reveille/<token>/bundles.tgz` | the scripts a machine runs once its system is there |
//! | `<image>/<file>` | a file of an image |
//!
//! `grub/grub.cfg*` will stand here too. `b/<token>/<stage>` is the HTTP door's: nothing is opened by it.
//!
//! Order: generated names, loaders by their whole name, files of images, then loaders and scripts by their last part
//! (firmware and loaders ask in folders of their own choosing). A name is folded once ([`names::fold`]) and is from
//! then on only a key of these tables; no name ever becomes a path.
//!
//! Deliberately absent: sockets, waiting, decisions (`plan`) and text (`render`). Generated content is fixed when it is
//! opened; a script or configuration that names an image begins a boot attempt through [`BootLedger`].

mod answer;
mod bundles;
mod esxi;
mod generated;
mod ledger;
pub mod names;
mod overlay;
mod secrets;

pub use answer::profile_of;
pub use esxi::{LentLoader, holds, lent_loader};
pub use ledger::{BootHolder, BootLedger, BootTicket, BundleReport, BundleStep, CallbackError, Held, Opener};
pub use names::NameFault;

use bytes::Bytes;
use library::{BlobError, Digest, Library, LoaderMissing};
use plan::{Decider, LeaveAloneReason};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use types::Facts;
use types::resource::{Image, ImageKind};

/// The door a request came through.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Door {
    /// TFTP: names only.
    Tftp,
    /// HTTP: a query may carry facts.
    Http,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Who {
    /// Address the request came from.
    pub address: IpAddr,
    /// Interface it came in on.
    pub interface: Option<Arc<str>>,
    /// Our address it came to: what URLs in scripts name.
    pub local: IpAddr,
    /// Facts of an HTTP query; `None` when it carried none.
    pub facts: Option<Facts>,
    /// The door.
    pub door: Door,
}

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// An NBP or a module of one.
    Loader,
    /// An iPXE script we made.
    Script,
    /// A loader configuration we made.
    Config,
    /// The kernel of an image.
    Kernel,
    /// A ramdisk of an image.
    Initrd,
    /// A module of an ESXi image.
    Module,
    /// The answer file of an installer.
    Answer,
    /// A script of a bundle, or what runs them.
    Bundle,
    /// Any other file of an image.
    File,
}

impl Role {
    /// The name used in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Loader => "loader",
            Role::Script => "script",
            Role::Config => "config",
            Role::Kernel => "kernel",
            Role::Initrd => "initrd",
            Role::Module => "module",
            Role::Answer => "answer",
            Role::Bundle => "bundle",
            Role::File => "file",
        }
    }
}

/// An open file: its bytes do not change, whatever happens to the tree.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its name as the tree has it.
    pub name: Arc<str>,
    /// Its bytes.
    pub content: Bytes,
    /// What it is for.
    pub role: Role,
    /// Strong entity tag, without quotes (RFC 9110 §8.8.3).
    pub etag: Arc<str>,
    /// Media type.
    pub content_type: &'static str,
    /// What is known of the machine that asks.
    pub facts: Option<Facts>,
    /// The recorded host it was made for; only for generated content.
    pub host: Option<Arc<str>>,
    /// The image it belongs to or boots.
    pub image: Option<Arc<str>>,
    /// The boot attempt it began.
    pub boot: Option<Arc<str>>,
    /// The same bytes for everybody and for ever, under this entity tag.
    pub cacheable: bool,
}

/// Why a name does not open.
#[derive(Debug)]
pub enum OpenError {
    /// No table has it. The ordinary answer to a loader that tries a list of names.
    NotFound {
        /// The name, folded.
        name: String,
    },
    /// It is no name of ours in any table.
    BadName(NameFault),
    /// It would be made for this machine, and the machine is left alone.
    LeftAlone(LeaveAloneReason),
    /// A loader we know, and it is not installed.
    LoaderMissing(LoaderMissing),
    /// It may erase a disk, and this is not a boot that may have it.
    NotArmed {
        /// The image.
        image: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The answer file of a boot cannot be made; why.
    Unmade(String),
    /// The file should be there and cannot be read.
    Io {
        /// The name.
        name: String,
        /// Why.
        source: BlobError,
    },
}

impl OpenError {
    /// The stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            OpenError::NotFound { .. } => "not_found",
            OpenError::BadName(_) => "bad_name",
            OpenError::LeftAlone(reason) => reason.as_str(),
            OpenError::LoaderMissing(_) => "loader_missing",
            OpenError::NotArmed { .. } => "not_armed",
            OpenError::Unmade(_) => "answer_failed",
            OpenError::Io { .. } => "unreadable",
        }
    }

    /// What the machine is told. Names no path, no cause and nothing the request did not say itself.
    pub fn public_text(&self) -> &'static str {
        match self {
            OpenError::NotFound { .. } => "file not found",
            OpenError::BadName(_) => "bad file name",
            OpenError::LeftAlone(_) => "no boot for this machine",
            OpenError::LoaderMissing(_) => "loader not installed",
            OpenError::NotArmed { .. } => "not for this machine now",
            OpenError::Unmade(_) => "answer file cannot be made",
            OpenError::Io { .. } => "file cannot be read",
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotFound { name } => write!(f, "{name:?} is not in the boot tree"),
            OpenError::BadName(fault) => write!(f, "the file name {fault}"),
            OpenError::LeftAlone(reason) => write!(f, "the machine is left alone: {reason}"),
            OpenError::LoaderMissing(missing) => missing.fmt(f),
            OpenError::NotArmed { image, why } => write!(f, "image {image} is not given: {why}"),
            OpenError::Unmade(fault) => write!(f, "the answer file cannot be made: {fault}"),
            OpenError::Io { name, .. } => write!(f, "{name:?} cannot be read"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What a tree stands on.
#[derive(Clone)]
pub struct TreeParts {
    /// What machines get.
    pub decider: Arc<dyn Decider>,
    /// Boot attempts and their secrets.
    pub ledger: Arc<dyn BootLedger>,
    /// Every file we hold.
    pub library: Library,
    /// Port of the HTTP door, as machines reach it.
    pub http_port: u16,
}

/// The virtual boot tree. Cheap to clone.
#[derive(Clone)]
pub struct Tree {
    parts: Arc<TreeParts>,
    configs: Arc<esxi::Configs>,
    overlays: Arc<overlay::Kept>,
}

impl Tree {
    /// A tree over these parts.
    pub fn new(parts: TreeParts) -> Tree {
        Tree { parts: Arc::new(parts), configs: Arc::default(), overlays: Arc::default() }
    }

    /// What it stands on.
    pub fn parts(&self) -> &TreeParts {
        &self.parts
    }

    /// Opens a name for a machine. `name` is as the protocol gives it, percent-decoded once by HTTP, without a query.
    ///
    /// May read the disk, never waits for a network; async callers use a blocking thread.
    ///
    /// # Errors
    /// See [`OpenError`]; `NotFound` is an ordinary answer.
    pub fn open(&self, name: &str, who: &Who) -> Result<Opened, OpenError> {
        // A dual-stack socket gives IPv4 addresses as `::ffff:a.b.c.d`: unknown to DHCP and no good in a URL.
        let who =
            &Who { address: who.address.to_canonical(), local: who.local.to_canonical(), ..who.clone() };
        let name = names::fold(name).map_err(OpenError::BadName)?;
        if let Some(opened) = self.open_generated(&name, who) {
            return opened;
        }
        if let Some(opened) = self.open_answer(&name, who) {
            return opened;
        }
        if let Some(opened) = self.open_bundle(&name, who) {
            return opened;
        }
        if let Some(opened) = self.open_esxi(&name, who) {
            return opened;
        }
        let loaders = self.parts.library.loaders();
        if let Some(loader) = loaders.find(&name) {
            return Ok(self.opened_loader(loader, who));
        }
        if let Some(opened) = self.open_image_file(&name, who)? {
            return Ok(opened);
        }
        if let Some(loader) = loaders.find_base(&name) {
            return Ok(self.opened_loader(loader, who));
        }
        if let Some(opened) = self.open_generated_anywhere(&name, who) {
            return opened;
        }
        match loaders.missing(&name) {
            Some(missing) => Err(OpenError::LoaderMissing(missing)),
            None => Err(OpenError::NotFound { name }),
        }
    }

    fn opened_loader(&self, loader: &library::Loader, who: &Who) -> Opened {
        Opened {
            name: loader.name.clone(),
            content: loader.bytes.clone(),
            role: Role::Loader,
            etag: loader.digest.etag(),
            content_type: names::content_type(&loader.name),
            facts: self.facts_of_address(who),
            host: None,
            image: None,
            boot: None,
            cacheable: true,
        }
    }

    fn open_image_file(&self, name: &str, who: &Who) -> Result<Option<Opened>, OpenError> {
        let Some((image, file)) = name.split_once('/') else { return Ok(None) };
        let image = image.to_ascii_lowercase();
        let found = self.image_file(&image, file);
        let Some(esxi::FoundFile { file: found, profile, lender }) =
            found.map_err(|source| OpenError::Io { name: name.to_owned(), source })?
        else {
            return Ok(None);
        };
        let role = profile.as_ref().map_or(Role::File, |profile| match profile.kind {
            ImageKind::Esxi => self.esxi_role(profile, &found.name),
            _ => role_of(&self.parts.library, profile, &found.name),
        });
        if let Some(profile) = &profile
            && self.is_payload(profile, &found.name, role)
        {
            let opened = self.parts.ledger.open_payload(Opener::Address(who.address), profile);
            opened.map_err(|why| {
                let facts = self.facts_of_address(who).unwrap_or_default();
                self.parts.ledger.refuse_boot(&facts, None, profile, &why);
                OpenError::NotArmed { image: profile.name.to_string(), why }
            })?;
        }
        Ok(Some(Opened {
            // Whose it is, where it is lent: events show it.
            name: format!("{}/{}", lender.as_ref().map_or(image.as_str(), |own| own.as_str()), found.name)
                .into(),
            content_type: names::content_type(&found.name),
            content: found.bytes,
            role,
            etag: found.digest.etag(),
            facts: self.facts_of_address(who),
            host: None,
            image: Some(image.into()),
            boot: None,
            cacheable: true,
        }))
    }

    /// True for what makes the image run: its files in the profile, whatever their kind.
    fn is_payload(&self, profile: &Image, file: &str, role: Role) -> bool {
        if matches!(role, Role::Kernel | Role::Initrd | Role::Module) {
            return true;
        }
        let Some(manifest) = self.parts.library.manifest(profile.name.as_str()) else { return false };
        profile.named_files().any(|(_, named)| manifest.find(named).is_some_and(|(own, _)| &*own == file))
    }

    fn facts_of_address(&self, who: &Who) -> Option<Facts> {
        who.facts.clone().or_else(|| self.parts.decider.recall(who.address))
    }

    fn opened_text(&self, name: &str, role: Role, text: String) -> Opened {
        Opened {
            name: name.into(),
            etag: Digest::of(text.as_bytes()).etag(),
            content: text.into(),
            role,
            content_type: names::TEXT,
            facts: None,
            host: None,
            image: None,
            boot: None,
            cacheable: false,
        }
    }
}

/// What a file is for, by the profile of its image.
fn role_of(library: &Library, profile: &Image, file: &str) -> Role {
    let Some(manifest) = library.manifest(profile.name.as_str()) else { return Role::File };
    let names = |named: &String| manifest.find(named).is_some_and(|(own, _)| &*own == file);
    if profile.kernel.as_ref().is_some_and(names) {
        Role::Kernel
    } else if profile.initrd.iter().any(names) {
        Role::Initrd
    } else {
        Role::File
    }
}

#[cfg(test)]
mod tests;
