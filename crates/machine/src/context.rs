//! What expressions see, and what a step is given once they are evaluated.

use chrono::{DateTime, SecondsFormat, Utc};
use cogwheel_definition::{Action, ExpressionError, Template};
use serde_json::{Map, Value, json};

use crate::Execution;

impl Execution {
    /// The names an expression may read, at this moment.
    pub(crate) fn context(&self, now: DateTime<Utc>) -> Result<Value, ExpressionError> {
        let workflow = &self.new.workflow;
        let steps: Map<String, Value> = workflow
            .steps
            .iter()
            .zip(&self.steps)
            .map(|(step, state)| {
                let seen = json!({
                    "outputs": state.output,
                    "status": state.status.as_str(),
                    "error": state.error,
                });
                (step.id.clone(), seen)
            })
            .collect();
        let mut context = json!({
            "inputs": self.new.inputs,
            "trigger": self.new.trigger,
            "steps": steps,
            "env": {},
            "execution": {
                "id": self.new.id.to_string(),
                "attempt": 1,
                "started_at": self.started_at.map(instant),
            },
            "workflow": { "name": workflow.name, "version": self.new.workflow_version },
            "now": instant(now),
        });
        let env = render_all(workflow.env.iter(), &context)?;
        context["env"] = Value::Object(env);
        Ok(context)
    }

    /// What the action of `step` is given. Shell steps get their environment; nothing is pasted into scripts.
    pub(crate) fn step_input(&self, step: usize, now: DateTime<Utc>) -> Result<Value, ExpressionError> {
        let context = self.context(now)?;
        let definition = &self.new.workflow.steps[step];
        match &definition.action {
            Action::Shell { script } => {
                let mut env = context["env"].as_object().cloned().unwrap_or_default();
                env.extend(render_all(definition.env.iter(), &context)?);
                Ok(json!({ "script": script, "env": env }))
            }
            Action::Set { values } => values
                .iter()
                .map(|(name, value)| Ok((name.clone(), value.render(&context)?)))
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::Object),
            Action::Log { message, level } => {
                Ok(json!({ "message": message.render_string(&context)?, "level": level.as_str() }))
            }
        }
    }

    /// The execution's result: its declared outputs, evaluated.
    pub(crate) fn outputs(&self, now: DateTime<Utc>) -> Result<Value, ExpressionError> {
        let context = self.context(now)?;
        self.new
            .workflow
            .outputs
            .iter()
            .map(|(name, value)| Ok((name.clone(), value.render(&context)?)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object)
    }
}

fn render_all<'a>(
    templates: impl Iterator<Item = (&'a String, &'a Template)>,
    context: &Value,
) -> Result<Map<String, Value>, ExpressionError> {
    templates.map(|(name, template)| Ok((name.clone(), Value::String(template.render_string(context)?)))).collect()
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
