//! The program as an operator meets it when something is wrong: every failure names the thing, the cause and the fix, and
//! has its exit code. No network: DHCP and TFTP are off, HTTP is on loopback.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

#[path = "cli/bundle.rs"]
mod bundle;
#[path = "cli/store.rs"]
mod store;
#[path = "cli/template.rs"]
mod template;

fn reveille(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reveille"));
    command.args(args).stdin(Stdio::null()).env_remove("REVEILLE_SOCKET").env("NO_COLOR", "1");
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = reveille(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A configuration that needs no right and no other network than loopback.
fn write_config(folder: &Path, more: &str) -> String {
    let file = folder.join("reveille.yaml");
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "version: 1\ninterfaces: [{{ name: lo }}]\ndhcp: {{ mode: \"off\" }}\ntftp: {{ enabled: false }}\n\
         admin: {{ socket: {} }}\nstore: {{ path: {} }}\nlibrary: {{ path: {} }}\nlog: {{ format: json, level: info }}\n{more}\n",
        at("admin.sock"),
        at("store"),
        at("library")
    );
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

const ANY_PORT: &str = "http: { listen: \"127.0.0.1:0\" }\nassets: { require: [] }";

/// A running appliance; ends with the test.
struct Appliance(Child);

impl Appliance {
    fn start(config: &str) -> Appliance {
        let mut child = reveille(&["serve", "--config", config]).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let mut lines = BufReader::new(stderr).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("server.ready"));
        assert!(ready, "the appliance ended before it was ready");
        // Keeps the pipe open and empty.
        std::thread::spawn(move || lines.for_each(drop));
        Appliance(child)
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_fault_of_a_configuration_is_reported_at_once_with_exit_3() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    fs::write(&file, "dhcp:\n  mode: servr\n  lease-time: 8h\nhttp: { listen: \":99999\" }\n").unwrap();
    let (code, _, stderr) = run(&["config", "check", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 3, "{stderr}");
    for part in ["2:9", "did you mean `server`?", "3:3", "unknown key `lease-time`", "4:17"] {
        assert!(stderr.contains(part), "no {part:?} in\n{stderr}");
    }
    assert_eq!(stderr.matches("error[R-CFG-").count(), 3, "{stderr}");
    let (code, stdout, _) = run(&["config", "check", "-o", "json", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(stdout.contains("\"R-CFG-03\""), "{stdout}");
}

#[test]
fn a_configuration_that_is_not_there_is_named_with_exit_2() {
    let (code, _, stderr) = run(&["serve", "--config", "/nonexistent/reveille.yaml"]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("error[R-CFG-00] cannot read configuration /nonexistent/reveille.yaml"),
        "{stderr}"
    );
    assert!(stderr.contains("  cause  ") && stderr.contains("  fix    "), "{stderr}");
}

#[test]
fn a_port_in_use_is_named_with_how_to_find_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let config = write_config(
        folder.path(),
        &format!("http: {{ listen: \"127.0.0.1:{port}\" }}\nassets: {{ require: [] }}"),
    );
    let (code, _, stderr) = run(&["serve", "--config", &config]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains(&format!("cannot listen for HTTP on 127.0.0.1:{port}")), "{stderr}");
    assert!(stderr.contains("in use") && stderr.contains(&format!("sport = :{port}")), "{stderr}");
}

#[test]
fn a_required_loader_that_is_missing_is_named_with_its_package() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("no-loaders")).unwrap();
    let assets = format!(
        "http: {{ listen: \"127.0.0.1:0\" }}\nassets: {{ paths: [{}], require: [bios] }}",
        folder.path().join("no-loaders").display()
    );
    let config = write_config(folder.path(), &assets);
    let (code, _, stderr) = run(&["serve", "--config", &config]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("error[R-AST-01] there is no loader for bios machines"), "{stderr}");
    assert!(stderr.contains("undionly.kpxe") && stderr.contains("apt-get install"), "{stderr}");
}

#[test]
fn a_store_that_cannot_be_opened_is_named_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ANY_PORT);
    fs::write(folder.path().join("store"), "not a folder").unwrap();
    let (code, _, stderr) = run(&["serve", "--config", &config]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("error[R-STO-03] cannot open the store"), "{stderr}");
    assert_eq!(fs::read_to_string(folder.path().join("store")).unwrap(), "not a folder");
}

#[test]
fn a_second_appliance_on_the_same_store_is_refused_with_exit_6() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ANY_PORT);
    let _first = Appliance::start(&config);
    let (code, _, stderr) = run(&["serve", "--config", &config]);
    assert_eq!(code, 6, "{stderr}");
    assert!(stderr.contains("another reveille uses it"), "{stderr}");
}

