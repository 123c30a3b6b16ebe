//! Labs: switches, stations and machine ports in network namespaces of their own.
//!
//! ```text
//!   Segment (switch namespace, bridge br0)
//!     ├─ veth ── station "server"  eth0 10.77.0.1/24
//!     ├─ veth ── station "client"  eth0
//!     ├─ tap  ── QEMU                              where /dev/net/tun can be used
//!     └─ veth ── packet port ── unix socket ── QEMU        everywhere else
//! ```
//!
//! Invariants: no interface is ever made in, moved to or changed in the namespace we were started in; names carry our
//! process id; dropping a value removes what it made and nothing else.

use crate::packet::{PacketPort, RouterAdvertiser, Tamper};
use crate::world;
use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Runs `ip` and reports what it said when it fails.
fn ip(args: &[&str]) -> Result<()> {
    let output = world::command("ip").args(args).output().context("cannot run ip (package iproute2)")?;
    if !output.status.success() {
        bail!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace and a thread that lives in it.
///
/// Children are started by that thread: they inherit its namespace, and its end is theirs.
pub struct Namespace {
    name: String,
    jobs: Option<mpsc::Sender<Job>>,
    worker: Option<JoinHandle<()>>,
}

impl Namespace {
    fn create(name: String) -> Result<Namespace> {
        ip(&["netns", "add", &name])?;
        let mut namespace = Namespace { name, jobs: None, worker: None };
        let path = Path::new("/run/netns").join(&namespace.name);
        let handle = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let (jobs, queue) = mpsc::channel::<Job>();
        let (entered, result) = mpsc::channel();
        let worker = std::thread::Builder::new().name(namespace.name.clone()).spawn(move || {
            let inside = setns(handle, CloneFlags::CLONE_NEWNET);
            let ok = inside.is_ok();
            let _ = entered.send(inside);
            if ok {
                while let Ok(job) = queue.recv() {
                    job();
                }
            }
        })?;
        namespace.jobs = Some(jobs);
        namespace.worker = Some(worker);
        result
            .recv()
            .context("namespace thread died")?
            .with_context(|| format!("cannot enter {}", namespace.name))?;
        ip(&["-n", &namespace.name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Its name for `ip -n`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `job` inside and waits for its answer. One job at a time: keep them short.
    ///
    /// # Errors
    /// When the namespace's thread is gone (a job panicked).
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, result) = mpsc::channel();
        let jobs = self.jobs.as_ref().ok_or_else(|| anyhow!("namespace {} is closed", self.name))?;
        jobs.send(Box::new(move || {
            let _ = answer.send(job());
        }))
        .map_err(|_| anyhow!("the thread of namespace {} is gone", self.name))?;
        result.recv().with_context(|| format!("a job in namespace {} panicked", self.name))
    }

    /// Runs `ip` with `args` inside.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn ip(&self, args: &[&str]) -> Result<()> {
        let mut all = vec!["-n", self.name.as_str()];
        all.extend_from_slice(args);
        ip(&all)
    }

    /// Sets a kernel parameter of this namespace, path below `/proc/sys/net`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sysctl(&self, path: &str, value: &str) -> Result<()> {
        let file = Path::new("/proc/sys/net").join(path);
        let value = value.to_string();
        self.run(move || {
            std::fs::write(&file, value).with_context(|| format!("cannot write {}", file.display()))
        })?
    }

    /// Starts a command inside; `log` names its log file in the lab's folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, lab: &Lab, log: &str, command: std::process::Command) -> Result<crate::Running> {
        let name = log.to_string();
        let file = lab.path(&format!("{log}.log"));
        self.run(move || crate::Running::start(&name, command, Some(&file)))?
    }

    /// Runs a command inside to its end and returns its output; fails when the command does.
    ///
    /// # Errors
    /// When it cannot be started, takes longer than `deadline` or fails.
    pub fn output(
        &self,
        lab: &Lab,
        log: &str,
        command: std::process::Command,
        deadline: std::time::Duration,
    ) -> Result<String> {
        let mut running = self.start(lab, log, command)?;
        let status = running.wait_exit(deadline)?;
        let text = running.transcript().text();
        if !status.success() {
            bail!("{log} failed: {status}\n{text}");
        }
        Ok(text)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            eprintln!("warning: {error:#}");
        }
    }
}

/// One private network world: a scratch folder and the names of its namespaces.
pub struct Lab {
    prefix: String,
    folder: tempfile::TempDir,
    made: AtomicU32,
}

