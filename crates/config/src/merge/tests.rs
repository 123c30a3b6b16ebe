use crate::{Code, Loading, Overrides, Source, load};

fn sources(texts: &[&str]) -> Vec<Source> {
    texts.iter().zip('a'..).map(|(text, name)| Source::new(format!("{name}.yaml"), *text)).collect()
}

#[test]
fn maps_merge_and_lists_append() {
    let files = sources(&[
        "version: 1\nsite: a\ninterfaces: [{ name: eth0 }]\n",
        "version: 1\nhttp: { listen: ':1' }\ninterfaces: [{ name: eth1 }]\n",
    ]);
    let settings = load(&files, &Overrides::default()).unwrap().settings;
    assert_eq!(settings.interfaces.len(), 2);
    assert_eq!(settings.http.listen.port, 1);
}

#[test]
fn the_same_value_in_two_files_is_a_fault_that_names_both() {
    let report = load(&sources(&["site: a\n", "\nsite: a\n"]), &Overrides::default()).unwrap_err();
    let [fault] = report.faults.as_slice() else { panic!("{report}") };
    assert_eq!((fault.code, fault.file.as_str(), fault.line), (Code::DuplicateKey, "b.yaml", 2));
    assert_eq!(fault.hint.as_deref(), Some("first in a.yaml:1"));
}

#[test]
fn included_files_are_merged_in_the_order_of_their_names() {
    let files = sources(&["include: ['x/*']\n"]);
    let fetch = |pattern: &str| {
        assert_eq!(pattern, "x/*");
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        Ok(vec![file("x/2", "interfaces: [{ name: two }]"), file("x/1", "interfaces: [{ name: one }]")])
    };
    let settings = Loading::new(&files).includes(&fetch).load().unwrap().settings;
    let names: Vec<&str> = settings.interfaces.iter().map(|interface| &*interface.name).collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn an_included_file_includes_no_other_and_a_missing_one_is_a_fault() {
    let files = sources(&["include: [good, bad]\nboot: { default_image: in-bad }\n"]);
    let fetch = |pattern: &str| match pattern {
        "good" => Ok(vec![("good".to_owned(), "include: [good]\n".to_owned())]),
        _ => Err("permission denied".to_owned()),
    };
    let report = Loading::new(&files).includes(&fetch).load().unwrap_err();
    // The image that would have been in the missing file is not reported.
    assert!(report.faults.iter().all(|fault| fault.code == Code::Include), "{report}");
    assert_eq!(report.faults.len(), 2);
    assert!(report.render(false).contains("permission denied"));
}

#[test]
fn an_unreadable_file_does_not_hide_the_faults_of_the_others() {
    let report = load(&sources(&["a: [\n", "colour: red\n"]), &Overrides::default()).unwrap_err();
    let codes: Vec<Code> = report.faults.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, [Code::Syntax, Code::UnknownKey]);
}
