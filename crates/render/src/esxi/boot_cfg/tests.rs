use super::*;
use proptest::prelude::*;

/// As on a medium of 8.0, shortened.
pub(crate) const STOCK: &str = "bootstate=0\ntitle=Loading ESXi installer\ntimeout=5\nprefix=\nkernel=/b.b00\n\
kernelopt=runweasel cdromBoot\nmodules=/jumpstrt.gz --- /useropts.gz --- /features.gz --- /k.b00 --- /s.v00 --- \
/imgdb.tgz\nbuild=8.0.3-0.0.24022510\nupdated=0\n";

fn read(text: &str) -> BootCfg {
    BootCfg::parse(text.as_bytes()).unwrap()
}

fn names(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.name.as_str()).collect()
}

#[test]
fn a_stock_file_is_read_whole() {
    let cfg = read(STOCK);
    assert_eq!(cfg.kernel, "/b.b00");
    assert_eq!(cfg.kernelopt.as_deref(), Some("runweasel cdromBoot"));
    assert_eq!(cfg.title.as_deref(), Some("Loading ESXi installer"));
    assert_eq!(cfg.prefix, None);
    assert_eq!(cfg.timeout, Some(5));
    assert_eq!(cfg.files().count(), 7);
    assert_eq!(names(&cfg.modules).last(), Some(&"/imgdb.tgz"));
    let other: Vec<&str> = cfg.other.iter().map(|line| line.key.as_str()).collect();
    assert_eq!(other, ["bootstate", "build", "updated"]);
    assert_eq!(cfg.other("BUILD"), Some("8.0.3-0.0.24022510"));
}

#[test]
fn rule_1_lines_end_at_lf_alone() {
    let cfg = read("kernel=a\rtitle=b\n\n\nnorts=1");
    assert_eq!(cfg.kernel, "a title=b");
    assert_eq!(cfg.norts, Some(1));
}

#[test]
fn rule_2_white_space_is_merged_and_ends_are_trimmed() {
    let cfg = read("\t kernel=b.b00 \r\nkernelopt=\ta \t\x0b\x0c  b\r\n");
    assert_eq!(cfg.kernel, "b.b00");
    assert_eq!(cfg.kernelopt.as_deref(), Some("a b"));
}

#[test]
fn rule_3_a_comment_begins_with_its_first_character() {
    let cfg = read("  # kernel=x\nkernel=y # z\n");
    assert_eq!(cfg.kernel, "y # z");
    assert!(cfg.other.is_empty());
}

#[test]
fn rule_4_the_first_equals_sign_separates() {
    assert_eq!(read("kernel=k\nkernelopt=  a=b c=d").kernelopt.as_deref(), Some("a=b c=d"));
}

#[test]
fn rule_5_a_blank_before_the_sign_makes_the_key_unknown() {
    let cfg = read("kernel=k\ntitle = x\n");
    assert_eq!(cfg.title, None);
    assert_eq!(cfg.other, [Line { key: "title ".to_owned(), value: "x".to_owned() }]);
}

#[test]
fn rule_6_a_leading_part_of_a_key_will_do_and_the_first_counts() {
    let cfg = read(
        "K=k\nKERNELO=o\nt=title\nti=title2\ntim=1\ntf=2\nn=3\nnor=4\nnoq=5\nna=1\nc=cr\nr=6\nruntimewdt=7\na=acpi\n\
         m=mod\np=pre\ns=1\nE=8\n",
    );
    assert_eq!((cfg.kernel.as_str(), cfg.kernelopt.as_deref()), ("k", Some("o")));
    assert_eq!((cfg.title.as_deref(), cfg.prefix.as_deref()), (Some("title2"), Some("pre")));
    assert_eq!((cfg.timeout, cfg.tftpblksize, cfg.nobootif), (Some(1), Some(2), Some(3)));
    assert_eq!((cfg.norts, cfg.noquirks, cfg.nativehttp), (Some(4), Some(5), Some(1)));
    assert_eq!((cfg.runtimewd, cfg.runtimewdtimeout), (Some(6), Some(7)));
    assert_eq!((names(&cfg.acpitables), names(&cfg.modules)), (vec!["acpi"], vec!["mod"]));
    assert_eq!((cfg.crypto.as_deref(), cfg.skip, cfg.errtimeout), (Some("cr"), Some(1), Some(8)));
    assert_eq!(read("=k").kernel, "k");
    assert_eq!(read("kernel=k\nkernels=x\n").kernel, "k");
}

#[test]
fn rule_7_unknown_keys_are_kept_in_their_order() {
    let cfg = read("kernel=k\nquickboot=1\nlater=2\nquickboot=3\nno sign here\n");
    let other: Vec<String> = cfg.other.iter().map(|line| format!("{}={}", line.key, line.value)).collect();
    assert_eq!(other, ["quickboot=1", "later=2", "quickboot=3"]);
    assert_eq!(cfg.other("quickboot"), Some("3"));
}

#[test]
fn rule_8_the_last_of_a_repeated_key_counts() {
    let cfg = read("kernel=a\nmodules=x --- y\nkernel=b\nmodules=z\n");
    assert_eq!((cfg.kernel.as_str(), names(&cfg.modules)), ("b", vec!["z"]));
}

#[test]
fn rule_9_an_integer_that_is_none_refuses_the_file() {
    for (value, read) in [("5", Some(5)), ("-1", Some(-1)), ("007", Some(7)), ("-", Some(0))] {
        let cfg = BootCfg::parse(format!("kernel=k\ntimeout={value}").as_bytes());
        assert_eq!(cfg.unwrap().timeout, read, "{value}");
    }
    for value in ["x", "5s", "+5", "1 2", "0x5", "--1", "99999999999"] {
        let refused = BootCfg::parse(format!("kernel=k\ntimeout={value}").as_bytes());
        let expected = BootCfgError::Integer { line: 2, key: "timeout", value: value.to_owned() };
        assert_eq!(refused, Err(expected), "{value}");
    }
}

