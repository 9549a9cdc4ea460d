//! Queued executions whose key limits how many may be live at once. A slot is in use by whatever is live and not in the
//! queue: what was claimed counts before it has begun.

use std::collections::{HashMap, HashSet};

use cogwheel_engine::ports::StoreError;
use sea_orm::Value;
use uuid::Uuid;

use super::{Candidate, Question, Standing, is_shared, sql};
use crate::tx::{Row, SKIP_LOCKED, WriteTx, any_of, ids, raw};

/// Names the advisory lock under which slots are given out.
const SLOTS_LOCK: i64 = 0x0c09_51a7;

/// A key that has a free slot.
struct FreeKey {
    tenant: Uuid,
    key: String,
    /// Slots in use.
    taken: i64,
    head: Candidate,
    /// The limit that its first execution was started under.
    limit: i64,
}

/// What can be taken without exceeding any key's limit.
pub(super) async fn candidates(tx: &mut dyn WriteTx, question: &Question) -> Result<Vec<Candidate>, StoreError> {
    if is_shared(tx) {
        if tx.query(raw(tx, sql::ANY_KEYED, [])).await?.is_empty() {
            return Ok(Vec::new());
        }
        // One node at a time counts slots and fills them.
        tx.query(raw(tx, "select pg_advisory_xact_lock($1)", [Value::from(SLOTS_LOCK)])).await?;
    }
    let mut keys = free_keys(tx, question).await?;
    keys.sort_unstable_by_key(|key| (std::cmp::Reverse(key.head.rank), key.head.id));
    keys.truncate(question.most);
    let mut candidates = Vec::with_capacity(keys.len());
    for key in keys {
        if key.limit - key.taken == 1 {
            candidates.push(key.head);
        } else {
            candidates.extend(fitting(tx, question, &key).await?);
        }
    }
    let candidates = taking_turns(tx, candidates).await?;
    if is_shared(tx) { lock(tx, candidates).await } else { Ok(candidates) }
}

/// Leaves those out whose schedule wants its executions one after the other while an earlier one is going. Each schedule's
/// own key sees to that where the workflow has none; where it has one, several of a schedule may fit or have several keys.
async fn taking_turns(tx: &mut dyn WriteTx, candidates: Vec<Candidate>) -> Result<Vec<Candidate>, StoreError> {
    if candidates.is_empty() {
        return Ok(candidates);
    }
    let sql = format!("{}{}", sql::TURNS, any_of(tx.backend(), 1));
    let wanted = ids(tx, candidates.iter().map(|candidate| candidate.id));
    let (mut waiting, mut first_of) = (HashSet::new(), HashMap::new());
    for row in tx.query(raw(tx, &sql, [wanted])).await? {
        let id: Uuid = row.get("id")?;
        let first: &mut Uuid = first_of.entry(row.get::<Uuid>("schedule_id")?).or_insert(id);
        // Of several of a schedule the earliest is next.
        waiting.extend((id != *first).then_some(id.max(*first)));
        *first = id.min(*first);
        if row.get("is_busy")? {
            waiting.insert(id);
        }
    }
    Ok(candidates.into_iter().filter(|candidate| !waiting.contains(&candidate.id)).collect())
}

async fn free_keys(tx: &mut dyn WriteTx, question: &Question) -> Result<Vec<FreeKey>, StoreError> {
    let heads = sql::HEADS.replace("MISREAD", &any_of(tx.backend(), 2));
    let values = [Value::from(question.at), ids(tx, question.misread.iter().copied())];
    let mut keys = Vec::new();
    for row in tx.query(raw(tx, &heads, values)).await? {
        let (taken, limit) = (row.get("taken")?, limit(&row)?);
        if taken < limit {
            keys.push(FreeKey {
                tenant: row.get("tenant_id")?,
                key: row.get("concurrency_key")?,
                taken,
                head: Candidate::of(&row, Standing::Queued)?,
                limit,
            });
        }
    }
    Ok(keys)
}

/// As many of a key as fit, in their order: none overtakes one whose own limit leaves no room.
async fn fitting(tx: &mut dyn WriteTx, question: &Question, key: &FreeKey) -> Result<Vec<Candidate>, StoreError> {
    let sql = sql::OF_KEY.replace("MISREAD", &any_of(tx.backend(), 2));
    let most = i64::try_from(question.most).unwrap_or(i64::MAX);
    let values = [
        Value::from(question.at),
        ids(tx, question.misread.iter().copied()),
        Value::from(key.tenant),
        Value::from(key.key.as_str()),
        Value::from(most),
    ];
    let mut fitting = Vec::new();
    for (taken, row) in (key.taken..).zip(tx.query(raw(tx, &sql, values)).await?) {
        if taken >= limit(&row)? {
            break;
        }
        fitting.push(Candidate::of(&row, Standing::Queued)?);
    }
    Ok(fitting)
}

/// Locks those that nobody else has locked, and leaves the others out.
async fn lock(tx: &mut dyn WriteTx, candidates: Vec<Candidate>) -> Result<Vec<Candidate>, StoreError> {
    if candidates.is_empty() {
        return Ok(candidates);
    }
    let sql = format!(
        "select id from workflow_executions where owner_node_id is null and status = 'queued' and id in {}{SKIP_LOCKED}",
        any_of(tx.backend(), 1)
    );
    let wanted = ids(tx, candidates.iter().map(|candidate| candidate.id));
    let rows = tx.query(raw(tx, &sql, [wanted])).await?;
    let held: HashSet<Uuid> = rows.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
    Ok(candidates.into_iter().filter(|candidate| held.contains(&candidate.id)).collect())
}

/// The limit that an execution was started under.
fn limit(row: &Row) -> Result<i64, StoreError> {
    Ok(row.get::<Option<i32>>("concurrency_limit")?.map_or(i64::MAX, i64::from))
}
