//! Rows of `migration_log`: what ran, when, how long, and what the schema looked like afterwards.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::sea_query::{Expr, ExprTrait as _, Order, Query};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub(crate) const TABLE: &str = "migration_log";

/// Which way a step ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It was applied.
    Up,
    /// It was taken back.
    Down,
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One run of a step.
pub(crate) struct Entry<'a> {
    pub name: &'a str,
    pub direction: Direction,
    pub checksum: String,
    pub fingerprint: String,
    pub duration: Duration,
    pub description: String,
}

/// The last time a step was applied.
pub(crate) struct LastUp {
    pub checksum: String,
    pub executed_at: DateTime<Utc>,
}

/// SHA-256 of the statements a step runs, 64 hexadecimal digits.
pub(crate) fn checksum(statements: &[String]) -> String {
    let digest = Sha256::digest(statements.join(";\n").as_bytes());
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

pub(crate) async fn write(db: &impl ConnectionTrait, entry: Entry<'_>) -> Result<(), DbErr> {
    let milliseconds = i64::try_from(entry.duration.as_millis()).unwrap_or(i64::MAX);
    let insert = Query::insert()
        .into_table(TABLE)
        .columns([
            "id",
            "migration_name",
            "direction",
            "checksum",
            "schema_fingerprint",
            "engine_version",
            "executed_at",
            "execution_time_ms",
            "description",
        ])
        .values_panic([
            Uuid::now_v7().into(),
            entry.name.into(),
            entry.direction.word().into(),
            entry.checksum.into(),
            entry.fingerprint.into(),
            env!("CARGO_PKG_VERSION").into(),
            now().into(),
            milliseconds.into(),
            entry.description.into(),
        ])
        .take();
    db.execute(&insert).await?;
    Ok(())
}

/// The last application of each step that was ever applied.
pub(crate) async fn last_ups(db: &impl ConnectionTrait) -> Result<BTreeMap<String, LastUp>, DbErr> {
    let select = Query::select()
        .columns(["migration_name", "checksum", "executed_at"])
        .from(TABLE)
        .and_where(Expr::col("direction").eq(Direction::Up.word()))
        .order_by("executed_at", Order::Asc)
        .order_by("id", Order::Asc)
        .take();
    let mut last = BTreeMap::new();
    for row in db.query_all(&select).await? {
        let up = LastUp { checksum: row.try_get("", "checksum")?, executed_at: row.try_get("", "executed_at")? };
        last.insert(row.try_get("", "migration_name")?, up);
    }
    Ok(last)
}

/// What the schema looked like after the newest run of any step, in whichever direction.
pub(crate) async fn newest_fingerprint(db: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    let select = Query::select()
        .column("schema_fingerprint")
        .from(TABLE)
        .order_by("executed_at", Order::Desc)
        .order_by("id", Order::Desc)
        .limit(1)
        .take();
    db.query_one(&select).await?.map(|row| row.try_get("", "schema_fingerprint")).transpose()
}

/// The one place where migrations read the clock: a step runs before there is an engine with a clock to pass in.
#[expect(clippy::disallowed_methods, reason = "the ledger's time stamp; no decision depends on it")]
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
