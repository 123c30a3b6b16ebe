//! Helpers of this crate's tests.

use std::future::Future;
use std::process::Command;
use std::time::Duration;

/// Runs one async test on its own runtime with a deadline.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(
        async { tokio::time::timeout(Duration::from_secs(10), test).await.expect("the test hangs") },
    )
}

/// Runs the named test of this binary again inside a fresh user and network namespace, where it is root.
/// True when the caller already is inside and has to do its work. Skips loudly when namespaces are not permitted.
pub(crate) fn inside_namespace(test: &str) -> bool {
    if std::env::var_os("REVEILLE_INSIDE_NAMESPACE").is_some() {
        return true;
    }
    let possible = ["true", "ip"].iter().all(|tool| {
        let arguments: &[&str] = if *tool == "ip" { &["link"] } else { &[] };
        Command::new("unshare")
            .args(["-Urn", tool])
            .args(arguments)
            .output()
            .is_ok_and(|output| output.status.success())
    });
    if !possible {
        let text = format!("SKIPPED {test}: `unshare -Urn` or `ip` does not work here");
        assert!(std::env::var("REVEILLE_REQUIRE_TOOLS").as_deref() != Ok("1"), "{text}");
        eprintln!("{text}");
        return false;
    }
    let output = Command::new("unshare")
        .arg("-Urn")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("REVEILLE_INSIDE_NAMESPACE", "1")
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "in the namespace:\n{text}");
    false
}

/// Runs `ip` with these arguments; only inside a namespace of the test.
pub(crate) fn ip(arguments: &str) {
    assert!(std::env::var_os("REVEILLE_INSIDE_NAMESPACE").is_some());
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
