//! Groups and rules: on real firmware, and by their commands.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use harness::daemon::Config;
use harness::packages::{self, BOOT, CLIENTS};
use harness::scene::{NETWORK, POOL};
use harness::{Firmware, Machine, Scene};
use serde_json::{Value, json};

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS)) {
            return;
        }
    };
}

fn json_of(scene: &Scene, args: &[&str]) -> Value {
    let text = scene.daemon.command(&[args, &["-o", "json"]].concat()).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}\n{text}"))
}

fn refused(scene: &Scene, args: &[&str]) -> String {
    scene.daemon.command(args).map(|said| panic!("{args:?} was done: {said}")).unwrap_err().to_string()
}

/// A machine nobody recorded, on a network where unknown machines are ignored: a rule asks for what only its SMBIOS says, so
/// it is asked, and boots what the rule gives.
fn asked_then_given(firmware: Firmware) {
    let machine = Machine::new("machine", firmware, 7);
    let scene = Scene::new(Config::server(NETWORK, POOL).unknown("ignore")).unwrap();
    scene.import("payload").unwrap();
    scene.import("other").unwrap();
    scene
        .daemon
        .command(&["group", "add", "lab", "--param", "site=lab", "--kernel-arg", "from.group=1"])
        .unwrap();
    let when = "vendor=Reveille,model~^lab,serial=LAB0007,asset=asset-7,oemstring=oem-asset-7,subnet=lab";
    let rule = ["rule", "add", "labs", "--at", "20", "--when", when, "--image", "payload", "--group", "lab"];
    scene.daemon.command(&[&rule[..], &["--kernel-arg", "from.rule=1"]].concat()).unwrap();
    scene.daemon.command(&["rule", "add", "all", "--at", "90", "--image", "other"]).unwrap();
    let mac = machine.mac_text().to_owned();

    let before = json_of(&scene, &["explain", "--mac", &mac, "--firmware", "uefi-x64", "--subnet", "lab"]);
    assert_eq!(before["boots"], "ask", "{before:#}");
    let mut on = scene.power_on(&machine).unwrap();
    let lines = on.wait_payload().unwrap();
    assert!(lines.contains(&"tag payload".to_owned()), "{lines:#?}");
    let up = lines.iter().find(|line| line.starts_with("up ")).unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(up.contains("from.rule=1") && up.contains("from.group=1"), "{up}");

    let after = json_of(&scene, &["explain", "--mac", &mac]);
    assert_eq!((&after["boots"], &after["image"]), (&json!("image"), &json!("payload")), "{after:#}");
    assert_eq!(after["groups"], json!(["lab"]));
    assert_eq!(after["facts"]["board serial"], "board-LAB0007");
    assert_eq!(after["facts"]["oemstring"], "oem-asset-7");
    assert!(after["facts"]["nic"].as_str().is_some_and(|bus| bus.len() >= 11), "{after:#}");
    assert_eq!((&after["rules"][0]["rule"], &after["rules"][0]["answer"]), (&json!("labs"), &json!("yes")));
    assert_eq!(after["rules"][1]["decides"], json!([]));
    let text = scene.daemon.command(&["explain", "--mac", &mac]).unwrap();
    assert!(text.contains("params.site lab ← group lab (api)"), "{text}");
    assert!(text.contains("model~^lab (\"Lab machine\")"), "{text}");
    // Asked once, it goes straight on: the ROM gets its answer by what is remembered.
    assert_eq!(after["reason"], Value::Null);
    let test = json_of(&scene, &["rule", "test", "labs"]);
    assert_eq!(test["matches"], json!([format!("mac:{mac}")]));
}

#[test]
fn an_unknown_bios_machine_is_asked_and_given_what_a_rule_says() {
    needs_tools!();
    asked_then_given(Firmware::Bios);
}

#[test]
fn an_unknown_uefi_machine_is_asked_and_given_what_a_rule_says() {
    needs_tools!();
    asked_then_given(Firmware::UefiPxe);
}

