//! Stored workflows: their texts are read when somebody needs them.

use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::parse;
use cogwheel_engine::ports::{Notice, SaveWorkflow, SavedTriggers, Store, WatchFolders, WorkflowRecord};
use cogwheel_engine::{Engine, StartError, StartRequest, StartedExecution, TenantId, VersionId, WorkflowRef};
use serde_json::Map;
use uuid::Uuid;

use super::rig::Rig;

const PLAIN: &str = "steps: [{run: x}]\n";
const WATCHING: &str = "on: {file: {id: drop, path: inbox}}\nsteps: [{run: x}]\n";
const EVERY_SECOND: &str = "on: {schedule: {id: often, cron: '* * * * * *'}}\nsteps: [{run: x}]\n";
const UNREADABLE: &str = "steps:\n  - run: x\n    retries: 3\n";
const UNREADABLE_SHA256: &str = "93bf301f375c70ac5922713f93e5e42b76d1f75e63d232dbefcd32a9d89a0869";

/// Saves a workflow as another program would.
async fn save(rig: &Rig, name: &str, text: &str) -> WorkflowRecord {
    let workflow = parse(text.as_bytes(), name).expect("a good text");
    let triggers = SavedTriggers {
        next_due: workflow.triggers.schedules.iter().map(|schedule| (schedule.key.clone(), None)).collect(),
        locations: workflow
            .triggers
            .files
            .iter()
            .filter_map(|file| {
                let watched = file.source.folder()?.to_owned();
                Some((file.key.clone(), WatchFolders { watched, success: None, failure: None }))
            })
            .collect(),
    };
    let (tenant, at) = (TenantId(Uuid::from_u128(1)), rig.clock.now());
    let source = text.to_owned();
    let save = SaveWorkflow { tenant, workflow, source, checksum: text.to_owned(), origin_path: None, triggers, at };
    rig.store.save_workflow(save).await.expect("it is saved")
}

/// Makes the stored text of a workflow, and the one of its file, one that only an older release could read.
fn spoil(rig: &Rig, name: &str) {
    rig.store.change(|tables| {
        let record = tables.workflows.get_mut(name).expect("it is stored");
        UNREADABLE_SHA256.clone_into(&mut record.checksum);
        let version = record.version_id;
        tables.sources.insert(version, UNREADABLE.to_owned());
    });
    rig.put(&format!("workflows/{name}.yaml"), UNREADABLE);
}

async fn start(engine: &Arc<Engine>, name: &str) -> Result<StartedExecution, StartError> {
    engine.start(StartRequest::manual(name, Map::new(), None)).await
}

fn reads(rig: &Rig) -> Vec<VersionId> {
    rig.store.tables().sources_read.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_that_nobody_uses() {
    let rig = Rig::new();
    for number in 0..600 {
        save(&rig, &format!("plain-{number}"), PLAIN).await;
    }
    let mut needed =
        vec![save(&rig, "watching", WATCHING).await.version_id, save(&rig, "often", EVERY_SECOND).await.version_id];
    let engine = rig.launch().await;
    needed.sort_unstable_by_key(|version| version.0);
    let mut read = reads(&rig);
    read.sort_unstable_by_key(|version| version.0);
    assert_eq!(read, needed, "what has triggers is read at the start, once");

    rig.store.until("a due instant", |tables| tables.starts.first().map(drop)).await;
    rig.put("inbox/a.txt", "a");
    rig.store.until("a file", |tables| tables.files.first().map(drop)).await;
    for _ in 0..3 {
        start(&engine, "plain-7").await.unwrap();
    }
    let (version, id) = {
        let tables = rig.store.tables();
        let record = &tables.workflows["plain-7"];
        (record.version_id, record.id)
    };
    let by_id = StartRequest { workflow: WorkflowRef::Id(id), ..StartRequest::manual("", Map::new(), None) };
    engine.start(by_id).await.unwrap();
    assert_eq!(reads(&rig)[needed.len()..], [version], "read at the first start, shared afterwards");
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_files_are_not_read_anew() {
    let rig = Rig::new();
    rig.put("workflows/a.yaml", PLAIN);
    rig.put("workflows/b.yaml", PLAIN);
    rig.launch().await.shut_down().await;
    rig.put("workflows/b.yaml", "steps: [{run: y}]\n");
    let engine = rig.launch().await;
    assert!(reads(&rig).is_empty());
    assert_eq!(engine.workflow_files().len(), 2);
    start(&engine, "b").await.unwrap();
    assert!(reads(&rig).is_empty(), "the changed one was read from its file");
    start(&engine, "a").await.unwrap();
    assert_eq!(reads(&rig), [rig.store.tables().workflows["a"].version_id]);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_text_that_cannot_be_read_any_more_is_shown_when_it_is_needed() {
    let rig = Rig::new();
    rig.put("workflows/plain.yaml", PLAIN);
    rig.put("workflows/often.yaml", EVERY_SECOND);
    rig.launch().await.shut_down().await;
    spoil(&rig, "plain");
    spoil(&rig, "often");

    let engine = rig.launch().await;
    let files = engine.workflow_files();
    assert_eq!((files[0].workflow.as_deref(), files[0].problems[0].line), (Some("often"), 3), "needed at the start");
    for name in ["plain", "plain", "often"] {
        let Err(StartError::NotExecutable { reason, .. }) = start(&engine, name).await else { panic!("it started") };
        assert!(reason.contains("cannot be read by this release: 3:5: COG0101"), "{reason}");
    }
    let shown = rig.file(&engine, "plain.yaml", |file| !file.problems.is_empty()).await;
    assert_eq!((shown.problems[0].line, shown.workflow.as_deref()), (3, Some("plain")));
    assert_eq!(reads(&rig).len(), 2, "each once");

    rig.put("workflows/plain.yaml", "steps: [{run: mended}]\n");
    rig.file(&engine, "plain.yaml", |file| file.problems.is_empty()).await;
    start(&engine, "plain").await.unwrap();
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_nodes_change_is_taken_over() {
    let rig = Rig { lease: Some(Duration::from_mins(1)), ..Rig::new() };
    let engine = rig.launch().await;
    let teller = rig.store.until("a listener", |tables| tables.teller.clone()).await;
    let tell = || async {
        teller.send(Notice::Workflows).await.unwrap();
    };
    let answer = |expected: fn(&Result<StartedExecution, StartError>) -> bool| {
        let engine = Arc::clone(&engine);
        async move {
            while !expected(&start(&engine, "other").await) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    };
    let pause = |is_enabled| {
        rig.store.change(|tables| tables.workflows.get_mut("other").expect("it is stored").is_enabled = is_enabled);
    };

    let first = save(&rig, "other", PLAIN).await.version_id;
    tell().await;
    answer(Result::is_ok).await;
    pause(false);
    tell().await;
    answer(|answer| matches!(answer, Err(StartError::NotExecutable { .. }))).await;
    pause(true);
    tell().await;
    answer(Result::is_ok).await;
    assert_eq!(reads(&rig), [first]);

    let second = save(&rig, "other", EVERY_SECOND).await;
    tell().await;
    rig.store.until("a due instant", |tables| tables.fires.first().map(drop)).await;
    assert_eq!(reads(&rig), [first, second.version_id]);
    rig.store.remove_workflow(second.id, rig.clock.now()).await.unwrap();
    tell().await;
    answer(|answer| matches!(answer, Err(StartError::UnknownWorkflow { .. }))).await;
    engine.shut_down().await;
}
