//! How many executions have set each other off: workflows that start one another must not do so without end.

use serde_json::Value;

use crate::runner::MAX_DEPTH;

/// How many executions set each other off before the one with this trigger.
pub(crate) fn depth_of(trigger: &Value) -> u64 {
    trigger["depth"].as_u64().unwrap_or(0)
}

/// Whether an execution so deep may not be started.
pub(crate) fn is_too_deep(depth: u64) -> bool {
    depth > MAX_DEPTH
}

/// What is told of one that may not.
pub(super) fn refusal(depth: u64) -> String {
    format!(
        "workflows may set each other off {MAX_DEPTH} deep, and this would be {depth}; let the `if` of the trigger leave out \
         what the workflow itself sets off"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_chain_has_an_end() {
        assert_eq!((depth_of(&json!({})), depth_of(&json!({"depth": 3}))), (0, 3));
        assert!(!is_too_deep(16) && is_too_deep(17));
        assert!(refusal(17).contains("16 deep"));
    }
}
