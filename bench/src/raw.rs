//! What the machine and the databases can do at all: the figures that the engine's are held against.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_testkit::{Backend, TestDatabase};
use rusqlite::{Connection, params};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, PgConnection};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::bed::Bed;
use crate::figure::{Figure, Times, median, milliseconds, rate};

/// How often each figure is taken; the median counts.
const ROUNDS: usize = 5;
/// Rows in the largest batches.
const BATCH: usize = 1000;
/// Steps of one execution in the plain table.
const STEPS: usize = 40;
/// Connections that insert side by side.
const CONNECTIONS: usize = 8;

/// The columns that the engine fills.
const COLUMNS: &str = "tenant_id, execution_id, ordinal, step_key, step_name, step_type, status, effect_state, attempt, \
                       attempt_history, input_data, output_data, lease_epoch, started_at, completed_at, \
                       execution_time_ms, created_at, updated_at";

/// The same columns with the same keys, without checks, foreign keys and triggers.
const PLAIN: &str =
    "create table plain (tenant_id {uuid} not null, execution_id {uuid} not null, ordinal integer not null,
    step_key varchar(255) not null, run_number integer not null default 1, step_name varchar(255) not null,
    step_type varchar(50) not null, parent_ordinal integer, status text not null, effect_state text not null,
    attempt integer not null, attempt_history {json} not null, input_data {json}, output_data {json}, error {json},
    lease_epoch bigint not null, wake_at {instant}, timeout_at {instant}, wait_signal_name varchar(255),
    wait_correlation_key varchar(255), started_at {instant}, completed_at {instant}, execution_time_ms bigint,
    created_at {instant} not null, updated_at {instant} not null, primary key (execution_id, ordinal));
    create unique index plain_key on plain (execution_id, step_key, run_number);";

/// A table with rows of steps in a database of its own.
pub(crate) struct Table {
    place: Place,
    name: &'static str,
    rows: Rows,
}

enum Place {
    Sqlite(Connection),
    Postgres(PgConnection, String),
}

/// Makes rows that nobody has seen before.
struct Rows {
    tenant: Uuid,
    /// The execution of all rows; a new one every few rows where there is none.
    execution: Option<Uuid>,
    made: usize,
    current: Uuid,
}

struct Row {
    tenant: Uuid,
    execution: Uuid,
    ordinal: i32,
    key: String,
}

/// How rows get into PostgreSQL together.
#[derive(Clone, Copy)]
enum Form {
    Json,
    Arrays,
}

impl Rows {
    fn next(&mut self) -> Row {
        let place = self.made;
        self.made += 1;
        if self.execution.is_none() && place.is_multiple_of(STEPS) {
            self.current = SystemClock.new_id();
        }
        let ordinal = if self.execution.is_some() { BATCH + place } else { place % STEPS };
        Row {
            tenant: self.tenant,
            execution: self.execution.unwrap_or(self.current),
            ordinal: i32::try_from(ordinal).expect("ordinals are small"),
            key: format!("step-{ordinal}"),
        }
    }

    fn take(&mut self, count: usize) -> Vec<Row> {
        (0..count).map(|_| self.next()).collect()
    }
}

impl Table {
    /// A table shaped like `step_executions`. `folder` is for SQLite, `database` is an empty one of PostgreSQL.
    async fn plain(folder: &Path, database: Option<&TestDatabase>) -> Self {
        let rows = Rows { tenant: Uuid::nil(), execution: None, made: 0, current: Uuid::nil() };
        let create = |uuid: &str, json: &str, instant: &str| {
            PLAIN.replace("{uuid}", uuid).replace("{json}", json).replace("{instant}", instant)
        };
        let place = match database {
            None => {
                let connection = open_sqlite(&folder.join("plain.db"));
                connection.execute_batch(&create("blob", "text", "text")).expect("a new table");
                Place::Sqlite(connection)
            }
            Some(database) => {
                let mut connection = open_postgres(database.url()).await;
                let create = create("uuid", "jsonb", "timestamptz");
                sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.expect("a new table");
                Place::Postgres(connection, database.url().to_owned())
            }
        };
        Self { place, name: "plain", rows }
    }

