use super::*;
use proptest::prelude::*;
use render::esxi::{BootCfg, EsxiMode, ForMachine, generate};
use std::collections::BTreeMap;

const HTTP: &str = "http://10.77.0.1:8080/esxi";
const OWN: &str = "01-52-54-00-12-34-56/boot.cfg";

fn machine(release: Release, start: Start) -> Machine {
    Machine { release, start, mac: "52:54:00:12:34:56".parse().unwrap(), secure_boot: false }
}

fn by_http(release: Release) -> Machine {
    machine(release, Start::UefiHttp { url: format!("{HTTP}/mboot.efi") })
}

fn by_tftp(release: Release) -> Machine {
    machine(release, Start::UefiTftp { boot_file: "esxi/mboot.efi".to_owned() })
}

fn by_ipxe(words: &str) -> Machine {
    let base = "http://10.77.0.1:8080/boot.ipxe".to_owned();
    machine(Release::V8_0_2, Start::Ipxe { base, words: words.to_owned() })
}

/// A server of files by full name; by HTTP it answers as ours does.
#[derive(Clone, Default)]
struct Server(BTreeMap<String, Vec<u8>>);

impl Server {
    fn with(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Server {
        self.0.insert(name.to_owned(), bytes.as_ref().to_vec());
        self
    }

    /// The files of an image, `boot.cfg` among them, below a folder or URL.
    fn image(folder: &str, config: &str, text: &str) -> Server {
        Server::default()
            .with(&format!("{folder}/{config}"), text)
            .with(&format!("{folder}/b.b00"), kernel(b"b"))
            .with(&format!("{folder}/k.b00"), b"kk")
            .with(&format!("{folder}/s.v00"), b"sss")
    }

    fn answer(&self, ask: &Ask) -> Answer {
        match ask {
            Ask::Http { method, url, .. } => {
                let (status, body) = match self.0.get(url) {
                    Some(bytes) => (200, bytes.clone()),
                    None => (404, b"not found".to_vec()),
                };
                http(status, if *method == Method::Head { b"" } else { &body }, body.len())
            }
            Ask::TftpSize { name, .. } => match self.0.get(name) {
                Some(bytes) => Answer::Size(Some(bytes.len().try_into().unwrap())),
                None => Answer::TftpError(1),
            },
            Ask::TftpRead { name, .. } => match self.0.get(name) {
                Some(bytes) => Answer::File(bytes.clone()),
                None => Answer::TftpError(1),
            },
            Ask::Wait(_) => Answer::Nothing,
        }
    }

    fn boot(&self, machine: Machine) -> (Outcome, Vec<String>) {
        self.boot_with(machine, |server, ask| server.answer(ask))
    }

    fn boot_with(
        &self,
        machine: Machine,
        mut answer: impl FnMut(&Server, &Ask) -> Answer,
    ) -> (Outcome, Vec<String>) {
        let (outcome, asked) = Mboot::new(machine).run(|ask| answer(self, ask));
        (outcome, asked.iter().map(brief).collect())
    }
}

fn http(status: u16, body: &[u8], length: usize) -> Answer {
    let headers = vec![("Content-Length".to_owned(), length.to_string())];
    Answer::Http { status, headers, body: body.to_vec() }
}

fn redirect(status: u16, to: &str) -> Answer {
    let headers = vec![("Content-Length".to_owned(), "0".to_owned()), ("location".to_owned(), to.to_owned())];
    Answer::Http { status, headers, body: Vec::new() }
}

/// `GET …/b.b00`, with the usual folder cut.
fn brief(ask: &Ask) -> String {
    let cut = |url: &str| url.strip_prefix("http://10.77.0.1:8080").unwrap_or(url).to_owned();
    match ask {
        Ask::Http { method: Method::Head, url, .. } => format!("HEAD {}", cut(url)),
        Ask::Http { method: Method::Get, url, .. } => format!("GET {}", cut(url)),
        Ask::TftpSize { name, blksize } => format!("SIZE {name} {blksize}"),
        Ask::TftpRead { name, blksize } => format!("READ {name} {blksize}"),
        Ask::Wait(time) => format!("WAIT {}", time.as_secs()),
    }
}

fn booted(outcome: Outcome) -> Booted {
    match outcome {
        Outcome::Booted(booted) => booted,
        Outcome::Failed { failure, then } => panic!("{failure:?}, {then:?}"),
    }
}

fn failed(outcome: Outcome) -> (Failure, Then) {
    match outcome {
        Outcome::Failed { failure, then } => (failure, then),
        Outcome::Booted(booted) => panic!("{booted:?}"),
    }
}

fn after(secs: u64) -> Then {
    Then::NextEntry { after: Duration::from_secs(secs) }
}

const TWO: &str = "kernel=b.b00\nkernelopt=runweasel\nmodules=k.b00 --- s.v00 x=1\n";

#[test]
fn uefi_by_http_asks_for_its_own_boot_cfg_twice_then_sizes_crypto_and_files() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let (outcome, asked) = Server::image(HTTP, OWN, &config).boot(by_http(Release::V8_0_2));
    assert_eq!(
        asked,
        [
            "GET /esxi/01-52-54-00-12-34-56/boot.cfg",
            "GET /esxi/01-52-54-00-12-34-56/boot.cfg",
            "HEAD /esxi/b.b00",
            "HEAD /esxi/k.b00",
            "HEAD /esxi/s.v00",
            "GET /esxi/crypto64.efi",
            "GET /esxi/crypto64.efi",
            "GET /esxi/efi/boot/crypto64.efi",
            "GET /esxi/b.b00",
            "GET /esxi/k.b00",
            "GET /esxi/s.v00",
        ]
    );
    let booted = booted(outcome);
    assert_eq!(booted.kernel, format!("{HTTP}/b.b00"));
    assert_eq!(booted.cmdline, "runweasel BOOTIF=01-52-54-00-12-34-56");
    assert_eq!(booted.modules.len(), 3);
    assert_eq!(
        (booted.modules[2].bytes.as_slice(), booted.modules[2].options.as_str()),
        (&b"sss"[..], "x=1")
    );
    assert!(!booted.crypto);
}

