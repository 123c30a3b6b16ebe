//! The confined process: one medium on file descriptor 0, frames (`media/wire.rs`) on descriptor 1, nothing else.
//!
//! What is confined, before the first byte of the medium is read:
//!
//! | | how | without it |
//! |---|---|---|
//! | opening files, sockets, anything | no descriptor may be added (`RLIMIT_NOFILE` 0) | refuses to read |
//! | memory | 256 MiB of addresses (`RLIMIT_AS`) | refuses to read |
//! | time | half an hour of CPU (`RLIMIT_CPU`); the parent waits a minute for bytes | refuses to read |
//! | writing files, core dumps | `RLIMIT_FSIZE` 0, `RLIMIT_CORE` 0 | refuses to read |
//! | more rights by running a program | no new privileges | refuses to read |
//! | outliving the thread that started it | killed with it (`PR_SET_PDEATHSIG`) | refuses to read |
//! | the network, other processes, our own user | new user, network and IPC name spaces | goes on: kernels may forbid them |
//! | files and TCP by path | Landlock with nothing allowed | goes on: kernels may lack it |
//!
//! The environment is empty, and inherited descriptors are closed. There is no filter of system calls: who takes over this process can still compute, read the
//! medium it was given, and say false things about it, which the parent checks like anything else on a medium.

use super::{Caps, MediaError, Medium, OpenFile, ReadAt, Refusal, open_profile, wire};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// First argument of the program that is a confined reader.
pub const ARGUMENT: &str = "import-worker";

/// Most addresses of the process. The limits of a listing (20,000 names, 32 MiB of directories) fit several times.
pub const ADDRESS_BYTES_MAX: u64 = 256 << 20;

/// Most seconds of computing: 64 GiB unpack in a fifth of it.
pub const CPU_SECS_MAX: u64 = 30 * 60;

/// Descriptors closed at the start, from 3 on.
const INHERITED_MAX: i32 = 1024;

/// Reads the medium on descriptor 0 for the parent on descriptor 1. Returns when the parent is done.
///
/// Call it before anything else of the program: it must be alone in its process.
///
/// # Errors
/// When the process cannot be confined, or the parent is gone.
pub fn run() -> io::Result<()> {
    // Descriptors our starter had from its own one. Ours are closed when a program is started, all of them low numbers.
    for inherited in 3..INHERITED_MAX {
        let _ = nix::unistd::close(inherited);
    }
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let socket: OwnedFd = io::stdout().as_fd().try_clone_to_owned()?;
    confine()?;
    serve(Arc::new(OpenFile::new(file)?), UnixStream::from(socket))
}

fn confine() -> io::Result<()> {
    // Best effort, and before the limits: they need descriptors.
    let _ = nix::sched::unshare(
        nix::sched::CloneFlags::CLONE_NEWUSER
            | nix::sched::CloneFlags::CLONE_NEWNET
            | nix::sched::CloneFlags::CLONE_NEWIPC,
    );
    let _ = landlock_all();
    nix::sys::prctl::set_no_new_privs()?;
    // Unpacking says nothing for long: whoever was killed would not be missed before the first word. After the name
    // spaces, for a change of credentials takes it back.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    for (resource, most) in [
        (Resource::RLIMIT_AS, ADDRESS_BYTES_MAX),
        (Resource::RLIMIT_CPU, CPU_SECS_MAX),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, 0),
    ] {
        setrlimit(resource, most, most)?;
    }
    Ok(())
}

fn landlock_all() -> Result<(), landlock::RulesetError> {
    use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, Scope};
    Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::from_all(ABI::V6))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()?;
    Ok(())
}

/// Answers requests until the parent closes.
fn serve(file: Arc<dyn ReadAt>, mut socket: UnixStream) -> io::Result<()> {
    let mut medium: Option<(Box<dyn Medium>, Vec<super::Entry>)> = None;
    let mut request = Vec::new();
    let mut piece = vec![0u8; wire::PIECE_BYTES];
    loop {
        let tag = match wire::read(&mut socket, &mut request) {
            Ok(tag) => tag,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let told = match (tag, medium.as_mut()) {
            (b'L', _) => list(&file, &mut socket, &request).map(|opened| medium = Some(opened)),
            (b'R', Some((medium, entries))) => {
                let index = request.first_chunk().map(|chunk| u64::from_le_bytes(*chunk));
                let entry =
                    index.and_then(|index| usize::try_from(index).ok()).and_then(|at| entries.get(at));
                match entry {
                    Some(entry) => read(&mut **medium, entry, &mut socket, &mut piece),
                    None => Err(MediaError::new(Refusal::Reader, "there is no such file").into()),
                }
            }
            _ => Err(MediaError::new(Refusal::Reader, "nothing is listed yet").into()),
        };
        match told {
            Ok(()) => wire::write(&mut socket, b'D', &[])?,
            Err(error) => match error.downcast::<MediaError>() {
                Ok(refused) => wire::write(&mut socket, b'X', &wire::error(&refused))?,
                Err(error) => return Err(error),
            },
        }
    }
}

fn list(
    file: &Arc<dyn ReadAt>,
    socket: &mut UnixStream,
    request: &[u8],
) -> io::Result<(Box<dyn Medium>, Vec<super::Entry>)> {
    let asked = wire::read_list_request(request);
    let (kind, bytes_max, profile) =
        asked.ok_or_else(|| MediaError::new(Refusal::Reader, "the request is damaged"))?;
    let mut medium = open_profile(kind, file.clone(), profile);
    let listing = medium.list(Caps { bytes_max })?;
    for entry in listing.entries() {
        wire::write(socket, b'E', &wire::entry(entry))?;
    }
    for note in listing.notes() {
        wire::write(socket, b'N', note.as_bytes())?;
    }
    let (count, names) = listing.left_out();
    let mut bytes = (count as u64).to_le_bytes().to_vec();
    for name in names {
        bytes.extend(name.as_bytes());
        bytes.push(0);
    }
    wire::write(socket, b'O', &bytes)?;
    let (entries, _) = listing.into_parts();
    Ok((medium, entries))
}

fn read(
    medium: &mut dyn Medium,
    entry: &super::Entry,
    socket: &mut UnixStream,
    piece: &mut [u8],
) -> io::Result<()> {
    let mut reader = medium.open(entry)?;
    loop {
        let read = match reader.read(piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(MediaError::from_io(error).into()),
        };
        wire::write(socket, b'B', piece.get(..read).unwrap_or_default())?;
    }
}
