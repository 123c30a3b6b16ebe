//! Templates over an event: bodies of webhooks, arguments of commands.
//!
//! The same language, escaping and bounds as for answer files, with `event` and `site` in place of host, image and boot.

use super::values::Names;
use super::{Compiled, TemplateFault, compile_over};
use minijinja::value::Value;
use std::collections::BTreeMap;
use types::Event;
use types::event::Value as Field;
use types::resource::TemplateKind;

const NAMES: Names = &[
    (
        "event",
        &["boot", "fields", "guid", "host", "interface", "level", "mac", "name", "reason", "stage", "time"],
    ),
    ("site", &[]),
];

/// A template over an event that parses.
#[derive(Debug)]
pub struct EventTemplate(Compiled);

/// What it is rendered with.
#[derive(Clone, Copy, Debug)]
pub struct EventValues<'a> {
    /// `event.*`: what the event does not say is undefined; `event.fields` has everything beside the fixed names.
    pub event: &'a Event,
    /// `event.time`: RFC 3339.
    pub time: &'a str,
    /// `site`.
    pub site: Option<&'a str>,
}

impl EventTemplate {
    /// Compiles a template; `name` is used in faults only.
    ///
    /// # Errors
    /// As [`compile`](super::compile).
    pub fn compile(name: &str, kind: TemplateKind, text: &str) -> Result<EventTemplate, TemplateFault> {
        compile_over(NAMES, name, kind, text).map(EventTemplate)
    }

    /// Renders it.
    ///
    /// # Errors
    /// As [`Compiled::render`].
    pub fn render(&self, values: &EventValues<'_>) -> Result<String, TemplateFault> {
        self.0.render_over(values.context(), None)
    }
}

impl EventValues<'_> {
    fn context(&self) -> Value {
        let EventValues { event, time, site } = *self;
        let texts = [
            ("name", Some(event.name.as_str().to_owned())),
            ("level", Some(event.level.as_str().to_owned())),
            ("time", Some(time.to_owned())),
            ("mac", event.mac.map(|mac| mac.to_string())),
            ("guid", event.guid.map(|guid| guid.to_string())),
            ("host", event.host.as_deref().map(str::to_owned)),
            ("boot", event.boot.as_deref().map(str::to_owned)),
            ("interface", event.interface.as_deref().map(str::to_owned)),
            ("stage", event.stage.map(|stage| stage.as_str().to_owned())),
            ("reason", event.reason.map(str::to_owned)),
        ];
        let mut members: BTreeMap<String, Value> = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?))))
            .collect();
        let fields: BTreeMap<String, Value> =
            event.fields.iter().map(|(name, field)| ((*name).to_owned(), value(field))).collect();
        members.insert("fields".to_owned(), Value::from(fields));
        let mut root = BTreeMap::from([("event".to_owned(), Value::from(members))]);
        if let Some(site) = site {
            root.insert("site".to_owned(), Value::from(site));
        }
        Value::from(root)
    }
}

fn value(field: &Field) -> Value {
    match field {
        Field::Text(text) => Value::from(&**text),
        Field::Number(number) => Value::from(*number),
        Field::Flag(flag) => Value::from(*flag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::EventName;

    fn render(kind: TemplateKind, text: &str, event: &Event) -> Result<String, TemplateFault> {
        let values = EventValues { event, time: "2030-01-01T00:00:00.000Z", site: Some("lab") };
        EventTemplate::compile("hook `a`", kind, text)?.render(&values)
    }

    fn seen() -> Event {
        Event { mac: "52:54:00:12:34:56".parse().ok(), ..Event::new(EventName::HostSeen) }
            .host(Some("web01".into()))
            .because("new")
            .with("address", "10.0.0.7")
            .with("count", 3)
            .with("known", false)
    }

    #[test]
    fn an_event_is_put_into_a_text() {
        let text = "{{ event.name }} {{ event.level }} {{ event.host }} {{ event.mac }} {{ event.reason }} {{ event.time }} \
                    {{ site }} {{ event.fields.address }} {{ event.fields.count + 1 }} {{ event.guid | default('none') }}";
        assert_eq!(
            render(TemplateKind::Text, text, &seen()).unwrap(),
            "host.seen info web01 52:54:00:12:34:56 new 2030-01-01T00:00:00.000Z lab 10.0.0.7 4 none"
        );
    }

    #[test]
    fn a_hostile_value_stays_inside_its_json_string() {
        let event = seen().with("serial", "\", \"admin\": true, \"x\": \"\n\u{7f}");
        let text = render(TemplateKind::Json, r#"{"serial": "{{ event.fields.serial }}"}"#, &event).unwrap();
        let read: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read["serial"], "\", \"admin\": true, \"x\": \"\n\u{7f}");
        let flag = render(TemplateKind::Json, "{{ event.fields.known }}", &event).unwrap();
        assert_eq!(flag, "false");
        let all = render(TemplateKind::Json, "{{ event.fields | json }}", &event).unwrap();
        assert!(serde_json::from_str::<BTreeMap<String, serde_json::Value>>(&all).is_ok(), "{all}");
    }

    #[test]
    fn what_an_event_does_not_say_is_a_fault_that_names_it() {
        let fault = render(TemplateKind::Text, "{{ event.boot }}", &seen()).unwrap_err();
        assert_eq!(fault.variable.as_deref(), Some("event.boot"));
        assert!(fault.to_string().contains("this event does not say it"), "{fault}");
        let fault = render(TemplateKind::Text, "{{ event.fields.nothing }}", &seen()).unwrap_err();
        assert_eq!(fault.variable.as_deref(), Some("event.fields.nothing"));
    }

    #[test]
    fn names_that_cannot_exist_are_refused_with_the_nearest() {
        let refused = |text: &str| EventTemplate::compile("a", TemplateKind::Text, text).unwrap_err();
        assert_eq!(refused("{{ event.hots }}").fix.as_deref(), Some("did you mean `event.host`?"));
        assert!(refused("{{ params.x }}").fix.unwrap().contains("event, site"));
        assert!(refused("{{ event.host | json | shel }}").message.contains("no filter"));
    }

    #[test]
    fn a_json_body_that_is_none_is_a_fault() {
        assert!(render(TemplateKind::Json, "{{ event.host }}", &seen()).is_err());
        assert!(render(TemplateKind::Json, "\"{{ event.host }}\"", &seen()).is_ok());
    }
}