#[test]
fn rules_are_staged_tested_put_in_force_and_rolled_back() {
    needs_tools!();
    let mut config = Config::server(NETWORK, POOL);
    config.set(
        &["resources", "rules"],
        json!([{ "name": "base", "order": 90, "params": { "ntp": "10.77.0.1" } }]),
    );
    config.set(&["resources", "groups"], json!([{ "name": "root", "params": { "dns": "10.77.0.1" } }]));
    let scene = Scene::new(config).unwrap();
    for image in ["one", "two"] {
        scene.import(image).unwrap();
    }
    scene.daemon.command(&["group", "add", "rack", "--parent", "root"]).unwrap();
    for number in 1..=3 {
        let (name, mac) = (format!("host{number}"), format!("52:54:00:00:00:0{number}"));
        let group = if number == 3 { vec![] } else { vec!["--group", "rack"] };
        scene.daemon.command(&[&["host", "add", &name, "--mac", &mac][..], &group].concat()).unwrap();
    }
    let image = |name: &str| json_of(&scene, &["explain", "--name", name])["image"].clone();
    let states = || -> Vec<String> {
        let rules = json_of(&scene, &["rule", "list"]);
        let items = rules["items"].as_array().unwrap();
        items
            .iter()
            .map(|rule| format!("{} {}", rule["name"].as_str().unwrap(), rule["state"].as_str().unwrap()))
            .collect()
    };

    scene
        .daemon
        .command(&["rule", "add", "racks", "--at", "10", "--when", "group=root", "--image", "one"])
        .unwrap();
    assert_eq!((image("host1"), image("host3")), (json!("one"), Value::Null));
    let staged = ["rule", "set", "racks", "--image", "two", "--staged"];
    scene.daemon.command(&staged).unwrap();
    scene.daemon.command(&["rule", "add", "rest", "--at", "20", "--image", "one", "--staged"]).unwrap();
    assert_eq!(states(), ["racks changed", "rest staged", "base active"]);
    assert_eq!(
        (image("host1"), image("host3")),
        (json!("one"), Value::Null),
        "staged changes are not in force"
    );
    let test = json_of(&scene, &["rule", "test"]);
    let changes: Vec<String> = test["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            format!(
                "{} {}→{}",
                change["machine"].as_str().unwrap(),
                change["now"].as_str().unwrap(),
                change["then"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(changes, ["host1 one→two", "host2 one→two", "host3 menu→one"]);

    // What is put in force by itself leaves the rest staged.
    scene.daemon.command(&["rule", "add", "third", "--at", "30", "--param", "x=1"]).unwrap();
    assert_eq!(states(), ["racks changed", "rest staged", "third active", "base active"]);
    let activated = json_of(&scene, &["rule", "activate"]);
    assert_eq!(
        (&activated["set"], &activated["changed"]),
        (&json!(3), &json!(["racks", "rest"])),
        "{activated:#}"
    );
    assert_eq!((image("host1"), image("host3")), (json!("two"), json!("one")));
    assert_eq!(scene.daemon.command(&["rule", "activate"]).unwrap().trim(), "unchanged");
    scene.daemon.command(&["rule", "rollback"]).unwrap();
    assert_eq!((image("host1"), image("host3")), (json!("one"), Value::Null));
    assert_eq!(states(), ["racks changed", "rest staged", "third active", "base active"]);
    scene.daemon.command(&["rule", "rollback", "3"]).unwrap();
    assert_eq!(states(), ["racks active", "rest active", "third active", "base active"]);
    let sets = json_of(&scene, &["rule", "sets"]);
    let by: Vec<&str> =
        sets["items"].as_array().unwrap().iter().map(|set| set["by"].as_str().unwrap()).collect();
    assert_eq!(by, ["rule set racks", "rule set third", "activate", "rollback to 2", "rollback to 3"]);
    scene.daemon.command(&["rule", "rm", "rest", "--staged"]).unwrap();
    assert_eq!(states(), ["racks active", "rest removed", "third active", "base active"]);

    // Every door keeps to the owner, and to what is in use.
    assert!(refused(&scene, &["rule", "set", "base", "--at", "1"]).contains("R-RES-02"));
    assert!(refused(&scene, &["group", "rm", "rack"]).contains("host host1, host host2"));
    assert!(refused(&scene, &["group", "rm", "root"]).contains("R-RES-02"));
    assert!(refused(&scene, &["image", "rm", "one"]).contains("rule rest"));
    assert!(
        refused(&scene, &["host", "set", "host3", "--group", "gone"]).contains("there is no group `gone`")
    );
    assert!(refused(&scene, &["group", "set", "rack", "--parent", "rack"]).contains("stands above itself"));
    assert!(refused(&scene, &["rule", "rollback", "77"]).contains("kept are 1, 2, 3, 4, 5"));
    assert!(refused(&scene, &["rule", "add", "bad", "--when", "modell~R7"]).contains("no such key"));
    let list = scene.daemon.command(&["rule", "list"]).unwrap();
    assert!(list.contains("group=root") && list.contains("1 staged"), "{list}");
}

#[test]
fn a_list_of_hosts_is_recorded_whole_or_not_at_all() {
    needs_tools!();
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    scene.daemon.command(&["group", "add", "rack12"]).unwrap();
    let list = scene.lab.path("hosts.csv");
    let text = "name,mac,serial,group,params.ip\nESX-01,52:54:00:00:01:01,S1,rack12,10.4.12.1\nesx-02,5254.0000.0102,S2,rack12,10.4.12.2\n";
    std::fs::write(&list, text).unwrap();
    let file = list.to_str().unwrap();
    let hosts = || json_of(&scene, &["host", "list"])["items"].as_array().map_or(0, Vec::len);
    let import = |args: &[&str]| json_of(&scene, &[&["host", "import", file], args].concat());
    let dry = import(&["--dry-run"]);
    assert_eq!((&dry["create"], hosts()), (&json!(2), 0), "{dry:#}");
    let done = import(&[]);
    assert_eq!((&done["create"], hosts()), (&json!(2), 2), "{done:#}");
    let host = json_of(&scene, &["host", "get", "esx-01"]);
    assert_eq!((&host["group"], &host["params"]["ip"]), (&json!("rack12"), &json!("10.4.12.1")), "{host:#}");
    let again = import(&[]);
    assert_eq!((&again["create"], &again["unchanged"]), (&json!(0), &json!(2)), "{again:#}");
    // The new one is good, the other claims what is another's: none of them is recorded.
    std::fs::write(&list, "name,mac\nnew,52:54:00:00:01:09\nthief,52:54:00:00:01:01\n").unwrap();
    let said = refused(&scene, &["host", "import", file]);
    assert!(said.contains("R-INV-30") && said.contains("esx-01"), "{said}");
    assert_eq!(hosts(), 2);
    import(&["--leave-out"]);
    assert_eq!(hosts(), 3);
}
