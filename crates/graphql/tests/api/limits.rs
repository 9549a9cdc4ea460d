//! What one request may ask for.

use crate::fake::Fake;

async fn refused(query: &str) -> String {
    let fake = Fake::with(1, 1);
    let (code, message) = fake.error(query).await;
    assert_eq!(code, "TOO_COMPLEX", "{message}");
    assert!(fake.take_calls().is_empty(), "nothing is read for a query over a limit");
    message
}

#[tokio::test]
async fn the_two_calls_that_every_client_makes_are_within_the_limits() {
    let query = "query { workflowExecutions(first: 50, filter: {workflow: \"w0\", status: [COMPLETED]}) {
        totalCount pageInfo { hasNextPage endCursor }
        nodes { id status triggerType startedAt completedAt executionTimeMs result error
          steps(first: 100) { nodes { ordinal stepKey stepType status attempt output error } } } } }";
    let data = Fake::with(1, 1).data(query).await;
    assert_eq!(data["workflowExecutions"]["nodes"][0]["steps"]["nodes"][1]["stepKey"], "s1");
}

#[tokio::test]
async fn depth_is_limited() {
    let deep = "{ workflow(name: \"w0\") { ".to_owned()
        + &"executions { nodes { workflow { ".repeat(8)
        + "name"
        + &" } } }".repeat(8)
        + " } }";
    assert!(refused(&deep).await.contains("depth limit of 20"));
}

#[tokio::test]
async fn complexity_counts_every_row_of_every_page() {
    let query = "{ workflows(first: 100) { nodes { executions(first: 100) { nodes { steps(first: 100) { nodes { id } } } } } } }";
    assert!(refused(query).await.contains("complexity limit of 200000"));
}

#[tokio::test]
async fn aliases_count_like_the_fields_they_rename() {
    let lists =
        (0..2_000).map(|i| format!("a{i}: workflows(first: 1) {{ nodes {{ id }} }}")).collect::<Vec<_>>().join(" ");
    assert!(refused(&format!("{{ {lists} }}")).await.contains("selected fields"));
    let list = |i| format!("a{i}: workflows(first: 100) {{ nodes {{ id name }} }}");
    let lists = (0..1_000).map(list).collect::<Vec<_>>().join(" ");
    assert!(refused(&format!("{{ {lists} }}")).await.contains("complexity limit"));
}

#[tokio::test]
async fn brackets_without_end_do_not_reach_the_parser() {
    assert!(refused(&"{a".repeat(400_000)).await.contains("128 brackets"));
}

#[tokio::test]
async fn too_many_directives_are_refused() {
    let query = format!("{{ viewer {} {{ kind }} }}", "@skip(if: false) ".repeat(5));
    assert!(refused(&query).await.contains("4 directives"));
}
