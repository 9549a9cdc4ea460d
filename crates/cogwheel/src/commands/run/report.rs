//! What a run came to.

use cogwheel_engine::views::{ExecutionView, PageRequest, StepView};
use cogwheel_engine::{Engine, ExecutionId, ExecutionStatus};
use serde_json::{Value, json};

use super::words;
use crate::cli::Output;
use crate::output;

/// How many steps are read at once.
const PAGE: u32 = 500;

/// An execution at its end, or where it was when the command was told to stop.
pub(super) struct Report {
    execution: ExecutionView,
    status: ExecutionStatus,
    steps: Vec<StepView>,
}

impl Report {
    /// Reads what is recorded; `status` is what the command makes of it.
    pub(super) async fn read(engine: &Engine, id: ExecutionId, status: ExecutionStatus) -> anyhow::Result<Self> {
        let (reads, tenant) = (engine.reads(), engine.tenant());
        let execution = reads.executions_by_id(tenant, &[id]).await?.pop();
        let mut execution = execution.ok_or_else(|| anyhow::anyhow!("the execution {id} is not recorded"))?;
        let mut steps: Vec<StepView> = Vec::new();
        loop {
            let page = PageRequest::Forward { first: PAGE, after: steps.last().map(|step| step.ordinal) };
            let Some(page) = reads.steps(tenant, &[id], page).await?.remove(&id) else { break };
            steps.extend(page.items);
            if !page.has_more {
                break;
            }
        }
        for output in steps.iter_mut().filter_map(|step| step.output.as_mut()).chain(execution.result.as_mut()) {
            if let Some(whole) = engine.whole_output(output).await? {
                *output = whole;
            }
        }
        Ok(Self { execution, status, steps })
    }

    /// Prints it: for programs as one document, for people what the workflow put out, and how it ended.
    pub(super) fn print(&self, print: Output) -> anyhow::Result<()> {
        match print {
            Output::Json => output::print(&serde_json::to_string_pretty(&self.to_json())?),
            Output::Human => {
                output::note(&self.ending());
                match self.result() {
                    Some(text) => output::print(&text),
                    None => Ok(()),
                }
            }
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "id": self.execution.id.to_string(),
            "status": self.status.as_str(),
            "result": self.execution.result,
            "error": self.execution.error,
            "steps": self.steps.iter().map(step_json).collect::<Vec<_>>(),
        })
    }

    /// How it ended, in a sentence.
    fn ending(&self) -> String {
        let mut text = words::execution(self.status).to_owned();
        if let Some(milliseconds) = self.execution.execution_time_ms {
            text.push_str(" in ");
            text.push_str(&words::milliseconds(milliseconds));
        }
        let error = self.execution.error.as_ref();
        let step = error.and_then(|error| error.get("step")).and_then(Value::as_str);
        let step = step.map(|step| format!("step {step}"));
        for part in step.as_deref().into_iter().chain(words::title(error)) {
            text.push_str(": ");
            text.push_str(part);
        }
        if let Some(detail) = error.and_then(|error| error.get("detail")).and_then(Value::as_str) {
            text.push('\n');
            text.push_str(detail.trim_end());
        }
        text
    }

    /// What the workflow put out, a line for each output.
    fn result(&self) -> Option<String> {
        let outputs = self.execution.result.as_ref()?.as_object()?;
        let line = |(name, value): (&String, &Value)| match value {
            Value::String(text) => format!("{name}: {text}"),
            other => format!("{name}: {other}"),
        };
        (!outputs.is_empty()).then(|| outputs.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

fn step_json(step: &StepView) -> Value {
    json!({
        "key": step.step_key,
        "name": step.step_name,
        "type": step.step_type,
        "status": step.status.as_str(),
        "attempt": step.attempt,
        "started_at": step.started_at,
        "completed_at": step.completed_at,
        "execution_time_ms": step.execution_time_ms,
        "output": step.output,
        "error": step.error,
    })
}
