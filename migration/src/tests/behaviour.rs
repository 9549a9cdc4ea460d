//! What the database itself does: time stamps, refused updates, ranks, search.

use sea_orm_migration::sea_orm::{ConnectionTrait as _, DatabaseConnection};

use super::all_tables;
use super::database::{Place, on_both};
use super::rows::{Family, number};

on_both! {
    every_table_keeps_its_time_stamp
    immutable_rows_refuse_updates
    events_are_removed_by_retention_alone
    recorded_events_are_chained
    final_rows_keep_their_end
    words_are_checked_and_ranked
    files_are_found_by_their_words
}

const IMMUTABLE: [&str; 5] = ["migration_log", "audit_log", "event_store", "execution_logs", "saga_snapshots"];

async fn populated(place: Place) -> DatabaseConnection {
    let db = place.connect().await;
    crate::up(&db).await.unwrap();
    Family(1).insert(&db, &all_tables()).await;
    db
}

async fn runs(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn is_refused(db: &DatabaseConnection, sql: &str) {
    assert!(db.execute_unprepared(sql).await.is_err(), "{sql} was not refused");
}

async fn every_table_keeps_its_time_stamp(place: Place) {
    let db = populated(place).await;
    for table in all_tables() {
        let name = table.name;
        if IMMUTABLE.contains(&name.as_str()) {
            continue;
        }
        runs(&db, &format!("update {name} set created_at = created_at")).await;
        let moved = format!("select count(*) as n from {name} where updated_at > '2026-01-02T00:00:00+00:00'");
        let frozen = number(&db, &moved).await == 0;
        assert!(!frozen, "{name} kept its updated_at");
        let own = format!("update {name} set updated_at = '2026-01-03T00:00:00+00:00'");
        runs(&db, &own).await;
        let kept = format!("select count(*) as n from {name} where updated_at = '2026-01-03T00:00:00+00:00'");
        assert_eq!(number(&db, &kept).await, 1, "{name} overwrote the value of the statement");
    }
}

async fn immutable_rows_refuse_updates(place: Place) {
    let db = populated(place).await;
    runs(&db, "delete from event_dead_letters").await;
    for table in IMMUTABLE {
        is_refused(&db, &format!("update {table} set created_at = created_at")).await;
        if table != "event_store" {
            runs(&db, &format!("delete from {table}")).await;
        }
    }
}

async fn events_are_removed_by_retention_alone(place: Place) {
    let db = populated(place).await;
    runs(&db, "delete from event_dead_letters").await;
    is_refused(&db, "delete from event_store").await;
    if crate::step::backend(&db).unwrap() == cogwheel_schema::Backend::Postgres {
        is_refused(&db, "truncate event_store cascade").await;
    }
    runs(&db, "update leases set lease_name = 'event-retention'").await;
    runs(&db, "delete from event_store").await;
}

/// What stood before events were chained is chained, as it would have been.
async fn recorded_events_are_chained(place: Place) {
    let db = place.connect().await;
    let steps = super::steps();
    let chained = steps.iter().position(|step| step.name().ends_with("_event_chain")).unwrap();
    crate::run::up(&db, &steps[..chained]).await.unwrap();
    Family(1).insert(&db, &super::tables_of(&steps[..chained])).await;
    let tenant = super::rows::uuid(Family(1).id("tenants"), crate::step::backend(&db).unwrap());
    for (stream, version) in [("b", 1), ("a", 1), ("b", 2), ("a", 2), ("a", 3)] {
        let id = super::rows::uuid(uuid::Uuid::now_v7(), crate::step::backend(&db).unwrap());
        let event = format!(
            "insert into event_store (id, tenant_id, stream_id, version, position, event_type, aggregate_type, event_data)
             select {id}, {tenant}, '{stream}', {version}, max(position) + 1, 'e', 'x', '{{\"n\": 1.50}}' from event_store"
        );
        runs(&db, &event).await;
    }
    let untouched = "select count(*) as n from event_store where updated_at > created_at";
    let before = number(&db, untouched).await;
    crate::run::up(&db, &steps[..=chained]).await.unwrap();
    assert_eq!(number(&db, "select count(distinct hash) as n from event_store where length(hash) = 64").await, 6);
    assert_eq!(number(&db, untouched).await, before);
    is_refused(&db, "update event_store set hash = 'x'").await;
    is_refused(&db, "delete from event_store").await;
}

async fn final_rows_keep_their_end(place: Place) {
    let db = populated(place).await;
    is_refused(&db, "update workflow_versions set source_text = 'other'").await;
    is_refused(&db, "update workflow_versions set tenant_id = id").await;
    runs(&db, "update workflow_versions set is_active = true").await;
    runs(&db, "update workflow_versions set created_by_user_id = null").await;

    let ended = "update workflow_executions set status = 'completed', completed_at = created_at";
    runs(&db, ended).await;
    is_refused(&db, "update workflow_executions set status = 'running', completed_at = null").await;
    is_refused(&db, "update workflow_executions set result_data = '{}'").await;
    runs(&db, "update workflow_executions set triggered_by_user_id = null").await;

    runs(&db, "update saga_instances set cause = 'operator', status = 'compensating'").await;
    is_refused(&db, "update saga_instances set cause = 'parent'").await;
    runs(&db, "update saga_instances set current_step = 1").await;
}

async fn words_are_checked_and_ranked(place: Place) {
    let db = populated(place).await;
    is_refused(&db, "update workflow_executions set priority = 'urgent'").await;
    runs(&db, "update workflow_executions set priority = 'critical'").await;
    assert_eq!(number(&db, "select cast(priority_rank as bigint) as n from workflow_executions").await, 3);
    is_refused(&db, "update workflows set labels = 'no json'").await;
    is_refused(&db, "update resource_grants set user_id = null").await;
}

async fn files_are_found_by_their_words(place: Place) {
    let db = populated(place).await;
    let (by_word, by_part) = match crate::step::backend(&db).unwrap() {
        cogwheel_schema::Backend::Sqlite => (
            "select count(*) as n from files_fts where files_fts match 'WORD'",
            "select count(*) as n from files_filename_fts where files_filename_fts match 'eport'",
        ),
        cogwheel_schema::Backend::Postgres => (
            "select count(*) as n from files where search_vector @@ to_tsquery('simple', 'WORD')",
            "select count(*) as n from files where filename like '%eport%'",
        ),
    };
    assert_eq!(number(&db, &by_word.replace("WORD", "quarterly")).await, 1);
    runs(&db, "update files set extracted_content = 'yearly sums', filename = 'report.csv'").await;
    assert_eq!(number(&db, &by_word.replace("WORD", "quarterly")).await, 0);
    assert_eq!(number(&db, &by_word.replace("WORD", "yearly")).await, 1);
    assert_eq!(number(&db, by_part).await, 1);
    runs(&db, "delete from files").await;
    assert_eq!(number(&db, &by_word.replace("WORD", "yearly")).await, 0);
}
