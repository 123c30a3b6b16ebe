//! Every key arrives: a value other than the default, and where it shows. A key that is missing here fails.

use super::*;
use crate::shape::{FILE, Shape};
use std::collections::BTreeSet;

type Row = (&'static str, &'static str, fn(&Loaded) -> String);

fn debug(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

const BMC: &str = "{redfish: {url: https://bmc, user: root, password: {file: /etc/bmc}, login: basic, system: \"1\", trust: {sha256: 5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c}}}";

const SHA256: &str = "5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c5f8c";

/// A key with `[]` for list positions, a value for it as flow YAML, and what the settings then show.
/// Keys inside a subnet, host or image are put into one with the needed neighbours.
fn rows() -> Vec<(Row, &'static str)> {
    let rows: Vec<Row> = vec![
        ("site", "lab", |l| debug(l.settings.site.as_ref().map(|site| site.as_str().to_owned()))),
        ("interfaces[].name", "eth7", |l| debug(&l.settings.interfaces[0].name)),
        ("interfaces[].address", "10.0.0.7", |l| debug(l.settings.interfaces[0].address)),
        ("dhcp.mode", "off", |l| debug(l.settings.dhcp.mode)),
        ("dhcp.unknown_hosts", "local-disk", |l| debug(l.settings.dhcp.unknown_hosts)),
        ("dhcp.offer_hold", "90s", |l| debug(l.settings.dhcp.offer_hold)),
        ("dhcp.probe_wait", "250ms", |l| debug(l.settings.dhcp.probe_wait)),
        ("dhcp.quarantine", "30m", |l| debug(l.settings.dhcp.quarantine)),
        ("dhcp.stranger_rate", "50", |l| debug(l.settings.dhcp.stranger_rate)),
        ("dhcp.relay.accept_from", "[10.4.0.0/16]", |l| debug(&l.settings.dhcp.relays)),
        ("dhcp.subnets[].name", "other", |l| debug(&l.settings.dhcp.subnets[0].name)),
        ("dhcp.subnets[].network", "10.0.0.0/23", |l| debug(l.settings.dhcp.subnets[0].network)),
        ("dhcp.subnets[].mode", "off", |l| debug(l.settings.dhcp.subnets[0].mode)),
        ("dhcp.subnets[].pools", "[10.0.0.9-10.0.0.12]", |l| debug(&l.settings.dhcp.subnets[0].pools)),
        ("dhcp.subnets[].exclude", "[10.0.0.101]", |l| debug(&l.settings.dhcp.subnets[0].excluded)),
        ("dhcp.subnets[].lease_time", "2h", |l| debug(l.settings.dhcp.subnets[0].lease_times.default)),
        ("dhcp.subnets[].lease_time_min", "7m", |l| debug(l.settings.dhcp.subnets[0].lease_times.min)),
        ("dhcp.subnets[].lease_time_max", "3d", |l| debug(l.settings.dhcp.subnets[0].lease_times.max)),
        ("dhcp.subnets[].router", "[10.0.0.1, 10.0.0.2]", |l| debug(&l.settings.dhcp.subnets[0].routers)),
        ("dhcp.subnets[].dns", "[10.0.0.3]", |l| debug(&l.settings.dhcp.subnets[0].dns)),
        ("dhcp.subnets[].domain", "lab.example", |l| debug(&l.settings.dhcp.subnets[0].domain)),
        ("dhcp.subnets[].options.<key>.type", "{42: {type: u16, value: [1, 258]}}", |l| {
            debug(&l.settings.dhcp.subnets[0].options)
        }),
        ("dhcp.subnets[].options.<key>.value", "{42: {type: ipv4, value: 10.0.0.1}}", |l| {
            debug(&l.settings.dhcp.subnets[0].options)
        }),
        ("dhcp.subnets[].options.<key>.always", "{42: {type: text, value: a, always: true}}", |l| {
            debug(&l.settings.dhcp.subnets[0].options)
        }),
        ("dhcp.subnets[].reservations[].mac", "[{mac: \"52:54:00:12:34:56\", address: 10.0.0.5}]", |l| {
            debug(l.settings.dhcp.subnets[0].reservations[0].mac)
        }),
        ("dhcp.subnets[].reservations[].address", "[{mac: \"52:54:00:12:34:56\", address: 10.0.0.6}]", |l| {
            debug(l.settings.dhcp.subnets[0].reservations[0].address)
        }),
        (
            "dhcp.subnets[].reservations[].hostname",
            "[{mac: \"52:54:00:12:34:56\", address: 10.0.0.5, hostname: web}]",
            |l| debug(&l.settings.dhcp.subnets[0].reservations[0].hostname),
        ),
        ("dhcp.subnets[].authoritative", "false", |l| debug(l.settings.dhcp.subnets[0].authoritative)),
        ("dhcp.subnets[].uefi_discovery_control", "true", |l| {
            debug(l.settings.dhcp.subnets[0].uefi_discovery_control)
        }),
        ("dhcp.subnets[].next_server", "10.9.9.9", |l| debug(l.settings.dhcp.subnets[0].next_server)),
        ("boot.default_image", "known", |l| debug(&l.settings.boot.default_image)),
        ("boot.claim_wait", "3m", |l| debug(l.settings.boot.claim_wait)),
        ("boot.loop_limit", "9", |l| debug(l.settings.boot.loop_limit)),
        ("boot.loaders.bios", "a.0", |l| debug(&l.settings.boot.loaders)),
        ("boot.loaders.uefi-ia32", "b.efi", |l| debug(&l.settings.boot.loaders)),
        ("boot.loaders.uefi-x64", "c.efi", |l| debug(&l.settings.boot.loaders)),
        ("boot.loaders.uefi-arm32", "d.efi", |l| debug(&l.settings.boot.loaders)),
        ("boot.loaders.uefi-arm64", "e.efi", |l| debug(&l.settings.boot.loaders)),
        ("boot.loaders.uefi-riscv64", "f.efi", |l| debug(&l.settings.boot.loaders)),
        ("boot.loaders.uefi-loongarch64", "g.efi", |l| debug(&l.settings.boot.loaders)),
        ("boot.loaders.uboot-arm32", "h.img", |l| debug(&l.settings.boot.loaders)),
        ("boot.loaders.uboot-arm64", "i.img", |l| debug(&l.settings.boot.loaders)),
        ("tftp.enabled", "false", |l| debug(l.settings.tftp.enabled)),
        ("tftp.max_blksize", "1024", |l| debug(l.settings.tftp.max_blksize)),
        ("tftp.windowsize", "4", |l| debug(l.settings.tftp.windowsize)),
        ("tftp.single_port", "true", |l| debug(l.settings.tftp.single_port)),
        ("tftp.max_transfers", "77", |l| debug(l.settings.tftp.max_transfers)),
        ("tftp.max_transfers_per_source", "7", |l| debug(l.settings.tftp.max_transfers_per_source)),
        ("http.listen", "10.0.0.1:80", |l| debug(l.settings.http.listen)),
        ("http.max_clients", "55", |l| debug(l.settings.http.max_clients)),
        ("http.max_clients_per_source", "5", |l| debug(l.settings.http.max_clients_per_source)),
        ("http.header_timeout", "3s", |l| debug(l.settings.http.header_timeout)),
        ("http.idle_timeout", "33s", |l| debug(l.settings.http.idle_timeout)),
        ("admin.socket", "/tmp/a.sock", |l| debug(&l.settings.admin.socket)),
        ("store.path", "/tmp/store", |l| debug(&l.settings.store.path)),
        ("store.quota", "64MiB", |l| debug(l.settings.store.quota_bytes)),
        ("store.ballast", "1MiB", |l| debug(l.settings.store.ballast_bytes)),
        ("library.path", "/tmp/library", |l| debug(&l.settings.library.path)),
        ("library.inbox", "inbox", |l| debug(&l.settings.library.inbox)),
        ("assets.paths", "[/opt/ipxe, auto]", |l| debug(&l.settings.assets.paths)),
        ("assets.require", "[uefi-arm64]", |l| debug(&l.settings.assets.require)),
        ("hooks[].name", "other", |l| debug(&l.settings.hooks[0].name)),
        ("hooks[].events", "[host.*, boot.up]", |l| debug(&l.settings.hooks[0].events)),
        ("hooks[].url", "\"https://hooks.example.net/a?b=c\"", |l| debug(&l.settings.hooks[0].target)),
        ("hooks[].command", "[/bin/true, \"{{ event.host }}\"]", |l| debug(&l.settings.hooks[0].target)),
        ("hooks[].body", "'{\"text\": \"{{ event.name }}\"}'", |l| debug(&l.settings.hooks[0].body)),
        ("hooks[].body_kind", "text", |l| debug(l.settings.hooks[0].body_kind)),
        ("hooks[].secret.file", "{file: /etc/key}", |l| debug(&l.settings.hooks[0].target)),
        ("hooks[].secret.env", "{env: HOOK_KEY}", |l| debug(&l.settings.hooks[0].target)),
        ("hooks[].timeout", "3s", |l| debug(l.settings.hooks[0].timeout)),
        ("hooks[].retries", "0", |l| debug(l.settings.hooks[0].retries)),
        (
            "hooks[].trust.sha256",
            "{sha256: 00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff}",
            |l| debug(&l.settings.hooks[0].target),
        ),
        ("hooks[].trust.ca_file", "{ca_file: /etc/ca.pem}", |l| debug(&l.settings.hooks[0].target)),
        ("hooks[].trust.insecure", "{insecure: true}", |l| debug(&l.settings.hooks[0].target)),
        ("log.format", "json", |l| debug(l.settings.log.format)),
        ("log.level", "trace", |l| debug(l.settings.log.level)),
        ("resources.images[].name", "other", |l| debug(&l.images[0].name)),
        ("resources.images[].kind", "ipxe-script", |l| debug(l.images[0].kind)),
        ("resources.images[].source", "dir:/srv", |l| debug(&l.images[0].source)),
        ("resources.images[].sha256", SHA256, |l| debug(&l.images[0].sha256)),
        ("resources.images[].kernel", "vmlinuz", |l| debug(&l.images[0].kernel)),
        ("resources.images[].initrd", "[a, b]", |l| debug(&l.images[0].initrd)),
        ("resources.images[].cmdline", "quiet splash", |l| debug(&l.images[0].cmdline)),
        ("resources.images[].script", "a.ipxe", |l| debug(&l.images[0].script)),
        ("resources.images[].efi", "memtest.efi", |l| debug(&l.images[0].efi)),
        ("resources.images[].disk", "rescue.iso", |l| debug(&l.images[0].disk)),
        ("resources.images[].base", "esxi-8", |l| debug(&l.images[0].base)),
        ("resources.images[].modules", "[driver.v00]", |l| debug(&l.images[0].modules)),
        ("resources.images[].stateless", "true", |l| debug(l.images[0].stateless)),
        ("resources.images[].template", "known", |l| debug(&l.images[0].template)),
        ("resources.images[].destructive", "true", |l| debug(l.images[0].destructive)),
        ("resources.images[].firmware", "[bios]", |l| debug(&l.images[0].firmware)),
        ("resources.images[].description", "One line", |l| debug(&l.images[0].description)),
        ("resources.templates[].name", "other", |l| debug(&l.templates[0].name)),
        ("resources.templates[].kind", "preseed", |l| debug(l.templates[0].kind)),
        ("resources.templates[].text", "'{{ host.name }}'", |l| debug(&l.templates[0].text)),
        ("resources.hosts[].name", "other", |l| debug(&l.hosts[0].name)),
        ("resources.hosts[].match.mac", "{mac: [\"52-54-00-12-34-56\", 525400123457ab]}", |l| {
            debug(&l.hosts)
        }),
        ("resources.hosts[].match.uuid", "{uuid: 4c4c4544-0043-3510-8052-b4c04f4d3132}", |l| {
            debug(&l.hosts[0].identity)
        }),
        ("resources.hosts[].match.serial", "{serial: XYZ}", |l| debug(&l.hosts[0].identity)),
        ("resources.hosts[].image", "known", |l| debug(&l.hosts[0].image)),
        ("resources.hosts[].image_version", "stable", |l| debug(&l.hosts[0].image_version)),
        ("resources.hosts[].loader", "pxelinux", |l| debug(l.hosts[0].loader)),
        ("resources.hosts[].params", "{a: b}", |l| debug(&l.hosts[0].params)),
        ("resources.hosts[].template", "known", |l| debug(&l.hosts[0].template)),
        ("resources.hosts[].power.wol.mac", "{wol: {mac: \"52:54:00:12:34:56\"}}", |l| {
            debug(&l.hosts[0].power)
        }),
        ("resources.hosts[].power.wol.interface", "{wol: {interface: eth1}}", |l| debug(&l.hosts[0].power)),
        ("resources.hosts[].power.wol.broadcast", "{wol: {broadcast: 192.0.2.255}}", |l| {
            debug(&l.hosts[0].power)
        }),
        ("resources.hosts[].power.wol.port", "{wol: {port: 7}}", |l| debug(&l.hosts[0].power)),
        ("resources.hosts[].power.wol.secure_on.file", "{wol: {secure_on: {file: /etc/so}}}", |l| {
            debug(&l.hosts[0].power)
        }),
        ("resources.hosts[].power.wol.secure_on.env", "{wol: {secure_on: {env: SO}}}", |l| {
            debug(&l.hosts[0].power)
        }),
        ("resources.hosts[].power.redfish.url", BMC, |l| debug(&l.hosts[0].power)),
        ("resources.hosts[].power.redfish.user", BMC, |l| debug(&l.hosts[0].power)),
        ("resources.hosts[].power.redfish.password.file", BMC, |l| debug(&l.hosts[0].power)),
        (
            "resources.hosts[].power.redfish.password.env",
            "{redfish: {url: https://bmc, user: root, password: {env: BMC}}}",
            |l| debug(&l.hosts[0].power),
        ),
        ("resources.hosts[].power.redfish.login", BMC, |l| debug(&l.hosts[0].power)),
        ("resources.hosts[].power.redfish.system", BMC, |l| debug(&l.hosts[0].power)),
        ("resources.hosts[].power.redfish.trust.sha256", BMC, |l| debug(&l.hosts[0].power)),
        (
            "resources.hosts[].power.redfish.trust.ca_file",
            "{redfish: {url: https://bmc, user: root, password: {env: BMC}, trust: {ca_file: /etc/ca.pem}}}",
            |l| debug(&l.hosts[0].power),
        ),
        (
            "resources.hosts[].power.redfish.trust.insecure",
            "{redfish: {url: http://bmc, user: root, password: {env: BMC}, trust: {insecure: true}}}",
            |l| debug(&l.hosts[0].power),
        ),
        ("resources.hosts[].group", "known", |l| debug(&l.hosts[0].group)),
        ("resources.hosts[].location", "dc1/a", |l| debug(&l.hosts[0].location)),
        ("resources.hosts[].labels", "{tier: gold}", |l| debug(&l.hosts[0].labels)),
        ("resources.groups[].name", "other", |l| debug(&l.groups[0].name)),
        ("resources.groups[].parent", "known", |l| debug(&l.groups[0].parent)),
        ("resources.groups[].image", "known", |l| debug(&l.groups[0].image)),
        ("resources.groups[].image_version", "stable", |l| debug(&l.groups[0].image_version)),
        ("resources.groups[].loader", "pxelinux", |l| debug(l.groups[0].loader)),
        ("resources.groups[].template", "known", |l| debug(&l.groups[0].template)),
        ("resources.groups[].location", "dc1/a", |l| debug(&l.groups[0].location)),
        ("resources.groups[].params", "{a: b}", |l| debug(&l.groups[0].params)),
        ("resources.groups[].labels", "{tier: gold}", |l| debug(&l.groups[0].labels)),
        ("resources.groups[].kernel_args_append", "[single]", |l| debug(&l.groups[0].kernel_args_append)),
        ("resources.groups[].description", "One line", |l| debug(&l.groups[0].description)),
        ("resources.rules[].name", "other", |l| debug(&l.rules[0].name)),
        ("resources.rules[].order", "20", |l| debug(l.rules[0].order)),
        ("resources.rules[].when", "\"vendor=Dell,model~R7.*\"", |l| debug(&l.rules[0].when)),
        ("resources.rules[].image", "known", |l| debug(&l.rules[0].image)),
        ("resources.rules[].image_version", "stable", |l| debug(&l.rules[0].image_version)),
        ("resources.rules[].loader", "pxelinux", |l| debug(l.rules[0].loader)),
        ("resources.rules[].template", "known", |l| debug(&l.rules[0].template)),
        ("resources.rules[].group", "known", |l| debug(&l.rules[0].group)),
        ("resources.rules[].location", "dc1/a", |l| debug(&l.rules[0].location)),
        ("resources.rules[].params", "{a: b}", |l| debug(&l.rules[0].params)),
        ("resources.rules[].kernel_args_append", "[single]", |l| debug(&l.rules[0].kernel_args_append)),
        ("resources.rules[].description", "One line", |l| debug(&l.rules[0].description)),
        ("resources.bundles[].name", "other", |l| debug(&l.bundles[0].name)),
        ("resources.bundles[].deliver", "module", |l| debug(l.bundles[0].deliver)),
        ("resources.bundles[].description", "One line", |l| debug(&l.bundles[0].description)),
        ("resources.bundles[].scripts[].name", "[{name: other, text: a}]", |l| debug(&l.bundles[0].scripts)),
        ("resources.bundles[].scripts[].text", "[{name: s, text: 'echo {{ host.name }}'}]", |l| {
            debug(&l.bundles[0].scripts)
        }),
        ("resources.bundles[].scripts[].interpreter", "[{name: s, text: a, interpreter: /bin/ash}]", |l| {
            debug(&l.bundles[0].scripts)
        }),
        ("resources.bundles[].scripts[].timeout_secs", "[{name: s, text: a, timeout_secs: 60}]", |l| {
            debug(&l.bundles[0].scripts)
        }),
        ("resources.bundles[].scripts[].on_failure", "[{name: s, text: a, on_failure: continue}]", |l| {
            debug(&l.bundles[0].scripts)
        }),
        ("resources.hosts[].bundles", "[known]", |l| debug(&l.hosts[0].bundles)),
        ("resources.hosts[].bundles_append", "[known]", |l| debug(&l.hosts[0].bundles_append)),
        ("resources.groups[].bundles", "[known]", |l| debug(&l.groups[0].bundles)),
        ("resources.groups[].bundles_append", "[known]", |l| debug(&l.groups[0].bundles_append)),
        ("resources.rules[].bundles", "[known]", |l| debug(&l.rules[0].bundles)),
        ("resources.hosts[].kernel_args_append", "[single]", |l| debug(&l.hosts[0].kernel_args_append)),
    ];
    rows.into_iter().map(|row| (row, template(row.0))).collect()
}

/// Text around a key; `KEY` is replaced by it with its value, and with nothing to see the default.
fn template(key: &str) -> &'static str {
    match key {
        "interfaces[].name" => "interfaces: [{ KEY }]",
        key if key.starts_with("interfaces") => "interfaces: [{ name: eth0, KEY }]",
        "hooks[].name" => "hooks: [{ events: [host.seen], url: 'http://a', KEY }]",
        "hooks[].events" => "hooks: [{ name: a, url: 'http://a', KEY }]",
        "hooks[].url" | "hooks[].command" => "hooks: [{ name: a, events: [host.seen], KEY }]",
        key if key.starts_with("hooks") => "hooks: [{ name: a, events: [host.seen], url: 'http://a', KEY }]",
        "dhcp.subnets[].name" => "dhcp: { subnets: [{ network: 10.0.0.0/24, KEY }] }",
        "dhcp.subnets[].network" => "dhcp: { subnets: [{ name: a, KEY }] }",
        "dhcp.subnets[].mode" => "dhcp: { subnets: [{ name: a, network: 10.0.0.0/24, KEY }] }",
        "dhcp.subnets[].pools" => {
            "dhcp: { subnets: [{ name: a, network: 10.0.0.0/24, mode: server, KEY, reservations: [{ mac: 02aa00000001, address: 10.0.0.20 }] }] }"
        }
        key if key.starts_with("dhcp.subnets") => {
            "dhcp: { subnets: [{ name: a, network: 10.0.0.0/24, mode: server, pools: [10.0.0.100-10.0.0.110], KEY }] }"
        }
        "resources.images[].name" => "resources: { images: [{ kind: linux, source: dir:/a, KEY }] }",
        "resources.images[].kind" => "resources: { images: [{ name: a, source: dir:/a, KEY }] }",
        "resources.images[].sha256" => {
            "resources: { images: [{ name: a, kind: linux, source: iso:/a.iso, KEY }] }"
        }
        "resources.images[].source" => "resources: { images: [{ name: a, kind: linux, kernel: k, KEY }] }",
        "resources.images[].template" => {
            "resources: { templates: [{ name: known, kind: text, text: a }], images: [{ name: a, kind: linux, source: dir:/a, KEY }] }"
        }
        "resources.hosts[].template" => {
            "resources: { templates: [{ name: known, kind: text, text: a }], hosts: [{ name: a, match: { serial: sna }, KEY }] }"
        }
        "resources.hosts[].group" => {
            "resources: { groups: [{ name: known }], hosts: [{ name: a, match: { serial: sna }, KEY }] }"
        }
        "resources.bundles[].name" => "resources: { bundles: [{ scripts: [{ name: s, text: a }], KEY }] }",
        key if key.starts_with("resources.bundles[].scripts") => {
            "resources: { bundles: [{ name: a, SCRIPTS }] }"
        }
        key if key.starts_with("resources.bundles") => {
            "resources: { bundles: [{ name: a, scripts: [{ name: s, text: a }], KEY }] }"
        }
        "resources.hosts[].bundles" | "resources.hosts[].bundles_append" => {
            "resources: { bundles: [{ name: known, scripts: [{ name: s, text: a }] }], hosts: [{ name: a, match: { serial: sna }, KEY }] }"
        }
        "resources.groups[].bundles" | "resources.groups[].bundles_append" => {
            "resources: { bundles: [{ name: known, scripts: [{ name: s, text: a }] }], groups: [{ name: a, KEY }] }"
        }
        "resources.rules[].bundles" => {
            "resources: { bundles: [{ name: known, scripts: [{ name: s, text: a }] }], rules: [{ name: a, image: i, KEY }] }"
        }
        "resources.groups[].name" => "resources: { groups: [{ KEY }] }",
        "resources.rules[].name" => "resources: { rules: [{ image: i, KEY }] }",
        "resources.rules[].image" => {
            "resources: { images: [{ name: known, kind: linux, kernel: k }], rules: [{ name: a, KEY }] }"
        }
        "resources.rules[].group" => "resources: { groups: [{ name: known }], rules: [{ name: a, KEY }] }",
        "resources.rules[].template" => {
            "resources: { templates: [{ name: known, kind: text, text: a }], rules: [{ name: a, KEY }] }"
        }
        "resources.groups[].template" => {
            "resources: { templates: [{ name: known, kind: text, text: a }], groups: [{ name: a, KEY }] }"
        }
        "resources.groups[].image" => {
            "resources: { images: [{ name: known, kind: linux, kernel: k }], groups: [{ name: a, KEY }] }"
        }
        "resources.groups[].parent" => "resources: { groups: [{ name: a, KEY }, { name: known }] }",
        key if key.starts_with("resources.groups") => "resources: { groups: [{ name: a, image: i, KEY }] }",
        key if key.starts_with("resources.rules") => "resources: { rules: [{ name: a, image: i, KEY }] }",
        "resources.templates[].name" => "resources: { templates: [{ kind: text, text: a, KEY }] }",
        "resources.templates[].kind" => "resources: { templates: [{ name: a, text: a, KEY }] }",
        "resources.templates[].text" => "resources: { templates: [{ name: a, kind: text, KEY }] }",
        key if key.starts_with("resources.images") => {
            "resources: { images: [{ name: a, kind: linux, source: dir:/a, KEY }] }"
        }
        "resources.hosts[].name" => "resources: { hosts: [{ match: { serial: sna }, KEY }] }",
        key if key.starts_with("resources.hosts[].match") => "resources: { hosts: [{ name: a, KEY }] }",
        "resources.hosts[].image_version" => {
            "resources: { images: [{ name: known, kind: linux, kernel: k }], hosts: [{ name: a, match: { serial: sna }, image: known, KEY }] }"
        }
        "resources.hosts[].image" | "boot.default_image" => {
            "resources: { images: [{ name: known, kind: linux, kernel: k }], hosts: [{ name: a, match: { serial: sna }, HOST }] }\nBOOT\n"
        }
        key if key.starts_with("resources.hosts") => {
            "resources: { hosts: [{ name: a, match: { serial: sna }, KEY }] }"
        }
        _ => "KEY",
    }
}

