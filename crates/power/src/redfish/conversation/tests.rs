mod hostile;

use super::*;
use crate::redfish::{BootTarget, service_root};
use fetch::FetchError;
use serde_json::json;

const SYSTEM: &str = "/redfish/v1/Systems/1";
const RESET: &str = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset";

/// What a service does with a question; `None` leaves it to the good one.
type Odd = Box<dyn FnMut(&str, usize) -> Option<Result<Answer, Unanswered>>>;

/// A good service with one machine, and what is odd about it.
struct Fake {
    power: &'static str,
    offered: Vec<&'static str>,
    boot: Value,
    settings: Option<&'static str>,
    /// Looks until a reset has its effect.
    lag: usize,
    coming: Option<(usize, &'static str)>,
    /// A shutdown is taken and not heard.
    deaf: bool,
    asked: Vec<String>,
    odd: Odd,
}

fn fake(power: &'static str) -> Fake {
    Fake {
        power,
        offered: vec!["On", "ForceOff", "GracefulShutdown", "ForceRestart"],
        boot: json!({"BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Disabled"}),
        settings: None,
        lag: 2,
        coming: None,
        deaf: false,
        asked: Vec::new(),
        odd: Box::new(|_, _| None),
    }
}

fn answer(status: u16, body: Value) -> Answer {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    Answer { status, body, ..Answer::default() }
}

fn ok(body: Value) -> Option<Result<Answer, Unanswered>> {
    Some(Ok(answer(200, body)))
}

fn status(status: u16) -> Option<Result<Answer, Unanswered>> {
    Some(Ok(answer(status, Value::Null)))
}

fn broken(maybe_heard: bool) -> Option<Result<Answer, Unanswered>> {
    let source = std::io::ErrorKind::ConnectionReset.into();
    let error = FetchError::Broken { authority: "bmc".into(), bytes: 0, source };
    Some(Err(Unanswered { maybe_heard, final_word: false, error }))
}

impl Fake {
    fn system(&mut self) -> Value {
        if let Some((looks, power)) = self.coming {
            if looks == 0 {
                (self.power, self.coming) = (power, None);
            } else {
                self.coming = Some((looks - 1, power));
            }
        }
        let mut system = json!({
            "Id": "1", "UUID": "11223344-5566-7788-99aa-bbccddeeff00", "SerialNumber": "S1",
            "PowerState": self.power, "Boot": self.boot,
            "Actions": {"#ComputerSystem.Reset": {"target": RESET,
                "ResetType@Redfish.AllowableValues": self.offered}},
        });
        if let Some(settings) = self.settings {
            system["@Redfish.Settings"] = json!({"SettingsObject": {"@odata.id": settings}});
        }
        system
    }

    fn handle(&mut self, question: &Question) -> Result<Answer, Unanswered> {
        let path = question.at.to_string().replace("https://bmc.example.net", "");
        let mut line = format!("{} {path}", question.method.as_str());
        match &question.body {
            Body::Empty => {}
            Body::Json(body) => line = format!("{line} {body}"),
            Body::Login => line.push_str(" login"),
        }
        if let Some(tag) = &question.if_match {
            line = format!("{line} if {tag}");
        }
        if !question.authorized {
            line.push_str(" open");
        }
        let before = self.asked.iter().filter(|own| **own == line).count();
        self.asked.push(line.clone());
        if let Some(answer) = (self.odd)(&line, before) {
            return answer;
        }
        Ok(match (question.method, path.as_str()) {
            (Method::Get, "/redfish/v1/") => answer(200, root()),
            (Method::Post, "/redfish/v1/SessionService/Sessions") => Answer {
                location: Some("/redfish/v1/SessionService/Sessions/7".into()),
                has_token: true,
                ..answer(201, json!({}))
            },
            (Method::Delete, "/redfish/v1/SessionService/Sessions/7") => answer(204, Value::Null),
            (Method::Get, "/redfish/v1/Systems") => answer(200, json!({"Members": [{"@odata.id": SYSTEM}]})),
            (Method::Get, SYSTEM) => answer(200, self.system()),
            (Method::Patch, SYSTEM) => {
                let Body::Json(body) = &question.body else { panic!("{question:?}") };
                for (key, value) in body["Boot"].as_object().unwrap() {
                    self.boot[key] = value.clone();
                }
                answer(204, Value::Null)
            }
            (Method::Post, RESET) => {
                let Body::Json(body) = &question.body else { panic!("{question:?}") };
                match body["ResetType"].as_str().unwrap() {
                    "On" => self.coming = Some((self.lag, "On")),
                    "GracefulShutdown" if self.deaf => {}
                    "ForceOff" | "GracefulShutdown" => self.coming = Some((self.lag, "Off")),
                    _ => (self.power, self.coming) = ("Off", Some((self.lag, "On"))),
                }
                answer(204, Value::Null)
            }
            other => panic!("{other:?} was asked"),
        })
    }

