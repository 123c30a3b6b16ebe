//! `reveille store …`, through an appliance and on a folder.

use super::{ANY_PORT, Appliance, run, write_config};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Runs in the form for programs; answers the exit code and both streams as documents, `Null` where there is none.
fn json(args: &[&str]) -> (i32, Value, Value) {
    let mut all = args.to_vec();
    all.extend(["-o", "json"]);
    let (code, stdout, stderr) = run(&all);
    let document = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    (code, document(&stdout), document(&stderr))
}

/// An appliance's folder with `count` hosts in it, left by a clean end or a kill.
fn filled(folder: &Path, count: usize) -> (String, String) {
    let config = write_config(folder, ANY_PORT);
    let _appliance = Appliance::start(&config);
    add_hosts(folder, 0..count);
    (config, folder.join("store").display().to_string())
}

fn add_hosts(folder: &Path, numbers: std::ops::Range<usize>) {
    let socket = folder.join("admin.sock").display().to_string();
    for number in numbers {
        let (name, mac) = (format!("web{number:02}"), format!("52:54:00:00:00:{number:02x}"));
        let (code, _, stderr) = run(&["host", "add", &name, "--mac", &mac, "--socket", &socket]);
        assert_eq!(code, 0, "{stderr}");
    }
}

fn hosts(config: &str) -> Vec<String> {
    let (code, stdout, stderr) = run(&["store", "dump", "--table", "hosts", "--config", config]);
    assert_eq!(code, 0, "{stderr}");
    let lines = stdout.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let name = |line: Value| Some(line.pointer("/value/record/name")?.as_str()?.to_owned());
    lines.map(|line| name(line).unwrap()).collect()
}

#[test]
fn a_backup_of_a_running_appliance_is_restored_once_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ANY_PORT);
    let socket = folder.path().join("admin.sock").display().to_string();
    let file = folder.path().join("saved.backup").display().to_string();
    let (store, saved);
    {
        let _appliance = Appliance::start(&config);
        add_hosts(folder.path(), 0..3);
        let (code, document, _) = json(&["store", "backup", &file, "--socket", &socket]);
        assert_eq!(code, 0, "{document}");
        saved = document;
        assert_eq!(saved["bytes"], fs::metadata(&file).unwrap().len());
        assert_eq!(saved["sha256"].as_str().unwrap().len(), 64);
        assert!(!Path::new(&format!("{file}.new")).exists());
        add_hosts(folder.path(), 3..5);
        store = folder.path().join("store").display().to_string();
        let (code, _, stderr) = run(&["store", "restore", &file, "--store", &store]);
        assert_eq!(code, 6, "{stderr}");
        assert!(stderr.contains("error[R-STO-04]") && stderr.contains("systemctl stop reveille"), "{stderr}");
        assert!(stderr.contains("in use by process"), "{stderr}");
    }
    assert_eq!(hosts(&config).len(), 5);
    let (code, stdout, _) = run(&["store", "restore", &file, "--store", &store, "--dry-run"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("hosts  5       3") && stdout.contains("nothing was changed"), "{stdout}");
    assert_eq!(hosts(&config).len(), 5, "a dry run changes nothing");
    let (code, restored, _) = json(&["store", "restore", &file, "--store", &store]);
    assert_eq!((code, &restored["backup_revision"]), (0, &saved["revision"]));
    assert!(restored["revision"].as_u64() > restored["revision_before"].as_u64(), "{restored}");
    assert_eq!(restored["tables"]["hosts"]["after"], 3);
    assert!(restored["moved_to"].as_str().unwrap().ends_with("before-restore-1"), "{restored}");
    assert!(folder.path().join("store/before-restore-1/journal").is_dir());
    assert_eq!(hosts(&config), ["web00", "web01", "web02"]);
    let _appliance = Appliance::start(&config);
    let (_, stdout, _) = run(&["host", "list", "--socket", &socket]);
    assert!(stdout.contains("web02") && !stdout.contains("web03"), "{stdout}");
}