fn fill(key: &str, template: &str, value: Option<&str>) -> String {
    let steps: Vec<&str> = key.split('.').collect();
    let last = match key.split_once("[].") {
        // Value rows of nested maps and lists give the whole of the outer key.
        Some(("dhcp.subnets" | "resources.hosts" | "hooks", rest)) => rest.split(['.', '[']).next().unwrap(),
        _ => steps.last().unwrap(),
    };
    let pair = value.map(|value| format!("{last}: {value}")).unwrap_or_default();
    let nested = || match (value, steps.as_slice()) {
        (None, _) => String::new(),
        (Some(_), [_]) => pair.clone(),
        (Some(_), [a, _]) => format!("{a}: {{ {pair} }}"),
        (Some(_), [a, b, _]) => format!("{a}: {{ {b}: {{ {pair} }} }}"),
        _ => panic!("{key}"),
    };
    match (template, key) {
        ("KEY", _) => nested(),
        (_, "boot.default_image") => template.replace("HOST", "").replace("BOOT", &nested()),
        (_, "resources.hosts[].image") => template.replace("HOST", &pair).replace("BOOT", ""),
        (_, key) if key.starts_with("resources.bundles[].scripts") => {
            let usual = "[{name: s, text: a}]";
            template.replace("SCRIPTS", &format!("scripts: {}", value.unwrap_or(usual)))
        }
        _ => template.replace("KEY", &pair),
    }
}