#[test]
fn rule_10_an_empty_value_is_zero_or_unset() {
    let cfg = read("kernel=k\ntitle=a\ntitle=\ntimeout=\nerrtimeout= \nmodules=m\nmodules=\n");
    assert_eq!((cfg.title, cfg.timeout, cfg.errtimeout), (None, Some(0), Some(0)));
    assert!(cfg.modules.is_empty());
    assert_eq!(BootCfg::parse(b"kernel=k\nkernel=\n"), Err(BootCfgError::NoKernel));
}

#[test]
fn rule_11_items_are_separated_by_three_hyphens_wherever_they_stand() {
    let cfg = read("kernel=k\nmodules= a.b00 x y --- b---c   --- --- d- ---\n");
    let items: Vec<String> = cfg.modules.iter().map(Item::to_string).collect();
    assert_eq!(items, ["a.b00 x y", "b", "c", "d-"]);
    assert_eq!(names(&read("kernel=k\nmodules=--- a").modules), ["a"]);
    // The loader steps over one character more.
    assert_eq!(names(&read("kernel=k\nmodules=---abc").modules), ["bc"]);
    assert!(read("kernel=k\nmodules=---").modules.is_empty());
}

#[test]
fn rule_12_only_the_kernel_is_needed_and_not_to_skip() {
    assert_eq!(BootCfg::parse(b""), Err(BootCfgError::NoKernel));
    assert_eq!(BootCfg::parse(b"skip=0\nmodules=a"), Err(BootCfgError::NoKernel));
    assert_eq!(read("skip=1\n").skip, Some(1));
}

#[test]
fn what_is_no_text_or_too_large_is_refused_with_its_line() {
    assert_eq!(BootCfg::parse(b"kernel=k\ntitle=\xff\n"), Err(BootCfgError::NotText { line: 2 }));
    assert_eq!(BootCfg::parse(b"kernel=k\0\n"), Err(BootCfgError::NotText { line: 1 }));
    let large = vec![b'#'; FILE_BYTES_MAX + 1];
    assert_eq!(BootCfg::parse(&large), Err(BootCfgError::TooLarge { bytes: large.len() }));
    let many = format!("kernel=k\nmodules={}", "m---".repeat(ITEMS_MAX + 1));
    let refused = BootCfg::parse(many.as_bytes());
    assert_eq!(refused, Err(BootCfgError::TooManyItems { line: 2, key: "modules" }));
}

#[test]
fn a_refusal_names_line_cause_and_cure() {
    let refused = BootCfg::parse(b"kernel=k\ntimeout=abc\n").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "boot.cfg line 2: `timeout=abc` is no whole number, for which the loader refuses the whole file: write a \
         number or remove the line"
    );
    assert_eq!(refused.reason(), "boot_cfg_integer");
}

#[test]
fn a_file_is_written_with_full_keys_and_bootstate_near_its_start() {
    let text = read(&STOCK.replace("kernel=", "KERN=").replace('\n', "\r\n")).to_string();
    assert_eq!(
        text,
        "bootstate=0\nbuild=8.0.3-0.0.24022510\nupdated=0\ntitle=Loading ESXi installer\ntimeout=5\n\
         kernel=/b.b00\nkernelopt=runweasel cdromBoot\nmodules=/jumpstrt.gz --- /useropts.gz --- /features.gz --- \
         /k.b00 --- /s.v00 --- /imgdb.tgz\n"
    );
}

#[test]
fn no_value_adds_a_line() {
    let cfg = BootCfg { title: Some("a\nkernel=b\0".to_owned()), ..read("kernel=k") };
    assert_eq!(cfg.to_string(), "title=a kernel=b\nkernel=k\n");
}

/// Lines a medium or a careless hand might write.
pub(crate) fn file() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        4 => "(kernel|kernelopt|modules|title|prefix|nobootif|timeout|noquirks|norts|nativehttp|crypto|runtimewd|\
              runtimewdtimeout|tftpblksize|acpitables|skip|errtimeout)",
        2 => "[kKmMtTpPnNcCrRaAsSeE]{0,3}",
        1 => "(build|updated|bootstate|quickboot|KERNEL|Kernel |#kernel| #|x y)",
        1 => "[ -~]{0,12}",
    ];
    let value = prop_oneof![
        2 => "-?[0-9]{0,12}",
        2 => "[a-z0-9./]{0,8}( ?---[ -]?[a-z0-9./\\\\]{0,6}( [a-z=]{1,4})?){0,6}",
        1 => "[ -~\t\r]{0,24}",
    ];
    let line = (key, prop_oneof![9 => "=", 1 => "[ =]{0,2}"], value)
        .prop_map(|(key, separator, value)| format!("{key}{separator}{value}"));
    (proptest::collection::vec(line, 0..12), any::<bool>()).prop_map(|(lines, kernel)| {
        let first = if kernel { "kernel=b.b00\n" } else { "" };
        format!("{first}{}", lines.join("\n"))
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(text in file()) {
        if let Ok(cfg) = BootCfg::parse(text.as_bytes()) {
            let written = cfg.to_string();
            prop_assert_eq!(BootCfg::parse(written.as_bytes()), Ok(cfg), "{}", written);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(cfg) = BootCfg::parse(&bytes) {
            prop_assert_eq!(BootCfg::parse(cfg.to_string().as_bytes()), Ok(cfg));
        }
    }
}
