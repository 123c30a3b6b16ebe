//! Hostile text: never a panic, never a disagreement between checker and reader, never long.

use super::*;
use proptest::prelude::*;

fn sound(text: &str) {
    match load_text(text) {
        Ok(loaded) => {
            let again = load_text(&loaded.to_yaml()).unwrap_or_else(|report| panic!("{text:?}\n{report}"));
            assert_eq!(again.settings, loaded.settings, "{text:?}");
            assert_eq!(again.hosts, loaded.hosts, "{text:?}");
        }
        Err(report) => {
            assert!(!report.faults.is_empty());
            let text = format!("{}{}", report.render(true), report.to_json());
            assert!(!text.contains(Code::Reader.as_str()), "{text}");
        }
    }
}

fn example_texts() -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(examples()).unwrap() {
        texts.extend(std::fs::read_to_string(entry.unwrap().path().join("reveille.yaml")));
    }
    texts.push(std::fs::read_to_string(examples().join("fixed-hosts/resources.d/rack-12.yaml")).unwrap());
    texts
}

/// A change at a place of a text.
#[derive(Debug, Clone)]
enum Change {
    Delete(usize, usize),
    Insert(usize, String),
    DropLine(usize),
    DoubleLine(usize),
    Swap(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let piece = prop_oneof![
        "[a-z0-9:,\\[\\]{}&*!|>'\"#%@` \\n\\t-]{1,6}",
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("\u{85}\u{2028}\u{feff}\u{0}".to_owned()),
        Just("<<: ".to_owned()),
        Just("--- ".to_owned()),
    ];
    prop_oneof![
        (0usize..4000, 1usize..20).prop_map(|(at, count)| Change::Delete(at, count)),
        (0usize..4000, piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (0usize..60).prop_map(Change::DropLine),
        (0usize..60).prop_map(Change::DoubleLine),
        (0usize..60, 0usize..60).prop_map(|(a, b)| Change::Swap(a, b)),
    ]
}

fn apply(text: &str, change: &Change) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let mut lines: Vec<&str> = text.lines().collect();
    match change {
        Change::Delete(at, count) => {
            let at = at % (chars.len() + 1);
            let end = (at + count).min(chars.len());
            chars.drain(at..end);
            return chars.into_iter().collect();
        }
        Change::Insert(at, piece) => {
            let at = at % (chars.len() + 1);
            chars.splice(at..at, piece.chars());
            return chars.into_iter().collect();
        }
        Change::DropLine(at) if *at < lines.len() => {
            lines.remove(*at);
        }
        Change::DoubleLine(at) if *at < lines.len() => lines.insert(*at, lines[*at]),
        Change::Swap(a, b) if *a < lines.len() && *b < lines.len() => lines.swap(*a, *b),
        _ => {}
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn load_never_panics_on_any_text(text in any::<String>()) {
        sound(&text);
    }

    #[test]
    fn load_never_panics_on_yaml_like_text(text in "[a-z0-9:,\\[\\]{}&*!|>?'\"#%@` \\n\\t~.=<-]{0,200}") {
        sound(&text);
    }

    #[test]
    fn load_never_panics_on_changed_examples(
        which in 0usize..64,
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let texts = example_texts();
        let mut text = texts[which % texts.len()].clone();
        for change in &changes {
            text = apply(&text, change);
        }
        sound(&text);
    }

    #[test]
    fn overrides_never_panic(name in "[A-Z_]{0,30}", value in any::<String>(), flag in "[a-z._-]{0,20}") {
        let overrides = Overrides {
            environment: vec![
                (format!("REVEILLE__{name}"), value.clone()),
                ("REVEILLE__DHCP__SUBNETS".to_owned(), format!("[{value}]")),
            ],
            flags: vec![(flag, value)],
        };
        if let Err(report) = load(&[], &overrides) {
            prop_assert!(!report.render(false).contains(Code::Reader.as_str()));
        }
    }
}

fn refused_fast(text: &str, what: &str) {
    // Counts work, not time: the limits refuse before the size of the expanded text matters.
    let report = load_text(text).unwrap_err();
    assert!(
        report.faults.iter().any(|fault| matches!(fault.code, Code::Limit | Code::Syntax)),
        "{what}: {report}"
    );
    assert!(report.render(false).len() < 100_000, "{what}");
}

#[test]
fn bombs_are_refused() {
    let mut laughs = String::from("x-a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (from, to) in ('a'..='y').zip('b'..='z') {
        laughs.push_str(&format!("x-{to}: &{to} [{}]\n", [format!("*{from}").as_str(); 9].join(", ")));
    }
    refused_fast(&laughs, "nested aliases");
    refused_fast(&format!("x-a: {}", "[".repeat(100_000)), "open brackets");
    refused_fast(&format!("x-a: {}", "{a: ".repeat(100_000)), "open braces");
    refused_fast(&format!("x-a: {}", "- ".repeat(100_000)), "nested dashes");
    refused_fast(&"? ".repeat(100_000), "nested question marks");
    refused_fast("x-a: &a [*a]\n", "an alias inside itself");
    refused_fast(&format!("x-a: {}", "a".repeat(1_000_000)), "a long value");
    refused_fast(&"x".repeat(limits::TEXT_BYTES_MAX + 1), "a large file");
    refused_fast(&format!("{}: 1\n", "k".repeat(1000)), "a long key");
}

#[test]
fn wide_configurations_are_refused_or_read_without_comparing_everything_with_everything() {
    let many = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<String>();
    let keys = many(50_000, &|at| format!("x-{at}: 1\n"));
    let sources = [Source::new("a", keys.clone()), Source::new("b", keys)];
    assert!(load(&sources, &Overrides::default()).is_ok());
    let pools = many(20_000, &|at| format!("10.{}.{}.9, ", at / 256, at % 256));
    let subnet = format!(
        "dhcp: {{ subnets: [{{ name: a, network: 10.0.0.0/8, mode: server, pools: [{pools}], exclude: [{pools}], router: [{pools}] }}] }}"
    );
    assert!(load_text(&subnet).unwrap_err().faults.iter().all(|fault| fault.code == Code::Limit));
    let params = many(20_000, &|at| format!("p{at}: 1, "));
    let host =
        format!("resources: {{ hosts: [{{ name: a, match: {{ serial: sna }}, params: {{ {params} }} }}] }}");
    assert!(load_text(&host).unwrap_err().faults.iter().all(|fault| fault.code == Code::Limit));
    let images = many(400, &|at| format!("{{ name: image-{at}, kind: linux, kernel: k }}, "));
    let hosts =
        many(1_000, &|at| format!("{{ name: host-{at}, match: {{ serial: s{at} }}, image: imago-{at} }}, "));
    let report = load_text(&format!("resources: {{ images: [{images}], hosts: [{hosts}] }}")).unwrap();
    assert_eq!(report.warnings.len(), limits::FAULTS_MAX);
}

#[test]
fn thousands_of_faults_are_counted_and_the_first_ones_listed() {
    let text: String = (0..5000).map(|number| format!("colour-{number}: red\n")).collect();
    let report = load_text(&text).unwrap_err();
    assert_eq!(report.faults.len(), limits::FAULTS_MAX);
    assert_eq!(report.omitted, 5000 - limits::FAULTS_MAX);
    assert!(report.render(false).ends_with("and 4800 more\n"));
}
