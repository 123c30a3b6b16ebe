use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use tree::CallbackError;
use types::Facts;

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

/// Token `…7` is that of boot 7, for host `h7`.
#[derive(Default)]
struct Fake(Mutex<Vec<Event>>, AtomicU64);

impl Holders for Fake {
    fn holder(&self, token: &str, _: IpAddr) -> Result<BootHolder, CallbackError> {
        let number: u64 = token.parse().map_err(|_| CallbackError::Unknown)?;
        Ok(BootHolder {
            boot: format!("01JD{number:022}").into(),
            facts: Facts { mac: "02:00:00:00:00:01".parse().ok(), ..Facts::default() },
            host: Some(format!("h{number}").into()),
            image: "debian".parse().unwrap(),
        })
    }
}

impl EventSink for Fake {
    fn record(&self, event: Event) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.lock().unwrap().push(event);
    }
}

struct Bench {
    logs: BootLogs,
    fake: Arc<Fake>,
    folder: tempfile::TempDir,
}

fn bench(change: impl FnOnce(&mut Bounds)) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let mut bounds = Bounds::default();
    change(&mut bounds);
    let fake = Arc::<Fake>::default();
    let logs = BootLogs::open(folder.path().join("logs"), bounds, fake.clone(), fake.clone()).unwrap();
    Bench { logs, fake, folder }
}

impl Bench {
    fn begin(&self, boot: u64, name: &str, bytes: u64) -> Result<Box<dyn LogSink>, LogRefused> {
        self.logs.begin(&Upload { token: &boot.to_string(), from: FROM, name, bytes })
    }

    fn send(&self, boot: u64, name: &str, text: &str) -> Result<(), LogRefused> {
        let mut sink = self.begin(boot, name, text.len() as u64)?;
        sink.write(text.as_bytes()).unwrap();
        sink.finish().map_err(LogRefused::Failed)
    }

    fn names(&self, reference: Option<&str>) -> Vec<String> {
        let found = self.logs.of(reference).into_iter();
        found
            .flat_map(|(_, kept)| {
                kept.logs.into_keys().map(move |log| format!("{}/{log}", kept.about.host.clone().unwrap()))
            })
            .collect()
    }

    fn files(&self) -> usize {
        let boots = fs::read_dir(self.folder.path().join("logs")).unwrap().flatten();
        boots.map(|boot| fs::read_dir(boot.path()).unwrap().count()).sum()
    }
}

#[test]
fn a_log_is_found_by_host_boot_and_mac_and_told_of() {
    let bench = bench(|_| {});
    bench.send(1, "syslog", "one").unwrap();
    bench.send(2, "syslog", "two").unwrap();
    bench.send(2, "other.log", "more").unwrap();
    assert_eq!(bench.names(None), ["h2/other.log", "h2/syslog", "h1/syslog"], "latest boot first");
    assert_eq!(bench.names(Some("h1")), ["h1/syslog"]);
    let (boot, _) = bench.logs.of(Some("h1")).remove(0);
    assert_eq!(bench.names(Some(&boot)), ["h1/syslog"]);
    assert_eq!(bench.names(Some("mac:02-00-00-00-00-01")).len(), 3);
    assert_eq!(bench.names(Some("nobody")), [""; 0]);
    assert_eq!(bench.logs.read(&boot, "syslog").unwrap(), b"one");
    assert!(bench.logs.read(&boot, "../../x").is_err() && bench.logs.read("..", "syslog").is_err());
    assert_eq!(bench.fake.1.load(Ordering::Relaxed), 3);
    let told = bench.fake.0.lock().unwrap();
    assert!(told.iter().all(|event| event.name == EventName::BootLogReceived && event.boot.is_some()));
}

#[test]
fn what_did_not_come_whole_is_not_there() {
    let bench = bench(|_| {});
    let mut half = bench.begin(1, "syslog", 10).unwrap();
    half.write(b"half").unwrap();
    assert!(half.finish().is_err(), "shorter than said");
    let mut more = bench.begin(1, "syslog", 3).unwrap();
    assert!(more.write(b"more").is_err(), "longer than said");
    drop(more);
    drop(bench.begin(1, "syslog", 3).unwrap());
    assert_eq!((bench.files(), bench.names(None).len()), (0, 0));
    assert_eq!(bench.logs.shelf.state().sources.len(), 0);
}

