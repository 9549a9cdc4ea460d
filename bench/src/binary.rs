//! Workloads of the real binary: those in which a process has to die, to start, or to be looked at from outside.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_tests::{Backend, Home, Server, Sql, within};
use rusqlite::params;
use sea_orm::sqlx::{self, AssertSqlSafe};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::figure::{Figure, Times, milliseconds, rate};
use crate::raw;

/// Executions that are in flight when the server dies.
const IN_FLIGHT: usize = 10_000;
/// Of these, how many run a process where some do.
const RUNNING: usize = 64;
/// Clients that start executions side by side.
const CLIENTS: usize = 8;
/// Executions that are started first, to see how long starting the others will take.
const WARM: usize = 400;
/// How far ahead the instant lies that executions wait for, in times of what starting them should take, and on top.
const AHEAD: u32 = 2;
const AT_LEAST_AHEAD: Duration = Duration::from_secs(20);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(20);
/// Workflows that are stored before a start.
const STORED: usize = 100_000;
/// How many rows are sent at once.
const CHUNK: usize = 2000;
/// How often a start is measured.
const STARTS: usize = 5;
/// What the loud step prints: 1 GiB in lines of 100 bytes.
const OUTPUT: u64 = 1 << 30;
/// How long the server is down.
const DOWN: Duration = Duration::from_millis(500);

/// Kills the server while executions wait for an instant that passes while it is down, then while they queue behind
/// running processes.
pub(crate) fn crash(backend: Backend) -> Vec<Figure> {
    vec![crash_while_waiting(backend), crash_while_running(backend)]
}

fn crash_while_waiting(backend: Backend) -> Figure {
    let home = Home::new(backend);
    home.write(
        "workflows/patient.yaml",
        "timeout: 1h\ninputs: {at: {type: string}}\nsteps:\n  - {uses: set, with: {x: 1}}\n  \
         - {uses: wait, with: {until: '${{ inputs.at }}'}}\n  - {uses: set, with: {x: 2}}\n",
    );
    let server = home.serve();
    let past = json!({ "at": SystemClock.now().to_rfc3339() });
    let warm = start_side_by_side(&server, "patient", &past, WARM);
    let mut sql = home.sql();
    until_completed(&mut sql, WARM);
    let ahead =
        Duration::from_secs_f64(1.0 / warm) * AHEAD * u32::try_from(IN_FLIGHT).expect("it is small") + AT_LEAST_AHEAD;
    let at = SystemClock.now() + ahead;
    let started = start_side_by_side(&server, "patient", &json!({ "at": at.to_rfc3339() }), IN_FLIGHT);
    within(PATIENCE, "all to wait", || (count(&mut sql, "status = 'waiting'") == IN_FLIGHT).then_some(()));
    let left = (at - SystemClock.now()).to_std().expect("all wait before the instant");
    pause(left.saturating_sub(DOWN / 2));
    let owned = count(&mut sql, "status = 'waiting' and owner_node_id is not null");
    server.crash();
    pause(DOWN);
    let began = Instant::now();
    let server = home.serve();
    let ready = began.elapsed();
    until_completed(&mut sql, WARM + IN_FLIGHT);
    let took = began.elapsed();
    drop(server);
    Figure {
        workload: "kill -9 with 10 000 waiting executions whose instant passes while the server is down, until all have ended",
        backend: Some(backend),
        measured: format!(
            "{:.2} s ({:.0}/s), listening after {:.0} ms",
            took.as_secs_f64(),
            rate(IN_FLIGHT, took),
            milliseconds(ready)
        ),
        raw: format!("{owned} of them owned by the dead server; started at {started:.0}/s over HTTP"),
        reach: "< 3 s",
        peers: "nobody publishes it",
        value: json!({ "seconds": took.as_secs_f64(), "ready_ms": milliseconds(ready), "owned": owned,
            "starts_per_second_over_http": started }),
    }
}

