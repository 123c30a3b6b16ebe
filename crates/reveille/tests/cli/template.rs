//! `reveille template …` and `reveille passwd`: no appliance, no network.

use super::{reveille, run};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn example() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/templates/reveille.yaml");
    file.display().to_string()
}

#[test]
fn templates_are_listed_shown_and_rendered_from_the_configuration() {
    let config = example();
    let (code, stdout, stderr) = run(&["template", "list", "-c", &config]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(
        stdout.lines().any(|line| line.starts_with("esxi ") && line.contains("esxi-kickstart")),
        "{stdout}"
    );

    let (code, stdout, _) = run(&["template", "show", "note", "-c", &config]);
    assert_eq!(
        (code, stdout.as_str()),
        (0, "{{ host.name }} boots {{ image.name }} from {{ server.http }}\n")
    );

    let (code, stdout, stderr) = run(&["template", "render", "esxi", "--host", "esx-1", "-c", &config]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("--ip=192.0.2.11 ") && stdout.contains("--vlanid=120\n"), "{stdout}");
    assert!(stderr.contains("warning esxi, rendered line") && stderr.contains("Secure Boot"), "{stderr}");

    let (code, stdout, _) =
        run(&["template", "render", "note", "--host", "esx-2", "--image", "cloud", "-c", &config]);
    assert_eq!((code, stdout.as_str()), (0, "esx-2 boots cloud from http://192.0.2.1\n"));

    let (code, stdout, _) =
        run(&["template", "render", "photon", "--host", "photon-1", "-c", &config, "-o", "json"]);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &document["image"], &document["findings"]),
        (0, &"photon-5".into(), &serde_json::json!([]))
    );
}

fn example_of(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).join("reveille.yaml");
    file.display().to_string()
}

