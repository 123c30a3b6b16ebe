use super::*;

#[test]
fn spellings_of_one_name_fold_alike() {
    for name in ["a/B", "/a/B", "//a//B", r"\a\B", "./a/./B", r"/\a/\B"] {
        assert_eq!(fold(name).as_deref(), Ok("a/B"), "{name}");
    }
    assert_eq!(fold("b c/ä.efi").as_deref(), Ok("b c/ä.efi"));
    assert_eq!(fold("a/..b/c..").as_deref(), Ok("a/..b/c.."));
}

#[test]
fn faults_are_named() {
    for (name, fault) in [
        ("", NameFault::Empty),
        ("/", NameFault::Folder),
        ("//./", NameFault::Folder),
        ("a/", NameFault::Folder),
        ("a\\", NameFault::Folder),
        ("..", NameFault::Parent),
        ("a/../b", NameFault::Parent),
        (r"a\..\b", NameFault::Parent),
        ("/..", NameFault::Parent),
        ("C:/x", NameFault::Drive),
        (r"c:\x", NameFault::Drive),
        (r"\c:x", NameFault::Drive),
        ("a\0b", NameFault::Control),
        ("a\nb", NameFault::Control),
        ("a\u{7f}", NameFault::Control),
        ("a\u{9b}", NameFault::Control),
        (&"x".repeat(513), NameFault::TooLong),
    ] {
        assert_eq!(fold(name), Err(fault), "{name:?}");
    }
    assert!(fold(&"x".repeat(512)).is_ok());
}

#[test]
fn programs_and_disk_images_have_the_types_uefi_asks_for() {
    assert_eq!(content_type("snponly.EFI"), "application/efi");
    assert_eq!(content_type("a.iso"), "application/vnd.efi-iso");
    assert_eq!(content_type("a.img"), "application/vnd.efi-img");
    assert_eq!(content_type("boot.cfg"), TEXT);
    assert_eq!(content_type("linux"), "application/octet-stream");
}

#[test]
fn names_that_may_hold_the_secret_of_a_boot_are_told_from_those_of_loaders_and_images() {
    let token = "0123456789abcdef0123456789abcdef";
    for name in [
        "b/1/up".to_owned(),
        "//b/1/up".to_owned(),
        format!("esxi-8/reveille/{token}/bundles.tgz"),
        format!("B/{token}/up"),
        format!("%62/{}/up", &token[..16]),
    ] {
        assert!(may_hold_a_token(&name), "{name}");
    }
    for name in [
        "bootx64.efi",
        "pxelinux.cfg/01-52-54-00-12-34-56",
        "pxelinux.cfg/11223344-5566-7788-99aa-bbccddeeff00",
        "debian-12@20261126/linux",
        "esxi/8.0u3/b.b00",
    ] {
        assert!(!may_hold_a_token(name), "{name}");
    }
}
