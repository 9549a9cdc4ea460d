//! Due instants: reached, missed, overlapping, changed.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{Due, DueOutcome, SkipReason};
use tokio::sync::Semaphore;

use super::rig::{Rig, SetClock};
use super::store::Tables;

fn workflow(schedule: &str) -> String {
    format!("on: {{schedule: {{{schedule}}}}}\nsteps: [{{run: x}}]\n")
}

fn fired(tables: &Tables) -> Vec<Due> {
    tables.fires.iter().map(|(_, due)| due.clone()).filter(|due| due.outcome == DueOutcome::Fired).collect()
}

fn outcomes(tables: &Tables) -> Vec<String> {
    let outcome = |(_, due): &(_, Due)| match due.outcome {
        DueOutcome::Fired => format!("{} fired {}", due.due_at.format("%H:%M"), due.is_catch_up),
        DueOutcome::Skipped(reason) => format!("{} {reason:?}", due.due_at.format("%H:%M")),
    };
    tables.fires.iter().map(outcome).collect()
}

/// A rig whose one hourly schedule was last settled at 07:00, on the morning of which it is 10:30 now.
async fn after_a_pause(schedule: &str) -> Rig {
    let mut rig = Rig::new();
    rig.clock = Arc::new(SetClock::new("2026-05-04T10:30:00Z"));
    rig.put("workflows/hourly.yaml", workflow(schedule));
    rig.launch().await.shut_down().await;
    rig.store.change(|tables| {
        let last: DateTime<Utc> = "2026-05-04T07:00:00Z".parse().expect("a time");
        let schedules = tables.workflows.values_mut().flat_map(|workflow| &mut workflow.schedules);
        for schedule in schedules {
            schedule.last_due_at = Some(last);
            schedule.since = last;
        }
    });
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn every_second_is_fired_once() {
    let rig = Rig::new();
    rig.put("workflows/tick.yaml", workflow("cron: '* * * * * *', timezone: Europe/Berlin"));
    let engine = rig.launch().await;
    let fires = rig.store.until("three fires", |tables| Some(fired(tables)).filter(|fired| fired.len() >= 3)).await;
    for pair in fires.windows(2) {
        assert_eq!((pair[1].due_at - pair[0].due_at).num_seconds(), 1);
    }
    let trigger = rig.store.tables().starts[0].trigger.clone();
    assert_eq!(trigger["schedule"]["timezone"], "Europe/Berlin");
    assert_eq!(trigger["schedule"]["due_at"].as_str().and_then(|due| due.parse().ok()), Some(fires[0].due_at));
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_instants_end_as_the_definition_says() {
    for (catch_up, expected) in [
        ("catch_up: none", ["08:00 CatchUpNone", "09:00 CatchUpNone", "10:00 CatchUpNone"]),
        ("catch_up: last", ["08:00 CatchUpSuperseded", "09:00 CatchUpSuperseded", "10:00 fired true"]),
        ("catch_up: all, window: 2h", ["08:00 OutsideWindow", "09:00 fired true", "10:00 fired true"]),
    ] {
        let rig = after_a_pause(&format!("cron: '0 * * * *', {catch_up}")).await;
        let engine = rig.launch().await;
        let settled =
            rig.store.until("three outcomes", |tables| (tables.fires.len() >= 3).then(|| outcomes(tables))).await;
        assert_eq!(settled, expected, "{catch_up}");
        engine.shut_down().await;
        rig.launch().await.shut_down().await;
        assert_eq!(rig.store.tables().fires.len(), 3, "{catch_up}: nothing again after a restart");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_runs_that_must_not_overlap_wait_for_each_other() {
    let mut rig = after_a_pause("cron: '0 * * * *', catch_up: all, overlap: skip").await;
    rig.gate = Arc::new(Semaphore::new(0));
    let engine = rig.launch().await;
    for number in 1..=3 {
        let live = rig
            .store
            .until("the next run", |tables| (fired(tables).len() == number).then_some(tables.live.len()))
            .await;
        assert_eq!(live, 1, "one at a time");
        rig.gate.add_permits(1);
    }
    rig.store.until("the last to end", |tables| tables.live.is_empty().then_some(())).await;
    assert_eq!(outcomes(&rig.store.tables()), ["08:00 fired true", "09:00 fired true", "10:00 fired true"]);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_passes_while_the_previous_run_goes_on() {
    let mut rig = Rig::new();
    rig.gate = Arc::new(Semaphore::new(0));
    rig.put("workflows/tick.yaml", workflow("cron: '* * * * * *', overlap: skip"));
    let engine = rig.launch().await;
    let is_skipped = |tables: &Tables| {
        let overlap = DueOutcome::Skipped(SkipReason::Overlap);
        (tables.fires.iter().filter(|(_, due)| due.outcome == overlap).count() >= 2).then(|| fired(tables).len())
    };
    assert_eq!(rig.store.until("two skipped instants", is_skipped).await, 1);
    rig.gate.add_permits(1);
    rig.store.until("the next run", |tables| (fired(tables).len() == 2).then_some(())).await;
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_schedule_counts_at_once_and_a_removed_one_no_more() {
    let rig = Rig::new();
    rig.put("workflows/rare.yaml", workflow("cron: '0 0 29 2 *'"));
    let engine = rig.launch().await;
    rig.put("workflows/rare.yaml", workflow("cron: '* * * * * *', overlap: allow"));
    rig.store.until("a fire", |tables| (!fired(tables).is_empty()).then_some(())).await;
    std::fs::remove_file(rig.path("workflows/rare.yaml")).unwrap();
    rig.store.until("the removal", |tables| tables.workflows.is_empty().then_some(())).await;
    let of_rare = rig.store.tables().fires[0].0;
    let count = |tables: &Tables| tables.fires.iter().filter(|(schedule, _)| *schedule == of_rare).count();
    let before = count(&rig.store.tables());
    rig.put("workflows/other.yaml", workflow("cron: '* * * * * *', overlap: allow"));
    rig.store.until("three others", |tables| (tables.fires.len() - count(tables) >= 3).then_some(())).await;
    // One may have been on its way.
    assert!(count(&rig.store.tables()) <= before + 1);
    engine.shut_down().await;
}
