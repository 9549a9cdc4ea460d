//! What an execution has to do with others: the executions it starts, the signals it waits for, its place in the pool.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_machine::{ExecutionId, ExecutionStatus, Failure, FailureKind, Input, Outcome};
use serde_json::{Map, json};
use tracing::warn;

use super::drive::{Drive, Next};
use super::{Nudge, Runner};
use crate::cancel::CancelError;
use crate::ports::{AskInbox, AwaitedSignal, EndedChild, EventWait, Inbox, Notice, Parent, StoreError};
use crate::start::{StartCause, StartError, StartRequest, WorkflowRef};
use crate::triggers::{depth_of, is_too_deep};

/// The first and the longest pause between tries while the database is away.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How deep executions may start one another: one that goes deeper is taken for endless.
pub(crate) const MAX_DEPTH: u64 = 16;

impl Runner {
    /// Tells an execution, wherever it is, that something came for it.
    pub(crate) async fn tell(&self, execution: ExecutionId) {
        if !self.nudge(execution, Nudge::Inbox) {
            self.work.notify_one();
            self.notify(Notice::Inbox(execution)).await;
        }
    }

    /// As [`Self::tell`], and other nodes in any case: what is here may belong to one of them by now, without knowing it.
    pub(crate) async fn tell_everywhere(&self, execution: ExecutionId) {
        if !self.nudge(execution, Nudge::Inbox) {
            self.work.notify_one();
        }
        self.notify(Notice::Inbox(execution)).await;
    }

    /// Tells every node that the pool may hold something that can go on.
    pub(crate) async fn tell_of_work(&self) {
        self.work.notify_one();
        self.notify(Notice::Work).await;
    }

    async fn notify(&self, notice: Notice) {
        if let Err(error) = self.store.notify(notice).await {
            warn!(%error, "other nodes were not told; their next sweep finds it");
        }
    }
}

