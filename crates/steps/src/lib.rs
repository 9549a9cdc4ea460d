//! The step types: what `run` and `uses` can name; and the sending of webhooks, which shares their HTTP client's ways.
//!
//! Each type is one module behind [`StepType`] and knows nothing of the engine but that port. To follow a script from
//! its start to its outcome, begin at `shell::Shell::run`.

mod http;
mod input;
mod log;
mod outgoing;
mod set;
mod shell;
mod text;
mod transform;

#[cfg(test)]
mod harness;

use std::sync::Arc;

use cogwheel_engine::ExecutionId;
use cogwheel_engine::ports::StepType;

pub use outgoing::{Network, NotANetwork, TargetPolicy, WebhookSender};

/// The address under which whoever is asked by a step of an execution, by its key, may answer it later; nothing where
/// there is none.
pub type CallbackUrl = Arc<dyn Fn(ExecutionId, &str) -> Option<String> + Send + Sync>;

/// The step types that come with Cogwheel, without addresses for later answers.
pub fn builtin() -> Vec<Arc<dyn StepType>> {
    builtin_with(Arc::new(|_, _| None))
}

/// The step types that come with Cogwheel. Scripts inherit a few harmless variables of this process's environment,
/// read now; everything else comes from the workflow.
pub fn builtin_with(callback_url: CallbackUrl) -> Vec<Arc<dyn StepType>> {
    vec![
        Arc::new(shell::Shell::new(std::env::vars_os())),
        Arc::new(http::Http::new(callback_url)),
        Arc::new(transform::Transform),
        Arc::new(set::Set),
        Arc::new(log::Log),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_language_are_there_and_only_scripts_and_calls_have_effects_outside() {
        let types: Vec<_> = builtin().iter().map(|step_type| (step_type.name(), step_type.only_computes())).collect();
        assert_eq!(types, [("shell", false), ("http", false), ("transform", true), ("set", true), ("log", true)]);
    }
}
