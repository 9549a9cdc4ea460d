//! `cargo xtask`: the chores of the repository that need logic.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks on its standard streams")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

mod edges;
mod layers;
mod postgres;
mod test;
mod words;

const USAGE: &str = "\
Usage: cargo xtask <command>

  test [ARGS]     build the binary, bring a PostgreSQL, run every test; ARGS go to the test runner
  bench           build the release binary, bring a PostgreSQL, measure the workloads of docs/benchmarks.md
  bench core [NAMES]  only those of the engine and what lies under it; NAMES are workloads and databases
  check-layers    fail when a crate depends on, or names, what it may not";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("test") => test::run(&root(), &arguments[1..]),
        Some("bench") => test::bench(&root(), &arguments[1..]),
        Some("check-layers") => layers::check(&root()),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Some(unknown) => {
            eprintln!("xtask: there is no command `{unknown}`\n\n{USAGE}");
            Ok(ExitCode::from(2))
        }
        None => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

/// The workspace's folder: the parent of this package's.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// The `cargo` that runs us, or the one on the path, as if it were called by hand: some build scripts look at what
/// `cargo run` says of us, and would build their crates anew.
fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        command.env_remove(name);
    }
    command
}
