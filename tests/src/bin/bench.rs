//! Measures the workloads of `docs/benchmarks.md` on the real binary and prints them as a table and as JSON.
//!
//! `cargo xtask bench` builds the release binary, brings a PostgreSQL and runs this. Arguments choose among the workloads
//! (`size`, `start`, `idle`, `file`, `flood`) and the databases (`sqlite`, `postgres`); without any, all are run.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cogwheel_tests::{Backend, Home, Server, within};
use serde_json::{Value, json};

/// How often short workloads are repeated.
const RUNS: usize = 9;
/// How many files are dropped one after the other.
const DROPS: usize = 300;
/// How many files are dropped at once.
const FLOOD: u32 = 10_000;
/// How long an idle server is watched.
const IDLE: Duration = Duration::from_secs(10);

/// One line of the table.
struct Figure {
    workload: &'static str,
    backend: &'static str,
    measured: String,
    reach: &'static str,
    value: Value,
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let is_chosen = |among: &[&str], one: &str| {
        let mut named = chosen.iter().filter(|word| among.contains(&word.as_str())).peekable();
        named.peek().is_none() || named.any(|word| word == one)
    };
    let runs = |workload: &str| is_chosen(&["size", "start", "idle", "file", "flood"], workload);
    let mut figures = Vec::new();
    if runs("size") {
        figures.push(binary_size());
    }
    for (backend, name, word) in [(Backend::Sqlite, "SQLite", "sqlite"), (Backend::Postgres, "PostgreSQL", "postgres")]
    {
        if !is_chosen(&["sqlite", "postgres"], word) {
            continue;
        }
        if runs("start") {
            figures.push(start_to_ready(backend, name));
        }
        if runs("idle") {
            figures.extend(idle(backend, name));
        }
        if runs("file") {
            figures.push(file_to_first_instruction(backend, name));
        }
        if runs("flood") {
            figures.push(flood(backend, name));
        }
    }
    println!("| workload | database | measured | reach |\n|---|---|---|---|");
    for Figure { workload, backend, measured, reach, .. } in &figures {
        println!("| {workload} | {backend} | {measured} | {reach} |");
    }
    let document: Vec<Value> = figures
        .iter()
        .map(|figure| json!({ "workload": figure.workload, "database": figure.backend, "value": figure.value }))
        .collect();
    println!("\n{}", json!(document));
}

fn binary_size() -> Figure {
    let path = Home::new(Backend::Sqlite).command(&[]).get_program().to_owned();
    let bytes = fs::metadata(path).expect("the binary is there").len();
    Figure {
        workload: "stripped release binary",
        backend: "-",
        measured: format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
        reach: "< 35 MB",
        value: json!(bytes),
    }
}

/// From the start of the process to the first healthy answer, the schema being in place.
fn start_to_ready(backend: Backend, name: &'static str) -> Figure {
    let mut home = Home::new(backend);
    home.serve().stop();
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its number").port();
    home.set("listen", &format!("127.0.0.1:{port}"));
    let url = format!("http://127.0.0.1:{port}/health/ready");
    let times = (0..RUNS).map(|_| {
        let began = Instant::now();
        let mut child = home.command(&["serve"]).stderr(Stdio::null()).spawn().expect("the binary runs");
        while ureq::get(&url).call().is_err() {
            assert!(child.try_wait().expect("it is our child").is_none(), "the server ended");
            pause(Duration::from_micros(200));
        }
        let took = began.elapsed();
        let stopped = Command::new("kill").arg(child.id().to_string()).status().expect("kill is there");
        assert!(stopped.success());
        child.wait().expect("it ends");
        took
    });
    let times = Sorted::of(times);
    Figure {
        workload: "start to ready, empty data folder after the first migration",
        backend: name,
        measured: format!("{:.0} ms (median of {RUNS})", times.milliseconds(50)),
        reach: "< 150 ms",
        value: json!({ "p50_ms": times.milliseconds(50), "max_ms": times.milliseconds(100) }),
    }
}

