//! What the database itself does: time stamps, refused updates, ranks, search.

use sea_orm_migration::sea_orm::{ConnectionTrait as _, DatabaseConnection};

use super::all_tables;
use super::database::{Place, on_both};
use super::rows::{Family, number};

on_both! {
    every_table_keeps_its_time_stamp
    immutable_rows_refuse_updates
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
        runs(&db, &format!("delete from {table}")).await;
    }
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
