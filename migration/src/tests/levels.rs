//! Up, up again, down, up: the same schema at each level, and the ledger tells it.

use cogwheel_schema::{ddl, live};
use sea_orm_migration::sea_orm::{ConnectionTrait as _, DatabaseConnection};

use super::database::{Place, on_both};
use super::rows::{Family, count, number};
use super::{all_tables, steps, tables_of};
use crate::run;
use crate::step::backend;

on_both! {
    levels_keep_their_fingerprint
    populated_tables_go_down_and_up
    the_ledger_tells_what_ran
    two_processes_migrate_at_once
    entities_describe_what_migrations_made
}

async fn fingerprint(db: &DatabaseConnection) -> String {
    live::read(db, backend(db).unwrap()).await.unwrap().fingerprint()
}

async fn levels_keep_their_fingerprint(place: Place) {
    let db = place.connect().await;
    let steps = steps();
    let mut levels = vec![fingerprint(&db).await];
    for level in 1..=steps.len() {
        assert_eq!(run::up(&db, &steps[..level]).await.unwrap().len(), 1);
        levels.push(fingerprint(&db).await);
    }
    assert_eq!(crate::up(&db).await.unwrap(), []);
    assert_eq!(fingerprint(&db).await, levels[steps.len()]);
    for level in (0..steps.len()).rev() {
        assert_eq!(crate::down(&db, 1).await.unwrap()[0].name, steps[level].name());
        assert_eq!(fingerprint(&db).await, levels[level], "after {} was taken back", steps[level].name());
    }
    assert_eq!(crate::down(&db, 1).await.unwrap(), []);
    assert_eq!(crate::up(&db).await.unwrap().len(), steps.len());
    assert_eq!(fingerprint(&db).await, levels[steps.len()]);
    crate::check(&db).await.unwrap();
}

async fn populated_tables_go_down_and_up(place: Place) {
    let db = place.connect().await;
    let steps = steps();
    crate::up(&db).await.unwrap();
    let before = fingerprint(&db).await;
    Family(1).insert(&db, &all_tables()).await;
    for level in (0..steps.len()).rev() {
        crate::down(&db, 1).await.unwrap();
        let kept = tables_of(&steps[..level]);
        for table in kept.iter().filter(|table| table.name != "migration_log") {
            assert_eq!(count(&db, &table.name).await, 1, "{} after {} went", table.name, steps[level].name());
        }
    }
    crate::up(&db).await.unwrap();
    assert_eq!(fingerprint(&db).await, before);
}

async fn the_ledger_tells_what_ran(place: Place) {
    let db = place.connect().await;
    let pending = crate::status(&db).await.unwrap();
    assert!(pending.iter().all(|step| step.pending && step.checksum_ok && step.applied_at.is_none()));
    crate::up(&db).await.unwrap();
    crate::down(&db, 3).await.unwrap();
    let kept = steps().len() - 3;
    assert_eq!(count(&db, "migration_log").await, i64::try_from(steps().len() + 3).unwrap());
    let downs = "select count(*) as n from migration_log where direction = 'down' and length(checksum) = 64 \
                 and length(schema_fingerprint) = 64 and execution_time_ms >= 0";
    assert_eq!(number(&db, downs).await, 3);
    let status = crate::status(&db).await.unwrap();
    assert_eq!(status.iter().map(|step| step.pending).collect::<Vec<_>>(), [vec![false; kept], vec![true; 3]].concat());
    assert!(status[..kept].iter().all(|step| step.applied_at.is_some()));
    let message = crate::check(&db).await.unwrap_err().to_string();
    assert!(message.contains(steps()[kept].name()) && message.contains("cogwheel db migrate"));
}

async fn two_processes_migrate_at_once(place: Place) {
    let (one, two) = (place.connect().await, place.connect().await);
    let (one, two) = tokio::join!(crate::up(&one), crate::up(&two));
    assert_eq!(one.unwrap().len() + two.unwrap().len(), steps().len());
    crate::check(&place.connect().await).await.unwrap();
}

async fn entities_describe_what_migrations_made(place: Place) {
    let db = place.connect().await;
    let backend = backend(&db).unwrap();
    for statement in ddl::create_schema(&cogwheel_entity::declared_schema(), backend) {
        db.execute_unprepared(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let declared = live::read(&db, backend).await.unwrap();
    let tables = cogwheel_entity::declared_schema();
    let mut drop: Vec<_> = tables.iter().rev().flat_map(|table| ddl::drop_table(table, backend)).collect();
    drop.extend(ddl::drop_support(backend));
    for statement in drop {
        db.execute_unprepared(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    crate::up(&db).await.unwrap();
    let migrated = live::read(&db, backend).await.unwrap();
    assert_eq!(declared.tables.keys().collect::<Vec<_>>(), migrated.tables.keys().collect::<Vec<_>>());
    for (name, table) in &declared.tables {
        assert_eq!(table, &migrated.tables[name], "{name}");
    }
}

#[test]
fn entities_and_migrations_use_the_same_words() {
    for (declared, migrated) in cogwheel_entity::declared_schema().iter().zip(all_tables()) {
        assert_eq!(*declared, migrated);
    }
}
