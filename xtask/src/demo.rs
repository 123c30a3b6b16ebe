//! `cargo xtask demo`: a fresh appliance in a private network, one machine powered on, its boot on the terminal.
//!
//! The network is a set of namespaces that ends with the command; nobody outside can reach it or be reached.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use harness::daemon::{self, Config, Daemon};
use harness::packages::{self, BOOT};
use harness::payload::Payload;
use harness::world::{self, World};
use harness::{Firmware, Lab, Machine, Running, timeline};
use nix::sys::signal::{SigSet, Signal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const NETWORK: &str = "10.77.0.0/24";
const POOL: &str = "10.77.0.100-10.77.0.199";
const SERVER: &str = "10.77.0.1";
/// Image name of the system that is built here.
const PAYLOAD: &str = "payload";
/// A system says more than this on its console; what a loader says after its last file is less.
const SPEAKS_BYTES: usize = 400;
/// How often an interrupt is looked for while waiting.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Boot a QEMU machine from a fresh appliance in a private network and show its timeline.
#[derive(Args)]
pub(crate) struct Demo {
    /// What the machine is switched on with.
    #[arg(long, value_enum, default_value_t = DemoFirmware::Bios)]
    firmware: DemoFirmware,
    /// `payload` (a kernel and a shell that calls back) or a catalogue name such as `debian-netboot`.
    #[arg(long, default_value = PAYLOAD)]
    image: String,
    /// Keep appliance, machine and folder until interrupted.
    #[arg(long)]
    keep: bool,
    /// Give up after this many seconds.
    #[arg(long, default_value_t = 240)]
    deadline: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DemoFirmware {
    /// SeaBIOS with QEMU's iPXE ROM.
    Bios,
    /// SeaBIOS with a plain PXE ROM: chain to iPXE.
    BiosPxe,
    /// UEFI, PXE.
    Uefi,
    /// UEFI, HTTP boot.
    UefiHttp,
}

impl DemoFirmware {
    fn machine(self) -> Firmware {
        match self {
            DemoFirmware::Bios => Firmware::Bios,
            DemoFirmware::BiosPxe => Firmware::BiosPxe,
            DemoFirmware::Uefi => Firmware::UefiPxe,
            DemoFirmware::UefiHttp => Firmware::UefiHttp,
        }
    }
}

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode> {
        packages::ensure(BOOT)?;
        let binary = daemon::binary()?;
        if world::find()? == World::Rootless {
            // Children inherit the answer; the daemon is not built again inside.
            let program = std::env::current_exe().context("cannot find our own program")?;
            let args: Vec<String> = std::env::args().skip(1).collect();
            let inherited = [("REVEILLE_BIN", binary.as_os_str())];
            let status = world::run_inside_with(&program, &args, &inherited)?;
            return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        let interrupted = watch_for_interrupt()?;
        let good = self.boot(&interrupted)?;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn boot(&self, interrupted: &AtomicBool) -> Result<bool> {
        let mut lab = Lab::new()?;
        if self.keep {
            lab.keep_folder();
        }
        let segment = lab.segment()?;
        let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24")))?;
        println!("network    {NETWORK}, private: namespaces of this command, no way out");
        let appliance = Daemon::start(&lab, &server, Config::server(NETWORK, POOL))?;
        println!("appliance  {SERVER}  dhcp, tftp, http :8080  state in {}", appliance.folder().display());
        self.import(&lab, &appliance)?;
        let machine = Machine::new("demo", self.firmware.machine(), 1).memory_mib(if self.image == PAYLOAD {
            512
        } else {
            1024
        });
        let mut add = vec!["host", "add", "demo", "--mac", machine.mac_text(), "--image", &self.image];
        if self.image != PAYLOAD {
            add.extend(["--kernel-arg", "console=ttyS0"]);
        }
        appliance.command(&add)?;
        let port = machine.port(&lab, &segment)?;
        let powered = Instant::now();
        let mut running = machine.start(&lab, &segment, &port)?;
        println!(
            "machine    {}  uuid {}  qemu, {}\n",
            machine.mac_text(),
            machine.uuid_text(),
            harness::qemu::accelerator()
        );
        let end = self.follow(&appliance, &machine, &mut running, powered, interrupted);
        match &end {
            Ok(()) if self.image == PAYLOAD => {
                println!("\nbooted and called back, {:.1} s after power on", powered.elapsed().as_secs_f64())
            }
            Ok(()) => println!(
                "\nthe system runs and speaks on its console, {:.1} s after power on",
                powered.elapsed().as_secs_f64()
            ),
            Err(error) => report(error, &appliance, &machine, &running),
        }
        if self.keep && !interrupted.load(Ordering::Relaxed) {
            println!("\nkept until interrupted (Ctrl-C):");
            println!("  reveille status --socket {}", appliance.socket().display());
            println!("  console {}", lab.path("demo.log").display());
            while !interrupted.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        drop(running);
        appliance.stop()?;
        Ok(end.is_ok())
    }

    fn import(&self, lab: &Lab, appliance: &Daemon) -> Result<()> {
        if self.image == PAYLOAD {
            let folder = lab.path("payload");
            std::fs::create_dir(&folder)?;
            let payload = Payload::build(&folder)?;
            appliance.import(PAYLOAD, &payload.kernel, &payload.initrd, &daemon::payload_cmdline(PAYLOAD))?;
            println!("image      {PAYLOAD}: Debian's kernel and a shell that says who it is and calls back");
        } else {
            appliance.command(&["image", "import", &self.image, "--name", &self.image])?;
            println!("image      {}", self.image);
        }
        Ok(())
    }

    /// Prints each step as it happens, until the machine has come as far as this image goes.
    fn follow(
        &self,
        appliance: &Daemon,
        machine: &Machine,
        running: &mut Running,
        powered: Instant,
        interrupted: &AtomicBool,
    ) -> Result<()> {
        let deadline = Duration::from_secs(self.deadline);
        let mut printed = 0;
        let mut seen = 0;
        // Length of the console when the last file of a system without a call-back was there.
        let mut handed_over = None;
        loop {
            // New events, or a look at everything else.
            let grown = appliance.wait_events("more events", LOOK_EVERY, |events| {
                (events.len() > seen).then_some(events.len())
            });
            seen = grown.unwrap_or(seen);
            let events = timeline::of_machine(&appliance.events(), machine.mac_text());
            let steps = timeline::steps(&events);
            for step in steps.get(printed..).unwrap_or_default() {
                println!("{}", timeline::line(step));
            }
            printed = steps.len();
            let done = if self.image == PAYLOAD {
                events.iter().any(|event| event.fits("boot.up"))
            } else {
                let fetched = |event: &timeline::Event| {
                    event.fits("http.file:initrd") || event.fits("tftp.done:initrd")
                };
                let console = running.transcript().text().len();
                if handed_over.is_none() && events.iter().any(fetched) {
                    handed_over = Some(console);
                }
                handed_over.is_some_and(|then| console > then + SPEAKS_BYTES)
            };
            if done {
                return Ok(());
            }
            if interrupted.load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            if powered.elapsed() > deadline {
                bail!("not booted after {} s", self.deadline);
            }
            if !running.is_alive() {
                bail!("the machine switched itself off before it called back");
            }
        }
    }
}

fn report(error: &anyhow::Error, appliance: &Daemon, machine: &Machine, running: &Running) {
    println!("\nFAILED: {error:#}");
    let events = timeline::of_machine(&appliance.events(), machine.mac_text());
    let findings: Vec<String> = events
        .iter()
        .filter(|event| matches!(event.text("level"), Some("warn" | "error")))
        .map(|event| format!("  {} {}", event.name(), event.text("reason").unwrap_or_default()))
        .collect();
    if events.is_empty() {
        println!("the appliance heard nothing of this machine");
    }
    if !findings.is_empty() {
        println!("findings:\n{}", findings.join("\n"));
    }
    println!("end of its console:\n{}", running.transcript().tail());
    println!("end of the appliance's log:\n{}", appliance.process().transcript().tail());
}

/// True once the command is interrupted or asked to end: guards must still run.
fn watch_for_interrupt() -> Result<Arc<AtomicBool>> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGHUP);
    // Blocked here and so in every thread made later; the harness starts children with nothing blocked.
    signals.thread_block().context("cannot block signals")?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&interrupted);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while signals.wait().is_ok() {
            seen.store(true, Ordering::Relaxed);
        }
    })?;
    Ok(interrupted)
}
