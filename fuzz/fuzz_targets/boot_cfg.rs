//! Any bytes as a `boot.cfg`: read, written and read again, they mean the same, also to a reader that shares no code with
//! ours; and what is made of them for a machine is read as it was meant, whatever the medium says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use render::esxi::{
    BootCfg, COMMAND_LINE_BYTES_MAX, EsxiMode, FILE_BYTES_MAX, ForMachine, Item, generate, next_entry,
};
use sim::mboot::Release;
use sim::mboot::config::Config;

const PREFIX: &str = "http://192.0.2.1:8080/esxi-8";
const KICKSTART: &str = "http://192.0.2.1:8080/b/00000000000000000000000000000000/ks.cfg";

fuzz_target!(|bytes: &[u8]| {
    let read = BootCfg::parse(bytes);
    // The model knows no limit and cuts lines at NUL; what we read it reads.
    match (&read, Config::read(Release::V8_0_2, bytes)) {
        (Ok(config), Ok(model)) => same(config, &model),
        (Ok(config), Err(error)) => panic!("{error:?} refuses {config:?}"),
        (Err(error), _) => told(error),
    }
    let Ok(config) = read else { return };
    let text = config.to_string();
    if text.len() <= FILE_BYTES_MAX {
        assert_eq!(BootCfg::parse(text.as_bytes()).as_ref(), Ok(&config), "{text}");
    }
    for mode in [EsxiMode::Install, EsxiMode::Stateless] {
        made(&config, mode);
    }
    // The banner is anybody's text.
    let title = String::from_utf8_lossy(bytes);
    let next = BootCfg::parse(next_entry(&title).as_bytes()).expect("our own file");
    assert_eq!((next.skip, next.kernel.as_str(), next.other.as_slice()), (Some(1), "", [].as_slice()));
});

fn told(error: &render::esxi::BootCfgError) {
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(!error.reason().is_empty());
}

/// Both readers see the same.
fn same(config: &BootCfg, model: &Config) {
    let texts = [
        ("kernel", Some(&config.kernel).filter(|kernel| !kernel.is_empty())),
        ("kernelopt", config.kernelopt.as_ref()),
        ("title", config.title.as_ref()),
        ("prefix", config.prefix.as_ref()),
        ("crypto", config.crypto.as_ref()),
    ];
    for (key, value) in texts {
        assert_eq!(model.text(key).as_ref(), value, "{key}");
    }
    let integers = [
        ("nobootif", config.nobootif),
        ("timeout", config.timeout),
        ("noquirks", config.noquirks),
        ("norts", config.norts),
        ("nativehttp", config.nativehttp),
        ("runtimewd", config.runtimewd),
        ("runtimewdtimeout", config.runtimewdtimeout),
        ("tftpblksize", config.tftpblksize),
        ("skip", config.skip),
        ("errtimeout", config.errtimeout),
    ];
    for (key, value) in integers {
        assert_eq!(model.integer(key), value, "{key}");
    }
    for (key, items) in [("modules", &config.modules), ("acpitables", &config.acpitables)] {
        // At an empty item the loader steps over a byte, and we over a character.
        if model.text(key).is_some_and(|list| !list.is_ascii()) {
            continue;
        }
        let items: Vec<(String, String)> =
            items.iter().map(|item| (item.name.clone(), item.options.clone())).collect();
        assert_eq!(model.list(key), items, "{key}");
    }
}

/// What is made for a machine is read as it was meant, and made of itself it stays as it is.
fn made(config: &BootCfg, mode: EsxiMode) {
    let plain = ForMachine { prefix: PREFIX, mode, ..ForMachine::default() };
    let whole = ForMachine {
        kickstart: (mode == EsxiMode::Install).then_some(KICKSTART),
        cmdline: "debugLogToSerial=1",
        modules: &["own.v00".to_owned()],
        boot_mac: "52:54:00:12:34:56".parse().ok(),
        ..plain
    };
    for own in [plain, whole] {
        let text = match generate(config, &own) {
            Ok(text) => text,
            Err(error) => {
                let text = error.to_string();
                assert!(!text.chars().any(|char| char.is_control() && char != '\n'), "{text:?}");
                continue;
            }
        };
        if text.len() > FILE_BYTES_MAX {
            continue;
        }
        let read = BootCfg::parse(text.as_bytes()).expect("our own file");
        same(&read, &Config::read(Release::V8_0_2, text.as_bytes()).expect("our own file"));
        assert_eq!((read.prefix.as_deref(), read.skip), (Some(PREFIX), None), "{text}");
        assert_eq!(read.modules.len(), config.modules.len() + own.modules.len(), "{text}");
        assert_eq!(read.other, config.other, "{text}");
        // A URL is left as it is, wherever in the name its `://` stands.
        let absolute = |name: &str| name.starts_with(['/', '\\']) && !name.contains("://");
        assert!(!read.files().any(absolute), "{text}");
        assert_eq!(read.modules.last().cloned(), last(config, &own), "{text}");
        let words: Vec<&str> = read.kernelopt.as_deref().unwrap_or_default().split(' ').collect();
        assert!(words.join(" ").len() <= COMMAND_LINE_BYTES_MAX, "{text}");
        assert!(!words.contains(&"cdromBoot"), "{text}");
        assert_eq!(words.contains(&"runweasel"), mode == EsxiMode::Install, "{text}");
        let scripts = words.iter().filter(|word| word.starts_with("ks=")).count();
        match (mode, own.kickstart) {
            (EsxiMode::Stateless, _) => assert_eq!(scripts, 0, "{text}"),
            (EsxiMode::Install, Some(url)) => {
                assert!(scripts == 1 && words.contains(&format!("ks={url}").as_str()), "{text}");
            }
            (EsxiMode::Install, None) => {}
        }
        let again = generate(&read, &plain);
        assert_eq!(again.as_deref(), Ok(text.as_str()), "{text}");
    }
}

/// The module that must come last.
fn last(config: &BootCfg, own: &ForMachine<'_>) -> Option<Item> {
    let stripped = |item: &Item| match item.name.contains("://") {
        true => item.clone(),
        false => Item { name: item.name.trim_start_matches(['/', '\\']).to_owned(), ..item.clone() },
    };
    own.modules.last().map(|name| Item::named(name)).or_else(|| config.modules.last().map(stripped))
}
