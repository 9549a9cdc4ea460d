//! Step types whose attempts take simulated time, fail and hang by chance, and notice when they run twice at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cogwheel_engine::ports::{LogLevel, LogStream, StepContext, StepRegistry, StepType};
use cogwheel_engine::{Failure, FailureKind, NodeId, Outcome};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::world::World;

/// The step types of one node.
pub(super) fn registry(world: &Arc<World>, node: NodeId) -> StepRegistry {
    let shell = Arc::new(Shell { world: Arc::clone(world), node });
    StepRegistry::new([shell as Arc<dyn StepType>, Arc::new(Computes("set")), Arc::new(Computes("log"))])
}

/// Stands for a process. The script `work` may fail, hang, or be slow to stop; `sound` does its work in a few seconds.
struct Shell {
    world: Arc<World>,
    node: NodeId,
}

#[async_trait]
impl StepType for Shell {
    fn name(&self) -> &'static str {
        "shell"
    }

    fn only_computes(&self) -> bool {
        false
    }

    async fn run(&self, context: StepContext, input: Value) -> Outcome {
        let running = self.world.begin_attempt(self.node, &context);
        let draw = self.world.draw;
        let subject = (context.step_key.clone(), context.attempt);
        let is_sound = input["script"] == "sound";
        let hangs = !is_sound && draw.happens(80, ("hangs", &subject));
        let takes = if hangs { Duration::from_hours(24) } else { draw.time(4000, ("takes", &subject)) };
        let lines = if is_sound { 1 } else { draw.below(4, ("lines", &subject)) };
        for line in 0..lines {
            context.logs.line(LogStream::Stdout, LogLevel::Info, format!("line {line}")).await;
        }
        let was_stopped = tokio::select! {
            () = sleep(takes) => false,
            () = context.stop.cancelled() => true,
        };
        if was_stopped {
            sleep(draw.time(1500, ("stops", &subject))).await;
        }
        // What runs on a node that died is never heard of again.
        self.world.stay_if_dead(self.node).await;
        drop(running);
        if was_stopped {
            Outcome::Stopped
        } else if !is_sound && draw.happens(300, ("fails", &subject)) {
            let failure = Failure::retriable(FailureKind::Exit, "exit code 3").with_code(3);
            Outcome::Failed { failure, output: Some(json!({ "n": 0 })) }
        } else {
            Outcome::Completed { output: json!({ "n": draw.below(10, ("n", &subject)) }) }
        }
    }
}

/// Puts out what it is given.
struct Computes(&'static str);

#[async_trait]
impl StepType for Computes {
    fn name(&self) -> &'static str {
        self.0
    }

    fn only_computes(&self) -> bool {
        true
    }

    async fn run(&self, context: StepContext, input: Value) -> Outcome {
        context.logs.line(LogStream::Engine, LogLevel::Info, self.0).await;
        Outcome::Completed { output: input }
    }
}
