//! The loop of the one writer: take all that waits, write it in one transaction, answer.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cogwheel_engine::ports::{NewUpload, Record, ScheduleTick, Start, Started, StoreError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::Counters;
use crate::tx::WriteTx;

/// The most units in one transaction: enough to hide the disk, few enough that none waits long for its company.
const MAX_BATCH: usize = 512;

/// The most bytes of log lines in one transaction, but for a single unit that holds more: PostgreSQL refuses messages
/// of a gigabyte, and memory has to hold several copies.
const MAX_LOG_BYTES: usize = 16 * 1024 * 1024;

/// Where the answer to a unit goes.
type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A unit of work that decides inside its own transaction.
pub(crate) type Work<T> = Box<dyn for<'t> FnOnce(&'t mut dyn WriteTx) -> BoxFuture<'t, Result<T, StoreError>> + Send>;

/// What waits to be written.
pub(super) enum Unit {
    /// One of the few frequent kinds: shares a transaction with others.
    Hot { work: Hot, reply: Reply<Started> },
    /// Anything else.
    Cold(Box<dyn Cold>),
    /// Nothing more comes.
    Stop(oneshot::Sender<()>),
}

/// The frequent kinds. All but a start answer [`Started::Accepted`], or for what is known before that it is a duplicate.
pub(super) enum Hot {
    Start(Box<Start>),
    Record(Box<Record>),
    Tick(Box<ScheduleTick>),
    Upload(Arc<Upload>),
}

/// An upload with the answers to its starts, which the writer leaves here.
pub(super) struct Upload {
    pub(super) new: NewUpload,
    started: Mutex<Vec<Started>>,
}

impl Upload {
    pub(super) fn new(new: NewUpload) -> Self {
        Self { new, started: Mutex::default() }
    }

    /// Leaves the answers; those of an earlier try do not count.
    pub(super) fn answer(&self, started: Vec<Started>) {
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = started;
    }

