//! What expressions see, and what a step is given once they are evaluated.

use chrono::{DateTime, SecondsFormat, Utc};
use cogwheel_definition::{Action, ExpressionError, Template};
use serde_json::{Map, Value, json};

use crate::{Execution, NewExecution, StepState};

/// What is known of a step, as expressions see it.
pub(crate) fn seen_step(state: &StepState) -> Value {
    json!({ "outputs": state.output, "status": state.status.as_str(), "error": state.error })
}

/// The names an expression may read. Kept with the execution and changed with it, since building it anew for every step
/// would cost the square of their number.
pub(crate) fn seen(new: &NewExecution, steps: &[StepState]) -> Value {
    let by_id: Map<String, Value> =
        new.workflow.steps.iter().zip(steps).map(|(step, state)| (step.id.clone(), seen_step(state))).collect();
    json!({
        "inputs": new.inputs,
        "trigger": new.trigger,
        "steps": by_id,
        "env": {},
        "execution": { "id": new.id.to_string(), "attempt": 1, "started_at": null },
        "workflow": { "name": new.workflow.name, "version": new.workflow_version },
        "now": null,
    })
}

impl Execution {
    /// Brings the names that depend on the moment up to date.
    pub(crate) fn look(&mut self, now: DateTime<Utc>) -> Result<(), ExpressionError> {
        self.seen["now"] = json!(instant(now));
        self.seen["execution"]["started_at"] = json!(self.started_at.map(instant));
        self.seen["env"] = json!({});
        let env = render_all(self.new.workflow.env.iter(), &self.seen)?;
        self.seen["env"] = Value::Object(env);
        Ok(())
    }

    /// What the action of `step` is given. Shell steps get their environment; nothing is pasted into scripts.
    pub(crate) fn step_input(&mut self, step: usize, now: DateTime<Utc>) -> Result<Value, ExpressionError> {
        self.look(now)?;
        let context = &self.seen;
        let definition = &self.new.workflow.steps[step];
        match &definition.action {
            Action::Shell { script } => {
                let mut env = context["env"].as_object().cloned().unwrap_or_default();
                env.extend(render_all(definition.env.iter(), context)?);
                Ok(json!({ "script": script, "env": env }))
            }
            Action::Set { values } => values
                .iter()
                .map(|(name, value)| Ok((name.clone(), value.render(context)?)))
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::Object),
            Action::Log { message, level } => {
                Ok(json!({ "message": message.render_string(context)?, "level": level.as_str() }))
            }
        }
    }

    /// The execution's result: its declared outputs, evaluated.
    pub(crate) fn outputs(&mut self, now: DateTime<Utc>) -> Result<Value, ExpressionError> {
        self.look(now)?;
        self.new
            .workflow
            .outputs
            .iter()
            .map(|(name, value)| Ok((name.clone(), value.render(&self.seen)?)))
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