fn crash_while_running(backend: Backend) -> Figure {
    let mut home = Home::new(backend);
    home.set("engine.max_running_executions", &RUNNING.to_string());
    home.write(
        "workflows/busy.yaml",
        "timeout: 1h\nsteps: [{run: 'if [ \"$COGWHEEL_ATTEMPT\" = 1 ]; then exec sleep 600; fi'}]\n",
    );
    home.write("workflows/one.yaml", "timeout: 1h\nsteps: [{uses: set, with: {x: 1}}]\n");
    let server = home.serve();
    start_side_by_side(&server, "busy", &json!({}), RUNNING);
    let mut sql = home.sql();
    within(PATIENCE, "all processes", || (count_steps(&mut sql, "status = 'running'") == RUNNING).then_some(()));
    start_side_by_side(&server, "one", &json!({}), IN_FLIGHT);
    let owned = count(&mut sql, "completed_at is null and owner_node_id is not null");
    server.crash();
    pause(DOWN);
    let began = Instant::now();
    let server = home.serve();
    let ready = began.elapsed();
    within(PATIENCE, "the processes again", || (count_steps(&mut sql, "attempt > 1") == RUNNING).then_some(()));
    let moving = began.elapsed();
    until_completed(&mut sql, IN_FLIGHT + RUNNING);
    let took = began.elapsed();
    drop(server);
    Figure {
        workload: "kill -9 with 64 running processes and 10 000 queued executions, until all have ended",
        backend: Some(backend),
        measured: format!(
            "{:.2} s; all 64 processes tried again after {:.2} s, listening after {:.0} ms",
            took.as_secs_f64(),
            moving.as_secs_f64(),
            milliseconds(ready)
        ),
        raw: format!("{owned} of them owned by the dead server"),
        reach: "< 3 s",
        peers: "nobody publishes it",
        value: json!({ "seconds": took.as_secs_f64(), "processes_again_seconds": moving.as_secs_f64(),
            "ready_ms": milliseconds(ready), "owned": owned }),
    }
}

/// Starts executions over HTTP; how many a second.
fn start_side_by_side(server: &Server, workflow: &str, inputs: &serde_json::Value, executions: usize) -> f64 {
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for _ in 0..executions / CLIENTS {
                    server.start(workflow, inputs);
                }
            });
        }
    });
    rate(executions, began.elapsed())
}

fn until_completed(sql: &mut Sql, executions: usize) {
    within(PATIENCE, "all executions to complete", || (count(sql, "status = 'completed'") == executions).then_some(()));
}

fn count(sql: &mut Sql, condition: &str) -> usize {
    let number = sql.number(&format!("select count(*) from workflow_executions where {condition}"));
    usize::try_from(number).expect("counts are small")
}

fn count_steps(sql: &mut Sql, condition: &str) -> usize {
    let number = sql.number(&format!("select count(*) from step_executions where {condition}"));
    usize::try_from(number).expect("counts are small")
}

/// From the start of the process to the first healthy answer, with many workflows in the database and none in the folder.
pub(crate) fn stored(backend: Backend) -> Vec<Figure> {
    let mut home = Home::new(backend);
    home.serve().stop();
    let empty = start_to_ready(&mut home);
    store_workflows(&mut home, backend);
    let full = start_to_ready(&mut home);
    let times = Times::of(full.iter().map(|start| start.took));
    let resident = full.iter().map(|start| start.resident).max().unwrap_or_default();
    let before = Times::of(empty.iter().map(|start| start.took));
    vec![Figure {
        workload: "start to ready with 100 000 workflows stored",
        backend: Some(backend),
        measured: format!(
            "median {:.0} ms, max {:.0} ms, then {} MiB resident",
            times.median(),
            times.percentile(100),
            resident / 1024
        ),
        raw: format!("without any {:.0} ms", before.median()),
        reach: "< 2 s",
        peers: "Restate 325-590 ms, n8n 15 s, Airflow 27 s empty; Kestra 8 s with 100 000",
        value: json!({ "times": times.json(), "empty": before.json(), "resident_kib": resident }),
    }]
}

