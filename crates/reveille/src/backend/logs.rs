//! Logs of boots behind the API.

use super::Daemon;
use crate::bootlogs::{escaped, view};
use admin::view::BootLogView;
use admin::{BackendError, ListPage, Problem};

impl admin::BootLogs for Daemon {
    fn boot_logs(&self, of: Option<&str>) -> Result<ListPage<BootLogView>, BackendError> {
        let mut items = Vec::new();
        for (boot, kept) in self.logs.of(of) {
            items.extend(kept.logs.iter().map(|(name, log)| view(&boot, &kept, name, log)));
        }
        Ok(ListPage { items, next: None, revision: self.revision() })
    }

    fn boot_log(&self, of: &str, name: &str) -> Result<BootLogView, BackendError> {
        let boots = self.logs.of(Some(of));
        let has = boots.iter().find_map(|(boot, kept)| Some((boot, kept, kept.logs.get(name)?)));
        let Some((boot, kept, log)) = has else {
            let there = boots
                .first()
                .map(|(_, kept)| kept.logs.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
            return Err(BackendError::Problem(none(of, name, there.as_deref())));
        };
        let bytes = self.logs.read(boot, name).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => BackendError::Problem(none(of, name, None)),
            _ => BackendError::Internal(format!("the log {name} of boot {boot} cannot be read: {error}")),
        })?;
        Ok(BootLogView { text: Some(escaped(&bytes)), ..view(boot, kept, name, log) })
    }
}

fn none(of: &str, name: &str, there: Option<&str>) -> Box<Problem> {
    let problem = Problem::new(404, "R-LOG-01", "no-log", format!("there is no log `{name}` of `{of}`"));
    match there {
        Some(there) => problem.with_cause(format!("it has sent {there}")).with_fix(format!("reveille boot log {of}")),
        None => problem
            .with_cause("no boot of that id, host or mac:… has sent a log that is still kept")
            .with_fix("let its answer file send one: examples/templates/ shows how; reveille boot list has the boots"),
    }
}
