//! What nearly every test asks of a server: start, wait for the end, look at what came of it.

use serde_json::{Value, json};

use crate::Client;

/// Everything there is to know of an execution.
const EXECUTION: &str = "query($id: ID!) { workflowExecution(id: $id) {
    id status triggerType triggerKey trigger inputs result error idempotencyKey startedAt completedAt executionTimeMs
    workflow { name } workflowVersion { version }
    steps(first: 100) { nodes { ordinal stepKey stepType status attempt attemptHistory input output error } }
    logs(first: 100) { nodes { sequence level stream message stepOrdinal attempt } }
    files { filename path size sha256 status decisionReason changeKind } } }";

const START: &str = "mutation($input: StartWorkflowInput!) { startWorkflow(input: $input) {
    execution { id status } userErrors { code message path line column } } }";

const LIST: &str = "query($workflow: String!, $status: [WorkflowExecutionStatus!], $after: String) {
    workflowExecutions(first: 100, after: $after, filter: {workflow: $workflow, status: $status}) {
        totalCount pageInfo { hasNextPage endCursor } nodes { id status triggerType trigger } } }";

/// Statuses that never change again.
const ENDED: [&str; 5] = ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT", "COMPENSATED"];

impl Client {
    /// What `startWorkflow` answers to this input.
    pub fn start_payload(&self, input: &Value) -> Value {
        self.ask(START, &json!({"input": input}))["startWorkflow"].take()
    }

    /// Starts a workflow with these inputs; the execution's id.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub fn start(&self, workflow: &str, inputs: &Value) -> String {
        let payload = self.start_payload(&json!({"workflow": workflow, "inputs": inputs}));
        assert_eq!(payload["userErrors"], json!([]), "{workflow}: {payload:#}");
        payload["execution"]["id"].as_str().expect("an id").to_owned()
    }

    /// The execution as it is now.
    pub fn execution(&self, id: &str) -> Value {
        self.ask(EXECUTION, &json!({"id": id}))["workflowExecution"].take()
    }

    /// The execution once it has ended.
    pub fn ended_execution(&self, id: &str) -> Value {
        self.ask_until(&format!("the end of execution {id}"), EXECUTION, &json!({"id": id}), |data| {
            let execution = &data["workflowExecution"];
            has_ended(execution).then(|| execution.clone())
        })
    }

    /// The execution once it has ended as `status`.
    ///
    /// # Panics
    ///
    /// When it ended otherwise.
    pub fn ended_as(&self, id: &str, status: &str) -> Value {
        let execution = self.ended_execution(id);
        assert_eq!(execution["status"], status, "{execution:#}");
        execution
    }

    /// Waits until `count` executions of the workflow have ended; their ids, newest first.
    ///
    /// # Panics
    ///
    /// When there are more than `count` of them.
    pub fn ended_executions(&self, workflow: &str, count: usize) -> Vec<String> {
        let what = format!("{count} ended executions of {workflow}");
        self.ask_until(&what, LIST, &json!({"workflow": workflow}), |data| {
            let nodes = data["workflowExecutions"]["nodes"].as_array().expect("a list");
            assert!(nodes.len() <= count, "too many: {data:#}");
            let ended: Vec<_> = nodes.iter().filter(|node| has_ended(node)).collect();
            (ended.len() == count)
                .then(|| ended.iter().filter_map(|node| node["id"].as_str()).map(str::to_owned).collect())
        })
    }

    /// How many executions of the workflow there are in these states.
    pub fn count_executions(&self, workflow: &str, status: &[&str]) -> u64 {
        let data = self.ask(LIST, &json!({"workflow": workflow, "status": status}));
        data["workflowExecutions"]["totalCount"].as_u64().expect("a number")
    }

    /// Every execution of the workflow, page by page.
    pub fn all_executions(&self, workflow: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = Value::Null;
        loop {
            let mut page = self.ask(LIST, &json!({"workflow": workflow, "after": after}))["workflowExecutions"].take();
            all.extend(page["nodes"].as_array().expect("a list").iter().cloned());
            if page["pageInfo"]["hasNextPage"] != true {
                return all;
            }
            after = page["pageInfo"]["endCursor"].take();
        }
    }

    /// Waits until the workflow can be started as version `version`.
    pub fn has_version(&self, workflow: &str, version: i64) {
        let query = "query($name: String!) { workflow(name: $name) { isEnabled activeVersion { version } } }";
        self.ask_until(&format!("version {version} of {workflow}"), query, &json!({"name": workflow}), |data| {
            (data["workflow"]["activeVersion"]["version"] == version).then_some(())
        });
    }
}

fn has_ended(execution: &Value) -> bool {
    ENDED.iter().any(|status| execution["status"] == *status)
}

/// The step with this key, or null.
pub fn step<'a>(execution: &'a Value, key: &str) -> &'a Value {
    let steps = execution["steps"]["nodes"].as_array().expect("steps were asked for");
    steps.iter().find(|step| step["stepKey"] == key).unwrap_or(&Value::Null)
}

/// The text of the execution's log lines.
pub fn messages(execution: &Value) -> Vec<&str> {
    let logs = execution["logs"]["nodes"].as_array().expect("logs were asked for");
    logs.iter().filter_map(|line| line["message"].as_str()).collect()
}
