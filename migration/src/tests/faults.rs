//! What is refused, and what a failed step leaves: nothing.

use cogwheel_schema::build::{index, std, text};
use cogwheel_schema::{TableDef, live};
use sea_orm_migration::sea_orm::ConnectionTrait as _;

use super::database::{Place, on_both};
use super::rows::count;
use super::steps;
use crate::error::MigrateError;
use crate::ledger::Direction;
use crate::run;
use crate::step::{Step, backend};

on_both! {
    an_edited_step_is_refused
    an_unknown_step_is_refused
    an_unrecorded_step_is_refused
    a_failed_step_leaves_nothing
}

fn edited() -> Vec<TableDef> {
    vec![std("nodes").columns([text("node_name")])]
}

fn broken() -> Vec<TableDef> {
    let whole = std("whole").columns([text("name")]);
    let twice = [index("idx_torn_name", "name"), index("idx_torn_name", "name")];
    vec![whole, std("torn").columns([text("name")]).indexes(twice)]
}

async fn an_edited_step_is_refused(place: Place) {
    let db = place.connect().await;
    let mut steps = steps();
    run::up(&db, &steps[..3]).await.unwrap();
    steps[1] = Step::new(steps[1].name(), edited);
    let is_refused = |error: MigrateError| matches!(&error, MigrateError::Edited(name) if name == steps[1].name());
    assert!(is_refused(run::up(&db, &steps).await.unwrap_err()));
    assert!(is_refused(run::down(&db, &steps, 1).await.unwrap_err()));
    assert!(is_refused(run::check(&db, &steps).await.unwrap_err()));
    let status = run::status(&db, &steps).await.unwrap();
    assert_eq!(status.iter().filter(|step| !step.checksum_ok).count(), 1);
    assert_eq!(count(&db, "seaql_migrations").await, 3);
}

async fn an_unknown_step_is_refused(place: Place) {
    let db = place.connect().await;
    let steps = steps();
    run::up(&db, &steps[..3]).await.unwrap();
    let older = &steps[..2];
    for error in [run::up(&db, older).await.unwrap_err(), run::check(&db, older).await.unwrap_err()] {
        assert!(error.to_string().contains(steps[2].name()), "{error}");
    }
    let status = run::status(&db, older).await.unwrap();
    assert_eq!(status.len(), 3);
    assert!(!status[2].checksum_ok && !status[2].pending);
}

async fn an_unrecorded_step_is_refused(place: Place) {
    let db = place.connect().await;
    let steps = steps();
    run::up(&db, &steps[..2]).await.unwrap();
    db.execute_unprepared("delete from migration_log where migration_name like '%cluster'").await.unwrap();
    let error = run::up(&db, &steps).await.unwrap_err();
    assert!(matches!(error, MigrateError::Unrecorded(name) if name == steps[1].name()));
}

async fn a_failed_step_leaves_nothing(place: Place) {
    let db = place.connect().await;
    let mut steps = steps()[..2].to_vec();
    run::up(&db, &steps).await.unwrap();
    let backend = backend(&db).unwrap();
    let before = live::read(&db, backend).await.unwrap();
    steps.push(Step::new("m20991231_000001_broken", broken));
    let error = run::up(&db, &steps).await.unwrap_err();
    assert!(error.to_string().contains("m20991231_000001_broken"), "{error}");
    assert!(matches!(error, MigrateError::Step { direction: Direction::Up, .. }));
    assert_eq!(live::read(&db, backend).await.unwrap(), before);
    assert_eq!(count(&db, "migration_log").await, 2);
    assert_eq!(count(&db, "seaql_migrations").await, 2);
}
