//! Scripts through the real shells of this machine: what a value is, it is still behind them.

use super::*;
use crate::template::Values;
use proptest::prelude::*;
use std::process::{Command, Stdio};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn bundle(own: &str, scripts: &[(&str, &str)]) -> Arc<Bundle> {
    let scripts = scripts.iter().map(|(own, text)| Script::new(name(own), *text)).collect();
    Arc::new(Bundle { name: name(own), deliver: Default::default(), scripts, description: String::new() })
}

fn with(params: &[(&str, &str)]) -> Values {
    let params = params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Values { host: Some("web01".to_owned()), params, ..Values::default() }
}

/// Shells that are here. One that is missing is told loudly, and fails with `REVEILLE_REQUIRE_TOOLS=1`.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [vec!["/bin/sh"], vec!["/bin/dash"], vec!["/bin/busybox", "sh"], vec!["/bin/bash"]];
    let here = |shell: &Vec<&str>| {
        let here = std::path::Path::new(shell[0]).exists();
        if !here {
            assert!(std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_none(), "{} is not installed", shell[0]);
            eprintln!("SKIPPED, tools are missing: {}", shell[0]);
        }
        here
    };
    let shells: Vec<_> = all.into_iter().filter(here).collect();
    assert!(!shells.is_empty(), "no shell was tried");
    shells
}

