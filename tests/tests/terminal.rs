//! What is watched on a terminal: `host watch`, `trace --follow` and `events --follow` on a pseudo-terminal, with a real boot behind
//! them, ended with Ctrl-C and over a restart of the appliance.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::clients::{self, CLIENT_DEADLINE};
use harness::daemon::binary;
use harness::packages::{self, BOOT, CLIENTS, Package};
use harness::scene::{EVENT_DEADLINE, NETWORK, POOL, SERVER};
use harness::{Config, Daemon, Lab, Namespace, Running, Scene};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

const TERMINAL: &[Package] =
    &[Package { name: "bsdutils", file: "/usr/bin/script", why: "a pseudo-terminal" }];
const CTRL_C: u8 = 3;
const INTERRUPTED: i32 = 130;
/// A client that lost the appliance asks twice a second for a minute.
const AGAIN_DEADLINE: Duration = Duration::from_secs(50);
/// Three times as long as a table stands.
const STILL: Duration = Duration::from_secs(3);
/// The other screen, and no cursor.
const AWAY: &str = "the appliance does not answer; it is looked for";
const BEGIN: &str = "\u{1b}[?1049h\u{1b}[?25l";
const ERASE: &str = "\u{1b}[H\u{1b}[J";
const END: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";
/// The screen is small: the table does not fit.
const ROWS: usize = 5;
/// Says what the terminal's settings are before and after; Ctrl-C ends the command alone.
const SHELL: &str = r#"trap : INT
stty rows ROWS cols 100
echo "settings $(stty -g)"
COMMAND
code=$?
echo "settings $(stty -g)"
exit $code
"#;

/// A command of ours on a terminal of its own.
struct Terminal {
    running: Running,
    keys: File,
    screen: PathBuf,
}

impl Terminal {
    fn start(lab: &Lab, socket: &Path, name: &str, words: &str) -> Terminal {
        let keys = lab.path(&format!("{name}.keys"));
        nix::unistd::mkfifo(&keys, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        // Nobody waits for the other end of what is open for both.
        let typed = File::options().read(true).write(true).open(&keys).unwrap();
        let ours = format!("{} {words} --socket {}", binary().unwrap().display(), socket.display());
        let program = lab.path(&format!("{name}.sh"));
        let text = SHELL.replace("ROWS", &ROWS.to_string()).replace("COMMAND", &ours);
        std::fs::write(&program, text).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec script -qfec "sh $0" /dev/null <"$1""#]).arg(&program).arg(&keys);
        command.env("TERM", "xterm");
        let screen = lab.path(&format!("{name}.screen"));
        let running = Running::start(words, command, Some(&screen)).unwrap();
        Terminal { running, keys: typed, screen }
    }

    fn press(&mut self, key: u8) {
        self.keys.write_all(&[key]).unwrap();
    }

    /// Everything that was sent to the screen.
    fn raw(&self) -> String {
        raw(&self.screen)
    }

    /// Waits for a table that is as `look` wants it.
    fn wait_drawn(&self, what: &str, deadline: Duration, look: impl Fn(&str) -> bool) -> String {
        let drawn = |_: &str| {
            let raw = self.raw();
            raw.split(ERASE).skip(1).last().filter(|table| look(table)).map(str::to_owned)
        };
        self.running.transcript().wait_until(what, deadline, drawn).unwrap()
    }

    fn wait_for(&self, needle: &str) -> String {
        self.running.wait_for(needle, EVENT_DEADLINE).unwrap()
    }

    /// Its end; the terminal is set as it was.
    fn ends(&mut self) -> ExitStatus {
        let status = self.running.wait_exit(EVENT_DEADLINE).unwrap();
        let raw = self.raw();
        let settings: Vec<&str> =
            raw.lines().filter_map(|line| Some(line.split_once("settings ")?.1)).collect();
        assert!(matches!(settings.as_slice(), [before, after] if before == after), "{settings:?}\n{raw}");
        status
    }

    fn interrupted(mut self) -> String {
        self.press(CTRL_C);
        let status = self.ends();
        assert_eq!(status.code(), Some(INTERRUPTED), "{}", self.raw());
        self.raw()
    }
}

/// What a process wrote, as it did.
fn raw(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()
}

/// The same without a terminal.
fn piped(lab: &Lab, socket: &Path, name: &str, words: &[&str]) -> (Running, PathBuf) {
    let mut command = Command::new(binary().unwrap());
    command.args(words).arg("--socket").arg(socket);
    let log = lab.path(&format!("{name}.piped"));
    (Running::start(name, command, Some(&log)).unwrap(), log)
}

fn config() -> Config {
    Config::server(NETWORK, POOL).unknown("ignore")
}

fn url(path: &str) -> String {
    format!("http://{SERVER}:8080/{path}")
}

/// A machine that is the host web01.
struct Client {
    station: Namespace,
    mac: String,
}

impl Client {
    fn new(scene: &Scene) -> Client {
        let station = scene.lab.station(&scene.segment, "client", None).unwrap();
        let mut ip = Command::new("ip");
        ip.args(["-o", "link", "show", "dev", "eth0"]);
        let said = station.output(&scene.lab, "link", ip, CLIENT_DEADLINE).unwrap();
        let mut words = said.split_whitespace().skip_while(|word| *word != "link/ether");
        let mac = words.nth(1).unwrap().to_owned();
        let (kernel, initrd) =
            (scene.payload.kernel.to_string_lossy(), scene.payload.initrd.to_string_lossy());
        let import = ["image", "import", "files", "--name", "installer", "--destructive"];
        let files = ["--kernel", &*kernel, "--initrd", &*initrd];
        scene.daemon.command(&[&import[..], &files].concat()).unwrap();
        scene.daemon.command(&["host", "add", "web01", "--mac", &mac, "--image", "installer"]).unwrap();
        scene.daemon.command(&["host", "arm", "web01"]).unwrap();
        Client { station, mac }
    }