#[test]
fn logs_outlive_a_restart_and_halves_of_them_do_not() {
    let bench = bench(|_| {});
    bench.send(1, "syslog", "kept").unwrap();
    let mut half = bench.begin(1, "half.log", 10).unwrap();
    half.write(b"half").unwrap();
    // As after a kill: the part stays, nobody takes it back.
    std::mem::forget(half);
    assert_eq!(bench.files(), 3);
    let folder = bench.folder.path().join("logs");
    fs::create_dir(folder.join("not-a-boot")).unwrap();
    let again = BootLogs::open(folder, Bounds::default(), bench.fake.clone(), bench.fake.clone()).unwrap();
    let found = again.of(Some("h1"));
    let (boot, kept) = found.first().unwrap();
    assert_eq!((kept.logs.len(), kept.about.image.as_str()), (1, "debian"));
    assert_eq!(again.read(boot, "syslog").unwrap(), b"kept");
    assert_eq!(bench.files(), 2, "the log and whose it is");
}

#[test]
fn the_oldest_boots_go_when_there_is_no_room() {
    let bench = bench(|bounds| bounds.bytes = 100);
    for boot in 1..=5 {
        bench.send(boot, "syslog", &"x".repeat(30)).unwrap();
    }
    assert_eq!(bench.names(None), ["h5/syslog", "h4/syslog", "h3/syslog"]);
    assert_eq!(bench.files(), 6);
    assert!(bench.logs.counts().contains(&("pruned", 2)), "{:?}", bench.logs.counts());
    // One that is sending is never taken away.
    let sending = bench.begin(1, "late.log", 50).unwrap();
    assert!(matches!(bench.begin(6, "syslog", 80), Err(LogRefused::Busy)));
    drop(sending);
    bench.send(6, "syslog", &"x".repeat(80)).unwrap();
    assert_eq!(bench.names(None), ["h6/syslog"]);
}

#[test]
fn the_number_of_boots_is_bounded_too() {
    let bench = bench(|bounds| bounds.boots = 2);
    for boot in 1..=4 {
        bench.send(boot, "syslog", "x").unwrap();
    }
    assert_eq!(bench.names(None), ["h4/syslog", "h3/syslog"]);
}

#[test]
fn one_boot_has_its_own_bounds_and_a_name_is_kept_once() {
    let bench = bench(|bounds| (bounds.boot_bytes, bounds.boot_logs) = (100, 2));
    bench.send(1, "a", &"x".repeat(60)).unwrap();
    assert!(matches!(bench.send(1, "b", &"x".repeat(60)), Err(LogRefused::Full)));
    bench.send(1, "a", &"y".repeat(70)).unwrap();
    bench.send(1, "b", "y").unwrap();
    assert!(matches!(bench.send(1, "c", "y"), Err(LogRefused::Full)));
    let (boot, kept) = bench.logs.of(None).remove(0);
    assert_eq!(kept.bytes(), 71);
    assert_eq!(bench.logs.read(&boot, "a").unwrap(), "y".repeat(70).into_bytes());
}

#[test]
fn few_come_at_once_and_fewer_from_one_address() {
    let bench = bench(|bounds| (bounds.under_way, bounds.source_under_way) = (3, 2));
    let held = [bench.begin(1, "a", 1).unwrap(), bench.begin(2, "a", 1).unwrap()];
    assert!(matches!(bench.begin(3, "a", 1), Err(LogRefused::Busy)));
    let from = |last| IpAddr::from([10, 0, 0, last]);
    let other = |last| bench.logs.begin(&Upload { token: "4", from: from(last), name: "a", bytes: 1 });
    let _third = other(2).unwrap();
    assert!(matches!(other(3), Err(LogRefused::Busy)));
    drop(held);
    assert!(other(3).is_ok());
}

#[test]
fn a_bad_secret_makes_no_folder() {
    let bench = bench(|_| {});
    let refused = bench.logs.begin(&Upload { token: "x", from: FROM, name: "a", bytes: 1 });
    assert!(matches!(refused, Err(LogRefused::Token(CallbackError::Unknown))));
    assert_eq!(fs::read_dir(bench.folder.path().join("logs")).unwrap().count(), 0);
}