impl Drive<'_> {
    /// Starts the execution that a step asks for. Its id follows from the step, so that it is started once.
    pub(super) async fn start_child(&mut self, step: i32) {
        let (Some(id), Some(state)) = (self.execution.child_id(step), self.execution.step(step)) else { return };
        let input = state.input.clone().unwrap_or_default();
        let waits = input["wait"].as_bool().unwrap_or(true);
        let key = state.key.clone();
        let depth = depth_of(self.execution.trigger()) + 1;
        if is_too_deep(depth) {
            let title = format!("workflows may start one another {MAX_DEPTH} deep, and this would be deeper");
            return self.child_failed(step, Failure::permanent(FailureKind::Workflow, title).with_code("too_deep"));
        }
        let name = input["name"].as_str().unwrap_or_default().to_owned();
        let request = StartRequest {
            workflow: WorkflowRef::Name(name),
            inputs: input["inputs"].as_object().cloned().unwrap_or_else(Map::new),
            idempotency_key: None,
            cause: StartCause::Workflow {
                id,
                is_first: !self.is_recovered,
                parent: Parent { execution: self.execution.id(), step_ordinal: step },
                seen: json!({ "execution": self.execution.id().to_string(), "step": key, "depth": depth }),
            },
        };
        match self.start_until_answered(request).await {
            Ok(()) if waits => {}
            Ok(()) => {
                let output = json!({ "execution_id": id.to_string() });
                let input = self.finished(step, Outcome::Completed { output });
                self.pending.push_back(input);
            }
            // It is started when the execution is taken up again.
            Err(StartError::Draining) => {}
            Err(error) => {
                let failure = Failure::permanent(FailureKind::Workflow, error.to_string()).with_code("not_started");
                self.child_failed(step, failure);
            }
        }
        // One that was started before a restart may have ended since.
        if waits && self.is_recovered {
            self.ask_inbox().await;
        }
    }

    async fn start_until_answered(&self, request: StartRequest) -> Result<(), StartError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(engine) = self.runner.engine.get().and_then(std::sync::Weak::upgrade) else {
                return Err(StartError::Draining);
            };
            match Box::pin(engine.start_here(request.clone())).await {
                Ok(_) | Err(StartError::AlreadyRecorded) => return Ok(()),
                Err(StartError::Store(error)) if error.is_transient() => {
                    warn!(execution = %self.execution.id(), %error, "the database is away; the execution stands still");
                    tokio::select! {
                        () = self.runner.killing.cancelled() => return Err(StartError::Draining),
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn child_failed(&mut self, step: i32, failure: Failure) {
        let input = self.finished(step, Outcome::Failed { failure, output: None });
        self.pending.push_back(input);
    }

    /// Cancels the execution that a step started, and waits for its end as before; there may be none.
    pub(super) async fn cancel_child(&mut self, step: i32) {
        let Some(id) = self.execution.child_id(step) else { return };
        let reason = format!("the execution {} that started it was stopped", self.execution.id());
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(engine) = self.runner.engine.get().and_then(std::sync::Weak::upgrade) else { return };
            match engine.cancel_in(self.tenant, id, Some(reason.clone())).await {
                Ok(()) => return,
                Err(CancelError::Ended { .. }) => return self.ask_inbox().await,
                Err(CancelError::Unknown { .. }) => {
                    let input = self.finished(step, Outcome::Stopped);
                    return self.pending.push_back(input);
                }
                Err(CancelError::Store(error)) => {
                    warn!(execution = %self.execution.id(), %error, "cannot cancel the execution it started; trying again");
                    tokio::select! {
                        () = self.runner.killing.cancelled() => return,
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    }
                }
            }
        }
    }

    /// Takes in what came for the execution.
    pub(super) async fn read_inbox(&mut self) -> Next {
        self.ask_inbox().await;
        self.advance().await
    }

    /// Looks for what came for the execution; it becomes pending.
    pub(super) async fn ask_inbox(&mut self) {
        let inbox = self.inbox().await;
        if let Some(request) = inbox.cancel
            && !self.execution.is_cancel_requested()
        {
            self.pending.push_back(Input::Cancel(request));
        }
        for signal in inbox.signals {
            let (step, payload, received_at) = (signal.ordinal, signal.payload, signal.received_at);
            self.pending.push_back(Input::Signalled { step, payload, received_at });
        }
        let asked = self.asked_of(&inbox.children);
        let awaited: Vec<i32> = self.execution.awaiting_children().collect();
        for ended in inbox.children.into_iter().filter(|ended| awaited.contains(&ended.ordinal)) {
            let Some(ended) = self.with_whole_result(ended).await else { continue };
            self.pending.push_back(Input::ChildEnded {
                step: ended.ordinal,
                child: ended.execution,
                status: ended.status,
                result: ended.result,
                error: ended.error,
            });
        }
        self.hear_saga(inbox.saga);
        for (undo, child) in asked {
            self.unwind_child(undo, child).await;
        }
    }

    /// The end with the result itself, where only a reference to it is recorded; one that is lost is a failure. `None`
    /// when the server stops before it can be read.
    async fn with_whole_result(&self, ended: EndedChild) -> Option<EndedChild> {
        let Some(result) = &ended.result else { return Some(ended) };
        match self.read_back(result).await {
            Ok(None) => Some(ended),
            Ok(whole) => Some(EndedChild { result: whole, ..ended }),
            Err(error) if error.is_transient() => None,
            Err(error) => {
                let title = format!("the result of the execution {} cannot be read", ended.execution);
                let failure = Failure::permanent(FailureKind::Workflow, title).with_detail(error.to_string());
                Some(EndedChild { status: ExecutionStatus::Failed, result: None, error: Some(failure), ..ended })
            }
        }
    }

    /// Whether anything came for the execution.
    pub(super) async fn has_mail(&self) -> bool {
        let inbox = self.inbox().await;
        let asks_to_cancel = inbox.cancel.is_some() && !self.execution.is_cancel_requested();
        // Of a step that is tried again, the execution that it started last counts.
        let counts = |ended: &EndedChild| self.execution.child_id(ended.ordinal) == Some(ended.execution);
        let asks_to_undo = inbox.saga.unwind.is_some() && self.execution.heeds_unwind();
        asks_to_cancel || asks_to_undo || !inbox.signals.is_empty() || inbox.children.iter().any(counts)
    }

    pub(super) async fn inbox(&self) -> Inbox {
        let waits: Vec<AwaitedSignal> = self
            .execution
            .awaiting_signals()
            .filter_map(|state| {
                let signal = state.signal.clone()?;
                let event = self.execution.awaited_event(state).map(|event| EventWait {
                    types: event.types.into_iter().map(str::to_owned).collect(),
                    subject: event.subject.map(str::to_owned),
                });
                Some(AwaitedSignal {
                    ordinal: state.ordinal,
                    name: signal.name,
                    correlation: signal.correlation,
                    event,
                })
            })
            .collect();
        let asked = self.execution.unanswered().map(|(_, forward, _)| forward);
        let mut children: Vec<i32> = self.execution.awaiting_children().chain(asked).collect();
        children.sort_unstable();
        children.dedup();
        let ask = AskInbox {
            execution: self.execution.id(),
            tenant: self.tenant,
            waits,
            children,
            is_saga: self.is_saga(),
            at: self.runner.clock.now(),
        };
        self.until_answered(|| self.runner.store.inbox(ask.clone())).await.unwrap_or_default()
    }

    /// Tells whoever waits for the end of this execution.
    pub(super) async fn tell_of_end(&self) {
        if let Some(parent) = self.parent {
            self.runner.tell(parent.execution).await;
        }
        if self.has_concurrency_key {
            self.runner.tell_of_work().await;
        }
    }

    /// Makes the execution, which was let go of, due at once.
    pub(super) async fn wake_in_pool(&self) {
        let (id, at): (ExecutionId, DateTime<Utc>) = (self.execution.id(), self.runner.clock.now());
        let woken = self.until_answered(|| self.runner.store.wake(id, at)).await;
        if woken.is_some() {
            self.runner.tell_of_work().await;
        }
    }

    /// Asks the store again while the database is away; nothing when it cannot be answered.
    pub(super) async fn until_answered<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Option<T> {
        let mut pause = FIRST_PAUSE;
        loop {
            match ask().await {
                Ok(answer) => return Some(answer),
                Err(error) if error.is_transient() => {
                    warn!(execution = %self.execution.id(), %error, "the database is away; the execution stands still");
                    tokio::select! {
                        () = self.runner.killing.cancelled() => return None,
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    }
                }
                Err(error) => {
                    tracing::error!(execution = %self.execution.id(), %error, "cannot read what came for the execution");
                    return None;
                }
            }
        }
    }
}
