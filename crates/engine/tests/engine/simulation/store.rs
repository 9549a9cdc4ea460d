//! One node's connection to the simulated database: slow, faulty, cut at times, and silent once the node is dead.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{
    AfterPlan, AskInbox, CancelAnswer, CancelRequest, Claim, Claimed, CountedCalls, EndedAfter, EventWaiters,
    FileDecision, FileLedger, HandledFile, Inbox, Lease, NewNode, NewSignal, NewUpload, Notice, PauseSchedule,
    PauseWorkflow, PendingAfter, Record, RecordedUpload, SaveWorkflow, ScheduleTick, SignalAnswer, Start, Started,
    Store, StoreError, StoredExecution, Swept, TenantUploads, UndoAnswer, UndoRequest, UnwindAnswer, UnwindRequest,
    WatchHealth, WorkflowRecord,
};
use cogwheel_engine::{ExecutionId, FileId, NodeId, ScheduleId, TenantId, VersionId, WatchId, WorkflowId};
use tokio::sync::mpsc;
use tokio::time::sleep;
use uuid::Uuid;

use super::tables::{TENANT, Tables};
use super::world::World;
use crate::event_log::unread_event_log;

pub(super) struct Connection {
    world: Arc<World>,
    node: NodeId,
}

impl Connection {
    pub(super) fn new(world: &Arc<World>, node: NodeId) -> Self {
        Self { world: Arc::clone(world), node }
    }

    /// One call of this kind about this subject, with what chance has in store for it.
    async fn call<T>(
        &self,
        kind: &'static str,
        subject: Uuid,
        apply: impl FnOnce(&mut Tables) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let fate = self.world.fate(self.node, kind, subject);
        sleep(fate.before).await;
        self.world.stay_if_dead(self.node).await;
        if fate.is_lost || self.world.is_cut(self.node) {
            self.world.tell(|| format!("{} {kind} {subject} is lost", self.node));
            return Err(StoreError::Unavailable(format!("the {kind} did not arrive")));
        }
        let answer = self.world.commit(apply);
        let error = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
        self.world.tell(|| format!("{} {kind} {subject} {error}", self.node));
        sleep(fate.after).await;
        self.world.stay_if_dead(self.node).await;
        if fate.is_unanswered || self.world.is_cut(self.node) {
            self.world.tell(|| format!("{} {kind} {subject} is not answered", self.node));
            return Err(StoreError::Unanswered(format!("the answer to the {kind} got lost")));
        }
        answer
    }
}

#[async_trait]
impl Store for Connection {
    async fn default_tenant(&self) -> Result<TenantId, StoreError> {
        Ok(TENANT)
    }

    async fn join(&self, node: NewNode) -> Result<(), StoreError> {
        self.call("join", node.id.0, |tables| {
            tables.join(&node);
            Ok(())
        })
        .await
    }

    async fn renew_lease(&self, node: NodeId, _: DateTime<Utc>, until: DateTime<Utc>) -> Result<Lease, StoreError> {
        self.call("renewal", node.0, |tables| tables.renew_lease(node, until)).await
    }

