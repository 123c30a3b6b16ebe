//! Services that are busy, slow, wrong, or somebody else's.

use super::*;

fn pxe() -> Plan {
    Plan { next_boot: Some(NextBoot::once(BootTarget::Pxe)), ..look() }
}

#[test]
fn a_condition_is_given_when_it_is_demanded() {
    let tagged = |tag: Option<&'static str>, taken: &'static str, code: u16| {
        let mut bmc = fake("On");
        bmc.odd = Box::new(move |line, _| match line {
            "GET /redfish/v1/Systems/1" => Some(Ok(Answer {
                etag: tag.map(str::to_owned),
                ..answer(200, json!({"Id": "1", "PowerState": "On"}))
            })),
            line if line.starts_with("PATCH") && !line.ends_with(taken) => status(code),
            line if line.starts_with("PATCH") => status(200),
            _ => None,
        });
        let ended = talk(pxe(), &mut bmc);
        let sent: Vec<String> = bmc.sent().iter().map(|line| line.replace(PATCH, "PATCH")).collect();
        (ended.result.map_err(|error| error.to_string()), sent)
    };
    let strong = tagged(Some("\"a\""), "if \"a\"", 428);
    assert_eq!(strong, (Ok(()), vec!["PATCH".into(), "PATCH if \"a\"".into()]));
    let weak = tagged(Some("W/\"a\""), " if \"a\"", 412);
    assert_eq!(weak, (Ok(()), vec!["PATCH".into(), "PATCH if W/\"a\"".into(), "PATCH if \"a\"".into()]));
    let none = tagged(None, "if *", 428);
    assert_eq!(none, (Ok(()), vec!["PATCH".into(), "PATCH".into(), "PATCH if *".into()]));
    let never = tagged(Some("\"a\""), "if never", 412);
    assert_eq!(never.1.len(), 3);
    assert_eq!(never.0.unwrap_err(), "https://bmc.example.net/redfish/v1/Systems/1 refuses with status 412");
}

#[test]
fn the_settings_object_is_tried_where_the_system_is_read_only() {
    let settings = "/redfish/v1/Systems/1/Settings";
    let make = || {
        let mut bmc = Fake { settings: Some(settings), ..fake("On") };
        bmc.odd = Box::new(move |line, _| match line {
            "GET /redfish/v1/Systems/1/Settings" => {
                Some(Ok(Answer { etag: Some("\"s\"".into()), ..answer(200, json!({})) }))
            }
            line if line.starts_with("PATCH /redfish/v1/Systems/1/Settings") => status(200),
            line if line.starts_with("PATCH") => status(405),
            _ => None,
        });
        bmc
    };
    let mut bmc = make();
    let ended = talk(pxe(), &mut bmc);
    assert!(ended.result.is_ok(), "{:?}", ended.result);
    let there = format!("{} if \"s\"", PATCH.replace(SYSTEM, settings));
    assert_eq!(bmc.sent(), [PATCH, &there]);
    assert!(ended.report.notes[0].contains("when the machine starts"), "{:?}", ended.report.notes);
    // A service without one has refused.
    let mut bmc = Fake { settings: None, ..make() };
    let ended = talk(Plan { action: Some(CYCLE), ..pxe() }, &mut bmc);
    assert!(matches!(ended.error(), RedfishError::Refused { status: 405, .. }));
    assert_eq!(bmc.sent(), [PATCH]);
}

#[test]
fn a_busy_service_is_asked_again_when_it_wants_it() {
    let busy = |times: usize, after: Option<u64>| {
        let mut bmc = fake("Off");
        bmc.odd = Box::new(move |line, before| {
            let busy = Answer { retry_after: after.map(Duration::from_secs), ..answer(503, Value::Null) };
            (line == ON && before < times).then_some(Ok(busy))
        });
        let ended = talk(act(Action::On), &mut bmc);
        (ended.result.is_ok(), bmc.sent().len(), ended.took.as_secs())
    };
    // Two looks of two seconds and one more, after the pauses.
    assert_eq!(busy(0, None), (true, 1, 6));
    assert_eq!(busy(1, Some(7)), (true, 2, 13));
    assert_eq!(busy(3, None), (true, 4, 6 + 1 + 2 + 4));
    assert_eq!(busy(1, Some(86_400)), (true, 2, 6 + 30));
    assert_eq!(busy(99, Some(1)), (false, 5, 4));
}

