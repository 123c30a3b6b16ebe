//! What is sent: a body, and for a command its arguments, each a template over the event.

use crate::brain::Verdict;
use crate::{Notice, Try};
use render::template::{EventTemplate, EventValues, TemplateFault};
use types::resource::TemplateKind;

/// The templates of one hook.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    body: Option<(TemplateKind, EventTemplate)>,
    arguments: Vec<EventTemplate>,
}

/// Rendered for one event.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) body: String,
    pub(crate) content_type: &'static str,
    pub(crate) arguments: Vec<String>,
}

impl Payload {
    pub(crate) fn set_body(
        &mut self,
        name: &str,
        kind: TemplateKind,
        text: &str,
    ) -> Result<(), TemplateFault> {
        self.body = Some((kind, EventTemplate::compile(name, kind, text)?));
        Ok(())
    }

    pub(crate) fn set_arguments(&mut self, name: &str, texts: &[String]) -> Result<(), TemplateFault> {
        let compile = |text: &String| EventTemplate::compile(name, TemplateKind::Text, text);
        self.arguments = texts.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Renders all of it. What cannot be rendered now never can.
    pub(crate) fn render(&self, notice: &Notice, site: Option<&str>) -> Result<Ready, Try> {
        let values = EventValues { event: &notice.event, time: &notice.time, site };
        let fault = |fault: TemplateFault| Try::new(Verdict::Never, "template", fault.to_string());
        let (content_type, body) = match &self.body {
            None => ("application/json", notice.json.clone()),
            Some((TemplateKind::Json, template)) => {
                ("application/json", template.render(&values).map_err(fault)?)
            }
            Some((_, template)) => ("text/plain; charset=utf-8", template.render(&values).map_err(fault)?),
        };
        let arguments: Vec<String> = self
            .arguments
            .iter()
            .map(|template| template.render(&values))
            .collect::<Result<_, _>>()
            .map_err(fault)?;
        if arguments.iter().any(|argument| argument.contains('\0')) {
            let words = "an argument has a NUL byte in it, which no argument can have";
            return Err(Try::new(Verdict::Never, "template", words));
        }
        Ok(Ready { body, content_type, arguments })
    }
}
