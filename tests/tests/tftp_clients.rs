//! Real TFTP clients against reveille.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::clients;
use harness::daemon::Config;
use harness::packages::{self, BOOT, CLIENTS};
use harness::scene::{NETWORK, POOL, SERVER};
use harness::{Namespace, Scene};

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS)) {
            return;
        }
    };
}

/// An appliance with image `one` and a client beside it.
fn scene() -> (Scene, Namespace) {
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    scene.import("one").unwrap();
    let client = scene.lab.station(&scene.segment, "client", Some("10.77.0.9/24")).unwrap();
    (scene, client)
}

#[test]
fn tftp_hpa_fetches_a_loader_without_options() {
    needs_tools!();
    let (scene, client) = scene();
    let loader = std::fs::read("/usr/lib/ipxe/undionly.kpxe").unwrap();
    assert!(clients::tftp_hpa(&scene.lab, &client, SERVER, "undionly.kpxe").unwrap() == loader);
    assert!(clients::tftp_hpa(&scene.lab, &client, SERVER, "/undionly.kpxe").unwrap() == loader);
}

#[test]
fn atftp_fetches_a_kernel_in_windows() {
    needs_tools!();
    let (scene, client) = scene();
    let kernel = std::fs::read(&scene.payload.kernel).unwrap();
    for options in
        [&[("windowsize", "8"), ("blksize", "1428")][..], &[("blksize", "1432"), ("tsize", "0")], &[]]
    {
        let fetched = clients::atftp(&scene.lab, &client, SERVER, "one/linux", options).unwrap();
        assert!(fetched == kernel, "{options:?}: {} bytes of {}", fetched.len(), kernel.len());
    }
}

#[test]
fn curl_fetches_an_initial_ramdisk_by_tftp() {
    needs_tools!();
    let (scene, client) = scene();
    let initrd = std::fs::read(&scene.payload.initrd).unwrap();
    let url = format!("tftp://{SERVER}/one/payload.img");
    for blksize in ["512", "1468"] {
        assert!(clients::curl(&scene.lab, &client, &["--tftp-blksize", blksize, &url]).unwrap() == initrd);
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_and_no_silence() {
    needs_tools!();
    let (scene, client) = scene();
    for name in ["no-such-file", "one/../one/linux", "../../etc/passwd"] {
        let error = clients::tftp_hpa(&scene.lab, &client, SERVER, name).unwrap_err();
        assert!(format!("{error:#}").contains("Error code"), "{name}: {error:#}");
    }
}
