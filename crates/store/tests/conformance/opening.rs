//! How a database is reached and refused.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use cogwheel_engine::ports::{Reads, Started, Store, StoreError};
use cogwheel_store::{ConnectOptions, Database};
use sea_orm::ConnectionTrait;

use super::world::{PLAIN, World, at};

fn options() -> ConnectOptions {
    ConnectOptions { acquire_timeout: Duration::from_secs(5), ..ConnectOptions::default() }
}

async fn refusal(url: &str) -> String {
    Database::connect(url, options()).await.expect_err("refused").to_string()
}

#[tokio::test]
async fn what_cannot_be_reached_is_named_without_its_password() {
    let nobody = refusal("postgres://me:geheim@127.0.0.1:1/db").await;
    assert!(nobody.contains("database `db` at 127.0.0.1:1 cannot be reached"), "{nobody}");
    let missing = refusal("sqlite:/no/such/folder/cogwheel.db").await;
    assert!(missing.contains("its folder does not exist"), "{missing}");
    for said in [nobody, missing, refusal("mysql://me:geheim@host/db").await] {
        assert!(!said.contains("geheim"), "{said}");
    }
}

#[tokio::test]
async fn a_missing_file_is_made_private_and_written_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cogwheel.db");
    let database = Database::connect(&format!("sqlite:{}", path.display()), options()).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mode =
        database.admin().query_one_raw(sea_orm::Statement::from_string(database.backend(), "pragma journal_mode"));
    assert_eq!(mode.await.unwrap().unwrap().try_get_by_index::<String>(0).unwrap(), "wal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_policies_do_not_bind_is_refused() {
    let world = World::postgres().await;
    world.execute("create table mine (id int); alter table mine owner to cogwheel_app").await;
    let refused = Database::connect(&world.url(), options()).await.unwrap().open().await;
    assert!(matches!(&refused, Err(StoreError::Conflict(why)) if why.contains("owns the tables")), "{refused:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cut_its_connections_is_reached_again() {
    let world = World::postgres().await;
    let workflow = world.save(PLAIN, at(0)).await;
    world.started(&workflow).await;
    world.store.ping().await.unwrap();
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()";
    assert!(world.number(cut).await >= 2);
    let start = world.request(&workflow, at(2));
    let mut answer = world.store.start(start.clone()).await;
    while let Err(error) = &answer {
        assert!(error.is_transient(), "{error}");
        answer = world.store.start(start.clone()).await;
    }
    assert_eq!(answer.unwrap(), Started::Accepted);
    while let Err(error) = world.store.ping().await {
        assert!(error.is_transient(), "{error}");
    }
    world.end().await;
}