/// Resident memory and bytes written of a server that has nothing to do.
fn idle(backend: Backend, name: &'static str) -> [Figure; 2] {
    let home = Home::new(backend);
    let server = home.serve();
    let written = |server: &Server| proc_figure(server.pid(), "io", "write_bytes:");
    pause(Duration::from_secs(2));
    let before = written(&server);
    pause(IDLE);
    let wrote = written(&server) - before;
    let resident = proc_figure(server.pid(), "status", "VmRSS:");
    [
        Figure {
            workload: "idle: resident memory",
            backend: name,
            measured: format!("{}.{} MiB", resident / 1024, resident % 1024 * 10 / 1024),
            reach: "< 40 MiB",
            value: json!(resident),
        },
        Figure {
            workload: "idle: bytes written to disk in 10 s",
            backend: name,
            measured: wrote.to_string(),
            reach: "0",
            value: json!(wrote),
        },
    ]
}

fn proc_figure(pid: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the process is there");
    let line = text.lines().find(|line| line.starts_with(name)).expect("the kernel counts it");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// From the rename into a watched folder to the first instruction of the first step, a shell.
fn file_to_first_instruction(backend: Backend, name: &'static str) -> Figure {
    let home = Home::new(backend);
    home.write(
        "workflows/mark.yaml",
        "on: {file: [{path: inbox, match: '*.csv', settle: 0s}]}\n\
         steps: [{run: ': > \"$COGWHEEL_ROOT/elsewhere/$NAME\"', env: {NAME: 'seen-${{ trigger.file.name }}'}}]\n",
    );
    let server = home.serve();
    let draft = home.path("elsewhere/draft");
    let times = (0..DROPS).map(|number| {
        // The execution before has ended by then: an idle engine is measured.
        pause(Duration::from_millis(10));
        fs::write(&draft, number.to_string()).expect("the draft can be written");
        let seen = home.path(&format!("elsewhere/seen-{number}.csv"));
        let began = Instant::now();
        fs::rename(&draft, home.path(&format!("inbox/{number}.csv"))).expect("it can be moved");
        wait_for_file(&seen);
        began.elapsed()
    });
    let times = Sorted::of(times);
    drop(server);
    Figure {
        workload: "file renamed into the inbox, settle 0, to the first instruction of its shell step",
        backend: name,
        measured: format!("p50 {:.1} ms, p99 {:.1} ms", times.milliseconds(50), times.milliseconds(99)),
        reach: "p50 < 4 ms, p99 < 25 ms",
        value: json!({ "p50_ms": times.milliseconds(50), "p99_ms": times.milliseconds(99) }),
    }
}

fn wait_for_file(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < Duration::from_secs(30), "{} did not appear", path.display());
        pause(Duration::from_micros(100));
    }
}

/// Thousands of files moved in at once, each one execution.
fn flood(backend: Backend, name: &'static str) -> Figure {
    let home = Home::new(backend);
    home.write(
        "workflows/intake.yaml",
        "on: {file: [{path: inbox, match: '*.csv', settle: 0s}]}\n\
         steps: [{uses: log, with: {message: '${{ trigger.file.name }}'}}]\n",
    );
    let server = home.serve();
    fs::create_dir(home.path("elsewhere/batch")).expect("a new folder");
    let drafts: Vec<_> = (0..FLOOD).map(|number| home.path(&format!("elsewhere/batch/{number}.csv"))).collect();
    for draft in &drafts {
        fs::write(draft, draft.to_string_lossy().as_bytes()).expect("a new file");
    }
    let began = Instant::now();
    for draft in &drafts {
        let target = home.path("inbox").join(draft.file_name().expect("it has a name"));
        fs::rename(draft, target).expect("it can be moved");
    }
    within(Duration::from_mins(2), "all executions", || {
        (server.count_executions("intake", &["COMPLETED"]) == u64::from(FLOOD)).then_some(())
    });
    let took = began.elapsed();
    let rate = f64::from(FLOOD) / took.as_secs_f64();
    Figure {
        workload: "10 000 files dropped at once, each hashed and one completed execution",
        backend: name,
        measured: format!("{FLOOD} executions in {:.0} ms ({rate:.0}/s)", took.as_secs_f64() * 1e3),
        reach: "> 3 000/s",
        value: json!({ "executions": FLOOD, "seconds": took.as_secs_f64() }),
    }
}

/// Times in rising order.
struct Sorted(Vec<Duration>);

impl Sorted {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.collect();
        times.sort();
        Self(times)
    }

    fn milliseconds(&self, percentile: usize) -> f64 {
        let place = (self.0.len() * percentile / 100).min(self.0.len() - 1);
        self.0[place].as_secs_f64() * 1e3
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, between two looks at the server")]
fn pause(time: Duration) {
    thread::sleep(time);
}
