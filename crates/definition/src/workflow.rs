//! What a checked definition is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::{
    Action, Concurrency, Condition, Foreach, History, Inputs, OnLost, Priority, Retry, Saga, Template, Triggers, Until,
};

/// The time a step, and a whole execution, may take when the document does not say.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);

/// The index of the block that holds a workflow's own steps.
pub const MAIN_BLOCK: usize = 0;

/// The id of the steps that undo others.
pub const UNDO: &str = "compensate";

/// A workflow in which every name, reference and expression has been checked.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// Unique in its tenant.
    pub name: String,
    /// What the author says it is for.
    pub description: Option<String>,
    /// Free key-value pairs to filter by.
    pub labels: BTreeMap<String, String>,
    /// The values an execution may be started with.
    pub inputs: Inputs,
    /// What the execution hands back when it has completed.
    pub outputs: BTreeMap<String, Template>,
    /// What starts an execution, beside people and the API.
    pub triggers: Triggers,
    /// Environment of every step.
    pub env: BTreeMap<String, Template>,
    /// How long the whole execution may take, from the moment it leaves the queue.
    pub timeout: Duration,
    /// How long an execution may wait in the queue; without it, for ever.
    pub queue_timeout: Option<Duration>,
    /// Which executions are taken from the queue first.
    pub priority: Priority,
    /// What of its executions is recorded as events, beside what somebody waits for.
    pub history: History,
    /// How many executions of one key may run side by side.
    pub concurrency: Option<Concurrency>,
    /// Every step, those inside of other steps included: an enclosing step comes before what it encloses, and the steps
    /// of one block stand in the order of the document.
    pub steps: Vec<Step>,
    /// Lists of steps that run with a scope of their own; the first, [`MAIN_BLOCK`], holds the workflow's own steps.
    pub blocks: Vec<Block>,
    /// The block that runs when the execution failed, was cancelled or timed out.
    pub on_failure: Option<usize>,
    /// The block that always runs last.
    pub finally: Option<usize>,
    /// What makes its executions sagas; nothing where no step can be undone.
    pub saga: Option<Saga>,
}

/// A list of steps with a scope of its own.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// Indices into [`Workflow::steps`], ascending; at least one.
    pub steps: Vec<usize>,
    /// The step that encloses it, or that it undoes; `None` for the workflow's own blocks.
    pub owner: Option<usize>,
}

/// One unit of work.
///
/// Its layers, from the outside: `foreach` (once for each value), `until` (again until something holds), the action.
#[derive(Debug, Clone)]
pub struct Step {
    /// Unique in its block: the given id or `step-<number>`.
    pub id: String,
    /// Its id behind those of the steps that enclose it: `load.send`.
    pub path: String,
    /// A title for people.
    pub name: Option<String>,
    /// The index of the block it stands in.
    pub block: usize,
    /// Indices into [`Workflow::steps`] of the steps of the same block that must have completed, ascending.
    pub needs: Vec<usize>,
    /// Makes it run once for each value of a list.
    pub foreach: Option<Foreach>,
    /// Makes it run again until something holds.
    pub until: Option<Until>,
    /// What it does.
    pub action: Action,
    /// Environment of this step, on top of [`Workflow::env`].
    pub env: BTreeMap<String, Template>,
    /// How long one attempt may take; `None` for as long as the execution may.
    pub timeout: Option<Duration>,
    /// Whether it runs at all, once its needs have ended; without it, all of them must have completed.
    pub condition: Option<Condition>,
    /// Whether and when a failed attempt is followed by another.
    pub retry: Option<Retry>,
    /// What follows when the server died while it ran.
    pub on_lost: OnLost,
    /// Whether the execution goes on as if it had completed when it fails or times out.
    pub continue_on_error: bool,
    /// What its outputs must look like, checked when it completes; others may come with them.
    pub outputs: Option<Inputs>,
    /// The index of the block that undoes it: one step, called [`UNDO`], whose owner this step is.
    pub compensate: Option<usize>,
    /// Whether nothing is undone any more once it has completed.
    pub pivot: bool,
}

impl Workflow {
    /// The compiled form that is stored beside the source text: nodes, edges, triggers, inputs.
    ///
    /// Durations are in milliseconds, expressions stand as they were written.
    pub fn to_json(&self) -> Value {
        let edges: Vec<Value> = self
            .steps
            .iter()
            .flat_map(|step| step.needs.iter().map(|&need| json!({ "from": self.steps[need].path, "to": step.path })))
            .collect();
        let block = |block: Option<usize>| block.map(|block| self.paths(block));
        let mut compiled = json!({
            "language_version": crate::LANGUAGE_VERSION,
            "name": self.name,
            "description": self.description,
            "labels": self.labels,
            "inputs": self.inputs.to_json(),
            "outputs": sources(&self.outputs),
            "triggers": self.triggers.to_json(),
            "env": sources(&self.env),
            "timeout_ms": milliseconds(self.timeout),
            "queue_timeout_ms": self.queue_timeout.map(milliseconds),
            "priority": self.priority.as_str(),
            "history": self.history.as_str(),
            "concurrency": self.concurrency.as_ref().map(Concurrency::to_json),
            "nodes": self.steps.iter().map(|step| step.to_json(self)).collect::<Vec<_>>(),
            "edges": edges,
            "on_failure": block(self.on_failure),
            "finally": block(self.finally),
        });
        if let Some(saga) = &self.saga {
            compiled["saga"] = saga.to_json();
        }
        compiled
    }

    /// When an execution that is accepted at `at` must have left the queue.
    pub fn queue_deadline(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        at.checked_add_signed(TimeDelta::from_std(self.queue_timeout?).ok()?)
    }

    /// The paths of the steps of a block.
    pub(crate) fn paths(&self, block: usize) -> Vec<&str> {
        self.blocks[block].steps.iter().map(|&step| self.steps[step].path.as_str()).collect()
    }
}

impl Step {
    fn to_json(&self, workflow: &Workflow) -> Value {
        let mut node = json!({
            "id": self.path,
            "name": self.name,
            "parent": workflow.blocks[self.block].owner.map(|owner| &workflow.steps[owner].path),
            "uses": self.action.step_type(),
            "with": self.action.to_json(workflow),
            "foreach": self.foreach.as_ref().map(Foreach::to_json),
            "until": self.until.as_ref().map(Until::to_json),
            "env": sources(&self.env),
            "timeout_ms": self.timeout.map(milliseconds),
            "if": self.condition.as_ref().map(|condition| condition.expression.source()),
            "retry": self.retry.as_ref().map(Retry::to_json),
            "on_lost": self.on_lost.as_str(),
            "continue_on_error": self.continue_on_error,
            "outputs": self.outputs.as_ref().map(Inputs::to_outputs_json),
        });
        if let Some(block) = self.compensate {
            node["compensate"] = workflow.paths(block).into();
        }
        if self.pivot {
            node["pivot"] = true.into();
        }
        node
    }
}

pub(crate) fn sources(templates: &BTreeMap<String, Template>) -> Value {
    templates.iter().map(|(name, template)| (name.clone(), template.source())).collect::<Map<String, Value>>().into()
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
