//! PostgreSQL: the first test of a run makes the template, the last one drops it.
//!
//! Whoever uses the template holds a shared advisory lock; whoever makes or drops it holds that lock alone.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use uuid::Uuid;

use super::{Copy, Place, connect, migrate, on_server, run};

/// A migrated database that other tests use as well.
pub(super) struct Template {
    server: String,
    name: String,
    /// Holds the lock.
    session: DatabaseConnection,
}

impl Template {
    pub(super) async fn find(server: String) -> Self {
        let name = format!("cogwheel_store_template_{}", run());
        let template = Self { session: connect(&server).await, server, name };
        loop {
            template.lock("pg_advisory_lock_shared").await;
            if template.is_there().await {
                return template;
            }
            template.lock("pg_advisory_unlock_shared").await;
            template.lock("pg_advisory_lock").await;
            if !template.is_there().await {
                template.make().await;
            }
            template.lock("pg_advisory_unlock").await;
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn copy(&self, from: &str) -> Copy {
        let name = format!("cogwheel_store_case_{}", Uuid::now_v7().simple());
        on_server(&self.server, &format!("create database {name} template {from}")).await;
        Copy { url: with_database(&self.server, &name), place: Place::Database(self.server.clone(), name) }
    }

    /// Lets go of the template; the last user drops it.
    pub(super) async fn leave(self) {
        self.lock("pg_advisory_unlock_shared").await;
        if self.lock("pg_try_advisory_lock").await {
            let drop = format!("drop database if exists {} with (force)", self.name);
            self.session.execute_unprepared(&drop).await.unwrap();
        }
        self.session.close().await.unwrap();
    }

    /// A database gets the template's name when it is whole.
    async fn make(&self) {
        let unfinished = format!("{}_unfinished", self.name);
        let run = async |sql: String| self.session.execute_unprepared(&sql).await.unwrap();
        run(format!("drop database if exists {unfinished} with (force)")).await;
        run(format!("create database {unfinished} template template0")).await;
        migrate(&with_database(&self.server, &unfinished)).await;
        run(format!("alter database {unfinished} rename to {}", self.name)).await;
    }

    async fn is_there(&self) -> bool {
        self.says(format!("select exists (select from pg_database where datname = '{}')", self.name)).await
    }

    /// Calls a function of advisory locks; only one that tries says no.
    async fn lock(&self, function: &str) -> bool {
        let call = format!("{function}(hashtextextended('{}', 0))", self.name);
        self.says(format!("select coalesce({call}::text, '') <> 'false'")).await
    }

    async fn says(&self, sql: String) -> bool {
        let row = self.session.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    }
}

fn with_database(server: &str, name: &str) -> String {
    let (base, parameters) =
        server.split_once('?').map_or((server, String::new()), |(base, rest)| (base, format!("?{rest}")));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    format!("{}/{name}{parameters}", &base[..end])
}