    /// The ROM and its loader.
    fn rom(&self, lab: &Lab) {
        let rom = ["-V", "PXEClient:Arch:00000:UNDI:002001", "-x", "0x5d:0000"];
        clients::udhcpc(lab, &self.station, &rom).unwrap();
        clients::tftp_hpa(lab, &self.station, SERVER, "undionly.kpxe").unwrap();
    }

    /// iPXE and its script with all that is named there. Gives where the system says that it is up.
    fn ipxe(&self, lab: &Lab) -> String {
        let ipxe = ["-x", "0x5d:0000", "-x", "0x4d:69505845", "-x", "0xaf:130101150101"];
        let rom = ["-V", "PXEClient:Arch:00000:UNDI:002001"];
        clients::udhcpc(lab, &self.station, &[&rom[..], &ipxe].concat()).unwrap();
        clients::curl(lab, &self.station, &[&url("boot.ipxe")]).unwrap();
        let asks = url(&format!("boot.ipxe?mac={}&uuid=&arch=i386&platform=pcbios", self.mac));
        let script = String::from_utf8(clients::curl(lab, &self.station, &[&asks]).unwrap()).unwrap();
        for line in script.lines().filter(|line| line.starts_with("kernel ") || line.starts_with("initrd ")) {
            let file = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
            clients::curl(lab, &self.station, &[file]).unwrap();
        }
        let mut parts = script.split_whitespace().flat_map(|word| word.split('='));
        parts.find(|part| part.ends_with("/up")).unwrap().to_owned()
    }

    fn up(&self, lab: &Lab, url: &str) {
        clients::curl(lab, &self.station, &["-X", "POST", url]).unwrap();
    }
}

fn can_run() -> bool {
    packages::here(BOOT) && packages::here(CLIENTS) && packages::here(TERMINAL)
}

/// The row of web01 begins with these words.
fn row<'a>(stage: &'a str) -> impl Fn(&str) -> bool + 'a {
    move |table| {
        table.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some("web01") && words.next() == Some(stage)
        })
    }
}

