//! How fast a medium is imported, against `sha256sum` and `cp` of the same file in the same run.
//!
//! `cargo run --release -p reveille-library --example import_rate -- [--mib 700] [--folder DIR] [--in-process] [FILE]`
//!
//! Without a file it makes a tar of incompressible files: one of nine tenths, and small ones. `sha256sum` and `cp` are timed
//! one after the other, `cp` with and without a `sync` behind it: an import syncs. Everything is read once before, so that
//! all read from memory. Started as `import-worker` it is the confined reader.

use reveille_library as library;

use library::{ImportRequest, Library, LibraryOptions, MemoryRecords, Reader, Source};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use types::UnixTime;
use types::resource::{Image, ImageKind};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == library::media::worker::ARGUMENT) {
        return Ok(library::media::worker::run()?);
    }
    let after = |key: &str| {
        let at = words.iter().position(|word| word == key)?;
        words.get(at + 1)
    };
    let mib: u64 = after("--mib").map_or(Ok(700), |text| text.parse())?;
    let base = after("--folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("import-rate-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = measure(&words, &folder, mib);
    fs::remove_dir_all(&folder)?;
    outcome
}

fn measure(words: &[String], folder: &Path, mib: u64) -> Result<(), Failure> {
    let given = words.last().filter(|word| word.starts_with('/') && Path::new(word).is_file());
    let medium = match given {
        Some(path) => PathBuf::from(path),
        None => make(&folder.join("medium.tar"), mib << 20)?,
    };
    let bytes = fs::metadata(&medium)?.len();
    std::io::copy(&mut File::open(&medium)?, &mut std::io::sink())?;
    run(Command::new("sync"))?;

    let mut sums = Command::new("sha256sum");
    sums.arg(&medium).stdout(std::process::Stdio::null());
    let hashed = run(sums)?;
    let mut copying = Command::new("cp");
    copying.arg(&medium).arg(folder.join("copy"));
    let copied = run(copying)?;
    let synced = run(Command::new("sync"))?;
    fs::remove_file(folder.join("copy"))?;
    run(Command::new("sync"))?;

    let reader = if words.iter().any(|word| word == "--in-process") {
        Reader::InProcess
    } else {
        Reader::Child { program: "/proc/self/exe".into() }
    };
    let options = LibraryOptions {
        loader_sources: vec![],
        media_reader: reader,
        ..LibraryOptions::at(folder.join("library"))
    };
    let library = Library::open(options, MemoryRecords::default())?;
    let image = Image::new("medium".parse()?, ImageKind::Esxi);
    let request = ImportRequest {
        image,
        source: Source::Detect(medium),
        profile: None,
        kind_given: true,
        replace: true,
        record_image: true,
        now: UnixTime(0),
    };
    let import = || -> Result<Duration, Failure> {
        let begin = Instant::now();
        library.import(&request, &mut library::Unwatched)?;
        Ok(begin.elapsed())
    };
    let first = import()?;
    let again = import()?;
    let rate = |took: Duration| bytes as f64 / took.as_secs_f64() / 1e6;
    println!("medium            {} bytes", bytes);
    println!("sha256sum         {:7.0} MB/s", rate(hashed));
    println!("cp                {:7.0} MB/s", rate(copied));
    println!("sha256sum + cp    {:7.0} MB/s", rate(hashed + copied));
    println!("  and sync        {:7.0} MB/s", rate(hashed + copied + synced));
    println!("import            {:7.0} MB/s", rate(first));
    println!("import again      {:7.0} MB/s", rate(again));
    println!("ratio             {:7.2} of sha256sum + cp", rate(first) / rate(hashed + copied));
    println!(
        "                  {:7.2} of sha256sum + cp + sync",
        rate(first) / rate(hashed + copied + synced)
    );
    println!("peak memory       {:7} KiB", peak_kib());
    Ok(())
}

fn run(mut command: Command) -> Result<Duration, Failure> {
    let begin = Instant::now();
    let status = command.status()?;
    if status.success() { Ok(begin.elapsed()) } else { Err(format!("{command:?}: {status}").into()) }
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A tar of one file of nine tenths and a hundred small ones, all of bytes that do not compress.
fn make(path: &Path, bytes: u64) -> Result<PathBuf, Failure> {
    let mut to = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut piece = vec![0u8; 1 << 16];
    for number in 0..101u32 {
        let size = if number == 0 { bytes / 10 * 9 } else { bytes / 1000 }.next_multiple_of(512);
        let mut header = [0u8; 512];
        let name = format!("file-{number}");
        for (at, text) in
            [(0, name.as_bytes()), (124, format!("{size:011o}").as_bytes()), (156, b"0"), (148, b"        ")]
        {
            header.iter_mut().skip(at).zip(text).for_each(|(byte, own)| *byte = *own);
        }
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header
            .iter_mut()
            .skip(148)
            .zip(format!("{sum:06o}\0 ").as_bytes())
            .for_each(|(byte, own)| *byte = *own);
        to.write_all(&header)?;
        let mut left = size;
        while left > 0 {
            for chunk in piece.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                chunk.copy_from_slice(&state.to_le_bytes());
            }
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            to.write_all(piece.get(..wanted).unwrap_or_default())?;
            left -= wanted as u64;
        }
    }
    to.write_all(&[0; 1024])?;
    to.flush()?;
    Ok(path.to_owned())
}
