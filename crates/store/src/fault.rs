//! Turns what the drivers report into the few errors the engine reacts to.

use cogwheel_engine::ports::StoreError;
use rusqlite::ErrorCode;
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// SQLSTATE classes and codes after which the same call may succeed.
const TRANSIENT_CLASSES: [&str; 3] = ["08", "53", "57"];
const TRANSIENT_CODES: [&str; 4] = ["40001", "40P01", "55P03", "25006"];

/// What a failed SeaORM call means.
pub(crate) fn from_db(error: &DbErr) -> StoreError {
    match error {
        DbErr::ConnectionAcquire(_) => StoreError::Unavailable(error.to_string()),
        DbErr::Conn(RuntimeErr::SqlxError(source))
        | DbErr::Exec(RuntimeErr::SqlxError(source))
        | DbErr::Query(RuntimeErr::SqlxError(source)) => from_sqlx(source),
        other => StoreError::Bug(other.to_string()),
    }
}

/// What a failed commit means: when the connection broke, it may have succeeded.
pub(crate) fn from_commit(error: &DbErr) -> StoreError {
    match from_db(error) {
        StoreError::Unavailable(why) => StoreError::Unanswered(why),
        other => other,
    }
}

/// What a failed read of `table` means, where the answer is not told row by row.
pub(crate) fn reading(table: &'static str) -> impl Fn(DbErr) -> StoreError {
    move |error| {
        if is_undecodable(&error) {
            StoreError::CorruptRow { table, id: "of this answer".to_owned(), why: error.to_string() }
        } else {
            from_db(&error)
        }
    }
}

/// Whether a row came, but holds what its columns cannot mean.
pub(crate) fn is_undecodable(error: &DbErr) -> bool {
    match error {
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => true,
        DbErr::Query(RuntimeErr::SqlxError(source)) => {
            matches!(**source, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
        }
        _ => false,
    }
}

/// Whether a statement failed because PostgreSQL has no such table.
pub(crate) fn is_missing_table(error: &DbErr) -> bool {
    const UNDEFINED_TABLE: &str = "42P01";
    let (DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source))) = error else {
        return false;
    };
    matches!(&**source, sqlx::Error::Database(reported) if reported.code().is_some_and(|code| code == UNDEFINED_TABLE))
}

/// What a failed sqlx call means.
pub(crate) fn from_sqlx(error: &sqlx::Error) -> StoreError {
    let transient = match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        // What is left of an answer when the connection breaks in the middle of it.
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(reported) => match reported.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
            Some(_) => reported.code().is_some_and(|code| is_transient_sqlite(&code)),
            None => reported.code().is_some_and(|code| is_transient_state(&code)),
        },
        _ => false,
    };
    if transient { StoreError::Unavailable(error.to_string()) } else { StoreError::Bug(error.to_string()) }
}

/// What a failed rusqlite call means.
pub(crate) fn from_sqlite(error: &rusqlite::Error) -> StoreError {
    let transient = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
        )
    );
    if transient { StoreError::Unavailable(error.to_string()) } else { StoreError::Bug(error.to_string()) }
}

fn is_transient_state(state: &str) -> bool {
    TRANSIENT_CODES.contains(&state) || TRANSIENT_CLASSES.iter().any(|class| state.starts_with(class))
}

/// By SQLite's primary result code: busy, locked, out of memory, read-only, I/O, full, cannot open.
fn is_transient_sqlite(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 8 | 10 | 13 | 14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_comes_back_is_waited_for() {
        for state in ["08006", "53300", "57P01", "57P03", "40001", "55P03"] {
            assert!(is_transient_state(state), "{state}");
        }
        for state in ["23505", "42P01", "22P02", "42501"] {
            assert!(!is_transient_state(state), "{state}");
        }
        assert!(is_transient_sqlite("5") && is_transient_sqlite("517") && is_transient_sqlite("13"));
        assert!(!is_transient_sqlite("2067") && !is_transient_sqlite("19"));
    }

    #[test]
    fn a_connection_that_broke_is_made_anew() {
        let broken = sqlx::Error::Protocol("unexpected response from SSLRequest: 0x00".to_owned());
        assert!(from_sqlx(&broken).is_transient());
        assert!(from_sqlx(&sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())).is_transient());
        assert!(!from_sqlx(&sqlx::Error::RowNotFound).is_transient());
    }

    #[test]
    fn a_full_disk_may_have_room_later() {
        let full = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(13), None);
        assert!(from_sqlite(&full).is_transient());
        let unique = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(2067), None);
        assert!(!from_sqlite(&unique).is_transient());
    }
}
