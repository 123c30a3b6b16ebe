use super::*;
use Severity::{Error, Warning};

const HASH: &str = "$6$abcdefghijklmnop$Fh0pXq5cN1nD0eXlq7gP3mV9yBz2kT4wR6uJ8sA.C/eG1iL5oQ7rS9tU0vW2xY4zZ6aB8cD0eF1gH3iJ5kL7m1";

fn good() -> String {
    format!(
        "accepteula\ninstall --firstdisk --overwritevmfs\nrootpw --iscrypted {HASH}\nnetwork --bootproto=dhcp --device=vmnic0\nreboot\n"
    )
}

fn known() -> Target {
    Target { major: Some(8), secure_boot: Some(false) }
}

/// Findings of one more line in a script that is good.
fn with(line: &str) -> Vec<Finding> {
    lint(&format!("{}{line}\n", good()), known())
}

/// Findings of a script whose line that starts with the same word is another one.
fn instead(line: &str) -> Vec<Finding> {
    let word = first_word(line);
    let text: Vec<String> = good()
        .lines()
        .map(|old| if first_word(old) == word { line.to_owned() } else { old.to_owned() })
        .collect();
    lint(&text.join("\n"), known())
}

#[track_caller]
fn one(findings: &[Finding], severity: Severity, message: &str, fix: &str) {
    let [finding] = findings else { panic!("{message}: {findings:#?}") };
    assert_eq!(finding.severity, severity, "{finding:?}");
    assert!(finding.message.contains(message), "{message}: {finding:?}");
    assert!(finding.fix.as_deref().unwrap_or("").contains(fix), "{fix}: {finding:?}");
}

#[test]
fn a_good_script_has_no_findings() {
    assert_eq!(lint(&good(), Target::default()), []);
    assert_eq!(with("keyboard 'US Default'"), []);
    assert_eq!(with("part ds1 --ondisk=mpx.vmhba1:C0:T0:L0\npart ds2 --onfirstdisk=usb"), []);
    assert_eq!(
        with(
            "%pre --interpreter=python --timeout=30 --ignorefailure=true\nimport os\nos.curl\n%post\nwget http://a/b"
        ),
        []
    );
    assert_eq!(with("# curl\n   # a \" quote"), []);
    assert_eq!(
        instead(
            "network --bootproto static --ip 192.0.2.5 --netmask 255.255.255.0 --gateway 192.0.2.1 --nameserver=192.0.2.2,192.0.2.3 --hostname=esx-1.lab --vlanid=4096 --addvmportgroup=0 --device=00:11:22:33:44:55 # ours"
        ),
        []
    );
}

#[test]
fn exactly_one_action_is_there() {
    one(
        &lint(&good().replace("install --firstdisk --overwritevmfs", ""), known()),
        Error,
        "none of `install`",
        "install --firstdisk",
    );
    one(&with("upgrade --firstdisk"), Error, "`upgrade` and `install` exclude", "leave one");
    one(&with("install --firstdisk"), Error, "`install` is given twice, first in line 2", "leave one");
}

#[test]
fn the_licence_has_to_be_accepted() {
    one(&lint(&good().replace("accepteula", ""), known()), Error, "`accepteula` is missing", "add a line");
    assert_eq!(lint(&good().replace("accepteula", "vmaccepteula"), known()), []);
}

#[test]
fn a_password_is_needed_and_a_reboot_wanted() {
    one(&lint(&good().replace("rootpw", "#"), known()), Error, "`rootpw` is missing", "reveille passwd");
    one(&lint(&good().replace("reboot", "#"), known()), Warning, "`reboot` is missing", "add a line");
}

#[test]
fn what_is_missing_may_be_in_an_included_file() {
    for line in ["include /tmp/a", "%include /tmp/a", "%include http://192.0.2.1/a"] {
        assert_eq!(lint(line, known()), [], "{line}");
    }
}

#[test]
fn unknown_commands_are_told_with_the_nearest() {
    for (line, fix) in [
        ("netwrok --bootproto=dhcp", "did you mean `network`?"),
        ("acceptela", "did you mean `accepteula`?"),
        ("timezone UTC", "Anaconda"),
        ("esxcli network", "%post"),
        ("%psot", "did you mean `%post`?"),
    ] {
        one(&with(line), Error, "there is no command", fix);
    }
}

#[test]
fn unknown_options_are_errors_when_one_is_near_and_warnings_else() {
    one(
        &instead("install --firstdisk --overwritevmsf"),
        Error,
        "`install` has no option `--overwritevmsf`",
        "--overwritevmfs",
    );
    one(&instead("network --bootproto=dhcp --zzzzzzzz=1"), Warning, "no option `--zzzzzzzz`", "--vlanid");
    one(&instead("reboot --eject"), Error, "no option `--eject`", "--noeject");
}

