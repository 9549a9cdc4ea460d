//! New executions with what set them off, and due instants that set nothing off.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use cogwheel_definition::Overlap;
use cogwheel_engine::ports::{FileVersion, ScheduleTick, SkipReason, Start, StartFrom, Started};
use cogwheel_machine::ExecutionId;
use sea_orm::{DatabaseTransaction, DbErr};
use serde::Serialize;
use uuid::Uuid;

use super::super::columns::{
    ArtifactColumns, ExecutionColumns, FileColumns, FireColumns, Key, ScheduleColumns, StepColumns,
};
use super::super::counts::Counts;
use super::super::sql::postgres as sql;
use super::{Answers, Failure, ask, overflow, put, records};

/// A start with its place in the batch.
pub(super) type Placed<'u> = (usize, &'u Start);

/// What was recorded first for a cause: its execution, where it is known.
type First = Option<Uuid>;

pub(super) async fn write(
    tx: &DatabaseTransaction,
    starts: Vec<Placed<'_>>,
    ticks: &[(usize, &ScheduleTick)],
    answers: &mut Answers,
    mut counts: Counts,
) -> Result<(), Failure> {
    let starts = refuse_known_instants(tx, starts, answers).await?;
    let (starts, passed_over) = pass_over(tx, starts).await?;
    let (starts, files) = insert_files(tx, starts, answers).await?;
    let starts = insert_executions(tx, starts, answers).await?;
    put(tx, sql::LINK_FILES, &files).await?;
    let kept = starts.iter().flat_map(|(_, start)| start.kept.iter().map(|step| StepColumns::kept(&start.row, step)));
    put(tx, sql::UPSERT_STEPS, &kept.collect::<Vec<_>>()).await?;
    let outputs = starts.iter().flat_map(|(_, start)| ArtifactColumns::kept(start));
    put(tx, sql::UPSERT_ARTIFACTS, &outputs.collect::<Vec<_>>()).await?;
    records::follow(tx, &starts, &mut counts).await?;
    let decided = overflow::decide(tx, &starts, &mut counts).await?;
    // Workflows are locked before schedules, as everywhere.
    put(tx, sql::COUNT_ENDS, &counts.into_rows()).await?;
    let skipping = ticks.iter().copied().chain(passed_over.iter().map(|(unit, tick)| (*unit, tick)));
    move_schedules(tx, &starts, skipping).await?;
    for ((unit, _), started) in starts.iter().zip(decided) {
        answers.give(*unit, Ok(started));
    }
    for (unit, _) in ticks {
        answers.give(*unit, Ok(Started::Accepted));
    }
    for (unit, _) in &passed_over {
        answers.give(*unit, Ok(Started::PassedOver));
    }
    Ok(())
}

/// A start whose execution is the recorded one was recorded by an earlier call whose answer was lost.
fn duplicate(start: &Start, first: First) -> Started {
    if first == Some(start.row.id.0) {
        Started::Accepted
    } else {
        Started::Duplicate { execution: first.map(ExecutionId) }
    }
}

/// The instant that a start stands for in its schedule's ledger.
fn instant(start: &Start) -> Option<(Uuid, DateTime<Utc>)> {
    match &start.from {
        StartFrom::Schedule(tick) => tick.due.last().map(|due| (tick.schedule.0, due.due_at)),
        StartFrom::Request | StartFrom::Files(_) => None,
    }
}

async fn refuse_known_instants<'u>(
    tx: &DatabaseTransaction,
    starts: Vec<Placed<'u>>,
    answers: &mut Answers,
) -> Result<Vec<Placed<'u>>, DbErr> {
    let fires: Vec<FireColumns> = starts
        .iter()
        .filter_map(|(_, start)| match &start.from {
            StartFrom::Schedule(tick) => FireColumns::of(tick, Some(start.row.id.0)).pop(),
            StartFrom::Request | StartFrom::Files(_) => None,
        })
        .collect();
    let mut known: HashMap<(Uuid, DateTime<Utc>), First> = HashMap::new();
    for row in ask(tx, sql::FIND_BY_DUE, &fires).await? {
        let key = (row.try_get("", "schedule_id")?, row.try_get("", "due_at")?);
        known.insert(key, row.try_get("", "execution_id")?);
    }
    let mut fresh = Vec::with_capacity(starts.len());
    for (unit, start) in starts {
        let instant = instant(start);
        if let Some(first) = instant.and_then(|instant| known.get(&instant)) {
            answers.give(unit, Ok(duplicate(start, *first)));
        } else {
            // The next start of this batch for the same instant is its duplicate.
            known.extend(instant.map(|instant| (instant, Some(start.row.id.0))));
            fresh.push((unit, start));
        }
    }
    Ok(fresh)
}

