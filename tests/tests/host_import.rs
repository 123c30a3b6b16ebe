//! Hosts out of a real directory: slapd on loopback, with the attributes that Active Directory keeps for WDS.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use directory::{Answer, Bind, DirectoryError, Limits, Query, Roots, Secret, Security};
use harness::Running;
use harness::packages::{self, DIRECTORY};
use inventory::plan::{Existing, Rest, Rules};
use inventory::{Code, Found, Options, ldif, plan_import, wds};
use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const SUFFIX: &str = "dc=corp,dc=example";
const READER: &str = "cn=reader,dc=corp,dc=example";
const SMALL: &str = "cn=small,dc=corp,dc=example";
const PASSWORD: &str = "correct horse";
/// More than the thousand that servers give at most in one answer.
const COMPUTERS: u32 = 1500;

/// Names, OIDs and syntaxes of Active Directory's schema, as far as they are read.
const SCHEMA: &str = "\
attributetype ( 1.2.840.113556.1.4.358 NAME 'netbootInitialization'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.359 NAME 'netbootGUID'
  EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.361 NAME 'netbootMachineFilePath'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.1241 NAME 'netbootMirrorDataFile'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.619 NAME 'dNSHostName'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.3.30 NAME 'computer' SUP top STRUCTURAL MUST cn
  MAY ( netbootInitialization $ netbootGUID $ netbootMachineFilePath $ netbootMirrorDataFile $
    sAMAccountName $ dNSHostName $ userAccountControl ) )
";

struct Directory {
    _folder: tempfile::TempDir,
    _server: Running,
    plain: u16,
    secure: u16,
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/fetch/testdata").join(name)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = (word >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= group.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    text
}

/// What `netbootGUID` of a computer holds: by turns a GUID as the wire has it, one as its text reads, and a MAC address.
fn stored(at: u32) -> [u8; 16] {
    let [_, _, high, low] = at.to_be_bytes();
    let mac = [0x52, 0x54, 0, 0, high, low];
    match at % 3 {
        0 => types::MachineGuid::parse_wire_text(&text_of(at)).unwrap().swapped().0,
        1 => types::MachineGuid::parse_wire_text(&text_of(at)).unwrap().0,
        _ => {
            let mut bytes = [0; 16];
            bytes[10..].copy_from_slice(&mac);
            bytes
        }
    }
}

/// The text a machine shows as its GUID: a Dell's.
fn text_of(at: u32) -> String {
    format!("4c4c4544-0033-1{at:03x}-8056-b4c04f4e3532")
}

fn content() -> String {
    let mut text = format!(
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: corp\no: corp\n\n\
         dn: ou=Workstations,{SUFFIX}\nobjectClass: organizationalUnit\nou: Workstations\n\n"
    );
    for dn in [READER, SMALL] {
        let name = dn.split([',', '=']).nth(1).unwrap();
        let _ = write!(
            text,
            "dn: {dn}\nobjectClass: person\ncn: {name}\nsn: {name}\nuserPassword: {PASSWORD}\n\n"
        );
    }
    for at in 0..COMPUTERS {
        let _ = write!(
            text,
            "dn: cn=PC-{at:04},ou=Workstations,{SUFFIX}\nobjectClass: computer\ncn: PC-{at:04}\n\
             sAMAccountName: PC-{at:04}$\nnetbootGUID:: {}\nnetbootMachineFilePath: WDS1.corp.example\\boot\\x64\\wdsnbp.com\n\n",
            base64(&stored(at))
        );
    }
    // No machine can be known by this one; the filter leaves it out.
    let _ = write!(text, "dn: cn=PC-none,ou=Workstations,{SUFFIX}\nobjectClass: computer\ncn: PC-none\n\n");
    text
}

