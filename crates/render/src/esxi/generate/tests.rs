use super::*;
use proptest::prelude::*;

const STOCK: &str = "bootstate=0\ntitle=Loading ESXi installer\ntimeout=5\nprefix=\nkernel=/b.b00\n\
kernelopt=runweasel cdromBoot\nmodules=/jumpstrt.gz --- \\useropts.gz --- S.V00 opt\nbuild=8.0.3-0.0.24022510\n\
updated=0\nskip=1\n";

const PREFIX: &str = "http://10.77.0.1:8080/esxi-8";

fn stock() -> BootCfg {
    BootCfg::parse(STOCK.as_bytes()).unwrap()
}

fn own<'a>() -> ForMachine<'a> {
    ForMachine { prefix: PREFIX, ..ForMachine::default() }
}

fn made(own: &ForMachine<'_>) -> BootCfg {
    BootCfg::parse(generate(&stock(), own).unwrap().as_bytes()).unwrap()
}

fn kernelopt(own: &ForMachine<'_>) -> String {
    made(own).kernelopt.unwrap_or_default()
}

#[test]
fn everything_at_once() {
    let extra = ["extra/driver.v00".to_owned()];
    let host = ["netdevice=vmnic0 nameserver=10.77.0.1".to_owned()];
    let own = ForMachine {
        title: Some("reveille: esxi-8 for esx01"),
        kickstart: Some("http://10.77.0.1:8080/b/0123/ks.cfg"),
        cmdline: "allowLegacyCPU=true",
        kernel_args_append: &host,
        modules: &extra,
        ..own()
    };
    insta::assert_snapshot!(generate(&stock(), &own).unwrap());
}

#[test]
fn leading_slashes_go_and_names_keep_their_spelling() {
    let cfg = made(&own());
    assert_eq!(cfg.kernel, "b.b00");
    let items: Vec<String> = cfg.modules.iter().map(Item::to_string).collect();
    assert_eq!(items, ["jumpstrt.gz", "useropts.gz", "S.V00 opt"]);
}

#[test]
fn prefix_is_a_url_or_a_folder_without_its_last_slash() {
    for (prefix, written) in [("/esxi-8/", "/esxi-8"), (PREFIX, PREFIX)] {
        assert_eq!(made(&ForMachine { prefix, ..own() }).prefix.as_deref(), Some(written));
    }
    for prefix in ["", "/", "a b", "a\nb", "ä"] {
        let refused = generate(&stock(), &ForMachine { prefix, ..own() });
        assert!(matches!(refused, Err(RenderError::FileName { .. })), "{prefix:?}");
    }
}

#[test]
fn an_install_runs_the_installer_without_its_cd() {
    assert_eq!(kernelopt(&own()), "runweasel");
    let url = Some("http://s/ks");
    assert_eq!(kernelopt(&ForMachine { kickstart: url, ..own() }), "runweasel ks=http://s/ks");
    let bare = BootCfg::parse(b"kernel=b.b00\nkernelopt=quiet ks=cdrom:/ks.cfg\n").unwrap();
    let text = generate(&bare, &ForMachine { kickstart: url, ..own() }).unwrap();
    assert!(text.contains("\nkernelopt=runweasel quiet ks=http://s/ks\n"), "{text}");
}

#[test]
fn a_kickstart_the_operator_wrote_counts() {
    let own = ForMachine { kickstart: Some("http://s/ks"), cmdline: "ks=nfs://n/ks runweasel", ..own() };
    assert_eq!(kernelopt(&own), "runweasel ks=nfs://n/ks runweasel");
}

#[test]
fn a_stateless_machine_never_meets_the_installer() {
    let stateless = ForMachine { mode: EsxiMode::Stateless, kickstart: Some("http://s/ks"), ..own() };
    assert_eq!(made(&stateless).kernelopt, None);
    for cmdline in ["runweasel", "a ks=http://x/y"] {
        let refused = generate(&stock(), &ForMachine { cmdline, ..stateless });
        let Err(RenderError::Word { fault: WordFault::Installer, .. }) = refused else {
            panic!("{refused:?}")
        };
    }
}

#[test]
fn bootif_is_left_to_the_loader_unless_asked_for() {
    let boot_mac = Some("52:54:00:AB:cd:ef".parse().unwrap());
    assert_eq!(kernelopt(&ForMachine { boot_mac, ..own() }), "runweasel BOOTIF=01-52-54-00-ab-cd-ef");
    let already = ForMachine { boot_mac, cmdline: "BOOTIF=01-00-00-00-00-00-01", ..own() };
    assert_eq!(kernelopt(&already), "runweasel BOOTIF=01-00-00-00-00-00-01");
}

