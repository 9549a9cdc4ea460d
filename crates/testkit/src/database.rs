//! One database of one test.

use std::path::Path;
use std::thread;

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection};
use tempfile::TempDir;
use tokio::runtime::Builder;
use uuid::Uuid;

use crate::address::{server, with_database};

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A file.
    Sqlite,
    /// A database on the server that `COGWHEEL_TEST_POSTGRES_URL` names.
    Postgres,
}

/// A database that nobody else uses, removed when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    place: Place,
    url: String,
}

#[derive(Debug)]
enum Place {
    Folder(TempDir),
    Server(String),
}

impl TestDatabase {
    /// One without a table.
    pub async fn empty(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::in_folder(|_| {}),
            Backend::Postgres => Self::on_server("template0").await,
        }
    }

    /// One in the state of this one, to which nobody may be connected.
    pub async fn copy(&self) -> Self {
        match &self.place {
            Place::Folder(folder) => Self::in_folder(|to| {
                let from = folder.path().join(FILE);
                if from.exists() {
                    std::fs::copy(from, to).expect("a database file can be copied");
                }
            }),
            Place::Server(name) => Self::on_server(name).await,
        }
    }

    /// Where to connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn in_folder(prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join(FILE);
        prepare(&file);
        Self { url: format!("sqlite://{}?mode=rwc", file.display()), place: Place::Folder(folder) }
    }

    pub(crate) async fn on_server(template: &str) -> Self {
        let server = server();
        let name = format!("cogwheel_test_{}", Uuid::now_v7().simple());
        execute(&server, &format!("create database {name} template {template}")).await;
        Self { url: with_database(&server, &name), place: Place::Server(name) }
    }
}

const FILE: &str = "cogwheel.db";

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Server(name) = &self.place else { return };
        let drop = format!("drop database if exists {name} with (force)");
        // A thread of its own: this one may be inside of a runtime.
        let dropped = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(execute(&server(), &drop));
        });
        assert!(dropped.join().is_ok() || thread::panicking(), "the database {name} could not be dropped");
    }
}

/// One connection that logs nothing.
///
/// # Panics
///
/// When the database does not answer.
pub async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
}

pub(crate) async fn execute(url: &str, sql: &str) {
    let connection = connect(url).await;
    connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
