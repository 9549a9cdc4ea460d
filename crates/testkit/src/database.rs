//! One database of one test.

use std::path::Path;
use std::thread;

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
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
            Backend::Postgres => Self::like("template0").await,
        }
    }

    /// A copy of an SQLite file, to which nobody may be connected.
    pub fn of_file(file: &Path) -> Self {
        Self::in_folder(|to| {
            std::fs::copy(file, to).expect("a database file can be copied");
        })
    }

    /// One in the state of this one, to which nobody may be connected.
    pub async fn copy(&self) -> Self {
        match &self.place {
            Place::Folder(folder) => {
                let file = folder.path().join(FILE);
                // It is made by the first who connects.
                if file.exists() { Self::of_file(&file) } else { Self::in_folder(|_| {}) }
            }
            Place::Server(name) => Self::like(name).await,
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

    async fn like(template: &str) -> Self {
        let connection = connect(&server()).await;
        let database = Self::on_server(&connection, template).await;
        close(connection).await;
        database
    }

    pub(crate) async fn on_server(connection: &DatabaseConnection, template: &str) -> Self {
        let name = format!("cogwheel_test_{}", Uuid::now_v7().simple());
        execute(connection, &format!("create database {name} template {template}")).await;
        Self { url: with_database(&server(), &name), place: Place::Server(name) }
    }
}

const FILE: &str = "cogwheel.db";

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Server(name) = &self.place else { return };
        let sql = format!("drop database if exists {name} with (force)");
        let drop = async move {
            let connection = connect(&server()).await;
            execute(&connection, &sql).await;
            close(connection).await;
        };
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        assert!(at_the_end(runtime, drop) || thread::panicking(), "the database {name} could not be dropped");
    }
}

/// Does something while a value is dropped; whether it went well.
pub(crate) fn at_the_end(runtime: Runtime, work: impl Future<Output = ()> + Send + 'static) -> bool {
    // A thread of its own: this one may be inside of another runtime.
    thread::spawn(move || runtime.block_on(work)).join().is_ok()
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

pub(crate) async fn close(connection: DatabaseConnection) {
    connection.close().await.expect("the database answers");
}

pub(crate) async fn execute(connection: &DatabaseConnection, sql: &str) {
    connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
