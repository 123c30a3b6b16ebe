//! The whole crate over real connections, against a service that does to each request what a test tells it: sessions and entity
//! tags, which the simulator lacks, and everything no good service does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use power::spec::{Login, RedfishSpec, SecretRef, TrustSpec};
use power::{Action, BootTarget, Limits, NextBoot, Order, Outcome, PowerSpec, Unwatched, Watch};
use reveille_power as power;
use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PASSWORD: &str = "correct horse battery staple";
const TOKEN: &str = "d0d0d0d0";

#[derive(Clone, Debug, Default)]
struct Asked {
    line: String,
    fields: Vec<(String, String)>,
    body: Value,
}

impl Asked {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

type Answer = dyn Fn(&Asked, &mut TcpStream) -> io::Result<()> + Send + Sync;

struct Service {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    folder: tempfile::TempDir,
}

impl Service {
    fn start(answer: impl Fn(&Asked, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let service = Service { address: listener.local_addr().unwrap(), asked: Arc::default(), folder };
        let (asked, answer): (_, Arc<Answer>) = (service.asked.clone(), Arc::new(answer));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, answer) = (asked.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &asked, &*answer));
            }
        });
        service
    }

    fn spec(&self) -> PowerSpec {
        PowerSpec {
            wol: None,
            redfish: Some(RedfishSpec {
                url: format!("http://{}", self.address),
                user: "reveille".into(),
                password: SecretRef::File(self.folder.path().join("password")),
                login: None,
                system: None,
                trust: TrustSpec::Insecure,
            }),
        }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

fn serve(mut stream: TcpStream, asked: &Mutex<Vec<Asked>>, answer: &Answer) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = Asked::default();
    let mut line = String::new();
    reader.read_line(&mut line)?;
    request.line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if let Some(length) = request.field("content-length") {
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body)?;
        request.body = serde_json::from_slice(&body).unwrap_or_default();
    }
    asked.lock().unwrap().push(request.clone());
    answer(&request, &mut stream)
}

fn reply(to: &mut TcpStream, status: u16, fields: &str, body: &Value) -> io::Result<()> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    write!(to, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{fields}\r\n{body}", body.len())
}

/// What a good service with one machine says; the system's own answer has an entity tag.
fn good(asked: &Asked, to: &mut TcpStream) -> io::Result<()> {
    match asked.line.as_str() {
        "GET /redfish/v1/" => {
            let links = json!({"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}});
            reply(to, 200, "", &json!({"Systems": {"@odata.id": "/redfish/v1/Systems"}, "Links": links}))
        }
        "POST /redfish/v1/SessionService/Sessions" => {
            let fields =
                format!("X-Auth-Token: {TOKEN}\r\nLocation: /redfish/v1/SessionService/Sessions/7\r\n");
            reply(to, 201, &fields, &json!({}))
        }
        "GET /redfish/v1/Systems" => {
            reply(to, 200, "", &json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}))
        }
        "GET /redfish/v1/Systems/1" => {
            let reset = json!({"target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"});
            let system = json!({"Id": "1", "PowerState": "On", "Actions": {"#ComputerSystem.Reset": reset}});
            reply(to, 200, "ETag: W/\"5\"\r\n", &system)
        }
        _ => reply(to, 204, "", &Value::Null),
    }
}

fn limits() -> Limits {
    Limits {
        connect_wait: Duration::from_secs(5),
        silence_wait: Duration::from_secs(5),
        step_wait: Duration::from_secs(10),
        tries_max: 3,
        pause_first: Duration::from_millis(1),
        look_every: Duration::from_millis(5),
        ..Limits::default()
    }
}

