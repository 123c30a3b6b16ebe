use super::*;
use proptest::prelude::*;
use render::esxi::{BootCfg, BootCfgError};

/// The release whose table is all keys.
const ALL: Release = Release::V8_0_2;

fn read(text: &str) -> Config {
    Config::read(ALL, text.as_bytes()).unwrap()
}

#[test]
fn keys_of_a_later_release_are_unknown_to_an_earlier_one() {
    let text = b"skip=1\nerrtimeout=x\ntftpblksize=1024\nnativehttp=3\n";
    let old = Config::read(Release::V7_0_3, text).unwrap();
    assert_eq!(
        (old.integer("skip"), old.integer("tftpblksize"), old.integer("nativehttp")),
        (None, None, Some(3))
    );
    assert_eq!(Config::read(Release::V9_0, text), Err(ConfigError::Syntax));
    let new = Config::read(Release::V9_0, b"nativehttp=x\nskip=1").unwrap();
    assert_eq!((new.integer("skip"), new.integer("nativehttp")), (Some(1), None));
}

#[test]
fn a_line_ends_at_nul() {
    let config = read("kernel=a\0b\n#=\0\n\0kernel=c\n");
    assert_eq!(config.text("kernel").as_deref(), Some("a"));
}

#[test]
fn a_part_of_a_key_and_an_empty_key_set_what_comes_first() {
    let config = read("=k\nmod=a --- b c ---d\nTIM=3\nt=x\ntimeout =9\n");
    assert_eq!(config.text("kernel").as_deref(), Some("k"));
    assert_eq!((config.integer("timeout"), config.text("title").as_deref()), (Some(3), Some("x")));
    let list: Vec<String> =
        config.list("modules").iter().map(|(name, opt)| format!("{name}|{opt}")).collect();
    assert_eq!(list, ["a|", "b|c", "d|"]);
}

/// Lines as a medium has them, and worse.
fn file() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        4 => "(kernel|kernelopt|modules|title|prefix|nobootif|timeout|noquirks|norts|nativehttp|crypto|runtimewd|\
              runtimewdtimeout|tftpblksize|acpitables|skip|errtimeout)",
        2 => "[kKmMtTpPnNcCrRaAsSeEoO]{0,4}",
        1 => "(build|updated|bootstate|KERNEL|Kernel |#kernel| #|x y)",
        1 => "[ -~]{0,12}",
    ];
    let value = prop_oneof![
        2 => "-?[0-9]{0,12}",
        3 => "[a-z0-9./-]{0,8}( ?---[ -]?[a-z0-9./-]{0,6}( [a-z=]{1,4})?){0,6}",
        1 => "[ -~\t\r\x0b\x0c]{0,24}",
    ];
    let line = (key, "[ =]{0,1}=?", value).prop_map(|(key, sign, value)| format!("{key}{sign}{value}"));
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Two readers, written apart, make the same of every file.
    #[test]
    fn both_readers_agree(text in file(), kernel in any::<bool>()) {
        let text = if kernel { format!("kernel=b.b00\n{text}") } else { text };
        let one = Config::read(ALL, text.as_bytes());
        let two = BootCfg::parse(text.as_bytes());
        match (one, two) {
            (Err(_), Err(error)) => {
                prop_assert!(matches!(error, BootCfgError::Integer { .. }), "{error}");
            }
            (Ok(one), Err(BootCfgError::NoKernel)) => {
                prop_assert_eq!(one.text("kernel"), None);
                prop_assert_eq!(one.integer("skip").unwrap_or_default(), 0);
            }
            (Ok(one), Ok(two)) => {
                let texts = [
                    ("kernel", Some(two.kernel.clone()).filter(|kernel| !kernel.is_empty())),
                    ("kernelopt", two.kernelopt.clone()),
                    ("title", two.title.clone()),
                    ("prefix", two.prefix.clone()),
                    ("crypto", two.crypto.clone()),
                ];
                for (key, value) in texts {
                    prop_assert_eq!(one.text(key), value, "{}", key);
                }
                let integers = [
                    ("nobootif", two.nobootif),
                    ("timeout", two.timeout),
                    ("noquirks", two.noquirks),
                    ("norts", two.norts),
                    ("nativehttp", two.nativehttp),
                    ("runtimewd", two.runtimewd),
                    ("runtimewdtimeout", two.runtimewdtimeout),
                    ("tftpblksize", two.tftpblksize),
                    ("skip", two.skip),
                    ("errtimeout", two.errtimeout),
                ];
                for (key, value) in integers {
                    prop_assert_eq!(one.integer(key), value, "{}", key);
                }
                for (key, items) in [("modules", &two.modules), ("acpitables", &two.acpitables)] {
                    let items: Vec<(String, String)> =
                        items.iter().map(|item| (item.name.clone(), item.options.clone())).collect();
                    prop_assert_eq!(one.list(key), items, "{}", key);
                }
                // What is written reads the same to the loader.
                prop_assert_eq!(Config::read(ALL, two.to_string().as_bytes()).map(|again| (
                    again.text("kernel"), again.text("kernelopt"), again.list("modules"), again.integer("skip"),
                )), Ok((
                    one.text("kernel"), one.text("kernelopt"), one.list("modules"), one.integer("skip"),
                )));
            }
            (one, two) => prop_assert!(false, "{:?} and {:?}", one, two),
        }
    }
}