    /// Takes the answers.
    pub(super) fn take(&self) -> Vec<Started> {
        std::mem::take(&mut *self.started.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How one database commits.
#[async_trait]
pub(super) trait Writer: Send {
    /// How long a transaction may take, where it can wait at all; after that nobody knows what became of it.
    const PATIENCE: Option<Duration>;

    /// Writes all units in one transaction. An error means that nothing was written; a unit that was refused by a
    /// guard has written nothing and harms no other.
    async fn commit_all(&mut self, units: &[Hot]) -> Result<Vec<Result<Started, StoreError>>, StoreError>;

    /// Runs one unit in its own transaction.
    async fn commit_one(&mut self, unit: &mut dyn Cold) -> Result<(), StoreError>;
}

/// A [`Work`] whose type is forgotten.
#[async_trait]
pub(super) trait Cold: Send {
    async fn run(&mut self, tx: &mut dyn WriteTx) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

pub(super) struct ColdUnit<T> {
    work: Option<Work<T>>,
    made: Option<T>,
    reply: Reply<T>,
}

impl<T> ColdUnit<T> {
    pub(super) fn new(work: Work<T>, reply: Reply<T>) -> Self {
        Self { work: Some(work), made: None, reply }
    }
}

#[async_trait]
impl<T: Send> Cold for ColdUnit<T> {
    async fn run(&mut self, tx: &mut dyn WriteTx) -> Result<(), StoreError> {
        let work = self.work.take().ok_or_else(|| StoreError::Bug("a unit of work ran twice".to_owned()))?;
        self.made = Some(work(tx).await?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let made = self.made;
        let answer =
            committed.and_then(|()| made.ok_or_else(|| StoreError::Bug("a unit of work did not run".to_owned())));
        // Whoever asked may be gone; what was written stays written.
        let _ = self.reply.send(answer);
    }
}

/// Works until it is told to stop or nobody can ask any more.
pub(super) async fn run<W: Writer>(mut writer: W, mut units: mpsc::Receiver<Unit>, counters: Arc<Counters>) {
    let mut waiting = Vec::with_capacity(MAX_BATCH);
    while units.recv_many(&mut waiting, MAX_BATCH).await > 0 {
        let mut batch = Batch::default();
        for unit in waiting.drain(..) {
            match unit {
                Unit::Hot { work, reply } => {
                    if !batch.admits(&work) {
                        batch.commit(&mut writer, &counters).await;
                    }
                    batch.push(work, reply);
                }
                Unit::Cold(mut unit) => {
                    batch.commit(&mut writer, &counters).await;
                    let committed = surviving::<W, _>(writer.commit_one(unit.as_mut())).await;
                    counters.count(1, committed.is_ok());
                    unit.answer(committed);
                }
                Unit::Stop(reply) => {
                    batch.commit(&mut writer, &counters).await;
                    drop(writer);
                    let _ = reply.send(());
                    return;
                }
            }
        }
        batch.commit(&mut writer, &counters).await;
    }
}

/// Units that go into the next transaction.
#[derive(Default)]
struct Batch {
    work: Vec<Hot>,
    replies: Vec<Reply<Started>>,
    /// Executions that the batch already writes: a statement over many rows cannot write one row twice.
    recorded: HashSet<cogwheel_machine::ExecutionId>,
    log_bytes: usize,
}

impl Batch {
    fn admits(&self, work: &Hot) -> bool {
        match work {
            Hot::Record(record) => {
                !self.recorded.contains(&record.execution) && self.log_bytes + log_bytes(record) <= MAX_LOG_BYTES
            }
            Hot::Start(_) | Hot::Tick(_) | Hot::Upload(_) => true,
        }
    }

    fn push(&mut self, work: Hot, reply: Reply<Started>) {
        if let Hot::Record(record) = &work {
            self.recorded.insert(record.execution);
            self.log_bytes += log_bytes(record);
        }
        self.work.push(work);
        self.replies.push(reply);
    }

    /// Commits and empties the batch. If it fails as a whole, each unit is tried alone, so that a bad one fails alone.
    async fn commit<W: Writer>(&mut self, writer: &mut W, counters: &Counters) {
        self.recorded.clear();
        self.log_bytes = 0;
        let (work, replies) = (std::mem::take(&mut self.work), std::mem::take(&mut self.replies));
        if work.is_empty() {
            return;
        }
        let written = surviving::<W, _>(writer.commit_all(&work)).await;
        counters.count(work.len(), written.is_ok());
        let answers = match written {
            Ok(answers) => answers,
            Err(error) if work.len() == 1 || error.is_transient() => vec![Err(error); work.len()],
            Err(error) => {
                tracing::debug!(%error, units = work.len(), "a batch failed; writing its units one at a time");
                let mut answers = Vec::with_capacity(work.len());
                for unit in work.chunks(1) {
                    let written = surviving::<W, _>(writer.commit_all(unit)).await;
                    counters.count(1, written.is_ok());
                    answers.push(written.and_then(single));
                }
                answers
            }
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Whoever asked may be gone; what was written stays written.
            let _ = reply.send(answer);
        }
    }
}

fn log_bytes(record: &Record) -> usize {
    record.logs.iter().map(|log| log.message.len()).sum()
}

/// A unit that makes the writer panic, or wait without end, fails; everything that is written later does not.
async fn surviving<W: Writer, T>(commit: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let commit = async {
        let Some(patience) = W::PATIENCE else { return commit.await };
        // A connection that broke without a word is noticed by nothing else for a quarter of an hour.
        let unanswered = |_| Err(StoreError::Unanswered(format!("no answer in {} s", patience.as_secs_f32())));
        tokio::time::timeout(patience, commit).await.unwrap_or_else(unanswered)
    };
    AssertUnwindSafe(commit).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("the journal's writer panicked");
        Err(StoreError::Bug("the journal's writer panicked".to_owned()))
    })
}

fn single(answers: Vec<Result<Started, StoreError>>) -> Result<Started, StoreError> {
    answers.into_iter().next().unwrap_or_else(|| Err(StoreError::Bug("a unit got no answer".to_owned())))
}

impl Counters {
    fn count(&self, units: usize, committed: bool) {
        if committed {
            self.transactions.fetch_add(1, Ordering::Relaxed);
            self.units.fetch_add(units as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use cogwheel_definition::Overlap;
    use cogwheel_engine::ports::{LogLevel, LogStream, StoredLog};
    use cogwheel_engine::{ScheduleId, TenantId, WorkflowId};
    use cogwheel_machine::ExecutionId;
    use uuid::Uuid;

    use super::*;

    /// Panics at the ticks of the nil schedule, never answers to those of the last one, and keeps how many units came
    /// together.
    struct Fragile(Vec<usize>);

    #[async_trait]
    impl Writer for Fragile {
        const PATIENCE: Option<Duration> = Some(Duration::from_millis(10));

        async fn commit_all(&mut self, units: &[Hot]) -> Result<Vec<Result<Started, StoreError>>, StoreError> {
            for unit in units {
                assert!(!matches!(unit, Hot::Tick(tick) if tick.schedule.0.is_nil()), "asked for");
            }
            if units.iter().any(|unit| matches!(unit, Hot::Tick(tick) if tick.schedule.0.is_max())) {
                std::future::pending::<()>().await;
            }
            self.0.push(units.len());
            Ok(units.iter().map(|_| Ok(Started::Accepted)).collect())
        }

        async fn commit_one(&mut self, _: &mut dyn Cold) -> Result<(), StoreError> {
            Ok(())
        }
    }

    fn tick(schedule: u128) -> Hot {
        let (schedule, tenant) = (ScheduleId(Uuid::from_u128(schedule)), TenantId(Uuid::nil()));
        let at = DateTime::<Utc>::UNIX_EPOCH;
        Hot::Tick(Box::new(ScheduleTick {
            schedule,
            tenant,
            due: Vec::new(),
            next_due_at: None,
            next_fire_at: None,
            overlap: Overlap::Allow,
            is_backfill: false,
            at,
        }))
    }

    fn lines(execution: u128, bytes: usize) -> Hot {
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let log = StoredLog {
            sequence: 0,
            step_ordinal: None,
            attempt: None,
            level: LogLevel::Info,
            stream: LogStream::Stdout,
            message: "x".repeat(bytes),
            at,
        };
        Hot::Record(Box::new(Record {
            execution: ExecutionId(Uuid::from_u128(execution)),
            tenant: TenantId(Uuid::nil()),
            workflow: WorkflowId(Uuid::nil()),
            epoch: 0,
            head: None,
            steps: Vec::new(),
            saga: None,
            logs: vec![log],
            events: Vec::new(),
            artifacts: Vec::new(),
            parent: None,
            at,
        }))
    }

    async fn accepted(schedules: &[u128]) -> Vec<Result<Started, StoreError>> {
        let (units, waiting) = mpsc::channel(8);
        let mut answers = Vec::new();
        for schedule in schedules {
            let (reply, answer) = oneshot::channel();
            units.send(Unit::Hot { work: tick(*schedule), reply }).await.unwrap();
            answers.push(answer);
        }
        drop(units);
        run(Fragile(Vec::new()), waiting, Arc::default()).await;
        let mut accepted = Vec::new();
        for answer in answers {
            accepted.push(answer.await.unwrap());
        }
        accepted
    }

    #[tokio::test]
    async fn a_unit_that_panics_fails_alone() {
        let accepted: Vec<bool> = accepted(&[1, 0, 2]).await.iter().map(Result::is_ok).collect();
        assert_eq!(accepted, [true, false, true]);
    }

    #[tokio::test]
    async fn a_transaction_without_an_answer_is_given_up() {
        let answers = accepted(&[u128::MAX]).await;
        assert!(matches!(answers[..], [Err(StoreError::Unanswered(_))]), "{answers:?}");
    }

    #[tokio::test]
    async fn many_long_lines_are_spread_over_transactions() {
        let (mut batch, mut writer) = (Batch::default(), Fragile(Vec::new()));
        for execution in 0..5 {
            let work = lines(execution, MAX_LOG_BYTES / 2);
            if !batch.admits(&work) {
                batch.commit(&mut writer, &Counters::default()).await;
            }
            batch.push(work, oneshot::channel().0);
        }
        batch.commit(&mut writer, &Counters::default()).await;
        assert_eq!(writer.0, [2, 2, 1]);
        batch.push(lines(9, 2 * MAX_LOG_BYTES), oneshot::channel().0);
        batch.commit(&mut writer, &Counters::default()).await;
        assert_eq!(writer.0, [2, 2, 1, 1], "what is larger than the limit goes by itself");
    }
}
