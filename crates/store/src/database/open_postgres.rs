//! PostgreSQL: who connects as whom.

use std::borrow::Cow;
use std::time::Duration;

use cogwheel_engine::ports::StoreError;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{self, Connection, PgConnection, Postgres};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::{ConnectOptions, pool};
use crate::fault;

/// The role of the journal and the scheduler: sees every tenant.
const ENGINE_ROLE: &str = "cogwheel_engine";
/// The role of the API: sees the tenant that its transaction names.
const APP_ROLE: &str = "cogwheel_app";
/// The first version with everything the schema uses.
const OLDEST_VERSION: i32 = 150_000;
/// A connection idle for longer is tried before it is used: the server may have been restarted.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);
/// Connections of the engine beside its writer's: for rare writes, and for what it asks.
const ENGINE_CONNECTIONS: u32 = 2;
/// The writer reaches rows by their keys alone, and plans each statement once. A plan that was made while a table was empty would
/// otherwise read all of it when it no longer is.
const BY_KEYS: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// Connects with the rights of the URL's user.
pub(super) async fn admin(
    connect: &PgConnectOptions,
    options: &ConnectOptions,
) -> Result<DatabaseConnection, StoreError> {
    // A pool would try again until its time is up; the first refusal says more than the last silence.
    let mut first = tokio::time::timeout(options.acquire_timeout, PgConnection::connect_with(connect))
        .await
        .map_err(|_| StoreError::Unavailable(format!("{} does not answer", place(connect))))?
        .map_err(|error| cannot_connect(connect, &error))?;
    let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
        .fetch_one(&mut first)
        .await
        .map_err(|error| fault::from_sqlx(&error))?;
    first.close().await.map_err(|error| fault::from_sqlx(&error))?;
    if version < OLDEST_VERSION {
        return Err(StoreError::Unavailable(format!(
            "{} runs PostgreSQL {}; version 15 or newer is needed",
            place(connect),
            version / 10_000
        )));
    }
    Ok(lazy(connect.clone(), 2, options))
}

/// How a connection is made that runs as the engine's role.
pub(super) fn as_engine(connect: &PgConnectOptions) -> PgConnectOptions {
    connect.clone().options([("role", ENGINE_ROLE)])
}

/// Connections that run as the engine's role.
pub(super) fn engine(connect: &PgConnectOptions, options: &ConnectOptions) -> DatabaseConnection {
    lazy(as_engine(connect), ENGINE_CONNECTIONS, options)
}

/// The connection of the journal's writer, which runs as the engine's role. It is one, so that what it knows of tables and plans
/// is always at hand.
pub(super) fn writer(connect: &PgConnectOptions, options: &ConnectOptions) -> DatabaseConnection {
    lazy(as_engine(connect).options(BY_KEYS), 1, options)
}

/// Connections that run as the API's role, under row-level security.
pub(super) fn app(connect: &PgConnectOptions, options: &ConnectOptions) -> DatabaseConnection {
    lazy(connect.clone().options([("role", APP_ROLE)]), options.read_connections, options)
}

fn lazy(connect: PgConnectOptions, connections: u32, options: &ConnectOptions) -> DatabaseConnection {
    pool::<Postgres>(connections, options)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < TRUSTED_IDLE || connection.ping().await.is_ok()) })
        })
        .connect_lazy_with(connect)
        .into()
}

/// Refuses roles that row-level security would not bind.
pub(super) async fn check_roles(engine: &DatabaseConnection, app: &DatabaseConnection) -> Result<(), StoreError> {
    for (connection, role) in [(engine, ENGINE_ROLE), (app, APP_ROLE)] {
        connection.ping().await.map_err(|error| {
            let cause = fault::from_db(&error);
            StoreError::Unavailable(format!(
                "the server cannot work as role `{role}` ({cause}); run `cogwheel db migrate`, which makes the role, \
                 and `grant {role} to <the user of the database URL>` where another user ran it"
            ))
        })?;
    }
    let question = Statement::from_string(
        DbBackend::Postgres,
        "select r.rolsuper, r.rolbypassrls, exists (
             select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'p') and n.nspname = current_schema()
               and pg_has_role(r.oid, c.relowner, 'usage')
         ) as owns from pg_roles r where r.rolname = current_user",
    );
    let row = app
        .query_one_raw(question)
        .await
        .map_err(|error| fault::from_db(&error))?
        .ok_or_else(|| StoreError::Bug(format!("role `{APP_ROLE}` is not in pg_roles")))?;
    let has = |column: &str| row.try_get::<bool>("", column).map_err(|error| fault::from_db(&error));
    let (too_much, remedy) = if has("rolsuper")? {
        ("is a superuser", format!("alter role {APP_ROLE} nosuperuser"))
    } else if has("rolbypassrls")? {
        ("may bypass row-level security", format!("alter role {APP_ROLE} nobypassrls"))
    } else if has("owns")? {
        ("owns the tables", format!("give the tables to another role: reassign owned by {APP_ROLE} to <owner>"))
    } else {
        return Ok(());
    };
    Err(StoreError::Conflict(format!(
        "role `{APP_ROLE}` {too_much}, so tenants would not be kept apart; run `{remedy}` and start again"
    )))
}

fn cannot_connect(connect: &PgConnectOptions, error: &sqlx::Error) -> StoreError {
    let (place, user) = (place(connect), connect.get_username());
    let code = error.as_database_error().and_then(|error| error.code().map(Cow::into_owned));
    StoreError::Unavailable(match (code.as_deref(), error) {
        (Some("28P01" | "28000"), _) => {
            format!("{place} refuses user `{user}`: check the user and the password in the URL")
        }
        (Some("3D000"), _) => format!("{place} does not exist: create it, as in `createdb --owner={user} …`"),
        (_, sqlx::Error::Io(error)) => format!("{place} cannot be reached: {error}"),
        (_, error) => format!("{place} refuses the connection: {error}"),
    })
}

/// Where the database is, without credentials.
pub(super) fn place(connect: &PgConnectOptions) -> String {
    let database = connect.get_database().unwrap_or_else(|| connect.get_username());
    match connect.get_socket() {
        Some(socket) => format!("database `{database}` at {}", socket.display()),
        None => format!("database `{database}` at {}:{}", connect.get_host(), connect.get_port()),
    }
}
