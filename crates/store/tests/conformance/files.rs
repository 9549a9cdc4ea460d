//! The ledger of files: batches, decisions, and what is done once executions have ended.

use chrono::TimeDelta;
use cogwheel_definition::{After, FileEvent};
use cogwheel_engine::ports::{
    AFTER_PAUSES, AfterEnd, AfterPlan, DecisionReason, EndedAfter, FileDecision, FileLedger, FileVersion, Reads,
    SeenVersion, Start, StartFrom, Started, Store, WatchHealth, WorkflowRecord,
};
use cogwheel_engine::views::{FileFilter, FileStatus, FileView, PageRequest, TriggerFilter};
use cogwheel_engine::{FileId, WatchId};
use cogwheel_machine::ExecutionStatus;
use uuid::Uuid;

use super::on_both;
use super::world::{TRIGGERED, World, at};

on_both! {
    a_batch_is_one_execution_with_all_its_files
    a_batch_with_a_known_file_is_refused_whole
    of_two_batches_at_once_that_share_a_file_one_is_refused
    decisions_are_recorded_once_and_known_again
    a_file_that_went_is_handled_no_more
    what_is_done_afterwards_is_done_by_one
    what_cannot_be_done_afterwards_waits_longer_each_time
    a_watch_is_stored_with_all_its_options
}

const MOVING: &str = "name: moving
on: {file: {id: inbox, path: inbox, events: [created, deleted], after: {success: done, failure: delete}}}
steps: [{run: x}]
";

fn batch(world: &World, workflow: &WorkflowRecord, names: &[&str]) -> Start {
    let mut start = world.by_file(workflow, "/data/inbox/x", "x");
    let versions = names.iter().map(|name| world.version(workflow, &format!("/data/inbox/{name}"), name));
    start.from = StartFrom::Files(versions.collect());
    start
}

async fn files(world: &World) -> Vec<FileView> {
    let request = PageRequest::Forward { first: 100, after: None };
    let mut files = world.store.files(world.tenant, &FileFilter::default(), request).await.unwrap().items;
    files.sort_by(|one, other| one.filename.cmp(&other.filename));
    files
}

fn decision(world: &World, watch: WatchId, name: &str, reason: DecisionReason) -> FileDecision {
    FileDecision {
        id: FileId(Uuid::now_v7()),
        tenant: world.tenant,
        watch,
        event: FileEvent::Created,
        reason,
        detail: "be\0cause".to_owned(),
        filename: name.to_owned(),
        path: format!("/data/inbox/{name}"),
        path_hash: format!("{name:0<64}"),
        seen: Some(SeenVersion {
            size: 3,
            modified_at: at(4),
            device: "8".to_owned(),
            inode: "42".to_owned(),
            sha256: None,
        }),
        fingerprint: format!("{name:1<64}"),
        first_seen_at: at(6),
        decided_at: at(7),
    }
}

async fn a_batch_is_one_execution_with_all_its_files(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let start = batch(world, &workflow, &["a", "b", "c"]);
    assert_eq!(world.store.start(start.clone()).await.unwrap(), Started::Accepted);
    assert_eq!(world.store.start(start.clone()).await.unwrap(), Started::Accepted, "its answer got lost");
    assert_eq!(world.number("select count(*) from workflow_executions").await, 1);
    world.store.record(world.running(&start, 0)).await.unwrap();
    world.store.record(world.ended(&start, 0, ExecutionStatus::Completed)).await.unwrap();
    let files = files(world).await;
    assert_eq!(files.iter().map(|file| file.filename.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    let key = start.row.id.0.to_string();
    assert!(files.iter().all(|file| file.batch == Some(key.clone()) && file.status == FileStatus::Processed));
}

async fn a_batch_with_a_known_file_is_refused_whole(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let first = batch(world, &workflow, &["b"]);
    world.store.start(first.clone()).await.unwrap();
    let second = batch(world, &workflow, &["a", "b", "c"]);
    let refused = world.store.start(second.clone()).await.unwrap();
    assert_eq!(refused, Started::Duplicate { execution: Some(first.row.id) });
    assert_eq!(world.number("select count(*) from files").await, 1, "none of its files is left");
    let StartFrom::Files(versions) = second.from else { panic!("it has files") };
    let fingerprints: Vec<String> = versions.iter().map(|version| version.fingerprint.clone()).collect();
    let known = world.store.known_versions(workflow.watches[0].id, &fingerprints).await.unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), [fingerprints[1].clone()]);
    assert_eq!(world.store.start(batch(world, &workflow, &["a", "c"])).await.unwrap(), Started::Accepted);
    assert_eq!(world.number("select count(*) from execution_files").await, 3);
}

