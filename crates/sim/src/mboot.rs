//! Model of `mboot`, the loader of ESXi: what it asks for, one request after the other, and what becomes of the machine.
//!
//! A pure state machine: [`Mboot::poll`] says what it asks, [`Mboot::answer`] takes what came back. No socket, no clock;
//! a harness drives it over real ones, a test out of a table. It shares no code with what writes `boot.cfg` for it: its
//! reader ([`config`]) is written from the same facts by other means, and tests hold both against each other.
//!
//! ```text
//!  Config ─► Sizes ─► Crypto ─► Acpi ─► Modules ─► Kickstart ─► Booted
//!     └─────────┴────────┴────────┴────────┴────────────┴─────► Failed: hangs, or leaves for the next boot entry
//! ```
//!
//! | phase | what is asked |
//! |---|---|
//! | config | `<folder>/01-<mac>/boot.cfg`, then `<folder>/boot.cfg`; with `-c` that one. What is looked for is **read twice**: once to see whether it is there, once to parse it |
//! | sizes | the size of every module in order, until one has none (HEAD, or a TFTP size request) |
//! | crypto | `crypto64.efi` in up to four places, UEFI only |
//! | acpi, modules | every file, in order; a failure ends the boot |
//! | kickstart | what the started installer fetches by `ks=http://…` |
//!
//! Deliberately absent: the contents of modules (gzip, signatures) but for the kernel's magic number; `menu.efi`; waiting
//! (an answer that never came is [`Answer::Nothing`]); the firmware's other ways to a file; `nativehttp` other than its
//! default.
//!
//! Source: the published loader, GitHub vmware/esx-boot, 7.0.3 to 9.0, read for facts. `[model]` marks what is our guess.

pub mod config;
mod fetch;
mod path;
mod story;
mod words;

pub use story::{
    Answer, Ask, Booted, Failure, Machine, Method, Module, Next, Outcome, Release, Start, Then, Why,
};

use config::{Config, ConfigError};
use fetch::{Fetch, Got, Route, Trouble, Want};
use std::time::Duration;
use types::MacAddr;
use words::Words;

/// Less than this for the kernel's path and options.
const COMMAND_LINE_BYTES_END: usize = 4096;
/// Less than this for a module's path and options.
const MODULE_BYTES_END: usize = 256;
/// What marks a kernel, within its first 8192 bytes. `[model]` for a kernel in gzip: believed.
const KERNEL_MAGIC: [u8; 4] = 0x1bad_b005_u32.to_le_bytes();
const KERNEL_MAGIC_WITHIN: usize = 8192;
const CRYPTO_MODULE: &str = "crypto64.efi";

#[derive(Debug)]
enum Phase {
    Config { tries: Vec<Try> },
    Sizes { at: usize },
    Crypto { places: Vec<String>, troubled: bool },
    Acpi { at: usize },
    Modules { at: usize },
    Kickstart { url: String },
    Done,
}

/// A place `boot.cfg` may be at.
#[derive(Clone, Debug)]
struct Try {
    name: String,
    /// Only to see whether it is there.
    looks: bool,
}

/// A module to load.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    options: String,
}

/// The loader at work.
#[derive(Debug)]
pub struct Mboot {
    machine: Machine,
    words: Words,
    folder: String,
    phase: Phase,
    fetch: Option<Fetch>,
    requests: Vec<Ask>,
    prefix: String,
    crypto_name: Option<String>,
    blksize: u16,
    err_timeout: Option<u32>,
    cmdline: String,
    acpi: Vec<Named>,
    named: Vec<Named>,
    loaded: Vec<Module>,
    crypto: bool,
    outcome: Option<Outcome>,
}

impl Mboot {
    /// The loader has just been started.
    pub fn new(machine: Machine) -> Mboot {
        let (folder, words) = words::of(&machine);
        let mut mboot = Mboot {
            folder,
            phase: Phase::Done,
            fetch: None,
            requests: Vec::new(),
            prefix: String::new(),
            crypto_name: None,
            blksize: fetch::BLKSIZE_UEFI,
            err_timeout: None,
            cmdline: String::new(),
            acpi: Vec::new(),
            named: Vec::new(),
            loaded: Vec::new(),
            crypto: false,
            outcome: None,
            words: Words::default(),
            machine,
        };
        match words {
            Some(words) => {
                mboot.err_timeout = words.err_timeout;
                mboot.set_blksize(words.blksize);
                mboot.words = words;
                mboot.phase = Phase::Config { tries: mboot.places_of_config() };
            }
            None => mboot.fail(Failure::Options),
        }
        mboot
    }