#[test]
fn http_requests_have_two_headers_and_a_host_without_port() {
    let Next::Ask(Ask::Http { headers, .. }) = Mboot::new(by_http(Release::V9_0)).poll() else { panic!() };
    assert_eq!(headers, [("User-Agent", "esx-boot/2.0".to_owned()), ("Host", "10.77.0.1".to_owned())]);
}

#[test]
fn uefi_by_tftp_asks_the_size_before_every_read() {
    let server = Server::image("esxi", "boot.cfg", TWO).with("esxi/crypto64.efi", b"c");
    let (outcome, asked) = server.boot(by_tftp(Release::V8_0_2));
    assert_eq!(
        asked,
        [
            "SIZE esxi/01-52-54-00-12-34-56/boot.cfg 1468",
            "SIZE esxi/boot.cfg 1468",
            "READ esxi/boot.cfg 1468",
            "SIZE esxi/b.b00 1468",
            "SIZE esxi/k.b00 1468",
            "SIZE esxi/s.v00 1468",
            "SIZE esxi/crypto64.efi 1468",
            "READ esxi/crypto64.efi 1468",
            "SIZE esxi/b.b00 1468",
            "READ esxi/b.b00 1468",
            "SIZE esxi/k.b00 1468",
            "READ esxi/k.b00 1468",
            "SIZE esxi/s.v00 1468",
            "READ esxi/s.v00 1468",
        ]
    );
    assert!(booted(outcome).crypto);
}

#[test]
fn a_loader_at_the_root_asks_with_or_without_a_slash() {
    let start = || Start::UefiTftp { boot_file: "mboot.efi".to_owned() };
    let first = |release| {
        let Next::Ask(ask) = Mboot::new(machine(release, start())).poll() else { panic!() };
        brief(&ask)
    };
    assert_eq!(first(Release::V8_0), format!("SIZE /{OWN} 1468"));
    assert_eq!(first(Release::V9_0), format!("SIZE {OWN} 1468"));
}

#[test]
fn without_prefix_modules_stand_beside_the_boot_cfg_that_was_read() {
    let folder = "esxi/01-52-54-00-12-34-56";
    let (outcome, _) = Server::image(folder, "boot.cfg", TWO).boot(by_tftp(Release::V8_0));
    assert_eq!(booted(outcome).kernel, format!("{folder}/b.b00"));
}

#[test]
fn a_server_without_tsize_sends_every_file_twice() {
    let server = Server::image("esxi", OWN, "prefix=/esxi\nkernel=b.b00\n").with("/esxi/b.b00", kernel(b""));
    let (outcome, asked) = server.boot_with(by_tftp(Release::V9_0), |server, ask| match server.answer(ask) {
        Answer::Size(Some(_)) => Answer::Size(None),
        answer => answer,
    });
    assert!(matches!(outcome, Outcome::Booted(_)));
    assert_eq!(asked.iter().filter(|ask| *ask == "READ /esxi/b.b00 1468").count(), 3);
}

