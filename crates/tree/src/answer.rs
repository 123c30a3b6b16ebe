//! Answer files: the template of a host or an image, rendered for the machine whose boot it is.
//!
//! `b/<token>/answer/<file>`, by HTTP only. The token is that of the boot: it is known to the machine alone, ends with the
//! boot and is bound to the address. The template is rendered once before the boot is given, so that a value that is
//! missing keeps the machine where it is instead of in half an installation.

use crate::bundles::Scripts;
use crate::secrets::Secrets;
use crate::{BootHolder, Door, OpenError, Opened, Opener, Role, Tree, Who};
use plan::Decider;
use render::cmdline;
use render::ipxe::Origin;
use render::template::{BootValues, MachineValues, ServerValues, Values, compile};
use std::sync::Arc;
use types::Facts;
use types::resource::{Host, Image, Template, TemplateKind};

/// The folder below the token.
const FOLDER: &str = "answer";

/// What a NoCloud source asks for beside its user-data.
const META_DATA: &str = "meta-data";
const VENDOR_DATA: &str = "vendor-data";
const NETWORK_CONFIG: &str = "network-config";

/// Stands for the secret and the id where none are given yet; as long as they are.
pub(crate) const NO_TOKEN: &str = "00000000000000000000000000000000";
const NO_BOOT: &str = "00000000000000000000000000";

impl Tree {
    /// `b/<token>/answer/<file>`. `None`: no such name.
    pub(crate) fn open_answer(&self, name: &str, who: &Who) -> Option<Result<Opened, OpenError>> {
        let (token, rest) = name.strip_prefix("b/")?.split_once('/')?;
        let file = rest.strip_prefix(FOLDER)?.strip_prefix('/')?;
        // The name is a secret, also one that is good no more.
        let shown = format!("{FOLDER}/{file}");
        if who.door != Door::Http {
            return Some(Err(OpenError::NotFound { name: shown }));
        }
        Some(self.answer(token, file, shown, who))
    }

    fn answer(&self, token: &str, file: &str, shown: String, who: &Who) -> Result<Opened, OpenError> {
        let absent = || OpenError::NotFound { name: shown.clone() };
        let holder = self.parts.ledger.holder(token, who.address).map_err(|_| absent())?;
        let catalog = self.parts.decider.catalog();
        let host = self.profile_of(&holder);
        let image = catalog.image(holder.image.as_str()).cloned().ok_or_else(absent)?;
        let template = self.template_of(host.as_deref(), &image);
        let template = template.map_err(OpenError::Unmade)?.ok_or_else(absent)?;
        self.parts
            .ledger
            .open_payload(Opener::Holder(&holder), &image)
            .map_err(|why| OpenError::NotArmed { image: image.name.to_string(), why })?;
        let text = match file {
            META_DATA => {
                let name = host.as_ref().map_or("localhost", |host| host.name.as_str());
                format!("instance-id: {}\nlocal-hostname: {name}\n", holder.boot)
            }
            VENDOR_DATA | NETWORK_CONFIG if template.kind == TemplateKind::UserData => return Err(absent()),
            _ => {
                let values = self.values(&holder.facts, host.as_deref(), &image, who, (token, &holder.boot));
                let scripts = self.scripts_of(host.as_deref(), &image, &values);
                let made = scripts
                    .and_then(|scripts| rendered(&template, self.with_bundles(values, &scripts, who, token)));
                made.map_err(|fault| {
                    self.parts.ledger.refuse_boot(&holder.facts, host.as_deref(), &image, &fault);
                    OpenError::Unmade(fault)
                })?
            }
        };
        Ok(Opened {
            facts: Some(holder.facts),
            host: holder.host,
            image: Some(image.name.shared()),
            boot: Some(holder.boot),
            ..self.opened_text(&shown, Role::Answer, text)
        })
    }

    /// As [`profile_of`].
    pub(crate) fn profile_of(&self, holder: &BootHolder) -> Option<Arc<Host>> {
        profile_of(&*self.parts.decider, &holder.facts, holder.host.as_deref())
    }