    /// What it does next. Asked again without an answer in between, it says the same.
    pub fn poll(&mut self) -> Next {
        loop {
            if let Some(fetch) = &mut self.fetch {
                if let Some(ask) = fetch.ask() {
                    if fetch.is_new() {
                        self.requests.push(ask.clone());
                    }
                    return Next::Ask(ask);
                }
                let ended = fetch.ended();
                self.fetch = None;
                self.take(ended);
            } else if matches!(self.phase, Phase::Done) {
                return Next::Done;
            } else {
                self.begin();
            }
        }
    }

    /// Takes what came back for the last [`Next::Ask`].
    pub fn answer(&mut self, answer: Answer) {
        if let Some(fetch) = &mut self.fetch {
            fetch.take(answer);
        }
    }

    /// How it ended, when it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Every request so far.
    pub fn requests(&self) -> &[Ask] {
        &self.requests
    }

    /// Runs to the end, `answers` being the server.
    pub fn run(mut self, mut answers: impl FnMut(&Ask) -> Answer) -> (Outcome, Vec<Ask>) {
        while let Next::Ask(ask) = self.poll() {
            let answer = answers(&ask);
            self.answer(answer);
        }
        let outcome =
            self.outcome.unwrap_or(Outcome::Failed { failure: Failure::Options, then: Then::Hangs });
        (outcome, self.requests)
    }

    fn on_uefi(&self) -> bool {
        !matches!(self.machine.start, Start::Pxelinux { .. })
    }

    fn places_of_config(&self) -> Vec<Try> {
        let own = "boot.cfg";
        let beside = |name: &str| path::make(Some(&self.folder), name).unwrap_or_default();
        let reads = |name: String| Try { name, looks: false };
        let looks = |name: &str| Try { name: name.to_owned(), looks: true };
        match self.words.config.as_deref().filter(|name| !name.is_empty()) {
            Some(name) if path::is_absolute(name) => vec![reads(beside(name))],
            Some(name) => {
                let (first, second) = (beside(name), path::make(Some("/"), name).unwrap_or_default());
                vec![looks(&first), reads(first), reads(second)]
            }
            None => {
                let first = beside(&format!("{}/{own}", self.machine.mac.pxelinux()));
                vec![looks(&first), reads(first), reads(beside(own))]
            }
        }
    }

    fn begin(&mut self) {
        let (name, want) = match &self.phase {
            Phase::Done => return,
            Phase::Config { tries } => match tries.first() {
                Some(place) => (place.name.clone(), Want::Bytes),
                None => return self.fail(Failure::Options),
            },
            Phase::Sizes { at } => match self.named.get(*at) {
                // iPXE tells no size without the file: the first has none, and no more are asked.
                Some(module) if !matches!(self.machine.start, Start::Ipxe { .. }) => {
                    (module.name.clone(), Want::Size)
                }
                _ => return self.begin_crypto(),
            },
            Phase::Crypto { places, .. } => match places.first() {
                Some(place) => (place.clone(), Want::Bytes),
                None => return self.end_crypto(),
            },
            Phase::Acpi { at } => match self.acpi.get(*at) {
                Some(table) => (table.name.clone(), Want::Bytes),
                None => {
                    self.phase = Phase::Modules { at: 0 };
                    return;
                }
            },
            Phase::Modules { at } => match self.named.get(*at) {
                Some(module) => (module.name.clone(), Want::Bytes),
                None => return self.start_kernel(),
            },
            Phase::Kickstart { url } => {
                self.fetch = Some(Fetch::new(Route::Installer, url.clone(), Want::Bytes));
                return;
            }
        };
        let route = self.route(&name);
        self.fetch = Some(Fetch::new(route, name, want));
    }

    fn route(&self, name: &str) -> Route {
        match &self.machine.start {
            // Firmware HTTP is used only by a loader that came by it; a URL goes out as a file name.
            Start::UefiTftp { .. } => Route::Tftp { blksize: self.blksize },
            Start::UefiHttp { .. } if name.contains("://") => {
                Route::Http { release: self.machine.release, query: self.words.query.clone() }
            }
            Start::UefiHttp { .. } => Route::Nowhere,
            Start::Ipxe { base, .. } => Route::Ipxe { base: base.clone(), query: self.words.query.clone() },
            Start::Pxelinux { .. } => Route::Pxelinux,
        }
    }

