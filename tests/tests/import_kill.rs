//! The appliance is killed while an image comes in. Short form of `cargo xtask torture import`.

use harness::daemon::binary;
use harness::packages::{self, BOOT, MEDIA};
use harness::torture::import;

#[test]
fn an_import_that_was_killed_leaves_nothing_and_is_done_again() {
    harness::enter!();
    if !packages::here(&[BOOT, MEDIA].concat()) {
        return;
    }
    let options = import::Options { points: 20, seed: 20, bytes: 24_000_000 };
    let outcome = import::run(&binary().unwrap(), options).unwrap();
    println!("{outcome}");
    assert!(outcome.is_clean(), "{outcome}");
}