#[test]
fn every_setting_arrives_and_differs_from_its_default() {
    let mut seen = BTreeSet::new();
    for ((key, value, show), template) in rows() {
        let value = value.replace("525400123457ab", "\"525400123457\"");
        let with = show(&load_ok(&fill(key, template, Some(&value))));
        // Without the key the text may lack something it needs; then there is no default to compare with.
        if let Ok(without) = load_text(&fill(key, template, None)) {
            let empty = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| show(&without)));
            if let Ok(without) = empty {
                assert_ne!(with, without, "{key} changes nothing");
            }
        }
        seen.insert(key);
    }
    let mut all = BTreeSet::new();
    leaves(&FILE, "", &mut all);
    // What `expect` says is no setting; its keys have their own test (`expect.rs`).
    // `version` has one value, `store.backend` too; `include` and `file` have their own tests.
    let exempt = [
        "version",
        "store.backend",
        "include",
        "resources.templates[].file",
        "resources.bundles[].scripts[].file",
    ];
    let missing: Vec<&String> = all
        .iter()
        .filter(|key| {
            !seen.contains(key.as_str()) && !exempt.contains(&key.as_str()) && !key.starts_with("expect")
        })
        .collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

fn leaves(shape: &Shape, at: &str, all: &mut BTreeSet<String>) {
    match shape {
        Shape::Record(keys) => {
            for key in keys {
                leaves(&key.shape, &crate::check::join(at, &key.name), all);
            }
        }
        Shape::List(item) if matches!(**item, Shape::Record(_)) => leaves(item, &format!("{at}[]"), all),
        Shape::Map(value) if matches!(**value, Shape::Record(_)) => {
            leaves(value, &format!("{at}.<key>"), all)
        }
        _ => {
            all.insert(at.to_owned());
        }
    }
}