struct Start {
    took: Duration,
    resident: u64,
}

fn start_to_ready(home: &mut Home) -> Vec<Start> {
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its number").port();
    home.set("listen", &format!("127.0.0.1:{port}"));
    let url = format!("http://127.0.0.1:{port}/health/ready");
    let starts = (0..STARTS).map(|_| {
        let began = Instant::now();
        let mut child = home.command(&["serve"]).stderr(Stdio::null()).spawn().expect("the binary runs");
        while ureq::get(&url).call().is_err() {
            assert!(child.try_wait().expect("it is our child").is_none(), "the server ended");
            pause(Duration::from_micros(500));
        }
        let start = Start { took: began.elapsed(), resident: memory(child.id(), "VmRSS:") };
        let stopped = Command::new("kill").arg(child.id().to_string()).status().expect("kill is there");
        assert!(stopped.success());
        child.wait().expect("it ends");
        start
    });
    starts.collect()
}

/// A stored workflow as `save_workflow` leaves it.
struct Saved {
    id: Uuid,
    version: Uuid,
    name: String,
    text: String,
    definition: String,
    checksum: String,
}

impl Saved {
    fn numbered(number: usize) -> Self {
        let name = format!("stored-{number:06}");
        let text = format!(
            "name: {name}\ndescription: Takes in what was dropped for customer {number}\ninputs:\n  \
             day: {{type: string, default: today}}\nsteps:\n  - id: fetch\n    run: ./fetch.sh\n    \
             env: {{DAY: \"${{{{ inputs.day }}}}\"}}\n    retry: 3\n  - id: note\n    uses: log\n    \
             with: {{message: \"fetched ${{{{ inputs.day }}}}\"}}\n"
        );
        let workflow = cogwheel_definition::parse(text.as_bytes(), &name).expect("the text is right");
        let mut checksum = String::with_capacity(64);
        for byte in Sha256::digest(text.as_bytes()) {
            write!(checksum, "{byte:02x}").expect("texts grow");
        }
        Self {
            id: SystemClock.new_id(),
            version: SystemClock.new_id(),
            name,
            definition: workflow.to_json().to_string(),
            text,
            checksum,
        }
    }
}

fn store_workflows(home: &mut Home, backend: Backend) {
    match backend {
        Backend::Sqlite => store_in_sqlite(home),
        Backend::Postgres => {
            let url = home.unset("database_url").expect("it has an address");
            home.set("database_url", &url);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(store_in_postgres(&url));
        }
    }
}

fn store_in_sqlite(home: &Home) {
    let mut connection = raw::open_sqlite(&home.data().join("cogwheel.db"));
    let transaction = connection.transaction().expect("nobody else writes");
    let now = SystemClock.now().to_rfc3339();
    for saved in (0..STORED).map(Saved::numbered) {
        let mut workflow = transaction
            .prepare_cached(
                "insert into workflows (id, tenant_id, name, status, max_retries, created_at, updated_at)
                 select ?1, id, ?2, 'active', 2, ?3, ?3 from tenants where slug = 'default'",
            )
            .expect("the statement is right");
        workflow.execute(params![saved.id.as_bytes().as_slice(), saved.name, now]).expect("the row is right");
        let mut version = transaction
            .prepare_cached(
                "insert into workflow_versions (id, tenant_id, workflow_id, version, source_text, definition, checksum,
                    language_version, step_count, is_active, activated_at, created_at, updated_at)
                 select ?1, id, ?2, 1, ?3, ?4, ?5, '1', 2, true, ?6, ?6, ?6 from tenants where slug = 'default'",
            )
            .expect("the statement is right");
        let row = params![
            saved.version.as_bytes().as_slice(),
            saved.id.as_bytes().as_slice(),
            saved.text,
            saved.definition,
            saved.checksum,
            now
        ];
        version.execute(row).expect("the row is right");
    }
    transaction.commit().expect("the disk takes it");
}

