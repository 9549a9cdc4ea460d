//! An execution under test, told about and shown by the keys of its steps, with what a database would hold of it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_machine::{
    CancelRequested, Decision, Effect, Execution, ExecutionId, ExecutionStatus, Failure, FailureKind, Input, Limits,
    NewExecution, Outcome, Rejected, StepState,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::rows::Rows;

pub(crate) const LIMITS: Limits = Limits { parallel_steps: 4, lost_retries: 3 };

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time that exists")
}

/// A start of the workflow `source`, whose inputs are `who` and `list`.
pub(crate) fn new(source: &str) -> NewExecution {
    let source = format!(
        "inputs: {{who: {{type: string, default: world}}, list: {{type: array, default: [1, 2, 3]}}}}\n{source}"
    );
    let workflow = cogwheel_definition::parse(source.as_bytes(), "test")
        .unwrap_or_else(|problems| panic!("{}", problems.render(&source, "test.yaml")));
    NewExecution {
        id: ExecutionId(Uuid::from_u128(7)),
        workflow: Arc::new(workflow),
        workflow_version: 1,
        trigger: json!({}),
        inputs: json!({ "who": "world", "list": [1, 2, 3] }),
        correlation_id: Uuid::from_u128(7),
        retry_count: 0,
        queue_deadline_at: None,
    }
}

/// An execution, the time it is, and its rows. After every input the rows must tell the same as memory.
pub(crate) struct Case {
    pub(crate) execution: Execution,
    pub(crate) rows: Rows,
    now: DateTime<Utc>,
    new: NewExecution,
}

impl Case {
    /// A new execution of `source`, queued.
    pub(crate) fn queued(source: &str) -> Self {
        Self::of(new(source))
    }

    pub(crate) fn of(new: NewExecution) -> Self {
        let execution = Execution::queued(new.clone(), LIMITS);
        Self { rows: Rows::of(&execution), execution, now: at(0), new }
    }

    /// A new execution of `source` that has left the queue, and what must be done first.
    pub(crate) fn begun(source: &str) -> (Self, Vec<String>) {
        let mut case = Self::queued(source);
        let effects = case.tell(Input::Claimed);
        (case, effects)
    }

    /// The execution that does this one over.
    pub(crate) fn rerun(&self, from: Option<&str>) -> Result<Self, cogwheel_machine::RerunError> {
        let new = NewExecution { id: ExecutionId(Uuid::from_u128(8)), retry_count: 1, ..self.new.clone() };
        let execution = self.execution.rerun(new.clone(), LIMITS, from)?;
        Ok(Self { rows: Rows::of(&execution), execution, now: self.now, new })
    }

    /// Lets time pass without telling anybody.
    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Hands an input in that is taken, and answers with what must be done.
    pub(crate) fn tell(&mut self, input: Input) -> Vec<String> {
        self.try_tell(input).expect("the input is taken in")
    }

    pub(crate) fn try_tell(&mut self, input: Input) -> Result<Vec<String>, Rejected> {
        let decision = self.execution.handle(input, self.now)?;
        self.rows.write(&self.execution, &decision);
        self.rows.agree_with(&self.execution, &self.new);
        Ok(self.shown(&decision))
    }

    fn shown(&self, decision: &Decision) -> Vec<String> {
        let key = |step: i32| self.execution.step(step).map_or("?", |state| state.key.as_str());
        let shown = |effect: &Effect| match effect {
            Effect::Run { step } => format!("run {}", key(*step)),
            Effect::Stop { step } => format!("stop {}", key(*step)),
            Effect::StartChild { step } => format!("start {}", key(*step)),
            Effect::CancelChild { step } => format!("cancel {}", key(*step)),
            Effect::AwaitSignal { step } => format!("await {}", key(*step)),
            Effect::UnwindChild { step, .. } => format!("unwind {}", key(*step)),
            Effect::Release => "release".to_owned(),
            Effect::End => "end".to_owned(),
        };
        decision.effects.iter().map(shown).collect()
    }

