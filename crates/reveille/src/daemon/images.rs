//! Images of the configuration file: their files are brought in, from this machine before anything is answered, from servers
//! while we serve.

use crate::backend::{Fault, Importer, Origin};
use crate::inventory::Inventory;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use types::resource::Image;

/// Until what could not be fetched is tried again; twice as long each time.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// It is not waited longer than that.
const TRY_AGAIN_MAX: Duration = Duration::from_secs(3600);

/// Those whose files are not there yet are imported before anything is answered, the others are looked at again while we
/// serve; what is on a server is fetched then too. One that fails is an event; the rest goes on.
/// `stopping` ends what is still to be done then.
pub(super) async fn bring_in(
    inventory: &Arc<Inventory>,
    importer: &Arc<Importer>,
    stopping: watch::Receiver<bool>,
) {
    let (mut later, mut remote) = (Vec::new(), Vec::new());
    let mut any_kept = false;
    for image in inventory.images_with_source() {
        let origin = match image.source.as_deref().unwrap_or_default().parse::<Origin>() {
            Ok(origin) => origin,
            Err(error) => {
                tracing::error!(image = %image.name, "{error}");
                continue;
            }
        };
        // Without a kernel or script of its own it cannot be booted before its source was looked at.
        let whole = image.kernel.is_some() || image.script.is_some();
        let (importer, image) = (importer.clone(), image.clone());
        match origin {
            Origin::There(_) => {
                let kept = tokio::task::spawn_blocking(move || (importer.keep(&image), image));
                match kept.await {
                    Ok((Ok(true), _)) => any_kept = true,
                    Err(_) => {}
                    Ok((Ok(false), image)) => {
                        remote.push(Wanted { image, origin, cancel: Arc::default() });
                    }
                    Ok((Err(error), image)) => not_imported(&image, &error),
                }
            }
            _ if whole && inventory.has_files(&image.name) => later.push((image, origin)),
            origin => {
                let importing =
                    tokio::task::spawn_blocking(move || bring(&importer, &image, origin, &Arc::default()));
                importing.await.ok();
            }
        }
    }
    if any_kept {
        // Once for all of them: making it takes its time where there are many hosts.
        let importer = importer.clone();
        tokio::task::spawn_blocking(move || importer.make_catalog()).await.ok();
    }
    let (importing, stop) = (importer.clone(), stopping.clone());
    tokio::task::spawn_blocking(move || {
        for (image, origin) in later {
            if *stop.borrow() {
                return;
            }
            bring(&importing, &image, origin, &Arc::default());
        }
        importing.sweep();
    });
    if !remote.is_empty() {
        let importer = importer.clone();
        let bring =
            move |Wanted { image, origin, cancel }: &Wanted| bring(&importer, image, origin.clone(), cancel);
        tokio::spawn(fetch(remote, stopping, TRY_AGAIN, bring));
    }
}

/// An image that is fetched, until it is here.
struct Wanted {
    image: Image,
    origin: Origin,
    /// Of all its tries: whoever cancels one of them wants no other.
    cancel: Arc<AtomicBool>,
}

impl Wanted {
    fn is_cancelled(&self) -> bool {
        let cancelled = self.cancel.load(Ordering::Relaxed);
        if cancelled {
            tracing::info!(image = %self.image.name, "an image is not fetched again before the next start: cancelled");
        }
        cancelled
    }
}

/// One after the other, in rounds: a server that is down keeps no other waiting for longer than its own tries take.
/// `wait` is until the second round; `bring` is one try, and gives true when another may go better.
async fn fetch(
    mut wanted: Vec<Wanted>,
    mut stopping: watch::Receiver<bool>,
    mut wait: Duration,
    bring: impl Fn(&Wanted) -> bool + Clone + Send + 'static,
) {
    loop {
        let mut left = Vec::new();
        for wanted in wanted {
            if *stopping.borrow() {
                return;
            }
            if wanted.is_cancelled() {
                continue;
            }
            let (bring, cancel) = (bring.clone(), wanted.cancel.clone());
            let mut bringing = tokio::task::spawn_blocking(move || bring(&wanted).then_some(wanted));
            let brought = tokio::select! {
                brought = &mut bringing => brought,
                () = stopped(&mut stopping) => {
                    cancel.store(true, Ordering::Relaxed);
                    bringing.await.ok();
                    return;
                }
            };
            left.extend(brought.ok().flatten());
        }
        wanted = left;
        wanted.retain(|wanted| !wanted.is_cancelled());
        if wanted.is_empty() {
            return;
        }
        for Wanted { image, origin, .. } in &wanted {
            tracing::warn!(image = %image.name, source = %origin, wait_secs = wait.as_secs(), "an image is fetched again later");
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stopped(&mut stopping) => return,
        }
        wait = (wait * 2).min(TRY_AGAIN_MAX);
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    stopping.wait_for(|stop| *stop).await.ok();
}

/// Imports one; gives true when another try may go better.
fn bring(importer: &Importer, image: &Image, origin: Origin, cancel: &Arc<AtomicBool>) -> bool {
    match importer.import_from_file(image, origin, cancel) {
        Ok(_) => false,
        Err(error) => {
            not_imported(image, &error);
            error.passes()
        }
    }
}

fn not_imported(image: &Image, error: &Fault) {
    tracing::error!(cause = %error, image = %image.name, "an image of the configuration file was not imported");
}

#[cfg(test)]
mod tests;
