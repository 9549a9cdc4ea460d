//! What a schedule does while its previous execution is going, and what moves it.

use cogwheel_definition::{Overflow, Overlap};
use cogwheel_engine::ScheduleId;
use cogwheel_engine::ports::{DueOutcome, PauseSchedule, SkipReason, Start, StartFrom, Started, Store, WorkflowRecord};
use cogwheel_machine::{ExecutionId, ExecutionStatus};
use uuid::Uuid;

use super::on_both;
use super::world::{TRIGGERED, World, at};

on_both! {
    an_instant_is_passed_over_while_the_previous_run_goes_on
    runs_that_queue_begin_one_after_the_other
    runs_of_several_keys_take_turns
    a_run_replaces_those_before_it
    a_backfill_leaves_the_schedule_where_it_is
    a_late_tick_does_not_move_a_schedule_back
    a_paused_schedule_stays_so
    an_edit_begins_the_ledger_anew_where_instants_change
}

fn scheduled(world: &World, workflow: &WorkflowRecord, due: i64, overlap: Overlap) -> Start {
    let mut start = world.by_schedule(workflow, due);
    if let StartFrom::Schedule(tick) = &mut start.from {
        tick.overlap = overlap;
    }
    start
}

/// One that is queued under a key.
fn keyed(world: &World, workflow: &WorkflowRecord, due: i64, overlap: Overlap, key: &str, limit: i32) -> Start {
    let mut start = scheduled(world, workflow, due, overlap);
    let slot = world.keyed(workflow, key, limit, Overflow::Queue).row.concurrency;
    (start.row.owner, start.row.concurrency) = (None, slot);
    start
}

async fn start(world: &World, start: &Start) -> Started {
    world.store.start(start.clone()).await.unwrap()
}

async fn claimed(world: &World) -> Vec<ExecutionId> {
    world.claim(world.node, 9, at(2)).await.executions.iter().map(|execution| execution.id).collect()
}

async fn end(world: &World, start: &Start, epoch: i64) {
    world.store.record(world.running(start, epoch)).await.unwrap();
    world.store.record(world.ended(start, epoch, ExecutionStatus::Completed)).await.unwrap();
}

/// Makes the stored schedule one of this policy.
async fn set_overlap(world: &World, policy: &str) {
    world.execute(&format!("update schedules set overlap_policy = '{policy}'")).await;
}

async fn an_instant_is_passed_over_while_the_previous_run_goes_on(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let first = scheduled(world, &workflow, 300, Overlap::Skip);
    assert_eq!(start(world, &first).await, Started::Accepted);
    let second = scheduled(world, &workflow, 600, Overlap::Skip);
    assert_eq!(start(world, &second).await, Started::PassedOver);
    assert_eq!(start(world, &second).await, Started::Duplicate { execution: None }, "it has its outcome");
    assert_eq!(start(world, &first).await, Started::Accepted, "its own answer was lost");
    let skipped = "select count(*) from schedule_fires where outcome = 'skipped' and skip_reason = 'overlap'";
    assert_eq!(world.number(skipped).await, 1);
    assert_eq!(world.number("select count(*) from workflow_executions").await, 1);
    assert_eq!(world.workflows().await[0].schedules[0].last_due_at, Some(at(600)));
    end(world, &first, 0).await;
    assert_eq!(start(world, &scheduled(world, &workflow, 900, Overlap::Skip)).await, Started::Accepted);
}

async fn runs_that_queue_begin_one_after_the_other(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    set_overlap(world, "queue").await;
    let starts: Vec<Start> = (1..4).map(|n| keyed(world, &workflow, n * 300, Overlap::Queue, "own", 1)).collect();
    for one in &starts {
        assert_eq!(start(world, one).await, Started::Accepted);
    }
    assert_eq!(world.number("select count(*) from schedule_fires where outcome = 'fired'").await, 3);
    for one in &starts {
        assert_eq!(claimed(world).await, [one.row.id]);
        assert_eq!(claimed(world).await, []);
        end(world, one, 1).await;
    }
}

async fn runs_of_several_keys_take_turns(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    set_overlap(world, "queue").await;
    let starts = [("a", 2), ("a", 2), ("b", 1)].into_iter().zip(1..);
    let starts: Vec<Start> =
        starts.map(|((key, limit), n)| keyed(world, &workflow, n * 300, Overlap::Queue, key, limit)).collect();
    for one in &starts {
        assert_eq!(start(world, one).await, Started::Accepted);
    }
    let other = world.keyed(&workflow, "a", 2, Overflow::Queue);
    assert_eq!(start(world, &other).await, Started::Accepted);
    let first = claimed(world).await;
    assert!(first == [starts[0].row.id] || first == [starts[0].row.id, other.row.id], "{first:?}");
    end(world, &starts[0], 1).await;
    let more = claimed(world).await;
    assert!(more.contains(&starts[1].row.id) && !more.contains(&starts[2].row.id), "{more:?}");
    end(world, &starts[1], 1).await;
    assert!(claimed(world).await.contains(&starts[2].row.id));
}

