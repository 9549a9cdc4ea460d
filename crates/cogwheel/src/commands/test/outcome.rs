//! What became of an execution, held against what a test expects.

use std::collections::{BTreeMap, BTreeSet};

use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::{CompensationView, PageRequest};
use cogwheel_engine::{Engine, ExecutionId, ExecutionStatus, UndoStatus};
use serde_json::{Map, Value};

use super::file::{Expected, ExpectedStatus};

/// How many rows are read at once.
const PAGE: u32 = 500;

/// What became of an execution.
#[derive(Debug, Default)]
pub(super) struct Became {
    pub(super) has_ended: bool,
    /// Where it ended, if that is what a test can expect.
    pub(super) status: Option<ExpectedStatus>,
    /// Where it stands in the words of the server.
    pub(super) status_word: String,
    pub(super) undone: BTreeSet<String>,
    pub(super) not_undone: BTreeSet<String>,
    pub(super) steps: BTreeMap<String, String>,
    pub(super) outputs: Map<String, Value>,
    pub(super) error: String,
}

impl Became {
    /// Reads it. An execution that waits for somebody to decide about undos has ended as far as tests go.
    pub(super) async fn read(engine: &Engine, id: ExecutionId) -> Result<Self, StoreError> {
        let (reads, tenant) = (engine.reads(), engine.tenant());
        let Some(row) = reads.executions_by_id(tenant, &[id]).await?.pop() else { return Ok(Self::default()) };
        let mut became = Self { status_word: row.status.as_str().to_owned(), ..Self::default() };
        became.status = match row.status {
            ExecutionStatus::Completed => Some(ExpectedStatus::Completed),
            ExecutionStatus::Failed => Some(ExpectedStatus::Failed),
            ExecutionStatus::TimedOut => Some(ExpectedStatus::TimedOut),
            ExecutionStatus::Compensated => Some(ExpectedStatus::Compensated),
            _ => None,
        };
        let undos = reads.compensations(tenant, &[id]).await?.remove(&id).unwrap_or_default();
        if row.status == ExecutionStatus::Compensating && is_paused(&undos) {
            became.status = Some(ExpectedStatus::Paused);
        }
        became.has_ended = row.status.is_terminal() || became.status == Some(ExpectedStatus::Paused);
        if !became.has_ended {
            return Ok(became);
        }
        for undo in undos {
            let into = if undo.status == UndoStatus::Completed { &mut became.undone } else { &mut became.not_undone };
            into.insert(undo.step_key);
        }
        // Past the pivot nothing is undone, and what executions below have left has no undo here.
        let left = row.error.as_ref().and_then(|error| error["not_undone"].as_array());
        became.not_undone.extend(left.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        became.outputs = row.result.and_then(|result| result.as_object().cloned()).unwrap_or_default();
        became.error = row.error.map(|error| error.to_string()).unwrap_or_default();
        let mut after = None;
        loop {
            let page = PageRequest::Forward { first: PAGE, after };
            let Some(page) = reads.steps(tenant, &[id], page).await?.remove(&id) else { break };
            for step in page.items {
                after = Some(step.ordinal);
                became.steps.insert(step.step_key, step.status.as_str().to_owned());
            }
            if !page.has_more {
                break;
            }
        }
        Ok(became)
    }

    /// All that is not as expected.
    pub(super) fn differences(&self, expected: &Expected) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(status) = expected.status
            && Some(status) != self.status
        {
            let was = self.status.map_or(self.status_word.as_str(), |status| status.as_str());
            let why = if self.error.is_empty() { String::new() } else { format!(": {}", self.error) };
            all.push(format!("status: expected {}, was {was}{why}", status.as_str()));
        }
        all.extend(different_keys("undone", expected.undone.as_deref(), &self.undone));
        all.extend(different_keys("not_undone", expected.not_undone.as_deref(), &self.not_undone));
        for (key, status) in &expected.steps {
            match self.steps.get(key) {
                Some(was) if was == status => {}
                Some(was) => all.push(format!("step {key}: expected {status}, was {was}")),
                None => all.push(format!("step {key}: expected {status}, and there was no such step")),
            }
        }
        for (name, value) in &expected.outputs {
            match self.outputs.get(name) {
                Some(was) if was == value => {}
                Some(was) => all.push(format!("output {name}: expected {value}, was {was}")),
                None => all.push(format!("output {name}: expected {value}, and there was none")),
            }
        }
        if let Some(part) = &expected.error
            && !self.error.contains(part)
        {
            let was = if self.error.is_empty() { "there was none" } else { &self.error };
            all.push(format!("error: expected one with {part:?}, was: {was}"));
        }
        all
    }
}

/// Whether nothing goes on by itself any more. Where failed undos are left as they are, the execution ends at once.
fn is_paused(undos: &[CompensationView]) -> bool {
    let goes_on = |undo: &CompensationView| match undo.status {
        UndoStatus::Running => true,
        UndoStatus::Pending => undo.next_attempt_at.is_some(),
        UndoStatus::Completed | UndoStatus::Failed | UndoStatus::Skipped => false,
    };
    undos.iter().any(|undo| undo.status == UndoStatus::Failed) && !undos.iter().any(goes_on)
}

fn different_keys(what: &str, expected: Option<&[String]>, was: &BTreeSet<String>) -> Option<String> {
    let expected: BTreeSet<&str> = expected?.iter().map(String::as_str).collect();
    let was: BTreeSet<&str> = was.iter().map(String::as_str).collect();
    (expected != was).then(|| format!("{what}: expected {}, was {}", listed(&expected), listed(&was)))
}

fn listed(keys: &BTreeSet<&str>) -> String {
    let keys: Vec<_> = keys.iter().copied().collect();
    format!("[{}]", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_difference_is_told() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        let became = Became {
            status: Some(ExpectedStatus::Failed),
            undone: keys(&["a"]),
            steps: BTreeMap::from([("a".to_owned(), "completed".to_owned())]),
            error: "exit code 1".to_owned(),
            ..Became::default()
        };
        let expected = json!({
            "status": "compensated", "undone": ["b", "a"], "not_undone": [], "steps": {"a": "failed", "c": "skipped"},
            "outputs": {"x": 1}, "error": "code 2"
        });
        let differences = became.differences(&serde_json::from_value(expected).unwrap());
        assert_eq!(
            differences,
            [
                "status: expected compensated, was failed: exit code 1",
                "undone: expected [a, b], was [a]",
                "step a: expected failed, was completed",
                "step c: expected skipped, and there was no such step",
                "output x: expected 1, and there was none",
                "error: expected one with \"code 2\", was: exit code 1",
            ]
        );
        let expected = json!({"status": "failed", "undone": ["a"], "steps": {"a": "completed"}, "error": "code 1"});
        assert_eq!(became.differences(&serde_json::from_value(expected).unwrap()), Vec::<String>::new());
    }
}