#[test]
fn settings_have_the_values_that_are_written() {
    let loaded = load_example("isolated-lab-server").unwrap();
    let subnet = &loaded.settings.dhcp.subnets[0];
    assert_eq!(subnet.mode, types::subnet::DhcpMode::Server);
    assert_eq!(subnet.network, "10.77.0.0/24".parse().unwrap());
    assert_eq!(subnet.pools, ["10.77.0.100-10.77.0.199".parse().unwrap()]);
    assert_eq!(subnet.lease_times.default, Duration::from_secs(8 * 3600));
    assert_eq!(subnet.lease_times.min, Duration::from_secs(600));
    assert_eq!(subnet.options[1].code, 42);
    assert_eq!(subnet.options[1].value.as_ref(), [10, 77, 0, 1]);
    assert!(subnet.options[0].always && subnet.authoritative);
    assert_eq!(loaded.settings.dhcp.relays, [subnet.network]);
    let loaded = load_example("relayed-vlans").unwrap();
    assert_eq!(loaded.settings.dhcp.subnets[2].mode, types::subnet::DhcpMode::Proxy);
    assert_eq!(loaded.settings.dhcp.relays, ["10.4.16.0/20".parse().unwrap()]);
}

#[test]
fn own_addresses_in_a_pool_are_found_unless_excluded() {
    let dhcp = load_example("isolated-lab-server").unwrap().settings.dhcp;
    let own = ["10.77.0.1", "10.77.0.100", "10.77.0.150"].map(|address| address.parse().unwrap());
    assert_eq!(dhcp.own_in_pools(&own), [("lab".into(), own[1])]);
}
