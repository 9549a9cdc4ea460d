//! Row-level security of PostgreSQL: a request sees its tenant, the engine sees all, nobody else anything.

use cogwheel_schema::{Backend, Shape};
use sea_orm_migration::sea_orm::{ConnectionTrait as _, DatabaseTransaction, TransactionTrait as _};

use super::all_tables;
use super::database::{Place, on_postgres};
use super::rows::{Family, count, number, uuid};

const TENANT: Family = Family(1);
const STRANGER: Family = Family(2);

async fn act_as(tx: &DatabaseTransaction, role: &str, tenant: Option<Family>) {
    tx.execute_unprepared(&format!("set local role {role}")).await.unwrap();
    if let Some(tenant) = tenant {
        let id = tenant.id("tenants");
        tx.execute_unprepared(&format!("set local cogwheel.tenant_id = '{id}'")).await.unwrap();
    }
}

async fn roles_see_what_they_may(place: Place) {
    let db = place.connect().await;
    crate::up(&db).await.unwrap();
    let tables = all_tables();
    TENANT.insert(&db, &tables).await;
    STRANGER.insert(&db, &tables).await;
    let owned: Vec<_> = tables.iter().filter(|table| table.shape != Shape::Global).collect();

    let nobody = db.begin().await.unwrap();
    act_as(&nobody, "cogwheel_app", None).await;
    for table in &owned {
        assert_eq!(count(&nobody, &table.name).await, 0, "{} without a tenant", table.name);
    }
    nobody.rollback().await.unwrap();

    let request = db.begin().await.unwrap();
    act_as(&request, "cogwheel_app", Some(TENANT)).await;
    for table in &owned {
        let mine = uuid(TENANT.id("tenants"), Backend::Postgres);
        let own = format!("select count(*) as n from {} where tenant_id = {mine}", table.name);
        assert_eq!(count(&request, &table.name).await, 1, "{}", table.name);
        assert_eq!(number(&request, &own).await, 1, "{}", table.name);
    }
    assert_eq!(count(&request, "users").await, 1);
    request.rollback().await.unwrap();

    let engine = db.begin().await.unwrap();
    act_as(&engine, "cogwheel_engine", None).await;
    for table in tables.iter().filter(|table| table.name != "migration_log") {
        assert_eq!(count(&engine, &table.name).await, 2, "{}", table.name);
    }
    assert_eq!(count(&engine, "seaql_migrations").await, i64::try_from(super::steps().len()).unwrap());
    engine.rollback().await.unwrap();
}

async fn requests_cannot_write_elsewhere(place: Place) {
    let db = place.connect().await;
    crate::up(&db).await.unwrap();
    let tables = all_tables();
    TENANT.insert(&db, &tables).await;
    STRANGER.insert(&db, &tables).await;
    db.execute_unprepared("update workflow_templates set is_public = true, status = 'published'").await.unwrap();
    let stranger = uuid(STRANGER.id("tenants"), Backend::Postgres);

    let request = db.begin().await.unwrap();
    act_as(&request, "cogwheel_app", Some(TENANT)).await;
    assert_eq!(count(&request, "workflow_templates").await, 2, "published public rows are read by all");
    let renamed = request.execute_unprepared("update workflow_templates set name = 'mine'").await.unwrap();
    assert_eq!(renamed.rows_affected(), 1, "and written by their owner");
    let tenant = uuid(TENANT.id("tenants"), Backend::Postgres);
    let added =
        format!("insert into roles (id, tenant_id, role_key, name) values ({tenant}, {tenant}, 'added', 'Added')");
    assert_eq!(request.execute_unprepared(&added).await.unwrap().rows_affected(), 1);
    let deleted = request.execute_unprepared(&format!("delete from signals where tenant_id = {stranger}")).await;
    assert_eq!(deleted.unwrap().rows_affected(), 0);
    assert!(request.execute_unprepared(&format!("update signals set tenant_id = {stranger}")).await.is_err());
    request.rollback().await.unwrap();

    let request = db.begin().await.unwrap();
    act_as(&request, "cogwheel_app", Some(TENANT)).await;
    assert!(request.execute_unprepared("delete from audit_log").await.is_err(), "retention alone removes the trail");
    request.rollback().await.unwrap();

    for table in all_tables().iter().filter(|table| table.shape == Shape::Global && table.name != "users") {
        let request = db.begin().await.unwrap();
        act_as(&request, "cogwheel_app", Some(TENANT)).await;
        let read = request.execute_unprepared(&format!("select 1 from {}", table.name)).await;
        assert!(read.is_err(), "{} is open to requests", table.name);
        request.rollback().await.unwrap();
    }
}

async fn names_get_a_trigram_index_with_the_extension(place: Place) {
    let db = place.connect().await;
    let present = "select count(*) as n from pg_indexes where indexname = 'idx_files_filename_trgm'";
    crate::up(&db).await.unwrap();
    assert_eq!(number(&db, present).await, 0);
    crate::down(&db, u32::try_from(super::steps().len() - 3).unwrap()).await.unwrap();
    db.execute_unprepared("create extension pg_trgm").await.unwrap();
    crate::up(&db).await.unwrap();
    assert_eq!(number(&db, present).await, 1);
}

#[tokio::test]
async fn roles_see_what_they_may_on_postgres() {
    on_postgres(roles_see_what_they_may).await;
}

#[tokio::test]
async fn requests_cannot_write_elsewhere_on_postgres() {
    on_postgres(requests_cannot_write_elsewhere).await;
}

#[tokio::test]
async fn names_get_a_trigram_index_on_postgres() {
    on_postgres(names_get_a_trigram_index_with_the_extension).await;
}