    async fn sweep(&self, node: NodeId, at: DateTime<Utc>) -> Result<Swept, StoreError> {
        self.call("sweep", node.0, |tables| Ok(tables.sweep(node, at))).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claimed, StoreError> {
        self.call("claim", self.node.0, |tables| Ok(tables.claim(&claim))).await
    }

    async fn leave(&self, node: NodeId, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.call("leave", node.0, |tables| {
            tables.leave(node, at);
            Ok(())
        })
        .await
    }

    async fn notify(&self, notice: Notice) -> Result<(), StoreError> {
        let about = match notice {
            Notice::Inbox(execution) | Notice::Changed(execution, _) => execution.0,
            Notice::Work | Notice::ManyChanged | Notice::Workflows | Notice::Webhooks | Notice::Missed => Uuid::nil(),
        };
        self.call("notice", about, |_| Ok(())).await?;
        self.world.pass_on(self.node, notice);
        Ok(())
    }

    async fn listen(&self) -> Result<mpsc::Receiver<Notice>, StoreError> {
        self.call("listening", self.node.0, |_| Ok(())).await?;
        Ok(self.world.listen(self.node))
    }

    async fn send_signal(&self, signal: NewSignal) -> Result<SignalAnswer, StoreError> {
        self.call("signal", signal.id, |tables| Ok(tables.send_signal(signal))).await
    }

    async fn inbox(&self, ask: AskInbox) -> Result<Inbox, StoreError> {
        self.call("inbox", ask.execution.0, |tables| Ok(tables.inbox(&ask))).await
    }

    async fn wake_event_waiters(&self, _: EventWaiters, _: DateTime<Utc>) -> Result<Vec<ExecutionId>, StoreError> {
        Ok(Vec::new())
    }

    async fn execution(&self, _: TenantId, id: ExecutionId) -> Result<Option<StoredExecution>, StoreError> {
        self.call("look", id.0, |tables| Ok(tables.stored(id))).await
    }

    async fn pause_workflow(&self, _: PauseWorkflow) -> Result<bool, StoreError> {
        unreachable!("no workflow is paused here")
    }

    async fn wake(&self, execution: ExecutionId, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.call("wake", execution.0, |tables| {
            tables.wake(execution, at);
            Ok(())
        })
        .await
    }

    async fn workflows(&self, _: TenantId) -> Result<Vec<WorkflowRecord>, StoreError> {
        self.call("list", self.node.0, |tables| Ok(tables.workflows.values().cloned().collect())).await
    }

    async fn workflow_sources(&self, _: &[VersionId]) -> Result<HashMap<VersionId, String>, StoreError> {
        unreachable!("every node is given the workflows with their definitions")
    }

    async fn save_workflow(&self, save: SaveWorkflow) -> Result<WorkflowRecord, StoreError> {
        self.call("save", self.node.0, |tables| Ok(tables.save_workflow(save))).await
    }

    async fn remove_workflow(&self, _: WorkflowId, _: DateTime<Utc>) -> Result<(), StoreError> {
        unreachable!("no workflow is removed here")
    }

    async fn start(&self, start: Start) -> Result<Started, StoreError> {
        self.call("start", start.row.id.0, |tables| Ok(tables.start(start))).await
    }

    async fn request_cancel(&self, request: CancelRequest) -> Result<CancelAnswer, StoreError> {
        self.call("cancel", request.execution.0, |tables| Ok(tables.request_cancel(request))).await
    }

    async fn request_unwind(&self, request: UnwindRequest) -> Result<UnwindAnswer, StoreError> {
        self.call("unwinding", request.execution.0, |tables| Ok(tables.request_unwind(request))).await
    }

    async fn decide_undo(&self, request: UndoRequest) -> Result<UndoAnswer, StoreError> {
        self.call("decision", request.execution.0, |tables| Ok(tables.decide_undo(&request))).await
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        self.call("record", record.execution.0, |tables| tables.record(record)).await
    }

    async fn tick(&self, _: ScheduleTick) -> Result<(), StoreError> {
        unreachable!("no workflow has a schedule here")
    }

    async fn pause_schedule(&self, _: PauseSchedule) -> Result<bool, StoreError> {
        unreachable!("no workflow has a schedule here")
    }

    async fn last_due_at(&self, _: ScheduleId) -> Result<Option<DateTime<Utc>>, StoreError> {
        unreachable!("no workflow has a schedule here")
    }

    async fn schedule_is_busy(&self, _: ScheduleId) -> Result<bool, StoreError> {
        unreachable!("no workflow has a schedule here")
    }

    async fn count_calls(&self, _: &[CountedCalls]) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl FileLedger for Connection {
    async fn handled_files(&self, _: WatchId) -> Result<Vec<HandledFile>, StoreError> {
        unreachable!("no folder is watched here")
    }

    async fn known_versions(&self, _: WatchId, _: &[String]) -> Result<HashSet<String>, StoreError> {
        unreachable!("no folder is watched here")
    }

    async fn record_decisions(&self, _: Vec<FileDecision>) -> Result<(), StoreError> {
        unreachable!("no folder is watched here")
    }

    async fn set_watch_health(&self, _: WatchId, _: WatchHealth) -> Result<(), StoreError> {
        unreachable!("no folder is watched here")
    }

    async fn pending_afters(&self, _: DateTime<Utc>, _: DateTime<Utc>) -> Result<Vec<PendingAfter>, StoreError> {
        Ok(Vec::new())
    }

    async fn plan_afters(&self, _: Vec<AfterPlan>) -> Result<HashSet<FileId>, StoreError> {
        unreachable!("no folder is watched here")
    }

    async fn end_afters(&self, _: Vec<EndedAfter>) -> Result<(), StoreError> {
        unreachable!("no folder is watched here")
    }

    async fn record_upload(&self, _: NewUpload) -> Result<RecordedUpload, StoreError> {
        unreachable!("nothing is uploaded here")
    }

    async fn tenant_uploads(&self, _: TenantId) -> Result<TenantUploads, StoreError> {
        unreachable!("nothing is uploaded here")
    }
}

unread_event_log!(Connection);
