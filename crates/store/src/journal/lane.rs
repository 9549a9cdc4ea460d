//! The loop of the one writer: take all that waits, write it in one transaction, answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use cogwheel_engine::ports::{Record, ScheduleTick, Start, Started, StoreError};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::Counters;
use crate::tx::WriteTx;

/// The most units in one transaction: enough to hide the disk, few enough that none waits long for its company.
const MAX_BATCH: usize = 512;

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

/// The frequent kinds. All but a start answer [`Started::Accepted`].
pub(super) enum Hot {
    Start(Box<Start>),
    Record(Box<Record>),
    Tick(Box<ScheduleTick>),
}

/// How one database commits.
#[async_trait]
pub(super) trait Writer: Send {
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
pub(super) async fn run(mut writer: impl Writer, mut units: mpsc::Receiver<Unit>, counters: Arc<Counters>) {
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
                    let committed = writer.commit_one(unit.as_mut()).await;
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
}

impl Batch {
    fn admits(&self, work: &Hot) -> bool {
        !matches!(work, Hot::Record(record) if self.recorded.contains(&record.execution))
    }

    fn push(&mut self, work: Hot, reply: Reply<Started>) {
        if let Hot::Record(record) = &work {
            self.recorded.insert(record.execution);
        }
        self.work.push(work);
        self.replies.push(reply);
    }

    /// Commits and empties the batch. If it fails as a whole, each unit is tried alone, so that a bad one fails alone.
    async fn commit(&mut self, writer: &mut impl Writer, counters: &Counters) {
        self.recorded.clear();
        let (work, replies) = (std::mem::take(&mut self.work), std::mem::take(&mut self.replies));
        if work.is_empty() {
            return;
        }
        let written = writer.commit_all(&work).await;
        counters.count(work.len(), written.is_ok());
        let answers = match written {
            Ok(answers) => answers,
            Err(error) if work.len() == 1 || error.is_transient() => vec![Err(error); work.len()],
            Err(error) => {
                tracing::debug!(%error, units = work.len(), "a batch failed; writing its units one at a time");
                let mut answers = Vec::with_capacity(work.len());
                for unit in work.chunks(1) {
                    let written = writer.commit_all(unit).await;
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
