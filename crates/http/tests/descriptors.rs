//! Running out of descriptors, in a process of its own.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod rig;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rig::{DEADLINE, start};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn h17_running_out_of_descriptors_never_ends_the_accept_loop() {
    let rig = start(|_| {});
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let open = u64::try_from(std::fs::read_dir("/proc/self/fd").unwrap().count()).unwrap();
    // Descriptors are given lowest first, so this leaves room for about four more.
    setrlimit(Resource::RLIMIT_NOFILE, open + 4, hard).unwrap();
    let mut held = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        held.push(file);
    }
    // One for our own end of the connection; none for the server's.
    held.pop();
    let mut stream = rig.connect().await;
    let end = Instant::now() + DEADLINE;
    while rig.meter.snapshot().accept_errors == 0 {
        assert!(Instant::now() < end, "accept never failed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(held);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    // The very connection that could not be accepted is served now.
    stream.write_all(b"GET /hundred HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}
