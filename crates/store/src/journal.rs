//! The journal: everything that is written goes through its lanes, which commit together what waits together.

pub(crate) mod columns;
mod counts;
mod crash;
mod lane;
mod overflow;
mod postgres;
mod sql;
mod sqlite;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cogwheel_engine::ports::{NewUpload, Record, RecordedUpload, ScheduleTick, Start, Started, StoreError, Stream};
use cogwheel_machine::ExecutionStatus;
use rusqlite::Connection;
use sea_orm::DatabaseConnection;
use tokio::sync::{mpsc, oneshot};

use crate::events::Event;
use crate::rows::Stored;
pub(crate) use lane::Work;
use lane::{Cold, ColdUnit, Hot, Unit, Upload};

/// How many units may wait before callers are held back.
const BACKLOG: usize = 4096;

/// How much was committed, and in how many transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalStats {
    /// Committed transactions.
    pub transactions: u64,
    /// Units of work they held.
    pub units: u64,
}

#[derive(Debug, Default)]
struct Counters {
    transactions: AtomicU64,
    units: AtomicU64,
}

/// The handle that callers write through.
#[derive(Debug)]
pub(crate) struct Journal {
    units: mpsc::Sender<Unit>,
    /// Where units go that have a transaction of their own.
    rare: mpsc::Sender<Unit>,
    counters: Arc<Counters>,
}

impl Journal {
    /// Starts the writer thread, which owns the connection from now on.
    pub(crate) fn on_sqlite(connection: Connection) -> Result<Self, StoreError> {
        let (units, waiting) = mpsc::channel(BACKLOG);
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        let cannot_start = |error: std::io::Error| StoreError::Unavailable(format!("no writer thread: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(cannot_start)?;
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || runtime.block_on(lane::run(sqlite::Writer::new(connection), waiting, counted)))
            .map_err(cannot_start)?;
        Ok(Self { rare: units.clone(), units, counters })
    }

    /// Starts two writer tasks, the second over the engine's pool: what reads a lot, such as a claim, does not hold up what
    /// many wait for. To the database they are as two servers are.
    pub(crate) fn on_postgres(writer: &DatabaseConnection, engine: &DatabaseConnection) -> Self {
        let counters = Arc::new(Counters::default());
        let lane = |connection: &DatabaseConnection| {
            let (units, waiting) = mpsc::channel(BACKLOG);
            tokio::spawn(lane::run(postgres::Writer::new(connection.clone()), waiting, Arc::clone(&counters)));
            units
        };
        Self { units: lane(writer), rare: lane(engine), counters }
    }

    /// Records a new execution, or finds the one that was recorded for the same cause.
    pub(crate) async fn start(&self, start: Start) -> Result<Started, StoreError> {
        self.hot(Hot::Start(Box::new(start))).await
    }

    /// Records what became of an execution.
    pub(crate) async fn record(&self, record: Record) -> Result<(), StoreError> {
        self.hot(Hot::Record(Box::new(record))).await.map(drop)
    }

    /// Records due instants that start nothing.
    pub(crate) async fn tick(&self, tick: ScheduleTick) -> Result<(), StoreError> {
        self.hot(Hot::Tick(Box::new(tick))).await.map(drop)
    }

    /// Records an uploaded file with its executions.
    pub(crate) async fn upload(&self, upload: NewUpload) -> Result<RecordedUpload, StoreError> {
        let upload = Arc::new(Upload::new(upload));
        Ok(match self.hot(Hot::Upload(Arc::clone(&upload))).await? {
            Started::Duplicate { .. } => RecordedUpload::Known,
            _ => RecordedUpload::Recorded(upload.take()),
        })
    }

    async fn hot(&self, work: Hot) -> Result<Started, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.units.send(Unit::Hot { work, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Runs `work` in a transaction of its own and answers what it made once that is committed.
    pub(crate) async fn write<T: Send + 'static>(&self, work: Work<T>) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let unit: Box<dyn Cold> = Box::new(ColdUnit::new(work, reply));
        self.rare.send(Unit::Cold(unit)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// What was committed so far.
    pub(crate) fn stats(&self) -> JournalStats {
        JournalStats {
            transactions: self.counters.transactions.load(Ordering::Relaxed),
            units: self.counters.units.load(Ordering::Relaxed),
        }
    }

    /// Writes what waits, then gives the connection back. Later calls are refused.
    pub(crate) async fn close(&self) {
        for lane in [&self.units, &self.rare] {
            let (reply, answer) = oneshot::channel();
            if lane.send(Unit::Stop(reply)).await.is_ok() {
                // An error means that the lane is gone, which is what was asked for.
                let _ = answer.await;
            }
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the journal has stopped".to_owned())
}

/// Refuses a record of an execution that is another's by now, or final.
fn check_fence(record: &Record, stored: Option<(i64, &String)>) -> Result<(), StoreError> {
    let execution = record.execution;
    let Some((epoch, status)) = stored else {
        return Err(StoreError::Conflict(format!("there is no execution {execution}")));
    };
    if epoch != record.epoch {
        return Err(StoreError::Conflict(format!(
            "execution {execution} is owned under epoch {epoch}, not {}",
            record.epoch
        )));
    }
    let status = ExecutionStatus::from_word(status, "workflow_executions", execution)?;
    if status.is_terminal() {
        return Err(StoreError::Conflict(format!("execution {execution} has ended {}", status.word())));
    }
    Ok(())
}

/// The events of a record, which belong to the stream of its execution.
fn events_of(record: &Record) -> impl Iterator<Item = Event> {
    let stream = Stream::execution(record.execution);
    record.events.iter().map(move |event| Event::new(record.tenant, &stream, event, record.at))
}

/// Whether a recorded request to undo everything would be taken in by the execution as it is recorded.
fn heeds_unwind(record: &Record) -> bool {
    record.saga.as_ref().is_some_and(|saga| saga.heeds_unwind)
}

/// Whether a record gives a live execution back to the pool.
fn lets_go(record: &Record) -> bool {
    record.head.as_ref().is_some_and(|head| head.owner.is_none() && !head.status.is_terminal())
}
