//! `set`: computes named values, which become the step's outputs.

use async_trait::async_trait;
use cogwheel_engine::Outcome;
use cogwheel_engine::ports::{StepContext, StepType};
use serde_json::Value;

/// Its input arrives evaluated, so its output is its input.
pub(crate) struct Set;

#[async_trait]
impl StepType for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn only_computes(&self) -> bool {
        true
    }

    async fn run(&self, _context: StepContext, input: Value) -> Outcome {
        Outcome::Completed { output: input }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::harness::Attempt;

    #[tokio::test]
    async fn the_values_are_the_outputs() {
        let input = json!({"rows": 3, "names": ["a"], "deep": {"x": null}});
        let ended = Attempt::new().run(&Set, input.clone()).await;
        assert_eq!(ended.completed(), input);
    }
}
