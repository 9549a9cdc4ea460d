//! The pool: live executions that nobody owns, and who gets which of them.

mod keyed;
pub(crate) mod sql;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use cogwheel_engine::NodeId;
use cogwheel_engine::ports::{Claim, Claimed, StoreError};
use cogwheel_machine::ExecutionId;
use sea_orm::{DbBackend, Value};
use uuid::Uuid;

use super::restore;
use crate::tx::{Row, SKIP_LOCKED, WriteTx, any_of, ids, locked, raw};

/// How many executions whose time in the queue is over one call takes beside its limit.
const MOST_OVERDUE: usize = 256;

/// Executions that cannot be understood. They stay in the pool, and this process takes no further notice of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Misread(Arc<Mutex<HashSet<Uuid>>>);

impl Misread {
    fn known(&self) -> Vec<Uuid> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn note(&self, id: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }
}

/// Where an execution of the pool stands: what has begun comes before what is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Begun,
    Queued,
}

/// An execution that could be taken.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    rank: i64,
    standing: Standing,
    id: Uuid,
}

impl Candidate {
    fn of(row: &Row, standing: Standing) -> Result<Self, StoreError> {
        Ok(Self { rank: row.get("rank")?, standing, id: row.get("id")? })
    }
}

/// What a claim asks of each part of the pool.
struct Question {
    at: DateTime<Utc>,
    misread: Vec<Uuid>,
    /// How many are asked for: one more than there is room for, to know whether more are there.
    most: usize,
}

/// Takes executions out of the pool. What cannot be understood is reported once and keeps nothing else from going on.
pub(crate) async fn claim(tx: &mut dyn WriteTx, claim: Claim, misread: &Misread) -> Result<Claimed, StoreError> {
    if !is_alive(tx, &claim).await? {
        return Ok(Claimed::default());
    }
    let mut question = Question { at: claim.at, misread: misread.known(), most: MOST_OVERDUE + 1 };
    let overdue = ask(tx, sql::OVERDUE, &question, Standing::Queued).await?;
    let mut has_more = overdue.len() > MOST_OVERDUE;
    let overdue = overdue.into_iter().take(MOST_OVERDUE);
    let mut chosen: Vec<Uuid> = overdue.map(|candidate| candidate.id).collect();
    if let Some(runs) = &claim.runs {
        chosen.extend(unheard_of(tx, claim.node, runs).await?);
    }

    question.most = claim.limit.saturating_add(1);
    let mut candidates = ask(tx, sql::ADRIFT, &question, Standing::Begun).await?;
    candidates.extend(ask(tx, sql::DUE, &question, Standing::Begun).await?);
    candidates.extend(ask(tx, sql::QUEUE, &question, Standing::Queued).await?);
    candidates.extend(keyed::candidates(tx, &question).await?);
    candidates.sort_unstable_by_key(|candidate| (std::cmp::Reverse(candidate.rank), candidate.standing, candidate.id));
    has_more |= candidates.len() > claim.limit;
    chosen.extend(candidates.into_iter().take(claim.limit).map(|candidate| candidate.id));

    let mut executions = Vec::with_capacity(chosen.len());
    for (id, restored) in restore::executions(tx.asking(), &chosen).await? {
        match restored {
            Ok(mut execution) => {
                execution.epoch += 1;
                executions.push(execution);
            }
            Err(error) => {
                tracing::error!(
                    execution = %id,
                    %error,
                    "this execution cannot be taken over and stays as it is; `cogwheel db verify --data` tells more"
                );
                misread.note(id);
                has_more = true;
            }
        }
    }
    if !executions.is_empty() {
        let take = format!("{}{}", sql::TAKE, any_of(tx.backend(), 3));
        let taken = ids(tx, executions.iter().map(|execution| execution.id.0));
        tx.execute(raw(tx, &take, [Value::from(claim.node.0), Value::from(claim.at), taken])).await?;
    }
    let next_due_at = next_due(tx, misread.known()).await?;
    Ok(Claimed { executions, has_more, next_due_at })
}

/// What a node was given by claims whose answers it did not get.
async fn unheard_of(tx: &mut dyn WriteTx, node: NodeId, runs: &[(ExecutionId, i64)]) -> Result<Vec<Uuid>, StoreError> {
    let runs: HashSet<(Uuid, i64)> = runs.iter().map(|(id, epoch)| (id.0, *epoch)).collect();
    let rows = tx.query(raw(tx, sql::CLAIMED, [Value::from(node.0)])).await?;
    let claimed = rows.iter().map(|row| Ok((row.get("id")?, row.get("lease_epoch")?)));
    let claimed = claimed.collect::<Result<Vec<(Uuid, i64)>, StoreError>>()?;
    Ok(claimed.into_iter().filter(|known| !runs.contains(known)).map(|(id, _)| id).collect())
}

/// Makes a live execution that nobody owns due at once.
pub(crate) async fn wake(tx: &mut dyn WriteTx, execution: ExecutionId, at: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute(raw(tx, sql::WAKE, [Value::from(at), Value::from(execution.0)])).await.map(drop)
}

/// Whether the node counts as alive. If so, whoever wants to take it for dead waits until this claim is over, and finds
/// what it took.
async fn is_alive(tx: &mut dyn WriteTx, claim: &Claim) -> Result<bool, StoreError> {
    let alive = format!("{}{}", sql::ALIVE, locked(tx, " for share"));
    Ok(!tx.query(raw(tx, &alive, [Value::from(claim.node.0)])).await?.is_empty())
}

/// Asks one part of the pool, locking what it answers.
async fn ask(
    tx: &mut dyn WriteTx,
    part: sql::Part,
    question: &Question,
    standing: Standing,
) -> Result<Vec<Candidate>, StoreError> {
    let sql = format!("{}{}", part.limited(&any_of(tx.backend(), 1)), locked(tx, SKIP_LOCKED));
    let most = Value::from(i64::try_from(question.most).unwrap_or(i64::MAX));
    let at = part.is_timed().then(|| Value::from(question.at));
    let values = [ids(tx, question.misread.iter().copied())].into_iter().chain(at).chain([most]);
    let rows = tx.query(raw(tx, &sql, values)).await?;
    rows.iter().map(|row| Candidate::of(row, standing)).collect()
}

/// When the next of those that are left becomes due.
async fn next_due(tx: &mut dyn WriteTx, misread: Vec<Uuid>) -> Result<Option<DateTime<Utc>>, StoreError> {
    let mut next: Option<DateTime<Utc>> = None;
    for first in [sql::FIRST_DUE, sql::FIRST_OVERDUE] {
        let sql = first.replace("MISREAD", &any_of(tx.backend(), 1));
        for row in tx.query(raw(tx, &sql, [ids(tx, misread.iter().copied())])).await? {
            let at: DateTime<Utc> = row.get("next_wake_at")?;
            next = Some(next.map_or(at, |known| known.min(at)));
        }
    }
    Ok(next)
}

/// Whether the database is one that other processes write to as well.
fn is_shared(tx: &dyn WriteTx) -> bool {
    tx.backend() != DbBackend::Sqlite
}
