//! The daemon's log, ten times: five levels, two forms, each into a sink that looks at every line.

use crate::log::{Format, subscriber};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::Dispatch;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// One log for each level and form.
pub(crate) struct Logs {
    all: Vec<Dispatch>,
    bytes: Arc<AtomicU64>,
}

impl Logs {
    pub(crate) fn new() -> Logs {
        let bytes = Arc::new(AtomicU64::new(0));
        let all = LEVELS
            .iter()
            .flat_map(|level| [Format::Text, Format::Json].map(|format| (level, format)))
            .map(|(level, format)| {
                let bytes = Arc::clone(&bytes);
                let writer = BoxMakeWriter::new(move || Sink(Arc::clone(&bytes)));
                subscriber(level, format, false, writer)
            })
            .collect();
        Logs { all, bytes }
    }

    /// The log for this packet: each in turn, so that every kind of packet meets every one of them.
    pub(crate) fn turn(&self, index: u64) -> &Dispatch {
        // 7 shares no factor with the number of logs nor with the turns of the packets' kinds.
        let turn = usize::try_from(index.wrapping_mul(7) / 3 % self.all.len() as u64).unwrap_or(0);
        &self.all[turn]
    }

    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Takes one line per write and refuses one that is not a line.
struct Sink(Arc<AtomicU64>);

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let (last, text) = line.split_last().expect("a line is not empty");
        assert_eq!(*last, b'\n', "a line ends");
        let raw = text.iter().find(|byte| byte.is_ascii_control());
        assert!(raw.is_none(), "raw byte {raw:?} in the log: {:?}", String::from_utf8_lossy(text));
        self.0.fetch_add(line.len() as u64, Ordering::Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
