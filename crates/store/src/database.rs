//! Opens the database that a URL names, with the rights that each use needs and no more.

mod open_postgres;
mod open_sqlite;
mod url;

use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::StoreError;
use cogwheel_entity::nodes;
use sea_orm::{ColumnTrait, DatabaseConnection, DbBackend, EntityTrait, QueryFilter, sqlx};

use crate::journal::Journal;
use crate::notices::Notices;
use crate::store::{Inner, SqlStore};
use url::Target;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// How many connections serve reads.
    pub read_connections: u32,
    /// How long to try to reach the database, and to wait for a free connection.
    pub acquire_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { read_connections: 4, acquire_timeout: Duration::from_secs(10) }
    }
}

/// A database that was reached, before anything serves from it: for migrations and checks.
#[derive(Debug)]
pub struct Database {
    target: Target,
    options: ConnectOptions,
    admin: DatabaseConnection,
}

impl Database {
    /// Reaches `sqlite:<path>` (the file is made when it is missing) or `postgres://…` (version 15 or newer).
    ///
    /// # Errors
    /// Says what is wrong with the URL, the host, the password or the version; never shows a password.
    pub async fn connect(url: &str, options: ConnectOptions) -> Result<Self, StoreError> {
        let target = Target::parse(url)?;
        let admin = match &target {
            Target::Sqlite(path) => open_sqlite::admin(path, &options).await?,
            Target::Postgres(connect) => open_postgres::admin(connect, &options).await?,
        };
        Ok(Self { target, options, admin })
    }

    /// Which of the two databases it is.
    pub fn backend(&self) -> DbBackend {
        match self.target {
            Target::Sqlite(_) => DbBackend::Sqlite,
            Target::Postgres(_) => DbBackend::Postgres,
        }
    }

    /// Whether several servers may work on it at once: then each of them holds a lease.
    pub fn is_shared(&self) -> bool {
        matches!(self.target, Target::Postgres(_))
    }

    /// The names of the servers that hold a lease on it at `at`.
    ///
    /// # Errors
    /// When it cannot be asked. A database without tables has no servers, and one that is not shared tells of none.
    pub async fn servers(&self, at: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        if !self.is_shared() {
            return Ok(Vec::new());
        }
        let alive = nodes::Entity::find().filter(nodes::Column::LeaseExpiresAt.gt(at));
        let alive = alive.filter(nodes::Column::Status.eq(nodes::NodeStatus::Active));
        match alive.all(&self.admin).await {
            Ok(alive) => Ok(alive.into_iter().map(|node| node.node_name).collect()),
            Err(error) if crate::fault::is_missing_table(&error) => Ok(Vec::new()),
            Err(error) => Err(crate::fault::from_db(&error)),
        }
    }

    /// The connection with all rights: for migrations and verification, not for serving.
    pub fn admin(&self) -> &DatabaseConnection {
        &self.admin
    }

    /// Opens it for serving and gives the connection with all rights back. The schema must be in place.
    ///
    /// # Errors
    /// On PostgreSQL also when the roles of the engine and the API are missing or have rights they must not have.
    pub async fn open(self) -> Result<SqlStore, StoreError> {
        // Two writers would wait for each other's locks, so the first must be gone before the second begins.
        self.admin.close().await.map_err(|error| crate::fault::from_db(&error))?;
        let store = match &self.target {
            Target::Sqlite(path) => {
                let readers = open_sqlite::readers(path, &self.options);
                let journal = Journal::on_sqlite(open_sqlite::writer(path)?)?;
                SqlStore::new(Inner::Sqlite { readers, journal }, Notices::silent())
            }
            Target::Postgres(connect) => {
                let writer = open_postgres::writer(connect, &self.options);
                let engine = open_postgres::engine(connect, &self.options);
                let app = open_postgres::app(connect, &self.options);
                open_postgres::check_roles(&engine, &app).await?;
                let journal = Journal::on_postgres(&writer, &engine);
                let notices = Notices::over(open_postgres::as_engine(connect));
                SqlStore::new(Inner::Postgres { writer, engine, app, journal }, notices)
            }
        };
        Ok(store)
    }
}

/// Small and lazy: an idle server holds no connection it does not need.
fn pool<D: sqlx::Database>(connections: u32, options: &ConnectOptions) -> sqlx::pool::PoolOptions<D> {
    sqlx::pool::PoolOptions::new()
        .min_connections(0)
        .max_connections(connections.max(1))
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(Duration::from_mins(5))
        .test_before_acquire(false)
}
