//! Any text as a configuration file: sound settings that load again to the same, or faults that render.
#![no_main]

use config::{Overrides, Source, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match load(&[Source::new("reveille.yaml", text)], &Overrides::default()) {
        Ok(loaded) => {
            let again = Source::new("again.yaml", loaded.to_yaml());
            let again = load(&[again], &Overrides::default()).expect("the effective configuration loads");
            assert_eq!(again.settings, loaded.settings);
        }
        Err(report) => assert!(!report.render(false).is_empty()),
    }
});