/// Runs a text from a file, as the runner is, without anybody to tell. What it printed, what it complained of, its status.
fn run(shell: &[&str], text: &str) -> (String, String, i32) {
    let folder = std::env::temp_dir().join(format!(
        "reveille-bundle-test-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("runner.sh");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg(&file).stdin(Stdio::null()).env("TMPDIR", &folder);
    let output = command.output().unwrap();
    // It takes its own folder away again.
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["runner.sh"], "{shell:?}");
    std::fs::remove_dir_all(&folder).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

/// Without a client nobody is told and nothing waits: `curl` and `wget` are taken out of its reach.
fn mute(runner: &str) -> String {
    let looks = "if command -v curl >/dev/null 2>&1; then";
    assert!(runner.contains(looks));
    runner.replace("command -v curl", "false").replace("command -v wget", "false")
}

#[test]
fn a_value_in_a_shell_script_is_one_plain_word_or_quoted() {
    let hostile = "x'; touch /never; echo \"$(reboot)\" `id`\nsecond # line \\";
    let refused =
        render([&bundle("base", &[("motd", "echo {{ params.motd }}\n")])], &with(&[("motd", hostile)]));
    let fault = refused.unwrap_err();
    assert!(
        fault.to_string().starts_with("bundle `base`, script `motd`, line 1: a shell would take"),
        "{fault}"
    );
    assert!(fault.fix().unwrap().contains("| quote"), "{fault:?}");
    assert!(!fault.to_string().contains("reboot"), "no value in a fault");
    let plain =
        render([&bundle("base", &[("ntp", "ntpdate {{ params.ntp }}\n")])], &with(&[("ntp", "10.0.0.1")]));
    assert_eq!(plain.unwrap()[0].text, "ntpdate 10.0.0.1\n");
    let quoted = bundle("base", &[("motd", "printf %s {{ params.motd | quote }}\n")]);
    let scripts = render([&quoted], &with(&[("motd", hostile)])).unwrap();
    for shell in shells() {
        let (said, _, status) =
            run(&shell, &mute(&runner("http://192.0.2.1/b/0/bundle", &scripts, Place::Inside)));
        assert_eq!(
            (said.as_str(), status),
            (format!("reveille: bundle base/motd\n{hostile}").as_str(), 0),
            "{shell:?}"
        );
    }
}

#[test]
fn what_is_missing_is_a_fault_that_names_it_and_its_place() {
    let wanted = bundle("base", &[("one", "true\n"), ("two", "true\necho {{ params.ntp }}\n")]);
    let fault = render([&wanted], &with(&[])).unwrap_err();
    assert!(
        fault.to_string().starts_with("bundle `base`, script `two`, line 2: `params.ntp` is missing"),
        "{fault}"
    );
    let carried = compile(&name("base"), &Script::new(name("self"), "{{ bundles.run }}")).unwrap_err();
    assert!(carried.to_string().contains("there is no variable `bundles.run`"), "{carried}");
}

#[test]
fn other_interpreters_take_values_as_they_are() {
    let mut script = Script::new(name("py"), "print({{ params.motd | json }})\n");
    script.interpreter = "/usr/bin/python3 -u".to_owned();
    let wanted = Arc::new(Bundle { scripts: vec![script], ..Bundle::clone(&bundle("base", &[])) });
    let scripts = render([&wanted], &with(&[("motd", "it's \"so\"\n")])).unwrap();
    assert_eq!(scripts[0].text, "print(\"it's \\\"so\\\"\\n\")\n");
}

#[test]
fn scripts_run_in_their_order_and_a_failure_stops_them_or_does_not() {
    let mut wanted = Bundle::clone(&bundle(
        "base",
        &[("one", "echo 1; exit 7\n"), ("two", "echo 2; exit 3\n"), ("three", "echo 3\n")],
    ));
    wanted.scripts[0].on_failure = OnFailure::Continue;
    let after = bundle("after", &[("four", "echo 4\n")]);
    let rendered = |wanted: &Bundle| render([&Arc::new(wanted.clone()), &after], &with(&[])).unwrap();
    for shell in shells() {
        let stopped = mute(&runner("http://192.0.2.1/b/0/bundle", &rendered(&wanted), Place::Inside));
        let (said, complained, status) = run(&shell, &stopped);
        assert_eq!(said, "reveille: bundle base/one\n1\nreveille: bundle base/two\n2\n", "{shell:?}");
        assert_eq!(status, 3, "{shell:?}");
        assert!(complained.contains("neither curl nor wget"), "{complained}");
        assert!(complained.contains("base/one failed with status 7"), "{complained}");
        let mut lenient = wanted.clone();
        lenient.scripts[1].on_failure = OnFailure::Continue;
        let whole = mute(&runner("http://192.0.2.1/b/0/bundle", &rendered(&lenient), Place::Inside));
        let (said, _, status) = run(&shell, &whole);
        assert!(said.ends_with("base/three\n3\nreveille: bundle after/four\n4\n"), "{said}");
        assert_eq!(status, 0, "{shell:?}");
    }
}

#[test]
fn a_script_that_takes_too_long_is_stopped_where_there_is_timeout() {
    let mut wanted = Bundle::clone(&bundle("base", &[("slow", "echo begun; exec sleep 600\n")]));
    wanted.scripts[0].timeout_secs = Some(1);
    let scripts = render([&Arc::new(wanted)], &with(&[])).unwrap();
    for shell in shells() {
        let (said, _, status) =
            run(&shell, &mute(&runner("http://192.0.2.1/b/0/bundle", &scripts, Place::Inside)));
        assert!(said.starts_with("reveille: bundle base/slow\nbegun\n"), "{shell:?}: {said}");
        assert_eq!(status, 124, "{shell:?}");
    }
}

#[test]
fn inside_another_script_it_ends_itself_only() {
    let scripts = render([&bundle("base", &[("fails", "exit 9\n")])], &with(&[])).unwrap();
    let around = format!("set -e\nbefore=1\n{}", mute(&inline("http://192.0.2.1/b/0/bundle", &scripts)));
    let around = around.trim_end().to_owned() + " || status=$?\necho \"$before $status\"\n";
    for shell in shells() {
        let (said, ..) = run(&shell, &around);
        assert!(said.ends_with("1 9\n"), "{shell:?}: {said}");
    }
}

#[test]
fn limits_hold() {
    let many: Vec<Arc<Bundle>> = (0..=limits::BUNDLES_MAX).map(|at| bundle(&format!("b{at}"), &[])).collect();
    assert_eq!(render(&many, &with(&[])), Err(BundleFault::TooManyBundles(17)));
    let names: Vec<String> = (0..32).map(|at| format!("s{at}")).collect();
    let scripts: Vec<(&str, &str)> = names.iter().map(|own| (own.as_str(), "true\n")).collect();
    let five: Vec<Arc<Bundle>> = (0..5).map(|at| bundle(&format!("b{at}"), &scripts)).collect();
    assert_eq!(render(&five, &with(&[])), Err(BundleFault::TooMany(160)));
    let large = "x".repeat(SCRIPT_BYTES_MAX + 1);
    assert!(
        compile(&name("a"), &Script::new(name("s"), large)).unwrap_err().to_string().contains("65537 bytes")
    );
    let loops = "{% for i in range(9000) %}0123456789012345678901234567890123456789{% endfor %}";
    let some: Vec<(&str, &str)> = names.iter().take(3).map(|own| (own.as_str(), loops)).collect();
    assert!(matches!(render([&bundle("big", &some)], &with(&[])), Err(BundleFault::TooLarge(_))));
    assert!(compile(&name("a"), &Script::new(name("s"), "a\0b")).is_err());
}

#[test]
fn the_line_that_runs_it_has_no_quotes() {
    let line = run_line("http://192.0.2.1:8080/b/0123/bundle/bundle.sh");
    assert!(!line.contains(['\'', '"', '\n', '`']) && !line.contains(": "), "{line}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever a script's lines are, the file that the runner makes of them has the same.
    #[test]
    fn any_text_comes_out_as_it_went_in(text in "([ -~\t]{0,12}\n|[.]\n|'\n|:[.]\n|%end\n|\\$\\(id\\)\n){0,8}") {
        let scripts = [Rendered {
            bundle: name("base"),
            name: name("one"),
            text: text.clone(),
            interpreter: "/bin/cat".to_owned(),
            timeout_secs: 0,
            on_failure: OnFailure::Stop,
        }];
        let (said, _, status) = run(&["/bin/sh"], &mute(&runner("http://192.0.2.1/b/0", &scripts, Place::Inside)));
        prop_assert_eq!(said, format!("reveille: bundle base/one\n{text}"));
        prop_assert_eq!(status, 0);
        // Nor does any line of it begin a section of a kickstart.
        let inside = inline("http://192.0.2.1/b/0", &scripts);
        prop_assert!(!inside.lines().any(|line| line.starts_with('%')));
    }

    /// A quoted value is one word with the same bytes, whatever it is.
    #[test]
    fn any_quoted_value_is_itself_behind_the_shell(value in "[^\0]{0,40}") {
        let wanted = bundle("base", &[("v", "printf %s {{ params.v | quote }}\n")]);
        let scripts = render([&wanted], &with(&[("v", &value)])).unwrap();
        let (said, _, status) = run(&["/bin/sh"], &mute(&runner("http://192.0.2.1/b/0", &scripts, Place::Inside)));
        prop_assert_eq!(said, format!("reveille: bundle base/v\n{value}"));
        prop_assert_eq!(status, 0);
    }
}

/// What carries bundles, in every kind of answer file.
#[test]
fn an_answer_file_names_or_holds_the_bundles_in_the_way_of_its_kind() {
    let scripts = render([&bundle("base", &[("ntp", "echo '%end'\n%packages\n")])], &with(&[])).unwrap();
    let url = "http://192.0.2.1/b/0/bundle";
    let mut values = with(&[]);
    values.bundles = Some(crate::template::BundleValues {
        names: "base".to_owned(),
        url: format!("{url}/bundle.sh"),
        run: run_line(&format!("{url}/bundle.sh")),
        inline: inline(url, &scripts),
    });
    let rendered =
        |kind, text: &str, values: &Values| template::compile("a", kind, text).unwrap().render(values);
    let run = "{% if bundles.run is defined %}\nX {{ bundles.run }}\n{% endif %}\n";
    use TemplateKind::{EsxiKickstart, Json, Kickstart, Preseed, Shell, Text, Unattend, UserData};
    for kind in [EsxiKickstart, Kickstart, Preseed, Shell, Text] {
        let text = rendered(kind, run, &values).unwrap();
        assert_eq!(text, format!("X {}\n", run_line(&format!("{url}/bundle.sh"))), "{kind:?}");
        assert_eq!(rendered(kind, run, &with(&[])).unwrap(), "", "a machine without bundles");
    }
    let seed = rendered(UserData, "runcmd:\n  - {{ bundles.run }}\n", &values).unwrap();
    assert!(seed.starts_with("runcmd:\n  - ( f=$(mktemp)"), "{seed}");
    assert!(rendered(Unattend, "<a>{{ bundles.run }}</a>", &values).unwrap().contains("&amp;&amp; sh"));
    for kind in [EsxiKickstart, Kickstart, Shell, Text] {
        let text = rendered(kind, "%post\n{{ bundles.inline }}\n%end\n", &values).unwrap();
        assert!(text.contains("\n:%packages\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with('%')).collect::<Vec<_>>(), ["%post", "%end"]);
    }
    assert!(rendered(Preseed, "d-i x string {{ bundles.inline }}\n", &values).is_err(), "it would add lines");
    let json = rendered(Json, "{\"postinstall\": [{{ bundles.inline | json }}]}", &values).unwrap();
    assert!(json.contains("\\n:%packages\\n"), "{json}");
    let missing = rendered(Kickstart, "{{ bundles.run }}", &with(&[])).unwrap_err();
    assert_eq!(missing.variable.as_deref(), Some("bundles.run"));
}

/// `wget` as there are three of: what is told goes as a file, as a word, or not at all but for its name.
#[test]
fn a_status_is_told_by_whatever_form_of_wget_is_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let scripts = render([&bundle("base", &[("fails", "echo 'last words'; exit 5\n")])], &with(&[])).unwrap();
    let url = "http://192.0.2.1/b/0/bundle";
    let runner = runner(url, &scripts, Place::Inside).replace("command -v curl", "false");
    for (help, wanted) in [
        (
            "--tries=NUMBER --post-file=FILE --post-data=STRING",
            vec!["-q -T 20 --tries=1 -O /dev/null --post-file=", "last words"],
        ),
        ("[--header STR] [--post-data STR] URL", vec!["-q -T 20 -O /dev/null --post-data=last words http"]),
        ("wget [-cqS] [-O FILE] URL", vec!["-q -T 20 -O /dev/null http"]),
    ] {
        let folder = std::env::temp_dir().join(format!("reveille-bundle-wget-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (wget, log) = (folder.join("wget"), folder.join("log"));
        let own = format!(
            "#!/bin/sh\n[ \"$1\" != --help ] || {{ echo '{help}' >&2; exit 1; }}\necho \"$*\" >>{log}\n\
             for word; do case $word in --post-file=*) cat \"${{word#*=}}\" >>{log} ;; esac; done\n",
            log = log.display()
        );
        std::fs::write(&wget, own).unwrap();
        std::fs::set_permissions(&wget, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.join("runner.sh"), &runner).unwrap();
        // Busybox's shell would take its own.
        for shell in shells().into_iter().filter(|shell| shell.len() == 1) {
            let _ = std::fs::remove_file(&log);
            let mut command = Command::new(shell[0]);
            command.args(&shell[1..]).arg(folder.join("runner.sh"));
            let path = format!("{}:/usr/bin:/bin", folder.display());
            let output = command.env("PATH", path).stdin(Stdio::null()).output().unwrap();
            let complained = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(5), "{complained}");
            let told = std::fs::read_to_string(&log).unwrap_or_else(|_| panic!("{shell:?}: {complained}"));
            assert!(told.contains(&format!("{url}/base/fails/started\n")), "{told}");
            assert!(told.contains(&format!("{url}/base/fails/exit-5\n")), "{told}");
            assert!(wanted.iter().all(|wanted| told.contains(wanted)), "{shell:?}, {help}: {told}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// Nobody listens: it is said once more and then no more, and everything runs all the same.
#[test]
fn a_machine_that_can_tell_nobody_runs_everything() {
    let scripts = render([&bundle("base", &[("one", "echo 1\n"), ("two", "echo 2\n")])], &with(&[])).unwrap();
    let deaf = runner("http://127.0.0.1:1/b/0/bundle", &scripts, Place::Inside);
    let (said, complained, status) = run(&["/bin/sh"], &deaf.replace("sleep 1", "sleep 0"));
    assert_eq!((said.as_str(), status), ("reveille: bundle base/one\n1\nreveille: bundle base/two\n2\n", 0));
    let clients = ["/usr/bin/curl", "/usr/bin/wget"].iter().any(|path| std::path::Path::new(path).exists());
    let wanted = if clients { "nobody could be told base/one/started" } else { "neither curl nor wget" };
    assert!(complained.contains(wanted), "{complained}");
}

/// The tries of a stand-in for `curl` that gets through at those with these numbers only, and what the runner complained of.
fn tries(scripts: &[Rendered], shell: &[&str], own: &str, through: &[usize]) -> (Vec<String>, String) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = std::env::temp_dir().join(format!("reveille-bundle-curl-{}-{own}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (curl, log) = (folder.join("curl"), folder.join("log"));
    let numbers: Vec<String> = through.iter().map(ToString::to_string).collect();
    let text = format!(
        "#!/bin/sh\nfor word; do :; done\necho \"$word\" >>{log}\n\
         case \" {numbers} \" in *\" $(($(wc -l <{log}))) \"*) exit 0 ;; esac\necho 'timed out' >&2\nexit 28\n",
        log = log.display(),
        numbers = numbers.join(" ")
    );
    std::fs::write(&curl, text).unwrap();
    std::fs::set_permissions(&curl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = runner("http://192.0.2.1/b/0/bundle", scripts, Place::Inside).replace("sleep 1", "sleep 0");
    std::fs::write(folder.join("runner.sh"), text).unwrap();
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg(folder.join("runner.sh"));
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let output = command.env("PATH", path).stdin(Stdio::null()).output().unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{complained}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(scripts.iter().all(|it| said.contains(&format!("ran {}\n", it.name))), "all ran: {said}");
    let log = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let tries = log.lines().map(|url| url.replace("http://192.0.2.1/b/0/bundle/base/", "")).collect();
    (tries, complained)
}

/// Each try of a report that nothing answers takes as long as it may: there are few of them.
#[test]
fn where_packets_are_dropped_a_few_reports_are_tried_and_no_more() {
    let texts: Vec<(String, String)> = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|own| ((*own).to_owned(), format!("echo ran {own}\n")))
        .collect();
    let own: Vec<(&str, &str)> = texts.iter().map(|(own, text)| (own.as_str(), text.as_str())).collect();
    let scripts = render([&bundle("base", &own)], &with(&[])).unwrap();
    for (at, shell) in shells().into_iter().filter(|shell| shell.len() == 1).enumerate() {
        let (tried, complained) = tries(&scripts, &shell, &format!("deaf-{at}"), &[]);
        assert_eq!(tried, ["a/started", "a/started", "a/started", "a/exit-0", "b/exit-0"], "{shell:?}");
        assert_eq!(complained.matches("nobody could be told").count(), 3, "{complained}");
        assert_eq!(complained.matches("nobody is told any more").count(), 1, "{complained}");
        // Two in a row are lost, then one gets through: beginnings are told again, and a loss is tried again.
        let (tried, complained) = tries(&scripts, &shell, &format!("hears-{at}"), &[5, 6, 8, 9, 10, 11, 12]);
        let wanted = [
            "a/started",
            "a/started",
            "a/started",
            "a/exit-0",
            "b/exit-0",
            "c/started",
            "c/exit-0",
            "c/exit-0",
            "d/started",
            "d/exit-0",
            "e/started",
            "e/exit-0",
        ];
        assert_eq!(tried, wanted, "{shell:?}");
        assert!(!complained.contains("nobody is told any more"), "{complained}");
    }
}
