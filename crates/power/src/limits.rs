//! Every bound of a power action, with its reason.

use std::time::Duration;

/// For name, address and TLS of one connection. A management controller's processor takes seconds for an RSA handshake.
pub const CONNECT_WAIT: Duration = Duration::from_secs(15);

/// Longest silence before an answer and between two pieces of it.
pub const SILENCE_WAIT: Duration = Duration::from_secs(30);

/// For one question as a whole: who sends a byte now and then is no faster.
pub const STEP_WAIT: Duration = Duration::from_secs(60);

/// Largest answer. A `ComputerSystem` has 5 to 40 kB; a collection of [`SYSTEMS_MAX`] members less.
pub const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Tries of one question that the service is too busy for, or that does not get there.
pub const TRIES_MAX: u32 = 5;

/// Pause before the second try; it doubles with each.
pub const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// Longest pause between two tries, also when `Retry-After` asks for more.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Systems looked at behind one service: a full blade chassis with two nodes a blade.
pub const SYSTEMS_MAX: usize = 64;

/// Pages of a collection that are read.
pub const PAGES_MAX: usize = 16;

/// Redirects of one question that are followed, all within the service's origin.
pub const REDIRECTS_MAX: usize = 3;

/// Longest link of a service that is followed.
pub const LINK_BYTES_MAX: usize = 1 << 10;

/// How often a machine is looked at that shall go on or off.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// For a machine to go on, or off by force. Fans and disks of large ones take a minute.
pub const POWER_WAIT: Duration = Duration::from_secs(120);

/// For an operating system to shut down when nobody says otherwise.
pub const GRACE: Duration = Duration::from_secs(120);

/// Longest that anybody may wait for a shutdown.
pub const GRACE_MAX: Duration = Duration::from_secs(1800);

/// Questions of one action in all: the last bound, whatever a service makes us do.
pub const QUESTIONS_MAX: u32 = 4096;

// Whoever waits as long as may be for a shutdown, then for force, then for power, stays below it.
const _: () = assert!(
    (GRACE_MAX.as_secs() + 2 * POWER_WAIT.as_secs()) / LOOK_EVERY.as_secs() + 512 < QUESTIONS_MAX as u64
);

/// Characters of a text of the service that are shown.
pub const TEXT_CHARS_MAX: usize = 200;

/// Largest file or variable with a secret.
pub const SECRET_BYTES_MAX: usize = 4 << 10;

/// Times a magic packet is sent: it is not answered and may be lost.
pub const WAKE_REPEATS: u32 = 3;

/// Pause between two of them. A switch that is learning the port has a moment.
pub const WAKE_PAUSE: Duration = Duration::from_millis(100);

/// Broadcast addresses one packet goes to when no interface is named.
pub const WAKE_TARGETS_MAX: usize = 32;

/// The bounds that a caller or a test may set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// As [`CONNECT_WAIT`].
    pub connect_wait: Duration,
    /// As [`SILENCE_WAIT`].
    pub silence_wait: Duration,
    /// As [`STEP_WAIT`].
    pub step_wait: Duration,
    /// As [`ANSWER_BYTES_MAX`].
    pub answer_bytes_max: u64,
    /// As [`TRIES_MAX`].
    pub tries_max: u32,
    /// As [`PAUSE_FIRST`].
    pub pause_first: Duration,
    /// As [`PAUSE_MAX`].
    pub pause_max: Duration,
    /// As [`LOOK_EVERY`].
    pub look_every: Duration,
    /// As [`POWER_WAIT`].
    pub power_wait: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect_wait: CONNECT_WAIT,
            silence_wait: SILENCE_WAIT,
            step_wait: STEP_WAIT,
            answer_bytes_max: ANSWER_BYTES_MAX,
            tries_max: TRIES_MAX,
            pause_first: PAUSE_FIRST,
            pause_max: PAUSE_MAX,
            look_every: LOOK_EVERY,
            power_wait: POWER_WAIT,
        }
    }
}
