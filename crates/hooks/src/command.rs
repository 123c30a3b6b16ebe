//! One try of a command: no shell, no environment but its own, a group of its own that does not outlive the try.
//!
//! What a command starts and leaves behind is killed with it, unless it left the group by `setsid`.

use crate::Try;
use crate::brain::Verdict;
use crate::limits::{CLOSE_WAIT, OUTPUT_BYTES_MAX};
use crate::payload::Ready;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Where a command finds other programs. Ours may name folders that are nobody's business.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The process group of a command. It ends with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        // Its leader may be gone by now. Its number is free again only when the whole group is, and is not given out anew at once.
        if let Some(leader) = self.0 {
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// Runs it once. `fields` are put into its environment.
pub(crate) async fn run(program: &Path, ready: Ready, fields: &[(&str, &str)], timeout: Duration) -> Try {
    let mut command = Command::new(program);
    command
        .args(&ready.arguments)
        .env_clear()
        .env("PATH", PATH)
        .envs(fields.iter().copied())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let words = format!("{} cannot be started: {error}", program.display());
            return Try::new(Verdict::Never, "not_started", words);
        }
    };
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let talk = async move {
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A command need not read what it is given.
                let _ = stdin.write_all(ready.body.as_bytes()).await;
            }
        };
        let (_, said, complained) = tokio::join!(feed, heard(stdout), heard(stderr));
        if complained.is_empty() { said } else { complained }
    };
    tokio::pin!(talk);
    let mut said = None;
    let all = async {
        loop {
            tokio::select! {
                ended = child.wait() => return ended,
                words = &mut talk, if said.is_none() => said = Some(words),
            }
        }
    };
    let ended = tokio::time::timeout(timeout, all).await;
    drop(group);
    if ended.is_err() {
        // It was killed; this only takes note of it.
        let _ = tokio::time::timeout(CLOSE_WAIT, child.wait()).await;
    }
    let said = match said {
        Some(said) => said,
        None => tokio::time::timeout(CLOSE_WAIT, talk).await.unwrap_or_default(),
    };
    match ended {
        Ok(Ok(status)) if status.success() => Try::new(Verdict::Done, "delivered", "it ended well"),
        Ok(Ok(status)) => Try::new(Verdict::Again(None), "command_failed", words(status, &said)),
        Ok(Err(error)) => Try::new(Verdict::Again(None), "command_failed", error.to_string()),
        Err(_) => {
            let words = format!("it did not end within {} s and was killed", timeout.as_secs_f32());
            Try::new(Verdict::Again(None), "command_silent", words)
        }
    }
}

/// All that comes is read, so that nobody waits for room in a pipe; the beginning is kept.
async fn heard(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return kept };
    let mut piece = vec![0u8; 4096];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(piece.get(..room).unwrap_or_default());
    }
    kept
}

/// How it ended, and the first line it said.
fn words(status: ExitStatus, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    match said.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => format!("it ended with {status} and said: {line}"),
        None => format!("it ended with {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_of_an_output_is_bounded() {
        let long = vec![b'x'; 10 * OUTPUT_BYTES_MAX];
        assert_eq!(heard(Some(&long[..])).await.len(), OUTPUT_BYTES_MAX);
        assert_eq!(heard(Some(&b"short"[..])).await, b"short");
    }
}