/// Takes those starts out whose schedule lets an instant pass while its previous execution is going, and those of
/// schedules that another server has just switched off.
async fn pass_over<'u>(
    tx: &DatabaseTransaction,
    starts: Vec<Placed<'u>>,
) -> Result<(Vec<Placed<'u>>, Vec<(usize, ScheduleTick)>), DbErr> {
    // A backfill was asked for: it takes place even while the schedule is off.
    let coming = |start: &'u Start| match &start.from {
        StartFrom::Schedule(tick) if !tick.is_backfill => Some(tick),
        StartFrom::Schedule(_) | StartFrom::Request | StartFrom::Files(_) => None,
    };
    let schedules: Vec<ScheduleKey> =
        starts.iter().filter_map(|(_, start)| Some(ScheduleKey { id: Key(coming(start)?.schedule.0) })).collect();
    let (mut busy, mut off) = (HashSet::new(), HashSet::new());
    for row in ask(tx, sql::SCHEDULES_NOW, &schedules).await? {
        let id: Uuid = row.try_get("", "id")?;
        busy.extend(row.try_get::<bool>("", "is_busy")?.then_some(id));
        off.extend(row.try_get::<bool>("", "is_off")?.then_some(id));
    }
    let (mut fresh, mut passed_over) = (Vec::with_capacity(starts.len()), Vec::new());
    for (unit, start) in starts {
        match coming(start) {
            Some(tick) if off.contains(&tick.schedule.0) => {
                passed_over.push((unit, tick.passed_over(SkipReason::Disabled)));
            }
            // The next one of this batch finds the schedule busy.
            Some(tick) if !busy.insert(tick.schedule.0) && tick.overlap == Overlap::Skip => {
                passed_over.push((unit, tick.passed_over(SkipReason::Overlap)));
            }
            _ => fresh.push((unit, start)),
        }
    }
    Ok((fresh, passed_over))
}

/// A schedule that is asked about.
#[derive(Serialize)]
struct ScheduleKey {
    id: Key,
}

/// Inserts the files of the starts. A start of which one file is known, or is another start's by now, is refused.
async fn insert_files<'u>(
    tx: &DatabaseTransaction,
    starts: Vec<Placed<'u>>,
    answers: &mut Answers,
) -> Result<(Vec<Placed<'u>>, Vec<FileColumns>), DbErr> {
    let mut firsts: HashMap<(Uuid, &str), Uuid> = HashMap::new();
    let (mut files, mut later) = (Vec::new(), HashMap::new());
    for (_, start) in &starts {
        let StartFrom::Files(versions) = &start.from else { continue };
        let key = |version: &'u FileVersion| (version.watch.0, version.fingerprint.as_str());
        if let Some(first) = versions.iter().find_map(|version| firsts.get(&key(version))) {
            later.insert(start.row.id.0, *first);
        } else {
            firsts.extend(versions.iter().map(|version| (key(version), start.row.id.0)));
            files.extend(FileColumns::all(versions, start));
        }
    }
    let inserted = ids(&ask(tx, sql::INSERT_FILES, &files).await?)?;
    let (files, known): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| inserted.contains(&file.id.0));
    // Of a version that was recorded before, by the execution that was to take it in now.
    let mut recorded: HashMap<Uuid, First> = HashMap::new();
    for row in ask(tx, sql::FIND_BY_VERSION, &known).await? {
        recorded.insert(row.try_get("", "refused_id")?, row.try_get("", "execution_id")?);
    }
    let (refused, files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| recorded.contains_key(&file.execution_id.0));
    put(tx, sql::REMOVE_FILES, &refused).await?;
    let mut fresh = Vec::with_capacity(starts.len());
    for (unit, start) in starts {
        let id = start.row.id.0;
        match (recorded.get(&id), later.get(&id)) {
            (Some(earlier), _) => answers.give(unit, Ok(duplicate(start, *earlier))),
            (None, Some(first)) => {
                let earlier = recorded.get(first).copied().unwrap_or(Some(*first));
                answers.give(unit, Ok(duplicate(start, earlier)));
            }
            (None, None) => fresh.push((unit, start)),
        }
    }
    Ok((fresh, files))
}

