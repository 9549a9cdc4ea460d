//! Databases for tests: migrated once, copied for each case, removed afterwards.

use std::path::PathBuf;

use cogwheel_schema::Backend;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use tempfile::TempDir;
use uuid::Uuid;

const POSTGRES_URL: &str = "COGWHEEL_TEST_POSTGRES_URL";

/// A migrated database that cases are copied from.
pub(crate) enum Template {
    Sqlite { folder: TempDir },
    Postgres { server: String, name: String },
}

/// One copy; must be given back with [`Copy::remove`].
pub(crate) struct Copy {
    url: String,
    /// The server and the name to drop, on PostgreSQL.
    database: Option<(String, String)>,
}

/// Opens a connection that logs nothing.
pub(crate) async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
}

/// Runs a statement on the server's own database.
async fn on_server(server: &str, sql: &str) {
    let db = connect(server).await;
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    db.close().await.unwrap();
}

impl Template {
    /// A migrated SQLite file.
    pub(crate) async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        migrate(&format!("sqlite://{}?mode=rwc", folder.path().join("template.db").display())).await;
        Self::Sqlite { folder }
    }

    /// A migrated PostgreSQL database.
    pub(crate) async fn postgres() -> Self {
        let server = std::env::var(POSTGRES_URL).unwrap_or_else(|_| {
            panic!("set {POSTGRES_URL} to a PostgreSQL server, e.g. postgres://postgres@127.0.0.1:5432/postgres")
        });
        let name = format!("cogwheel_template_{}", Uuid::now_v7().simple());
        on_server(&server, &format!("create database {name}")).await;
        migrate(&with_database(&server, &name)).await;
        Self::Postgres { server, name }
    }

    /// Which database it is.
    pub(crate) fn backend(&self) -> Backend {
        match self {
            Self::Sqlite { .. } => Backend::Sqlite,
            Self::Postgres { .. } => Backend::Postgres,
        }
    }

    /// Runs statements in the template itself, for all later copies.
    pub(crate) async fn seed(&self, sql: &str) {
        let url = match self {
            Self::Sqlite { folder } => format!("sqlite://{}?mode=rwc", folder.path().join("template.db").display()),
            Self::Postgres { server, name } => with_database(server, name),
        };
        let db = connect(&url).await;
        db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("cannot seed {url}: {error}"));
        db.close().await.unwrap();
    }

    /// A copy in the state of the template.
    pub(crate) async fn copy(&self) -> Copy {
        match self {
            Self::Sqlite { folder } => {
                let file: PathBuf = folder.path().join(format!("{}.db", Uuid::now_v7().simple()));
                std::fs::copy(folder.path().join("template.db"), &file).unwrap();
                Copy { url: format!("sqlite://{}?mode=rwc", file.display()), database: None }
            }
            Self::Postgres { server, name } => {
                let copy = format!("cogwheel_case_{}", Uuid::now_v7().simple());
                on_server(server, &format!("create database {copy} template {name}")).await;
                Copy { url: with_database(server, &copy), database: Some((server.clone(), copy)) }
            }
        }
    }

    /// Removes the template.
    pub(crate) async fn remove(self) {
        if let Self::Postgres { server, name } = self {
            on_server(&server, &format!("drop database {name} with (force)")).await;
        }
    }
}

impl Copy {
    /// Where it is, for whoever opens it otherwise.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn open(&self) -> DatabaseConnection {
        connect(&self.url).await
    }

    /// Runs statements as a person at a prompt would: keys unchecked, checks unchecked.
    pub(crate) async fn execute(&self, sql: &str) -> Result<(), sea_orm::DbErr> {
        let db = self.open().await;
        let unchecked = match db.get_database_backend() {
            DbBackend::Sqlite => {
                "pragma foreign_keys = off; pragma ignore_check_constraints = on; pragma writable_schema = on"
            }
            _ => "set session_replication_role = replica",
        };
        db.execute_unprepared(unchecked).await?;
        let done = db.execute_unprepared(sql).await;
        db.close().await?;
        done.map(|_| ())
    }

    /// Replaces a part of an SQLite object's stored definition, which must be there.
    pub(crate) async fn rewrite(&self, object: &str, from: &str, to: &str) -> Result<(), sea_orm::DbErr> {
        let quoted = |text: &str| text.replace('\'', "''");
        let (object, from, to) = (quoted(object), quoted(from), quoted(to));
        let db = self.open().await;
        let held = format!("select count(*) from sqlite_schema where name = '{object}' and instr(sql, '{from}')");
        let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, held)).await?;
        let count: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        db.close().await?;
        if count != 1 {
            return Err(sea_orm::DbErr::Custom(format!("the definition of {object} does not hold `{from}`")));
        }
        self.execute(&format!("update sqlite_schema set sql = replace(sql, '{from}', '{to}') where name = '{object}'"))
            .await
    }

    /// Removes the copy.
    pub(crate) async fn remove(self) {
        if let Some((server, name)) = self.database {
            on_server(&server, &format!("drop database {name} with (force)")).await;
        }
    }
}

async fn migrate(url: &str) {
    let db = connect(url).await;
    cogwheel_migration::up(&db).await.unwrap_or_else(|error| panic!("cannot migrate {url}: {error}"));
    db.close().await.unwrap();
}

fn with_database(server: &str, name: &str) -> String {
    let (base, parameters) =
        server.split_once('?').map_or((server, String::new()), |(base, rest)| (base, format!("?{rest}")));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    format!("{}/{name}{parameters}", &base[..end])
}