#[test]
fn a_wrong_password_is_tried_once() {
    for (line, code, reason) in [
        ("POST /redfish/v1/SessionService/Sessions login open", 401, "credentials_wrong"),
        ("POST /redfish/v1/SessionService/Sessions login open", 403, "not_allowed"),
        ("POST /redfish/v1/SessionService/Sessions login open", 400, "bmc_refused"),
        ("GET /redfish/v1/Systems", 401, "credentials_wrong"),
        (ON, 403, "not_allowed"),
    ] {
        let mut bmc = fake("Off");
        bmc.odd = Box::new(move |asked, _| {
            let body = json!({"error": {"message": "the value hunter2 for Password is wrong"}});
            (asked == line).then(|| Ok(answer(code, body)))
        });
        let ended = talk(act(Action::On), &mut bmc);
        assert_eq!(ended.error().reason(), reason, "{line}");
        assert_eq!(bmc.asked.iter().filter(|asked| *asked == line).count(), 1);
        if line.contains("login") {
            let text = format!("{} {:?}", ended.error(), ended.error());
            assert!(!text.contains("hunter2"), "{text}");
            assert_eq!(bmc.asked.len(), 2);
        } else {
            assert!(bmc.asked.last().unwrap().starts_with("DELETE"));
        }
    }
}

#[test]
fn a_restart_that_may_have_been_heard_is_not_sent_again() {
    let mut bmc = fake("On");
    bmc.odd = Box::new(|line, _| if line == RESTART { broken(true) } else { None });
    let ended = talk(act(CYCLE), &mut bmc);
    assert_eq!(ended.error().reason(), "power_uncertain");
    assert_eq!(bmc.sent(), [RESTART]);
    // One that cannot have been heard is.
    let mut bmc = fake("On");
    bmc.odd = Box::new(|line, before| if line == RESTART && before < 2 { broken(false) } else { None });
    assert!(talk(act(CYCLE), &mut bmc).result.is_ok());
    assert_eq!(bmc.sent(), [RESTART; 3]);
}

#[test]
fn a_machine_is_looked_at_before_it_is_turned_on_again() {
    // Heard, and the answer lost.
    let mut bmc = Fake { lag: 0, coming: Some((1, "On")), ..fake("Off") };
    bmc.odd = Box::new(|line, _| if line == ON { broken(true) } else { None });
    let ended = talk(act(Action::On), &mut bmc);
    assert!(ended.result.is_ok(), "{:?}", ended.result);
    assert_eq!(bmc.sent(), [ON]);
    // Never heard: sent again, and not for ever.
    let mut bmc = fake("Off");
    bmc.odd = Box::new(|line, _| if line == ON { broken(true) } else { None });
    let ended = talk(act(Action::On), &mut bmc);
    assert_eq!(ended.error().reason(), "bmc_unreachable");
    assert_eq!(bmc.sent(), [ON; 5]);
}

#[test]
fn a_service_that_is_silent_while_its_machine_starts_is_waited_for() {
    let mut bmc = fake("Off");
    bmc.odd = Box::new(|line, before| match (line, before) {
        ("GET /redfish/v1/Systems/1", 1..=9) => broken(true),
        ("GET /redfish/v1/Systems/1", 10..=12) => status(500),
        ("GET /redfish/v1/Systems/1", 13) => {
            Some(Ok(Answer { body: b"<html>".to_vec(), ..answer(200, Value::Null) }))
        }
        _ => None,
    });
    let ended = talk(act(Action::On), &mut bmc);
    assert!(ended.result.is_ok(), "{:?}", ended.result);
    let mut bmc = fake("Off");
    bmc.odd = Box::new(
        |line, before| if line == "GET /redfish/v1/Systems/1" && before > 0 { broken(true) } else { None },
    );
    let ended = talk(act(Action::On), &mut bmc);
    assert_eq!(ended.error().reason(), "bmc_unreachable");
    assert_eq!(ended.report.did.len(), 1);
    // The deadline, and one pause at most.
    assert!(ended.took <= Duration::from_secs(150), "{:?}", ended.took);
}

