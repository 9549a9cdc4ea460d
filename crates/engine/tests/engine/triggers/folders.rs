//! Workflow files that come, change, break, collide and go.

use std::fs;

use cogwheel_engine::{StartError, StartRequest};
use serde_json::Map;

use super::rig::Rig;

fn said(word: &str) -> String {
    format!("steps: [{{run: 'echo {word}'}}]\n")
}

fn named(name: &str, word: &str) -> String {
    format!("name: {name}\nsteps: [{{run: 'echo {word}'}}]\n")
}

fn source(rig: &Rig, name: &str) -> Option<String> {
    rig.store.tables().source(name).cloned()
}

async fn until_source(rig: &Rig, name: &str, expected: Option<String>) {
    let what = format!("{name} to be {expected:?}");
    rig.store.until(&what, |tables| (tables.source(name) == expected.as_ref()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_take_effect_while_it_runs() {
    let rig = Rig::new();
    rig.put("workflows/old.yaml", said("old"));
    let engine = rig.launch().await;
    assert_eq!(source(&rig, "old"), Some(said("old")), "read before the launch is over");

    rig.put("workflows/new.yml", said("one"));
    until_source(&rig, "new", Some(said("one"))).await;
    fs::write(rig.path("workflows/new.yml"), said("two")).unwrap();
    until_source(&rig, "new", Some(said("two"))).await;
    fs::remove_file(rig.path("workflows/old.yaml")).unwrap();
    until_source(&rig, "old", None).await;
    let manual = || StartRequest::manual("old", Map::new(), None);
    let mut refused = engine.start(manual()).await;
    while refused.is_ok() {
        refused = engine.start(manual()).await;
    }
    assert!(matches!(refused, Err(StartError::UnknownWorkflow { .. })), "{refused:?}");
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_unchanged_is_saved_again() {
    let rig = Rig::new();
    for number in 0..50 {
        rig.put(&format!("workflows/w{number}.yaml"), said("same"));
    }
    rig.launch().await.shut_down().await;
    assert_eq!(rig.store.tables().saves, 50);
    let engine = rig.launch().await;
    rig.put("workflows/w7.yaml", said("same"));
    rig.put("workflows/z.yaml", said("new"));
    until_source(&rig, "z", Some(said("new"))).await;
    assert_eq!(rig.store.tables().saves, 51);
    assert!(engine.start(StartRequest::manual("w7", Map::new(), None)).await.is_ok());
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_leaves_the_last_good_version_over_restarts() {
    let rig = Rig::new();
    rig.put("workflows/a.yaml", said("good"));
    let engine = rig.launch().await;
    rig.put("workflows/a.yaml", "steps:\n  - run: x\n    retries: 3\n");
    let broken = rig.file(&engine, "a.yaml", |file| !file.problems.is_empty()).await;
    let check = |broken: &cogwheel_engine::WorkflowFile| {
        assert_eq!((broken.problems[0].line, broken.problems[0].column), (3, 5));
        assert_eq!(broken.workflow.as_deref(), Some("a"));
    };
    check(&broken);
    engine.shut_down().await;

    let engine = rig.launch().await;
    check(&rig.file(&engine, "a.yaml", |_| true).await);
    assert_eq!(source(&rig, "a"), Some(said("good")));
    assert!(engine.start(StartRequest::manual("a", Map::new(), None)).await.is_ok());
    rig.put("workflows/a.yaml", said("mended"));
    until_source(&rig, "a", Some(said("mended"))).await;
    rig.file(&engine, "a.yaml", |file| file.problems.is_empty()).await;
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_files_that_define_one_workflow_the_first_counts() {
    let rig = Rig::new();
    rig.put("workflows/a.yaml", named("twin", "a"));
    rig.put("workflows/b.yaml", named("twin", "b"));
    let engine = rig.launch().await;
    let second = rig.file(&engine, "b.yaml", |_| true).await;
    assert_eq!(second.problems[0].code, "COG0202");
    assert!(second.problems[0].message.contains("a.yaml"), "{second:?}");
    assert_eq!(source(&rig, "twin"), Some(named("twin", "a")));

    rig.put("workflows/b.yaml", named("twin", "b2"));
    rig.put("workflows/c.yaml", said("c"));
    until_source(&rig, "c", Some(said("c"))).await;
    assert_eq!(source(&rig, "twin"), Some(named("twin", "a")), "nothing flips");

    rig.put("workflows/a.yaml", named("other", "a"));
    until_source(&rig, "other", Some(named("other", "a"))).await;
    until_source(&rig, "twin", Some(named("twin", "b2"))).await;
    rig.put("workflows/a.yaml", named("twin", "a"));
    until_source(&rig, "twin", Some(named("twin", "a"))).await;
    until_source(&rig, "other", None).await;
    fs::remove_file(rig.path("workflows/a.yaml")).unwrap();
    until_source(&rig, "twin", Some(named("twin", "b2"))).await;
    rig.file(&engine, "b.yaml", |file| file.problems.is_empty()).await;
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_read_removes_nothing() {
    let rig = Rig::new();
    rig.put("workflows/a.yaml", said("a"));
    rig.put("workflows/b.yaml", said("b"));
    rig.launch().await.shut_down().await;
    fs::rename(rig.path("workflows"), rig.path("away")).unwrap();

    let engine = rig.launch().await;
    let folder = rig.file(&engine, "workflows", |_| true).await;
    assert_eq!(folder.problems[0].code, "COG0201");
    assert!(engine.start(StartRequest::manual("a", Map::new(), None)).await.is_ok());
    fs::remove_file(rig.path("away/b.yaml")).unwrap();
    fs::rename(rig.path("away"), rig.path("workflows")).unwrap();
    until_source(&rig, "b", None).await;
    assert_eq!(source(&rig, "a"), Some(said("a")));
    rig.put("workflows/c.yaml", said("c"));
    until_source(&rig, "c", Some(said("c"))).await;
    engine.shut_down().await;
}
