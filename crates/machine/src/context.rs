//! What expressions see, and what a step is given once they are evaluated.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use cogwheel_definition::{Action, ExpressionError, MAIN_BLOCK, Names, SeenStep, Template};
use serde_json::{Map, Value, json};

use crate::scope::Place;
use crate::state::Phase;
use crate::{Execution, StepState};

/// The names that the functions `success()` and `failure()` are answered from.
const NEEDS: &str = "$needs";

/// The root names that are always there.
const ROOTS: [&str; 6] = ["inputs", "trigger", "env", "execution", "workflow", "now"];

/// What can be seen from one place of an execution, at one moment.
pub(crate) struct View<'e> {
    execution: &'e Execution,
    /// The scope whose steps are seen, with those of the scopes around it.
    scope: usize,
    /// The innermost instance around the place: it knows the value of its `foreach`.
    inside: Option<i32>,
    now: DateTime<Utc>,
    env: Value,
    /// What the steps that a step needs mean for its `if`.
    needs: Option<Value>,
    /// The outputs under which a step sees itself.
    own: Option<(&'e str, &'e Value)>,
}

impl<'e> View<'e> {
    /// What is seen in `scope`, inside of `inside`.
    ///
    /// # Errors
    ///
    /// What is wrong with the workflow's `env`, which every expression may read.
    pub(crate) fn of(
        execution: &'e Execution,
        scope: usize,
        inside: Option<i32>,
        now: DateTime<Utc>,
    ) -> Result<Self, ExpressionError> {
        let env = Value::Object(Map::new());
        let mut view = Self { execution, scope, inside, now, env, needs: None, own: None };
        let env = render_all(execution.new.workflow.env.iter(), &view)?;
        view.env = Value::Object(env);
        Ok(view)
    }

    /// With the answers to `success()` and `failure()`.
    pub(crate) fn with_needs(mut self, needs: Value) -> Self {
        self.needs = Some(needs);
        self
    }

    /// With the outputs of the step of this id, which has not ended.
    pub(crate) fn with_own(mut self, id: &'e str, outputs: &'e Value) -> Self {
        self.own = Some((id, outputs));
        self
    }

    /// The nearest `foreach` value around the place, and its number.
    fn item(&self) -> Option<(&'e Value, usize)> {
        let mut at = self.inside;
        while let Some(ordinal) = at {
            let state = self.execution.at(ordinal);
            if let Place::Item(number) = self.execution.instance(ordinal).place {
                let items = self.execution.at(state.parent?).input.as_ref()?.get("items")?;
                return Some((items.get(number)?, number));
            }
            at = state.parent;
        }
        None
    }

    /// The scopes from the inside out.
    fn scopes(&self) -> impl Iterator<Item = usize> {
        let execution = self.execution;
        let mut next = Some(self.scope);
        std::iter::from_fn(move || {
            let scope = next?;
            next = match execution.scopes[scope].owner {
                Some(owner) => Some(execution.instance(owner).scope),
                // The later phases see the earlier ones.
                None => execution.phases.iter().flatten().copied().filter(|phase| *phase < scope).max(),
            };
            Some(scope)
        })
    }

    /// Why everything is undone, as what undoes it sees it.
    fn cause(&self) -> Option<Value> {
        let is_undo = self.scopes().any(|scope| self.execution.scopes[scope].undo.is_some());
        let cause = self.execution.recorded_saga().filter(|_| is_undo)?.cause.as_ref()?;
        let (kind, error) = (cause.kind.as_str(), &cause.error);
        Some(json!({ "cause": { "kind": kind, "step": error.step, "message": error.title } }))
    }

    fn execution(&self) -> Value {
        let execution = self.execution;
        let mut seen = json!({
            "id": execution.new.id.to_string(),
            "attempt": execution.new.retry_count + 1,
            "started_at": execution.started_at.map(instant),
        });
        if execution.phase != Phase::Main {
            seen["status"] = json!(execution.verdict.map(crate::ExecutionStatus::as_str));
            seen["error"] = json!(execution.error);
        }
        seen
    }
}

