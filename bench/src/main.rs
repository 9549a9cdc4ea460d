//! Measures the engine's workloads on both databases beside what the machine can do at all, and prints them as a table
//! and as JSON.
//!
//! `cargo xtask bench core` builds the release binary, brings a PostgreSQL and runs this. Arguments name workloads
//! (`raw`, `bulk`, …) and databases (`sqlite`, `postgres`); without any, everything is measured.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what it is for")]

mod bed;
mod binary;
mod engine;
mod events;
mod figure;
mod raw;
mod sagas;
mod schedules;

use std::env;
use std::pin::Pin;
use std::process::ExitCode;

use cogwheel_testkit::Backend;
use serde_json::json;

use figure::Figure;

/// What a workload comes to, once it has run.
type Measured = Pin<Box<dyn Future<Output = Vec<Figure>>>>;

/// How a workload is measured.
enum Measure {
    /// Without a database.
    Machine,
    /// In this process, on a runtime of its own.
    Here(fn(Backend) -> Measured),
    /// With the real binary.
    Binary(fn(Backend) -> Vec<Figure>),
}

const WORKLOADS: &[(&str, Measure)] = &[
    ("machine", Measure::Machine),
    ("raw", Measure::Here(|backend| Box::pin(raw::database(backend)))),
    ("no-ops", Measure::Here(|backend| Box::pin(engine::no_ops(backend)))),
    ("processes", Measure::Here(|backend| Box::pin(engine::processes(backend)))),
    ("bulk", Measure::Here(|backend| Box::pin(engine::bulk(backend)))),
    ("first", Measure::Here(|backend| Box::pin(engine::first_instruction(backend)))),
    ("foreach", Measure::Here(|backend| Box::pin(engine::foreach(backend)))),
    ("graph", Measure::Here(|backend| Box::pin(engine::graph(backend)))),
    ("events", Measure::Here(|backend| Box::pin(events::events(backend)))),
    ("sagas", Measure::Here(|backend| Box::pin(sagas::sagas(backend)))),
    ("rebuild", Measure::Here(|backend| Box::pin(sagas::rebuild(backend)))),
    ("crash", Measure::Binary(binary::crash)),
    ("stored", Measure::Binary(binary::stored)),
    ("output", Measure::Binary(binary::output)),
    ("schedules", Measure::Binary(schedules::schedules)),
];

const DATABASES: &[(&str, Backend)] = &[("sqlite", Backend::Sqlite), ("postgres", Backend::Postgres)];

fn main() -> ExitCode {
    let named: Vec<String> = env::args().skip(1).collect();
    let known = |name: &String| {
        WORKLOADS.iter().any(|(workload, _)| workload == name) || DATABASES.iter().any(|(database, _)| database == name)
    };
    if let Some(unknown) = named.iter().find(|name| !known(name)) {
        let all = WORKLOADS.iter().map(|(name, _)| *name).chain(DATABASES.iter().map(|(name, _)| *name));
        eprintln!("there is no workload `{unknown}`; there are {}", all.collect::<Vec<_>>().join(", "));
        return ExitCode::from(2);
    }
    let databases = wanted(DATABASES, &named);
    let mut document = Vec::new();
    let mut show = |figures: Vec<Figure>| {
        for figure in figures {
            println!("{}", figure.row());
            document.push(figure.json());
        }
    };
    println!("{}", figure::HEAD);
    for (_, measure) in wanted(WORKLOADS, &named) {
        if let Measure::Machine = measure {
            show(runtime().block_on(raw::machine()));
            continue;
        }
        for (_, backend) in &databases {
            show(match measure {
                Measure::Here(measure) => runtime().block_on(measure(*backend)),
                Measure::Binary(measure) => measure(*backend),
                Measure::Machine => Vec::new(),
            });
        }
    }
    println!("\n{}", json!(document));
    ExitCode::SUCCESS
}

/// Those that are named, or all of them where none is.
fn wanted<'a, T>(all: &'a [(&'static str, T)], named: &[String]) -> Vec<&'a (&'static str, T)> {
    let chosen: Vec<_> = all.iter().filter(|(name, _)| named.iter().any(|word| word == name)).collect();
    if chosen.is_empty() { all.iter().collect() } else { chosen }
}

/// As the server makes its own.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}