    fn sent(&self) -> Vec<&str> {
        let changes = self.asked.iter().filter(|line| !line.starts_with("GET") && !line.contains("Sessions"));
        changes.map(String::as_str).collect()
    }
}

fn root() -> Value {
    json!({
        "Systems": {"@odata.id": "/redfish/v1/Systems"},
        "Links": {"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}},
    })
}

fn look() -> Plan {
    Plan {
        user: "reveille".into(),
        login: Login::Session,
        system: None,
        identity: Identity::default(),
        next_boot: None,
        action: None,
        dry_run: false,
    }
}

fn act(action: Action) -> Plan {
    Plan { action: Some(action), ..look() }
}

struct Ended {
    report: Report,
    result: Result<(), RedfishError>,
    took: Duration,
}

impl Ended {
    fn error(&self) -> &RedfishError {
        let error = self.result.as_ref().expect_err("it ends in an error");
        assert!(!error.fix().is_empty() && !error.reason().is_empty());
        error
    }
}

fn talk(plan: Plan, fake: &mut Fake) -> Ended {
    let start = Instant::now();
    let mut now = start;
    let base = service_root("https://bmc.example.net").unwrap();
    let mut conversation = Conversation::new(base, plan, Limits::default());
    loop {
        match conversation.poll(now) {
            Step::Ask(question) => {
                assert!(question.at.to_string().starts_with("https://bmc.example.net/"), "{question:?}");
                match fake.handle(&question) {
                    Ok(answer) => conversation.handle_answer(now, &answer),
                    Err(failure) => conversation.handle_failure(now, failure),
                }
            }
            Step::Wait(until) => now = until,
            Step::Done(report, result) => {
                assert!(matches!(conversation.poll(now), Step::Over));
                return Ended { report: *report, result, took: now - start };
            }
            Step::Over => panic!("it is over and was never done"),
        }
    }
}

const ON: &str = r#"POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset {"ResetType":"On"}"#;
const FORCE_OFF: &str = r#"POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset {"ResetType":"ForceOff"}"#;
const SHUTDOWN: &str =
    r#"POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset {"ResetType":"GracefulShutdown"}"#;
const RESTART: &str =
    r#"POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset {"ResetType":"ForceRestart"}"#;
const PATCH: &str = r#"PATCH /redfish/v1/Systems/1 {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}"#;

const CYCLE: Action = Action::Cycle { grace: None };
const OFF: Action = Action::Off { grace: Some(Duration::from_secs(60)) };

#[test]
fn a_look_begins_a_session_and_gives_it_back() {
    let mut bmc = fake("On");
    let ended = talk(look(), &mut bmc);
    assert!(ended.result.is_ok());
    assert_eq!(
        bmc.asked,
        [
            "GET /redfish/v1/ open",
            "POST /redfish/v1/SessionService/Sessions login open",
            "GET /redfish/v1/Systems",
            "GET /redfish/v1/Systems/1",
            "DELETE /redfish/v1/SessionService/Sessions/7",
        ]
    );
    let system = ended.report.system.unwrap();
    assert_eq!((system.power, system.serial.as_deref()), (PowerState::On, Some("S1")));
    assert_eq!((ended.report.same, ended.report.questions), (Some(Sameness::Unknown), 5));
    assert!(ended.report.did.is_empty() && ended.report.notes.is_empty());
}

#[test]
fn with_basic_there_is_no_session() {
    let mut bmc = fake("On");
    talk(Plan { login: Login::Basic, ..look() }, &mut bmc).result.unwrap();
    assert_eq!(bmc.asked.len(), 3);
    // Neither where the service has none, in either way to have none.
    for (line, reply) in
        [("GET /redfish/v1/ open", 200), ("POST /redfish/v1/SessionService/Sessions login open", 405)]
    {
        let mut bmc = fake("On");
        bmc.odd = Box::new(move |asked, _| match (asked == line, reply) {
            (true, 200) => ok(json!({"Systems": {"@odata.id": "/redfish/v1/Systems"}})),
            (true, reply) => status(reply),
            _ => None,
        });
        let ended = talk(look(), &mut bmc);
        assert!(ended.result.is_ok() && ended.report.notes.len() == 1, "{:?}", ended.report);
        assert!(!bmc.asked.iter().any(|line| line.starts_with("DELETE")));
    }
}

#[test]
fn the_next_boot_is_set_before_the_machine_restarts() {
    let mut bmc = fake("On");
    let plan = Plan { next_boot: Some(NextBoot::once(BootTarget::Pxe)), ..act(CYCLE) };
    let ended = talk(plan, &mut bmc);
    assert!(ended.result.is_ok(), "{:?}", ended.result);
    assert_eq!(bmc.sent(), [PATCH, RESTART]);
    assert_eq!(
        ended.report.did,
        [Did::NextBoot { target: "Pxe" }, Did::Reset { kind: ResetType::ForceRestart }]
    );
    assert_eq!(ended.report.system.unwrap().power, PowerState::On);
    assert_eq!(bmc.asked.last().unwrap(), "DELETE /redfish/v1/SessionService/Sessions/7");
}

#[test]
fn what_is_there_already_is_not_sent() {
    for (power, action) in [("On", Action::On), ("Off", OFF), ("Off", Action::Off { grace: None })] {
        let mut bmc = fake(power);
        let ended = talk(act(action), &mut bmc);
        assert!(ended.result.is_ok() && ended.report.did.is_empty(), "{action:?}");
        assert_eq!((bmc.sent().len(), ended.took), (0, Duration::ZERO));
    }
    let mut bmc = fake("Off");
    assert!(talk(act(CYCLE), &mut bmc).result.is_ok());
    assert_eq!(bmc.sent(), [ON]);
}

#[test]
fn who_does_not_shut_down_in_time_is_turned_off() {
    let mut bmc = fake("On");
    assert!(talk(act(OFF), &mut bmc).result.is_ok());
    assert_eq!(bmc.sent(), [SHUTDOWN]);
    let mut deaf = Fake { deaf: true, ..fake("On") };
    let ended = talk(act(OFF), &mut deaf);
    assert!(ended.result.is_ok() && ended.took >= Duration::from_secs(60), "{:?}", ended.took);
    assert_eq!(deaf.sent(), [SHUTDOWN, FORCE_OFF]);
    assert!(ended.report.notes[0].contains("not off after 60 s"), "{:?}", ended.report.notes);
    // A controller that refuses to ask the system is no reason to wait.
    let mut without = fake("On");
    without.odd = Box::new(|line, _| (line == SHUTDOWN).then(|| Ok(answer(409, Value::Null))));
    let ended = talk(act(OFF), &mut without);
    assert!(ended.result.is_ok() && ended.took < Duration::from_secs(60));
    assert_eq!(without.sent(), [SHUTDOWN, FORCE_OFF]);
}

#[test]
fn a_machine_that_stays_as_it_is_is_told_of() {
    let mut bmc = fake("Off");
    bmc.odd = Box::new(|line, _| (line == ON).then(|| Ok(answer(204, Value::Null))));
    let ended = talk(act(Action::On), &mut bmc);
    assert_eq!(ended.error().to_string(), "the machine is off and not on 120 s after `On` was sent");
    assert_eq!(ended.report.did.len(), 1);
    assert!(
        ended.took >= Duration::from_secs(120) && ended.took < Duration::from_secs(125),
        "{:?}",
        ended.took
    );
}

#[test]
fn a_dry_run_asks_everything_and_changes_nothing() {
    let mut bmc = fake("On");
    let plan = Plan {
        dry_run: true,
        next_boot: Some(NextBoot::once(BootTarget::Pxe)),
        ..act(Action::Cycle { grace: Some(Duration::from_secs(60)) })
    };
    let ended = talk(plan, &mut bmc);
    assert!(ended.result.is_ok() && bmc.sent().is_empty() && ended.report.did.is_empty());
    let planned: Vec<String> = ended
        .report
        .planned
        .iter()
        .map(|planned| {
            let path = planned.url.replace("https://bmc.example.net", "");
            let when = planned.when.as_deref().unwrap_or("always");
            format!("{} {path} {} ({when})", planned.method.as_str(), planned.body)
        })
        .collect();
    assert_eq!(
        planned,
        [
            format!("{PATCH} (always)"),
            format!("{SHUTDOWN} (always)"),
            format!("{FORCE_OFF} (unless it is off by then)"),
            format!("{ON} (unless it is on by then)"),
        ]
    );
    let nothing = talk(Plan { dry_run: true, ..act(Action::On) }, &mut fake("On"));
    assert!(nothing.report.planned.is_empty() && nothing.result.is_ok());
}

#[test]
fn kinds_of_reset_are_read_where_they_stand() {
    let info = "/redfish/v1/Systems/1/ResetActionInfo";
    let with = move |reply: Value| {
        let mut bmc = fake("On");
        bmc.odd = Box::new(move |line, _| match line {
            "GET /redfish/v1/Systems/1" => ok(json!({"Id": "1", "PowerState": "On", "Actions":
                {"#ComputerSystem.Reset": {"target": RESET, "@Redfish.ActionInfo": info}}})),
            "GET /redfish/v1/Systems/1/ResetActionInfo" => ok(reply.clone()),
            _ => None,
        });
        let ended = talk(Plan { dry_run: true, ..act(CYCLE) }, &mut bmc);
        assert!(bmc.asked.contains(&format!("GET {info}")));
        ended.report.planned[0].body["ResetType"].clone()
    };
    let parameters = json!([{"Name": "Other", "AllowableValues": ["ForceRestart"]},
        {"Name": "ResetType", "AllowableValues": ["On", "PowerCycle"]}]);
    assert_eq!(with(json!({ "Parameters": parameters })), "PowerCycle");
    // One that says nothing is asked for what every one has.
    assert_eq!(with(json!({})), "ForceRestart");
}

#[test]
fn one_of_several_systems_is_found_by_id_uuid_or_serial() {
    let rack = || {
        let mut bmc = fake("On");
        bmc.odd = Box::new(|line, _| {
            let of = |id: &str| {
                json!({"Id": id, "SerialNumber": format!("S{id}"), "PowerState": "On",
                    "UUID": format!("11223344-5566-7788-99aa-bbccddeeff0{id}")})
            };
            match line {
                "GET /redfish/v1/Systems" => ok(json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1"},
                    {"@odata.id": "/redfish/v1/Systems/2"}], "Members@odata.nextLink": "/redfish/v1/Systems?$skip=2"})),
                // A query is not shown.
                "GET /redfish/v1/Systems?***" => {
                    ok(json!({"Members": [{"@odata.id": "/redfish/v1/Systems/3"},
                    {"@odata.id": "/redfish/v1/Systems/4"}]}))
                }
                "GET /redfish/v1/Systems/4" => status(404),
                line => line.strip_prefix("GET /redfish/v1/Systems/").and_then(|id| ok(of(id))),
            }
        });
        bmc
    };
    let named = |name: &str| {
        let mut bmc = rack();
        let ended = talk(Plan { system: Some(name.into()), ..look() }, &mut bmc);
        (ended.result.map(|()| ended.report.system.unwrap().id), bmc.asked.len())
    };
    // By its id only that one is read: root, session, two pages, it, and the session given back.
    assert!(matches!(named("2"), (Ok(id), 6) if id == "2"));
    assert!(matches!(named("s3"), (Ok(id), 8) if id == "3"));
    assert!(matches!(named("11223344-5566-7788-99AA-BBCCDDEEFF02"), (Ok(id), _) if id == "2"));
    let none = named("9").0.unwrap_err();
    assert!(matches!(&none, RedfishError::NotThere { found, .. } if found.contains("serial S3")), "{none}");
    let ambiguous = talk(look(), &mut rack());
    assert!(matches!(ambiguous.error(), RedfishError::Which { .. }), "{:?}", ambiguous.result);
    assert_eq!(ambiguous.report.notes.len(), 1);
    let identity = Identity { uuid: "11223344-5566-7788-99aa-bbccddeeff03".parse().ok(), serial: None };
    let ended = talk(Plan { identity, ..look() }, &mut rack());
    assert_eq!((ended.report.system.unwrap().id.as_str(), ended.report.same), ("3", Some(Sameness::Same)));
}

#[test]
fn another_machine_is_looked_at_and_never_switched() {
    let identity = Identity { uuid: None, serial: Some("S2".into()) };
    let mut bmc = fake("On");
    let ended = talk(Plan { identity: identity.clone(), ..act(CYCLE) }, &mut bmc);
    let text = ended.error().to_string();
    assert!(text.contains("serial S1") && text.ends_with("the host serial S2"), "{text}");
    assert!(bmc.sent().is_empty());
    let plan =
        Plan { identity: identity.clone(), next_boot: Some(NextBoot::once(BootTarget::Pxe)), ..look() };
    assert_eq!(talk(plan, &mut bmc).error().reason(), "other_machine");
    assert!(bmc.sent().is_empty());
    let look = talk(Plan { identity, ..look() }, &mut bmc);
    assert!(look.result.is_ok() && look.report.same == Some(Sameness::Other));
}