#[test]
fn network_is_consistent() {
    let given = "network --bootproto=static --ip=192.0.2.5 --netmask=255.255.255.0 --gateway=192.0.2.1";
    assert_eq!(instead(given), []);
    for (line, message) in [
        ("network --bootproto=static --netmask=255.255.255.0 --gateway=192.0.2.1".to_owned(), "lacks --ip"),
        ("network --bootproto=static --ip=192.0.2.5 --gateway=192.0.2.1".to_owned(), "lacks --netmask"),
        ("network --bootproto=static --ip=192.0.2.5 --netmask=255.255.255.0".to_owned(), "lacks --gateway"),
        ("network --bootproto=static".to_owned(), "lacks --ip and --netmask and --gateway"),
        ("network --bootproto=dhcp --ip=192.0.2.5".to_owned(), "`--ip` has no effect"),
        ("network --ip=192.0.2.5".to_owned(), "`--ip` has no effect"),
        (given.replace("192.0.2.1", "192.0.3.1"), "gateway 192.0.3.1 is not in the network"),
        (given.replace("255.255.255.0", "255.0.255.0"), "is no value of `--netmask`"),
        (given.replace("192.0.2.5", "192.0.2.500"), "is no value of `--ip`"),
        (format!("{given} --vlanid=0"), "`0` is no value of `--vlanid`"),
        (format!("{given} --vlanid=4097"), "`4097` is no value of `--vlanid`"),
        (format!("{given} --vlanid="), "`--vlanid` of `network` has no value"),
        (format!("{given} --nameserver=a,b"), "`a,b` is no value of `--nameserver`"),
        (format!("{given} --device=eth0"), "`eth0` is no value of `--device`"),
        (format!("{given} --addvmportgroup=yes"), "`yes` is no value"),
        (format!("{given} --hostname=esx_1"), "`esx_1` is no value of `--hostname`"),
        (format!("{given} esx"), "`network` takes no value `esx`"),
        ("network --bootproto=dchp".to_owned(), "`dchp` is no value of `--bootproto`"),
    ] {
        one(&instead(&line), Error, message, "");
    }
}

#[test]
fn exactly_one_disk_is_chosen() {
    one(&instead("install --overwritevmfs"), Error, "`install` names no disk", "--firstdisk");
    one(
        &instead("install --firstdisk --disk=naa.1"),
        Error,
        "`--disk` and `--firstdisk` exclude",
        "leave one",
    );
    one(
        &instead("install --firstdisk --overwritevmfs --preservevmfs"),
        Error,
        "exclude each other",
        "leave one",
    );
    one(&with("clearpart --overwritevmfs"), Error, "`clearpart` names no disk", "--firstdisk");
    one(&with("part ds1"), Error, "`part` names no disk", "--ondisk");
    one(&with("part --onfirstdisk"), Error, "`part` lacks its value", "part datastore1");
}

#[test]
fn a_hash_is_one_that_libcrypt_made() {
    for (line, message) in [
        ("rootpw --iscrypted secret".to_owned(), "is no hash"),
        (format!("rootpw --iscrypted {}", HASH.trim_end_matches('1')), "is cut or mistyped"),
        // What hash_password() of the crate sha-crypt writes.
        (format!("rootpw --iscrypted {}", HASH.replace("mnop$", "mnopqrstuv$")), "a salt of 22 characters"),
        (format!("rootpw {HASH}"), "not --iscrypted"),
        ("rootpw --iscrypted".to_owned(), "`rootpw` lacks its value"),
        ("rootpw secret word".to_owned(), "more than one value"),
    ] {
        let findings: Vec<Finding> =
            instead(&line).into_iter().filter(|finding| finding.severity == Error).collect();
        one(&findings, Error, message, "");
        assert!(
            !format!("{findings:?}").contains("secret") && !format!("{findings:?}").contains("word`"),
            "{findings:?}"
        );
    }
    one(&instead("rootpw secret"), Warning, "stands in the script as it is", "reveille passwd");
    for hash in [
        "$1$abcdefgh$1234567890123456789012".to_owned(),
        format!("$5$ab$${}", "x".repeat(43)).replace("$$", "$"),
        format!("$6$rounds=5000$ab${}", "x".repeat(86)),
    ] {
        assert_eq!(instead(&format!("rootpw --iscrypted {hash}")), [], "{hash}");
    }
}

