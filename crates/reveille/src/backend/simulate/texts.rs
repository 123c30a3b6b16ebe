//! Which files a script or configuration of ours names. Pure; it knows the forms that `render` writes, and no others.

use render::esxi::BootCfg;

/// Files looked at of one text; ESXi has 150 modules.
const NAMES_MAX: usize = 1_024;

/// A file a text names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Named {
    /// Its name in the boot tree.
    pub(super) name: String,
    /// By HTTP, else by TFTP.
    pub(super) http: bool,
}

/// Files an iPXE script fetches, in its order: full URLs of our own (`base` ends in a slash), `tftp://` URLs, and `/names` of
/// its commands. `${netX/mac:hexhyp}` is the machine's own. What it chains to itself is left out, and call-backs.
pub(super) fn of_script(text: &str, base: &str, mac_hyphens: &str) -> Vec<Named> {
    let mut found = Vec::new();
    // What a failed command goes on with is none of the boot.
    for line in text.lines().take_while(|line| *line != ":failed").filter(|line| !line.starts_with('#')) {
        let line = line.replace("${netX/mac:hexhyp}", mac_hyphens);
        let (command, _) = line.split_once(' ').unwrap_or((&line, ""));
        let fetches = matches!(command, "kernel" | "initrd" | "chain" | "sanboot" | "imgfetch");
        for word in line.split_whitespace() {
            if let Some(at) = word.find(base) {
                let rest = word.get(at + base.len()..).unwrap_or_default();
                add(&mut found, rest, true);
            } else if let Some(rest) = word.strip_prefix("tftp://") {
                add(&mut found, rest.split_once('/').map_or("", |(_, name)| name), false);
            } else if let (true, Some(name)) = (fetches, word.strip_prefix('/')) {
                add(&mut found, name, false);
            }
        }
    }
    found
}

/// Files of a pxelinux configuration: `::/name`, and the `boot.cfg` behind `-c`.
pub(super) fn of_pxelinux(text: &str, base: &str) -> Vec<Named> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut before = "";
        for word in line.split_whitespace() {
            for part in word.split(',') {
                if let Some(name) = part.strip_prefix("::/") {
                    add(&mut found, name, false);
                } else if let (true, Some(name)) = (before == "-c", part.strip_prefix('/')) {
                    add(&mut found, name, false);
                }
            }
            if let Some(at) = word.find(base) {
                add(&mut found, word.get(at + base.len()..).unwrap_or_default(), true);
            }
            before = word;
        }
    }
    found
}

/// Files of a `boot.cfg`, and the answer file its options name. `None` when it is none that the loader would take.
pub(super) fn of_boot_cfg(text: &str, base: &str) -> Option<Vec<Named>> {
    let config = BootCfg::parse(text.as_bytes()).ok()?;
    let mut found = Vec::new();
    let prefix = config.prefix.as_deref().unwrap_or_default();
    let (prefix, http) = match prefix.strip_prefix(base) {
        Some(folder) => (folder, true),
        None => (prefix.trim_start_matches('/'), false),
    };
    let names =
        std::iter::once(config.kernel.as_str()).chain(config.modules.iter().map(|item| item.name.as_str()));
    for name in names.filter(|name| !name.is_empty()) {
        add(&mut found, &format!("{}/{}", prefix.trim_end_matches('/'), name.trim_start_matches('/')), http);
    }
    for word in config.kernelopt.as_deref().unwrap_or_default().split_whitespace() {
        if let Some(at) = word.find(base) {
            add(&mut found, word.get(at + base.len()..).unwrap_or_default(), true);
        }
    }
    Some(found)
}

fn add(found: &mut Vec<Named>, rest: &str, http: bool) {
    let end = rest.find(['?', '"', '\'', ';', ',', '|']).unwrap_or(rest.len());
    let name = rest.get(..end).unwrap_or_default();
    let token = name.strip_prefix("b/").and_then(|rest| rest.split_once('/'));
    let name = match token {
        // A seed is a folder: what cloud-init asks for first.
        Some((_, "answer/")) => format!("{name}user-data"),
        Some((_, file)) if !file.starts_with("answer/") => return,
        _ => name.to_owned(),
    };
    let own_script = name == render::ipxe::SCRIPT_NAME || name.starts_with("boot.ipxe/");
    let named = Named { name, http };
    if !named.name.is_empty() && !own_script && !found.contains(&named) && found.len() < NAMES_MAX {
        found.push(named);
    }
}