fn directory() -> Option<Directory> {
    if !packages::here(DIRECTORY) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let settings = format!(
        "include /etc/ldap/schema/core.schema\ninclude {schema}\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
         pidfile {pid}\nTLSCACertificateFile {ca}\nTLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\n\
         sizelimit 500\ndatabase mdb\nmaxsize 268435456\nsuffix \"{SUFFIX}\"\nrootdn \"cn=root,{SUFFIX}\"\ndirectory {db}\n\
         limits dn.exact=\"{SMALL}\" size.soft=10 size.hard=10 size.prtotal=10\n\
         limits dn.exact=\"{READER}\" size=500 size.prtotal=unlimited\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"{READER}\" read by dn.exact=\"{SMALL}\" read by * none\n",
        schema = path("netboot.schema").display(),
        pid = path("slapd.pid").display(),
        ca = testdata("test-ca.pem").display(),
        certificate = testdata("test-server.pem").display(),
        key = testdata("test-server.key.pem").display(),
        db = path("db").display(),
    );
    std::fs::create_dir(path("db")).unwrap();
    std::fs::write(path("netboot.schema"), SCHEMA).unwrap();
    std::fs::write(path("slapd.conf"), settings).unwrap();
    std::fs::write(path("content.ldif"), content()).unwrap();
    let load = Command::new("/usr/sbin/slapadd")
        .args(["-q", "-f"])
        .arg(path("slapd.conf"))
        .arg("-l")
        .arg(path("content.ldif"))
        .output()
        .unwrap();
    assert!(load.status.success(), "slapadd: {}", String::from_utf8_lossy(&load.stderr));
    // Between choosing a port and using it somebody else may have taken it: then slapd ends before it starts.
    for _ in 0..5 {
        let (plain, secure) = (free_port(), free_port());
        let mut command = Command::new("/usr/sbin/slapd");
        command.args(["-d", "256", "-f"]).arg(path("slapd.conf"));
        command.args(["-h", &format!("ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{secure}/")]);
        let server = Running::start("slapd", command, None).unwrap();
        if server.wait_for("slapd starting", DEADLINE).is_ok() {
            answers(plain);
            answers(secure);
            return Some(Directory { _folder: folder, _server: server, plain, secure });
        }
    }
    panic!("slapd does not start")
}

