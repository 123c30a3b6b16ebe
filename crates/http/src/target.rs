//! From a request target to a name in the boot tree. Pure.
//!
//! Percent-decoded exactly once. The name is a key, so `..` could reach nothing; it is refused all the same, to keep
//! the refusal where an operator sees it. Repeated slashes are one: a script that joins a base ending in `/` means no
//! other file, and a redirect would break every loader.

use crate::limits::NAME_BYTES_MAX;
use crate::refusal::Refusal;
use percent_encoding::percent_decode_str;

/// The name a path stands for: no leading slash, no empty segments.
pub(crate) fn name(path: &str) -> Result<String, Refusal> {
    let bad = |text: &'static str| Refusal::bad_request("bad_name", text);
    if !escapes_are_whole(path) {
        return Err(bad("broken percent escape in the file name"));
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| bad("the file name is not UTF-8"))?;
    if decoded.chars().any(char::is_control) {
        return Err(bad("control character in the file name"));
    }
    let rooted = decoded.trim_start_matches(['/', '\\']);
    if rooted.split(['/', '\\']).any(|segment| segment == ".." || segment == ".") {
        return Err(bad("dot segment in the file name"));
    }
    let name = rooted.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/");
    match name.len() {
        0 => Err(Refusal::not_found()),
        1..=NAME_BYTES_MAX => Ok(name),
        _ => Err(bad("the file name is too long")),
    }
}

/// Every `%` is followed by two hex digits.
pub(crate) fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        matches!(after.as_bytes(), [first, second, ..] if first.is_ascii_hexdigit() && second.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_escapes_are_taken_out_once() {
        for (path, expected) in [
            ("/boot.ipxe", "boot.ipxe"),
            ("//debian//linux", "debian/linux"),
            ("/a%20b", "a b"),
            ("/%64ebian/linux", "debian/linux"),
            ("/a%2fb", "a/b"),
            ("/%5cBoot%5cBCD", "Boot\\BCD"),
            ("/a%252e%252e", "a%2e%2e"),
            ("/a;b", "a;b"),
            ("/a..b/...", "a..b/..."),
            ("/file.", "file."),
            ("/debian/", "debian"),
        ] {
            assert_eq!(name(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn names_that_climb_or_hide_bytes_are_refused() {
        for path in [
            "/../etc/passwd",
            "/a/../b",
            "/..",
            "/.",
            "/a/./b",
            "/%2e%2e/etc/passwd",
            "/%2E%2E%2Fetc",
            "/..%5cwindows",
            "/a%5c..%5cb",
            "/..\\..\\etc",
            "/a%00b",
            "/a%0d%0aX:y",
            "/a%1b[31m",
            "/%c0%ae%c0%ae/x",
            "/%ff",
            "/%",
            "/%zz",
            "/a%2",
        ] {
            assert_eq!(name(path).map_err(|refusal| refusal.status.as_u16()), Err(400), "{path}");
        }
        assert_eq!(
            name(&format!("/{}", "a".repeat(NAME_BYTES_MAX + 1))).map_err(|r| r.code),
            Err("bad_name")
        );
        assert_eq!(name("/").map_err(|refusal| refusal.status.as_u16()), Err(404), "there is no listing");
    }

    proptest::proptest! {
        #[test]
        fn any_path_is_a_clean_name_or_refused(path in r"/([%./\\a-f0-9]|%2e|%5c|%2f|%00){0,30}") {
            if let Ok(name) = name(&path) {
                proptest::prop_assert!(!name.split(['/', '\\']).any(|part| part == ".."));
                proptest::prop_assert!(!name.starts_with('/') && !name.contains("//") && !name.contains('\0'));
            }
        }
    }
}
