//! `kill -9` of the appliance while an image comes in, again and again on the same folder.
//!
//! After each kill it starts again and is looked at from outside: what is listed, what `image verify` says of every file,
//! what the HTTP door hands out, how large the library's folder is. A half image must be nowhere, the image that was
//! there before as it was, and what the import left behind gone; then the same import is done once more.
//!
//! An import that was over when the kill came is there, and whole. One that the command line was told of must be there.

use super::site::{self, SERVER, Site};
use super::{Dice, Outcome, Progress};
use crate::esxi::noise;
use crate::{Config, Running};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The image that was there before.
const STEADY: &str = "steady";
/// The image that comes in.
const COMING: &str = "coming";
/// Bytes of each file of the steady image.
const STEADY_BYTES: usize = 300_000;
/// An import, a start or a sweep ends by then, in a debug build on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a folder is looked at while the moment of the kill is awaited.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// Port of the HTTP door.
const HTTP_PORT: u16 = 8080;

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Kills.
    pub points: u32,
    /// Choices.
    pub seed: u64,
    /// Bytes of the image that comes in.
    pub bytes: usize,
}

/// What an image comes in as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// A few large files; each is synced by itself.
    Tar,
    /// Many files; the file system is synced.
    Iso,
    /// Sent by the command line, unpacked by the process that reads media.
    SentTarGz,
}

const FORMS: [Form; 3] = [Form::Tar, Form::Iso, Form::SentTarGz];

/// A medium and what is on it.
struct Medium {
    form: Form,
    path: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl Medium {
    /// Noise in files of uneven length, an empty file among them.
    fn build(folder: &Path, form: Form, bytes: usize) -> Result<Medium> {
        let (name, count) = match form {
            Form::Tar => ("medium.tar", 5),
            Form::Iso => ("medium.iso", 31),
            Form::SentTarGz => ("medium.tar.gz", 11),
        };
        let root = folder.join(name.replace('.', "-"));
        std::fs::create_dir_all(root.join("pool"))?;
        let mut files = BTreeMap::from([("pool/empty".to_owned(), Vec::new())]);
        for at in 0..count {
            let name = match at {
                0 => "linux".to_owned(),
                1 => "initrd.gz".to_owned(),
                at => format!("pool/part{at:02}"),
            };
            files.insert(name, noise(2000 + bytes as u64 + at as u64, bytes / count + at * 17));
        }
        for (name, content) in &files {
            std::fs::write(root.join(name), content).with_context(|| format!("cannot write {name}"))?;
        }
        let path = folder.join(name);
        let mut command = match form {
            Form::Iso => {
                let mut command = Command::new("genisoimage");
                command.args(["-quiet", "-R", "-o"]).arg(&path).arg(&root);
                command
            }
            Form::Tar | Form::SentTarGz => {
                let mut command = Command::new("tar");
                let packed = if form == Form::Tar { "-cf" } else { "-czf" };
                command.arg(packed).arg(&path).arg("-C").arg(&root).args(["linux", "initrd.gz", "pool"]);
                command
            }
        };
        let output = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Medium { form, path, files })
    }

    /// Bytes of its files; no two are the same.
    fn bytes(&self) -> u64 {
        self.files.values().map(|content| content.len() as u64).sum()
    }
}

/// When the kill comes, counted from the start of the command.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// After this time.
    After(Duration),
    /// When the library's folder has grown by so many bytes.
    Grown(u64),
    /// When the first of its files stands under its final name.
    Stored,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::After(time) => write!(f, "after {time:.0?}"),
            Moment::Grown(bytes) => write!(f, "{bytes} bytes into it"),
            Moment::Stored => f.write_str("with its first file stored"),
        }
    }
}

/// What an appliance shows of its images.
#[derive(Clone, PartialEq, Debug, Default)]
struct Seen {
    /// As listed, by name.
    images: BTreeMap<String, Value>,
    /// What `image verify` found.
    bad: Vec<String>,
    /// Names that the HTTP door answers otherwise than it should, with how.
    astray: Vec<String>,
    /// Bytes of all files of the library's folder.
    bytes: u64,
}

impl Seen {
    fn has_coming(&self) -> bool {
        self.images.contains_key(COMING)
    }
}