#[test]
fn no_link_leads_out_of_the_service() {
    const EVIL: &str = "https://evil.example/redfish/v1/x";
    let member = |link: &str| json!({"Members": [{"@odata.id": link}]});
    let system = |reset: Value, settings: &str| {
        json!({"Id": "1", "PowerState": "On", "Actions": {"#ComputerSystem.Reset": reset},
            "@Redfish.Settings": {"SettingsObject": {"@odata.id": settings}}})
    };
    let root_with = |systems: &str, sessions: &str| json!({"Systems": {"@odata.id": systems}, "Links": {"Sessions": {"@odata.id": sessions}}});
    let cases: Vec<(&str, Value)> = vec![
        ("GET /redfish/v1/ open", root_with(EVIL, "/s")),
        ("GET /redfish/v1/ open", root_with("/redfish/v1/Systems", EVIL)),
        ("GET /redfish/v1/ open", root_with("//evil.example/x", "/s")),
        ("GET /redfish/v1/Systems", member(EVIL)),
        ("GET /redfish/v1/Systems", member("http://bmc.example.net/redfish/v1/Systems/1")),
        ("GET /redfish/v1/Systems", member("https://bmc.example.net:444/redfish/v1/Systems/1")),
        ("GET /redfish/v1/Systems", member("file:///etc/passwd")),
        ("GET /redfish/v1/Systems", json!({"Members": [], "Members@odata.nextLink": EVIL})),
        ("GET /redfish/v1/Systems/1", system(json!({"target": EVIL}), "/s")),
        ("GET /redfish/v1/Systems/1", system(json!({"target": "/x", "@Redfish.ActionInfo": EVIL}), "/s")),
    ];
    for (line, reply) in cases {
        let mut bmc = fake("On");
        let shown = reply.to_string();
        bmc.odd = Box::new(move |asked, _| if asked == line { ok(reply.clone()) } else { None });
        let ended = talk(act(CYCLE), &mut bmc);
        assert_eq!(ended.error().reason(), "link_refused", "{line} {shown}: {:?}", ended.result);
        assert!(bmc.sent().is_empty());
    }
    // The session's own address, the settings object, and a redirect.
    let mut bmc = fake("On");
    bmc.odd = Box::new(|line, _| {
        line.ends_with("login open")
            .then(|| Ok(Answer { location: Some(EVIL.into()), has_token: true, ..answer(201, json!({})) }))
    });
    assert_eq!(talk(look(), &mut bmc).error().reason(), "link_refused");
    let mut bmc = Fake { settings: Some(EVIL), ..fake("On") };
    bmc.odd = Box::new(|line, _| if line.starts_with("PATCH") { status(405) } else { None });
    assert_eq!(talk(pxe(), &mut bmc).error().reason(), "link_refused");
    let mut bmc = fake("On");
    bmc.odd = Box::new(|line, _| {
        (line == "GET /redfish/v1/Systems")
            .then(|| Ok(Answer { location: Some(EVIL.into()), ..answer(307, Value::Null) }))
    });
    assert_eq!(talk(look(), &mut bmc).error().reason(), "link_refused");
}

#[test]
fn redirects_within_the_service_are_followed_and_not_for_ever() {
    let to =
        |place: &'static str| Some(Ok(Answer { location: Some(place.into()), ..answer(308, Value::Null) }));
    let mut bmc = fake("On");
    bmc.odd = Box::new(move |line, _| match line {
        "GET /redfish/v1/Systems" => to("/redfish/v1/Systems/"),
        "GET /redfish/v1/Systems/" => ok(json!({"Members": [{"@odata.id": SYSTEM}]})),
        _ => None,
    });
    assert!(talk(look(), &mut bmc).result.is_ok());
    let mut bmc = fake("On");
    bmc.odd =
        Box::new(
            move |line, _| {
                if line.starts_with("GET /redfish/v1/Systems") { to("/redfish/v1/Systems") } else { None }
            },
        );
    assert!(matches!(talk(look(), &mut bmc).error(), RedfishError::Redirects(_)));
    let mut bmc = fake("Off");
    bmc.odd = Box::new(move |line, _| if line == ON { to(RESET) } else { None });
    assert!(matches!(talk(act(Action::On), &mut bmc).error(), RedfishError::Refused { status: 308, .. }));
}

