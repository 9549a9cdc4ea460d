//! SQLite: one writer, a few readers, every commit on the disk before it counts.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use cogwheel_engine::ports::StoreError;
use rusqlite::{Connection, OpenFlags};
use sea_orm::DatabaseConnection;
use sea_orm::sqlx::Sqlite;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::{ConnectOptions, pool};
use crate::fault;

/// How long a lock of another process (a backup, a check) is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of write-ahead log that stay on the disk after a burst.
const LARGEST_IDLE_LOG: i64 = 64 * 1024 * 1024;

/// Statements that the writer keeps prepared.
const PREPARED_STATEMENTS: usize = 128;

/// Makes an empty file that only its owner may read, where it is missing: it will hold inputs and outputs. The files
/// that SQLite puts beside it get the same rights.
fn make_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(cannot_open(path, &error)),
    }
}

/// Opens the file with all rights, making it if it is missing.
pub(super) async fn admin(path: &Path, options: &ConnectOptions) -> Result<DatabaseConnection, StoreError> {
    make_private(path)?;
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    let pool = pool::<Sqlite>(1, options).connect_with(connect).await.map_err(|error| cannot_open(path, &error))?;
    Ok(pool.into())
}

/// Connections that can only read; each sees the last commit.
pub(super) fn readers(path: &Path, options: &ConnectOptions) -> DatabaseConnection {
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .read_only(true)
        .pragma("query_only", "1")
        .busy_timeout(BUSY_TIMEOUT);
    pool::<Sqlite>(options.read_connections, options).connect_lazy_with(connect).into()
}

/// The one connection that writes.
pub(super) fn writer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "journal_size_limit", LARGEST_IDLE_LOG)?;
        connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        Ok(connection)
    };
    open().map_err(|error| fault::from_sqlite(&error))
}

fn cannot_open(path: &Path, error: &impl Display) -> StoreError {
    let shown = path.display();
    let folder_is_missing = path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
    StoreError::Unavailable(if folder_is_missing {
        format!("`{shown}` cannot be made because its folder does not exist")
    } else {
        format!("`{shown}` cannot be opened: {error}")
    })
}