#[test]
fn a_url_goes_out_as_a_file_name_when_the_loader_came_by_tftp() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let (outcome, asked) = Server::image("esxi", OWN, &config).boot(by_tftp(Release::V8_0_2));
    assert!(asked.contains(&format!("SIZE {HTTP}/b.b00 1468")), "{asked:?}");
    assert!(matches!(failed(outcome).0, Failure::File { why: Why::TftpError(1), .. }));
}

#[test]
fn a_path_leads_nowhere_when_the_loader_came_by_http() {
    let config = format!("prefix=/esxi\n{TWO}");
    let (outcome, _) = Server::image(HTTP, OWN, &config).boot(by_http(Release::V9_0));
    let file = Failure::File { name: "/esxi/b.b00".to_owned(), why: Why::NoWay };
    assert_eq!(failed(outcome), (file, Then::Hangs));
}

#[test]
fn tftpblksize_is_used_from_8_0_on_and_within_its_bounds() {
    for (release, value, used) in [
        (Release::V7_0_3, 1024, 1468),
        (Release::V8_0, 1024, 1024),
        (Release::V9_0, 511, 1468),
        (Release::V9_0, 65465, 1468),
    ] {
        let text = format!("{TWO}tftpblksize={value}\n");
        let (_, asked) = Server::image("esxi", "boot.cfg", &text).boot(by_tftp(release));
        assert_eq!(asked.last(), Some(&format!("READ esxi/s.v00 {used}")), "{release:?}");
    }
}

#[test]
fn the_first_size_that_is_not_told_ends_the_sizes_and_not_the_boot() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let server = Server::image(HTTP, OWN, &config);
    let (outcome, asked) = server.boot_with(by_http(Release::V9_0), |server, ask| match ask {
        Ask::Http { method: Method::Head, .. } => http(405, b"", 0),
        ask => server.answer(ask),
    });
    assert!(matches!(outcome, Outcome::Booted(_)));
    assert_eq!(asked.iter().filter(|ask| ask.starts_with("HEAD")).count(), 1);
}

#[test]
fn content_length_is_needed_and_7_0_3_reads_one_spelling() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let server = Server::image(HTTP, OWN, &config);
    let renamed = |name: &'static str| {
        move |server: &Server, ask: &Ask| match server.answer(ask) {
            Answer::Http { status, body, headers } => {
                let headers = headers.into_iter().map(|(_, value)| (name.to_owned(), value)).collect();
                Answer::Http { status, headers, body }
            }
            answer => answer,
        }
    };
    let (outcome, _) = server.boot_with(by_http(Release::V8_0), renamed("content-length"));
    assert!(matches!(outcome, Outcome::Booted(_)));
    for (release, name) in [(Release::V7_0_3, "content-length"), (Release::V9_0, "X-Length")] {
        let (outcome, asked) = server.boot_with(by_http(release), renamed(name));
        let (failure, then) = failed(outcome);
        let why = Why::NoContentLength;
        assert_eq!(failure, Failure::ConfigMissing { name: format!("{HTTP}/boot.cfg"), why });
        assert_eq!((asked.len(), then), (6, Then::Hangs), "three tries for each of two names");
    }
}

#[test]
fn chunks_are_not_understood() {
    let (outcome, _) = Server::default().boot_with(by_http(Release::V9_0), |_, _| Answer::Http {
        status: 200,
        headers: vec![("Transfer-Encoding".to_owned(), "chunked".to_owned())],
        body: TWO.into(),
    });
    assert!(matches!(failed(outcome).0, Failure::ConfigMissing { why: Why::NoContentLength, .. }));
}

#[test]
fn a_stalled_answer_is_asked_for_twice_more() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let server = Server::image(HTTP, OWN, &config);
    for (stalls, boots) in [(2, true), (3, false)] {
        for short in [false, true] {
            let mut left = stalls;
            let (outcome, _) = server.boot_with(by_http(Release::V8_0_2), |server, ask| {
                if left == 0 || !brief(ask).starts_with("GET /esxi/k.b00") {
                    return server.answer(ask);
                }
                left -= 1;
                if short { http(200, b"k", 2) } else { Answer::Nothing }
            });
            assert_eq!(matches!(outcome, Outcome::Booted(_)), boots, "{stalls} {short}");
        }
    }
}

#[test]
fn any_status_but_200_is_a_failure_at_once() {
    for status in [201, 204, 206, 304, 401, 403, 404, 500, 503] {
        let (outcome, asked) = Server::default()
            .boot_with(by_http(Release::V9_0), |_, _| http(status, TWO.as_bytes(), TWO.len()));
        let (failure, _) = failed(outcome);
        let why = Why::Status(status);
        assert_eq!(failure, Failure::ConfigMissing { name: format!("{HTTP}/boot.cfg"), why });
        assert_eq!(asked.len(), 2);
    }
}

