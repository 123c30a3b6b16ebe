//! Bundles of scripts, rendered for the machine whose boot it is.
//!
//! | name | what |
//! |---|---|
//! | `b/<token>/bundle/bundle.sh` | the script that runs the others, which it holds |
//! | `b/<token>/bundle/<bundle>/<script>` | one of them |
//! | `<image>/reveille/<token>/bundles.tgz` | ESXi from memory: the module that carries those that are delivered so ([`overlay`]) |
//!
//! The first two by HTTP only; the module by TFTP too, for its loader may have no other way. The token is that of the boot, as for
//! answer files. Everything is rendered once before the boot is given: a value that is missing keeps the machine where it is.

use crate::secrets::Secrets;
use crate::{BootHolder, Door, OpenError, Opened, Opener, Role, Tree, Who, overlay};
use library::Digest;
use render::bundle::{Place, Rendered, inline, run_line, runner};
use render::ipxe::Origin;
use render::template::{BundleValues, Values};
use std::sync::Arc;
use types::resource::{Bundle, Delivery, Host, Image, ImageKind, Name};

/// The folder below the token.
const FOLDER: &str = "bundle";
/// The script that runs the others.
const RUNNER: &str = "bundle.sh";

/// The scripts of a machine, by the way they reach it.
#[derive(Default)]
pub(crate) struct Scripts {
    by_url: Vec<Rendered>,
    by_module: Vec<Rendered>,
}

impl Scripts {
    /// True when a module has to carry some.
    pub(crate) fn want_a_module(&self) -> bool {
        !self.by_module.is_empty()
    }
}

/// A module's name before there is a token: as long as it will be.
pub(crate) fn overlay_before() -> String {
    overlay::name_of(crate::answer::NO_TOKEN)
}

/// True for an image whose boots can carry a module of ours: what an installer unpacks is gone when it has installed.
fn carries(image: &Image) -> bool {
    image.kind == ImageKind::Esxi && image.stateless
}

impl Tree {
    /// The scripts a machine runs after a boot of `image`.
    ///
    /// # Errors
    /// In words for its screen: a bundle is not there, or does not render.
    pub(crate) fn scripts_of(
        &self,
        host: Option<&Host>,
        image: &Image,
        values: &Values,
    ) -> Result<Scripts, String> {
        let names = host.map(Host::bundle_names).unwrap_or_default();
        if names.is_empty() {
            return Ok(Scripts::default());
        }
        let catalog = self.parts.decider.catalog();
        let mut bundles: Vec<Arc<Bundle>> = Vec::with_capacity(names.len());
        for name in names {
            let found = catalog.bundle(name.as_str()).cloned();
            bundles.push(found.ok_or_else(|| format!("there is no bundle {name}"))?);
        }
        bundles.retain(|bundle| bundle.deliver == Delivery::Url || carries(image));
        let mut values = values.clone();
        let secrets = Secrets::put_into(&mut values.params)?;
        let scripts =
            render::bundle::render(&bundles, &values).map_err(|fault| secrets.masked(fault.to_string()))?;
        let carried = |name: &Name| {
            bundles.iter().any(|bundle| bundle.name == *name && bundle.deliver == Delivery::Module)
        };
        let (by_module, by_url) = scripts.into_iter().partition(|script| carried(&script.bundle));
        Ok(Scripts { by_url, by_module })
    }

    /// The values of an answer file, with what it can do about these scripts, which were rendered with them.
    pub(crate) fn with_bundles(
        &self,
        mut values: Values,
        scripts: &Scripts,
        who: &Who,
        token: &str,
    ) -> Values {
        let scripts = &scripts.by_url;
        if !scripts.is_empty() {
            let base = self.bundle_base(token, who);
            let url = format!("{base}/{RUNNER}");
            let mut names: Vec<&str> = scripts.iter().map(|script| script.bundle.as_str()).collect();
            names.dedup();
            values.bundles = Some(BundleValues {
                names: names.join(" "),
                run: run_line(&url),
                url,
                inline: inline(&base, scripts),
            });
        }
        values
    }

    /// Where what belongs to the bundles of a boot is, and where its scripts are told of.
    fn bundle_base(&self, token: &str, who: &Who) -> String {
        Origin::http(who.local, self.parts.http_port).url(&format!("b/{token}/{FOLDER}"))
    }

    /// `b/<token>/bundle/…`. `None`: no such name.
    pub(crate) fn open_bundle(&self, name: &str, who: &Who) -> Option<Result<Opened, OpenError>> {
        let (token, rest) = name.strip_prefix("b/")?.split_once('/')?;
        let file = rest.strip_prefix(FOLDER)?.strip_prefix('/')?;
        // The name is a secret, also one that is good no more.
        let shown = format!("{FOLDER}/{file}");
        if who.door != Door::Http {
            return Some(Err(OpenError::NotFound { name: shown }));
        }
        Some(self.bundle_file(token, file, &shown, who))
    }

