//! An empty database for each test, gone afterwards.

use std::future::Future;

use cogwheel_testkit::{Backend, TestDatabase};
use sea_orm_migration::sea_orm::{Database, DatabaseConnection};

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

pub(super) async fn on_sqlite<F: Future<Output = ()>>(test: fn(Place) -> F) {
    on(Backend::Sqlite, test).await;
}

pub(super) async fn on_postgres<F: Future<Output = ()>>(test: fn(Place) -> F) {
    on(Backend::Postgres, test).await;
}

async fn on<F: Future<Output = ()>>(backend: Backend, test: fn(Place) -> F) {
    let database = TestDatabase::empty(backend).await;
    test(Place(database.url().to_owned())).await;
}