#[test]
fn redirects_are_followed_by_9_0_alone() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let server = Server::image(HTTP, OWN, &config).with("http://10.77.0.1:8080/blobs/k", b"kk");
    for status in [301, 302, 303, 307, 308] {
        for (release, known) in [(Release::V8_0_2, false), (Release::V9_0, status != 303)] {
            let (outcome, asked) = server.boot_with(by_http(release), |server, ask| {
                if brief(ask).ends_with("/k.b00") {
                    redirect(status, "../blobs/k")
                } else {
                    server.answer(ask)
                }
            });
            assert_eq!(matches!(outcome, Outcome::Booted(_)), known, "{release:?} {status}");
            assert_eq!(asked.contains(&"GET /blobs/k".to_owned()), known);
        }
    }
}

#[test]
fn twenty_redirects_are_followed_and_no_more() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let server = Server::image(HTTP, OWN, &config);
    for (most, boots) in [(20, true), (21, false)] {
        let mut hops = 0;
        let (outcome, _) = server.boot_with(by_http(Release::V9_0), |server, ask| {
            if matches!(ask, Ask::Http { method: Method::Get, .. }) && brief(ask).contains("k.b00") {
                hops += 1;
                return if hops > most {
                    http(200, b"kk", 2)
                } else {
                    redirect(302, &format!("k.b00?{hops}"))
                };
            }
            server.answer(ask)
        });
        match (outcome, boots) {
            (Outcome::Booted(_), true) => {}
            (Outcome::Failed { failure: Failure::File { why: Why::Redirects, .. }, .. }, false) => {}
            (outcome, _) => panic!("{outcome:?}"),
        }
    }
}

#[test]
fn a_failure_hangs_unless_errtimeout_is_known_and_set() {
    for (release, line, then) in [
        (Release::V8_0_2, "errtimeout=30", after(30)),
        (Release::V9_0, "errtimeout=0", after(0)),
        (Release::V9_0, "errtimeout=-1", Then::Hangs),
        (Release::V9_0, "", Then::Hangs),
        (Release::V8_0, "errtimeout=30", Then::Hangs),
        (Release::V7_0_3, "errtimeout=30", Then::Hangs),
    ] {
        let text = format!("kernel=missing\n{line}\n");
        let (outcome, _) = Server::image("esxi", "boot.cfg", &text).boot(by_tftp(release));
        let name = "esxi/missing".to_owned();
        assert_eq!(
            failed(outcome),
            (Failure::File { name, why: Why::TftpError(1) }, then),
            "{release:?} {line}"
        );
    }
}

#[test]
fn an_errtimeout_of_minus_one_leaves_the_option_in_force() {
    for (line, then) in
        [("errtimeout=-1", after(3)), ("errtimeout=7", after(7)), ("errtimeout=-2", Then::Hangs)]
    {
        let server = Server::image(HTTP, OWN, &format!("kernel=missing\n{line}\n"));
        let url = format!("{HTTP}/mboot.efi?-E&3");
        let (outcome, _) = server.boot(machine(Release::V9_0, Start::UefiHttp { url }));
        assert_eq!(failed(outcome).1, then, "{line}");
    }
}

#[test]
fn a_boot_cfg_that_is_gone_at_the_second_reading_ends_the_boot() {
    let server = Server::image("esxi", OWN, TWO).with("esxi/boot.cfg", TWO);
    let mut reads = 0;
    let (outcome, asked) = server.boot_with(by_tftp(Release::V9_0), |server, ask| {
        reads += i32::from(matches!(ask, Ask::TftpRead { .. }));
        if reads == 2 { Answer::TftpError(1) } else { server.answer(ask) }
    });
    let name = format!("esxi/{OWN}");
    assert_eq!(failed(outcome).0, Failure::ConfigMissing { name, why: Why::TftpError(1) });
    assert_eq!(asked.len(), 4);
}

#[test]
fn a_boot_cfg_that_skips_sends_the_machine_on() {
    let text = render::esxi::next_entry("to the disk");
    let server = Server::image("esxi", OWN, &text);
    assert_eq!(failed(server.boot(by_tftp(Release::V8_0_2)).0), (Failure::Skipped, after(5)));
    let old = (Failure::Config(ConfigError::NoKernel), Then::Hangs);
    assert_eq!(failed(server.boot(by_tftp(Release::V7_0_3)).0), old);
}