impl Names for View<'_> {
    fn root(&self, name: &str) -> Option<Cow<'_, Value>> {
        let new = &self.execution.new;
        match name {
            "inputs" => Some(Cow::Borrowed(&new.inputs)),
            "trigger" => Some(Cow::Borrowed(&new.trigger)),
            "env" => Some(Cow::Borrowed(&self.env)),
            "execution" => Some(Cow::Owned(self.execution())),
            "workflow" => Some(Cow::Owned(json!({ "name": new.workflow.name, "version": new.workflow_version }))),
            "now" => Some(Cow::Owned(json!(instant(self.now)))),
            "item" => self.item().map(|(item, _)| Cow::Borrowed(item)),
            "index" => self.item().map(|(_, number)| Cow::Owned(json!(number))),
            "saga" => self.cause().map(Cow::Owned),
            NEEDS => self.needs.as_ref().map(Cow::Borrowed),
            _ => None,
        }
    }

    fn roots(&self) -> Vec<&str> {
        let items: &[&str] = if self.item().is_some() { &["item", "index"] } else { &[] };
        let saga: &[&str] = if self.cause().is_some() { &["saga"] } else { &[] };
        ROOTS.iter().chain(items).chain(saga).copied().collect()
    }

    fn step(&self, id: &str) -> Option<SeenStep<'_>> {
        if let Some((own, outputs)) = self.own
            && own == id
        {
            let (status, error) = ("completed", Cow::Owned(Value::Null));
            return Some(SeenStep { outputs: Cow::Borrowed(outputs), status, error });
        }
        let workflow = &self.execution.new.workflow;
        self.scopes().find_map(|scope| {
            let scope = &self.execution.scopes[scope];
            if scope.undo.is_some() {
                // An undo reads the one instance that it undoes.
                let undone = self.execution.at(scope.owner?);
                return (workflow.steps[undone.step].id == id).then(|| seen(Some(undone)));
            }
            let steps = &workflow.blocks[scope.block].steps;
            let position = steps.iter().position(|&step| workflow.steps[step].id == id)?;
            Some(seen(scope.slots[position].ordinal.map(|ordinal| self.execution.at(ordinal))))
        })
    }

    fn step_ids(&self) -> Vec<&str> {
        let workflow = &self.execution.new.workflow;
        let scopes = self.scopes().filter(|&scope| self.execution.scopes[scope].undo.is_none());
        let steps = scopes.flat_map(|scope| &workflow.blocks[self.execution.scopes[scope].block].steps);
        steps.map(|&step| workflow.steps[step].id.as_str()).collect()
    }
}

fn seen(state: Option<&StepState>) -> SeenStep<'_> {
    let null = || Cow::Owned(Value::Null);
    match state {
        None => SeenStep { outputs: null(), status: crate::StepStatus::Pending.as_str(), error: null() },
        Some(state) => SeenStep {
            outputs: state.output.as_ref().map_or_else(null, Cow::Borrowed),
            status: state.status.as_str(),
            error: state.error.as_ref().map_or_else(null, |error| Cow::Owned(json!(error))),
        },
    }
}

impl Execution {
    /// What the step type of an instance is given. Shell steps get their environment; nothing is pasted into scripts.
    pub(crate) fn step_input(&self, ordinal: i32, now: DateTime<Utc>) -> Result<Value, ExpressionError> {
        let definition = self.definition(self.at(ordinal));
        let view = View::of(self, self.instance(ordinal).scope, Some(ordinal), now)?;
        match &definition.action {
            Action::Shell { script } => {
                let mut env = view.env.as_object().cloned().unwrap_or_default();
                env.extend(render_all(definition.env.iter(), &view)?);
                Ok(json!({ "script": script, "env": env }))
            }
            Action::Set { values } => render_map(values.iter(), &view),
            Action::Log { message, level } => {
                Ok(json!({ "message": message.render_string(&view)?, "level": level.as_str() }))
            }
            Action::Call { with, .. } => with.render(&view),
            Action::Workflow { name, inputs, wait } => Ok(json!({
                "name": name.render_string(&view)?,
                "inputs": render_map(inputs.iter(), &view)?,
                "wait": wait,
            })),
            Action::Wait(_) | Action::Unwind | Action::Group { .. } | Action::Switch { .. } => Ok(Value::Null),
        }
    }

    /// The execution's result: its declared outputs, evaluated.
    pub(crate) fn outputs(&self, now: DateTime<Utc>) -> Result<Value, ExpressionError> {
        if self.new.workflow.outputs.is_empty() {
            return Ok(json!({}));
        }
        let view = View::of(self, MAIN_BLOCK, None, now)?;
        render_map(self.new.workflow.outputs.iter(), &view)
    }

    /// The outputs of an ended scope: those of each of its steps, by id.
    pub(crate) fn scope_outputs(&self, scope: usize) -> Value {
        let workflow = &self.new.workflow;
        let scope = &self.scopes[scope];
        let steps = &workflow.blocks[scope.block].steps;
        steps
            .iter()
            .zip(&scope.slots)
            .map(|(&step, slot)| {
                let output = slot.ordinal.and_then(|ordinal| self.at(ordinal).output.clone());
                (workflow.steps[step].id.clone(), output.unwrap_or_default())
            })
            .collect::<Map<_, _>>()
            .into()
    }
}

fn render_map<'a>(
    templates: impl Iterator<Item = (&'a String, &'a Template)>,
    names: &dyn Names,
) -> Result<Value, ExpressionError> {
    templates
        .map(|(name, template)| Ok((name.clone(), template.render(names)?)))
        .collect::<Result<Map<_, _>, _>>()
        .map(Value::Object)
}

fn render_all<'a>(
    templates: impl Iterator<Item = (&'a String, &'a Template)>,
    names: &dyn Names,
) -> Result<Map<String, Value>, ExpressionError> {
    templates.map(|(name, template)| Ok((name.clone(), Value::String(template.render_string(names)?)))).collect()
}

pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