#[test]
fn what_is_no_service_is_named() {
    let many: Vec<Value> =
        (0..65).map(|n| json!({"@odata.id": format!("/redfish/v1/Systems/{n}")})).collect();
    for (line, reply, text) in [
        ("GET /redfish/v1/ open", json!({}), "has no link to Systems"),
        ("GET /redfish/v1/ open", json!([1]), "is JSON and no object"),
        ("GET /redfish/v1/ open", json!({"Systems": "/redfish/v1/Systems"}), "has no link to Systems"),
        ("GET /redfish/v1/Systems", json!({"Members": {}}), "has no Members"),
        ("GET /redfish/v1/Systems", json!({"Members": [7]}), "a member that is no link"),
        ("GET /redfish/v1/Systems", json!({"Members": []}), "there is no system behind"),
        ("GET /redfish/v1/Systems", json!({"Members": many}), "more than 64 systems"),
        (
            "GET /redfish/v1/Systems",
            json!({"Members": [], "Members@odata.nextLink": "/redfish/v1/Systems"}),
            "16 pages",
        ),
        ("GET /redfish/v1/Systems", json!({"Members": [{"@odata.id": ""}]}), "is empty"),
        ("GET /redfish/v1/Systems/1", json!({"Id": "1", "PowerState": "On"}), "offers no reset"),
        (
            "GET /redfish/v1/Systems/1",
            json!({"Id": "1", "Actions": {"#ComputerSystem.Reset": {"target": RESET,
            "ResetType@Redfish.AllowableValues": ["Nmi"]}}}),
            "offers none of PowerCycle, ForceRestart",
        ),
    ] {
        let mut bmc = fake("On");
        bmc.odd = Box::new(move |asked, _| if asked == line { ok(reply.clone()) } else { None });
        let ended = talk(act(CYCLE), &mut bmc);
        assert!(ended.error().to_string().contains(text), "{text}: {}", ended.error());
        assert!(bmc.sent().is_empty());
    }
    let mut bmc = fake("On");
    bmc.odd = Box::new(|line, _| line.ends_with("login open").then(|| Ok(answer(201, json!({})))));
    assert!(talk(look(), &mut bmc).error().to_string().contains("no X-Auth-Token"));
    // Cut short, and not even text.
    for body in [b"{\"Systems\":".to_vec(), vec![0xff; 1000], b"{\"a\":".repeat(50_000)] {
        let mut bmc = fake("On");
        bmc.odd = Box::new(move |_, _| Some(Ok(Answer { body: body.clone(), ..answer(200, Value::Null) })));
        assert_eq!(talk(look(), &mut bmc).error().reason(), "bmc_malformed");
    }
}

#[test]
fn whoever_cancels_gives_the_session_back() {
    let now = Instant::now();
    let mut bmc = fake("On");
    let base = service_root("https://bmc.example.net").unwrap();
    let mut conversation = Conversation::new(base, act(OFF), Limits::default());
    loop {
        match conversation.poll(now) {
            Step::Ask(question) => {
                let answer = bmc.handle(&question).unwrap();
                conversation.handle_answer(now, &answer);
            }
            // It waits for the shutdown.
            Step::Wait(_) => conversation.cancel(),
            Step::Done(report, result) => {
                assert!(matches!(result, Err(RedfishError::Cancelled)));
                assert_eq!(report.did, [Did::Reset { kind: ResetType::GracefulShutdown }]);
                break;
            }
            Step::Over => panic!(),
        }
    }
    assert_eq!(bmc.asked.last().unwrap(), "DELETE /redfish/v1/SessionService/Sessions/7");
    conversation.cancel();
    assert!(matches!(conversation.poll(now), Step::Over));
}

#[test]
fn a_session_that_cannot_be_given_back_changes_no_result() {
    for reply in [500, 404] {
        let mut bmc = fake("On");
        bmc.odd = Box::new(move |line, _| if line.starts_with("DELETE") { status(reply) } else { None });
        let ended = talk(look(), &mut bmc);
        assert!(ended.result.is_ok());
        assert_eq!(ended.report.notes.len(), usize::from(reply == 500));
    }
    let mut bmc = fake("On");
    bmc.odd = Box::new(|line, _| if line.starts_with("DELETE") { broken(true) } else { None });
    assert!(talk(look(), &mut bmc).result.is_ok());
}

