//! Scripts with real processes.

mod ending;
mod output;
mod start;

use std::time::Duration;

use cogwheel_engine::ports::{LogStream, StepType as _};
use serde_json::{Value, json};

use super::Shell;
use crate::harness::{Attempt, Ended};

/// Far longer than anything here takes; only a hang gets there.
const HANG: Duration = Duration::from_mins(1);

fn shell() -> Shell {
    Shell::new(std::env::vars_os())
}

fn input(script: &str) -> Value {
    json!({"script": script, "env": {}})
}

async fn run(script: &str) -> Ended {
    run_attempt(Attempt::new(), script).await
}

async fn run_attempt(attempt: Attempt, script: &str) -> Ended {
    tokio::time::timeout(HANG, attempt.run(&shell(), input(script))).await.expect("the step hangs")
}

/// Runs the script and stops the attempt when it prints `ready`.
async fn stop_when_ready(attempt: Attempt, script: &str) -> Ended {
    let stop = attempt.context.stop.clone();
    let on_line = |line: &cogwheel_engine::ports::LogLine| {
        if line.stream == LogStream::Stdout && line.message == "ready" {
            stop.cancel();
        }
    };
    tokio::time::timeout(HANG, attempt.run_with(&shell(), input(script), on_line)).await.expect("the step hangs")
}

/// Whether a process runs; one that nobody has waited for yet does not.
fn is_running(id: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X'])))
}
