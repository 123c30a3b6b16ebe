use super::*;

fn image(cmdline: &str) -> Image {
    Image {
        kernel: Some("linux".to_owned()),
        cmdline: cmdline.to_owned(),
        ..Image::new("debian-12".parse().unwrap(), types::resource::ImageKind::Linux)
    }
}

fn host(words: &[&str]) -> Host {
    Host {
        name: "web01".parse().unwrap(),
        identity: types::resource::HostMatch::default(),
        image: None,
        image_version: None,
        group: None,
        location: None,
        power: None,
        labels: Default::default(),
        loader: None,
        params: std::collections::BTreeMap::new(),
        template: None,
        kernel_args_append: words.iter().map(|word| (*word).to_owned()).collect(),
        bundles: None,
        bundles_append: Vec::new(),
    }
}

fn ours() -> Additions {
    Additions {
        callback: Some("http://10.0.0.1:8080/b/00/up".to_owned()),
        boot_mac: Some("52:54:00:12:34:56".parse().unwrap()),
        answer: None,
        overlay: None,
    }
}

#[test]
fn our_words_stand_before_the_installers_divider_and_host_words_last() {
    let line = CommandLine::of(&image("vga=788 --- quiet"), Some(&host(&["console=ttyS0", "a b"])), &ours())
        .unwrap();
    assert_eq!(
        line.for_ipxe(&["initrd=initrd0".to_owned()]).unwrap(),
        "vga=788 initrd=initrd0 BOOTIF=01-52-54-00-12-34-56 \
         reveille.callback=http://10.0.0.1:8080/b/00/up --- quiet console=ttyS0 a b"
    );
}

#[test]
fn without_a_divider_the_order_is_image_ours_host() {
    let line =
        CommandLine::of(&image("quiet"), Some(&host(&["debug"])), &ours()).unwrap().for_pxelinux().unwrap();
    assert!(line.starts_with("quiet BOOTIF=") && line.ends_with("/up debug"), "{line}");
}

#[test]
fn bootif_of_the_operator_is_kept() {
    let line = CommandLine::of(&image("BOOTIF=eth1"), None, &ours()).unwrap().for_pxelinux().unwrap();
    assert_eq!(line.matches("BOOTIF").count(), 1);
}

#[test]
fn words_ipxe_would_read_otherwise_are_refused_there_only() {
    for (word, fault) in [
        ("x=${ip}", WordFault::Setting),
        ("&&", WordFault::CommandEnd),
        ("||", WordFault::CommandEnd),
        (";", WordFault::CommandEnd),
        ("#x", WordFault::CommandEnd),
    ] {
        let line = CommandLine::of(&image(&format!("a {word} b")), None, &Additions::default()).unwrap();
        assert!(
            matches!(line.for_ipxe(&[]), Err(RenderError::Word { fault: own, .. }) if own == fault),
            "{word}"
        );
        assert!(line.for_pxelinux().is_ok(), "{word}");
    }
}

#[test]
fn control_bytes_and_other_scripts_are_refused() {
    for word in ["a\u{7}b", "ä", "a\u{a0}b", "\u{1b}[2J"] {
        assert!(CommandLine::of(&image(word), None, &Additions::default()).is_err(), "{word:?}");
    }
}

#[test]
fn line_breaks_in_the_image_are_blanks() {
    let line = CommandLine::of(&image("a\nreboot\r\nb"), None, &Additions::default()).unwrap();
    assert_eq!(line.for_ipxe(&[]).unwrap(), "a reboot b");
}

#[test]
fn a_line_the_kernel_would_cut_is_refused() {
    let fits = image(&"x".repeat(COMMAND_LINE_BYTES_MAX));
    assert!(CommandLine::of(&fits, None, &Additions::default()).unwrap().for_ipxe(&[]).is_ok());
    let longer = image(&"x".repeat(COMMAND_LINE_BYTES_MAX + 1));
    let error = CommandLine::of(&longer, None, &Additions::default()).unwrap().for_ipxe(&[]).unwrap_err();
    assert_eq!(error, RenderError::CommandLineTooLong { bytes: 2048, bytes_max: 2047 });
}

#[test]
fn the_url_of_the_answer_file_stands_where_the_words_want_it() {
    let additions =
        Additions { answer: Some("http://10.0.0.1/b/x/answer/ks.cfg".to_owned()), ..Additions::default() };
    for words in ["inst.ks={{ url }} quiet", "inst.ks={{url}} quiet"] {
        let line = CommandLine::of(&image(words), None, &additions).unwrap().for_ipxe(&[]).unwrap();
        assert_eq!(line, "inst.ks=http://10.0.0.1/b/x/answer/ks.cfg quiet");
        assert!(wants_answer(&image(words), None));
    }
    assert!(wants_answer(&image("quiet"), Some(&host(&["ks={{ url }}"]))));
    assert!(!wants_answer(&image("quiet"), None));
}
