//! Indexes that are gone or changed are missed by the queries that rely on them.

use cogwheel_store::verify::{DeclaredQuery, Options};

use super::fault::{Fault, all_are_named_together, run};
use crate::databases::Template;

/// A query that no index serves, beside two that one does.
fn options() -> Options {
    let query = |name, sqlite: &str, postgres: &str, index| {
        let (sqlite, postgres) = (sqlite.to_owned(), postgres.to_owned());
        DeclaredQuery { name, table: "workflows", sqlite, postgres, index }
    };
    let by_name = query(
        "workflow_by_name",
        "select id from workflows where tenant_id = ? and name = ? and deleted_at is null",
        "select id from workflows where tenant_id = $1 and name = $2 and deleted_at is null",
        "uq_workflows_tenant_id_name",
    );
    let by_origin = query(
        "workflow_by_origin",
        "select id from workflows where origin_path = ?",
        "select id from workflows where origin_path = $1",
        "idx_workflows_created_at",
    );
    let broken =
        query("broken", "select nothing from workflows", "select nothing from workflows", "idx_workflows_created_at");
    Options { data: false, plans: true, queries: vec![by_name, by_origin, broken] }
}

#[tokio::test]
async fn an_index_that_sqlite_stops_using_is_named() {
    let mut faults = shared();
    faults.push(run(
        "drop index idx_workflow_executions_queue; create index idx_workflow_executions_queue on workflow_executions (priority_rank, id) where owner_node_id is null and status = 'queued' and concurrency_key is null",
        ("index_not_used", "workflow_executions", "idx_workflow_executions_queue"),
    ));
    all_are_named_together(&Template::sqlite().await, options(), &faults).await;
}

#[tokio::test]
async fn an_index_that_postgres_stops_using_is_named() {
    let mut faults = shared();
    faults.push(
        run(
            "alter table leases alter column lease_name type integer using 0",
            ("index_not_used", "leases", "uq_leases_lease_name"),
        )
        .saying("takes no rows of the declared form"),
    );
    all_are_named_together(&Template::postgres().await, options(), &faults).await;
}

fn shared() -> Vec<Fault> {
    vec![
        run("drop index idx_workflows_status", ("index_not_used", "workflows", "idx_workflows_status"))
            .saying("does not exist"),
        run("drop index idx_files_file_hash", ("index_not_used", "files", "idx_files_file_hash")),
        run("drop index idx_workflows_department_id", ("index_not_used", "workflows", "fk_workflows_department_id"))
            .saying("reads the whole table"),
        run("select 1", ("index_not_used", "workflows", "workflow_by_origin")),
        run("select 1", ("index_not_used", "workflows", "broken")).saying("cannot be planned"),
        run("drop index uq_workflows_tenant_id_name", ("index_not_used", "workflows", "workflow_by_name")),
    ]
}