#[test]
fn a_refused_boot_cfg_ends_the_boot() {
    let (outcome, _) = Server::image("esxi", OWN, "timeout=x\n").boot(by_tftp(Release::V9_0));
    assert_eq!(failed(outcome).0, Failure::Config(ConfigError::Syntax));
}

#[test]
fn a_broken_crypto_module_stops_secure_boot_alone() {
    let server = Server::image("esxi", OWN, "prefix=esxi\nkernel=b.b00\ncrypto=c64\n");
    for secure_boot in [false, true] {
        let machine = Machine { secure_boot, ..by_tftp(Release::V8_0_2) };
        let (outcome, asked) = server.boot_with(machine.clone(), |server, ask| match ask {
            Ask::TftpSize { name, .. } if name == "esxi/c64" => Answer::Nothing,
            ask => server.answer(ask),
        });
        let crypto: Vec<&String> = asked.iter().filter(|ask| ask.contains("64")).collect();
        assert!(crypto.iter().any(|ask| ask.starts_with("SIZE esxi/efi/boot/crypto64.efi")), "{crypto:?}");
        match outcome {
            Outcome::Failed { failure: Failure::Crypto, .. } => assert!(secure_boot),
            Outcome::Booted(_) => assert!(!secure_boot),
            outcome => panic!("{outcome:?}"),
        }
        // Not there at all: the loader's own code is used.
        assert!(matches!(server.boot(machine).0, Outcome::Booted(_)));
    }
}

#[test]
fn pxelinux_finds_the_folder_in_the_name_of_the_loader() {
    let start =
        |append: &str| Start::Pxelinux { mboot: "::/esxi/mboot.c32".to_owned(), append: append.to_owned() };
    let config = format!("prefix=/esxi\n{TWO}");
    let server = Server::image("/esxi", OWN, &config);
    for append in ["-c /esxi/01-52-54-00-12-34-56/boot.cfg BOOTIF=01-52-54-00-12-34-56", ""] {
        let (outcome, asked) = server.boot(machine(Release::V8_0_2, start(append)));
        let booted = booted(outcome);
        assert_eq!(booted.cmdline, "runweasel BOOTIF=01-52-54-00-12-34-56");
        assert_eq!(asked[0], format!("READ /esxi/{OWN} 1408"));
        assert!(!asked.iter().any(|ask| ask.contains("crypto")));
    }
    let empty = server.with("/esxi/s.v00", b"");
    let why = failed(empty.boot(machine(Release::V9_0, start(""))).0).0;
    assert_eq!(why, Failure::File { name: "/esxi/s.v00".to_owned(), why: Why::Empty });
}

#[test]
fn ipxe_fetches_everything_and_tells_no_size() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let server = Server::image(HTTP, OWN, &config);
    let (outcome, asked) = server.boot(by_ipxe(&format!("-c {HTTP}/{OWN}")));
    assert_eq!(
        asked,
        [
            "GET /esxi/01-52-54-00-12-34-56/boot.cfg",
            "GET /crypto64.efi",
            "GET /esxi/crypto64.efi",
            "GET /esxi/efi/boot/crypto64.efi",
            "GET /esxi/b.b00",
            "GET /esxi/k.b00",
            "GET /esxi/s.v00",
        ]
    );
    assert_eq!(booted(outcome).cmdline, "runweasel BOOTIF=01-52-54-00-12-34-56");
}

#[test]
fn ipxe_waits_when_it_is_told_to_and_follows_redirects() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let server = Server::image(HTTP, OWN, &config).with("http://10.77.0.1:8080/k", b"kk");
    let mut busy = 2;
    let (outcome, asked) = server.boot_with(by_ipxe(&format!("-c {HTTP}/{OWN}")), |server, ask| {
        if busy > 0 && matches!(ask, Ask::Http { .. }) {
            busy -= 1;
            let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
            return Answer::Http { status: 503, headers, body: Vec::new() };
        }
        if brief(ask).ends_with("/k.b00") { redirect(303, "/k") } else { server.answer(ask) }
    });
    assert!(matches!(outcome, Outcome::Booted(_)));
    assert_eq!(asked.iter().filter(|ask| *ask == "WAIT 7").count(), 2);
}

#[test]
fn ipxe_by_tftp_reads_without_asking_the_size() {
    let start =
        Start::Ipxe { base: "tftp://10.77.0.1/boot.ipxe".to_owned(), words: format!("-c /esxi/{OWN}") };
    let config = format!("prefix=/esxi\n{TWO}");
    let (outcome, asked) = Server::image("/esxi", OWN, &config).boot(machine(Release::V9_0, start));
    assert_eq!(booted(outcome).modules.len(), 3);
    assert_eq!(asked[0], format!("READ /esxi/{OWN} 1432"));
}

