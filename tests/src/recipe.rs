//! The commands of an answer file, cut out as its installer reads them, and a place where an installer's files are.
//!
//! A recipe is tried by its own text: what is cut here goes to a real shell unchanged. What cannot be had (a `chroot` into the
//! installed system, ESXi's firewall) is a stand-in on the path of that shell.

use crate::{Lab, Namespace};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// For the commands of one section; the slowest of them looks at a log every five seconds.
const SHELL_DEADLINE: Duration = Duration::from_secs(120);

/// Bodies of the sections of a kickstart whose line begins so (`%post --interpreter=busybox`). Anaconda's end with `%end`,
/// ESXi's with the next section.
pub fn kickstart_sections(text: &str, head: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    let mut body: Option<String> = None;
    for line in text.lines() {
        if line.starts_with('%') {
            bodies.extend(body.take());
            body = line.starts_with(head).then(String::new);
        } else if let Some(body) = &mut body {
            body.push_str(line);
            body.push('\n');
        }
    }
    bodies.extend(body);
    bodies
}

/// The value of a question in a preseed file, lines that go on joined.
pub fn preseed_value(text: &str, question: &str) -> Option<String> {
    let joined = text.replace("\\\n", "");
    let lines = joined.lines().map(str::trim_start);
    let line =
        lines.filter(|line| !line.starts_with('#')).find(|line| line.contains(&format!(" {question} ")))?;
    // Owner, question, type, value.
    let rest = line.split_once(question)?.1.trim_start();
    Some(rest.split_once(char::is_whitespace)?.1.trim_start().to_owned())
}

/// A script that stands in a JSON document as a list of lines.
pub fn json_lines(text: &str, key: &str) -> Result<String> {
    let document: Value = serde_json::from_str(text).context("the answer file is not JSON")?;
    let lines = document.get(key).and_then(Value::as_array).with_context(|| format!("no list {key}"))?;
    Ok(lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"))
}

/// The items of a list of commands in an autoinstall file: plain scalars in one line, and literal blocks (`- |`).
pub fn autoinstall_commands(text: &str, key: &str) -> Vec<String> {
    let heading = format!("  {key}:");
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let mut commands: Vec<String> = Vec::new();
    for line in lines.take_while(|line| line.starts_with("    ") || line.trim().is_empty()) {
        if let Some(item) = line.strip_prefix("    - ") {
            commands.push(if item == "|" { String::new() } else { item.to_owned() });
        } else if let (Some(command), Some(more)) = (commands.last_mut(), line.strip_prefix("      ")) {
            command.push_str(more);
            command.push('\n');
        }
    }
    commands
}

/// What stands in the elements of this name, with its five entities read.
pub fn xml_texts(text: &str, element: &str) -> Vec<String> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let parts = text.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
    let read = |text: &str| {
        ["&lt;<", "&gt;>", "&quot;\"", "&#39;'", "&apos;'", "&amp;&"].iter().fold(
            text.to_owned(),
            |text, pair| {
                let (entity, char) = pair.split_at(pair.len() - 1);
                text.replace(entity, char)
            },
        )
    };
    parts.map(|(inside, _)| read(inside)).collect()
}

/// A command line of Windows' `cmd` for a POSIX shell: `curl.exe`, `NUL`, `%WINDIR%` and backslashes, nothing else.
pub fn cmd_as_shell(line: &str, windows: &Path) -> String {
    let line = line.strip_prefix("cmd /c ").unwrap_or(line);
    line.replace('\\', "/")
        .replace("%WINDIR%", &windows.display().to_string())
        .replace("curl.exe", "curl")
        .replace("-o NUL", "-o /dev/null")
        .replace("mkdir ", "mkdir -p ")
}

/// Files that an installer would have: path and text.
pub type Files<'a> = &'a [(&'a str, &'a str)];

