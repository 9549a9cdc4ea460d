//! Files that steps left, and outputs that are too large for their rows.

use cogwheel_engine::ExecutionStatus;
use cogwheel_engine::views::ArtifactView;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fake::{Fake, at};

const KEY: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// An execution with two steps, of which the second one left files of these sizes.
fn with_files(sizes: &[i64]) -> Fake {
    let fake = Fake::default();
    let workflow = fake.add_workflow("import");
    let execution = fake.add_execution(workflow, ExecutionStatus::Completed);
    fake.add_steps(execution, 2);
    fake.rows(|rows| {
        for (number, size) in (0_u8..).zip(sizes) {
            rows.artifacts.push(ArtifactView {
                id: Uuid::from_u128(0x70_0000 + u128::from(number)),
                execution,
                step_ordinal: Some(1),
                name: format!("s1/out/{number}.csv"),
                storage_key: KEY.to_owned(),
                mime_type: "text/csv".to_owned(),
                size: *size,
                sha256: KEY.to_owned(),
                created_at: at(7),
            });
        }
    });
    fake
}

#[tokio::test]
async fn the_files_of_steps_are_listed_in_one_read_and_found_by_their_id() {
    let fake = with_files(&[5, 7]);
    fake.rows(|rows| rows.blobs.insert(KEY.to_owned(), b"hello".to_vec()));
    let steps = "{ workflowExecutions(first: 1) { nodes { steps(first: 2) { nodes {
        stepKey artifacts { id name mimeType size sha256 content step { stepKey } } } } } } }";
    let data = fake.data(steps).await;
    let steps = &data["workflowExecutions"]["nodes"][0]["steps"]["nodes"];
    assert_eq!(steps[0]["artifacts"], json!([]));
    let artifact = &steps[1]["artifacts"][0];
    assert_eq!(steps[1]["artifacts"].as_array().map(Vec::len), Some(2));
    let expected = json!({"id": artifact["id"], "name": "s1/out/0.csv", "mimeType": "text/csv", "size": 5, "sha256": KEY,
        "content": "aGVsbG8=", "step": {"stepKey": "s1"}});
    assert_eq!(*artifact, expected);
    assert_eq!(fake.take_calls().iter().filter(|call| **call == "artifacts_of_steps").count(), 1);

    let id = artifact["id"].as_str().expect("an id").to_owned();
    let data = fake.data(&format!("{{ node(id: \"{id}\") {{ ... on Artifact {{ name }} }} }}")).await;
    assert_eq!(data["node"]["name"], "s1/out/0.csv");
}

#[tokio::test]
async fn a_large_file_is_no_part_of_an_answer_and_a_lost_one_is_our_fault() {
    let query = "{ workflowExecutions(first: 1) { nodes { steps(first: 2) { nodes { artifacts { content } } } } } }";
    let (code, message) = with_files(&[2_000_000]).error(query).await;
    assert_eq!(code, "BAD_USER_INPUT");
    assert!(message.contains("2000000 bytes") && message.contains("1048576"), "{message}");
    let (code, message) = with_files(&[5]).error(query).await;
    assert!(code == "INTERNAL" && !message.contains(KEY), "{message}");
}

#[tokio::test]
async fn an_output_that_is_kept_elsewhere_is_shown_whole() {
    let fake = with_files(&[]);
    let whole = json!({"rows": "x".repeat(1000)});
    let stored = json!({"$blob": KEY, "size": 1011});
    fake.rows(|rows| {
        rows.blobs.insert(KEY.to_owned(), whole.to_string().into_bytes());
        rows.steps[0].output = Some(stored.clone());
        rows.executions[0].result = Some(stored);
    });
    let data = fake.data("{ workflowExecutions(first: 1) { nodes { result steps { nodes { output } } } } }").await;
    let execution: &Value = &data["workflowExecutions"]["nodes"][0];
    assert_eq!(execution["result"], whole);
    assert_eq!(execution["steps"]["nodes"][0]["output"], whole);
    assert_eq!(execution["steps"]["nodes"][1]["output"], json!({"ok": true}));
}

#[tokio::test]
async fn an_answer_carries_no_more_than_fits_into_memory() {
    let fake = with_files(&[]);
    fake.rows(|rows| {
        rows.blobs.insert(KEY.to_owned(), b"7".to_vec());
        for step in &mut rows.steps {
            step.output = Some(json!({"$blob": KEY, "size": 40 * 1024 * 1024}));
        }
    });
    let steps = |count| {
        format!("{{ workflowExecutions(first: 1) {{ nodes {{ steps(first: {count}) {{ nodes {{ output }} }} }} }} }}")
    };
    fake.data(&steps(1)).await;
    let (code, message) = fake.error(&steps(2)).await;
    assert!(code == "TOO_COMPLEX" && message.contains("ask for fewer"), "{message}");
}