async fn store_in_postgres(url: &str) {
    let mut connection = raw::open_postgres(url).await;
    let numbers: Vec<usize> = (0..STORED).collect();
    for numbers in numbers.chunks(CHUNK) {
        let saved: Vec<Saved> = numbers.iter().map(|number| Saved::numbered(*number)).collect();
        let texts = |of: fn(&Saved) -> &String| saved.iter().map(|saved| of(saved).clone()).collect::<Vec<_>>();
        let ids: Vec<Uuid> = saved.iter().map(|saved| saved.id).collect();
        let workflows = "insert into workflows (id, tenant_id, name, status, max_retries)
            select r.id, t.id, r.name, 'active', 2 from tenants t, unnest($1::uuid[], $2::text[]) as r(id, name)
            where t.slug = 'default'";
        sqlx::query(workflows)
            .bind(ids.clone())
            .bind(texts(|saved| &saved.name))
            .execute(&mut connection)
            .await
            .expect("the rows are right");
        let versions = "insert into workflow_versions (id, tenant_id, workflow_id, version, source_text, definition,
                checksum, language_version, step_count, is_active, activated_at)
            select r.id, t.id, r.workflow, 1, r.source, r.definition::jsonb, r.checksum, '1', 2, true, now()
            from tenants t, unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
                as r(id, workflow, source, definition, checksum) where t.slug = 'default'";
        sqlx::query(versions)
            .bind(saved.iter().map(|saved| saved.version).collect::<Vec<_>>())
            .bind(ids)
            .bind(texts(|saved| &saved.text))
            .bind(texts(|saved| &saved.definition))
            .bind(texts(|saved| &saved.checksum))
            .execute(&mut connection)
            .await
            .expect("the rows are right");
    }
    sqlx::raw_sql(AssertSqlSafe("analyze workflows; analyze workflow_versions".to_owned()))
        .execute(&mut connection)
        .await
        .expect("the server can count");
}

/// One step that prints a gibibyte.
pub(crate) fn output(backend: Backend) -> Vec<Figure> {
    let home = Home::new(backend);
    let line = "0123456789".repeat(10);
    home.write(
        "workflows/loud.yaml",
        format!("timeout: 1h\nsteps: [{{run: 'yes {} | head -c {OUTPUT}', timeout: 1h}}]\n", &line[..99]),
    );
    let server = home.serve();
    let idle = memory(server.pid(), "VmRSS:");
    let began = Instant::now();
    server.start("loud", &json!({}));
    within(PATIENCE, "the end of the loud step", || {
        (server.count_executions("loud", &["COMPLETED"]) == 1).then_some(())
    });
    let took = began.elapsed();
    let peak = memory(server.pid(), "VmHWM:");
    let lines = home.sql().number("select count(*) from execution_logs");
    drop(server);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (rows, _) = runtime.block_on(raw::limits(backend));
    let per_second = rate(usize::try_from(lines).expect("lines can be counted"), took);
    vec![Figure {
        workload: "1 GiB of output of one step in lines of 100 bytes: peak resident memory of the server",
        backend: Some(backend),
        measured: format!("{} MiB; {lines} lines kept in {:.0} s ({per_second:.0}/s)", peak / 1024, took.as_secs_f64()),
        raw: format!("{} MiB before it; {rows:.0} rows/s by 1 000", idle / 1024),
        reach: "< 150 MiB",
        peers: "n8n, Argo: out of memory",
        value: json!({ "peak_kib": peak, "idle_kib": idle, "seconds": took.as_secs_f64(), "lines": lines,
            "lines_per_second": per_second, "raw_rows_per_second": rows }),
    }]
}

/// In KiB.
fn memory(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = text.lines().find(|line| line.starts_with(name)).expect("the kernel counts it");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, between two looks at the server")]
fn pause(time: Duration) {
    thread::sleep(time);
}
