//! Golden packets for tests: `testdata/*.hex`, grammar in `testdata/README.md`.

macro_rules! golden {
    ($($name:ident = $file:literal,)*) => {
        $(pub(crate) const $name: &str = include_str!(concat!("../../testdata/", $file, ".hex"));)*

        /// Every packet with its file name.
        pub(crate) const ALL: &[(&str, &str)] = &[$(($file, $name),)*];
    };
}

golden! {
    IPXE_BIOS_ROM_DISCOVER = "ipxe-bios-rom-discover",
    UNDIONLY_DISCOVER = "undionly-discover",
    IPXE_EFI_DISCOVER = "ipxe-efi-discover",
    OVMF_PXE_DISCOVER = "ovmf-pxe-discover",
    OVMF_PXE_DISCOVER_RELAYED = "ovmf-pxe-discover-relayed",
    OVMF_PXE_REQUEST = "ovmf-pxe-request",
    OVMF_PXE_4011_REQUEST = "ovmf-pxe-4011-request",
    OVMF_HTTP_DISCOVER = "ovmf-http-discover",
    AAVMF_PXE_DISCOVER = "aavmf-pxe-discover",
    UDHCPC_DISCOVER = "udhcpc-discover",
    DHCLIENT_DISCOVER = "dhclient-discover",
}

/// The bytes of a golden text. Panics on bad grammar: it is our own file.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let words = text.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    words
        .flat_map(|word| {
            let (pair, times) = word.split_once('*').unwrap_or((word, "1"));
            let byte = u8::from_str_radix(pair, 16).expect("two hex digits");
            std::iter::repeat_n(byte, times.parse().expect("a count"))
        })
        .collect()
}