    /// The table itself, in the database of a bed that was shut down after it ran this execution.
    async fn real(bed: &Bed, execution: Uuid) -> Self {
        let rows = Rows { tenant: bed.engine.tenant().0, execution: Some(execution), made: 0, current: Uuid::nil() };
        let place = match bed.url().strip_prefix("sqlite:") {
            Some(path) => Place::Sqlite(open_sqlite(Path::new(path))),
            None => Place::Postgres(open_postgres(bed.url()).await, bed.url().to_owned()),
        };
        Self { place, name: "step_executions", rows }
    }

    /// Inserts one row and commits it, `count` times.
    async fn single_commits(&mut self, count: usize) -> Times {
        let mut times = Vec::with_capacity(count);
        for row in self.rows.take(count) {
            let began = Instant::now();
            match &mut self.place {
                Place::Sqlite(connection) => insert_sqlite(connection, self.name, &row),
                Place::Postgres(connection, _) => insert_postgres(connection, self.name, Form::Json, &[row]).await,
            }
            times.push(began.elapsed());
        }
        Times::of(times)
    }

    /// Rows a second when `size` of them share a transaction.
    async fn batches(&mut self, form: Form, size: usize, batches: usize) -> f64 {
        let mut rates = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let mut took = Duration::ZERO;
            for _ in 0..batches {
                let rows = self.rows.take(size);
                took += match &mut self.place {
                    Place::Sqlite(connection) => {
                        let began = Instant::now();
                        connection.execute_batch("begin immediate").expect("nobody else writes");
                        for row in &rows {
                            insert_sqlite(connection, self.name, row);
                        }
                        connection.execute_batch("commit").expect("the disk takes it");
                        began.elapsed()
                    }
                    Place::Postgres(connection, _) => {
                        let began = Instant::now();
                        insert_postgres(connection, self.name, form, &rows).await;
                        began.elapsed()
                    }
                };
            }
            rates.push(rate(size * batches, took));
        }
        median(rates)
    }

    /// Commits of one row a second over several connections.
    async fn commits_side_by_side(&mut self, count: usize) -> f64 {
        let Place::Postgres(_, url) = &self.place else { return 0.0 };
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut connection = open_postgres(url).await;
            insert_postgres(&mut connection, self.name, Form::Json, &self.rows.take(1)).await;
            connections.push(connection);
        }
        let began = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for mut connection in connections {
            let (name, rows) = (self.name, self.rows.take(count / CONNECTIONS));
            tasks.spawn(async move {
                for row in rows {
                    insert_postgres(&mut connection, name, Form::Json, &[row]).await;
                }
            });
        }
        tasks.join_all().await;
        rate(count, began.elapsed())
    }
}

/// Rows a second in transactions of a thousand, and the time of a commit of one row, on a table without checks.
pub(crate) async fn limits(backend: Backend) -> (f64, Times) {
    let (folder, database) = place(backend).await;
    let mut table = Table::plain(folder.path(), database.as_ref()).await;
    let _ = table.batches(Form::Json, BATCH, 2).await;
    (table.batches(Form::Json, BATCH, 10).await, table.single_commits(500).await)
}

/// What the database can do.
pub(crate) async fn database(backend: Backend) -> Vec<Figure> {
    let (folder, empty) = place(backend).await;
    let plain = Table::plain(folder.path(), empty.as_ref()).await;
    let bed = Bed::new(backend, &[("one", "steps: [{uses: set, with: {x: 1}}]\n")], Vec::new()).await;
    let run = bed.run("one", Map::new(), 0).await;
    bed.shut_down().await;
    let real = Table::real(&bed, run.id.0).await;
    let tables = [
        (plain, "raw: rows shaped like step_executions, without checks, foreign keys and triggers"),
        (real, "raw: the same rows into step_executions itself"),
    ];
    let mut figures = Vec::new();
    for (mut table, workload) in tables {
        let _ = table.batches(Form::Json, BATCH, 2).await;
        let single = table.single_commits(2000).await;
        let hundreds = table.batches(Form::Json, 100, 50).await;
        let thousands = table.batches(Form::Json, BATCH, 10).await;
        let alone = 1e3 / single.median();
        let mut measured = format!(
            "one row a commit {alone:.0}/s ({}); in transactions of 100 {hundreds:.0} rows/s, of 1 000 {thousands:.0} rows/s",
            single.shown()
        );
        let mut value = json!({ "single_commit": single.json(), "rows_per_second_by_100": hundreds,
            "rows_per_second_by_1000": thousands });
        if backend == Backend::Postgres {
            let side_by_side = table.commits_side_by_side(4000).await;
            let arrays = [table.batches(Form::Arrays, 100, 50).await, table.batches(Form::Arrays, BATCH, 10).await];
            measured = format!(
                "{measured} (json_to_recordset; unnest {:.0} and {:.0}); 8 connections, one row a commit {side_by_side:.0}/s",
                arrays[0], arrays[1]
            );
            value["commits_per_second_of_8"] = json!(side_by_side);
            value["rows_per_second_by_unnest_of_100"] = json!(arrays[0]);
            value["rows_per_second_by_unnest_of_1000"] = json!(arrays[1]);
        }
        figures.push(Figure {
            workload,
            backend: Some(backend),
            measured,
            raw: String::new(),
            reach: "",
            peers: "",
            value,
        });
    }
    figures
}