#[test]
fn a_table_is_drawn_again_on_a_terminal_and_is_lines_without_one() {
    harness::enter!();
    if !can_run() {
        return;
    }
    let scene = Scene::new(config()).unwrap();
    let client = Client::new(&scene);
    // Their names stand before its name.
    for number in 1..=5 {
        let (name, mac) = (format!("db0{number}"), format!("52:54:00:00:00:0{number}"));
        scene.daemon.command(&["host", "add", &name, "--mac", &mac, "--image", "installer"]).unwrap();
    }
    let socket = scene.daemon.socket();
    let where_all = "host watch db01 db02 db03 db04 db05 web01";
    let words: Vec<&str> = where_all.split(' ').collect();
    let watch = Terminal::start(&scene.lab, socket, "watch", where_all);
    let (mut lines, log) = piped(&scene.lab, socket, "watch", &words);
    let first = watch.wait_drawn("first table", EVENT_DEADLINE, |table| table.contains("more"));
    assert!(first.contains("… and 4 more") && !first.contains("web01"), "{first}");
    lines.wait_for("web01", EVENT_DEADLINE).unwrap();

    client.rom(&scene.lab);
    // What goes on stands above what does not.
    let begun = watch.wait_drawn("web01 in the table", EVENT_DEADLINE, |table| table.contains("web01"));
    assert!(begun.lines().nth(1).unwrap().starts_with("web01"), "{begun}");
    let up = client.ipxe(&scene.lab);
    watch.wait_drawn("an installation", EVENT_DEADLINE, row("installing"));
    lines.wait_for(r#""stage":"kernel""#, EVENT_DEADLINE).unwrap();
    client.up(&scene.lab, &up);
    watch.wait_drawn("its end", EVENT_DEADLINE, row("up"));
    lines.wait_for(r#""outcome":"up""#, EVENT_DEADLINE).unwrap();
    // Ages go on by themselves.
    let drawn = watch.raw().matches(ERASE).count();
    watch.wait_drawn("one more", EVENT_DEADLINE, |_| watch.raw().matches(ERASE).count() > drawn + 1);

    let raw = watch.interrupted();
    assert_eq!((raw.matches(BEGIN).count(), raw.matches(END).count()), (1, 1), "{raw:?}");
    let (drawn, after) = raw.split_once(END).unwrap();
    for table in drawn.split(ERASE).skip(1) {
        // The terminal itself says what key it was.
        let lines = table.lines().filter(|line| line.trim() != "^C").count();
        assert!(lines < ROWS, "it scrolls: {table}");
    }
    assert!(row("up")(after), "what stood last stays: {after}");
    assert!((1..=5).all(|number| after.contains(&format!("db0{number}"))), "{after}");
    assert!(!after.contains('\u{1b}'), "{after:?}");

    lines.signal(Signal::SIGINT).unwrap();
    assert_eq!(lines.wait_exit(EVENT_DEADLINE).unwrap().code(), Some(INTERRUPTED));
    let text = raw_lines(&log);
    assert!(text.iter().any(|line| line.get("outcome").is_some_and(|outcome| outcome == "up")), "{text:?}");
}

/// Every line is a document, so there is nothing for a terminal in it.
fn raw_lines(log: &Path) -> Vec<Value> {
    let text = raw(log);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let parsed = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    text.lines().map(parsed).collect()
}

#[test]
fn a_boot_is_followed_to_its_end_and_the_next_one_until_ctrl_c() {
    harness::enter!();
    if !can_run() {
        return;
    }
    let scene = Scene::new(config()).unwrap();
    let client = Client::new(&scene);
    let socket = scene.daemon.socket();
    let mut follow = Terminal::start(&scene.lab, socket, "follow", "trace web01 --follow");
    let (mut lines, log) = piped(&scene.lab, socket, "follow", &["trace", "web01", "--follow", "-o", "json"]);
    for who in [&follow.running, &lines] {
        who.wait_for("nothing is remembered of a boot of it; waiting", EVENT_DEADLINE).unwrap();
    }
    client.rom(&scene.lab);
    for told in ["boot ", " discover ", " tftp "] {
        follow.wait_for(told);
    }
    let up = client.ipxe(&scene.lab);
    follow.wait_for(" script ");
    assert!(follow.running.is_alive() && lines.is_alive());
    client.up(&scene.lab, &up);
    assert!(follow.ends().success());
    assert!(lines.wait_exit(EVENT_DEADLINE).unwrap().success());
    let text = follow.running.transcript().text();
    let steps: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let mut rest = steps.iter();
    for step in ["discover", "tftp", "script", "http", "kernel", "callback", "up"] {
        assert!(rest.any(|own| *own == step), "{step} is not in its place:\n{text}");
    }
    assert!(!follow.raw().contains('\u{1b}'), "{:?}", follow.raw());
    let text = raw(&log);
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(last.get("step").unwrap() == "end" && last.get("outcome").unwrap() == "up", "{last}");

    scene.daemon.command(&["host", "arm", "web01"]).unwrap();
    let next = Terminal::start(&scene.lab, socket, "next", "trace web01 --follow");
    let events = Terminal::start(&scene.lab, socket, "events", "events --follow --since 0");
    next.wait_for("is over");
    events.wait_for("host.armed");
    client.rom(&scene.lab);
    next.wait_for(" discover ");
    events.wait_for("dhcp.ack");
    let raw = next.interrupted();
    assert!(!raw.contains(" callback ") && !raw.contains('\u{1b}'), "the boot before is not told:\n{raw}");
    events.interrupted();
}

#[test]
fn who_watches_goes_on_when_the_appliance_is_restarted() {
    harness::enter!();
    if !can_run() {
        return;
    }
    let scene = Scene::new(config()).unwrap();
    let client = Client::new(&scene);
    let Scene { daemon, server, segment: _segment, payload: _payload, lab } = scene;
    client.rom(&lab);
    let socket = daemon.socket().to_owned();
    let watch = Terminal::start(&lab, &socket, "watch", "host watch web01");
    let (mut lines, log) = piped(&lab, &socket, "watch", &["host", "watch", "web01"]);
    let mut follow = Terminal::start(&lab, &socket, "follow", "trace web01 --follow");
    let (mut events, told) = piped(&lab, &socket, "events", &["events", "--follow", "--since", "0"]);
    events.wait_for("dhcp.discover", EVENT_DEADLINE).unwrap();
    watch.wait_drawn("a boot", EVENT_DEADLINE, |table| table.contains("web01"));
    lines.wait_for("web01", EVENT_DEADLINE).unwrap();
    follow.wait_for(" discover ");
    daemon.stop().unwrap();
    assert!(lines.is_alive() && follow.running.is_alive());
    // A stream that ended is no event that came.
    assert_eq!(events.wait_exit(EVENT_DEADLINE).unwrap().code(), Some(8));
    assert!(raw(&told).contains("the appliance ended the stream of events"), "{}", raw(&told));
    watch.wait_drawn("that it is away", EVENT_DEADLINE, |table| table.contains(AWAY));
    lines.wait_for(AWAY, EVENT_DEADLINE).unwrap();
    let daemon = Daemon::start(&lab, &server, config()).unwrap();

    client.rom(&lab);
    let up = client.ipxe(&lab);
    watch.wait_drawn("the next boot", AGAIN_DEADLINE, row("installing"));
    lines.wait_for(r#""stage":"kernel""#, AGAIN_DEADLINE).unwrap();
    follow.running.wait_for(" script ", AGAIN_DEADLINE).unwrap();
    client.up(&lab, &up);
    watch.wait_drawn("its end", EVENT_DEADLINE, row("up"));
    assert!(follow.ends().success());
    let told = follow.raw();
    assert_eq!(told.lines().filter(|line| line.starts_with("boot ")).count(), 2, "{told}");
    assert!(row("up")(watch.interrupted().split(END).last().unwrap()));
    lines.signal(Signal::SIGINT).unwrap();
    assert_eq!(lines.wait_exit(EVENT_DEADLINE).unwrap().code(), Some(INTERRUPTED));
    assert_eq!(raw(&log).matches(AWAY).count(), 1, "{}", raw(&log));
    let text = raw(&log).replace(&format!("{AWAY}\n"), "");
    std::fs::write(&log, text).unwrap();
    raw_lines(&log);
    daemon.stop().unwrap();
}

#[test]
fn a_limit_holds_while_the_appliance_is_away() {
    harness::enter!();
    if !can_run() {
        return;
    }
    let scene = Scene::new(config()).unwrap();
    let _client = Client::new(&scene);
    let Scene { daemon, server: _server, segment: _segment, payload: _payload, lab } = scene;
    let socket = daemon.socket().to_owned();
    let words = ["host", "watch", "web01", "--until", "up", "--timeout", "5s"];
    let (mut lines, log) = piped(&lab, &socket, "watch", &words);
    lines.wait_for("web01", EVENT_DEADLINE).unwrap();
    daemon.stop().unwrap();
    assert_eq!(lines.wait_exit(EVENT_DEADLINE).unwrap().code(), Some(7));
    let text = raw(&log);
    assert!(text.contains("R-WAT-01") && text.contains("web01"), "{text}");
}

#[test]
fn ctrl_c_ends_a_watch_of_an_appliance_that_hangs() {
    harness::enter!();
    if !can_run() {
        return;
    }
    let scene = Scene::new(config()).unwrap();
    let _client = Client::new(&scene);
    let socket = scene.daemon.socket();
    let watch = Terminal::start(&scene.lab, socket, "watch", "host watch web01");
    watch.wait_drawn("a table", EVENT_DEADLINE, |table| table.contains("web01"));
    scene.daemon.process().signal(Signal::SIGSTOP).unwrap();
    // It asks again each second, and is not drawn again once it waits for the answer.
    let mut drawn = 0;
    for _ in 0..10 {
        let again = |_: &str| Some(watch.raw().matches(ERASE).count()).filter(|count| *count > drawn);
        match watch.running.transcript().wait_until("table", STILL, again) {
            Ok(count) => drawn = count,
            Err(_) => break,
        }
    }
    assert!(watch.interrupted().contains(END));
}