#[test]
fn without_an_appliance_commands_say_so_with_exit_8() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none.sock");
    let (code, stdout, stderr) = run(&["host", "list", "--socket", socket.to_str().unwrap()]);
    assert_eq!((code, stdout.as_str()), (8, ""));
    assert!(stderr.contains("not running") && stderr.contains("none.sock"), "{stderr}");
    let (code, _, stderr) = run(&["host", "list", "-o", "json", "--socket", socket.to_str().unwrap()]);
    assert_eq!(code, 8);
    assert!(stderr.starts_with("{\"error\":{"), "{stderr}");
}

#[test]
fn unknown_flags_are_usage_with_exit_2() {
    assert_eq!(run(&["host", "list", "--colour-of-magic"]).0, 2);
    assert_eq!(run(&["explain", "--mac", "52:54"]).0, 2);
    assert_eq!(run(&["explain"]).0, 2);
    let (code, stdout, stderr) = run(&["host", "list", "--colour-of-magic", "-o", "json"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let error: serde_json::Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(error["error"]["code"], "R-CLI-00", "{stderr}");
}

#[test]
fn one_identity_is_given_to_one_host_however_many_ask_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ANY_PORT);
    let socket = folder.path().join("admin.sock").display().to_string();
    let add = |number: usize, mac: String| {
        run(&["host", "add", &format!("web{number}"), "--mac", &mac, "--socket", &socket]).0
    };
    {
        let _appliance = Appliance::start(&config);
        let codes: Vec<i32> = std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..8).map(|number| scope.spawn(move || add(number, "52:54:00:00:00:02".into()))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
        // Changes that do not touch each other all count, and the catalog is that of the last.
        let codes: Vec<i32> = std::thread::scope(|scope| {
            let all: Vec<_> = (20..28)
                .map(|number| scope.spawn(move || add(number, format!("52:54:00:00:01:{number}"))))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(codes, [0; 8]);
        for number in 20..28 {
            let mac = format!("52:54:00:00:01:{number}");
            let (_, stdout, _) = run(&["explain", "--mac", &mac, "--socket", &socket]);
            assert!(stdout.contains(&format!("host `web{number}`")), "{stdout}");
        }
    }
    let _appliance = Appliance::start(&config);
}

#[test]
fn store_and_library_are_the_appliances_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ANY_PORT).replace("reveille.yaml", "moved.yaml");
    let text = fs::read_to_string(folder.path().join("reveille.yaml")).unwrap();
    fs::write(&config, text.replace("admin.sock", "run/admin.sock")).unwrap();
    let _appliance = Appliance::start(&config);
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["store", "library", "run", "run/admin.sock"].map(mode), [0o700, 0o700, 0o755, 0o660]);
}

#[test]
fn every_change_answers_in_json_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ANY_PORT);
    let socket = folder.path().join("admin.sock").display().to_string();
    let _appliance = Appliance::start(&config);
    for args in [
        &["host", "add", "web01", "--mac", "52:54:00:00:00:01"][..],
        &["host", "set", "web01", "--mac", "52:54:00:00:00:01"],
        &["host", "get", "web01"],
        &["host", "rm", "web01"],
        &["host", "list"],
        &["image", "list"],
        &["lease", "list"],
        &["boot", "list"],
        &["explain", "--mac", "52:54:00:00:00:01"],
        &["status"],
        &["version"],
    ] {
        let (code, stdout, stderr) = run(&[args, &["-o", "json", "--socket", &socket]].concat());
        assert_eq!(code, 0, "{args:?} {stderr}");
        assert!(serde_json::from_str::<serde_json::Value>(&stdout).is_ok(), "{args:?} {stdout:?} {stderr}");
    }
    let (code, stdout, stderr) = run(&["host", "rm", "web01", "-o", "json", "--socket", &socket]);
    assert_eq!((code, stdout.as_str()), (5, ""));
    assert!(serde_json::from_str::<serde_json::Value>(&stderr).is_ok(), "{stderr}");
}