/// What is wrong with an appliance that was killed while an image of `coming` bytes came in.
fn judge(before: &Seen, after: &Seen, coming: u64, acknowledged: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut others = after.images.clone();
    let there = others.remove(COMING).is_some();
    if others != before.images {
        let names = |images: &BTreeMap<String, Value>| images.keys().cloned().collect::<BTreeSet<_>>();
        wrong.push(format!(
            "the images of before are {:?} and differ from {:?}",
            names(&others),
            names(&before.images)
        ));
    }
    if acknowledged && !there {
        wrong.push("the command line was told that the image is there, and it is gone".to_owned());
    }
    wrong.extend(after.bad.iter().map(|bad| format!("image verify: {bad}")));
    wrong.extend(after.astray.iter().map(|astray| format!("http: {astray}")));
    let due = before.bytes + if there { coming } else { 0 };
    if after.bytes != due {
        wrong.push(format!("the library has {} bytes and should have {due}", after.bytes));
    }
    wrong
}

/// The lab, and the appliance in it.
struct Bench {
    site: Site,
    steady: BTreeMap<String, Vec<u8>>,
}

impl Bench {
    fn library(&self) -> PathBuf {
        self.site.folder().join("library")
    }

    /// Starts the appliance and waits until it serves.
    fn start(&self) -> Result<Running> {
        let running = self.site.start(&[])?;
        running.wait_for("server.ready", DEADLINE)?;
        Ok(running)
    }

    /// The command that imports.
    fn import(&self, medium: &Medium) -> Result<Running> {
        let mut command = Command::new("sh");
        let (source, line) = match medium.form {
            Form::SentTarGz => ("-".into(), "exec \"$@\" < \"$0\""),
            Form::Tar | Form::Iso => (medium.path.clone().into_os_string(), "exec \"$@\""),
        };
        command.args(["-c", line]).arg(&medium.path).arg(self.site.binary());
        command.args(["image", "import"]).arg(source).args(["--name", COMING]);
        command.args(["--kernel", "linux", "--initrd", "initrd.gz", "--socket"]);
        command.arg(self.site.folder().join("admin.sock"));
        Running::start("import", command, None)
    }

    fn import_whole(&self, medium: &Medium) -> Result<()> {
        let mut importing = self.import(medium)?;
        let status = importing.wait_exit(DEADLINE)?;
        ensure!(status.success(), "{:?} was not imported:\n{}", medium.form, importing.transcript().tail());
        Ok(())
    }

    /// Removes what came in and waits until its files are gone.
    fn remove(&self, before: &Seen) -> Result<()> {
        self.site.ask(&["image", "rm", COMING])?;
        let left = self.settled(before.bytes);
        ensure!(left == before.bytes, "{left} bytes in the library after a removal, {} before", before.bytes);
        Ok(())
    }

    /// The size of the library's folder, once it is this or does not become it.
    fn settled(&self, due: u64) -> u64 {
        let until = Instant::now() + DEADLINE;
        loop {
            let bytes = bytes_below(&self.library());
            if bytes == due || Instant::now() > until {
                return bytes;
            }
            // Sweeping is in the background; nobody is told of its end.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Looks at the running appliance. `bytes` is what the library had before.
    fn look(&self, medium: &Medium, bytes: u64) -> Result<Seen> {
        let listed = self.site.ask(&["image", "list"])?;
        let items = listed.pointer("/items").and_then(Value::as_array).into_iter().flatten();
        let images: BTreeMap<String, Value> = items
            .filter_map(|image| Some((image.pointer("/name")?.as_str()?.to_owned(), image.clone())))
            .collect();
        let there = images.contains_key(COMING);
        let bad = self.bad_files()?;
        let mut astray = Vec::new();
        for (image, files, due) in [(STEADY, &self.steady, true), (COMING, &medium.files, there)] {
            for (name, content) in files {
                let name = format!("{image}/{name}");
                let (status, body) = self.fetch(&name)?;
                match (due, status) {
                    (true, 200) if body == *content => {}
                    (true, 200) => astray.push(format!("{name} has other bytes")),
                    (false, 404) => {}
                    _ => astray.push(format!("{name} is answered with {status}")),
                }
            }
        }
        let due = bytes + if there { medium.bytes() } else { 0 };
        Ok(Seen { images, bad, astray, bytes: self.settled(due) })
    }

    /// What `image verify` finds, or why it finds nothing out.
    fn bad_files(&self) -> Result<Vec<String>> {
        let mut command = Command::new(self.site.binary());
        command.args(["image", "verify", "-o", "json", "--socket"]);
        let output = command.arg(self.site.folder().join("admin.sock")).output()?;
        Ok(match serde_json::from_slice::<Value>(&output.stdout) {
            Ok(report) if output.status.success() && report.pointer("/ok") == Some(&json!(true)) => {
                Vec::new()
            }
            Ok(report) => vec![report.pointer("/findings").unwrap_or(&report).to_string()],
            Err(_) => vec![String::from_utf8_lossy(&output.stderr).trim().to_owned()],
        })
    }

    /// Status and body of a name.
    fn fetch(&self, name: &str) -> Result<(u16, Vec<u8>)> {
        let request = format!("GET /{name} HTTP/1.1\r\nHost: {SERVER}\r\nConnection: close\r\n\r\n");
        let answer = self.site.client.run(move || -> Result<Vec<u8>> {
            let mut stream = TcpStream::connect((SERVER, HTTP_PORT))?;
            stream.set_read_timeout(Some(DEADLINE))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(answer)
        })?;
        let answer = answer.with_context(|| format!("cannot fetch {name}"))?;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("no answer")?;
        let (head, body) = answer.split_at(end);
        let status = String::from_utf8_lossy(head).split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.context("an answer without a status")?, body.get(4..).unwrap_or_default().to_vec()))
    }