#[test]
fn groups_and_rules_count_for_templates_as_they_do_for_machines() {
    let bundles = example_of("bundles");
    // The group names the bundle: its scripts are in the section of the template that is for them.
    let (code, stdout, stderr) = run(&["template", "render", "rocky", "--host", "web-1", "-c", &bundles]);
    assert_eq!(code, 0, "{stderr}");
    let post = stdout.split_once("\n%post").map(|(_, post)| post);
    assert!(post.is_some_and(|post| post.contains("/bundle/bundle.sh")), "{stdout}");
    // A rule does.
    let (code, stdout, stderr) = run(&["template", "render", "cloud", "--host", "cloud-1", "-c", &bundles]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("hostname: cloud-1\n") && stdout.contains("/bundle/bundle.sh"), "{stdout}");
    for name in ["rocky", "cloud"] {
        let (code, stdout, stderr) = run(&["template", "lint", name, "-c", &bundles]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    }

    // Image and parameters are the group's.
    let rollout = example_of("rollout");
    let (code, stdout, stderr) =
        run(&["template", "render", "esxi", "--host", "esx-r12-01", "-c", &rollout, "-o", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(document["image"], "esxi-8-install", "{document:#}");
    let text = document["text"].as_str().unwrap();
    assert!(text.contains("--server=10.4.12.1 ") || text.contains("--server='10.4.12.1' "), "{text}");
    let (code, stdout, stderr) = run(&["template", "list", "-c", &rollout, "-o", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(document["items"][0]["hosts"], 3, "{document:#}");
}

#[test]
fn what_a_host_lacks_is_told_with_exit_3_and_nothing_is_printed() {
    let (code, stdout, stderr) = run(&["template", "render", "esxi", "--host", "photon-1", "-c", &example()]);
    assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
    assert!(stderr.contains("`params.ntp` is missing: host `photon-1` lacks it"), "{stderr}");
    assert!(stderr.contains("set params.ntp on host `photon-1`"), "{stderr}");
}

#[test]
fn a_template_host_or_image_that_is_not_there_is_exit_5() {
    let config = example();
    for words in [
        ["template", "show", "none", "-c", &config].as_slice(),
        &["template", "render", "none", "--host", "esx-1", "-c", &config],
        &["template", "render", "esxi", "--host", "none", "-c", &config],
        &["template", "render", "esxi", "--host", "esx-1", "--image", "none", "-c", &config],
        &["template", "lint", "none", "-c", &config],
        &["template", "lint", "./none.ks"],
    ] {
        let (code, _, stderr) = run(words);
        assert_eq!(code, 5, "{words:?}: {stderr}");
        assert!(stderr.contains("none"), "{stderr}");
    }
}

#[test]
fn lint_looks_at_files_and_at_templates_with_their_hosts() {
    let (code, stdout, stderr) =
        run(&["template", "lint", "esxi", "--secure-boot", "false", "--esxi", "8", "-c", &example()]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "esxi: ok (esxi-kickstart)\n", ""));
    let (code, _, stderr) = run(&["template", "lint", "esxi", "--secure-boot", "true", "-c", &example()]);
    assert_eq!(code, 3, "{stderr}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.ks").display().to_string();
    fs::write(&file, "accepteula\ninstall --firstdsk\nrootpw --iscrypted {{ params.hash }}\nnetwork --vlanid={{ params.vlan | uper }}\n").unwrap();
    let (code, stdout, stderr) = run(&["template", "lint", &file]);
    assert_eq!(code, 3);
    assert!(stdout.ends_with("mine.ks: 2 findings (esxi-kickstart)\n"), "{stdout}");
    assert!(stderr.contains("mine.ks:2: `install` has no option `--firstdsk`"), "{stderr}");
    assert!(stderr.contains("mine.ks:4: there is no filter `uper`"), "{stderr}");
    let (code, stdout, _) = run(&["template", "lint", &file, "--kind", "text", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, document["findings"].as_array().unwrap().len()), (3, 1));
}

#[test]
fn check_reads_the_files_that_templates_name() {
    let (code, stdout, stderr) = run(&["check", "-f", &example(), "--strict"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("reveille.yaml");
    fs::write(&config, "resources: { templates: [{ name: a, kind: text, file: sub/a.txt }] }\n").unwrap();
    let config = config.display().to_string();
    let (code, _, stderr) = run(&["check", "-f", &config]);
    assert_eq!(code, 3);
    assert!(
        stderr.contains("cannot read template file `sub/a.txt`") && stderr.contains("No such file"),
        "{stderr}"
    );
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/a.txt"), "one\n{{ hots.name }}\n").unwrap();
    let (code, _, stderr) = run(&["check", "-f", &config]);
    assert_eq!(code, 3);
    assert!(stderr.contains("sub/a.txt:2:4"), "{stderr}");
    fs::write(folder.path().join("sub/a.txt"), "x".repeat(300 * 1024)).unwrap();
    let (code, _, stderr) = run(&["check", "-f", &config]);
    assert_eq!(code, 3);
    assert!(stderr.contains("more than 262144 bytes"), "{stderr}");
}

fn passwd(input: &str, words: &[&str]) -> (i32, String, String) {
    let mut command = reveille(&["passwd"]);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The hash of a password under the setting of another hash, as another program works it out; none where it is missing.
fn again(tool: &str, password: &str, hash: &str) -> Option<String> {
    let mut command = match tool {
        "perl" => {
            let mut command = Command::new("perl");
            command.args(["-e", "print crypt($ARGV[0], $ARGV[1])", password, hash]);
            command
        }
        _ => {
            // Its salt may have the rounds in front.
            let setting = hash.strip_prefix("$6$")?.rsplit_once('$')?.0;
            let mut command = Command::new("openssl");
            command.args(["passwd", "-6", "-salt", setting, password]);
            command
        }
    };
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn the_hash_of_passwd_is_one_that_other_programs_accept() {
    let mut tried = 0;
    for password in ["VMware1!", "a", "mit Leerzeichen und ä", &"long ".repeat(40)] {
        let (code, stdout, stderr) = passwd(&format!("{password}\n"), &["--stdin"]);
        assert_eq!(code, 0, "{stderr}");
        let hash = stdout.trim();
        assert!(hash.starts_with("$6$"), "{hash}");
        assert_eq!(hash.split('$').rev().nth(1).map(str::len), Some(16), "{hash}");
        for tool in ["perl", "openssl"] {
            match again(tool, password, hash) {
                Some(other) => {
                    assert_eq!(other, hash, "{tool} with {password:?}");
                    tried += 1;
                }
                None => eprintln!("SKIPPED: {tool} is not there"),
            }
        }
    }
    let required = std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_some();
    assert!(tried > 0 || !required, "neither perl nor openssl is there");
    let (_, first, _) = passwd("same\n", &["--stdin"]);
    let (_, second, _) = passwd("same\n", &["--stdin"]);
    assert_ne!(first, second, "the salt is not random");
}

#[test]
fn passwd_takes_no_password_that_it_cannot_ask_for() {
    let (code, stdout, stderr) = passwd("secret\n", &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("--stdin"), "{stderr}");
    let (code, _, stderr) = passwd("\n", &["--stdin"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("it is empty"), "{stderr}");
    let (code, _, _) = passwd("", &["secret"]);
    assert_eq!(code, 2, "a password was taken as an argument");
}