/// Numbers that a seed gives.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// Changes something somewhere in it.
    fn spoil(&mut self, value: &mut Value) {
        const LINKS: [&str; 6] = [
            "https://evil.example/x",
            "//evil.example/",
            "/redfish/v1/Systems",
            "",
            "x\\y",
            "/redfish/v1/Systems/1",
        ];
        let any = match self.below(7) {
            0 => Value::Null,
            1 => json!(LINKS[self.below(LINKS.len())]),
            2 => json!([{"@odata.id": LINKS[self.below(LINKS.len())]}]),
            3 => json!({"@odata.id": LINKS[self.below(LINKS.len())]}),
            4 => json!(["On", "Off", "PoweringOff", "Paused"][self.below(4)]),
            5 => json!(["ForceOff", "On"]),
            _ => json!(7),
        };
        let deeper = self.below(4) > 0;
        match value {
            Value::Object(object) if deeper && !object.is_empty() => {
                let key = object.keys().nth(self.below(object.len())).unwrap().clone();
                self.spoil(&mut object[&key]);
            }
            Value::Array(array) if deeper && !array.is_empty() => {
                let place = self.below(array.len());
                self.spoil(&mut array[place]);
            }
            other => *other = any,
        }
    }
}

#[test]
fn whatever_a_service_says_it_ends_within_its_bounds_and_its_origin() {
    let mut ended_well = 0;
    for seed in 0..1000 {
        let mut numbers = Numbers(seed);
        let action = [None, Some(Action::On), Some(OFF), Some(CYCLE)][numbers.below(4)];
        let next_boot = (numbers.below(2) == 0).then(|| NextBoot::once(BootTarget::Pxe));
        let plan = Plan { action, next_boot, ..look() };
        let power = ["On", "Off", "PoweringOff"][numbers.below(3)];
        let mut bmc = Fake { settings: Some("/redfish/v1/Systems/1/Settings"), ..fake(power) };
        let rate = 2 + numbers.below(30);
        // A good one answers beside it, for what is to be spoiled.
        let mut beside = fake(power);
        bmc.odd = Box::new(move |line, _| {
            if numbers.below(rate) > 0 {
                // What the good service does not know.
                let known = matches!(
                    line,
                    "GET /redfish/v1/ open"
                        | "POST /redfish/v1/SessionService/Sessions login open"
                        | "DELETE /redfish/v1/SessionService/Sessions/7"
                        | "GET /redfish/v1/Systems"
                        | "GET /redfish/v1/Systems/1"
                ) || line.starts_with("PATCH /redfish/v1/Systems/1 {")
                    || line.starts_with("POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset {");
                return if known { None } else { status(404) };
            }
            match numbers.below(5) {
                0 => broken(numbers.below(2) == 0),
                1 => status(
                    [200, 202, 204, 302, 400, 401, 403, 404, 405, 412, 428, 429, 500, 503][numbers.below(14)],
                ),
                _ => {
                    let mut body = if line.contains(SYSTEM) { beside.system() } else { root() };
                    for _ in 0..=numbers.below(3) {
                        numbers.spoil(&mut body);
                    }
                    Some(Ok(Answer {
                        has_token: numbers.below(2) == 0,
                        location: (numbers.below(2) == 0)
                            .then(|| "/redfish/v1/SessionService/Sessions/7".to_owned()),
                        retry_after: Some(Duration::from_secs(numbers.below(100) as u64)),
                        ..answer(200, body)
                    }))
                }
            }
        });
        let ended = talk(plan, &mut bmc);
        assert!(
            ended.took < Duration::from_secs(900) && ended.report.questions < 1000,
            "seed {seed}: {:?}",
            ended.took
        );
        ended_well += usize::from(ended.result.is_ok());
        // A restart is sent once, whatever happens to it.
        let restarts = bmc.sent().iter().filter(|line| **line == RESTART).count();
        let taken = ended
            .report
            .did
            .iter()
            .filter(|did| matches!(did, Did::Reset { kind: ResetType::ForceRestart }))
            .count();
        assert!(taken <= 1 && restarts <= 5, "seed {seed}: {restarts}");
        if let Err(error) = ended.result {
            assert!(!error.fix().is_empty() && !error.to_string().is_empty());
        }
    }
    assert!(ended_well > 100, "only {ended_well} of 1000 ended well: the test tries too little");
}
