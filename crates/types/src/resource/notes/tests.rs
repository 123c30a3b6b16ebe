use super::*;

fn image(kind: ImageKind) -> Image {
    Image::new("image".parse().unwrap(), kind)
}

fn on(firmware: Firmware, comboot: Option<bool>) -> Facts {
    Facts { firmware: Some(firmware), comboot, ..Facts::default() }
}

/// Everything is there, and signed.
fn whole() -> Holds {
    Holds { bios_loader: true, uefi_loader: UefiLoader::Own, wimboot: true, loaded_bytes: 0, unsigned: None }
}

const KINDS: [ImageKind; 6] = [
    ImageKind::Linux,
    ImageKind::IpxeScript,
    ImageKind::Esxi,
    ImageKind::Windows,
    ImageKind::Efi,
    ImageKind::Iso,
];

/// A note holds each of these words, in order, and there are no more notes than words.
#[track_caller]
fn says(notes: &[String], words: &[&str]) {
    assert_eq!(notes.len(), words.len(), "{notes:?}");
    for (note, words) in notes.iter().zip(words) {
        assert!(note.contains(words), "{words}: {notes:?}");
    }
}

#[test]
fn every_kind_on_every_firmware_says_what_it_cannot() {
    use Firmware::{Bios, UefiArm64, UefiIa32, UefiX64};
    let rows: [(ImageKind, Firmware, &[&str]); 20] = [
        (ImageKind::Linux, Bios, &[]),
        (ImageKind::Linux, UefiX64, &[]),
        (ImageKind::Linux, UefiArm64, &[]),
        (ImageKind::IpxeScript, Bios, &[]),
        (ImageKind::IpxeScript, UefiX64, &[]),
        (ImageKind::Esxi, Bios, &["COMBOOT"]),
        (ImageKind::Esxi, UefiX64, &[]),
        (ImageKind::Esxi, UefiArm64, &[]),
        (ImageKind::Esxi, UefiIa32, &["no loader for uefi-ia32"]),
        (ImageKind::Esxi, Firmware::UbootArm64, &["no loader for uboot-arm64"]),
        (ImageKind::Windows, Bios, &[]),
        (ImageKind::Windows, UefiX64, &[]),
        (ImageKind::Windows, UefiArm64, &[]),
        (ImageKind::Efi, Bios, &["BIOS machines do not boot it"]),
        (ImageKind::Efi, UefiX64, &[]),
        (ImageKind::Efi, UefiArm64, &[]),
        (ImageKind::Iso, Bios, &["a drive only while iPXE runs"]),
        (ImageKind::Iso, UefiX64, &["a drive only while iPXE runs", "\\EFI\\BOOT"]),
        (ImageKind::Iso, UefiArm64, &["a drive only while iPXE runs", "\\EFI\\BOOT"]),
        (ImageKind::Iso, Firmware::UbootArm64, &["a drive only while iPXE runs"]),
    ];
    for (kind, firmware, words) in rows {
        says(&image(kind).notes(&whole(), Some(&on(firmware, None))), words);
    }
}

#[test]
fn what_one_machine_is_told_is_told_to_all_or_is_of_that_machine_alone() {
    let holds = Holds { unsigned: Some("snponly.efi".to_owned()), loaded_bytes: 1 << 30, ..Holds::default() };
    for kind in KINDS {
        let all = image(kind).notes(&holds, None);
        assert_eq!(all, image(kind).notes(&holds, Some(&Facts::default())), "of no firmware that is known");
        for firmware in Firmware::ALL {
            for note in image(kind).notes(&holds, Some(&on(firmware, None))) {
                assert!(all.contains(&note) || note.contains(firmware.as_str()), "{kind:?} {note}");
            }
        }
    }
}

#[test]
fn an_image_for_other_firmware_says_that_and_nothing_else() {
    let holds = Holds { unsigned: Some("a.efi".to_owned()), loaded_bytes: 1 << 30, ..Holds::default() };
    for kind in KINDS {
        let image = Image { firmware: vec![Firmware::Bios, Firmware::UefiX64], ..image(kind) };
        says(
            &image.notes(&holds, Some(&on(Firmware::UefiArm64, None))),
            &["not boot on uefi-arm64, only on bios, uefi-x64"],
        );
    }
}