#[test]
fn callback_is_written_only_when_asked_for() {
    assert_eq!(
        kernelopt(&ForMachine { callback: Some("http://s/b/1/up"), ..own() }),
        "runweasel reveille.callback=http://s/b/1/up"
    );
}

#[test]
fn a_failed_loader_leaves_after_a_while_and_skip_is_gone() {
    let cfg = made(&own());
    assert_eq!((cfg.errtimeout, cfg.skip, cfg.timeout), (Some(30), None, Some(5)));
    assert_eq!(made(&ForMachine { errtimeout_secs: Some(0), ..own() }).errtimeout, Some(0));
    let base = BootCfg { errtimeout: Some(-1), ..stock() };
    assert!(generate(&base, &own()).unwrap().contains("\nerrtimeout=-1\n"));
}

#[test]
fn what_the_loader_ignores_stays() {
    let cfg = made(&own());
    assert_eq!((cfg.other("build"), cfg.other("updated")), (Some("8.0.3-0.0.24022510"), Some("0")));
    assert_eq!(cfg.title.as_deref(), Some("Loading ESXi installer"));
}

#[test]
fn lengths_are_the_loaders() {
    let longest = COMMAND_LINE_BYTES_MAX - format!("{PREFIX}/b.b00 runweasel ").len() - BOOTIF_BYTES;
    let fits = "x".repeat(longest);
    assert!(generate(&stock(), &ForMachine { cmdline: &fits, ..own() }).is_ok());
    let refused = generate(&stock(), &ForMachine { cmdline: &format!("{fits}x"), ..own() });
    assert_eq!(refused, Err(RenderError::CommandLineTooLong { bytes: 4096, bytes_max: 4095 }));
    let fits = "m".repeat(MODULE_BYTES_MAX - PREFIX.len() - 1);
    assert!(generate(&stock(), &ForMachine { modules: std::slice::from_ref(&fits), ..own() }).is_ok());
    let refused = generate(&stock(), &ForMachine { modules: &[format!("{fits}m")], ..own() });
    assert!(
        matches!(refused, Err(RenderError::ModuleTooLong { bytes: 256, bytes_max: 255, .. })),
        "{refused:?}"
    );
}

#[test]
fn names_the_loader_cannot_ask_for_are_refused() {
    for name in ["", "/", "a b", "a---b", "a?b", "a#b", "a%20b", "a\nkernel=x", "ä"] {
        let refused = generate(&stock(), &ForMachine { modules: &[name.to_owned()], ..own() });
        assert!(matches!(refused, Err(RenderError::FileName { .. })), "{name:?}");
    }
}

#[test]
fn a_base_without_kernel_is_refused() {
    let base = BootCfg::parse(b"skip=1").unwrap();
    let refused = generate(&base, &own());
    assert!(matches!(refused, Err(RenderError::Lacks { field: "kernel", .. })));
}

#[test]
fn next_entry_skips() {
    assert_eq!(next_entry("to the disk\nkernel=x"), "title=to the disk?kernel=x\nskip=1\nerrtimeout=5\n");
}

#[test]
fn words_are_checked_before_any_machine_asks() {
    let image = |cmdline: &str| Image {
        cmdline: cmdline.to_owned(),
        ..Image::new("esxi-8".parse().unwrap(), ImageKind::Esxi)
    };
    assert_eq!(check_words(&image("a b=${c}"), None), Ok(()));
    assert!(check_words(&image("ä"), None).is_err());
    assert!(check_words(&image(&"x".repeat(5000)), None).is_err());
}

proptest! {
    /// Whatever the operator's strings say, the file has the same keys, or there is none.
    #[test]
    fn no_value_adds_a_line(
        cmdline in ".*", word in ".*", module in ".*", title in ".*", prefix in "\\PC{1,40}", url in ".*",
    ) {
        let (words, modules) = ([word], [module]);
        let own = ForMachine {
            prefix: &prefix,
            title: Some(&title),
            kickstart: Some(&url),
            cmdline: &cmdline,
            kernel_args_append: &words,
            modules: &modules,
            ..ForMachine::default()
        };
        let keys = |text: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.split('=').next()).map(str::to_owned).collect()
        };
        if let Ok(text) = generate(&stock(), &own) {
            prop_assert_eq!(keys(&text), keys(&generate(&stock(), &ForMachine { title: Some("t"), ..super::tests::own() }).unwrap()));
            let cfg = BootCfg::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(cfg.modules.len(), 4);
            prop_assert_eq!(cfg.to_string(), text);
        }
    }
}