#[test]
fn a_relative_c_is_looked_for_beside_the_loader_then_at_the_root() {
    let start =
        |append: &str| Start::Pxelinux { mboot: "esxi/mboot.c32".to_owned(), append: append.to_owned() };
    let server = Server::image("", "x/own.cfg", TWO).with("/x/b.b00", kernel(b"")).with("/x/k.b00", b"k");
    let (outcome, asked) = server.boot(machine(Release::V9_0, start("-c x/own.cfg")));
    assert_eq!(asked[..2], ["READ esxi/x/own.cfg 1408", "READ /x/own.cfg 1408"]);
    assert!(matches!(failed(outcome).0, Failure::File { name, .. } if name == "/x/s.v00"));
}

#[test]
fn words_left_over_are_the_kernels_and_come_before_bootif() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let server = Server::image(HTTP, OWN, &config);
    let (outcome, _) = server.boot(by_ipxe(&format!("-V -c {HTTP}/{OWN} a=1 -c")));
    assert_eq!(booted(outcome).cmdline, "runweasel a=1 -c BOOTIF=01-52-54-00-12-34-56");
    let (outcome, _) = server.boot(by_ipxe("-Z"));
    assert_eq!(failed(outcome), (Failure::Options, Then::Hangs));
}

#[test]
fn nobootif_and_a_bootif_that_is_there_keep_the_loader_from_adding_its_own() {
    for (line, cmdline) in [
        ("kernelopt=a\nnobootif=1", "a"),
        ("kernelopt=BOOTIF=01-x", "BOOTIF=01-x"),
        ("kernelopt=a BOOTIF=01-x b", "a BOOTIF=01-x b"),
        ("kernelopt=xBOOTIF=1", "xBOOTIF=1 BOOTIF=01-52-54-00-12-34-56"),
        ("nobootif=0", "BOOTIF=01-52-54-00-12-34-56"),
    ] {
        let text = format!("kernel=b.b00\n{line}\n");
        let (outcome, _) = Server::image("esxi", "boot.cfg", &text).boot(by_tftp(Release::V9_0));
        assert_eq!(booted(outcome).cmdline, cmdline, "{line}");
    }
}

#[test]
fn options_stand_in_the_url_from_8_0_2_on_percent_encoded() {
    let config = "http://10.77.0.1:8080/c/own.cfg";
    let encoded = config.replace(':', "%3A").replace('/', "%2F");
    let url = format!("{HTTP}/mboot.efi?-c&{encoded}&a=1");
    let server = Server::image("http://10.77.0.1:8080/c", "own.cfg", TWO);
    let start = || Start::UefiHttp { url: url.clone() };
    let (outcome, asked) = server.boot(machine(Release::V8_0_2, start()));
    assert_eq!((asked[0].as_str(), asked[1].as_str()), ("GET /c/own.cfg", "HEAD /c/b.b00"));
    assert_eq!(booted(outcome).cmdline, "runweasel a=1 BOOTIF=01-52-54-00-12-34-56");
    let (_, asked) = server.boot(machine(Release::V8_0, start()));
    assert_eq!(asked[0], format!("GET /esxi/{OWN}"));
}

#[test]
fn more_modules_and_a_query_come_by_options_of_9_0() {
    let config = format!("prefix={HTTP}\n{TWO}");
    let url = format!("{HTTP}/mboot.efi?-A&more.v00&-q&mac=1&-q&b=2&-E&3");
    let server = Server::image(HTTP, OWN, &config);
    let (outcome, asked) =
        server.boot_with(machine(Release::V9_0, Start::UefiHttp { url }), |server, ask| match ask {
            Ask::Http { method, url, headers } => {
                let url = url.replace("?mac=1&b=2", "");
                server.answer(&Ask::Http { method: *method, url, headers: headers.clone() })
            }
            ask => server.answer(ask),
        });
    // `=` and `&` of a query stand unencoded here only because the options are cut at `&` first.
    assert_eq!(asked[0], format!("GET /esxi/{OWN}?mac=1&b=2"));
    assert!(asked.contains(&"HEAD /esxi/k.b00".to_owned()), "{asked:?}");
    assert_eq!(
        failed(outcome),
        (Failure::File { name: format!("{HTTP}/more.v00"), why: Why::Status(404) }, after(3))
    );
}