    /// Waits for the moment, or for the end of the command when that is first.
    fn await_moment(&self, moment: Moment, importing: &mut Running, before: u64) {
        let library = self.library();
        let stored = || bytes_below(&library.join("blobs")) > before;
        let until = Instant::now() + DEADLINE;
        while importing.is_alive() && Instant::now() < until {
            let now = match moment {
                Moment::After(time) => importing.age() >= time,
                Moment::Grown(bytes) => bytes_below(&library) >= before + bytes,
                Moment::Stored => stored(),
            };
            if now {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Bytes of all files below a folder, as far as they can be seen.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

/// Runs it against the program at `binary`.
///
/// # Errors
/// When the lab fails, or no kill met an import under way; what the appliance does wrong is in the outcome.
pub fn run(binary: &Path, options: Options) -> Result<Outcome> {
    let bench = bench(binary)?;
    let mut dice = Dice::new(options.seed);
    let mut progress = Progress::new("import");
    let mut outcome = Outcome::default();
    let folder = bench.site.lab.path("media");
    let media = FORMS.map(|form| Medium::build(&folder, form, options.bytes));
    let [tar, iso, sent] = media;
    let media = [tar?, iso?, sent?];

    let running = bench.start()?;
    let steady = bench.site.lab.path("steady");
    bench.site.ask(&[
        "image",
        "import",
        &format!("dir:{}", steady.display()),
        "--name",
        STEADY,
        "--kernel",
        "linux",
        "--initrd",
        "initrd.gz",
    ])?;
    let own = bench.steady.values().map(|content| content.len() as u64).sum();
    let before = bench.look(&media[0], own)?;
    ensure!(judge(&before, &before, 0, false).is_empty() && before.bytes == own, "before: {before:?}");
    // How long each takes when it is left alone.
    let mut took = Vec::new();
    for (at, medium) in media.iter().enumerate() {
        let begun = Instant::now();
        let mut importing = bench.import(medium)?;
        running.transcript().wait_until("end of the import", DEADLINE, |text| {
            (text.matches("image.import_done").count() > at + 1).then_some(())
        })?;
        took.push(begun.elapsed());
        ensure!(importing.wait_exit(DEADLINE)?.success(), "{}", importing.transcript().tail());
        bench.remove(&before)?;
    }

    let mut running = Some(running);
    let (mut whole, mut left, mut stored) = (0u32, 0u32, 0u32);
    for point in 1..=options.points {
        let at = dice.place(media.len());
        let (Some(medium), Some(took)) = (media.get(at), took.get(at)) else { bail!("no medium {at}") };
        // What is sent is on the disk twice: as it came, and its files.
        let copies = if medium.form == Form::SentTarGz { 2 } else { 1 };
        let moment = match point % 4 {
            1 | 3 => Moment::After(dice.between(Duration::ZERO, *took + *took / 8)),
            2 => Moment::Grown(1 + dice.below(copies * medium.bytes())),
            _ => Moment::Stored,
        };
        let mut importing = bench.import(medium)?;
        bench.await_moment(moment, &mut importing, before.bytes);
        if let Some(running) = running.take() {
            running.cut();
        }
        let acknowledged = importing.wait_exit(DEADLINE)?.success();
        let remains = bytes_below(&bench.library().join("incoming")) > 0;
        let blobs = bytes_below(&bench.library().join("blobs")) > before.bytes;
        let told = |wrong: String| {
            format!("seed {} point {point} ({:?} {moment}): {wrong}", options.seed, medium.form)
        };
        match bench.start() {
            Ok(started) => running = Some(started),
            Err(error) => {
                outcome.violations.push(told(format!("{error:#}")));
                break;
            }
        }
        let after = bench.look(medium, before.bytes)?;
        let wrong = judge(&before, &after, medium.bytes(), acknowledged);
        let broken = !wrong.is_empty();
        outcome.violations.extend(wrong.into_iter().map(told));
        whole += u32::from(after.has_coming());
        left += u32::from(!after.has_coming() && remains);
        stored += u32::from(!after.has_coming() && blobs);
        if broken {
            break;
        }
        // The same once more, whatever the kill left.
        if !after.has_coming() {
            bench.import_whole(medium).with_context(|| told("once more".to_owned()))?;
            let again = bench.look(medium, before.bytes)?;
            outcome.violations.extend(judge(&before, &again, medium.bytes(), true).into_iter().map(told));
        }
        bench.remove(&before)?;
        progress
            .say(|| format!("{point} of {} kills, {} violations", options.points, outcome.violations.len()));
    }
    if outcome.is_clean() {
        running.map_or(Ok(()), Running::stop)?;
        ensure!(left + stored > 0, "no kill met an import under way: take more bytes or more points");
    }
    outcome.summary = format!(
        "import: {} kills at imports of {} MB that take {:.0?} to {:.0?}, {left} left files under way, {stored} left \
         stored files, {whole} came after the image was there, {:.0?}, seed {}",
        options.points,
        options.bytes / 1_000_000,
        took.iter().min().copied().unwrap_or_default(),
        took.iter().max().copied().unwrap_or_default(),
        progress.elapsed(),
        options.seed
    );
    Ok(outcome)
}

/// The lab, with the files of the steady image.
fn bench(binary: &Path) -> Result<Bench> {
    let mut config: Config = site::config(site::POOL);
    // It says when it is ready, and when an import is done.
    config.set(&["log", "level"], json!("info"));
    let site = Site::new(binary, config)?;
    let folder = site.lab.path("steady");
    std::fs::create_dir_all(&folder)?;
    let mut steady = BTreeMap::new();
    for (name, seed) in [("linux", 1001), ("initrd.gz", 1002)] {
        let content = noise(seed, STEADY_BYTES);
        std::fs::write(folder.join(name), &content)?;
        steady.insert(name.to_owned(), content);
    }
    Ok(Bench { site, steady })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(names: &[&str], bytes: u64) -> Seen {
        let images = names.iter().map(|name| ((*name).to_owned(), json!({ "name": name })));
        Seen { images: images.collect(), bytes, ..Seen::default() }
    }

    #[test]
    fn nothing_is_wrong_when_the_image_is_nowhere_or_whole() {
        let before = seen(&[STEADY], 10);
        assert!(judge(&before, &before, 5, false).is_empty());
        for acknowledged in [false, true] {
            assert!(judge(&before, &seen(&[STEADY, COMING], 15), 5, acknowledged).is_empty());
        }
    }

    #[test]
    fn everything_that_must_not_be_is_told() {
        let before = seen(&[STEADY], 10);
        let rows: [(Seen, bool, &str); 7] = [
            (before.clone(), true, "gone"),
            (seen(&[], 10), false, "differ"),
            (Seen { images: [(STEADY.to_owned(), json!({}))].into(), ..before.clone() }, false, "differ"),
            (seen(&[STEADY], 13), false, "should have 10"),
            (seen(&[STEADY, COMING], 13), false, "should have 15"),
            (Seen { bad: vec!["a file".to_owned()], ..before.clone() }, false, "verify: a file"),
            (Seen { astray: vec!["coming/linux".to_owned()], ..before.clone() }, false, "http: coming"),
        ];
        for (after, acknowledged, told) in rows {
            let wrong = judge(&before, &after, 5, acknowledged);
            assert!(wrong.len() == 1 && wrong.iter().any(|wrong| wrong.contains(told)), "{told}: {wrong:?}");
        }
    }
}