#[test]
fn backup_dump_and_verify_say_the_same_through_the_appliance_and_on_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ANY_PORT);
    let socket = folder.path().join("admin.sock").display().to_string();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (online, dumped, few);
    {
        let _appliance = Appliance::start(&config);
        add_hosts(folder.path(), 0..4);
        online = json(&["store", "backup", &file("online"), "--socket", &socket]).1;
        dumped = run(&["store", "dump", "--socket", &socket]).1;
        few = run(&["store", "dump", "--table", "hosts", "--socket", &socket]).1;
        let (code, report, _) = json(&["store", "verify", "--socket", &socket]);
        assert_eq!((code, &report["ok"], &report["revision"]), (0, &Value::Bool(true), &online["revision"]));
        for command in [&["store", "verify"][..], &["store", "dump"], &["store", "backup", &file("refused")]]
        {
            let (code, _, stderr) = run(&[command, &["--config", &config]].concat());
            assert_eq!(code, 6, "{stderr}");
            assert!(stderr.contains("leave out --store and --config"), "{stderr}");
        }
        assert!(!Path::new(&file("refused")).exists() && !Path::new(&file("refused.new")).exists());
        let (code, _, error) = json(&["store", "dump", "--table", "beds", "--socket", &socket]);
        assert_eq!((code, &error["error"]["code"]), (5, &"R-STO-09".into()));
    }
    let offline = json(&["store", "backup", &file("offline"), "--config", &config]).1;
    for field in ["revision", "records", "bytes", "sha256"] {
        assert_eq!(online[field], offline[field], "{field}");
    }
    assert_eq!(run(&["store", "dump", "--config", &config]).1, dumped);
    assert_eq!(run(&["store", "dump", "--table", "hosts", "--config", &config]).1, few);
    assert_eq!(few.lines().count(), 5);
    let (code, stdout, _) = run(&["store", "verify", "--config", &config]);
    assert_eq!(code, 0);
    assert!(stdout.contains("read     revision ") && stdout.ends_with("result   all sound\n"), "{stdout}");
}

#[test]
fn commands_on_a_store_name_what_they_need() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none").display().to_string();
    let file = folder.path().join("file").display().to_string();
    for command in
        [&["store", "verify"][..], &["store", "dump"], &["store", "backup", &file], &["store", "repair"]]
    {
        let (code, _, stderr) = run(&[command, &["--store", &none]].concat());
        assert_eq!(code, 5, "{stderr}");
        assert!(stderr.contains("error[R-STO-05]") && stderr.contains("there is no store at"), "{stderr}");
        assert!(!Path::new(&none).exists());
    }
    for command in [&["store", "restore", &file][..], &["store", "repair"]] {
        let (code, _, stderr) = run(command);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("which store?"), "{stderr}");
    }
    let (code, _, stderr) = run(&["store", "verify", "--socket", &none]);
    assert_eq!(code, 8, "{stderr}");
    fs::write(&file, "no backup at all").unwrap();
    let (code, _, stderr) = run(&["store", "restore", &file, "--store", &none]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("error[R-STO-06]") && stderr.contains("is no whole backup"), "{stderr}");
    assert!(!Path::new(&none).exists(), "nothing was made");
    let (code, _, stderr) = run(&["store", "restore", &format!("{file}.gone"), "--store", &none]);
    assert_eq!(code, 5, "{stderr}");
    let (code, _, stderr) = run(&["store", "backup", "/nonexistent/file", "--socket", &none]);
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("cannot write /nonexistent/file"), "{stderr}");
}

/// The one segment that has frames.
fn segment(store: &str) -> std::path::PathBuf {
    let files = fs::read_dir(Path::new(store).join("journal")).unwrap().flatten();
    files.map(|file| file.path()).max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    *bytes.get_mut(at).unwrap() ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn damage_is_found_by_verify_and_repaired_without_loss_where_another_copy_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (config, store) = filled(folder.path(), 4);
    // It was killed: the index has everything, the journal too, and no checkpoint.
    assert_eq!(hosts(&config).len(), 4);
    flip(&segment(&store), 200);
    let (code, stdout, _) = run(&["store", "verify", "--store", &store]);
    assert_eq!(code, 3, "{stdout}");
    assert!(stdout.contains(".log is damaged at") && stdout.contains("  do     "), "{stdout}");
    assert!(stdout.contains("revision 4: 3 records"), "what can be read is counted: {stdout}");
    let (code, report, _) = json(&["store", "verify", "--store", &store]);
    assert_eq!((code, &report["ok"]), (3, &Value::Bool(false)));
    let (code, _, stderr) = run(&["store", "dump", "--store", &store]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("error[R-STO-08]"), "{stderr}");
    let (code, repaired, error) = json(&["store", "repair", "--store", &store]);
    if code == 0 {
        // sled had written it all before the kill.
        assert_eq!((&repaired["sound"], &repaired["lost"]), (&Value::Bool(true), &Value::Array(vec![])));
        assert!(repaired["set_aside"][0].as_str().unwrap().starts_with("damaged/"), "{repaired}");
        assert_eq!(hosts(&config).len(), 4);
    } else {
        assert_eq!((code, &error["error"]["code"]), (1, &"R-STO-08".into()), "{error}");
    }
}

