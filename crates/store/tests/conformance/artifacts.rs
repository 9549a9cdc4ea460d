//! Bytes that executions put out: recorded with what put them out, and found through it.

use cogwheel_engine::ports::{ArtifactKind, BlobKey, NewArtifact, Reads, Store};
use cogwheel_machine::StepStatus;
use serde_json::json;
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at, step};

on_both! {
    artifacts_are_recorded_with_their_step_and_found_through_it
    one_of_the_same_name_takes_the_place_of_the_earlier_one
    an_offloaded_output_is_marked_and_referred_to
    what_a_new_execution_keeps_is_referred_to_anew
    a_refused_record_leaves_no_artifact
}

fn artifact(ordinal: i32, name: &str, byte: u8) -> NewArtifact {
    NewArtifact {
        id: Uuid::now_v7(),
        step_ordinal: Some(ordinal),
        name: name.to_owned(),
        kind: ArtifactKind::Artifact,
        storage_key: BlobKey::of_hash([byte; 32]),
        mime_type: "text/csv".to_owned(),
        size: 5_000_000_000,
    }
}

fn output(ordinal: i32, byte: u8) -> NewArtifact {
    NewArtifact { kind: ArtifactKind::StepOutput, ..artifact(ordinal, &format!("step-{ordinal}"), byte) }
}

async fn artifacts_are_recorded_with_their_step_and_found_through_it(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (start, other) = (world.started(&workflow).await, world.started(&workflow).await);
    let mut record = world.running(&start, 0);
    record.steps = vec![step(0, StepStatus::Completed), step(1, StepStatus::Completed)];
    record.artifacts = vec![artifact(1, "step-1/b", 2), artifact(1, "step-1/ä/a", 1), artifact(0, "step-0/x", 3)];
    world.store.record(record.clone()).await.unwrap();
    world.store.record(record.clone()).await.unwrap();
    let ids = [(start.row.id, 1), (other.row.id, 0), (start.row.id, 7)];
    let found = world.store.artifacts_of_steps(world.tenant, &ids).await.unwrap();
    assert_eq!(found.len(), 1);
    let mut names: Vec<_> = found[&ids[0]].iter().map(|artifact| artifact.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["step-1/b", "step-1/ä/a"]);
    let b = found[&ids[0]].iter().find(|artifact| artifact.name == "step-1/b").unwrap();
    assert_eq!((b.id, b.size, b.mime_type.as_str()), (record.artifacts[0].id, 5_000_000_000, "text/csv"));
    assert_eq!((b.storage_key.as_str(), &b.sha256), ("02".repeat(32).as_str(), &b.storage_key));
    let by_id = world.store.artifacts_by_id(world.tenant, &[b.id, Uuid::nil()]).await.unwrap();
    assert_eq!((by_id.len(), by_id[0].execution), (1, start.row.id));
}

async fn one_of_the_same_name_takes_the_place_of_the_earlier_one(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    for byte in [1, 2] {
        let mut record = world.running(&start, 0);
        record.artifacts = vec![artifact(0, "step-0/a", byte)];
        world.store.record(record).await.unwrap();
    }
    let step = (start.row.id, 0);
    let found = &world.store.artifacts_of_steps(world.tenant, &[step]).await.unwrap()[&step];
    assert_eq!((found.len(), found[0].storage_key.as_str()), (1, "02".repeat(32).as_str()));
}

async fn an_offloaded_output_is_marked_and_referred_to(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let mut record = world.running(&start, 0);
    let mut offloaded = step(0, StepStatus::Completed);
    offloaded.state.output = Some(json!({"$blob": "07", "size": 3}));
    offloaded.offloaded = Some(output(0, 7));
    record.steps = vec![offloaded, step(1, StepStatus::Completed)];
    world.store.record(record).await.unwrap();
    assert_eq!(world.number("select count(*) from step_executions where is_output_offloaded").await, 1);
    assert_eq!(world.number("select count(*) from artifacts where artifact_kind = 'step_output'").await, 1);
    let found = world.store.artifacts_of_steps(world.tenant, &[(start.row.id, 0)]).await.unwrap();
    assert!(found.is_empty(), "an output is shown as the step's output");
    let stored = world.store.execution(world.tenant, start.row.id).await.unwrap().unwrap();
    assert_eq!(stored.steps[0].output, Some(json!({"$blob": "07", "size": 3})));
}

async fn what_a_new_execution_keeps_is_referred_to_anew(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut start = world.request(&workflow, at(1));
    let mut kept = step(0, StepStatus::Completed);
    kept.offloaded = Some(output(0, 7));
    start.kept = vec![kept];
    world.store.start(start).await.unwrap();
    assert_eq!(world.number("select count(*) from artifacts where artifact_kind = 'step_output'").await, 1);
    assert_eq!(world.number("select count(*) from step_executions where is_output_offloaded").await, 1);
}

async fn a_refused_record_leaves_no_artifact(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let mut stale = world.running(&start, 1);
    stale.artifacts = vec![artifact(0, "step-0/a", 1)];
    world.store.record(stale).await.unwrap_err();
    assert_eq!(world.number("select count(*) from artifacts").await, 0);
}