#[test]
fn esxi_on_bios_needs_its_loader_and_an_ipxe_that_runs_it() {
    let esxi = image(ImageKind::Esxi);
    let told = |holds: &Holds, comboot| esxi.notes(holds, Some(&on(Firmware::Bios, comboot)));
    says(&told(&whole(), None), &["need an iPXE with COMBOOT"]);
    says(&told(&whole(), Some(false)), &["this machine's iPXE has no COMBOOT"]);
    says(&told(&whole(), Some(true)), &[]);
    let without = Holds { bios_loader: false, ..whole() };
    for comboot in [None, Some(true), Some(false)] {
        says(&told(&without, comboot), &["no BIOS loader (mboot.c32)"]);
    }
    // Not of UEFI machines.
    says(&esxi.notes(&without, Some(&on(Firmware::UefiX64, Some(false)))), &[]);
}

#[test]
fn esxi_on_uefi_says_whose_loader_it_has() {
    let esxi = image(ImageKind::Esxi);
    let lender: Name = "esxi-8".parse().unwrap();
    for (loader, words) in [
        (UefiLoader::Own, &[][..]),
        (UefiLoader::Of(lender), &["given that of image `esxi-8`"]),
        (UefiLoader::NotOwn, &["newest other ESXi image"]),
        (UefiLoader::Missing, &["UEFI machines do not boot it; import"]),
    ] {
        let holds = Holds { uefi_loader: loader, ..whole() };
        says(&esxi.notes(&holds, Some(&on(Firmware::UefiX64, None))), words);
        says(&esxi.notes(&holds, Some(&on(Firmware::Bios, Some(true)))), &[]);
        assert_eq!(esxi.notes(&holds, None).len(), words.len() + 1, "and COMBOOT");
    }
}

/// What a medium has no loader for stands in neither list.
#[test]
fn esxi_for_one_firmware_says_what_the_other_lacks() {
    let only = |firmware| Image { firmware: vec![firmware], ..image(ImageKind::Esxi) };
    let bios = Holds { uefi_loader: UefiLoader::NotOwn, ..whole() };
    says(&only(Firmware::Bios).notes(&bios, None), &["COMBOOT", "its `firmware` has no uefi-x64"]);
    let uefi = Holds { bios_loader: false, ..whole() };
    says(&only(Firmware::UefiX64).notes(&uefi, None), &["no BIOS loader"]);
    says(&only(Firmware::UefiX64).notes(&whole(), None), &[]);
}

#[test]
fn windows_needs_a_wimboot_from_somewhere() {
    let windows = image(ImageKind::Windows);
    let without = Holds { wimboot: false, ..whole() };
    for firmware in [Firmware::Bios, Firmware::UefiX64] {
        says(&windows.notes(&without, Some(&on(firmware, None))), &["needs `wimboot`"]);
        let own = Image { kernel: Some("wimboot".to_owned()), ..windows.clone() };
        says(&own.notes(&without, Some(&on(firmware, None))), &[]);
    }
}

#[test]
fn an_efi_program_with_a_kernel_boots_on_bios() {
    let both = Image { kernel: Some("memtest.bin".to_owned()), ..image(ImageKind::Efi) };
    says(&both.notes(&whole(), Some(&on(Firmware::Bios, None))), &[]);
}

#[test]
fn an_unsigned_loader_is_told_to_uefi_machines() {
    let holds = Holds { unsigned: Some("snponly.efi".to_owned()), ..whole() };
    let linux = image(ImageKind::Linux);
    says(
        &linux.notes(&holds, Some(&on(Firmware::UefiX64, None))),
        &["(`snponly.efi`), which carries no signature"],
    );
    says(&linux.notes(&holds, Some(&on(Firmware::Bios, None))), &[]);
    says(&linux.notes(&holds, None), &["Secure Boot"]);
    let bios = Image { firmware: vec![Firmware::Bios], ..linux };
    says(&bios.notes(&holds, None), &[]);
}

#[test]
fn much_memory_is_told_and_little_is_not() {
    let linux = image(ImageKind::Linux);
    let loads =
        |loaded_bytes| linux.notes(&Holds { loaded_bytes, ..whole() }, Some(&on(Firmware::Bios, None)));
    says(&loads(LOADED_TOLD_MIN - 1), &[]);
    says(&loads(LOADED_TOLD_MIN), &["269 MB are loaded"]);
}
