//! The workflow's own answer to a call.

use cogwheel_machine::{ExecutionId, ExecutionStatus};
use serde_json::{Map, Value, json};

use crate::{Engine, Followed, Follower};

/// The headers that a workflow may not set: they belong to the exchange itself.
const NOT_ITS_OWN: [&str; 6] =
    ["connection", "content-length", "keep-alive", "set-cookie", "transfer-encoding", "upgrade"];

/// What a call is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body: text is sent as it is, anything else as JSON; null is no body.
    pub body: Value,
}

/// Waits for the end of the execution. `None` when the engine stops or the end cannot be read.
pub(super) async fn of(engine: &Engine, id: ExecutionId, mut follower: Follower) -> Option<Reply> {
    loop {
        let mut found = engine.reads().executions_by_id(engine.tenant(), &[id]).await.ok()?;
        let execution = found.pop()?;
        if execution.status.is_terminal() {
            let result = match &execution.result {
                Some(stored) => engine.whole_output(stored).await.ok()?.or_else(|| execution.result.clone()),
                None => None,
            };
            return Some(answer(execution.status, result, execution.error.as_ref()));
        }
        loop {
            match follower.next().await? {
                Followed::Changed(changed) if changed.execution != id => {}
                Followed::Changed(_) | Followed::Missed => break,
            }
        }
    }
}

/// Outputs `status`, `headers` and `body` are taken apart; a workflow with other outputs answers with all of them.
fn answer(status: ExecutionStatus, result: Option<Value>, error: Option<&Value>) -> Reply {
    if status != ExecutionStatus::Completed {
        let body = json!({ "status": status.as_str(), "error": error.map(|error| &error["title"]) });
        return Reply { status: 502, headers: Vec::new(), body };
    }
    match result {
        Some(Value::Object(outputs)) if is_reply(&outputs) => Reply {
            status: outputs
                .get("status")
                .and_then(Value::as_u64)
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or(200),
            headers: outputs.get("headers").and_then(Value::as_object).map(headers).unwrap_or_default(),
            body: outputs.get("body").cloned().unwrap_or(Value::Null),
        },
        result => Reply { status: 200, headers: Vec::new(), body: result.unwrap_or(Value::Null) },
    }
}

fn is_reply(outputs: &Map<String, Value>) -> bool {
    let is_status = |code: &Value| code.as_u64().is_some_and(|code| (200..=599).contains(&code));
    !outputs.is_empty()
        && outputs.iter().all(|(name, value)| match name.as_str() {
            "status" => is_status(value),
            "headers" => value.is_object(),
            "body" => true,
            _ => false,
        })
}

fn headers(given: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    given
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), text(value)))
        .filter(|(name, _)| !NOT_ITS_OWN.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(result: Value) -> Reply {
        answer(ExecutionStatus::Completed, Some(result), None)
    }

    #[test]
    fn a_workflow_may_say_all_of_the_answer() {
        let reply = completed(json!({
            "status": 201,
            "headers": {"Location": "/orders/7", "X-Count": 3, "Content-Length": "9", "x-odd": [1]},
            "body": {"id": 7},
        }));
        let headers = [("location", "/orders/7"), ("x-count", "3")];
        assert_eq!(reply.status, 201);
        assert_eq!(reply.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(reply.body, json!({"id": 7}));
        assert_eq!(completed(json!({"status": 204})), Reply { status: 204, headers: Vec::new(), body: Value::Null });
    }

    #[test]
    fn other_outputs_are_the_body() {
        for outputs in
            [json!({"rows": 3}), json!({"status": "done"}), json!({"status": 99}), json!({"body": 1, "more": 2})]
        {
            assert_eq!(completed(outputs.clone()), Reply { status: 200, headers: Vec::new(), body: outputs });
        }
        assert_eq!(completed(json!({})).body, json!({}));
    }

    #[test]
    fn a_failure_is_told_by_its_title_alone() {
        let error = json!({"title": "exit code 1", "detail": "the password is s3cret"});
        let reply = answer(ExecutionStatus::Failed, None, Some(&error));
        assert_eq!((reply.status, reply.body), (502, json!({"status": "failed", "error": "exit code 1"})));
    }
}