#[test]
fn what_no_copy_has_is_named_and_only_given_up_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (config, store) = filled(folder.path(), 4);
    fs::remove_dir_all(Path::new(&store).join("index")).unwrap();
    let damaged = segment(&store);
    flip(&damaged, 200);
    let before = fs::read(&damaged).unwrap();
    let (code, _, stderr) = run(&["store", "repair", "--store", &store]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("error[R-STO-08]") && stderr.contains("after revision"), "{stderr}");
    assert!(stderr.contains("--accept-loss") && stderr.contains("restore a backup"), "{stderr}");
    assert_eq!(fs::read(&damaged).unwrap(), before, "a refusal changes nothing");
    let (code, stdout, _) = run(&["store", "repair", "--store", &store, "--accept-loss"]);
    assert_eq!(code, 0, "{stdout}");
    for part in ["lost     ", "aside    ", "damaged/", "result   revision", "all sound"] {
        assert!(stdout.contains(part), "no {part:?} in\n{stdout}");
    }
    assert_eq!(hosts(&config).len(), 3, "the other frames stand");
    let (code, _, _) = run(&["store", "verify", "--store", &store]);
    assert_eq!(code, 0);
}

#[test]
fn a_store_with_nothing_wrong_is_repaired_without_a_change_in_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (config, store) = filled(folder.path(), 2);
    let before = hosts(&config);
    let (code, stdout, stderr) = run(&["store", "repair", "--config", &config]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("result   revision ") && stdout.ends_with("all sound\n"), "{stdout}");
    assert_eq!(hosts(&config), before);
    assert!(Path::new(&store).join("ballast").exists());
}

#[test]
fn status_and_health_show_the_room_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ANY_PORT);
    // The quota is used up by what is there already.
    let other = folder.path().join("small.yaml").display().to_string();
    let text = fs::read_to_string(&config).unwrap();
    let path = folder.path().join("store").display().to_string();
    let limited = format!("store: {{ path: {path}, quota: 64KiB, ballast: 16KiB }}");
    fs::write(&other, text.replace(&format!("store: {{ path: {path} }}"), &limited)).unwrap();
    let socket = folder.path().join("admin.sock").display().to_string();
    {
        let _appliance = Appliance::start(&config);
        let (_, status, _) = json(&["status", "--socket", &socket]);
        assert_eq!(status["store"]["room"], "plenty", "{status}");
        let numbers = &status["store"]["numbers"];
        assert_eq!(
            (&numbers["quota_bytes"], &numbers["ballast_bytes"]),
            (&(1u64 << 30).into(), &(8u64 << 20).into())
        );
        assert!(numbers["used_bytes"].as_u64() >= Some(8 << 20), "{status}");
    }
    fs::write(Path::new(&path).join("something-else"), vec![7; 100_000]).unwrap();
    let _appliance = Appliance::start(&other);
    let (_, status, _) = json(&["status", "--socket", &socket]);
    assert_eq!(status["store"]["room"], "reserve", "{status}");
    assert!(status["store"]["reason"].as_str().unwrap().contains("quota of 64 KiB"), "{status}");
    let (code, _, stderr) = run(&["host", "add", "web01", "--mac", "52:54:00:00:00:01", "--socket", &socket]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("full"), "{stderr}");
    let (_, events, _) = run(&["events", "-o", "json", "--socket", &socket]);
    assert!(events.contains("store.room_low"), "{events}");
}
