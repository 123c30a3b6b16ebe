//! Writes the seed corpora into `corpus/<target>/`: golden DHCP packets and their options, the TFTP requests real clients
//! send, every YAML file of `examples/`, and texts of every kind that is read anywhere. Existing files with the same name are
//! replaced, others are kept.

mod texts;

use dhcp_proto::wire::{Encoding, Message, Op, code};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tftp_proto::wire::{ErrorCode, ack, data_header, error, oack, read_request};

fn main() -> io::Result<()> {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    dhcp(&home)?;
    tftp(&home)?;
    config(&home)?;
    host_lists(&home)?;
    texts::write(&home)
}

fn put(home: &Path, target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = home.join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

fn dhcp(home: &Path) -> io::Result<()> {
    for entry in fs::read_dir(home.join("../crates/dhcp-proto/testdata"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "hex") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = hex(&fs::read_to_string(&path)?);
        let message = Message::decode(&bytes).map_err(io::Error::other)?;
        put(home, "dhcp_message", &name, &bytes)?;
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
        put(home, "lease_restart", &name, &[length.as_slice(), &[0], &bytes].concat())?;
        // One raw datagram: see the input format of the target.
        put(home, "dhcp_exchange", &name, &[&[9, 0, 0, 0, 0, 0], bytes.as_slice()].concat())?;
        let choices = [
            (0, code::VENDOR_SPECIFIC),
            (1, code::VENDOR_CLASS),
            (2, code::USER_CLASS),
            (3, code::RELAY_INFO),
            (4, code::IPXE),
        ];
        for (choice, code) in choices {
            if let Some(value) = message.options.get(code) {
                put(home, "pxe_options", &format!("{name}-{code}"), &[&[choice], value].concat())?;
            }
        }
    }
    put(home, "lease_restart", "lease", &lease_story())?;
    // DISCOVER and REQUEST of two machines, a release, a decline.
    let lease = [
        [1, 1, 1, 0, 1, 0],
        [3, 1, 1, 1, 1, 3],
        [1, 2, 2, 0, 1, 0],
        [3, 2, 2, 1, 1, 3],
        [7, 1, 1, 1, 0, 6],
        [4, 2, 2, 9, 0, 3],
    ];
    put(home, "dhcp_exchange", "lease", lease.as_flattened())?;
    put(home, "pxe_options", "boot-given-file", &[0, 6, 1, 8, 255])?;
    let menu = b"\x00\x06\x01\x07\x08\x07\x80\x01\x01\x0a\x4d\x00\x01\x09\x07\x80\x01\x04disk\x0a\x03\x0aF8\x47\x04\x80\x01\x00\x00\xff";
    put(home, "pxe_options", "menu", menu)
}

/// DISCOVER and REQUEST with everything a lease keeps: identifier, host name, GUID, option 82.
fn lease_story() -> Vec<u8> {
    let mut story = Vec::new();
    for (kind, address) in [(1, None), (3, Some([10, 77, 0, 100]))] {
        let mut message = Message::new(Op::BootRequest);
        message.chaddr[..6].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 1]);
        message.giaddr = [10, 77, 0, 2].into();
        message.options.set(code::MESSAGE_TYPE, [kind]);
        message.options.set(code::CLIENT_IDENTIFIER, [0, 1, 2, 3]);
        message.options.set(code::HOST_NAME, b"web01".to_vec());
        message.options.set(code::CLIENT_GUID, [0; 17]);
        message.options.set(code::RELAY_INFO, [1, 2, b'p', b'1']);
        if let Some(address) = address {
            message.options.set_ip(code::REQUESTED_ADDRESS, address.into());
            message.options.set_ip(code::SERVER_IDENTIFIER, [10, 77, 0, 1].into());
        }
        let encoded = message.encode(&[], &Encoding::default()).expect("a request encodes").bytes;
        story.extend(u16::try_from(encoded.len()).unwrap_or(u16::MAX).to_be_bytes());
        story.push(0);
        story.extend(encoded);
    }
    story
}

fn tftp(home: &Path) -> io::Result<()> {
    let reads: [(&str, &str, &[(&str, &str)]); 5] = [
        ("ipxe", "undionly.kpxe", &[("blksize", "1432"), ("tsize", "0")]),
        ("ovmf", "snponly.efi", &[("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")]),
        ("shim", "grubx64.efi", &[("blksize", "512"), ("windowsize", "4")]),
        ("pxelinux", "pxelinux.cfg/01-52-54-00-12-34-56", &[("tsize", "0"), ("blksize", "1408")]),
        ("grub", "/grub/grub.cfg", &[("blksize", "1024"), ("tsize", "0")]),
    ];
    for (name, file, options) in reads {
        put(home, "tftp_packet", name, &read_request(file, "octet", options))?;
    }
    let ops: [(&str, &[u8]); 4] = [
        ("lock-step", &[0, 4, 0, 2, 0, 1, 0, 1, 0, 0, 1, 0, 0, 2, 0, 0, 3]),
        ("window", &[4, 255, 0, 2, 0, 8, 2, 0, 0, 0, 0, 0, 0, 8, 6, 2, 88, 0, 0, 12]),
        ("probe", &[0, 4, 0, 2, 0, 4, 3, 1, 3, 0, 8, 7, 0, 0]),
        ("silence", &[0, 4, 0, 2, 0, 1, 0, 0, 6, 40, 0, 6, 40, 0, 7, 0, 1, 8, 0, 0]),
    ];
    for (name, bytes) in ops {
        put(home, "transfer_ops", name, bytes)?;
    }
    let size: &[u8] = b"tsize";
    put(home, "tftp_packet", "ack", &ack(1))?;
    put(home, "tftp_packet", "oack", &oack([(size, "4096".to_owned())]))?;
    put(home, "tftp_packet", "error", &error(ErrorCode::OptionNegotiation, "User aborted the transfer"))?;
    put(home, "tftp_packet", "data", &[data_header(1).as_slice(), b"content"].concat())
}

fn config(home: &Path) -> io::Result<()> {
    put(home, "config_text", "empty", b"")?;
    let mut folders = vec![home.join("../examples")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                let parent = folder.file_name().unwrap_or_default().to_string_lossy();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                put(home, "config_text", &format!("{parent}-{name}"), &fs::read(&path)?)?;
            }
        }
    }
    Ok(())
}

/// The lists of the examples behind the byte that chooses their format.
fn host_lists(home: &Path) -> io::Result<()> {
    let lists = [
        (0u8, "hosts.csv"),
        (1, "dhcpd.conf"),
        (2, "dnsmasq.conf"),
        (2, "dnsmasq.hosts"),
        (3, "kea-dhcp4.json"),
        (4, "prestaged.ldif"),
    ];
    for (format, name) in lists {
        let list = fs::read(home.join("../examples/host-import").join(name))?;
        put(home, "host_list", name, &[&[format], list.as_slice()].concat())?;
    }
    Ok(())
}

/// The grammar of `testdata/README.md`.
fn hex(text: &str) -> Vec<u8> {
    let words = text.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    words
        .flat_map(|word| {
            let (pair, times) = word.split_once('*').unwrap_or((word, "1"));
            let byte = u8::from_str_radix(pair, 16).expect("two hex digits");
            std::iter::repeat_n(byte, times.parse().expect("a count"))
        })
        .collect()
}