    /// The template that applies: the host's, else the image's.
    ///
    /// # Errors
    /// When there is none of that name, or the command line wants one and none is named.
    pub(crate) fn template_of(
        &self,
        host: Option<&Host>,
        image: &Image,
    ) -> Result<Option<Arc<Template>>, String> {
        let Some(name) = host.and_then(|host| host.template.as_ref()).or(image.template.as_ref()) else {
            return match cmdline::wants_answer(image, host) {
                true => {
                    Err("its command line wants an answer file, and neither host nor image names a template"
                        .to_owned())
                }
                false => Ok(None),
            };
        };
        match self.parts.decider.catalog().template(name.as_str()) {
            Some(template) => Ok(Some(template.clone())),
            None => Err(format!("there is no template {name}")),
        }
    }

    /// Renders it as it will be asked for, before anything is promised.
    pub(crate) fn try_answer(
        &self,
        template: &Template,
        values: Values,
        scripts: &Scripts,
        who: &Who,
    ) -> Result<(), String> {
        rendered(template, self.with_bundles(values, scripts, who, NO_TOKEN)).map(drop)
    }

    /// Where the answer file of a boot is.
    pub(crate) fn answer_url(&self, template: &Template, token: &str, who: &Who) -> String {
        let file = match template.kind {
            TemplateKind::EsxiKickstart | TemplateKind::Kickstart => "ks.cfg",
            TemplateKind::Preseed => "preseed.cfg",
            // A seed is a folder: cloud-init puts the names behind it.
            TemplateKind::UserData => "",
            TemplateKind::Json => "ks.json",
            TemplateKind::Unattend => "unattend.xml",
            TemplateKind::Shell => "answer.sh",
            TemplateKind::Text => "answer.txt",
        };
        Origin::http(who.local, self.parts.http_port).url(&format!("b/{token}/{FOLDER}/{file}"))
    }

    /// The values before a boot has begun.
    pub(crate) fn values_before(
        &self,
        facts: &Facts,
        host: Option<&Host>,
        image: &Image,
        who: &Who,
    ) -> Values {
        self.values(facts, host, image, who, (NO_TOKEN, NO_BOOT))
    }

    pub(crate) fn values(
        &self,
        facts: &Facts,
        host: Option<&Host>,
        image: &Image,
        who: &Who,
        (token, boot): (&str, &str),
    ) -> Values {
        let base = Origin::http(who.local, self.parts.http_port);
        let mut values = Values::of(host, Some(image));
        if let Some(own) = &mut values.image {
            let holder = image.base.as_ref().unwrap_or(&image.name);
            let manifest = self.parts.library.manifest(holder.as_str());
            own.version = manifest.and_then(|manifest| manifest.version.clone());
        }
        values.machine = MachineValues::of(facts);
        values.server = ServerValues {
            address: Some(who.local),
            http: Some(base.url("").trim_end_matches('/').to_owned()),
        };
        values.boot = Some(BootValues { id: boot.to_owned() });
        values.callback = Some(base.url(&format!("b/{token}")));
        values.url = Some(base.url(&format!("b/{token}/{FOLDER}/")));
        values
    }
}

/// What the machine of a boot is given now, by the facts and the recorded host it was begun with. Nothing that is another
/// host's than the one the boot was begun for: the token says whose it is, and a record may have been changed since.
pub fn profile_of(decider: &dyn Decider, facts: &Facts, host: Option<&str>) -> Option<Arc<Host>> {
    let verdict = decider.decide(facts);
    let own = verdict.host.as_ref().map(|host| host.name.as_str());
    match host {
        Some(name) if own == Some(name) => verdict.profile,
        Some(name) => decider.catalog().profile(name).cloned(),
        None if own.is_none() => verdict.profile,
        None => None,
    }
}

/// With the secrets that parameters stand for, which no fault shows.
fn rendered(template: &Template, mut values: Values) -> Result<String, String> {
    let secrets = Secrets::put_into(&mut values.params)?;
    let compiled = compile(template.name.as_str(), template.kind, &template.text);
    compiled.and_then(|compiled| compiled.render(&values)).map_err(|fault| secrets.masked(fault.to_string()))
}

#[cfg(test)]
mod tests;
