//! Rows written as SQL are read as models, and models are written as the schema says.

use cogwheel_entity::{usage_records, workflow_executions};
use sea_orm_migration::sea_orm::prelude::Decimal;
use sea_orm_migration::sea_orm::{
    ActiveModelTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _, Set, Statement,
};

use super::all_tables;
use super::database::{Place, on_both};
use super::rows::{Family, number};

on_both! {
    every_entity_reads_its_row
    models_are_written_as_declared
}

async fn every_entity_reads_its_row(place: Place) {
    let db = place.connect().await;
    crate::up(&db).await.unwrap();
    Family(1).insert(&db, &all_tables()).await;
    macro_rules! read {
        ($($table:ident)*) => {
            $(
                let row = cogwheel_entity::$table::Entity::find().one(&db).await;
                row.unwrap_or_else(|error| panic!("{}: {error}", stringify!($table))).unwrap();
            )*
        };
    }
    read! {
        migration_log
        tenants
        users
        user_identities
        user_sessions
        roles
        memberships
        encryption_keys
        api_keys
        audit_log
        api_usage_logs
        usage_records
        rate_limit_windows
        nodes
        leases
        organizations
        branches
        departments
        projects
        teams
        team_members
        user_assignments
        workflow_templates
        workflows
        workflow_versions
        variables
        secrets
        schedules
        file_watches
        workflow_executions
        schedule_fires
        step_executions
        execution_logs
        signals
        artifacts
        files
        execution_files
        resource_grants
        event_store
        event_consumers
        event_dead_letters
        saga_instances
        saga_timeouts
        saga_compensations
        saga_snapshots
        engine_rubrics
        agents
        job_flows
        agent_executions
        hitl_approvals
        hitl_approval_votes
        webhooks
        webhook_deliveries
        inbound_endpoints
        notifications
    }
}

async fn models_are_written_as_declared(place: Place) {
    let db = place.connect().await;
    crate::up(&db).await.unwrap();
    Family(1).insert(&db, &all_tables()).await;

    let mut record = usage_records::Entity::find().one(&db).await.unwrap().unwrap().into_active_model();
    record.cost = Set(Decimal::new(123_456_789, 4));
    let record = record.update(&db).await.unwrap();
    assert_eq!(record.cost, Decimal::new(123_456_789, 4));

    let execution = workflow_executions::Entity::find().one(&db).await.unwrap().unwrap();
    let started = execution.created_at + std::time::Duration::from_micros(1_500);
    let mut copy = execution.into_active_model().reset_all();
    copy.id = Set(Family(2).id("workflow_executions"));
    copy.started_at = Set(Some(started));
    copy.priority_rank.take();
    let copy = copy.insert(&db).await.unwrap();
    assert_eq!(copy.started_at, Some(started));
    assert_eq!(copy.priority_rank, 1);
    if db.get_database_backend() == sea_orm_migration::sea_orm::DbBackend::Sqlite {
        let sql = "select started_at from workflow_executions where started_at is not null";
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
        let text: String = row.unwrap().try_get("", "started_at").unwrap();
        assert_eq!(text, "2026-01-01T00:00:00.001500+00:00");
        assert_eq!(number(&db, "select length(id) as n from workflow_executions limit 1").await, 16);
    }
}
