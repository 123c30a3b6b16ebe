//! dnsmasq as the reference server: it proves the harness, and gives addresses where reveille is the proxy.

use crate::{Lab, Namespace, Running, Transcript};
use anyhow::Result;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// dnsmasq with DHCP, and TFTP when given a folder. Never DNS.
pub struct Dnsmasq {
    lines: String,
}

impl Dnsmasq {
    /// DHCP on `eth0` for addresses of `first`..=`last`, no boot data.
    pub fn new(first: &str, last: &str) -> Dnsmasq {
        let lines = format!(
            "port=0\ninterface=eth0\nbind-interfaces\nno-daemon\nuser=root\nno-ping\nlog-dhcp\nlog-facility=-\n\
             dhcp-authoritative\ndhcp-range={first},{last},10m\n"
        );
        Dnsmasq { lines }
    }

    /// Adds a configuration line.
    #[must_use]
    pub fn line(mut self, line: &str) -> Dnsmasq {
        let _ = writeln!(self.lines, "{line}");
        self
    }

    /// Serves `folder` by TFTP.
    #[must_use]
    pub fn tftp(self, folder: &std::path::Path) -> Dnsmasq {
        self.line("enable-tftp").line(&format!("tftp-root={}", folder.display()))
    }

    /// Starts it in `station` and waits until it serves.
    ///
    /// # Errors
    /// When it is missing or refuses its configuration.
    pub fn start(self, lab: &Lab, station: &Namespace) -> Result<Running> {
        let file = lab.path("dnsmasq.conf");
        let lines = self.line(&format!("dhcp-leasefile={}", lab.path("dnsmasq.leases").display())).lines;
        std::fs::write(&file, lines)?;
        let mut command = Command::new("dnsmasq");
        command.arg("-C").arg(&file);
        let running = station.start(lab, "dnsmasq", command)?;
        running.wait_for("DHCP, sockets bound", Duration::from_secs(20))?;
        Ok(running)
    }
}

/// A few lines of HTTP: answers every request with 204 and remembers its request line.
pub struct CallbackServer {
    requests: Arc<Transcript>,
}

impl CallbackServer {
    /// Listens on `port` in `station`, until the process ends.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn start(station: &Namespace, port: u16) -> Result<CallbackServer> {
        let requests = Arc::new(Transcript::default());
        let seen = Arc::clone(&requests);
        // Threads inherit the namespace of the one that starts them.
        station.run(move || -> Result<()> {
            let listener = TcpListener::bind(("0.0.0.0", port))?;
            std::thread::Builder::new().name("callbacks".into()).spawn(move || {
                for stream in listener.incoming().flatten() {
                    let _ = answer(stream, &seen);
                }
            })?;
            Ok(())
        })??;
        Ok(CallbackServer { requests })
    }

    /// Request lines so far, one per line.
    pub fn requests(&self) -> String {
        self.requests.text()
    }
}

fn answer(mut stream: TcpStream, seen: &Transcript) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    seen.push(format!("{request}\n").as_bytes());
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    Ok(())
}
