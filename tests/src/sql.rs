//! SQL on a test's database, beside the server.

use std::fmt;

use cogwheel_testkit::connect;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbErr, QueryResult, Statement};
use tokio::runtime::{Builder, Runtime};

/// A connection of a test's own, beside the server's.
pub struct Sql {
    runtime: Runtime,
    connection: DatabaseConnection,
}

impl Sql {
    /// Connects.
    pub fn open(url: &str) -> Self {
        let runtime = runtime();
        let connection = runtime.block_on(connect(url));
        Self { runtime, connection }
    }

    /// Runs statements.
    pub fn execute(&mut self, sql: &str) {
        self.try_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Runs statements that may fail.
    pub fn try_execute(&mut self, sql: &str) -> Result<(), DbErr> {
        self.runtime.block_on(self.connection.execute_unprepared(sql)).map(|_| ())
    }

    /// The whole number that `sql` selects.
    pub fn number(&mut self, sql: &str) -> i64 {
        let rows = self.rows(sql);
        let row = rows.first().unwrap_or_else(|| panic!("{sql}: no row"));
        row.try_get_by_index(0).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The texts that `sql` selects, one a row.
    pub fn texts(&mut self, sql: &str) -> Vec<String> {
        let text = |row: &QueryResult| row.try_get_by_index(0).unwrap_or_else(|error| panic!("{sql}: {error}"));
        self.rows(sql).iter().map(text).collect()
    }

    fn rows(&mut self, sql: &str) -> Vec<QueryResult> {
        let statement = Statement::from_string(self.connection.get_database_backend(), sql);
        let rows = self.runtime.block_on(self.connection.query_all_raw(statement));
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql").finish_non_exhaustive()
    }
}

/// Waits for a future on a runtime of its own.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}