    fn take(&mut self, ended: Result<Got, Trouble>) {
        match (&mut self.phase, ended) {
            (Phase::Done, _) => {}
            (Phase::Config { tries }, Ok(got)) => {
                let was = tries.remove(0);
                if !was.looks {
                    return self.read_config(&was.name, &got.into_bytes());
                }
                // It is there: read again, and nowhere else.
                tries.truncate(1);
            }
            (Phase::Config { tries }, Err(trouble)) => {
                let was = tries.remove(0);
                if was.looks {
                    // The next is the reading of what is not there.
                    tries.remove(0);
                } else if tries.is_empty() {
                    self.fail(Failure::ConfigMissing { name: was.name, why: trouble.why });
                }
            }
            (Phase::Sizes { at }, Ok(_)) => *at += 1,
            (Phase::Sizes { .. }, Err(_)) => self.begin_crypto(),
            (Phase::Crypto { places, .. }, Ok(_)) => {
                places.clear();
                self.crypto = true;
            }
            (Phase::Crypto { places, troubled }, Err(trouble)) => {
                places.remove(0);
                *troubled |= !trouble.missing;
            }
            (Phase::Acpi { at }, Ok(_)) => *at += 1,
            (Phase::Modules { at }, Ok(got)) => {
                let Some(module) = self.named.get(*at).cloned() else { return };
                let bytes = got.into_bytes();
                if *at == 0 && !is_kernel(&bytes) {
                    return self.fail(Failure::NotAKernel);
                }
                *at += 1;
                self.loaded.push(Module { name: module.name, options: module.options, bytes });
            }
            (Phase::Acpi { at }, Err(trouble)) => {
                let name = self.acpi.get(*at).map(|table| table.name.clone()).unwrap_or_default();
                self.fail(Failure::File { name, why: trouble.why });
            }
            (Phase::Modules { at }, Err(trouble)) => {
                let name = self.named.get(*at).map(|module| module.name.clone()).unwrap_or_default();
                self.fail(Failure::File { name, why: trouble.why });
            }
            (Phase::Kickstart { .. }, Ok(got)) => self.booted(Some(got.into_bytes())),
            (Phase::Kickstart { .. }, Err(trouble)) => {
                // The loader is gone by now, and its errtimeout with it.
                self.err_timeout = None;
                self.fail(Failure::Kickstart(trouble.why));
            }
        }
    }

    fn read_config(&mut self, name: &str, bytes: &[u8]) {
        let config = match Config::read(self.machine.release, bytes) {
            Ok(config) => config,
            Err(error) => return self.fail(Failure::Config(error)),
        };
        // -1 is the default and changes nothing.
        if let Some(secs) = config.integer("errtimeout").filter(|secs| *secs != -1) {
            self.err_timeout = u32::try_from(secs).ok();
        }
        if config.integer("skip").unwrap_or_default() != 0 {
            self.err_timeout = self.err_timeout.or(Some(5));
            return self.fail(Failure::Skipped);
        }
        let Some(kernel) = config.text("kernel") else {
            return self.fail(Failure::Config(ConfigError::NoKernel));
        };
        self.set_blksize(config.integer("tftpblksize").and_then(|bytes| u16::try_from(bytes).ok()));
        self.crypto_name = config.text("crypto");
        self.prefix = config.text("prefix").unwrap_or_else(|| path::folder_of_config(name));
        let full = |name: &str| path::make(Some(&self.prefix), name).unwrap_or_default();
        let named = |(name, options): (String, String)| Named { name: full(&name), options };
        let modules = config.list("modules").into_iter().map(named);
        let mut all = vec![Named { name: full(&kernel), options: String::new() }];
        all.extend(modules);
        all.extend(self.words.modules.iter().map(|name| Named { name: full(name), options: String::new() }));
        let acpi = config.list("acpitables").into_iter().map(named).collect();
        (self.named, self.acpi) = (all, acpi);

        let mut line = config.text("kernelopt").unwrap_or_default();
        let mut append = |words: &str| {
            if !words.is_empty() {
                let blank = if line.is_empty() { "" } else { " " };
                line.push_str(&format!("{blank}{words}"));
            }
        };
        append(&self.words.kernel.join(" "));
        if config.integer("nobootif").unwrap_or_default() <= 0 && !has_bootif(&line) {
            append_bootif(&mut line, self.machine.mac);
        }
        self.cmdline = line;
        self.phase = Phase::Sizes { at: 0 };
    }

