//! Power of hosts, by Redfish and Wake-on-LAN.

use super::Daemon;
use admin::{BackendError, FieldError, HostRef, Problem};
use power::{Identity, Limits, Order, PowerRequest, Unwatched};
use types::resource::Name;
use types::{Event, EventName, EventSink};

/// Starts a host anew, from the network, once; what only wakes it is all there is without a controller.
pub(super) fn cycle(daemon: &Daemon, host: &Name) -> Result<(), String> {
    let reference = HostRef::Name(host.clone());
    let record = daemon.find_host(&reference).map_err(|error| error.to_string())?.resource;
    let request = match record.power.as_ref().and_then(|power| power.redfish.as_ref()) {
        Some(_) => serde_json::json!({ "action": "cycle", "next_boot": "pxe" }),
        None => serde_json::json!({ "action": "on" }),
    };
    power(daemon, &reference, request).map(drop).map_err(|error| match error {
        BackendError::Problem(problem) => problem.cause.clone().unwrap_or_else(|| problem.title.clone()),
        other => other.to_string(),
    })
}

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
