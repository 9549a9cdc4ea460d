//! Databases for tests: migrated once, copied for each case, removed afterwards.

mod postgres;
mod sqlite;

use std::path::PathBuf;

use cogwheel_schema::Backend;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

const POSTGRES_URL: &str = "COGWHEEL_TEST_POSTGRES_URL";

/// A migrated database that cases are copied from; all tests of a run share it.
pub(crate) struct Template {
    kind: Kind,
    /// What the cases are copied from instead, where rows were added.
    seeded: Option<Copy>,
}

enum Kind {
    Sqlite(sqlite::Template),
    Postgres(postgres::Template),
}

/// One copy; must be given back with [`Copy::remove`].
pub(crate) struct Copy {
    url: String,
    place: Place,
}

enum Place {
    File(PathBuf),
    /// A name on a server.
    Database(String, String),
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
        Self { kind: Kind::Sqlite(sqlite::Template::find().await), seeded: None }
    }

    /// A migrated PostgreSQL database.
    pub(crate) async fn postgres() -> Self {
        let server = std::env::var(POSTGRES_URL).unwrap_or_else(|_| {
            panic!("set {POSTGRES_URL} to a PostgreSQL server, e.g. postgres://postgres@127.0.0.1:5432/postgres")
        });
        Self { kind: Kind::Postgres(postgres::Template::find(server).await), seeded: None }
    }

    /// Which database it is.
    pub(crate) fn backend(&self) -> Backend {
        match self.kind {
            Kind::Sqlite(_) => Backend::Sqlite,
            Kind::Postgres(_) => Backend::Postgres,
        }
    }

    /// Runs statements whose effects all later copies have.
    pub(crate) async fn seed(&mut self, sql: &str) {
        let copy = self.copy().await;
        let db = copy.open().await;
        db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("cannot seed {}: {error}", copy.url));
        db.close().await.unwrap();
        self.seeded = Some(copy);
    }

    /// A copy in the state of the template.
    pub(crate) async fn copy(&self) -> Copy {
        match (&self.kind, self.seeded.as_ref().map(|copy| &copy.place)) {
            (Kind::Sqlite(template), Some(Place::File(from))) => template.copy(from),
            (Kind::Sqlite(template), _) => template.copy(template.file()),
            (Kind::Postgres(template), Some(Place::Database(_, from))) => template.copy(from).await,
            (Kind::Postgres(template), _) => template.copy(template.name()).await,
        }
    }

    /// Removes what was made for it, and the template once no test needs it any more.
    pub(crate) async fn remove(self) {
        if let Some(seeded) = self.seeded {
            seeded.remove().await;
        }
        if let Kind::Postgres(template) = self.kind {
            template.leave().await;
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
        if let Place::Database(server, name) = self.place {
            on_server(&server, &format!("drop database {name} with (force)")).await;
        }
    }
}

async fn migrate(url: &str) {
    let db = connect(url).await;
    cogwheel_migration::up(&db).await.unwrap_or_else(|error| panic!("cannot migrate {url}: {error}"));
    db.close().await.unwrap();
}

/// A name for what all tests of this run share: the same in each of its processes, another in other runs.
fn run() -> String {
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| format!("of_process_{}", std::process::id()));
    run.replace(|character: char| !character.is_ascii_alphanumeric(), "_")
}