#[test]
fn serialnum_is_gone_in_9() {
    let line = "serialnum --esx=AAAAA-BBBBB-CCCCC-DDDDD-EEEEE";
    assert_eq!(with(line), []);
    let text = format!("{}{line}\n", good());
    one(&lint(&text, Target { major: Some(9), ..known() }), Error, "gone in ESXi 9.0", "vCenter");
    one(&lint(&text, Target { major: None, ..known() }), Warning, "gone in ESXi 9.0", "vCenter");
    one(&with("serialnum --esx=AAAAA"), Error, "is no value of `--esx`", "five groups");
    one(&with("serialnum"), Error, "lacks --esx=", "");
}

#[test]
fn firstboot_is_not_run_under_secure_boot() {
    let text = format!("{}%firstboot --interpreter=busybox\nesxcli a\n", good());
    assert_eq!(lint(&text, known()), []);
    one(&lint(&text, Target { secure_boot: Some(true), ..known() }), Error, "Secure Boot", "%post");
    one(&lint(&text, Target { secure_boot: None, ..known() }), Warning, "Secure Boot", "%post");
}

#[test]
fn sections_end_at_the_next_percent_sign() {
    assert_eq!(with("%pre\nnot a command\n%post\nneither\n%firstboot\nnor this"), []);
    one(&with("%post\necho a\n%end\necho b"), Error, "`%end` ends the section", "ESXi has no %end");
    one(&with("%post\ncat <<EOF\n%wheel ALL\nEOF"), Error, "`%wheel` ends the section", "another sign");
    one(&with("%post\necho a\n%include /tmp/b\npart ds1"), Error, "`part` names no disk", "");
    one(
        &with("%post --interpreter=bash"),
        Error,
        "`bash` is no value of `--interpreter`",
        "busybox or python",
    );
    one(&with("%firstboot --timeout=5"), Warning, "no option `--timeout`", "--interpreter");
}

#[test]
fn scripts_use_what_the_installer_has() {
    one(&with("%post\n  if ! curl -s http://a/b; then"), Warning, "no curl", "wget");
    one(&with("%post\na && curl http://a/b"), Warning, "no curl", "wget");
    one(&with("%post\nwget -q https://a/b"), Warning, "little TLS", "python");
    assert_eq!(with("%post\necho curl\nwget http://a/curl"), []);
}

#[test]
fn quotes_are_closed() {
    one(&with("keyboard 'US Default"), Error, "a ' is not closed", "close it");
    assert_eq!(split("a 'b c'\\ d \"e\\\"f\" # g").unwrap(), ["a", "b c d", "e\"f"]);
    assert_eq!(split("a#b ''").unwrap(), ["a#b", ""]);
}

#[test]
fn jinja_raises_no_alarm() {
    let text = "{# a comment #}accepteula\n\
        {% if params.upgrade is defined %}\nupgrade --firstdisk\n{% else %}\ninstall --disk={{ params.disk }}\n{% endif %}\n\
        {% if params.ip is defined %}\n\
        network --bootproto=static --ip={{ params.ip }} --netmask={{ params.netmask }} --gateway={{ params.gateway }}{% if params.vlan is defined %} --vlanid={{ params.vlan }}{% endif %}\n\
        {% else %}\nnetwork --bootproto=dhcp --device={{ machine.mac }}\n{% endif %}\n\
        rootpw --iscrypted {{ params.root_password }}\n{{ params.more }}\nkeyboard {{ params.keyboard | default('US Default') }}\n\
        network {{ params.network }}\n\
        {% for line in params.lines | lines %}\n{{ line }}\n{% endfor %}\n%post\nn=${#list}\n";
    assert_eq!(lint(text, known()), []);
    one(&lint(&format!("{text}%end\nreboot"), known()), Error, "%end", "");
    let wrong = "accepteula\n{{ params.x }}\ninstal --firstdisk={{ params.y }}\n";
    let findings = lint(wrong, known());
    one(&findings, Error, "there is no command `instal`", "did you mean `install`?");
    assert_eq!(findings[0].line, 3);
}

#[test]
fn findings_come_in_the_order_of_their_lines() {
    let findings = lint("foo\n\nbar\n", known());
    let lines: Vec<u32> = findings.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [0, 0, 0, 1, 3]);
    assert_eq!(findings[3].to_string(), "error: line 1: there is no command `foo`");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "([a-z \\-='\"\\\\\n%{}#$é]|--|\\{\\{|\\}\\}|%post|install|network|rootpw|--ip=|\\$6\\$){0,60}") {
        lint(&text, Target::default());
    }
}