#[test]
fn hosts_are_added_changed_refused_explained_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(
        folder.path(),
        &format!(
            "{ANY_PORT}\nresources:\n  hosts: [{{ name: fixed, match: {{ mac: \"52:54:00:00:00:01\" }} }}]"
        ),
    );
    let socket = folder.path().join("admin.sock").display().to_string();
    let call = |args: &[&str]| run(&[args, &["--socket", &socket]].concat());
    {
        let _appliance = Appliance::start(&config);
        assert_eq!(call(&["host", "add", "web02", "--mac", "52-54-00-00-00-02"]).0, 0);
        assert_eq!(call(&["host", "add", "web02", "--mac", "52:54:00:00:00:09"]).0, 6, "it exists");
        let (code, _, stderr) = call(&["host", "add", "web03", "--mac", "52:54:00:00:00:02"]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("`web02` and `web03` both claim MAC 52:54:00:00:00:02"), "{stderr}");
        let (code, _, stderr) = call(&["host", "rm", "fixed"]);
        assert_eq!(code, 6, "{stderr}");
        assert!(stderr.contains("owned by") && stderr.contains("reveille.yaml:12"), "{stderr}");
        assert_eq!(call(&["host", "get", "nobody"]).0, 5);
        assert_eq!(call(&["host", "set", "web02", "--kernel-arg", "quiet"]).0, 0);
        let (_, _, stderr) = call(&["host", "set", "web02", "--kernel-arg", "quiet"]);
        assert!(stderr.contains("unchanged"), "{stderr}");
        assert_eq!(call(&["host", "add", "web04", "--mac", "52:54:00:00:00:04", "--dry-run"]).0, 0);
    }
    let _appliance = Appliance::start(&config);
    let (code, stdout, _) = call(&["host", "list", "-o", "json"]);
    assert_eq!(code, 0);
    let list: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|host| host["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["fixed", "web02"]);
    let (code, stdout, _) = call(&["explain", "--mac", "52:54:00:00:00:02", "--firmware", "bios"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("host `web02` by mac 52:54:00:00:00:02"), "{stdout}");
}

#[test]
fn what_firmware_an_image_does_not_boot_on_is_said_by_import_get_and_explain() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ANY_PORT);
    let socket = folder.path().join("admin.sock").display().to_string();
    let call = |args: &[&str]| run(&[args, &["--socket", &socket]].concat());
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("tool.efi"), "a program").unwrap();
    let _appliance = Appliance::start(&config);
    let import = ["image", "import", files.to_str().unwrap(), "--name", "tool", "--kind", "efi"];
    let (code, stdout, stderr) = call(&[&import[..], &["--efi", "tool.efi"]].concat());
    assert_eq!(code, 0, "{stderr}");
    let note = "BIOS machines do not boot it";
    assert!(stdout.contains(note), "{stdout}");
    let (_, stdout, _) = call(&["image", "get", "tool"]);
    let image: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert!(image["notes"][0].as_str().unwrap().contains(note), "{image}");
    let mac = ["--mac", "52:54:00:00:00:01"];
    let image = ["--image", "tool"];
    assert_eq!(call(&[&["host", "add", "web01"][..], &mac, &image].concat()).0, 0);
    for (firmware, noted) in [("bios", true), ("uefi-x64", false)] {
        let explain = [&["explain"][..], &mac, &["--firmware", firmware]].concat();
        let (_, stdout, _) = call(&explain);
        assert_eq!(stdout.contains(&format!("notes        {note}")), noted, "{stdout}");
        let (_, stdout, _) = call(&[&explain[..], &["-o", "json"]].concat());
        let answer: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        let notes = answer["notes"].as_array().cloned().unwrap_or_default();
        assert_eq!(notes.iter().any(|own| own.as_str().unwrap().contains(note)), noted, "{answer}");
    }
}

#[test]
fn the_files_of_an_image_that_the_configuration_describes_are_imported_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(
        folder.path(),
        &format!(
            "{ANY_PORT}\nresources:\n  images: [{{ name: tiny, kind: linux, kernel: k, cmdline: quiet }}]"
        ),
    );
    let socket = folder.path().join("admin.sock").display().to_string();
    let call = |args: &[&str]| run(&[args, &["--socket", &socket]].concat());
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("k"), "kernel").unwrap();
    let tiny = |fault: bool| {
        let (_, stdout, _) = call(&["image", "get", "tiny"]);
        let image: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(image.get("fault").is_some(), fault, "{image}");
        assert_eq!(image["cmdline"], "quiet", "the profile stays the file's");
        assert!(image["managed_by"].as_str().unwrap().starts_with("file:"), "{image}");
    };
    {
        let _appliance = Appliance::start(&config);
        tiny(true);
        let (code, _, stderr) = call(&["image", "import", files.to_str().unwrap(), "--name", "tiny"]);
        assert_eq!(code, 0, "{stderr}");
        tiny(false);
    }
    let _appliance = Appliance::start(&config);
    tiny(false);
}

