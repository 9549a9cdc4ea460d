//! Definitions come, change, go and come back.

use cogwheel_engine::ports::{Actor, DueOutcome, FileLedger, PauseWorkflow, Reads, SkipReason, Store, WatchHealth};
use cogwheel_engine::views::{PageRequest, TriggerFilter, WorkflowFilter};
use cogwheel_engine::{TenantId, VersionId, WorkflowId};

use super::on_both;
use super::world::{PLAIN, TRIGGERED, World, at};
use uuid::Uuid;

on_both! {
    a_definition_is_saved_with_its_triggers
    the_texts_of_versions_are_read_by_their_ids
    only_a_changed_text_makes_a_version
    a_trigger_that_went_is_off_and_one_that_came_back_begins_anew
    a_schedule_that_did_not_change_keeps_its_place
    a_removed_workflow_is_gone_and_can_be_revived
    a_renamed_file_is_known_by_its_new_name
    an_installation_has_its_tenants_once
    the_health_of_a_watch_is_kept
    a_paused_workflow_stays_paused
}

const ALL: PageRequest = PageRequest::Forward { first: 50, after: None };

async fn a_definition_is_saved_with_its_triggers(world: &World) {
    let saved = world.save(TRIGGERED, at(0)).await;
    assert_eq!((saved.version, saved.is_enabled, saved.name.as_str()), (1, true, "triggered"));
    let read = &world.workflows().await[0];
    assert_eq!((read.id, read.version_id, read.version, &read.name), (saved.id, saved.version_id, 1, &saved.name));
    assert_eq!((&read.checksum, &read.origin_path), (&saved.checksum, &saved.origin_path));
    assert_eq!((read.schedules[0].id, read.schedules[0].since), (saved.schedules[0].id, at(0)));
    assert_eq!(read.schedules[0].next_due_at, Some(at(300)));
    assert_eq!(read.watches[0].id, saved.watches[0].id);
    let view = world.store.workflow_by_name(world.tenant, "triggered").await.unwrap().unwrap();
    assert_eq!((view.active_version, view.labels["team"].as_str()), (Some(saved.version_id), Some("data")));
    let stored = "select count(*) from workflows where is_scheduled = true and trigger_on_file_upload = true \
                  and max_retries = 3 and timeout_seconds = 90 and status = 'active'";
    assert_eq!(world.number(stored).await, 1);
    let version = &world.store.versions_by_id(world.tenant, &[saved.version_id]).await.unwrap()[0];
    assert_eq!(version.definition["name"], "triggered");
    assert_eq!(version.checksum, saved.checksum);
    let watch = &world.store.watches(world.tenant, &TriggerFilter::default(), ALL).await.unwrap().items[0];
    assert_eq!(
        (watch.location.as_deref(), watch.settle_ms, watch.health.as_str()),
        (Some("/data/inbox"), 250, "starting")
    );
    let schedule = &world.store.schedules(world.tenant, &TriggerFilter::default(), ALL).await.unwrap().items[0];
    assert_eq!((schedule.cron.as_deref(), schedule.catch_up.as_str()), (Some("*/5 * * * *"), "last"));
}

async fn the_texts_of_versions_are_read_by_their_ids(world: &World) {
    let newer = PLAIN.replace("hello", "hi");
    let mut versions = vec![VersionId(Uuid::now_v7())];
    for text in [PLAIN, &newer, TRIGGERED] {
        versions.push(world.save(text, at(0)).await.version_id);
    }
    let texts = world.store.workflow_sources(&versions).await.unwrap();
    let found: Vec<_> = versions.iter().map(|version| texts.get(version).map(String::as_str)).collect();
    assert_eq!(found, [None, Some(PLAIN), Some(newer.as_str()), Some(TRIGGERED)], "superseded ones as well");
    assert!(world.store.workflow_sources(&[]).await.unwrap().is_empty());
    assert_eq!(world.workflows().await.len(), 2);
    assert!(Store::workflows(&world.store, TenantId(Uuid::now_v7())).await.unwrap().is_empty());
}