/// Waits until somebody listens there: slapd says that it starts before it does.
fn answers(port: u16) {
    let until = Instant::now() + DEADLINE;
    while let Err(error) = TcpStream::connect(("127.0.0.1", port)) {
        assert!(Instant::now() < until, "nobody listens on port {port}: {error}");
        // There is no event to wait on.
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Directory {
    fn query(&self, security: Security, dn: &str, password: &str) -> Query {
        let location = match security {
            Security::Tls => format!("ldaps://localhost:{}", self.secure),
            Security::StartTls | Security::Plain => format!("ldap://127.0.0.1:{}", self.plain),
        };
        Query {
            location: location.parse().unwrap(),
            security,
            roots: Roots::File(testdata("test-ca.pem")),
            bind: Some(Bind { dn: dn.to_owned(), password: Secret::new(password).unwrap() }),
            base: Some(SUFFIX.to_owned()),
            filter: "(netbootGUID=*)".parse().unwrap(),
            limits: Limits { page_size: 400, ..Limits::default() },
        }
    }
}

fn ask(query: &Query) -> Result<Answer, DirectoryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(directory::read(query))
}

/// Name and identity of every host, sorted.
fn known(found: &Found) -> Vec<String> {
    let mut known: Vec<String> =
        found.hosts.iter().map(|host| format!("{} {:?}", host.name, host.identity)).collect();
    known.sort();
    known
}

#[test]
fn computers_of_a_directory_become_hosts() {
    let Some(directory) = directory() else { return };
    let query = directory.query(Security::Tls, READER, PASSWORD);
    let answer = ask(&query).unwrap();
    assert_eq!(answer.entries.len(), COMPUTERS as usize, "all pages, and none of what the filter leaves out");

    let found = wds::propose(
        &query.location.to_string(),
        &answer.entries,
        &Options { groups: true, ..Options::default() },
    );
    assert_eq!(found.hosts.len(), COMPUTERS as usize);
    for host in &found.hosts {
        let at: u32 = host.name.as_str().strip_prefix("pc-").unwrap().parse().unwrap();
        assert_eq!(host.group.as_ref().unwrap().as_str(), "workstations");
        assert_eq!(host.served.next_server.as_deref(), Some("WDS1.corp.example"));
        match (at % 3, host.identity.uuid) {
            (0, Some(guid)) => assert_eq!(guid.to_string(), text_of(at)),
            (1, Some(guid)) => assert_eq!(guid.wire_text(), text_of(at)),
            (_, None) => assert_eq!(
                host.identity.mac.0[0].to_string(),
                format!("52:54:00:00:{:02x}:{:02x}", at >> 8, at & 255)
            ),
            other => panic!("{host:?}: {other:?}"),
        }
    }
    // One fault for the five hundred in the other order, and nothing else.
    let [order] = &found.faults[..] else { panic!("{:?}", found.faults) };
    assert_eq!((order.code, order.again), (Code::ByteOrder, COMPUTERS / 3 - 1));
    let plan = plan_import(&Existing::default(), found.clone(), &Rules::default());
    assert_eq!(plan.writes(Rest::Stop).unwrap().len(), COMPUTERS as usize);

    // The same by StartTLS, with the base that the directory itself names.
    let other = Query { base: None, ..directory.query(Security::StartTls, READER, PASSWORD) };
    let answer = ask(&other).unwrap();
    assert_eq!((answer.entries.len(), answer.base.as_str()), (COMPUTERS as usize, SUFFIX));

    // The same out of an export.
    let export = Command::new("/usr/bin/ldapsearch")
        .args(["-x", "-H", &format!("ldap://127.0.0.1:{}", directory.plain), "-D", READER, "-w", PASSWORD])
        .args(["-b", SUFFIX, "-E", "pr=500/noprompt", "-LLL", "(netbootGUID=*)"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(export.status.success());
    let exported = ldif::read("export.ldif", &export.stdout, &Options::default());
    assert_eq!(known(&exported), known(&found));
}

#[test]
fn a_directory_that_refuses_is_understood() {
    let Some(directory) = directory() else { return };
    let plain = |dn: &str, password: &str| directory.query(Security::Plain, dn, password);

    let error = ask(&plain(READER, "wrong")).unwrap_err();
    assert!(matches!(error, DirectoryError::Credentials { .. }), "{error}");
    assert!(error.to_string().contains(READER) && !error.to_string().contains("wrong"), "{error}");

    let error = ask(&plain(SMALL, PASSWORD)).unwrap_err();
    assert!(matches!(error, DirectoryError::ServerLimit { .. }), "{error}");
    assert!(error.to_string().contains("limit exceeded"), "{error}");

    let mut few = plain(READER, PASSWORD);
    few.limits.entries_max = 1000;
    let error = ask(&few).unwrap_err();
    assert!(matches!(error, DirectoryError::TooMuch { what: "entries", max: 1000, .. }), "{error}");

    let mut elsewhere = plain(READER, PASSWORD);
    elsewhere.base = Some(format!("ou=Nowhere,{SUFFIX}"));
    let error = ask(&elsewhere).unwrap_err();
    assert!(matches!(&error, DirectoryError::NoBase { matched, .. } if matched == SUFFIX), "{error}");

    let nobody = Query { bind: None, ..plain(READER, PASSWORD) };
    assert!(matches!(
        ask(&nobody).unwrap_err(),
        DirectoryError::NoBase { .. } | DirectoryError::Search { .. }
    ));

    let filter = "(&(cn=PC-00*)(|(netbootGUID=*)(cn=x))(!(cn=PC-0000)))".parse().unwrap();
    let some = Query { filter, ..plain(READER, PASSWORD) };
    assert_eq!(ask(&some).unwrap().entries.len(), 99);

    // Somebody else's CA, and a name that the certificate does not have.
    let mut distrust = directory.query(Security::Tls, READER, PASSWORD);
    distrust.roots = Roots::File(testdata("test-server.pem"));
    let error = ask(&distrust).unwrap_err();
    assert!(matches!(error, DirectoryError::Tls { .. }), "{error}");
    let mut misnamed = directory.query(Security::Tls, READER, PASSWORD);
    misnamed.location = format!("ldaps://127.0.0.2:{}", directory.secure).parse().unwrap();
    assert!(matches!(
        ask(&misnamed).unwrap_err(),
        DirectoryError::Tls { .. } | DirectoryError::Connect { .. }
    ));

    // Plain words to the port that wants TLS, and the other way round.
    let mut crossed = directory.query(Security::Plain, READER, PASSWORD);
    crossed.location = format!("ldap://127.0.0.1:{}", directory.secure).parse().unwrap();
    assert!(ask(&crossed).is_err());
    let mut crossed = directory.query(Security::Tls, READER, PASSWORD);
    crossed.location = format!("ldaps://127.0.0.1:{}", directory.plain).parse().unwrap();
    crossed.limits.connect_wait = Duration::from_secs(5);
    assert!(ask(&crossed).is_err());
}