async fn perform(service: &Service, order: impl FnOnce(Order<'_>) -> Order<'_>) -> Outcome {
    let spec = service.spec();
    let order = order(Order { limits: limits(), ..Order::state("node", &spec) });
    power::perform(&order, &mut Unwatched).await
}

fn restart(order: Order<'_>) -> Order<'_> {
    Order { action: Some(Action::Cycle { grace: None }), ..order }
}

#[tokio::test]
async fn a_session_is_begun_used_and_given_back() {
    let service = Service::start(good);
    let outcome = perform(&service, restart).await;
    assert!(outcome.result.is_ok() && outcome.notes().is_empty(), "{outcome:?}");
    let asked = service.asked();
    assert_eq!(
        service.lines(),
        [
            "GET /redfish/v1/",
            "POST /redfish/v1/SessionService/Sessions",
            "GET /redfish/v1/Systems",
            "GET /redfish/v1/Systems/1",
            "POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            "GET /redfish/v1/Systems/1",
            "DELETE /redfish/v1/SessionService/Sessions/7",
        ]
    );
    assert_eq!(asked[1].body, json!({"UserName": "reveille", "Password": PASSWORD}));
    assert_eq!(asked[4].body, json!({"ResetType": "ForceRestart"}));
    assert_eq!(asked[4].field("content-type"), Some("application/json"));
    for (place, asked) in asked.iter().enumerate() {
        assert_eq!(asked.field("authorization"), None);
        assert_eq!(asked.field("x-auth-token"), (place > 1).then_some(TOKEN), "{}", asked.line);
        assert_eq!(asked.field("odata-version"), Some("4.0"));
    }
    let told = outcome.to_json();
    assert_eq!((&told["did"], &told["system"]["power"]), (&json!(["ForceRestart"]), &json!("on")));
    assert!(told.get("error").is_none());
    let shown = format!("{outcome:?} {:?} {told}", outcome.event());
    assert!(!shown.contains(PASSWORD) && !shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn with_basic_the_password_goes_with_every_question_but_the_first() {
    let service = Service::start(good);
    let mut spec = service.spec();
    spec.redfish.as_mut().unwrap().login = Some(Login::Basic);
    let order = Order { limits: limits(), ..Order::state("node", &spec) };
    assert!(power::perform(&order, &mut Unwatched).await.result.is_ok());
    let asked = service.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].field("authorization"), None);
    assert!(
        asked[1..]
            .iter()
            .all(|asked| asked.field("authorization").is_some_and(|it| it.starts_with("Basic ")))
    );
}

#[tokio::test]
async fn the_tag_is_given_to_who_demands_it() {
    let service = Service::start(|asked, to| match (asked.line.as_str(), asked.field("if-match")) {
        ("PATCH /redfish/v1/Systems/1", None) => reply(to, 428, "", &Value::Null),
        // Weak tags do not match.
        ("PATCH /redfish/v1/Systems/1", Some("\"5\"")) => reply(to, 200, "", &json!({})),
        ("PATCH /redfish/v1/Systems/1", Some(_)) => reply(to, 412, "", &Value::Null),
        (line, Some(tag)) => panic!("{line} if {tag}"),
        _ => good(asked, to),
    });
    let outcome = perform(&service, |order| {
        restart(Order { next_boot: Some(NextBoot::once(BootTarget::Pxe)), ..order })
    })
    .await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
    let patches: Vec<Asked> =
        service.asked().into_iter().filter(|asked| asked.line.starts_with("PATCH")).collect();
    let tags: Vec<Option<&str>> = patches.iter().map(|asked| asked.field("if-match")).collect();
    assert_eq!(tags, [None, Some("W/\"5\""), Some("\"5\"")]);
    let boot = json!({"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"});
    assert!(patches.iter().all(|asked| asked.body == json!({ "Boot": boot })));
}

#[tokio::test]
async fn nobody_else_is_talked_to() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let evil = format!("http://{}/redfish/v1/x", stranger.local_addr().unwrap());
    for line in ["GET /redfish/v1/Systems", "GET /redfish/v1/Systems/1"] {
        for redirect in [true, false] {
            let evil = evil.clone();
            let service = Service::start(move |asked, to| {
                if asked.line != line {
                    return good(asked, to);
                }
                if redirect {
                    return reply(to, 307, &format!("Location: {evil}\r\n"), &Value::Null);
                }
                let reset = json!({ "target": evil });
                let body = json!({"Members": [{ "@odata.id": evil }], "Id": "1", "PowerState": "On",
                    "Actions": {"#ComputerSystem.Reset": reset}});
                reply(to, 200, "", &body)
            });
            let outcome = perform(&service, restart).await;
            assert_eq!(outcome.result.unwrap_err().reason(), "link_refused");
            // The session was given back to who gave it.
            assert!(service.lines().last().unwrap().starts_with("DELETE"));
        }
    }
    let nobody = stranger.accept().map(|_| ()).unwrap_err();
    assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn an_answer_without_end_is_not_taken() {
    for endless in [true, false] {
        let service = Service::start(move |asked, to| {
            if asked.line != "GET /redfish/v1/Systems" {
                return good(asked, to);
            }
            if !endless {
                return write!(to, "HTTP/1.1 200 x\r\nContent-Length: 99999999999\r\n\r\n");
            }
            write!(to, "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                write!(to, "1000\r\n{}\r\n", "x".repeat(0x1000))?;
            }
        });
        let error = perform(&service, |order| order).await.result.unwrap_err();
        assert!(
            power::error::chain(&error).contains("1048576 bytes allowed"),
            "{}",
            power::error::chain(&error)
        );
        // Once is enough, and the session is given back.
        assert_eq!(service.lines().len(), 4);
    }
}

#[tokio::test]
async fn whoever_is_silent_or_slow_is_left_in_time() {
    for slow in [true, false] {
        let service = Service::start(move |_, to| {
            if slow {
                write!(to, "HTTP/1.1 200 x\r\nContent-Length: 1000000\r\n\r\n")?;
            }
            // A byte now and then is no silence. Ends when the other side is gone, or with the test.
            loop {
                if slow {
                    to.write_all(b" ")?;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let short = Limits {
            silence_wait: Duration::from_millis(if slow { 5000 } else { 200 }),
            step_wait: Duration::from_millis(if slow { 200 } else { 5000 }),
            ..limits()
        };
        let outcome = perform(&service, |order| Order { limits: short, ..order }).await;
        let error = outcome.result.unwrap_err();
        assert_eq!(error.reason(), "bmc_unreachable");
        let text = power::error::chain(&error);
        assert!(text.contains("in 3 tries") && text.contains("within 0.2 s"), "{text}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_again_and_a_restart_is_not() {
    let broken = AtomicBool::new(false);
    let service = Service::start(move |asked, to| {
        // Once, in the middle of the answer.
        if asked.line == "GET /redfish/v1/Systems" && !broken.swap(true, Ordering::Relaxed) {
            return write!(to, "HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\n{{");
        }
        good(asked, to)
    });
    assert!(perform(&service, restart).await.result.is_ok());
    let service = Service::start(|asked, to| match asked.line.as_str() {
        "POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset" => Ok(()),
        _ => good(asked, to),
    });
    let outcome = perform(&service, restart).await;
    assert_eq!(outcome.result.unwrap_err().reason(), "power_uncertain");
    assert_eq!(service.lines().iter().filter(|line| line.ends_with("Reset")).count(), 1);
}

#[tokio::test]
async fn nobody_there_is_said_with_what_to_do() {
    let service = Service::start(good);
    let mut spec = service.spec();
    // Bound and dropped: nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    spec.redfish.as_mut().unwrap().url = format!("http://{gone}/");
    let order = Order { limits: limits(), action: Some(Action::On), ..Order::state("node", &spec) };
    let outcome = power::perform(&order, &mut Unwatched).await;
    let event = outcome.event().unwrap();
    assert_eq!((event.name, event.reason), ("power.failed", Some("bmc_unreachable")));
    assert!(event.field("cause").is_some() && event.field("fix").is_some());
    assert_eq!(outcome.to_json()["error"]["reason"], "bmc_unreachable");
    assert!(service.asked().is_empty());
}

struct Stopping(bool);

impl Watch for Stopping {
    fn advanced(&mut self, _: u64, _: Option<u64>) {}

    fn says(&mut self, text: &str) {
        // When the shutdown leaves.
        self.0 |= text.starts_with("POST");
    }

    fn cancelled(&self) -> bool {
        self.0
    }
}

#[tokio::test]
async fn whoever_cancels_still_gives_the_session_back() {
    let service = Service::start(good);
    let spec = service.spec();
    let action = Some(Action::Off { grace: Some(Duration::from_secs(600)) });
    let order = Order { limits: limits(), action, ..Order::state("node", &spec) };
    let outcome = power::perform(&order, &mut Stopping(false)).await;
    assert_eq!(outcome.result.unwrap_err().reason(), "cancelled");
    assert!(service.lines().last().unwrap().starts_with("DELETE"), "{:?}", service.lines());
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_before_anybody_is_asked() {
    let service = Service::start(good);
    let spec = service.spec();
    let grace = Some(Duration::from_secs(1801));
    let wakes = PowerSpec { wol: Some(power::spec::WolSpec::default()), redfish: None };
    let mut open = spec.clone();
    open.redfish.as_mut().unwrap().trust = TrustSpec::System;
    let mut unread = spec.clone();
    unread.redfish.as_mut().unwrap().password = SecretRef::Env("REVEILLE_NO_SUCH_SECRET".into());
    for (order, reason) in [
        (Order { spec: None, ..Order::state("node", &spec) }, "power_unset"),
        (Order { action: Some(Action::Off { grace }), ..Order::state("node", &spec) }, "grace_too_long"),
        (restart(Order::state("node", &wakes)), "wakes_only"),
        (Order::state("node", &wakes), "wakes_only"),
        (Order { action: Some(Action::On), ..Order::state("node", &wakes) }, "no_mac"),
        (restart(Order::state("node", &open)), "power_malformed"),
        (restart(Order::state("node", &unread)), "secret_unreadable"),
    ] {
        let outcome = power::perform(&order, &mut Unwatched).await;
        let error = outcome.result.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert!(!error.fix().is_empty());
    }
    assert!(service.asked().is_empty());
}