async fn only_a_changed_text_makes_a_version(world: &World) {
    let first = world.save(PLAIN, at(0)).await;
    let same = world.save(PLAIN, at(5)).await;
    assert_eq!((same.id, same.version_id, same.version), (first.id, first.version_id, 1));
    let view = world.store.workflow_by_name(world.tenant, "plain").await.unwrap().unwrap();
    assert_eq!(view.updated_at, at(0), "nothing changed");
    let changed = world.save(&PLAIN.replace("hello", "hi"), at(9)).await;
    assert_eq!((changed.id, changed.version), (first.id, 2));
    let versions = world.store.versions_by_id(world.tenant, &[first.version_id, changed.version_id]).await.unwrap();
    let active: Vec<i32> = versions.iter().filter(|v| v.is_active).map(|v| v.version).collect();
    assert_eq!((versions.len(), active), (2, vec![2]));
}

async fn a_trigger_that_went_is_off_and_one_that_came_back_begins_anew(world: &World) {
    let saved = world.save(TRIGGERED, at(0)).await;
    let schedule = saved.schedules[0].id;
    let skipped = DueOutcome::Skipped(SkipReason::Overlap);
    world.store.tick(world.tick(schedule, &[(300, skipped)])).await.unwrap();
    let without = TRIGGERED.replace("on:\n  schedule:\n    - cron: \"*/5 * * * *\"\n      id: often\n", "on:\n");
    let without = world.save(&without, at(400)).await;
    assert!(without.schedules.is_empty() && without.watches.len() == 1);
    let view = &world.store.schedules_by_id(world.tenant, &[schedule]).await.unwrap()[0];
    assert!(!view.is_enabled && view.next_due_at.is_none());
    assert_eq!(world.number("select count(*) from workflows where is_scheduled = true").await, 0);
    let back = world.save(TRIGGERED, at(2000)).await;
    let revived = &back.schedules[0];
    assert_eq!((revived.id, revived.since, revived.last_due_at), (schedule, at(2000), None));
    let read = &world.workflows().await[0].schedules[0];
    assert_eq!((read.since, read.last_due_at), (at(2000), None), "what fell due meanwhile is nobody's concern");
}

async fn a_schedule_that_did_not_change_keeps_its_place(world: &World) {
    let saved = world.save(TRIGGERED, at(0)).await;
    let skipped = DueOutcome::Skipped(SkipReason::Overlap);
    world.store.tick(world.tick(saved.schedules[0].id, &[(300, skipped)])).await.unwrap();
    let mut later = world.save_of(&TRIGGERED.replace("90s", "80s"), at(5000));
    later.triggers.next_due[0].1 = Some(at(5100));
    let kept = world.store.save_workflow(later).await.unwrap();
    let schedule = &kept.schedules[0];
    assert_eq!((schedule.last_due_at, schedule.next_due_at, schedule.since), (Some(at(300)), Some(at(600)), at(0)));
    let mut changed = world.save_of(&TRIGGERED.replace("*/5", "*/7"), at(6000));
    changed.triggers.next_due[0].1 = Some(at(6100));
    let changed = world.store.save_workflow(changed).await.unwrap();
    let schedule = &changed.schedules[0];
    assert_eq!((schedule.last_due_at, schedule.next_due_at, schedule.since), (None, Some(at(6100)), at(6000)));
}

async fn a_renamed_file_is_known_by_its_new_name(world: &World) {
    let saved = world.save(TRIGGERED, at(0)).await;
    let mut renamed = world.save_of(TRIGGERED, at(50));
    renamed.origin_path = Some("folder/renamed.yaml".to_owned());
    let again = world.store.save_workflow(renamed).await.unwrap();
    assert_eq!((again.id, again.version_id, again.version), (saved.id, saved.version_id, 1));
    let found = &world.workflows().await[0];
    assert_eq!(found.origin_path.as_deref(), Some("folder/renamed.yaml"));
    let view = world.store.workflow_by_name(world.tenant, "triggered").await.unwrap().unwrap();
    assert_eq!((view.origin_path.as_deref(), view.updated_at), (Some("folder/renamed.yaml"), at(50)));
}