#[test]
fn acpi_tables_are_loaded_before_the_modules() {
    let text = format!("{TWO}acpitables=ssdt.aml\n");
    let (outcome, asked) = Server::image("esxi", "boot.cfg", &text).boot(by_tftp(Release::V8_0));
    let name = "esxi/ssdt.aml".to_owned();
    assert_eq!(failed(outcome).0, Failure::File { name, why: Why::TftpError(1) });
    assert!(!asked.iter().any(|ask| ask.starts_with("READ esxi/b.b00")));
}

#[test]
fn module_zero_must_be_a_kernel() {
    let server = Server::image("esxi", "boot.cfg", TWO);
    let not = server.clone().with("esxi/b.b00", b"not a kernel");
    assert_eq!(failed(not.boot(by_tftp(Release::V9_0)).0).0, Failure::NotAKernel);
    let gzip = server.with("esxi/b.b00", [0x1f, 0x8b, 8]);
    assert!(matches!(gzip.boot(by_tftp(Release::V9_0)).0, Outcome::Booted(_)));
}

#[test]
fn paths_with_their_options_have_the_loaders_limits() {
    let fits = |kernelopt: usize, option: usize| {
        let text = format!(
            "kernel=b.b00\nnobootif=1\nkernelopt={}\nmodules=k.b00 {}\n",
            "x".repeat(kernelopt),
            "y".repeat(option)
        );
        Server::image("esxi", "boot.cfg", &text).boot(by_tftp(Release::V9_0)).0
    };
    let path = "esxi/b.b00 ".len();
    assert!(matches!(fits(4095 - path, 255 - path), Outcome::Booted(_)));
    assert_eq!(failed(fits(4096 - path, 1)).0, Failure::CommandLineTooLong);
    assert_eq!(failed(fits(1, 256 - path)).0, Failure::ModuleTooLong);
}

#[test]
fn the_installer_fetches_its_script() {
    let script = "http://10.77.0.1:8080/b/1/ks.cfg";
    let text = format!("prefix=/esxi\nkernel=b.b00\nkernelopt=runweasel ks={script}\n");
    let server = Server::image("esxi", OWN, &text).with("/esxi/b.b00", kernel(b""));
    let (outcome, asked) = server.boot(by_tftp(Release::V9_0));
    assert_eq!(failed(outcome), (Failure::Kickstart(Why::Status(404)), Then::Hangs));
    assert_eq!(asked.last().map(String::as_str), Some("GET /b/1/ks.cfg"));
    let (outcome, _) = server.with(script, b"accepteula\n").boot(by_tftp(Release::V9_0));
    assert_eq!(booted(outcome).kickstart.as_deref(), Some(&b"accepteula\n"[..]));
    let stateless = Server::image("esxi", "boot.cfg", &format!("kernel=b.b00\nkernelopt=ks={script}\n"));
    assert_eq!(booted(stateless.boot(by_tftp(Release::V9_0)).0).kickstart, None);
}

#[test]
fn asked_again_it_says_the_same_and_records_it_once() {
    let mut mboot = Mboot::new(by_http(Release::V9_0));
    assert_eq!(mboot.poll(), mboot.poll());
    assert_eq!(mboot.requests().len(), 1);
    mboot.answer(Answer::Nothing);
    mboot.poll();
    assert_eq!(mboot.requests().len(), 2);
}

#[test]
fn names_are_cleaned_but_not_folded() {
    for (folder, name, made) in [
        ("/a", "B.B00", "/a/B.B00"),
        ("/a/", "\\x\\\\y", "/x/y"),
        ("", "x", "x"),
        ("http://h:80//a/", "b//c", "http://h:80/a/b/c"),
        ("/a", "http://h/x y", "http://h/xy"),
        ("/a", " //x", "/x"),
    ] {
        assert_eq!(path::make(Some(folder), name).as_deref(), Some(made), "{folder} {name}");
    }
    assert_eq!(path::make(None, "x"), None);
}

#[test]
fn the_host_is_cut_at_the_last_colon_wherever_it_stands() {
    for (url, host) in [
        ("http://10.0.0.1/a", "10.0.0.1"),
        ("http://10.0.0.1:8080/a", "10.0.0.1"),
        ("http://[fe80::1]:80/a", "[fe80::1]"),
        ("http://h", "h"),
        // QUIRK of the loader: a colon in the path.
        ("http://h/01:02", "h/01"),
    ] {
        assert_eq!(path::host(url).as_deref(), Some(host), "{url}");
    }
}

#[test]
fn references_are_resolved_as_rfc_3986_5_4_says() {
    let base = "http://a/b/c/d;p?q";
    for (reference, target) in [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../../g", "http://a/g"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("http://x/y", "http://x/y"),
    ] {
        assert_eq!(path::resolve(base, reference), target, "{reference}");
    }
    assert_eq!(path::resolve("http://ralph", "foo"), "http://ralph/foo");
}

