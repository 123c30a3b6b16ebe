//! Child processes whose output can be waited for.
//!
//! A reader thread takes the output as it comes, into memory and a log file; whoever waits is woken by it. Children
//! end with their value, and with the thread that started them (`setpriv --pdeathsig`).

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much of an output an error message shows.
const TAIL_LINES: usize = 40;
/// A polite end may take this long.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// What a child has said so far.
#[derive(Default)]
pub struct Transcript {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    closed: bool,
}

impl Transcript {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, bytes: &[u8]) {
        self.state().bytes.extend_from_slice(bytes);
        self.changed.notify_all();
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Everything so far as text, without terminal control sequences and carriage returns.
    pub fn text(&self) -> String {
        plain_text(&self.state().bytes)
    }

    /// The last lines, for error messages.
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
    }

    /// Waits until `look` finds something in the text; `what` names it in the error.
    ///
    /// # Errors
    /// When the deadline passes or the output ends first.
    pub fn wait_until<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let until = Instant::now() + deadline;
        let mut state = self.state();
        loop {
            if let Some(found) = look(&plain_text(&state.bytes)) {
                return Ok(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                let why = if state.closed { "the output ended" } else { "the deadline passed" };
                drop(state);
                bail!("no {what}: {why} (deadline {deadline:?}); last lines:\n{}", self.tail());
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a line that contains `needle` and returns it, as far as it has been written.
    ///
    /// # Errors
    /// When the deadline passes or the output ends first.
    pub fn wait_for(&self, needle: &str, deadline: Duration) -> Result<String> {
        self.wait_until(&format!("line with {needle:?}"), deadline, |text| {
            text.lines().find(|line| line.contains(needle)).map(str::to_string)
        })
    }

    fn wait_closed(&self, until: Instant) {
        let mut state = self.state();
        while !state.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Drops ANSI escape sequences, carriage returns and NULs: firmware paints its console.
fn plain_text(bytes: &[u8]) -> String {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            0x1b => match rest.next() {
                // CSI: parameters up to a final byte; the cursor jumps firmware uses as line ends become one.
                Some(b'[') => {
                    let last = rest.by_ref().find(|byte| (0x40..=0x7e).contains(byte));
                    if matches!(last, Some(b'H' | b'f')) && plain.last() != Some(&b'\n') {
                        plain.push(b'\n');
                    }
                }
                Some(b'(' | b')') => {
                    rest.next();
                }
                _ => {}
            },
            b'\r' | 0 => {}
            other => plain.push(other),
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// A running child. Dropping it kills it.
pub struct Running {
    name: String,
    child: Child,
    transcript: Arc<Transcript>,
    reader: Option<JoinHandle<()>>,
    started: Instant,
}

impl Running {
    /// Starts `command` with both outputs in one transcript and, when given, a log file.
    ///
    /// The child ends when the calling thread does: start it from a thread that lives long enough.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: Command, log: Option<&Path>) -> Result<Running> {
        let mut tied = crate::world::command("setpriv");
        tied.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => tied.env(key, value),
                None => tied.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            tied.current_dir(folder);
        }
        let mut log =
            log.map(File::create).transpose().with_context(|| format!("cannot write the log of {name}"))?;
        let (mut output, input) = std::io::pipe()?;
        tied.stdout(input.try_clone()?).stderr(input);
        // A child inherits the signals its parent blocks: one that waits for SIGTERM must be able to get it.
        let blocked = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let child = tied.spawn();
        blocked.thread_set_mask()?;
        let child = child.with_context(|| format!("cannot start {name}"))?;
        drop(tied);
        let transcript = Arc::new(Transcript::default());
        let heard = Arc::clone(&transcript);
        let reader = std::thread::Builder::new().name(format!("{name}-output")).spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let bytes = buffer.get(..count).unwrap_or_default();
                if let Some(log) = &mut log {
                    let _ = log.write_all(bytes);
                }
                heard.push(bytes);
            }
            heard.close();
        })?;
        Ok(Running {
            name: name.to_string(),
            child,
            transcript,
            reader: Some(reader),
            started: Instant::now(),
        })
    }

    /// What it has said.
    pub fn transcript(&self) -> &Arc<Transcript> {
        &self.transcript
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Time since its start.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// See [`Transcript::wait_for`]; the error names the child.
    ///
    /// # Errors
    /// When the deadline passes or the child ends first.
    pub fn wait_for(&self, needle: &str, deadline: Duration) -> Result<String> {
        self.transcript.wait_for(needle, deadline).with_context(|| format!("waiting for {}", self.name))
    }

    /// True while it has not ended.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// When the deadline passes first; it keeps running then.
    pub fn wait_exit(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + deadline;
        self.transcript.wait_closed(until);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= until {
                bail!("{} still runs after {deadline:?}; last lines:\n{}", self.name, self.transcript.tail());
            }
            // Its output is closed, so its end is a matter of microseconds; there is no event to wait on.
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).context("process id")?;
        kill(Pid::from_raw(id), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Asks it to end, then makes it.
    ///
    /// # Errors
    /// When it had to be killed, or ended in failure.
    pub fn stop(mut self) -> Result<()> {
        if self.is_alive() {
            self.signal(Signal::SIGTERM)?;
        }
        let status = self.wait_exit(STOP_DEADLINE)?;
        if !status.success() {
            bail!("{} ended with {status}; last lines:\n{}", self.name, self.transcript.tail());
        }
        Ok(())
    }

    /// Ends it at once, as a power cut would.
    pub fn cut(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            // A grandchild may hold the pipe open; it is not ours to wait for.
            if reader.is_finished() {
                let _ = reader.join();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_control_is_dropped_and_cursor_jumps_end_lines() {
        assert_eq!(plain_text(b"\x1b[2J\x1b[01;01HiPXE\r\n\x1b[0mok\x1b(Bay\0"), "\niPXE\nokay");
    }

    #[test]
    fn a_line_is_waited_for_and_a_missing_one_is_reported_with_the_tail() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exec sleep 60"]);
        let running = Running::start("sh", command, None).unwrap();
        assert_eq!(running.wait_for("tw", Duration::from_secs(10)).unwrap(), "two");
        let error = running.wait_for("three", Duration::from_millis(50)).unwrap_err();
        assert!(format!("{error:#}").contains("one\ntwo"), "{error:#}");
    }

    #[test]
    fn an_ended_child_is_not_waited_for_until_the_deadline() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo bye; exit 3"]);
        let mut running = Running::start("sh", command, None).unwrap();
        assert!(running.wait_for("never", Duration::from_secs(60)).is_err());
        assert_eq!(running.wait_exit(Duration::from_secs(10)).unwrap().code(), Some(3));
    }
}
