//! Databases for tests: migrated once, copied for each case, removed afterwards.

mod sqlite;

use std::path::PathBuf;

use cogwheel_schema::Backend;
use cogwheel_testkit::{SharedTemplate, TestDatabase, connect};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// A migrated database that cases are copied from; all tests of a run share it.
pub(crate) struct Template {
    kind: Kind,
    /// What the cases are copied from instead, where rows were added.
    seeded: Option<TestDatabase>,
}

enum Kind {
    Sqlite(PathBuf),
    Postgres(SharedTemplate),
}

/// One copy, gone when it is dropped.
pub(crate) struct Copy(TestDatabase);

impl Template {
    /// A migrated SQLite file.
    pub(crate) async fn sqlite() -> Self {
        Self { kind: Kind::Sqlite(sqlite::template().await), seeded: None }
    }

    /// A migrated PostgreSQL database.
    pub(crate) async fn postgres() -> Self {
        Self { kind: Kind::Postgres(SharedTemplate::on_postgres("store", migrate).await), seeded: None }
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
        db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("cannot seed {}: {error}", copy.url()));
        db.close().await.unwrap();
        self.seeded = Some(copy.0);
    }

    /// A copy in the state of the template.
    pub(crate) async fn copy(&self) -> Copy {
        Copy(match (&self.seeded, &self.kind) {
            (Some(seeded), _) => seeded.copy().await,
            (None, Kind::Sqlite(file)) => TestDatabase::of_file(file),
            (None, Kind::Postgres(template)) => template.copy().await,
        })
    }
}

impl Copy {
    /// Where it is, for whoever opens it otherwise.
    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }

    pub(crate) async fn open(&self) -> DatabaseConnection {
        connect(self.url()).await
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
}

async fn migrate(url: &str) {
    let db = connect(url).await;
    cogwheel_migration::up(&db).await.unwrap_or_else(|error| panic!("cannot migrate {url}: {error}"));
    db.close().await.unwrap();
}
