use crate::tests::*;
use crate::{Opened, Role, Who};
use plan::CatalogParts;
use types::resource::{Image, Template, TemplateKind};
use types::{Facts, Firmware, Stage};

const MAC: &str = "52:54:00:12:34:56";

fn template(kind: TemplateKind, text: &str) -> Template {
    Template { name: "std".parse().unwrap(), kind, text: text.to_owned() }
}

fn with(template: Template, cmdline: &str, params: &str) -> Bench {
    let image =
        Image { cmdline: cmdline.to_owned(), template: Some(template.name.clone()), ..image("debian-12") };
    let json = format!(r#""match":{{"mac":"{MAC}"}},"image":"debian-12","params":{params}"#);
    bench(CatalogParts {
        images: vec![image],
        templates: vec![template],
        hosts: vec![host("web01", &json)],
        ..parts()
    })
}

fn machine() -> Who {
    http(Some(Facts {
        mac: Some(MAC.parse().unwrap()),
        firmware: Some(Firmware::UefiX64),
        stage: Stage::Ipxe,
        http: true,
        ..Facts::default()
    }))
}

fn open(bench: &Bench, name: &str, who: &Who) -> Opened {
    bench.tree.open(name, who).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(opened: &Opened) -> &str {
    std::str::from_utf8(&opened.content).unwrap()
}

fn answer(file: &str) -> String {
    format!("b/{TOKEN}/answer/{file}")
}

#[test]
fn the_command_line_names_the_answer_file_and_the_file_is_made_for_the_host() {
    let text_of = "d-i netcfg/hostname string {{ host.name }}\nd-i ntp string {{ params.ntp }}\n\
                   d-i late string {{ callback }}/installed\n";
    let bench = with(
        template(TemplateKind::Preseed, text_of),
        "auto url={{ url }} --- quiet",
        r#"{"ntp":"10.0.0.1"}"#,
    );
    let script = open(&bench, "boot.ipxe", &machine());
    let url = format!("http://10.77.0.1:8080/{}", answer("preseed.cfg"));
    assert!(text(&script).contains(&format!("auto url={url} ")), "{}", text(&script));
    let made = open(&bench, &answer("preseed.cfg"), &http(None));
    assert_eq!(
        text(&made),
        format!(
            "d-i netcfg/hostname string web01\nd-i ntp string 10.0.0.1\n\
             d-i late string http://10.77.0.1:8080/b/{TOKEN}/installed\n"
        )
    );
    assert_eq!(
        (made.role, made.host.as_deref(), made.boot.as_deref()),
        (Role::Answer, Some("web01"), Some("boot-1"))
    );
    assert!(!made.name.contains(TOKEN) && !made.cacheable);
}

#[test]
fn a_missing_value_keeps_the_machine_from_booting_and_says_which() {
    let bench =
        with(template(TemplateKind::Preseed, "d-i ntp string {{ params.ntp }}\n"), "url={{ url }}", "{}");
    let script = open(&bench, "boot.ipxe", &machine());
    assert!(!text(&script).contains("kernel "), "{}", text(&script));
    assert!(script.boot.is_none() && bench.ledger.begun.lock().unwrap().is_empty());
    let refused = bench.ledger.refused.lock().unwrap().clone();
    assert!(refused.len() == 1 && refused[0].contains("params.ntp"), "{refused:?}");
    assert!(text(&script).contains("params.ntp"), "the screen says it too:\n{}", text(&script));
}

#[test]
fn a_command_line_that_wants_an_answer_nobody_names_is_refused() {
    let bench = bench(CatalogParts {
        images: vec![Image { cmdline: "inst.ks={{ url }}".to_owned(), ..image("debian-12") }],
        hosts: vec![host("web01", &format!(r#""match":{{"mac":"{MAC}"}},"image":"debian-12""#))],
        ..parts()
    });
    let script = open(&bench, "boot.ipxe", &machine());
    assert!(!text(&script).contains("kernel ") && text(&script).contains("template"), "{}", text(&script));
}

#[test]
fn the_template_of_the_host_goes_before_that_of_the_image() {
    let own = Template { name: "own".parse().unwrap(), ..template(TemplateKind::Text, "own") };
    let json = format!(r#""match":{{"mac":"{MAC}"}},"image":"debian-12","template":"own""#);
    let bench = bench(CatalogParts {
        images: vec![Image { template: Some("std".parse().unwrap()), ..image("debian-12") }],
        templates: vec![own, template(TemplateKind::Text, "std")],
        hosts: vec![host("web01", &json)],
        ..parts()
    });
    open(&bench, "boot.ipxe", &machine());
    assert_eq!(text(&open(&bench, &answer("answer.txt"), &http(None))), "own");
}

#[test]
fn a_cloud_init_seed_has_its_files() {
    let bench = with(
        template(TemplateKind::UserData, "#cloud-config\nhostname: {{ host.name }}\n"),
        "ds=nocloud;s={{ url }}",
        "{}",
    );
    let script = open(&bench, "boot.ipxe", &machine());
    assert!(
        text(&script).contains(&format!("ds=nocloud;s=http://10.77.0.1:8080/{} ", answer(""))),
        "{}",
        text(&script)
    );
    assert!(text(&open(&bench, &answer("user-data"), &http(None))).starts_with("#cloud-config\nhostname:"));
    assert_eq!(
        text(&open(&bench, &answer("meta-data"), &http(None))),
        "instance-id: boot-1\nlocal-hostname: web01\n"
    );
    let absent = bench.tree.open(&answer("vendor-data"), &http(None)).unwrap_err();
    assert_eq!(absent.reason(), "not_found");
}

#[test]
fn another_token_another_door_and_no_boot_find_nothing_and_tell_no_token() {
    let bench = with(template(TemplateKind::Text, "secret"), "", "{}");
    let before = bench.tree.open(&answer("answer.txt"), &http(None)).unwrap_err();
    open(&bench, "boot.ipxe", &machine());
    let other =
        bench.tree.open("b/ffffffffffffffffffffffffffffffff/answer/answer.txt", &http(None)).unwrap_err();
    let by_tftp = bench.tree.open(&answer("answer.txt"), &tftp()).unwrap_err();
    for error in [before, other, by_tftp] {
        assert_eq!(error.reason(), "not_found");
        assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
    }
    assert_eq!(text(&open(&bench, &answer("answer.txt"), &http(None))), "secret");
}

#[test]
fn who_only_says_to_be_the_machine_gets_no_answer_file_and_no_word_of_its_record() {
    let with_answer = with(
        template(TemplateKind::Preseed, "d-i ntp string {{ params.ntp }}\n"),
        "url={{ url }}",
        r#"{"ntp":"hush"},"kernel_args_append":["hush=1"]"#,
    );
    *with_answer.ledger.doubt.lock().unwrap() = Some("another card is there".to_owned());
    let script = open(&with_answer, "boot.ipxe", &machine());
    assert!(!text(&script).contains("kernel ") && !text(&script).contains("hush"), "{}", text(&script));
    assert!(with_answer.ledger.begun.lock().unwrap().is_empty());
    assert_eq!(*with_answer.ledger.refused.lock().unwrap(), ["debian-12: another card is there"]);

    // Without an answer file the image is everybody's; the record is not.
    let plain = image("debian-12");
    let json = format!(r#""match":{{"mac":"{MAC}"}},"image":"debian-12","kernel_args_append":["hush=1"]"#);
    let bench = bench(CatalogParts { images: vec![plain], hosts: vec![host("web01", &json)], ..parts() });
    assert!(text(&open(&bench, "boot.ipxe", &machine())).contains("hush=1"));
    *bench.ledger.doubt.lock().unwrap() = Some("another card is there".to_owned());
    let script = open(&bench, "boot.ipxe", &machine());
    assert!(text(&script).contains("kernel ") && !text(&script).contains("hush"), "{}", text(&script));
    assert_eq!(bench.ledger.begun.lock().unwrap().last().unwrap().1, None);
}