async fn of_two_batches_at_once_that_share_a_file_one_is_refused(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let starts = [["a", "b"], ["b", "c"], ["c", "d"], ["d", "a"]].map(|names| batch(world, &workflow, &names));
    let calls = starts.map(|start| {
        let store = world.store.clone();
        tokio::spawn(async move { store.start(start).await.unwrap() })
    });
    let mut accepted = 0;
    for call in calls {
        accepted += i64::from(call.await.unwrap() == Started::Accepted);
    }
    assert!((1..=2).contains(&accepted), "{accepted}");
    assert_eq!(world.number("select count(*) from files").await, 2 * accepted);
    assert_eq!(world.number("select count(*) from execution_files").await, 2 * accepted);
}

async fn decisions_are_recorded_once_and_known_again(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let watch = workflow.watches[0].id;
    let reasons = [
        ("a", DecisionReason::DuplicateVersion, true),
        ("b", DecisionReason::FilteredPattern, true),
        ("c", DecisionReason::HiddenOrTemporary, false),
        ("d", DecisionReason::Vanished, false),
        ("e", DecisionReason::Unreadable, false),
    ];
    for _ in 0..2 {
        let decisions = reasons.iter().map(|(name, reason, _)| decision(world, watch, name, *reason)).collect();
        world.store.record_decisions(decisions).await.unwrap();
    }
    let files = files(world).await;
    assert_eq!(files.len(), reasons.len());
    assert!(files.iter().all(|file| file.status == FileStatus::Skipped && file.settled_at.is_none()));
    assert_eq!(files[4].decision_reason.as_deref(), Some("unreadable"));
    assert_eq!((files[4].detail.as_deref(), files[4].size), (Some("be\u{fffd}cause"), 3));
    let mut handled: Vec<String> =
        world.store.handled_files(watch).await.unwrap().into_iter().map(|f| f.path).collect();
    handled.sort();
    assert_eq!(handled, ["/data/inbox/a", "/data/inbox/b"], "those whose versions need not be looked at again");
    let again = world.version(&workflow, "/data/inbox/a", "a");
    let again = FileVersion { fingerprint: format!("{:1<64}", "a"), ..again };
    let mut start = world.by_file(&workflow, "/data/inbox/a", "a");
    start.from = StartFrom::Files(vec![again]);
    assert_eq!(world.store.start(start).await.unwrap(), Started::Duplicate { execution: None });
}

async fn a_file_that_went_is_handled_no_more(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let watch = workflow.watches[0].id;
    world.store.start(batch(world, &workflow, &["a"])).await.unwrap();
    assert_eq!(world.store.handled_files(watch).await.unwrap().len(), 1);
    let mut end = world.version(&workflow, "/data/inbox/a", "end");
    (end.event, end.sha256, end.first_seen_at) = (FileEvent::Deleted, None, at(9));
    let mut start = world.by_file(&workflow, "/data/inbox/a", "a");
    start.from = StartFrom::Files(vec![end]);
    assert_eq!(world.store.start(start).await.unwrap(), Started::Accepted);
    assert!(world.store.handled_files(watch).await.unwrap().is_empty());
    assert!(files(world).await.iter().any(|file| file.change_kind == "deleted" && file.sha256.is_none()));
}

async fn what_cannot_be_done_afterwards_waits_longer_each_time(world: &World) {
    let workflow = world.save(MOVING, at(0)).await;
    let mut start = batch(world, &workflow, &["stuck"]);
    let StartFrom::Files(versions) = &mut start.from else { panic!("it has files") };
    versions[0].has_after = true;
    world.store.start(start.clone()).await.unwrap();
    world.store.record(world.running(&start, 0)).await.unwrap();
    world.store.record(world.ended(&start, 0, ExecutionStatus::Completed)).await.unwrap();
    let mut now = at(30);
    for (tries, pause) in AFTER_PAUSES.into_iter().enumerate() {
        let file = world.store.pending_afters(now, now).await.unwrap().remove(0);
        assert_eq!(usize::try_from(file.tries).unwrap(), tries);
        let target = Some("/data/done/stuck".to_owned());
        assert_eq!(file.planned, target.clone().filter(|_| tries > 0), "the next try has to look there");
        let plan = AfterPlan { id: file.id, seen_at: file.updated_at, target, own: Vec::new(), at: now };
        assert_eq!(world.store.plan_afters(vec![plan]).await.unwrap().len(), 1);
        // The database tells the time itself where an update leaves it as it was.
        now += TimeDelta::milliseconds(5);
        let ended = EndedAfter { id: file.id, end: AfterEnd::Postponed("no room".to_owned()), at: now };
        world.store.end_afters(vec![ended]).await.unwrap();
        now += pause;
        let early = now - TimeDelta::microseconds(1);
        let found = world.store.pending_afters(early, early).await.unwrap();
        assert!(found.is_empty(), "after try {tries}: {found:?} at {early}");
        let file = files(world).await.remove(0);
        assert_eq!((file.after_state.as_str(), file.detail.as_deref()), ("pending", Some("no room")));
    }
    let last = world.store.pending_afters(now, now).await.unwrap().remove(0);
    assert_eq!(usize::try_from(last.tries).unwrap(), AFTER_PAUSES.len());
    let ended = EndedAfter { id: last.id, end: AfterEnd::Done(last.planned.clone()), at: now };
    world.store.end_afters(vec![ended]).await.unwrap();
    let file = files(world).await.remove(0);
    assert_eq!((file.after_state.as_str(), file.detail.as_deref()), ("done", None), "it was done after all");
    assert_eq!(file.after_target, last.planned);
}