fn starts() -> impl Strategy<Value = (Start, &'static str)> {
    prop_oneof![
        Just((Start::UefiTftp { boot_file: "esxi/mboot.efi".to_owned() }, "/esxi")),
        Just((Start::UefiHttp { url: format!("{HTTP}/mboot.efi") }, HTTP)),
        Just((
            Start::Ipxe {
                base: "http://10.77.0.1:8080/boot.ipxe".to_owned(),
                words: format!("-c {HTTP}/{OWN}"),
            },
            HTTP
        )),
        Just((
            Start::Pxelinux { mboot: "/esxi/mboot.c32".to_owned(), append: format!("-c /esxi/{OWN}") },
            "/esxi"
        )),
    ]
}

proptest! {
    /// What is made for a machine boots it, with the files of the medium under the image and the operator's words.
    #[test]
    fn a_generated_boot_cfg_boots(
        (start, prefix) in starts(),
        release in prop_oneof![
            Just(Release::V7_0_3), Just(Release::V8_0), Just(Release::V8_0_2), Just(Release::V9_0)
        ],
        names in proptest::collection::vec("[/\\\\]?[a-zA-Z0-9_.]{1,8}", 1..6),
        // Another `ks=` would be where the installer looks.
        words in proptest::collection::vec("[a-z]{1,6}=[a-z0-9]{0,6}".prop_filter("ks=", |word| !word.starts_with("ks=")), 0..4),
        installs in any::<bool>(),
    ) {
        let base = format!(
            "bootstate=0\r\nKERNEL={}\r\nKernelOpt=runweasel\tcdromBoot\r\nmodules={}\r\nbuild=8.0.3-0.0.24022510\r\n",
            names[0],
            names.join("---"),
        );
        let base = BootCfg::parse(base.as_bytes()).unwrap();
        let script = "http://10.77.0.1:8080/b/1/ks.cfg";
        let own = ForMachine {
            prefix,
            mode: if installs { EsxiMode::Install } else { EsxiMode::Stateless },
            kickstart: Some(script),
            kernel_args_append: &words,
            ..ForMachine::default()
        };
        let text = generate(&base, &own).unwrap();
        let mut server = Server::default().with(script, b"ks");
        for folder in ["esxi", "/esxi", HTTP] {
            server = server.with(&format!("{folder}/{OWN}"), &text);
        }
        let bare = |name: &String| name.trim_start_matches(['/', '\\']).to_owned();
        for name in &names {
            server = server.with(&format!("{prefix}/{}", bare(name)), kernel(name.as_bytes()));
        }
        let booted = booted(server.boot(machine(release, start)).0);
        prop_assert_eq!(&booted.kernel, &format!("{prefix}/{}", bare(&names[0])));
        let loaded: Vec<&str> = booted.modules.iter().skip(1).map(|module| module.name.as_str()).collect();
        let expected: Vec<String> = names.iter().map(|name| format!("{prefix}/{}", bare(name))).collect();
        prop_assert_eq!(loaded, expected.iter().map(String::as_str).collect::<Vec<_>>());
        let mut line = if installs { vec!["runweasel".to_owned(), format!("ks={script}")] } else { vec![] };
        line.extend(words);
        line.push("BOOTIF=01-52-54-00-12-34-56".to_owned());
        prop_assert_eq!(booted.cmdline, line.join(" "));
        prop_assert_eq!(booted.kickstart.is_some(), installs);
    }

    /// Whatever a server answers, the loader comes to an end.
    #[test]
    fn any_answers_end(
        (start, _) in starts(),
        answers in proptest::collection::vec((0u8..8, any::<u16>(), any::<bool>()), 1..40),
    ) {
        let mut at = 0;
        let (_, asked) = Mboot::new(machine(Release::V9_0, start)).run(|_| {
            let (kind, number, flag) = answers[at % answers.len()];
            at += 1;
            // In the end nothing answers any more.
            match if at > 400 { 7 } else { kind } {
                0 => http(200, TWO.as_bytes(), TWO.len()),
                1 => http(number, b"", 0),
                2 => redirect(302, "/other"),
                3 => Answer::Size(flag.then_some(number.into())),
                4 => Answer::File(if flag { TWO.into() } else { kernel(b"") }),
                5 => Answer::TftpError(number),
                6 => http(200, &kernel(b""), 8),
                _ => Answer::Nothing,
            }
        });
        prop_assert!(asked.len() < 2000);
    }
}