    fn bundle_file(&self, token: &str, file: &str, shown: &str, who: &Who) -> Result<Opened, OpenError> {
        let absent = || OpenError::NotFound { name: shown.to_owned() };
        let (holder, image, scripts) = self.scripts_of_token(token, shown, who)?;
        let text = match file.split_once('/') {
            None if file == RUNNER && !scripts.by_url.is_empty() => {
                runner(&self.bundle_base(token, who), &scripts.by_url, Place::Inside)
            }
            Some((bundle, name)) => {
                let own =
                    |script: &&Rendered| script.bundle.as_str() == bundle && script.name.as_str() == name;
                scripts.by_url.iter().find(own).ok_or_else(absent)?.text.clone()
            }
            None => return Err(absent()),
        };
        self.may_have(&holder, &image)?;
        Ok(Opened {
            facts: Some(holder.facts),
            host: holder.host,
            image: Some(image.name.shared()),
            boot: Some(holder.boot),
            ..self.opened_text(shown, Role::Bundle, text)
        })
    }

    /// Whose token it is, and what that machine runs.
    fn scripts_of_token(
        &self,
        token: &str,
        shown: &str,
        who: &Who,
    ) -> Result<(BootHolder, Arc<Image>, Scripts), OpenError> {
        let absent = || OpenError::NotFound { name: shown.to_owned() };
        let holder = self.parts.ledger.holder(token, who.address).map_err(|_| absent())?;
        let host = self.profile_of(&holder);
        let catalog = self.parts.decider.catalog();
        let image = catalog.image(holder.image.as_str()).cloned().ok_or_else(absent)?;
        let values = self.values(&holder.facts, host.as_deref(), &image, who, (token, &holder.boot));
        let scripts = self.scripts_of(host.as_deref(), &image, &values).map_err(|fault| {
            self.parts.ledger.refuse_boot(&holder.facts, host.as_deref(), &image, &fault);
            OpenError::Unmade(fault)
        })?;
        Ok((holder, image, scripts))
    }

    fn may_have(&self, holder: &BootHolder, image: &Image) -> Result<(), OpenError> {
        let opened = self.parts.ledger.open_payload(Opener::Holder(holder), image);
        opened.map_err(|why| OpenError::NotArmed { image: image.name.to_string(), why })
    }

    /// The name in `boot.cfg` of the module of a boot that has just begun; it is made and kept. `None` when whoever began it is
    /// given no scripts: somebody who only says to be that machine.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn begin_overlay(
        &self,
        token: &str,
        image: &Image,
        who: &Who,
    ) -> Result<Option<String>, String> {
        match self.overlay(token, image, who) {
            Ok(_) => Ok(Some(overlay::name_of(token))),
            Err(OpenError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn overlay(
        &self,
        token: &str,
        image: &Image,
        who: &Who,
    ) -> Result<(BootHolder, bytes::Bytes), OpenError> {
        let shown = overlay::shown(image.name.as_str());
        let absent = || OpenError::NotFound { name: shown.clone() };
        let holder = self.parts.ledger.holder(token, who.address).map_err(|_| absent())?;
        if holder.image != image.name {
            return Err(absent());
        }
        let bytes = self.overlays().of(token, || {
            let (_, _, scripts) = self.scripts_of_token(token, &shown, who)?;
            if scripts.by_module.is_empty() {
                return Err(absent());
            }
            overlay::pack(&self.bundle_base(token, who), &scripts.by_module)
                .map_err(|error| OpenError::Unmade(error.to_string()))
        })?;
        Ok((holder, bytes))
    }

    /// `<image>/reveille/<token>/bundles.tgz`. `rest` is what stands behind the image; `None`: no such name.
    pub(crate) fn open_overlay(
        &self,
        image: &Image,
        rest: &str,
        who: &Who,
    ) -> Option<Result<Opened, OpenError>> {
        let token = overlay::token_of(rest)?;
        Some(self.overlay(token, image, who).and_then(|(holder, content)| {
            self.may_have(&holder, image)?;
            Ok(Opened {
                name: overlay::shown(image.name.as_str()).into(),
                etag: Digest::of(&content).etag(),
                content,
                role: Role::Module,
                content_type: crate::names::content_type("tgz"),
                facts: Some(holder.facts),
                host: holder.host,
                image: Some(image.name.shared()),
                boot: Some(holder.boot),
                cacheable: false,
            })
        }))
    }
}

#[cfg(test)]
mod tests;
