//! A PostgreSQL database that the tests of one run copy: the first of them makes it, the last one drops it.
//!
//! Whoever uses the template holds a shared advisory lock; whoever makes or drops it holds that lock alone.

use std::{env, process, thread};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement, TryGetable};
use tokio::runtime::{Builder, Runtime};

use crate::address::{server, with_database};
use crate::database::{TestDatabase, at_the_end, close, connect, execute};

/// A prepared database that other tests use as well; dropped with its last user.
#[derive(Debug)]
pub struct SharedTemplate {
    name: String,
    /// Holds the lock.
    session: DatabaseConnection,
    /// Drives the session, also while the test's own runtime stands still: when this is dropped.
    runtime: Option<Runtime>,
}

impl SharedTemplate {
    /// The template of this run that is `called` so, as `prepare` makes it out of an empty database at the address it
    /// is given, unless another test has.
    pub async fn on_postgres(called: &str, prepare: impl AsyncFn(&str)) -> Self {
        let name = format!("cogwheel_{called}_{}", run());
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let server = server();
        let session = runtime.spawn(async move { connect(&server).await }).await.expect("the server answers");
        let template = Self { name, session, runtime: Some(runtime) };
        loop {
            template.lock("pg_advisory_lock_shared").await;
            if template.is_there().await {
                return template;
            }
            template.lock("pg_advisory_unlock_shared").await;
            template.lock("pg_advisory_lock").await;
            if !template.is_there().await {
                template.make(&prepare).await;
            }
            template.lock("pg_advisory_unlock").await;
        }
    }

    /// A database in the state of the template.
    pub async fn copy(&self) -> TestDatabase {
        let (session, name) = (self.session.clone(), self.name.clone());
        self.driven(async move { TestDatabase::on_server(&session, &name).await }).await
    }

    /// A database gets the template's name when it is whole.
    async fn make(&self, prepare: &impl AsyncFn(&str)) {
        let unfinished = unfinished(&self.name);
        self.execute(drop_database(&unfinished)).await;
        self.execute(format!("create database {unfinished} template template0")).await;
        prepare(&with_database(&server(), &unfinished)).await;
        self.execute(format!("alter database {unfinished} rename to {}", self.name)).await;
    }

    async fn is_there(&self) -> bool {
        let sql = format!("select exists (select from pg_database where datname = '{}')", self.name);
        let session = self.session.clone();
        self.driven(async move { first(&session, &sql).await }).await
    }

    async fn lock(&self, function: &str) {
        self.execute(format!("select {}", locking(function, &self.name))).await;
    }

    async fn execute(&self, sql: String) {
        let session = self.session.clone();
        self.driven(async move { execute(&session, &sql).await }).await;
    }

    /// Uses the session on its own runtime, to which it is also given back.
    async fn driven<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let runtime = self.runtime.as_ref().expect("it is taken when this is dropped");
        runtime.spawn(work).await.expect("the server does as it is told")
    }
}

impl Drop for SharedTemplate {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        let (name, session) = (self.name.clone(), self.session.clone());
        let leave = async move {
            execute(&session, "select pg_advisory_unlock_all()").await;
            if first(&session, &format!("select {}", locking("pg_try_advisory_lock", &name))).await {
                execute(&session, &drop_database(&name)).await;
                execute(&session, &drop_database(&unfinished(&name))).await;
            }
            close(session).await;
        };
        assert!(at_the_end(runtime, leave) || thread::panicking(), "the template {} could not be dropped", self.name);
    }
}

fn unfinished(name: &str) -> String {
    format!("{name}_unfinished")
}

fn drop_database(name: &str) -> String {
    format!("drop database if exists {name} with (force)")
}

/// A call of a function of advisory locks.
fn locking(function: &str, name: &str) -> String {
    format!("{function}(hashtextextended('{name}', 0))")
}

async fn first<T: TryGetable>(server: &DatabaseConnection, sql: &str) -> T {
    let row = server.query_one_raw(Statement::from_string(server.get_database_backend(), sql)).await;
    let row = row.unwrap_or_else(|error| panic!("{sql}: {error}")).expect("a row");
    row.try_get_by_index(0).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// A name for what all tests of this run share: the same in each of its processes, another in other runs.
fn run() -> String {
    let run = env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| format!("process{}", process::id()));
    // A name on the server has 63 characters at the most.
    run.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn exists(name: &str) -> bool {
        let server = connect(&server()).await;
        let found = first(&server, &format!("select exists (select from pg_database where datname = '{name}')")).await;
        close(server).await;
        found
    }

    #[tokio::test]
    async fn the_first_user_prepares_and_the_last_one_drops() {
        let prepared = Cell::new(0);
        let prepare = async |url: &str| {
            prepared.set(prepared.get() + 1);
            let db = connect(url).await;
            execute(&db, "create table prepared (id integer)").await;
            close(db).await;
        };
        let first = SharedTemplate::on_postgres("testkit", prepare).await;
        let second = SharedTemplate::on_postgres("testkit", prepare).await;
        assert_eq!(prepared.get(), 1);
        let name = first.name.clone();
        drop(first);
        assert!(exists(&name).await);
        let copy = second.copy().await;
        drop(second);
        assert!(!exists(&name).await);
        let db = connect(copy.url()).await;
        execute(&db, "select * from prepared").await;
        close(db).await;
    }

    #[tokio::test]
    async fn a_failed_preparation_leaves_nothing() {
        let failed = tokio::spawn(SharedTemplate::on_postgres("testkit_torn", async |_| panic!("on purpose"))).await;
        assert!(failed.is_err());
        let name = format!("cogwheel_testkit_torn_{}", run());
        assert!(!exists(&name).await && !exists(&unfinished(&name)).await);
    }
}
