//! Thousands of seeded runs of two engines that share one faulty database, in simulated time.
//!
//! `COGWHEEL_SIM_SEED=7` runs that seed alone; `COGWHEEL_SIM_SEEDS=5000` says how many are run, and
//! `COGWHEEL_SIM_FIRST=100000` with which one they begin. `COGWHEEL_SIM_TRACE=1` tells what happens. A replay takes the
//! same course but where the scratch folders, which are real, answer in another order.

mod clock;
mod draw;
mod run;
mod stale;
mod steps;
mod store;
mod tables;
mod workflows;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use run::Told;

/// How many seeds are run where nobody says.
const SEEDS: u64 = 40;

/// Runs something in a runtime of its own, whose time passes only when nothing else is left to do.
fn in_simulated_time<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime can be built");
    let answer = runtime.block_on(what);
    runtime.shutdown_background();
    answer
}

/// Runs one seed.
fn play(seed: u64, folder: &Path) -> Told {
    in_simulated_time(run::run(seed, folder))
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} must be a number")))
}

#[test]
fn two_nodes_end_everything_once_whatever_happens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let seeds = if let Some(seed) = number("COGWHEEL_SIM_SEED") {
        seed..seed + 1
    } else {
        let first = number("COGWHEEL_SIM_FIRST").unwrap_or(0);
        first..first + number("COGWHEEL_SIM_SEEDS").unwrap_or(SEEDS)
    };
    let mut failed = Vec::new();
    let mut all = Told::default();
    for seed in seeds.clone() {
        match catch_unwind(AssertUnwindSafe(|| play(seed, folder.path()))) {
            Ok(told) => {
                all.executions += told.executions;
                all.refused += told.refused;
                all.freed += told.freed;
            }
            Err(_) => failed.push(seed),
        }
    }
    assert!(failed.is_empty(), "replay with COGWHEEL_SIM_SEED={}; of {seeds:?} these failed: {failed:?}", failed[0]);
    // Otherwise nothing was simulated.
    assert!(seeds.end - seeds.start < SEEDS || all.refused > 0 && all.freed > 0, "{all:?}");
}