/// Runs a script by `shell` in a mount namespace where `/tmp` and `/var/log` are empty but for `files`. Returns what it said.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(lab: &Lab, station: &Namespace, shell: &[&str], script: &str, files: Files<'_>) -> Result<String> {
    // The first two arguments of the inner shell are the script's; the files follow as pairs.
    let inside = r#"
        mount -t tmpfs none /tmp && mount -t tmpfs none /var/log || exit 99
        count=$1; shift
        while [ "$count" -gt 0 ]; do
          mkdir -p "$(dirname "$1")"; printf '%s' "$2" >"$1"; shift 2; count=$((count - 1))
        done
        exec "$@"
    "#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", inside, "installer"]).arg(files.len().to_string());
    for (path, text) in files {
        command.args([path, text]);
    }
    command.args(shell).arg("-c").arg(script);
    station.output(lab, "installer", command, SHELL_DEADLINE)
}

/// The ramdisk of Debian's installer, unpacked: its own shell, its own wget.
pub struct DebianInstaller(PathBuf);

impl DebianInstaller {
    /// Unpacks it into the lab.
    ///
    /// # Errors
    /// When the package is missing, or what busybox said.
    pub fn unpack(lab: &Lab) -> Result<DebianInstaller> {
        let folder = lab.path("d-i");
        std::fs::create_dir(&folder)?;
        let initrd = Path::new(crate::payload::INSTALLER).join("initrd.gz");
        let unpack = r#"cd "$1" && gzip -dc "$2" | busybox cpio -idm 2>/dev/null; test -x bin/busybox && test -x usr/bin/wget"#;
        let status = crate::world::command("sh")
            .args(["-c", unpack, "unpack"])
            .args([&folder, &initrd])
            .status()
            .context("cannot run sh")?;
        if !status.success() {
            bail!("{} cannot be unpacked (package debian-installer-12-netboot-amd64)", initrd.display());
        }
        Ok(DebianInstaller(folder))
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name.trim_start_matches('/'))
    }

    /// Runs a command line as `preseed_command` does: `sh -c`, in there.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, lab: &Lab, station: &Namespace, script: &str) -> Result<String> {
        let mut command = Command::new("chroot");
        command.arg(&self.0).args(["/bin/sh", "-c", script]);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        station.output(lab, "d-i", command, SHELL_DEADLINE)
    }
}

/// A busybox shell that finds nothing but these applets and, under the names of programs that cannot be had, one that says its
/// arguments; for [`run`].
pub fn busybox_shell(applets: &[&str], stand_ins: &[&str]) -> Vec<String> {
    let busybox = crate::payload::BUSYBOX;
    let inside = format!(
        "mkdir /tmp/.bin; for applet in {}; do ln -s {busybox} /tmp/.bin/$applet; done; \
         for name in {}; do printf '#!{busybox} sh\\necho \"%s $*\"\\n' $name >/tmp/.bin/$name; chmod 755 /tmp/.bin/$name; done; \
         exec env -i PATH=/tmp/.bin {busybox} sh \"$@\"",
        applets.join(" "),
        stand_ins.join(" ")
    );
    ["sh", "-c", &inside, "busybox"].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_cut_out_as_their_installers_read_them() {
        let kickstart = "text\n%pre\none\n%end\n%packages\nvim\n%end\n%post --nochroot\ntwo\nthree\n%end\n";
        assert_eq!(kickstart_sections(kickstart, "%pre"), ["one\n"]);
        assert_eq!(kickstart_sections(kickstart, "%post"), ["two\nthree\n"]);
        assert_eq!(kickstart_sections("%post --a\nx\n\n%post --b\ny\n", "%post"), ["x\n\n", "y\n"]);
        let preseed = "# d-i a/b string no\nd-i a/b string one; \\\n  two\nd-i c/d note\n";
        assert_eq!(preseed_value(preseed, "a/b").as_deref(), Some("one;   two"));
        assert_eq!(json_lines(r#"{"post": ["a", "b"]}"#, "post").unwrap(), "a\nb");
        let yaml = "autoinstall:\n  late-commands:\n    - one\n    - |\n      two\n        three\n    - four\n  next:\n    - no\n";
        assert_eq!(autoinstall_commands(yaml, "late-commands"), ["one", "two\n  three\n", "four"]);
        assert_eq!(xml_texts("<a><P>x &gt;&amp;gt; y</P><P>z</P></a>", "P"), ["x >&gt; y", "z"]);
        let shell = cmd_as_shell("cmd /c curl.exe -o NUL -T %WINDIR%\\a.log", Path::new("/w"));
        assert_eq!(shell, "curl -o /dev/null -T /w/a.log");
    }
}
