//! Files by HTTP and TFTP beside nginx and tftpd-hpa.

use super::wait_for_socket;
use anyhow::{Context, Result};
use harness::{Lab, Namespace, Running};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// An installer image by HTTP, a kernel by TFTP.
const HTTP_BYTES: u64 = 300_000_000;
const TFTP_BYTES: u64 = 30_000_000;
const SERVER: &str = "10.64.0.1";
const DEADLINE: Duration = Duration::from_secs(300);

/// Prints megabytes per second of each server, lowest, median and highest of the rounds.
pub(super) fn run(binary: &Path, rounds: u32) -> Result<()> {
    let lab = Lab::new()?;
    let segment = lab.segment()?;
    let server = lab.station(&segment, "server", Some("10.64.0.1/16"))?;
    let client = lab.station(&segment, "client", Some("10.64.0.2/16"))?;
    let folder = lab.path("files");
    std::fs::create_dir_all(&folder)?;
    for (name, bytes) in [("big", HTTP_BYTES), ("kernel", TFTP_BYTES)] {
        make_file(&folder.join(name), bytes)?;
    }
    let _ours = reveille(&lab, &server, binary, &folder)?;
    let _nginx = nginx(&lab, &server, &folder)?;
    let other = lab.station(&segment, "other", Some("10.64.0.3/16"))?;
    let _tftpd = tftpd(&lab, &other, &folder)?;
    let cases: [(&str, Vec<String>); 5] = [
        ("http  reveille", curl(&format!("http://{SERVER}:8080/bench/big"), &[])),
        ("http  nginx", curl(&format!("http://{SERVER}:8081/big"), &[])),
        (
            "tftp  reveille, blksize 1468",
            curl(&format!("tftp://{SERVER}/bench/kernel"), &["--tftp-blksize", "1468"]),
        ),
        ("tftp  tftpd-hpa, blksize 1468", curl("tftp://10.64.0.3/kernel", &["--tftp-blksize", "1468"])),
        ("tftp  reveille, windowsize 16", atftp()),
    ];
    let mut rates = vec![Vec::new(); cases.len()];
    for _ in 0..rounds {
        for ((name, command), rates) in cases.iter().zip(&mut rates) {
            rates.push(measure(&lab, &client, name, command)?);
        }
    }
    println!("{:<32} {:>9} {:>9} {:>9}  MB/s", "transfer", "min", "median", "max");
    for ((name, _), mut rates) in cases.iter().zip(rates) {
        rates.sort_by(f64::total_cmp);
        let at = |index: usize| rates.get(index).copied().unwrap_or(f64::NAN);
        println!(
            "{name:<32} {:>9.0} {:>9.0} {:>9.0}",
            at(0),
            at(rates.len() / 2),
            at(rates.len().saturating_sub(1))
        );
    }
    Ok(())
}

/// Bytes that do not repeat within a page, so that nothing is the same by luck.
fn make_file(path: &Path, bytes: u64) -> Result<()> {
    let block: Vec<u8> =
        (0..1_000_000u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut content = Vec::new();
    while (content.len() as u64) < bytes {
        content.extend_from_slice(&block);
    }
    content.truncate(usize::try_from(bytes)?);
    std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

fn curl(url: &str, more: &[&str]) -> Vec<String> {
    let all = [
        &[
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--output",
            "/dev/null",
            "--write-out",
            "%{size_download} %{time_total}",
        ],
        more,
        &[url],
    ];
    all.concat().into_iter().map(str::to_owned).collect()
}

/// atftp says nothing of its speed: the shell's clock does.
fn atftp() -> Vec<String> {
    let script = format!(
        "begun=$(date +%s%N); atftp --option 'blksize 1468' --option 'windowsize 16' -g -r bench/kernel -l /dev/null {SERVER} >/dev/null 2>&1 || exit 1; \
         ended=$(date +%s%N); echo \"{TFTP_BYTES} $(( (ended - begun) / 1000 ))e-6\""
    );
    ["sh", "-c", &script].map(str::to_owned).to_vec()
}

/// Megabytes per second of one transfer.
fn measure(lab: &Lab, client: &Namespace, name: &str, words: &[String]) -> Result<f64> {
    let (program, args) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(args);
    let text = client.output(lab, "client", command, DEADLINE).with_context(|| name.to_owned())?;
    let mut numbers = text.split_whitespace().rev().filter_map(|word| word.parse::<f64>().ok());
    let (seconds, bytes) = (numbers.next(), numbers.next());
    let (seconds, bytes) = seconds.zip(bytes).with_context(|| format!("{name} said: {text}"))?;
    Ok(bytes / seconds / 1e6)
}

fn reveille(lab: &Lab, station: &Namespace, binary: &Path, folder: &Path) -> Result<Running> {
    let state = lab.path("reveille");
    std::fs::create_dir_all(&state)?;
    let file = state.join("reveille.yaml");
    let source = format!("dir:{}", folder.display());
    let config = json!({
        "version": 1,
        "interfaces": [{ "name": "eth0" }],
        "dhcp": { "mode": "off" },
        "admin": { "socket": state.join("admin.sock") },
        "store": { "path": state.join("store") },
        "library": { "path": state.join("library") },
        "log": { "format": "text", "level": "warn" },
        "resources": { "images": [{ "name": "bench", "kind": "linux", "kernel": "kernel", "source": source }] },
    });
    std::fs::write(&file, format!("{config:#}"))?;
    let mut command = Command::new(binary);
    command.arg("serve").arg("--config").arg(&file);
    let running = station.start(lab, "reveille", command)?;
    // The boot plane answers once the image is imported.
    let mut probe = Command::new("curl");
    probe.args([
        "--silent",
        "--fail",
        "--head",
        "--retry",
        "60",
        "--retry-delay",
        "1",
        "--retry-connrefused",
        "--retry-all-errors",
    ]);
    probe.arg(format!("http://{SERVER}:8080/bench/kernel"));
    station.output(lab, "probe", probe, DEADLINE)?;
    Ok(running)
}

fn nginx(lab: &Lab, station: &Namespace, folder: &Path) -> Result<Running> {
    let state = lab.path("nginx");
    std::fs::create_dir_all(&state)?;
    let file = state.join("nginx.conf");
    let (root, state) = (folder.display(), state.display());
    std::fs::write(
        &file,
        format!(
            "user root; daemon off; worker_processes 1; pid {state}/pid; error_log {state}/error.log; events {{}}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {state}/body; proxy_temp_path {state}/proxy;\n\
             fastcgi_temp_path {state}/fastcgi; uwsgi_temp_path {state}/uwsgi; scgi_temp_path {state}/scgi;\n\
             server {{ listen 8081; root {root}; }} }}\n"
        ),
    )?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file);
    let running = station.start(lab, "nginx", command)?;
    wait_for_socket(station, "tcp", 8081)?;
    Ok(running)
}

fn tftpd(lab: &Lab, station: &Namespace, folder: &Path) -> Result<Running> {
    let mut command = Command::new("in.tftpd");
    command.args(["--foreground", "--user", "root", "--address", "0.0.0.0:69", "--secure"]).arg(folder);
    let running = station.start(lab, "tftpd", command)?;
    wait_for_socket(station, "udp", 69)?;
    Ok(running)
}