/// What the machine can do.
pub(crate) async fn machine() -> Vec<Figure> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    vec![disk(folder.path()), processes(folder.path()).await]
}

fn disk(folder: &Path) -> Figure {
    let mut file = File::create(folder.join("synced")).expect("a new file");
    let sync = Times::of((0..500).map(|_| {
        file.write_all(&[7; 4096]).expect("the disk takes it");
        let began = Instant::now();
        file.sync_all().expect("the disk takes it");
        began.elapsed()
    }));
    Figure {
        workload: "raw: fsync after 4 KiB appended",
        backend: None,
        measured: sync.shown(),
        raw: String::new(),
        reach: "",
        peers: "",
        value: sync.json(),
    }
}

async fn processes(folder: &Path) -> Figure {
    let minimal = Times::of((0..400).map(|_| {
        let began = Instant::now();
        minimal_process();
        began.elapsed()
    }));
    let mut shells = Vec::with_capacity(400);
    for _ in 0..400 {
        let began = Instant::now();
        shell("true", folder).await;
        shells.push(began.elapsed());
    }
    let shells = Times::of(shells);
    Figure {
        workload: "raw: processes one after the other",
        backend: None,
        measured: format!(
            "`/bin/true` by posix_spawn {:.0}/s ({}); `sh -c true` set up as a shell step does {:.0}/s ({})",
            1e3 / minimal.median(),
            minimal.shown(),
            1e3 / shells.median(),
            shells.shown()
        ),
        raw: String::new(),
        reach: "",
        peers: "",
        value: json!({ "true": minimal.json(), "shell": shells.json() }),
    }
}

/// Starts `true` in the cheapest way and waits for its end.
fn minimal_process() {
    let mut command = Command::new("/bin/true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let status = command.status().expect("true is installed");
    assert!(status.success());
}

/// Starts a script as a shell step does, and waits for its end and that of its output.
pub(crate) async fn shell(script: &str, root: &Path) {
    let mut command = tokio::process::Command::new("/bin/sh");
    let inherited = std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME");
    command
        .arg("-c")
        .arg(script)
        .env_clear()
        .envs(inherited)
        .env("COGWHEEL_OUTPUT", root.join("output"))
        .env("COGWHEEL_STEP_KEY", "0")
        .env("COGWHEEL_EXECUTION_ID", "0")
        .env("COGWHEEL_WORKFLOW", "bench")
        .env("COGWHEEL_STEP", "step-1")
        .env("COGWHEEL_ATTEMPT", "1")
        .env("COGWHEEL_WORKDIR", root)
        .env("COGWHEEL_ROOT", root)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn().expect("the shell is installed");
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "{script}");
}

/// `40 x 0.7 ms`: the time of `count` scripts one after the other.
pub(crate) async fn shells(count: usize, root: &Path) -> Duration {
    let began = Instant::now();
    for _ in 0..count {
        shell("true", root).await;
    }
    began.elapsed()
}

async fn place(backend: Backend) -> (TempDir, Option<TestDatabase>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = match backend {
        Backend::Sqlite => None,
        Backend::Postgres => Some(TestDatabase::empty(backend).await),
    };
    (folder, database)
}

/// As the engine's writer opens it.
pub(crate) fn open_sqlite(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("the file can be opened");
    connection.pragma_update(None, "journal_mode", "wal").expect("it can log ahead");
    connection.pragma_update(None, "synchronous", "full").expect("it can be durable");
    connection.pragma_update(None, "foreign_keys", true).expect("it can check keys");
    connection
}

