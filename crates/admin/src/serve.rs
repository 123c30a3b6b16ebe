//! The unix socket: who may connect, how it is placed, and the serve loop.

use crate::{Api, Problem, router};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::unistd::{Gid, Group, Uid, User};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::UCred;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections in all; more wait in the kernel's queue.
const CLIENTS_MAX: usize = 256;

/// For a whole request head, and between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// What running requests get when the appliance stops. Streams end by themselves.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// After running out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Owner and group may connect, nobody else.
const SOCKET_MODE: u32 = 0o660;

/// Of a folder made for the socket: to pass through. The socket has its own mode.
const FOLDER_MODE: u32 = 0o755;

/// Where the API listens.
#[derive(Clone, Debug)]
pub struct Options {
    /// Path of the socket; its folder is made when missing.
    pub socket: PathBuf,
    /// Name of the group whose members may connect; the daemon's own group when absent.
    pub group: Option<String>,
}

/// The socket could not be placed.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("another reveille answers on {}", .0.display())]
    Taken(PathBuf),
    /// Something that is no socket lies there.
    #[error("{} is no socket; it was left alone", .0.display())]
    NotASocket(PathBuf),
    /// No such group.
    #[error("there is no group `{0}`")]
    NoGroup(String),
    /// The system refused.
    #[error("cannot listen for the API on {}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl BindError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            BindError::Taken(path) => format!("`ss -lxp src {}` shows which process", path.display()),
            BindError::NotASocket(path) => format!("remove {} or choose another path", path.display()),
            BindError::NoGroup(name) => format!("`groupadd --system {name}` makes it"),
            BindError::Io { path, .. } => match path.parent() {
                Some(folder) => format!("the daemon must be allowed to write to {}", folder.display()),
                None => "choose another path".to_owned(),
            },
        }
    }
}

/// The API on its socket, ready to run.
pub struct AdminDoor {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of our socket: never remove another's.
    identity: (u64, u64),
    group: Gid,
    router: Router,
}

impl AdminDoor {
    /// Places the socket. A stale file is replaced only when nobody answers on it.
    ///
    /// # Errors
    /// When another daemon answers, or the system refuses.
    pub fn bind(options: &Options, api: Api) -> Result<AdminDoor, BindError> {
        let path = options.socket.clone();
        let group = match &options.group {
            None => None,
            Some(name) => match Group::from_name(name) {
                Ok(Some(group)) => Some(group.gid),
                _ => return Err(BindError::NoGroup(name.clone())),
            },
        };
        vacant(&path)?;
        let placed = place(&path, group).map_err(|source| BindError::Io { path: path.clone(), source })?;
        let (listener, identity, group) = placed;
        Ok(AdminDoor { listener, path, identity, group, router: router(api) })
    }

    /// Serves until `shutdown` turns true or its sender goes, then removes the socket.
    ///
    /// # Errors
    /// When the listener cannot be handed to the runtime. Nothing after that ends it.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) -> io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.listener)?;
        let seats = Arc::new(Semaphore::new(CLIENTS_MAX));
        let stranger = Router::new().fallback(refuse_stranger);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = accept(&listener, &seats) => accepted,
            };
            match accepted {
                Ok((stream, seat)) => {
                    let (router, stranger, group) = (self.router.clone(), stranger.clone(), self.group);
                    let shutdown = shutdown.clone();
                    connections.spawn(async move {
                        let allowed = match stream.peer_cred() {
                            Ok(peer) => may_connect(peer, group).await,
                            Err(_) => false,
                        };
                        converse(stream, if allowed { router } else { stranger }, shutdown).await;
                        drop(seat);
                    });
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot accept API connections, trying on"
                    );
                    tokio::select! {
                        _ = shutdown.wait_for(|stop| *stop) => break,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
        drop(listener);
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_GRACE, all).await.is_err() {
            connections.shutdown().await;
        }
        Ok(())
    }
}

async fn accept(
    listener: &tokio::net::UnixListener,
    seats: &Arc<Semaphore>,
) -> io::Result<(tokio::net::UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let seat = seats.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, seat))
}

async fn converse(stream: tokio::net::UnixStream, router: Router, mut shutdown: watch::Receiver<bool>) {
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).half_close(true);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(protocol.serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(error = &error as &dyn std::error::Error, "API connection ended early");
                }
                return;
            }
            _ = shutdown.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn refuse_stranger() -> Box<Problem> {
    Problem::new(403, "R-API-06", "forbidden", "this user may not use the API")
        .with_fix("use root, the daemon's user, or a member of the socket's group")
}

/// Root, our own user, or a member of the socket's group. The file mode lets in the same; this holds even when
/// somebody loosens it.
async fn may_connect(peer: UCred, group: Gid) -> bool {
    let uid = Uid::from_raw(peer.uid());
    if uid.is_root() || uid == Uid::effective() || Gid::from_raw(peer.gid()) == group {
        return true;
    }
    // Asking the user database may read files.
    tokio::task::spawn_blocking(move || {
        let (Ok(Some(user)), Ok(Some(group))) = (User::from_uid(uid), Group::from_gid(group)) else {
            return false;
        };
        user.gid == group.gid || group.mem.contains(&user.name)
    })
    .await
    .unwrap_or(false)
}

/// Nobody may be there: no file, or the socket of a daemon that is gone.
fn vacant(path: &Path) -> Result<(), BindError> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(BindError::Io { path: path.to_owned(), source }),
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // It answers, or is too busy to: somebody is there.
        _ => Err(BindError::Taken(path.to_owned())),
    }
}

/// Made under another name with its final mode, then renamed: there is no moment with a looser one, and no moment
/// without a socket when a stale one is replaced.
fn place(path: &Path, group: Option<Gid>) -> io::Result<(UnixListener, (u64, u64), Gid)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let missing = !folder.exists();
        std::fs::create_dir_all(folder)?;
        if missing {
            // Whatever the umask: members of the socket's group must get through.
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(FOLDER_MODE))?;
        }
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let _ = std::fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    let finish = || {
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(SOCKET_MODE))?;
        if let Some(group) = group {
            std::os::unix::fs::chown(&fresh, None, Some(group.as_raw()))?;
        }
        let gid = Gid::from_raw(std::fs::symlink_metadata(&fresh)?.gid());
        listener.set_nonblocking(true)?;
        std::fs::rename(&fresh, path)?;
        Ok((identity(path)?, gid))
    };
    match finish() {
        Ok((identity, gid)) => Ok((listener, identity, gid)),
        Err(error) => {
            let _ = std::fs::remove_file(&fresh);
            Err(error)
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
