//! A real HTTP client against reveille's boot plane.

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

/// An appliance with image `one`, a host that boots it, and a client beside it.
fn scene() -> (Scene, Namespace) {
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    scene.import("one").unwrap();
    scene.daemon.command(&["host", "add", "first", "--mac", "52:54:00:12:34:01", "--image", "one"]).unwrap();
    let client = scene.lab.station(&scene.segment, "client", Some("10.77.0.9/24")).unwrap();
    (scene, client)
}

fn url(path: &str) -> String {
    format!("http://{SERVER}:8080/{path}")
}

/// A header field's value out of an answer's head.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

#[test]
fn curl_fetches_a_kernel_whole_and_in_parts() {
    needs_tools!();
    let (scene, client) = scene();
    let kernel = std::fs::read(&scene.payload.kernel).unwrap();
    let url = url("one/linux");
    assert!(clients::curl(&scene.lab, &client, &[&url]).unwrap() == kernel);
    assert!(clients::curl(&scene.lab, &client, &["-r", "1000-1999", &url]).unwrap() == kernel[1000..2000]);
    assert!(clients::curl(&scene.lab, &client, &["-r", "-10", &url]).unwrap() == kernel[kernel.len() - 10..]);
    let beyond = clients::curl_head(&scene.lab, &client, &["-r", "99999999-", &url]).unwrap();
    assert!(beyond.starts_with("HTTP/1.1 416"), "{beyond}");
}

#[test]
fn a_head_request_tells_size_and_tag_and_a_known_tag_sends_nothing() {
    needs_tools!();
    let (scene, client) = scene();
    let url = url("one/linux");
    let head = clients::curl_head(&scene.lab, &client, &["--head", &url]).unwrap();
    let size = std::fs::metadata(&scene.payload.kernel).unwrap().len().to_string();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(field(&head, "content-length"), Some(size.as_str()), "{head}");
    let tag = field(&head, "etag").unwrap();
    let known =
        clients::curl_head(&scene.lab, &client, &["-H", &format!("If-None-Match: {tag}"), &url]).unwrap();
    assert!(known.starts_with("HTTP/1.1 304"), "{known}");
}

#[test]
fn a_script_asks_for_facts_first_and_then_boots_the_host() {
    needs_tools!();
    let (scene, client) = scene();
    let first = String::from_utf8(clients::curl(&scene.lab, &client, &[&url("boot.ipxe")]).unwrap()).unwrap();
    assert!(first.starts_with("#!ipxe\n") && first.contains("boot.ipxe?mac="), "{first}");
    let facts = url("boot.ipxe?mac=52:54:00:12:34:01&uuid=&platform=pcbios&arch=i386");
    let script = String::from_utf8(clients::curl(&scene.lab, &client, &[&facts]).unwrap()).unwrap();
    assert!(script.contains("one/linux") && script.contains("payload.tag=one"), "{script}");
}

#[test]
fn what_is_not_there_is_404_and_nothing_outside_the_tree_is_reached() {
    needs_tools!();
    let (scene, client) = scene();
    for path in ["no-such-file", "one/../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "b/0000/up"] {
        let head = clients::curl_head(&scene.lab, &client, &["--path-as-is", &url(path)]).unwrap();
        assert!(head.starts_with("HTTP/1.1 4"), "{path}: {head}");
    }
}