async fn insert_executions<'u>(
    tx: &DatabaseTransaction,
    starts: Vec<Placed<'u>>,
    answers: &mut Answers,
) -> Result<Vec<Placed<'u>>, Failure> {
    let rows: Vec<ExecutionColumns> = starts.iter().map(|(_, start)| ExecutionColumns::of(start)).collect();
    let mut inserted = ids(&ask(tx, sql::INSERT_EXECUTIONS, &rows).await?)?;
    if inserted.len() == rows.len() {
        return Ok(starts);
    }
    let known: Vec<_> = rows.into_iter().filter(|row| !inserted.contains(&row.id.0)).collect();
    let mut firsts: HashMap<Uuid, First> = HashMap::new();
    for row in ask(tx, sql::FIND_BY_KEY, &known).await? {
        firsts.insert(row.try_get("", "id")?, row.try_get("", "execution_id")?);
    }
    let mut fresh = Vec::with_capacity(starts.len());
    for (unit, start) in starts {
        if inserted.remove(&start.row.id.0) {
            fresh.push((unit, start));
            continue;
        }
        // Of the same start twice in a batch, one is the other's lost answer.
        if fresh.iter().any(|(_, first): &Placed<'_>| first.row.id == start.row.id) {
            answers.give(unit, Ok(Started::Accepted));
            continue;
        }
        let answer = duplicate(start, firsts.get(&start.row.id.0).copied().flatten());
        if !matches!(start.from, StartFrom::Request) {
            // Its file has been written, or other starts of the batch were refused in its favour.
            return Err(Failure::TooLate(answer));
        }
        answers.give(unit, Ok(answer));
    }
    Ok(fresh)
}

async fn move_schedules<'u>(
    tx: &DatabaseTransaction,
    starts: &[Placed<'u>],
    ticks: impl Iterator<Item = (usize, &'u ScheduleTick)>,
) -> Result<(), Failure> {
    let started = starts.iter().filter_map(|(_, start)| match &start.from {
        StartFrom::Schedule(tick) => Some((tick, Some(start.row.id.0))),
        StartFrom::Request | StartFrom::Files(_) => None,
    });
    let mut fires = Vec::new();
    let mut schedules: HashMap<Uuid, ScheduleColumns> = HashMap::new();
    let mut backfilled: HashMap<Uuid, ScheduleColumns> = HashMap::new();
    for (tick, execution) in started.chain(ticks.map(|(_, tick)| (tick, None))) {
        fires.extend(FireColumns::of(tick, execution));
        let moved = ScheduleColumns::of(tick);
        if tick.is_backfill {
            backfilled.insert(tick.schedule.0, moved);
            continue;
        }
        match schedules.get_mut(&tick.schedule.0) {
            Some(schedule) => schedule.go_on(&moved),
            None => drop(schedules.insert(tick.schedule.0, moved)),
        }
    }
    let inserted = ids(&ask(tx, sql::INSERT_FIRES, &fires).await?)?;
    let lost = fires.iter().any(|fire| fire.execution_id.is_some() && !inserted.contains(&fire.id.0));
    if lost {
        // Somebody else recorded the instant after it was looked up.
        return Err(Failure::TooLate(Started::Duplicate { execution: None }));
    }
    let schedules: Vec<ScheduleColumns> = schedules.into_values().collect();
    put(tx, sql::MOVE_SCHEDULES, &schedules).await?;
    Ok(put(tx, sql::BACKFILLED, &backfilled.into_values().collect::<Vec<_>>()).await?)
}

fn ids(rows: &[sea_orm::QueryResult]) -> Result<HashSet<Uuid>, DbErr> {
    rows.iter().map(|row| row.try_get("", "id")).collect()
}
