use super::*;
use proptest::prelude::*;

#[test]
fn names_that_differ_in_case_alone_are_reported() {
    let names = ["B.B00", "k.b00", "efi/boot/BOOT.CFG", "b.b00", "EFI/boot/boot.cfg", "Efi/boot/boot.cfg"];
    assert_eq!(
        collisions(names),
        [vec!["B.B00", "b.b00"], vec!["efi/boot/BOOT.CFG", "EFI/boot/boot.cfg", "Efi/boot/boot.cfg"]]
    );
    assert!(collisions(["a", "b", "ä", "Ä"]).is_empty());
}

proptest! {
    /// A look-up without case finds one file for every name, or the collision was reported.
    #[test]
    fn no_collision_goes_unnoticed(names in proptest::collection::vec("[aAbBcC.]{1,3}", 0..12)) {
        let reported = collisions(names.iter().map(String::as_str));
        for (at, name) in names.iter().enumerate() {
            let alike = names.iter().filter(|other| other.eq_ignore_ascii_case(name)).count();
            let group = reported.iter().find(|group| group.iter().any(|other| other == &names[at]));
            prop_assert_eq!(group.map_or(1, Vec::len), alike);
        }
    }
}