async fn a_removed_workflow_is_gone_and_can_be_revived(world: &World) {
    let saved = world.save(TRIGGERED, at(0)).await;
    world.store.remove_workflow(saved.id, at(50)).await.unwrap();
    assert!(world.workflows().await.is_empty());
    assert!(world.store.workflow_by_name(world.tenant, "triggered").await.unwrap().is_none());
    assert_eq!(world.store.count_workflows(world.tenant, &WorkflowFilter::default()).await.unwrap(), 0);
    assert_eq!(world.store.workflows_by_id(world.tenant, &[saved.id]).await.unwrap().len(), 1, "history needs it");
    assert_eq!(world.store.count_schedules(world.tenant, &TriggerFilter::default()).await.unwrap(), 0);
    let on = "select (select count(*) from schedules where is_enabled = true) + (select count(*) from file_watches where is_enabled = true)";
    assert_eq!(world.number(on).await, 0);
    let back = world.save(TRIGGERED, at(60)).await;
    assert_eq!((back.id, back.version_id, back.schedules.len()), (saved.id, saved.version_id, 1));
    assert_eq!(world.workflows().await.len(), 1);
    world.store.remove_workflow(saved.id, at(70)).await.unwrap();
    let mut elsewhere = world.save_of(TRIGGERED, at(80));
    elsewhere.origin_path = Some("other.yaml".to_owned());
    assert_ne!(world.store.save_workflow(elsewhere).await.unwrap().id, saved.id, "another file, another workflow");
}

async fn an_installation_has_its_tenants_once(world: &World) {
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let store = world.store.clone();
            tokio::spawn(async move { store.default_tenant().await.unwrap() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), world.tenant);
    }
    assert_eq!(world.number("select count(*) from tenants").await, 2);
    let system = "select count(*) from tenants where slug = 'system' and is_system = true and status = 'active'";
    assert_eq!(world.number(system).await, 1);
}

async fn the_health_of_a_watch_is_kept(world: &World) {
    let saved = world.save(TRIGGERED, at(0)).await;
    let watch = saved.watches[0].id;
    let problem = Some("`/data/inbox` cannot be read".to_owned());
    // What it last scanned stays known while it cannot scan.
    for (healthy, problem, scanned, expected) in [
        (false, problem.clone(), Some(at(3)), "failed"),
        (true, problem, None, "degraded"),
        (true, None, None, "healthy"),
    ] {
        let health = WatchHealth { healthy, problem: problem.clone(), last_scan_at: scanned, ..WatchHealth::default() };
        world.store.set_watch_health(watch, health).await.unwrap();
        let view = &world.store.watches_by_id(world.tenant, &[watch]).await.unwrap()[0];
        assert_eq!((view.health.as_str(), &view.problem, view.last_scan_at), (expected, &problem, Some(at(3))));
    }
}

async fn a_paused_workflow_stays_paused(world: &World) {
    let saved = world.save(PLAIN, at(0)).await;
    let pause = |paused, when| PauseWorkflow {
        tenant: world.tenant,
        workflow: saved.id,
        paused,
        actor: Actor::Admin,
        at: at(when),
    };
    for _ in 0..2 {
        assert!(world.store.pause_workflow(pause(true, 5)).await.unwrap());
        assert!(!world.workflows().await[0].is_enabled);
    }
    let changed = world.save(&PLAIN.replace("hello", "hi"), at(6)).await;
    assert!(!changed.is_enabled && !world.workflows().await[0].is_enabled, "a new version resumes nothing");
    assert!(world.store.pause_workflow(pause(false, 7)).await.unwrap());
    assert!(world.workflows().await[0].is_enabled);
    let view = world.store.workflow_by_name(world.tenant, "plain").await.unwrap().unwrap();
    assert_eq!(view.updated_at, at(7));
    let nobody = PauseWorkflow { workflow: WorkflowId(Uuid::now_v7()), ..pause(true, 8) };
    let foreign = PauseWorkflow { tenant: TenantId(Uuid::now_v7()), ..pause(true, 8) };
    world.store.remove_workflow(saved.id, at(9)).await.unwrap();
    for unknown in [nobody, foreign, pause(true, 10)] {
        assert!(!world.store.pause_workflow(unknown).await.unwrap());
    }
}