    fn set_blksize(&mut self, bytes: Option<u16>) {
        if let Some(bytes) = bytes.filter(|bytes| (512..=65464).contains(bytes)) {
            self.blksize = bytes;
        }
    }

    fn begin_crypto(&mut self) {
        let places = if self.on_uefi() {
            let own = self.crypto_name.clone();
            [
                path::make(Some(&self.folder), CRYPTO_MODULE),
                own.and_then(|name| path::make(Some(&self.prefix), &name)),
                path::make(Some(&self.prefix), CRYPTO_MODULE),
                path::make(Some(&self.prefix), &format!("efi/boot/{CRYPTO_MODULE}")),
            ]
            .into_iter()
            .flatten()
            .collect()
        } else {
            Vec::new()
        };
        self.phase = Phase::Crypto { places, troubled: false };
    }

    fn end_crypto(&mut self) {
        if let Phase::Crypto { troubled: true, .. } = self.phase
            && self.machine.secure_boot
            && !self.crypto
        {
            return self.fail(Failure::Crypto);
        }
        self.phase = Phase::Acpi { at: 0 };
    }

    fn start_kernel(&mut self) {
        let bytes = |name: &str, options: &str| {
            name.len().saturating_add(if options.is_empty() { 0 } else { options.len().saturating_add(1) })
        };
        let Some((kernel, modules)) = self.loaded.split_first() else {
            return self.fail(Failure::NotAKernel);
        };
        if modules.iter().any(|module| bytes(&module.name, &module.options) >= MODULE_BYTES_END) {
            return self.fail(Failure::ModuleTooLong);
        }
        if bytes(&kernel.name, &self.cmdline) >= COMMAND_LINE_BYTES_END {
            return self.fail(Failure::CommandLineTooLong);
        }
        let words: Vec<&str> = self.cmdline.split(' ').collect();
        let script = words.iter().filter_map(|word| word.strip_prefix("ks=")).next_back();
        match script.filter(|url| words.contains(&"runweasel") && url.starts_with("http://")) {
            Some(url) => self.phase = Phase::Kickstart { url: url.to_owned() },
            None => self.booted(None),
        }
    }

    fn booted(&mut self, kickstart: Option<Vec<u8>>) {
        let mut modules = std::mem::take(&mut self.loaded);
        if let Some(kernel) = modules.first_mut() {
            kernel.options.clone_from(&self.cmdline);
        }
        let kernel = modules.first().map(|module| module.name.clone()).unwrap_or_default();
        self.phase = Phase::Done;
        let (cmdline, crypto) = (self.cmdline.clone(), self.crypto);
        self.outcome = Some(Outcome::Booted(Booted { kernel, cmdline, modules, crypto, kickstart }));
    }

    fn fail(&mut self, failure: Failure) {
        let then = match self.err_timeout {
            Some(secs) => Then::NextEntry { after: Duration::from_secs(secs.into()) },
            None => Then::Hangs,
        };
        self.phase = Phase::Done;
        self.outcome = Some(Outcome::Failed { failure, then });
    }
}

/// `BOOTIF=` as a word; the loader looks at the first place it finds it alone.
fn has_bootif(line: &str) -> bool {
    line.find("BOOTIF=").is_some_and(|at| at == 0 || line.as_bytes().get(at - 1) == Some(&b' '))
}

fn append_bootif(line: &mut String, mac: MacAddr) {
    let blank = if line.is_empty() { "" } else { " " };
    line.push_str(&format!("{blank}BOOTIF={}", mac.pxelinux()));
}

fn is_kernel(bytes: &[u8]) -> bool {
    let first = bytes.get(..KERNEL_MAGIC_WITHIN.min(bytes.len())).unwrap_or_default();
    bytes.starts_with(&[0x1f, 0x8b]) || first.chunks_exact(8).any(|chunk| chunk.starts_with(&KERNEL_MAGIC))
}

/// A file the model takes for a kernel: the magic number, then `payload`.
pub fn kernel(payload: &[u8]) -> Vec<u8> {
    [&KERNEL_MAGIC[..], &[0; 4], payload].concat()
}

#[cfg(test)]
mod tests;