/// A text without the secret of its boot.
pub(super) fn without_secrets(text: &str) -> String {
    const SECRET: usize = 32;
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("/b/") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let secret = after.get(..SECRET).filter(|own| own.bytes().all(|byte| byte.is_ascii_hexdigit()));
        rest = match secret {
            Some(secret) => {
                shown.push_str("…secret…");
                after.get(secret.len()..).unwrap_or_default()
            }
            None => after,
        };
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://10.0.0.1:8080/";

    fn names(found: &[Named]) -> Vec<(&str, bool)> {
        found.iter().map(|named| (named.name.as_str(), named.http)).collect()
    }

    #[test]
    fn an_ipxe_script_names_kernel_ramdisks_and_answer_but_no_call_back() {
        let token = "0123456789abcdef0123456789abcdef";
        let script = format!(
            "#!ipxe\n# see {BASE}nothing\nkernel --name kernel {BASE}debian/linux url={BASE}b/{token}/answer/preseed.cfg \
             reveille.callback={BASE}b/{token}/up || goto failed\ninitrd --name initrd0 {BASE}debian/initrd.gz || goto failed\n\
             initrd --name initrd0 {BASE}debian/initrd.gz\nchain {BASE}boot.ipxe?mac=1\n:failed\nchain {BASE}late\n"
        );
        let answer = format!("b/{token}/answer/preseed.cfg");
        assert_eq!(
            names(&of_script(&script, BASE, "")),
            [("debian/linux", true), (answer.as_str(), true), ("debian/initrd.gz", true)]
        );
        assert!(
            !without_secrets(&script).contains(token) && without_secrets(&script).contains("/b/…secret…/up")
        );
    }

    #[test]
    fn esxi_and_pxelinux_name_their_files_in_their_own_ways() {
        let script = format!(
            "kernel {BASE}esxi/mboot.efi -c {BASE}esxi/01-${{netX/mac:hexhyp}}/boot.cfg || goto failed"
        );
        assert_eq!(
            names(&of_script(&script, BASE, "52-54-00-00-00-01")),
            [("esxi/mboot.efi", true), ("esxi/01-52-54-00-00-00-01/boot.cfg", true)]
        );
        let config = "# reveille\nLABEL debian\n  LINUX ::/debian/linux\n  INITRD ::/debian/a,::/debian/b\n  APPEND -c /e/01-2/boot.cfg\n";
        assert_eq!(
            names(&of_pxelinux(config, BASE)),
            [("debian/linux", false), ("debian/a", false), ("debian/b", false), ("e/01-2/boot.cfg", false)]
        );
        let boot_cfg = format!(
            "prefix={BASE}esxi\nkernel=b.b00\nkernelopt=ks={BASE}b/{}/answer/ks.cfg\nmodules=a.b00 --- c.v00\n",
            "0".repeat(32)
        );
        let found = of_boot_cfg(&boot_cfg, BASE).unwrap();
        let answer = format!("b/{}/answer/ks.cfg", "0".repeat(32));
        assert_eq!(
            names(&found),
            [("esxi/b.b00", true), ("esxi/a.b00", true), ("esxi/c.v00", true), (answer.as_str(), true)]
        );
    }

    #[test]
    fn any_text_is_read_without_a_panic_and_within_bounds() {
        let text: String = (0..3_000).map(|at| format!("kernel {BASE}i/{at}é?x\n")).collect();
        assert_eq!(of_script(&text, BASE, "").len(), NAMES_MAX);
        for text in ["/b/", "/b/é", "http://10.0.0.1:8080/", "prefix=\u{0}\nkernel=\n", "::/,::/"] {
            let _ = (
                of_script(text, BASE, ""),
                of_pxelinux(text, BASE),
                of_boot_cfg(text, BASE),
                without_secrets(text),
            );
        }
    }
}
