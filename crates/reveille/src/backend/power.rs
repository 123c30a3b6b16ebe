//! Power of hosts, by Redfish and Wake-on-LAN.

use super::Daemon;
use admin::{BackendError, FieldError, HostRef, Problem};
use power::{Identity, Limits, Order, PowerRequest, Unwatched};
use types::{Event, EventName, EventSink};

pub(super) fn power(
    daemon: &Daemon,
    reference: &HostRef,
    request: serde_json::Value,
) -> Result<serde_json::Value, BackendError> {
    let host = daemon.find_host(reference)?.resource;
    let invalid = |detail: String| BackendError::Invalid {
        what: "power request",
        errors: vec![FieldError { pointer: String::new(), detail }],
    };
    let request: PowerRequest =
        serde_json::from_value(request).map_err(|error| invalid(error.to_string()))?;
    let (action, next_boot) = request.parts().map_err(|error| invalid(error.to_string()))?;
    if host.power.is_none() {
        return Err(BackendError::Problem(
            Problem::new(409, "R-POW-01", "no-power", format!("host `{}` cannot be switched", host.name))
                .with_cause("its record says nothing of its power")
                .with_fix("give it `power:` with `redfish:` or `wol:`"),
        ));
    }
    let order = Order {
        host: host.name.as_str(),
        spec: host.power.as_ref(),
        identity: Identity { uuid: host.identity.uuid, serial: host.identity.serial.clone() },
        mac: host.identity.mac.0.first().copied(),
        next_boot,
        action,
        dry_run: request.dry_run,
        limits: Limits::default(),
    };
    // We are on a thread that may block; the order is not `Send`.
    let outcome = tokio::runtime::Handle::current().block_on(power::perform(&order, &mut Unwatched));
    if let Some(told) = outcome.event() {
        let name = EventName::ALL.iter().find(|name| name.as_str() == told.name);
        let mut event = Event::new(*name.unwrap_or(&EventName::PowerFailed)).host(Some(host.name.shared()));
        (event.level, event.reason, event.mac) = (told.level, told.reason, order.mac);
        event.fields = told.fields;
        daemon.world.record(event);
    }
    match &outcome.result {
        Ok(()) => Ok(outcome.to_json()),
        Err(error) => Err(BackendError::Problem(
            Problem::new(
                502,
                "R-POW-02",
                "power-failed",
                format!("host `{}`: {} did not come about", host.name, outcome.action),
            )
            .with_cause(power::error::chain(error))
            .with_fix(error.fix()),
        )),
    }
}
