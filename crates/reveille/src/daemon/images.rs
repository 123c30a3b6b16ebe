//! Images of the configuration file: their files are brought in, from this machine before anything is answered, from servers
//! while we serve.

use crate::backend::{Fault, Importer, Origin};
use crate::inventory::Inventory;
use std::sync::Arc;
use std::time::Duration;
use types::resource::Image;

/// Until what could not be fetched is tried again; twice as long each time.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// It is not waited longer than that.
const TRY_AGAIN_MAX: Duration = Duration::from_secs(3600);

/// Those whose files are not there yet are imported before anything is answered, the others are looked at again while we
/// serve; what is on a server is fetched then too. One that fails is an event; the rest goes on.
pub(super) async fn bring_in(inventory: &Arc<Inventory>, importer: &Arc<Importer>) {
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
                    Ok((Ok(false), image)) => remote.push((image, origin)),
                    Ok((Err(error), image)) => not_imported(&image, &error),
                }
            }
            _ if whole && inventory.has_files(&image.name) => later.push((image, origin)),
            origin => {
                let importing = tokio::task::spawn_blocking(move || bring(&importer, &image, origin));
                importing.await.ok();
            }
        }
    }
    if any_kept {
        // Once for all of them: making it takes its time where there are many hosts.
        let importer = importer.clone();
        tokio::task::spawn_blocking(move || importer.make_catalog()).await.ok();
    }
    let importing = importer.clone();
    tokio::task::spawn_blocking(move || {
        for (image, origin) in later {
            bring(&importing, &image, origin);
        }
        importing.sweep();
    });
    if !remote.is_empty() {
        tokio::spawn(fetch(importer.clone(), remote));
    }
}

/// One after the other, in rounds: a server that is down keeps no other waiting for longer than its own tries take.
async fn fetch(importer: Arc<Importer>, mut wanted: Vec<(Image, Origin)>) {
    let mut wait = TRY_AGAIN;
    while !wanted.is_empty() {
        let mut left = Vec::new();
        for (image, origin) in wanted {
            let importer = importer.clone();
            let bringing = tokio::task::spawn_blocking(move || {
                let passes = bring(&importer, &image, origin.clone());
                passes.then_some((image, origin))
            });
            left.extend(bringing.await.ok().flatten());
        }
        wanted = left;
        for (image, origin) in &wanted {
            tracing::warn!(image = %image.name, source = %origin, wait_secs = wait.as_secs(), "an image is fetched again later");
        }
        if !wanted.is_empty() {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(TRY_AGAIN_MAX);
        }
    }
}

/// Imports one; gives true when another try may go better.
fn bring(importer: &Importer, image: &Image, origin: Origin) -> bool {
    match importer.import_from_file(image, origin) {
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