impl Lab {
    /// An empty lab. Its folder goes with it unless `REVEILLE_KEEP=1`.
    ///
    /// # Errors
    /// When no temporary folder can be made or namespaces are out of reach (see [`world::find`]).
    pub fn new() -> Result<Lab> {
        static LABS: AtomicU32 = AtomicU32::new(0);
        if world::find()? == world::World::Rootless {
            bail!("not inside a world for labs: call harness::enter!() first");
        }
        let prefix = format!("rv{}x{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        let mut lab = Lab { prefix, folder, made: AtomicU32::new(0) };
        if std::env::var_os("REVEILLE_KEEP").is_some_and(|value| value != "0") {
            lab.keep_folder();
        }
        remove_orphans();
        Ok(lab)
    }

    /// Leaves the folder behind, and says where it is.
    pub fn keep_folder(&mut self) {
        self.folder.disable_cleanup(true);
        eprintln!("keeping {}", self.folder.path().display());
    }

    /// A path in the lab's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn next(&self) -> u32 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    fn namespace(&self, role: &str) -> Result<Namespace> {
        Namespace::create(format!("{}-{role}{}", self.prefix, self.next()))
    }

    /// A new Ethernet segment: a switch with no spanning tree, no snooping and an IPv6 router that says "no prefix here".
    ///
    /// # Errors
    /// What `ip` said.
    pub fn segment(&self) -> Result<Segment> {
        let switch = self.namespace("sw")?;
        // Best effort: our switch has nothing to say in IPv6, but one that does harms no test.
        let _ = switch.sysctl("ipv6/conf/all/disable_ipv6", "1");
        let _ = switch.sysctl("ipv6/conf/default/disable_ipv6", "1");
        // Nor does a switch ask anybody's packet filter.
        let _ = switch.sysctl("bridge/bridge-nf-call-iptables", "0");
        switch.ip(&[
            "link",
            "add",
            "br0",
            "type",
            "bridge",
            "stp_state",
            "0",
            "forward_delay",
            "0",
            "mcast_snooping",
            "0",
        ])?;
        switch.ip(&["link", "set", "br0", "up"])?;
        let advertiser = switch.run(|| RouterAdvertiser::start("br0"))??;
        Ok(Segment { advertiser: Some(advertiser), switch, ports: AtomicU32::new(0) })
    }

    /// A namespace with `eth0` on `segment`, with `address` (`10.77.0.1/24`) or none.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn station(&self, segment: &Segment, role: &str, address: Option<&str>) -> Result<Namespace> {
        let station = self.namespace(role)?;
        segment.attach(&station, "eth0", address)?;
        Ok(station)
    }

    /// A port for one QEMU machine on `segment`: a tap, or a packet port where `/dev/net/tun` cannot be used.
    /// `REVEILLE_NET=tap|dgram` forces one.
    ///
    /// # Errors
    /// When neither works.
    pub fn port(&self, segment: &Segment) -> Result<Port> {
        match std::env::var("REVEILLE_NET").as_deref() {
            Ok("tap") => segment.tap(),
            Ok("dgram") => self.packet_port(segment, Tamper::default()),
            Ok(other) => bail!("REVEILLE_NET={other} is not known; say tap or dgram"),
            Err(_) if tun_usable() => segment.tap().or_else(|_| self.packet_port(segment, Tamper::default())),
            Err(_) => self.packet_port(segment, Tamper::default()),
        }
    }

    /// A port through our own hands, which may lose or change frames.
    ///
    /// # Errors
    /// What `ip` said, or when a raw socket cannot be opened.
    pub fn packet_port(&self, segment: &Segment, tamper: Tamper) -> Result<Port> {
        let number = segment.ports.fetch_add(1, Ordering::Relaxed);
        let (outer, inner) = (format!("port{number}"), format!("raw{number}"));
        let switch = &segment.switch;
        switch.ip(&["link", "add", &outer, "type", "veth", "peer", "name", &inner])?;
        plain_frames(switch, &outer)?;
        plain_frames(switch, &inner)?;
        switch.ip(&["link", "set", &outer, "master", "br0", "up"])?;
        switch.ip(&["link", "set", &inner, "up"])?;
        let stem = format!("net{}", self.next());
        let (machine, ours) = (self.path(&format!("{stem}.qemu")), self.path(&format!("{stem}.port")));
        let (to, at) = (machine.clone(), ours.clone());
        let pump = switch.run(move || PacketPort::start(&inner, &at, &to, tamper))??;
        Ok(Port { kind: PortKind::Packet { machine, ours, _pump: pump } })
    }
}