pub(crate) async fn open_postgres(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the server answers")
}

fn insert_sqlite(connection: &Connection, table: &str, row: &Row) {
    let now = SystemClock.now().to_rfc3339();
    let places: Vec<String> = (1..=18).map(|place| format!("?{place}")).collect();
    let sql = format!("insert into {table} ({COLUMNS}) values ({})", places.join(", "));
    let inserted = connection.prepare_cached(&sql).and_then(|mut statement| {
        statement.execute(params![
            row.tenant.as_bytes().as_slice(),
            row.execution.as_bytes().as_slice(),
            row.ordinal,
            row.key,
            row.key,
            "set",
            "completed",
            "none",
            1,
            "[]",
            "{\"x\":1}",
            "{\"x\":1}",
            0,
            now,
            now,
            0,
            now,
            now
        ])
    });
    assert_eq!(inserted.expect("the row is right"), 1);
}

async fn insert_postgres(connection: &mut PgConnection, table: &str, form: Form, rows: &[Row]) {
    let now = SystemClock.now();
    let inserted = match form {
        Form::Json => {
            let rows: Vec<Value> = rows
                .iter()
                .map(|row| {
                    json!({ "tenant_id": row.tenant, "execution_id": row.execution, "ordinal": row.ordinal,
                        "step_key": row.key, "step_name": row.key, "step_type": "set", "status": "completed",
                        "effect_state": "none", "attempt": 1, "attempt_history": [], "input_data": {"x": 1},
                        "output_data": {"x": 1}, "lease_epoch": 0, "started_at": now, "completed_at": now,
                        "execution_time_ms": 0, "created_at": now, "updated_at": now })
                })
                .collect();
            let sql = format!(
                "insert into {table} ({COLUMNS}) select {COLUMNS} from json_to_recordset($1::json) as r(tenant_id uuid,
                 execution_id uuid, ordinal int, step_key text, step_name text, step_type text, status text,
                 effect_state text, attempt int, attempt_history jsonb, input_data jsonb, output_data jsonb,
                 lease_epoch bigint, started_at timestamptz, completed_at timestamptz, execution_time_ms bigint,
                 created_at timestamptz, updated_at timestamptz)"
            );
            let rows = Value::Array(rows).to_string();
            sqlx::query(AssertSqlSafe(sql)).bind(rows).execute(connection).await
        }
        Form::Arrays => {
            let sql = format!(
                "insert into {table} ({COLUMNS}) select * from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[],
                 $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::text[]::jsonb[], $10::text[]::jsonb[],
                 $10::text[]::jsonb[], $11::bigint[], $12::timestamptz[], $12::timestamptz[], $11::bigint[],
                 $12::timestamptz[], $12::timestamptz[])"
            );
            let text = |text: &str| vec![text.to_owned(); rows.len()];
            sqlx::query(AssertSqlSafe(sql))
                .bind(rows.iter().map(|row| row.tenant).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.execution).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.ordinal).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>())
                .bind(text("set"))
                .bind(text("completed"))
                .bind(text("none"))
                .bind(vec![1_i32; rows.len()])
                .bind(text("[]"))
                .bind(text("{\"x\":1}"))
                .bind(vec![0_i64; rows.len()])
                .bind(vec![now; rows.len()])
                .execute(connection)
                .await
        }
    };
    let inserted = inserted.expect("the rows are right").rows_affected();
    assert_eq!(inserted, u64::try_from(rows.len()).expect("batches are small"));
}

/// What was used of the processors by this process so far.
pub(crate) fn cpu_time() -> Duration {
    cpu_time_of(std::process::id())
}

/// What a process used of the processors so far.
pub(crate) fn cpu_time_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let (_, after_name) = stat.rsplit_once(')').expect("the name stands in brackets");
    let ticks =
        |place| -> u64 { after_name.split_whitespace().nth(place).and_then(|n| n.parse().ok()).expect("ticks") };
    // The kernel counts them in hundredths of a second for everybody.
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// What each of `count` executions used of the processors since `before`, in milliseconds.
pub(crate) fn cpu_each(before: Duration, count: usize) -> f64 {
    milliseconds(cpu_time().saturating_sub(before)) / f64::from(u32::try_from(count).expect("counts are small"))
}
