//! What has ended costs nothing when a server starts.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::databases::Template;

#[tokio::test]
async fn live_executions_are_found_without_reading_history() {
    let template = Template::sqlite().await;
    let copy = template.copy().await;
    let db = copy.open().await;
    let live = "explain query plan select id from workflow_executions where status = 'queued' union all \
                select id from workflow_executions where status in ('running', 'waiting', 'compensating')";
    let plan = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, live)).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
    db.close().await.unwrap();
    for index in ["idx_workflow_executions_claim", "idx_workflow_executions_live"] {
        assert!(plan.iter().any(|line| line.contains(index)), "{plan:?}");
    }
}