async fn what_is_done_afterwards_is_done_by_one(world: &World) {
    let workflow = world.save(MOVING, at(0)).await;
    for (name, end) in [("good", ExecutionStatus::Completed), ("bad", ExecutionStatus::Failed)] {
        let mut start = batch(world, &workflow, &[name]);
        let StartFrom::Files(versions) = &mut start.from else { panic!("it has files") };
        versions[0].has_after = true;
        world.store.start(start.clone()).await.unwrap();
        assert!(
            world.store.pending_afters(at(30), at(30)).await.unwrap().iter().all(|file| !file.path.ends_with(name))
        );
        world.store.record(world.running(&start, 0)).await.unwrap();
        world.store.record(world.ended(&start, 0, end)).await.unwrap();
    }
    let mut pending = world.store.pending_afters(at(30), at(30)).await.unwrap();
    pending.sort_by(|one, other| one.path.cmp(&other.path));
    assert_eq!((&pending[0].action, &pending[1].action), (&After::Delete, &After::Move("/data/done".to_owned())));
    assert_eq!((pending[0].folder.as_str(), pending[0].tells_deletions), ("/data/inbox", true));
    assert_eq!(pending[1].version.modified_at, at(5) + TimeDelta::microseconds(123_456));

    let plan = |number: usize, when| AfterPlan {
        id: pending[number].id,
        seen_at: pending[number].updated_at,
        target: Some("/data/done/good".to_owned()),
        own: vec![decision(world, workflow.watches[0].id, "moved", DecisionReason::DuplicateVersion)],
        at: when,
    };
    let first = world.store.plan_afters(vec![plan(0, at(40)), plan(1, at(40))]).await.unwrap();
    assert_eq!(first.len(), 2);
    assert!(world.store.plan_afters(vec![plan(1, at(41))]).await.unwrap().is_empty(), "somebody is at it");
    assert!(world.store.pending_afters(at(39), at(39)).await.unwrap().is_empty());
    let left = world.store.pending_afters(at(40), at(40)).await.unwrap();
    assert_eq!(left[0].planned.as_deref(), Some("/data/done/good"), "what was left long ago is taken up");

    let ended = |number: usize, end: AfterEnd| EndedAfter { id: pending[number].id, end, at: at(50) };
    let good = AfterEnd::Done(Some("/data/done/good".to_owned()));
    let all = vec![ended(0, AfterEnd::Failed("it has changed since".to_owned())), ended(1, good)];
    world.store.end_afters(all).await.unwrap();
    assert!(world.store.pending_afters(at(60), at(60)).await.unwrap().is_empty());
    let files = files(world).await;
    let states: Vec<_> = files
        .iter()
        .map(|file| {
            (file.filename.as_str(), file.after_state.as_str(), file.after_target.as_deref(), file.detail.as_deref())
        })
        .collect();
    assert_eq!(
        states,
        [
            ("bad", "failed", None, Some("it has changed since")),
            ("good", "done", Some("/data/done/good"), None),
            ("moved", "none", None, Some("be\u{fffd}cause")),
        ]
    );
}

async fn a_watch_is_stored_with_all_its_options(world: &World) {
    let text = MOVING
        .replace("path: inbox,", "path: inbox, poll: 90s, done_marker: _OK, batch: {max_files: 7, max_wait: 3s},");
    let workflow = world.save(&text, at(0)).await;
    let health = WatchHealth {
        healthy: true,
        has_events: Some(false),
        filesystem: Some("nfs4".to_owned()),
        scan_every_ms: Some(90_000),
        overflows: 3,
        limit_reached: true,
        last_error: Some(("lost".to_owned(), at(5))),
        ignored: 9,
        ..WatchHealth::default()
    };
    world.store.set_watch_health(workflow.watches[0].id, health).await.unwrap();
    let request = PageRequest::Forward { first: 5, after: None };
    let watch = world.store.watches(world.tenant, &TriggerFilter::default(), request).await.unwrap().items.remove(0);
    assert_eq!(watch.events, serde_json::json!(["created", "deleted"]));
    assert_eq!((watch.observe_mode.as_str(), watch.active_mode.as_deref()), ("poll", Some("poll")));
    assert_eq!((watch.filesystem.as_deref(), watch.scan_every_ms), (Some("nfs4"), Some(90_000)));
    assert_eq!((watch.done_marker.as_deref(), watch.batch_max_files, watch.batch_max_wait_ms), (Some("_OK"), 7, 3000));
    assert_eq!((watch.after_success.as_str(), watch.after_failure.as_str()), ("/data/done", "delete"));
    assert_eq!((watch.overflows, watch.limit_reached, watch.ignored), (3, true, 9));
    assert_eq!((watch.last_error.as_deref(), watch.last_error_at), (Some("lost"), Some(at(5))));
}
