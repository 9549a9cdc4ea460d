//! The database of a test, and SQL on it beside the server.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr, QueryResult, Statement};
use tokio::runtime::{Builder, Runtime};

use crate::binary;

const POSTGRES_URL: &str = "COGWHEEL_TEST_POSTGRES_URL";
/// Held while the template is made.
const TEMPLATE_LOCK: i64 = 0x434f_4757_4845_454c;
const TEMPLATE: &str = "cogwheel_e2e_template_";

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The embedded one.
    Sqlite,
    /// A server's.
    Postgres,
}

/// A PostgreSQL database of one test, dropped with it.
#[derive(Debug)]
pub(crate) struct PostgresDatabase {
    name: String,
    pub(crate) url: String,
}

impl PostgresDatabase {
    /// One without a table.
    pub(crate) fn empty() -> Self {
        Self::create("template0")
    }

    /// One with the schema of the binary under test, which is brought up once and copied.
    pub(crate) fn migrated(migrate: impl FnOnce(&str)) -> Self {
        let template = format!("{TEMPLATE}{}", binary::stamp());
        let mut server = Sql::open(&server_url());
        server.execute(&format!("select pg_advisory_lock({TEMPLATE_LOCK})"));
        let known = format!("select count(*) from pg_database where datname = '{template}' and datistemplate");
        if server.number(&known) == 0 {
            for stale in server.texts(&format!(
                "select datname from pg_database where starts_with(datname, '{TEMPLATE}') and datname <> '{template}'"
            )) {
                server.execute(&format!("alter database \"{stale}\" is_template false"));
                server.execute(&format!("drop database if exists \"{stale}\" with (force)"));
            }
            server.execute(&format!("drop database if exists \"{template}\" with (force)"));
            server.execute(&format!("create database \"{template}\" template template0"));
            migrate(&with_database(&template));
            server.execute(&format!("alter database \"{template}\" is_template true"));
        }
        server.execute(&format!("select pg_advisory_unlock({TEMPLATE_LOCK})"));
        Self::create(&template)
    }

    fn create(template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cogwheel_e2e_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut server = Sql::open(&server_url());
        server.execute(&format!("drop database if exists \"{name}\" with (force)"));
        server.execute(&format!("create database \"{name}\" template \"{template}\""));
        Self { url: with_database(&name), name }
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        Sql::open(&server_url()).execute(&format!("drop database if exists \"{}\" with (force)", self.name));
    }
}

fn server_url() -> String {
    env::var(POSTGRES_URL).unwrap_or_else(|_| {
        panic!(
            "{POSTGRES_URL} is not set: run `cargo xtask test`, which brings a PostgreSQL, or set it to one's address"
        )
    })
}

/// The server's address with another database.
fn with_database(name: &str) -> String {
    let url = server_url();
    let (place, query) = url.split_once('?').map_or((url.as_str(), None), |(place, query)| (place, Some(query)));
    let authority = place.find("://").map_or(0, |at| at + 3);
    let end = place[authority..].find('/').map_or(place.len(), |at| authority + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &place[..end])
}

/// A connection of a test's own, beside the server's.
pub struct Sql {
    runtime: Runtime,
    connection: DatabaseConnection,
}

impl Sql {
    /// Connects.
    pub fn open(url: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let connection = runtime.block_on(Database::connect(options)).expect("the database answers");
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

impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sql").finish_non_exhaustive()
    }
}
