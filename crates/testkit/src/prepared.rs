//! A PostgreSQL database that is prepared once and copied for every test, whatever process it runs in.

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};

use crate::address::{server, with_database};
use crate::database::{TestDatabase, close, connect, execute};

/// Held while a template is looked for and made.
const LOCK: i64 = 0x434f_4757_4845_454c;
const PREFIX: &str = "cogwheel_template_";

impl TestDatabase {
    /// A PostgreSQL database as `prepare` makes it out of an empty one at the address it is given. Tests that give the
    /// same `key` share the work: the first one prepares, all get copies. A template with another key is removed.
    pub async fn prepared_on_postgres(key: &str, prepare: impl AsyncFnOnce(&str)) -> Self {
        let template = format!("{PREFIX}{key}");
        let server = server();
        let lock = connect(&server).await;
        execute(&lock, &format!("select pg_advisory_lock({LOCK})")).await;
        if !templates(&lock).await.contains(&template) {
            for stale in templates(&lock).await {
                execute(&lock, &format!("alter database {stale} is_template false")).await;
                execute(&lock, &format!("drop database {stale} with (force)")).await;
            }
            execute(&lock, &format!("drop database if exists {template} with (force)")).await;
            execute(&lock, &format!("create database {template} template template0")).await;
            prepare(&with_database(&server, &template)).await;
            execute(&lock, &format!("alter database {template} is_template true")).await;
        }
        let copy = Self::on_server(&lock, &template).await;
        // Closing the connection lets go of the lock.
        close(lock).await;
        copy
    }
}

async fn templates(server: &DatabaseConnection) -> Vec<String> {
    let sql = format!("select datname::text from pg_database where datistemplate and starts_with(datname, '{PREFIX}')");
    let rows = server.query_all_raw(Statement::from_string(server.get_database_backend(), sql)).await;
    let rows = rows.expect("the server answers");
    rows.iter().map(|row| row.try_get_by_index(0).expect("a name")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;

    async fn has_table(url: &str) -> bool {
        let db = connect(url).await;
        let found = db.execute_unprepared("select * from prepared").await.is_ok();
        close(db).await;
        found
    }

    #[tokio::test]
    async fn copies_hold_what_was_there_and_go_with_their_owner() {
        for backend in [Backend::Sqlite, Backend::Postgres] {
            let first = TestDatabase::empty(backend).await;
            assert!(!has_table(first.url()).await);
            let db = connect(first.url()).await;
            execute(&db, "create table prepared (id integer)").await;
            close(db).await;
            let copy = first.copy().await;
            assert!(has_table(copy.url()).await);
            drop(first);
            assert!(has_table(copy.url()).await);
        }
    }
}