async fn a_run_replaces_those_before_it(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let first = scheduled(world, &workflow, 300, Overlap::Replace);
    assert_eq!(start(world, &first).await, Started::Accepted);
    let by_hand = world.started(&workflow).await;
    let second = keyed(world, &workflow, 600, Overlap::Replace, "own", 1);
    assert_eq!(start(world, &second).await, Started::Replacing(vec![first.row.id]));
    let asked = "select count(*) from workflow_executions where cancel_requested_at is not null";
    assert_eq!(world.number(asked).await, 1);
    let third = keyed(world, &workflow, 900, Overlap::Replace, "own", 1);
    let Started::Replacing(mut others) = start(world, &third).await else { panic!("it replaces") };
    others.sort_unstable();
    assert_eq!(others, [first.row.id, second.row.id]);
    end(world, &by_hand, 0).await;
}

async fn a_backfill_leaves_the_schedule_where_it_is(world: &World) {
    let workflow = world.save(TRIGGERED, at(10_000)).await;
    let backfill = |due| {
        let mut start = scheduled(world, &workflow, due, Overlap::Queue);
        start.row.idempotency_key = Some(format!("backfill:{due}"));
        if let StartFrom::Schedule(tick) = &mut start.from {
            tick.is_backfill = true;
        }
        start
    };
    assert_eq!(start(world, &backfill(300)).await, Started::Accepted);
    assert!(matches!(start(world, &backfill(300)).await, Started::Duplicate { execution: Some(_) }));
    let schedule = &world.workflows().await[0].schedules[0];
    assert_eq!((schedule.last_due_at, schedule.next_due_at), (None, Some(at(300))), "as it was saved");
    assert_eq!(world.number("select count(*) from schedule_fires where outcome = 'fired'").await, 1);
    assert_eq!(world.number("select count(*) from schedules where last_due_at is null").await, 1);
}

async fn a_late_tick_does_not_move_a_schedule_back(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let schedule = workflow.schedules[0].id;
    let skipped = |due| (due, DueOutcome::Skipped(SkipReason::Disabled));
    world.store.tick(world.tick(schedule, &[skipped(900)])).await.unwrap();
    world.store.tick(world.tick(schedule, &[skipped(300)])).await.unwrap();
    let moved = &world.workflows().await[0].schedules[0];
    assert_eq!((moved.last_due_at, moved.next_due_at), (Some(at(900)), Some(at(1200))));
}

async fn a_paused_schedule_stays_so(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let pause = |schedule, paused| PauseSchedule { tenant: world.tenant, schedule, paused, at: at(5) };
    let schedule = workflow.schedules[0].id;
    assert!(world.store.pause_schedule(pause(schedule, true)).await.unwrap());
    let late = scheduled(world, &workflow, 300, Overlap::Allow);
    assert_eq!(start(world, &late).await, Started::PassedOver, "whoever has not heard of it yet");
    let disabled = "select count(*) from schedule_fires where skip_reason = 'disabled'";
    assert_eq!(world.number(disabled).await, 1);
    assert!(!world.store.pause_schedule(pause(ScheduleId(Uuid::now_v7()), true)).await.unwrap());
    let edited = world.save(&TRIGGERED.replace("*/5", "*/7"), at(6)).await;
    assert!(edited.schedules[0].is_paused && edited.schedules[0].id == schedule);
    assert!(world.workflows().await[0].schedules[0].is_paused);
    assert!(world.store.pause_schedule(pause(schedule, false)).await.unwrap());
    assert!(!world.workflows().await[0].schedules[0].is_paused);
}

async fn an_edit_begins_the_ledger_anew_where_instants_change(world: &World) {
    const LINE: &str = "cron: \"*/5 * * * *\"\n";
    let with = |more: &str| TRIGGERED.replace(LINE, &format!("{LINE}      {more}\n"));
    world.save(TRIGGERED, at(0)).await;
    let mut since = at(0);
    for (n, (more, is_anew)) in [
        ("overlap: queue", false),
        ("exclude: 2026-12-25", false),
        ("dst: {gap: skip}", true),
        ("dst: {gap: skip, overlap: last}", true),
        ("timezone: Europe/Berlin", true),
        ("ends_at: 2100-01-01T00:00:00Z", true),
    ]
    .into_iter()
    .enumerate()
    {
        let when = at(10 + i64::try_from(n).unwrap());
        since = if is_anew { when } else { since };
        let saved = world.save(&with(more), when).await;
        assert_eq!(saved.schedules[0].since, since, "{more}");
    }
    let interval = TRIGGERED.replace("cron: \"*/5 * * * *\"", "every: 5m");
    assert_eq!(world.save(&interval, at(50)).await.schedules[0].since, at(50));
    assert_eq!(world.save(&interval.replace("250ms", "1s"), at(60)).await.schedules[0].since, at(50));
}
