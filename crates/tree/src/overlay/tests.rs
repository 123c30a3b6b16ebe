use super::*;
use std::io::Read as _;
use types::resource::OnFailure;

fn script(bundle: &str, name: &str, text: &str) -> Rendered {
    Rendered {
        bundle: bundle.parse().unwrap(),
        name: name.parse().unwrap(),
        text: text.to_owned(),
        interpreter: "/bin/sh".to_owned(),
        timeout_secs: 0,
        on_failure: OnFailure::Stop,
    }
}

/// Names, modes and contents, as a reader that knows nothing of the writer finds them.
pub(crate) fn unpack(module: &[u8]) -> Vec<(String, u32, String)> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(module).read_to_end(&mut tar).unwrap();
    let (mut at, mut found) = (0, Vec::new());
    let octal = |field: &[u8]| {
        let text: String = field.iter().map(|byte| char::from(*byte)).collect();
        usize::from_str_radix(text.trim_matches(['\0', ' ']), 8).unwrap()
    };
    while tar[at] != 0 {
        let head = &tar[at..at + BLOCK];
        assert_eq!(&head[257..265], b"ustar\x0000");
        let sum: usize = head
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { usize::from(*byte) })
            .sum();
        assert_eq!(octal(&head[148..156]), sum);
        let name: String =
            head[..100].iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
        let size = octal(&head[124..136]);
        let content = String::from_utf8(tar[at + BLOCK..at + BLOCK + size].to_vec()).unwrap();
        found.push((name, u32::try_from(octal(&head[100..108])).unwrap(), content));
        at += BLOCK + size.next_multiple_of(BLOCK);
    }
    assert_eq!(tar.len(), at + 2 * BLOCK);
    assert!(tar[at..].iter().all(|byte| *byte == 0));
    found
}

#[test]
fn the_module_has_the_scripts_and_the_hook_and_nothing_of_the_systems_folders() {
    let long = "x".repeat(63);
    let scripts = [script("base", "ntp", "echo ntp\n"), script("base", &long, "")];
    let module = pack("http://10.0.0.1/b/0/bundle", &scripts).unwrap();
    let found = unpack(&module);
    let names: Vec<(&str, u32)> = found.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect();
    let second = format!("etc/reveille/bundles/002-{long}");
    assert_eq!(
        names,
        [
            ("etc/reveille/", 0o755),
            ("etc/reveille/bundles/", 0o755),
            ("etc/reveille/bundles/001-ntp", 0o700),
            (second.as_str(), 0o700),
            ("etc/rc.local.d/reveille-bundles.sh", 0o700),
        ]
    );
    assert_eq!(found[2].2, "echo ntp\n");
    let hook = &found[4].2;
    assert!(hook.starts_with("#!/bin/sh\nr_url='http://10.0.0.1/b/0/bundle'\n"), "{hook}");
    assert!(
        hook.contains("\nr_run 'base' 'ntp' '/etc/reveille/bundles/001-ntp' 0 stop '/bin/sh'\n"),
        "{hook}"
    );
    assert_eq!(pack("http://10.0.0.1/b/0/bundle", &scripts).unwrap(), module, "the same gives the same");
}

#[test]
fn names_carry_a_token_there_and_back_and_events_see_none() {
    assert_eq!(token_of(&name_of("0123")), Some("0123"));
    for other in [
        "reveille/bundles.tgz",
        "reveille//x/bundles.tgz",
        "reveille/a/b/bundles.tgz",
        "b/0/bundles.tgz",
        "reveille/0/x",
    ] {
        assert_ne!(token_of(other), Some("0123"), "{other}");
    }
    assert_eq!(token_of("reveille/a/b/bundles.tgz"), None);
    assert!(!shown("esxi").contains("0123"));
}

#[test]
fn a_module_stays_as_it_was_made_and_the_oldest_go_first() {
    let kept = Kept::default();
    let make = |text: &'static str| move || Ok::<_, ()>(Bytes::from_static(text.as_bytes()));
    assert_eq!(kept.of("t", make("one")).unwrap(), "one");
    assert_eq!(kept.of("t", make("two")).unwrap(), "one");
    assert_eq!(kept.of("u", || Err::<Bytes, _>("no")), Err("no"));
    for at in 0..KEPT_MAX {
        kept.of(&format!("n{at}"), make("other")).unwrap();
    }
    assert_eq!(kept.of("t", make("three")).unwrap(), "three");
    assert!(kept.0.lock().unwrap().len() <= KEPT_MAX);
    let large = || Ok::<_, ()>(Bytes::from(vec![0; KEPT_BYTES_MAX]));
    assert_eq!(kept.of("large", large).unwrap().len(), KEPT_BYTES_MAX);
    assert_eq!(kept.0.lock().unwrap().len(), 1);
}