#[test]
fn versions_of_an_image_are_kept_pinned_rolled_back_pruned_verified_and_carried_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ANY_PORT);
    let socket = folder.path().join("admin.sock").display().to_string();
    let call = |args: &[&str]| run(&[args, &["--socket", &socket]].concat());
    let done = |args: &[&str]| {
        let (code, stdout, stderr) = call(args);
        assert_eq!(code, 0, "{args:?}: {stdout}{stderr}");
        stdout
    };
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    let import = |kernel: &str| {
        fs::write(files.join("k"), kernel).unwrap();
        let files = files.to_str().unwrap();
        done(&[
            "image",
            "import",
            files,
            "--name",
            "tiny",
            "--kernel",
            "k",
            "--cmdline",
            kernel,
            "--new-version",
        ]);
        let image: serde_json::Value = serde_json::from_str(&done(&["image", "get", "tiny"])).unwrap();
        assert_eq!(image["cmdline"], kernel);
        image["version"].as_str().unwrap().to_owned()
    };
    let _appliance = Appliance::start(&config);
    let ids = ["one", "two", "three", "four"].map(import);
    done(&["image", "tag", "tiny", "stable", "--version", &ids[1]]);
    let by_tag = "tiny@stable";
    done(&["host", "add", "web01", "--mac", "52:54:00:00:00:01", "--image", by_tag]);
    let by_id = format!("tiny@{}", ids[0]);
    done(&["host", "add", "web02", "--mac", "52:54:00:00:00:02", "--image", &by_id]);
    let boots = |mac: &str| {
        let text = done(&["explain", "--mac", mac, "--firmware", "bios", "-o", "json"]);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert_eq!(boots("52:54:00:00:00:01")["image"], format!("tiny@{}", ids[1]));
    assert_eq!(boots("52:54:00:00:00:02")["image"], by_id);
    assert!(done(&["image", "list"]).contains(&ids[3]));

    let rolled = done(&["image", "rollback", "tiny"]);
    assert_eq!(rolled, format!("current  tiny@{}\n", ids[2]));
    assert!(done(&["image", "get", "tiny"]).contains(r#""cmdline": "three""#));
    assert!(done(&["image", "rollback", "tiny", "--to", &ids[2][..6]]).starts_with("unchanged"));
    let (code, _, stderr) = call(&["image", "rollback", "tiny", "--to", "gone"]);
    assert!(code == 5 && stderr.contains("R-IMG-09") && stderr.contains(&ids[0]), "{stderr}");

    let pruned = done(&["image", "prune", "--keep", "1", "--dry-run"]);
    assert!(pruned.contains(&ids[3]) && !pruned.contains(&ids[0]), "{pruned}");
    let pruned = done(&["image", "prune", "--keep", "1"]);
    assert!(pruned.contains(&ids[3]) && pruned.contains("in 1 files"), "{pruned}");
    let (code, _, stderr) = call(&["image", "untag", "tiny", "stable"]);
    assert!(code == 6 && stderr.contains("web01"), "{stderr}");
    let (code, _, stderr) = call(&["image", "rm", "tiny"]);
    assert!(code == 6 && stderr.contains("web01, web02"), "{stderr}");

    let tar = folder.path().join("tiny.tar");
    let tar = tar.to_str().unwrap();
    done(&["image", "export", by_tag, tar]);
    assert!(done(&["image", "verify"]).contains("all sound"));
    done(&["image", "rm", "tiny", "--force"]);
    let gone = boots("52:54:00:00:00:01");
    assert_eq!((gone["boots"].as_str(), gone["reason"].as_str()), (Some("nothing"), Some("image_missing")));
    done(&["image", "import", tar]);
    let image: serde_json::Value = serde_json::from_str(&done(&["image", "get", "tiny"])).unwrap();
    assert_eq!((image["version"].as_str(), image["cmdline"].as_str()), (Some(ids[1].as_str()), Some("two")));
    // The tag did not travel: a version that is gone is never replaced by another.
    assert_eq!(boots("52:54:00:00:00:01")["reason"], "image_missing");
    done(&["host", "set", "web01", "--image", "tiny"]);
    assert_eq!(boots("52:54:00:00:00:01")["image"], "tiny");

    let blobs = fs::read_dir(folder.path().join("library/blobs/sha256")).unwrap();
    for blob in blobs.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap()) {
        fs::remove_file(blob.unwrap().path()).unwrap();
    }
    let (code, stdout, _) = call(&["image", "verify", "tiny"]);
    assert!(code == 3 && stdout.contains("/k  blob"), "{stdout}");
    assert!(done(&["events"]).contains("image.verify_failed"));
    let (code, _, stderr) = call(&["image", "export", "tiny", tar]);
    assert!(code != 0 && stderr.contains("R-IMG-11"), "{stderr}");
}