    /// The report that the current attempt of a step ended so.
    pub(crate) fn ended(&self, key: &str, outcome: Outcome) -> Input {
        let state = self.step(key);
        Input::Finished { step: state.ordinal, attempt: state.attempt, outcome }
    }

    pub(crate) fn complete(&mut self, key: &str, output: Value) -> Vec<String> {
        self.tell(self.ended(key, Outcome::Completed { output }))
    }

    pub(crate) fn fail(&mut self, key: &str) -> Vec<String> {
        self.tell(self.ended(key, Outcome::Failed { failure: exit(3), output: None }))
    }

    pub(crate) fn time_out(&mut self, key: &str) -> Vec<String> {
        self.tell(self.ended(key, Outcome::TimedOut { output: None }))
    }

    pub(crate) fn stopped(&mut self, key: &str) -> Vec<String> {
        self.tell(self.ended(key, Outcome::Stopped))
    }

    pub(crate) fn signal(&mut self, key: &str, payload: Value) -> Vec<String> {
        let (step, received_at) = (self.step(key).ordinal, self.now);
        self.tell(Input::Signalled { step, payload, received_at })
    }

    /// Tells that the execution that a step started has ended.
    pub(crate) fn child_ended(&mut self, key: &str, status: ExecutionStatus) -> Vec<String> {
        let step = self.step(key).ordinal;
        let child = self.execution.child_id(step).expect("the step starts an execution");
        let is_well = status == ExecutionStatus::Completed;
        let result = is_well.then(|| json!({ "rows": 3 }));
        let error = (!is_well).then(|| Failure { step: Some("inner".to_owned()), ..exit(4) });
        self.tell(Input::ChildEnded { step, child, status, result, error })
    }

    /// Sleeps until the execution must be looked at.
    pub(crate) fn wake(&mut self) -> Vec<String> {
        self.now = self.execution.next_wake_at().expect("it waits for a time").max(self.now);
        self.tell(Input::Woken)
    }

    pub(crate) fn cancel(&mut self, reason: Option<&str>) -> Vec<String> {
        self.tell(Input::Cancel(CancelRequested { reason: reason.map(str::to_owned) }))
    }

    /// The node dies; another one goes on from the rows, and is told of the `cancel` that is recorded.
    pub(crate) fn crash(&mut self, cancel: Option<CancelRequested>) -> Vec<String> {
        self.execution = self.rows.taken_over(&self.new);
        self.tell(Input::Recovered { cancel })
    }

    /// Everything that is not recorded is forgotten.
    pub(crate) fn reload(&mut self) {
        self.execution = self.rows.taken_over(&self.new);
    }

    pub(crate) fn step(&self, key: &str) -> &StepState {
        let ordinal = self.execution.ordinal_of(key).unwrap_or_else(|| panic!("no step `{key}` in: {}", self.shows()));
        self.execution.step(ordinal).expect("it was just found")
    }

    /// Every recorded step with its status, in the order in which they began: `a completed, b running`.
    pub(crate) fn shows(&self) -> String {
        let steps = self.execution.steps().iter().map(|state| format!("{} {}", state.key, state.status.as_str()));
        steps.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn status(&self) -> ExecutionStatus {
        self.execution.status()
    }

    /// What the execution failed with.
    pub(crate) fn error(&self) -> &Failure {
        self.execution.error().expect("it did not complete")
    }

    /// What a step failed with.
    pub(crate) fn step_error(&self, key: &str) -> &Failure {
        self.step(key).error.as_ref().expect("it did not complete")
    }
}

/// The failure of a script that ended with this code.
pub(crate) fn exit(code: i32) -> Failure {
    Failure::retriable(FailureKind::Exit, format!("exit code {code}")).with_code(code)
}

/// No effects.
pub(crate) const NOTHING: [&str; 0] = [];