/// Removes namespaces of labs whose process was killed before it could: ours by name, its process gone, nobody inside.
fn remove_orphans() {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(maker) = maker(&name) else { continue };
        let inside = world::command("ip").args(["netns", "pids", &name]).output();
        let empty = inside.is_ok_and(|output| output.status.success() && output.stdout.is_empty());
        let gone = maker != std::process::id() && !Path::new("/proc").join(maker.to_string()).exists();
        if empty && gone {
            let _ = ip(&["netns", "del", &name]);
        }
    }
}

/// The process id in a name of ours: `rv<pid>x<lab>-<role><number>`.
fn maker(name: &str) -> Option<u32> {
    let (pid, rest) = name.strip_prefix("rv")?.split_once('x')?;
    let (lab, _) = rest.split_once('-')?;
    lab.parse::<u32>().ok()?;
    pid.parse().ok()
}

fn tun_usable() -> bool {
    std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_ok()
}

/// No checksum or segmentation offload: a frame on the wire is what a real wire would carry.
fn plain_frames(namespace: &Namespace, interface: &str) -> Result<()> {
    let interface = interface.to_string();
    namespace.run(move || {
        let run = |args: &[&str]| world::command("ethtool").arg("-K").arg(&interface).args(args).output();
        let output = run(&["tx", "off"]).context("cannot run ethtool (package ethtool)")?;
        if !output.status.success() {
            bail!("ethtool -K {interface} tx off: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        // Names differ between kernels; what is not there need not be switched off.
        for feature in ["tso", "gso", "gro", "tx-udp-segmentation"] {
            let _ = run(&[feature, "off"]);
        }
        Ok(())
    })?
}

/// One Ethernet segment.
pub struct Segment {
    advertiser: Option<RouterAdvertiser>,
    switch: Namespace,
    ports: AtomicU32,
}

impl Segment {
    /// The namespace of the switch; QEMU runs here, captures are taken here.
    pub fn switch(&self) -> &Namespace {
        &self.switch
    }

    /// Stops answering IPv6 router solicitations, as on a plain IPv4 network.
    pub fn without_router_advertisements(&mut self) {
        self.advertiser = None;
    }

    /// Gives `station` one more interface, on this segment.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn attach(&self, station: &Namespace, interface: &str, address: Option<&str>) -> Result<()> {
        let port = format!("port{}", self.ports.fetch_add(1, Ordering::Relaxed));
        let switch = &self.switch;
        switch.ip(&[
            "link",
            "add",
            &port,
            "type",
            "veth",
            "peer",
            "name",
            interface,
            "netns",
            station.name(),
        ])?;
        plain_frames(switch, &port)?;
        plain_frames(station, interface)?;
        switch.ip(&["link", "set", &port, "master", "br0", "up"])?;
        if let Some(address) = address {
            station.ip(&["address", "add", address, "dev", interface])?;
        }
        station.ip(&["link", "set", interface, "up"])
    }

    fn tap(&self) -> Result<Port> {
        let interface = format!("tap{}", self.ports.fetch_add(1, Ordering::Relaxed));
        self.switch.ip(&["tuntap", "add", "dev", &interface, "mode", "tap"])?;
        self.switch.ip(&["link", "set", &interface, "master", "br0", "up"])?;
        Ok(Port { kind: PortKind::Tap { interface } })
    }
}

/// Where a QEMU machine's network cable ends.
pub struct Port {
    kind: PortKind,
}

enum PortKind {
    Tap { interface: String },
    Packet { machine: PathBuf, ours: PathBuf, _pump: PacketPort },
}

impl Port {
    /// The `-netdev` argument, with `id=net0`.
    pub fn netdev(&self) -> String {
        match &self.kind {
            PortKind::Tap { interface } => format!("tap,id=net0,ifname={interface},script=no,downscript=no"),
            PortKind::Packet { machine, ours, .. } => format!(
                "dgram,id=net0,local.type=unix,local.path={},remote.type=unix,remote.path={}",
                machine.display(),
                ours.display()
            ),
        }
    }

    /// Removes a socket file the last machine left behind: QEMU does not bind over one.
    pub(crate) fn make_ready(&self) {
        if let PortKind::Packet { machine, .. } = &self.kind {
            let _ = std::fs::remove_file(machine);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::maker;

    #[test]
    fn only_names_of_ours_have_a_maker() {
        assert_eq!(maker("rv123x0-sw1"), Some(123));
        assert_eq!(maker("rv123"), None);
        assert_eq!(maker("rvax0-sw"), None);
        assert_eq!(maker("customer-rv1x0-sw"), None);
    }
}
