//! An empty database for each test, gone afterwards.

use std::future::Future;
use std::panic::resume_unwind;

use sea_orm_migration::sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use uuid::Uuid;

/// Runs a test on an empty SQLite file and on an empty PostgreSQL database.
macro_rules! on_both {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                $crate::tests::database::on_sqlite(super::$test).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                $crate::tests::database::on_postgres(super::$test).await;
            })*
        }
    };
}
pub(super) use on_both;

/// A database that can be connected to more than once.
#[derive(Clone)]
pub(super) struct Place(String);

impl Place {
    pub(super) async fn connect(&self) -> DatabaseConnection {
        Database::connect(&self.0).await.unwrap()
    }
}

pub(super) async fn on_sqlite<F: Future<Output = ()> + Send + 'static>(test: fn(Place) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cogwheel.db");
    test(Place(format!("sqlite://{}?mode=rwc", file.display()))).await;
}

pub(super) async fn on_postgres<F: Future<Output = ()> + Send + 'static>(test: fn(Place) -> F) {
    let server = std::env::var("COGWHEEL_TEST_POSTGRES_URL")
        .expect("COGWHEEL_TEST_POSTGRES_URL names a PostgreSQL server on which tests may create databases");
    let name = format!("cogwheel_test_{}", Uuid::now_v7().simple());
    let admin = Database::connect(&server).await.unwrap();
    admin.execute_unprepared(&format!("create database {name}")).await.unwrap();
    let outcome = tokio::spawn(test(Place(with_database(&server, &name)))).await;
    admin.execute_unprepared(&format!("drop database {name} with (force)")).await.unwrap();
    if let Err(failure) = outcome {
        resume_unwind(failure.into_panic());
    }
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> String {
    let (address, options) = url.split_once('?').map_or((url, None), |(address, options)| (address, Some(options)));
    let (_, authority) = address.split_once("://").expect("the address of a server has a scheme");
    let server = match authority.split_once('/') {
        Some((_, path)) => &address[..address.len() - path.len() - 1],
        None => address,
    };
    let options = options.map_or_else(String::new, |options| format!("?{options}"));
    format!("{server}/{name}{options}")
}

#[test]
fn the_database_of_an_address_is_replaced() {
    assert_eq!(with_database("postgres://a@b:1/postgres", "x"), "postgres://a@b:1/x");
    assert_eq!(with_database("postgres://a@b?host=/run/pg", "x"), "postgres://a@b/x?host=/run/pg");
    assert_eq!(with_database("postgres://a@b/c?host=/run/pg", "x"), "postgres://a@b/x?host=/run/pg");
}
